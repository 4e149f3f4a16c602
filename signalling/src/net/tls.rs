//! TLS for every listener: certificates by host name (SNI, RFC 6066 §3), self-made ones, and reloading while serving.
//!
//! Not done: OCSP stapling, ACME, client certificates (they come with federation).

mod acceptor;
mod generated;
mod pair;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::{error, info};

pub use acceptor::{Acceptor, BUFFER_BYTES_MAX};
pub use generated::GENERATED_CERTIFICATE;
use generated::{ends_soon, generated};
pub use pair::Leaf;
use pair::{Entry, PEM_BYTES_MAX, ascii_name, load_pair};

/// Protocol name of XMPP client streams over direct TLS (XEP-0368 §5).
pub const ALPN_XMPP_CLIENT: &[u8] = b"xmpp-client";
/// Protocol name of HTTP/1.1 (RFC 7301 §6).
pub const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// A PEM chain (leaf first) and the private key of its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// File with the certificate chain.
    pub certificate: PathBuf,
    /// File with the private key (PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
}

/// Where certificates come from; the `[tls]` section with paths made absolute.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Shown when no other certificate fits; `None`: a self-made one.
    pub default: Option<Pair>,
    /// Certificates for single domains.
    pub hosts: Vec<(String, Pair)>,
    /// Names that a self-made certificate carries, besides `localhost` and the loopback addresses.
    pub names: Vec<String>,
    /// Folder of the self-made certificate.
    pub data_dir: PathBuf,
}

impl Settings {
    /// What the section says. `names` go into a self-made certificate: the domains, and whatever else clients connect to.
    #[must_use]
    pub fn new(tls: &campanile_config::Tls, names: Vec<String>, data_dir: &Path) -> Self {
        let pair = |certificate: &PathBuf, key: &PathBuf| Pair { certificate: certificate.clone(), key: key.clone() };
        Self {
            default: tls.certificate.as_ref().zip(tls.key.as_ref()).map(|(certificate, key)| pair(certificate, key)),
            hosts: tls.hosts.iter().map(|(host, files)| (host.clone(), pair(&files.certificate, &files.key))).collect(),
            names,
            data_dir: data_dir.to_owned(),
        }
    }
}

/// Why certificates could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is too large to be what it should be.
    #[error("{} is larger than {PEM_BYTES_MAX} bytes, so it is no certificate or key", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no certificate.
    #[error("{} holds no PEM certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no private key that can be used.
    #[error("{} holds no PEM private key that can be used: {reason}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The reason, never the key.
        reason: &'static str,
    },
    /// The leaf certificate cannot be parsed.
    #[error("{}: {reason}", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Key and certificate do not belong together.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A self-made certificate could not be generated.
    #[error("cannot generate a certificate")]
    Generate(#[from] rcgen::Error),
    /// A self-made certificate could not be stored.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The provider of cryptography refused the protocol versions.
    #[error("TLS settings refused")]
    Config(#[from] rustls::Error),
}

/// The certificates in use. Cheap to clone; all clones see a reload.
#[derive(Clone)]
pub struct Certificates {
    resolver: Arc<Resolver>,
    loader: Arc<Mutex<Loader>>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("leaves", &self.leaves()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads all pairs, and makes a certificate when no default is configured and none has been made before.
    ///
    /// # Errors
    /// The first file that cannot be used; nothing is served with half of the certificates.
    pub fn load(settings: Settings) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut loader = Loader { settings, seen: HashMap::new() };
        let table = loader.load_all(&provider)?;
        Ok(Self { resolver: Arc::new(Resolver { table: ArcSwap::from_pointee(table) }), loader: Arc::new(Mutex::new(loader)), provider })
    }

    /// Reads everything again (SIGHUP), with other settings if given. A pair that cannot be used keeps its old certificate.
    /// Returns the number of pairs that could not be used; each is logged.
    pub fn reload(&self, settings: Option<Settings>) -> usize {
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(settings) = settings {
            loader.settings = settings;
        }
        self.replace(&mut loader)
    }

    /// Reads everything again if a file has changed since it was last looked at, or if a self-made certificate ends soon.
    /// Called every few seconds by the watcher. Returns whether it read.
    pub fn poll(&self) -> bool {
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        let ends_soon = self.resolver.table.load().entries.iter().any(|entry| entry.leaf.self_made && ends_soon(&entry.leaf));
        if !ends_soon && !loader.changed() {
            return false;
        }
        self.replace(&mut loader);
        true
    }

    fn replace(&self, loader: &mut Loader) -> usize {
        let old = self.resolver.table.load_full();
        let (table, failures) = loader.load_each(&self.provider, &old);
        for failure in &failures {
            error!(error = %failure, "certificate not reloaded, the old one stays in use");
        }
        if let Some(table) = table {
            info!(certificates = table.entries.len(), failed = failures.len(), "certificates reloaded");
            self.resolver.table.store(Arc::new(table));
        }
        failures.len()
    }

    /// What the certificates in use say, the default first.
    pub fn leaves(&self) -> Vec<Leaf> {
        self.resolver.table.load().entries.iter().map(|entry| Leaf::clone(&entry.leaf)).collect()
    }

    /// Settings for a listener that speaks the protocols of `alpn`, best first; none: the client's list is ignored.
    /// TLS 1.2 and 1.3, no client certificates. Follows every reload.
    ///
    /// # Errors
    /// Only if the provider of cryptography lacks both protocol versions.
    pub fn server_config(&self, alpn: &[&[u8]]) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.resolver.clone());
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// The same for client streams, where a log-in may be bound to the connection.
    ///
    /// # Errors
    /// As for [`Certificates::server_config`].
    pub fn acceptor(&self, alpn: &[&[u8]]) -> Result<Acceptor, TlsError> {
        Ok(Acceptor::new(self.server_config(alpn)?, self.resolver.clone()))
    }
}

/// Chooses by the name that the client sends, in rustls' handshake.
struct Resolver {
    table: ArcSwap<Table>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// The certificate for a name, with what belongs to it.
    fn choose(&self, host: Option<&str>) -> Entry {
        self.table.load().find(host).clone()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.table.load().find(hello.server_name()).key.clone())
    }
}

/// All certificates; the first entry is the default and always there.
struct Table {
    entries: Vec<Entry>,
}

impl Table {
    /// The certificate configured for the name; else one that covers it; else that of the nearest configured parent domain
    /// (`conference.example.org` under `example.org`); else the default.
    fn find(&self, host: Option<&str>) -> &Entry {
        let default = &self.entries[0];
        let Some(host) = host.and_then(ascii_name) else { return default };
        let configured = |name: &str| self.entries.iter().find(|entry| entry.leaf.host.as_deref() == Some(name));
        if let Some(entry) = configured(&host) {
            return entry;
        }
        if let Some(entry) = self.entries.iter().find(|entry| entry.leaf.covers(&host)) {
            return entry;
        }
        let mut rest = host.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(entry) = configured(parent) {
                return entry;
            }
            rest = parent;
        }
        default
    }
}

/// Size and time of a file when it was last looked at: a change of either is a reason to read it.
type Stamp = Option<(SystemTime, u64)>;

struct Loader {
    settings: Settings,
    seen: HashMap<PathBuf, Stamp>,
}

impl Loader {
    /// At the start: all or nothing.
    fn load_all(&mut self, provider: &CryptoProvider) -> Result<Table, TlsError> {
        let mut entries = Vec::with_capacity(1 + self.settings.hosts.len());
        for (host, pair, self_made) in self.pairs()? {
            entries.push(self.load_pair(host, &pair, self_made, provider)?);
        }
        Ok(Table { entries })
    }

    /// While serving: what fails stays as it was.
    fn load_each(&mut self, provider: &CryptoProvider, old: &Table) -> (Option<Table>, Vec<TlsError>) {
        let mut failures = Vec::new();
        let pairs = match self.pairs() {
            Ok(pairs) => pairs,
            Err(failure) => return (None, vec![failure]),
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for (host, pair, self_made) in pairs {
            match self.load_pair(host.clone(), &pair, self_made, provider) {
                Ok(entry) => entries.push(entry),
                Err(failure) => {
                    failures.push(failure);
                    if let Some(entry) = old.entries.iter().find(|entry| entry.leaf.host == host) {
                        entries.push(entry.clone());
                    }
                }
            }
        }
        // A new host whose pair is broken has no old entry; the default always has one.
        (Some(Table { entries }), failures)
    }

    /// The pairs to load, the default first; makes a certificate if none is configured.
    fn pairs(&mut self) -> Result<Vec<(Option<String>, Pair, bool)>, TlsError> {
        let mut pairs = match &self.settings.default {
            Some(pair) => vec![(None, pair.clone(), false)],
            None => vec![(None, generated(&self.settings)?, true)],
        };
        for (host, pair) in &self.settings.hosts {
            let host = ascii_name(host).unwrap_or_else(|| host.to_lowercase());
            pairs.push((Some(host), pair.clone(), false));
        }
        Ok(pairs)
    }

    fn load_pair(&mut self, host: Option<String>, pair: &Pair, self_made: bool, provider: &CryptoProvider) -> Result<Entry, TlsError> {
        for path in [&pair.certificate, &pair.key] {
            self.seen.insert(path.clone(), stamp(path));
        }
        load_pair(host, pair, self_made, provider)
    }

    fn changed(&self) -> bool {
        self.seen.iter().any(|(path, seen)| stamp(path) != *seen)
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
