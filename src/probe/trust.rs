//! Which certificates the probe accepts: the server's own, read from its configuration, or what the system trusts.
//!
//! A certificate made at first start is self-signed; it is accepted because it is the very one that stands in `data_dir`. Whatever the
//! source, it must be valid today and name the host that is asked for: every client demands that too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Where systems keep the roots they trust, first match wins; `SSL_CERT_FILE` goes before them.
const SYSTEM_ROOTS: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/// The certificates of the server under test and the system's roots.
#[derive(Debug)]
pub struct Trust {
    own: Vec<CertificateDer<'static>>,
    system: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Reads the first certificate of each PEM file, and the system's roots.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate.
    pub fn load(own_files: &[PathBuf]) -> anyhow::Result<Trust> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut own = Vec::new();
        for file in own_files {
            let certificate = CertificateDer::from_pem_file(file)
                .with_context(|| format!("cannot read the server's certificate {}; run as the user that owns it", file.display()))?;
            own.push(certificate);
        }
        Ok(Trust { own, system: system_roots(&provider), provider })
    }

    /// TLS settings for a client that trusts this, with ALPN if any is given.
    ///
    /// # Errors
    /// Those of rustls, for a provider without usable protocol versions.
    pub fn client_config(self: &Arc<Self>, alpn: &[&[u8]]) -> Result<Arc<rustls::ClientConfig>, Error> {
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.iter().any(|own| own == end_entity) {
            check_dates(end_entity, now)?;
            rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &self.system {
            Some(system) => system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

fn system_roots(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let from_environment = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let file = from_environment.into_iter().chain(SYSTEM_ROOTS.iter().map(PathBuf::from)).find(|file| file.is_file())?;
    let mut roots = RootCertStore::empty();
    // Systems carry roots that webpki does not take; the others count.
    roots.add_parsable_certificates(certificates(&file));
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok()
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).map(|all| all.flatten().collect()).unwrap_or_default()
}

/// What a failed TLS handshake means, and what to look at; `remedy` is for a certificate without the name.
pub fn explain(error: &std::io::Error, host: &str, remedy: &str) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return format!("the TLS handshake broke off ({error}): is this port a TLS listener?");
    };
    match tls {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is neither the configured one nor signed by a root that this system trusts: has the file changed since the server loaded it, or is \
             something else listening there?"
                .into()
        }
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            format!("its certificate does not name {host}, so clients refuse it: {remedy}")
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => "its certificate has expired: renew it".into(),
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate is not valid yet: compare this machine's clock with the certificate's dates".into()
        }
        other => format!("TLS failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str], not_before: (i32, u8, u8), not_after: (i32, u8, u8)) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).expect("names");
        params.not_before = rcgen::date_time_ymd(not_before.0, not_before.1, not_before.2);
        params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    fn verify(own: &CertificateDer<'static>, presented: &CertificateDer<'static>, name: &'static str) -> Result<ServerCertVerified, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = Trust { own: vec![own.clone()], system: None, provider };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_900_000_000)); // 2030
        trust.verify_server_cert(presented, &[], &ServerName::try_from(name).expect("a name"), &[], now)
    }

    #[test]
    fn only_the_servers_own_certificate_passes_and_only_for_its_names_and_dates() {
        let good = certificate(&["localhost", "127.0.0.1"], (2020, 1, 1), (2040, 1, 1));
        let other = certificate(&["localhost"], (2020, 1, 1), (2040, 1, 1));
        let old = certificate(&["localhost"], (2020, 1, 1), (2029, 1, 1));
        let early = certificate(&["localhost"], (2039, 1, 1), (2040, 1, 1));
        assert!(verify(&good, &good, "localhost").is_ok());
        assert!(verify(&good, &good, "127.0.0.1").is_ok());
        assert!(matches!(verify(&good, &other, "localhost"), Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))));
        assert!(matches!(
            verify(&good, &good, "example.org"),
            Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }))
        ));
        assert!(matches!(verify(&old, &old, "localhost"), Err(Error::InvalidCertificate(CertificateError::Expired))));
        assert!(matches!(verify(&early, &early, "localhost"), Err(Error::InvalidCertificate(CertificateError::NotValidYet))));
    }
}
