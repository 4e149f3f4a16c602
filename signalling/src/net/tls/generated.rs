//! The self-made certificate of a server that was given none: made at the first start, and again when a name is missing or its end is near.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use tracing::{info, warn};

use super::pair::{Leaf, ascii_name, fingerprint, load_pair};
use super::{Pair, Settings, TlsError};

/// Name of the self-made certificate in `data_dir`.
pub const GENERATED_CERTIFICATE: &str = "generated-cert.pem";
pub(super) const GENERATED_KEY: &str = "generated-key.pem";
/// A self-made certificate is pinned by those who trust it, so it lives long.
pub(super) const GENERATED_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// A self-made certificate is replaced when this much of its life is left.
const GENERATED_RENEW_BEFORE: Duration = Duration::from_secs(30 * 86_400);
/// The self-made pair: the one in `data_dir` if it fits, else a new one.
pub(super) fn generated(settings: &Settings) -> Result<Pair, TlsError> {
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

/// Whether a self-made certificate is to be replaced.
pub(super) fn ends_soon(leaf: &Leaf) -> bool {
    leaf.not_after < SystemTime::now() + GENERATED_RENEW_BEFORE
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
