//! One certificate with its key: read from PEM files, checked, and what its leaf says.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::warn;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

use super::{Pair, TlsError};

/// Certificate and key files are small; what is larger is the wrong file.
pub(super) const PEM_BYTES_MAX: u64 = 1 << 20;

/// TLS sessions that are remembered for each certificate.
const SESSIONS: usize = 1024;

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

/// A pair that was read.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) leaf: Arc<Leaf>,
    pub(super) key: Arc<CertifiedKey>,
    /// The channel binding `tls-server-end-point` of whom this certificate is shown.
    pub(super) end_point: Option<Arc<[u8]>>,
    /// Sessions that clients may take up again. A session shows no certificate, so each certificate has sessions of its own: who comes with one
    /// of an old certificate gets a whole handshake, and what it binds to is certain.
    pub(super) sessions: Arc<dyn StoresServerSessions>,
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fail = |error| TlsError::Read { path: path.to_owned(), error };
    if fs::metadata(path).map_err(fail)?.len() > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    fs::read(path).map_err(fail)
}

/// Reads and checks a pair.
pub(super) fn load_pair(host: Option<String>, pair: &Pair, self_made: bool, provider: &CryptoProvider) -> Result<Entry, TlsError> {
    let bad = |reason: String| TlsError::BadCertificate { path: pair.certificate.clone(), reason };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&pair.certificate)?).collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
    let Some(first) = chain.first() else {
        return Err(TlsError::NoCertificate { path: pair.certificate.clone() });
    };
    let leaf = leaf(host, &pair.certificate, first, self_made).map_err(bad)?;
    let end_point = end_point(first).map(Arc::from);
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
    Ok(Entry { leaf: Arc::new(leaf), key: Arc::new(certified), end_point, sessions: ServerSessionMemoryCache::new(SESSIONS) })
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

/// RFC 5929 §4.1: the certificate's hash, by the hash function of its signature; MD5 and SHA-1 give way to SHA-256. A signature without a
/// single hash function (Ed25519) leaves it undefined.
pub(super) fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let algorithm = &certificate.signature_algorithm;
    let oid = match SignatureAlgorithm::try_from(algorithm).ok()? {
        SignatureAlgorithm::RSASSA_PSS(parameters) => parameters.hash_algorithm_oid().to_id_string(),
        _ => algorithm.algorithm.to_id_string(),
    };
    let algorithm = match oid.as_str() {
        // MD5 and SHA-1, alone, with RSA, with ECDSA
        "1.2.840.113549.2.5" | "1.3.14.3.2.26" | "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => &digest::SHA256,
        "2.16.840.1.101.3.4.2.4" | "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" => &digest::SHA224,
        "2.16.840.1.101.3.4.2.1" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, der).as_ref().to_vec())
}

/// SHA-256, in hexadecimal with colons.
pub(super) fn fingerprint(der: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = digest::digest(&digest::SHA256, der);
    let mut text = String::with_capacity(96);
    for (i, byte) in digest.as_ref().iter().enumerate() {
        let colon = if i == 0 { "" } else { ":" };
        write!(text, "{colon}{byte:02X}").expect("writing to a String does not fail");
    }
    text
}

/// A host name as it stands in certificates and in SNI: A-labels, lower case, no final dot.
pub(super) fn ascii_name(name: &str) -> Option<String> {
    let name = idna::domain_to_ascii(name.trim_end_matches('.')).ok()?;
    (!name.is_empty()).then_some(name)
}
