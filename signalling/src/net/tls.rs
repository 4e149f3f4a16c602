//! TLS for every listener: certificates by host name (SNI, RFC 6066 §3), self-made ones, and reloading while serving.
//!
//! Not done: OCSP stapling, ACME, client certificates (they come with federation).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{error, info, warn};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Protocol name of XMPP client streams over direct TLS (XEP-0368 §5).
pub const ALPN_XMPP_CLIENT: &[u8] = b"xmpp-client";
/// Protocol name of HTTP/1.1 (RFC 7301 §6).
pub const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// Name of the self-made certificate in `data_dir`.
pub const GENERATED_CERTIFICATE: &str = "generated-cert.pem";
const GENERATED_KEY: &str = "generated-key.pem";
/// A self-made certificate is pinned by those who trust it, so it lives long.
const GENERATED_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// A self-made certificate is replaced when this much of its life is left.
const GENERATED_RENEW_BEFORE: Duration = Duration::from_secs(30 * 86_400);
/// Certificate and key files are small; what is larger is the wrong file.
const PEM_BYTES_MAX: u64 = 1 << 20;

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
    #[error("cannot generate a certificate: {0}")]
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
    #[error("TLS settings refused: {0}")]
    Config(#[from] rustls::Error),
}

/// What the leaf certificate of a pair says.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The file it was read from.
    pub path: PathBuf,
    /// The domain it is configured for; `None` for the default certificate.
    pub host: Option<String>,
    /// `dNSName`s, in lower case, wildcards as they stand.
    pub names: Vec<String>,
    /// `iPAddress`es.
    pub addresses: Vec<IpAddr>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// Whether this server made it.
    pub self_made: bool,
    /// SHA-256 of the DER form, in hexadecimal with colons.
    pub fingerprint: String,
}

impl Leaf {
    /// Whether a client that wants `host` (a domain or an address) accepts the names (RFC 6125 §6.4; wildcards for one label).
    pub fn covers(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let Some(host) = ascii_name(host) else { return false };
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => *name == host,
        })
    }
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
        self.resolver.table.load().entries.iter().map(|entry| entry.leaf.clone()).collect()
    }

    /// What the certificate says that a client asking for `host` is shown.
    pub fn leaf_for(&self, host: &str) -> Leaf {
        self.resolver.table.load().find(Some(host)).leaf.clone()
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

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.table.load().find(hello.server_name()).key.clone())
    }
}

/// All certificates; the first entry is the default and always there.
struct Table {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    leaf: Leaf,
    key: Arc<CertifiedKey>,
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

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fail = |error| TlsError::Read { path: path.to_owned(), error };
    if fs::metadata(path).map_err(fail)?.len() > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    fs::read(path).map_err(fail)
}

fn load_pair(host: Option<String>, pair: &Pair, self_made: bool, provider: &CryptoProvider) -> Result<Entry, TlsError> {
    let bad = |reason: String| TlsError::BadCertificate { path: pair.certificate.clone(), reason };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&pair.certificate)?).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
    let Some(first) = chain.first() else {
        return Err(TlsError::NoCertificate { path: pair.certificate.clone() });
    };
    let leaf = leaf(host, &pair.certificate, first, self_made).map_err(bad)?;
    let no_key = |reason| TlsError::NoKey { path: pair.key.clone(), reason };
    // The error's own text may quote the file, so it is not passed on.
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(&pair.key)?)).map_err(|error| {
        no_key(match error {
            PemError::NoItemsFound => "no section BEGIN PRIVATE KEY (encrypted keys are not supported)",
            _ => "damaged PEM",
        })
    })?;
    if fs::metadata(&pair.key).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
        warn!(key = %pair.key.display(), "private key is open to every user of this machine: chmod o= it");
    }
    let signing = provider.key_provider.load_private_key(key).map_err(|_| no_key("damaged, or of an unsupported type"))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch { certificate: pair.certificate.clone(), key: pair.key.clone() });
        }
        Err(error) => return Err(bad(error.to_string())),
    }
    Ok(Entry { leaf, key: Arc::new(certified) })
}

/// Reads names and validity of a certificate.
fn leaf(host: Option<String>, path: &Path, der: &CertificateDer<'_>, self_made: bool) -> Result<Leaf, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| format!("not an X.509 certificate: {error}"))?;
    let mut names = Vec::new();
    let mut addresses = Vec::new();
    if let Some(alternative) = certificate.subject_alternative_name().map_err(|error| error.to_string())? {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => {
                    if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
                        addresses.push(v4.into());
                    } else if let Ok(v6) = <[u8; 16]>::try_from(*bytes) {
                        addresses.push(v6.into());
                    }
                }
                _ => {}
            }
        }
    }
    let at = |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Ok(Leaf {
        path: path.to_owned(),
        host,
        names,
        addresses,
        not_before: at(certificate.validity().not_before.timestamp()),
        not_after: at(certificate.validity().not_after.timestamp()),
        self_made,
        fingerprint: fingerprint(der),
    })
}

fn fingerprint(der: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, der);
    let mut text = String::with_capacity(96);
    for (i, byte) in digest.as_ref().iter().enumerate() {
        let colon = if i == 0 { "" } else { ":" };
        write!(text, "{colon}{byte:02X}").expect("writing to a String does not fail");
    }
    text
}

fn ends_soon(leaf: &Leaf) -> bool {
    leaf.not_after < SystemTime::now() + GENERATED_RENEW_BEFORE
}

/// A host name as it stands in certificates and in SNI: A-labels, lower case, no final dot.
fn ascii_name(name: &str) -> Option<String> {
    let name = idna::domain_to_ascii(name.trim_end_matches('.')).ok()?;
    (!name.is_empty()).then_some(name)
}

/// The self-made pair: the one in `data_dir` if it fits, else a new one.
fn generated(settings: &Settings) -> Result<Pair, TlsError> {
    let pair = Pair { certificate: settings.data_dir.join(GENERATED_CERTIFICATE), key: settings.data_dir.join(GENERATED_KEY) };
    let mut names: BTreeSet<String> = BTreeSet::from(["localhost".to_owned()]);
    let mut addresses: BTreeSet<IpAddr> = BTreeSet::from([[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()]);
    for name in &settings.names {
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            addresses.insert(address);
        } else if let Some(name) = ascii_name(name) {
            names.insert(name);
        }
    }
    if pair.certificate.exists() && pair.key.exists() {
        match load_pair(None, &pair, true, &aws_lc_rs::default_provider()) {
            Ok(entry) => {
                let leaf = &entry.leaf;
                let covers = names.iter().all(|name| leaf.names.contains(name)) && addresses.iter().all(|ip| leaf.addresses.contains(ip));
                if covers && !ends_soon(leaf) {
                    return Ok(pair);
                }
                info!(certificate = %pair.certificate.display(), "self-made certificate lacks a name or ends soon, making a new one");
            }
            Err(error) => warn!(%error, "self-made certificate cannot be used, making a new one"),
        }
    }
    let subject: Vec<String> = names.iter().cloned().chain(addresses.iter().map(IpAddr::to_string)).collect();
    let common_name = settings.names.iter().find_map(|name| ascii_name(name)).unwrap_or_else(|| "localhost".to_owned());
    let mut params = rcgen::CertificateParams::new(subject.clone())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(86_400)).into();
    params.not_after = (now + GENERATED_LIFE).into();
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    // The key first: a certificate without its key is worth nothing.
    write_new(&pair.key, zeroize::Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
    write_new(&pair.certificate, certificate.pem().as_bytes(), 0o644)?;
    warn!(
        certificate = %pair.certificate.display(),
        names = subject.join(" "),
        sha256 = fingerprint(certificate.der()),
        "made a self-signed certificate; clients will not trust it unless told to: set tls.certificate and tls.key for a public server"
    );
    Ok(pair)
}

/// Writes beside the target and renames, so that a reader never sees half a file.
fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), TlsError> {
    let fail = |error| TlsError::Write { path: path.to_owned(), error };
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
    }
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(fail)?;
    io::Write::write_all(&mut file, contents).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&beside, path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// A folder that is removed when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("campanile-tls-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// Writes a pair for the names.
        fn pair(&self, file: &str, names: &[&str]) -> Pair {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let pair = Pair { certificate: self.0.join(format!("{file}.pem")), key: self.0.join(format!("{file}.key")) };
            fs::write(&pair.certificate, made.cert.pem()).unwrap();
            fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
            pair
        }

        fn settings(&self) -> Settings {
            Settings { default: None, hosts: Vec::new(), names: vec!["example.org".to_owned()], data_dir: self.0.clone() }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn shown(certificates: &Certificates, host: Option<&str>) -> String {
        let table = certificates.resolver.table.load();
        table.find(host).leaf.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let folder = Folder::new("made");
        let settings = Settings { names: vec!["example.org".into(), "bücher.example".into(), "192.0.2.1".into()], ..folder.settings() };
        let first = Certificates::load(settings.clone()).unwrap();
        let leaf = first.leaf_for("example.org");
        assert!(leaf.self_made);
        for host in ["example.org", "localhost", "127.0.0.1", "::1", "192.0.2.1", "bücher.example", "xn--bcher-kva.example"] {
            assert!(leaf.covers(host), "{host} {leaf:?}");
        }
        assert!(!leaf.covers("example.com"));
        assert!(leaf.not_after > SystemTime::now() + GENERATED_LIFE / 2);
        let mode = fs::metadata(folder.0.join(GENERATED_KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Certificates::load(settings.clone()).unwrap();
        assert_eq!(again.leaf_for("example.org").fingerprint, leaf.fingerprint);
        let more = Certificates::load(Settings { names: vec!["new.example".into()], ..settings }).unwrap();
        assert_ne!(more.leaf_for("new.example").fingerprint, leaf.fingerprint);
        assert!(!format!("{more:?}").contains("PRIVATE"));
    }

    #[test]
    fn rfc6066_s3_the_name_chooses_the_certificate() {
        let folder = Folder::new("sni");
        let settings = Settings {
            default: Some(folder.pair("default", &["example.com", "*.example.com"])),
            hosts: vec![
                ("Example.ORG".into(), folder.pair("org", &["example.org"])),
                ("example.net".into(), folder.pair("net", &["example.net", "shared.example"])),
            ],
            ..folder.settings()
        };
        let certificates = Certificates::load(settings).unwrap();
        for (host, file) in [
            (None, "default.pem"),
            (Some("example.org"), "org.pem"),
            (Some("EXAMPLE.org."), "org.pem"),
            (Some("conference.example.org"), "org.pem"),
            (Some("a.b.example.net"), "net.pem"),
            (Some("shared.example"), "net.pem"),
            (Some("www.example.com"), "default.pem"),
            (Some("unknown.example"), "default.pem"),
        ] {
            assert_eq!(shown(&certificates, host), file, "{host:?}");
        }
        assert!(!folder.0.join(GENERATED_KEY).exists());
    }

    #[test]
    fn rfc6125_s6_4_3_a_wildcard_stands_for_one_label() {
        let folder = Folder::new("wildcard");
        let settings = Settings { default: Some(folder.pair("default", &["*.example.com"])), ..folder.settings() };
        let leaf = Certificates::load(settings).unwrap().leaves().remove(0);
        assert!(leaf.covers("www.example.com"));
        assert!(!leaf.covers("example.com"));
        assert!(!leaf.covers("a.b.example.com"));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = Folder::new("broken");
        let good = folder.pair("good", &["example.org"]);
        let other = folder.pair("other", &["example.org"]);
        let empty = folder.0.join("empty.pem");
        fs::write(&empty, "nothing here").unwrap();
        let garbage = folder.0.join("garbage.pem");
        fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        let large = folder.0.join("large.pem");
        File::create(&large).unwrap().set_len(PEM_BYTES_MAX + 1).unwrap();
        let missing = folder.0.join("missing.pem");
        for (certificate, key, says) in [
            (&missing, &good.key, "cannot read"),
            (&good.certificate, &missing, "cannot read"),
            (&empty, &good.key, "holds no PEM certificate"),
            (&garbage, &good.key, "not an X.509 certificate"),
            (&large, &good.key, "is larger than"),
            (&good.certificate, &good.certificate, "BEGIN PRIVATE KEY"),
            (&good.certificate, &other.key, "does not belong to the certificate"),
        ] {
            let pair = Pair { certificate: certificate.clone(), key: key.clone() };
            let error = Certificates::load(Settings { default: Some(pair), ..folder.settings() }).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(error.contains(".pem") || error.contains(".key"), "{error}");
        }
    }

    #[test]
    fn a_broken_reload_keeps_the_old_certificate_and_a_good_one_replaces_it() {
        let folder = Folder::new("reload");
        let pair = folder.pair("default", &["example.org"]);
        let host = folder.pair("host", &["example.net"]);
        let settings = Settings { default: Some(pair.clone()), hosts: vec![("example.net".into(), host.clone())], ..folder.settings() };
        let certificates = Certificates::load(settings).unwrap();
        let old = certificates.leaf_for("example.org").fingerprint;
        let old_host = certificates.leaf_for("example.net").fingerprint;
        assert!(!certificates.poll());

        fs::write(&pair.certificate, "broken").unwrap();
        let renewed = folder.pair("host", &["example.net", "more.example"]);
        assert_eq!(renewed, host);
        assert!(certificates.poll());
        assert_eq!(certificates.leaf_for("example.org").fingerprint, old);
        assert_ne!(certificates.leaf_for("example.net").fingerprint, old_host);
        assert!(!certificates.poll(), "a file that stays broken is not read again");

        folder.pair("default", &["example.org", "more.example.org"]);
        assert_eq!(certificates.reload(None), 0);
        assert_ne!(certificates.leaf_for("example.org").fingerprint, old);
    }

    #[test]
    fn a_handshake_shows_the_configured_certificate_and_agrees_on_alpn() {
        let folder = Folder::new("handshake");
        let certificates = Certificates::load(folder.settings()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.0.join(GENERATED_CERTIFICATE)).unwrap()).unwrap();
        let mut client = rustls::ClientConfig::builder_with_provider(certificates.provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![ALPN_XMPP_CLIENT.to_vec()];
        let mut client = rustls::ClientConnection::new(Arc::new(client), "example.org".try_into().unwrap()).unwrap();
        let mut server = rustls::ServerConnection::new(certificates.server_config(&[ALPN_XMPP_CLIENT]).unwrap()).unwrap();
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            wire.clear();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        assert_eq!(server.alpn_protocol(), Some(ALPN_XMPP_CLIENT));
        assert_eq!(server.server_name(), Some("example.org"));
    }
}
