//! A certificate authority of the tests' own, and TLS as a client.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ::aws_lc_rs::digest;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// A certificate and its key, in PEM.
pub struct Pem {
    pub certificate: String,
    pub key: String,
}

/// Makes a certificate for these names.
type Issue = dyn Fn(&[&str]) -> Pem + Send + Sync;

struct Authority {
    ca: String,
    issue: Box<Issue>,
    leaf: Pem,
    other: Pem,
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "campanile tests");
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let issue = move |names: &[&str]| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
            params.distinguished_name.push(DnType::CommonName, names[0]);
            params.use_authority_key_identifier_extension = true;
            Pem { certificate: params.signed_by(&key, &issuer).unwrap().pem(), key: key.serialize_pem() }
        };
        let localhost = ["localhost", "127.0.0.1", "::1"];
        let (leaf, other) = (issue(&localhost), issue(&localhost));
        Authority { ca, issue: Box::new(issue), leaf, other }
    })
}

/// The server's certificate.
pub fn leaf() -> &'static Pem {
    &authority().leaf
}

/// A second one, as after a renewal.
pub fn renewed() -> &'static Pem {
    &authority().other
}

/// A certificate for other domains.
pub fn issued(names: &[&str]) -> Pem {
    (authority().issue)(names)
}

/// A file with the authority's certificate, for foreign clients.
pub fn ca_file(folder: &std::path::Path) -> PathBuf {
    let path = folder.join("ca.pem");
    fs::write(&path, &authority().ca).unwrap();
    path
}

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// TLS to `localhost`, verified against the tests' authority.
pub fn connect(tcp: TcpStream, alpn: &[&str]) -> Result<Stream, String> {
    connect_to(tcp, "localhost", true, alpn)
}

/// TLS to a domain, verified for it; `sni` says whether the client tells which it wants.
pub fn connect_to(tcp: TcpStream, domain: &str, sni: bool, alpn: &[&str]) -> Result<Stream, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority().ca.as_bytes()).unwrap()).unwrap();
    let mut config = builder().with_root_certificates(roots).with_no_client_auth();
    config.enable_sni = sni;
    handshake(tcp, config, domain, alpn)
}

/// TLS that takes any certificate, for servers that made their own.
pub fn connect_unverified(tcp: TcpStream) -> Result<Stream, String> {
    let verifier = Arc::new(AnyCertificate(Arc::new(aws_lc_rs::default_provider())));
    handshake(tcp, builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(), "localhost", &[])
}

/// The certificate that the server showed.
pub fn shown(stream: &Stream) -> Vec<u8> {
    stream.conn.peer_certificates().expect("after the handshake")[0].to_vec()
}

/// RFC 9266: what ties a log-in to this connection.
pub fn exporter(stream: &Stream) -> Vec<u8> {
    stream.conn.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None).expect("after the handshake")
}

/// RFC 5929 §4, for the tests' own certificates, which are signed with SHA-256.
pub fn end_point(stream: &Stream) -> Vec<u8> {
    digest::digest(&digest::SHA256, &shown(stream)).as_ref().to_vec()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

fn handshake(mut tcp: TcpStream, mut config: ClientConfig, domain: &str, alpn: &[&str]) -> Result<Stream, String> {
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut conn = ClientConnection::new(Arc::new(config), ServerName::try_from(domain.to_owned()).unwrap()).unwrap();
    while conn.is_handshaking() {
        conn.complete_io(&mut tcp).map_err(|error| error.to_string())?;
    }
    Ok(StreamOwned::new(conn, tcp))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
