//! One certificate for all servers, and TLS as their clients speak it: TLS 1.3 with X25519 and AES-128-GCM, the same work for each
//! server whatever it would prefer (TLS 1.2 with the same where a server knows no better).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::TlsConnector;

/// A P-256 certificate for `localhost`, issued by an authority made for this run.
pub struct Certificate {
    authority: String,
    /// The chain.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Certificate {
    /// Makes both.
    pub fn make() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        // The year 4096, which rcgen would take, is too far away for ejabberd.
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "campanile load");
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let chain = params.signed_by(&key, &issuer)?.pem();
        Ok(Self { authority, chain, key: key.serialize_pem() })
    }

    /// Writes `cert.pem` and `key.pem`.
    pub fn write(&self, folder: &Path) -> anyhow::Result<[PathBuf; 2]> {
        use std::os::unix::fs::PermissionsExt as _;
        let [chain, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
        fs::write(&chain, &self.chain)?;
        fs::write(&key, &self.key)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        Ok([chain, key])
    }

    /// A client that trusts the authority. Every handshake is a whole one.
    pub fn connector(&self) -> anyhow::Result<TlsConnector> {
        Ok(TlsConnector::from(Arc::new(self.client(&[&rustls::version::TLS13])?)))
    }

    /// The same for these versions of TLS.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).context("our own certificate")?)?;
        let provider = CryptoProvider {
            cipher_suites: vec![
                aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
                aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            ],
            kx_groups: vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}
