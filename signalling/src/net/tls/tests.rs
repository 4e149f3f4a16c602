//! Certificates made, read, chosen and shown in a handshake; files in a folder of the test's own.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::generated::{GENERATED_KEY, GENERATED_LIFE};
use super::*;

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

/// What the certificate says that a client asking for `host` is shown.
fn leaf_for(certificates: &Certificates, host: &str) -> Leaf {
    certificates.resolver.table.load().find(Some(host)).leaf.as_ref().clone()
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
    let leaf = leaf_for(&first, "example.org");
    assert!(leaf.self_made);
    for host in ["example.org", "localhost", "127.0.0.1", "::1", "192.0.2.1", "bücher.example", "xn--bcher-kva.example"] {
        assert!(leaf.covers(host), "{host} {leaf:?}");
    }
    assert!(!leaf.covers("example.com"));
    assert!(leaf.not_after > SystemTime::now() + GENERATED_LIFE / 2);
    let mode = fs::metadata(folder.0.join(GENERATED_KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = Certificates::load(settings.clone()).unwrap();
    assert_eq!(leaf_for(&again, "example.org").fingerprint, leaf.fingerprint);
    let more = Certificates::load(Settings { names: vec!["new.example".into()], ..settings }).unwrap();
    assert_ne!(leaf_for(&more, "new.example").fingerprint, leaf.fingerprint);
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
    let old = leaf_for(&certificates, "example.org").fingerprint;
    let old_host = leaf_for(&certificates, "example.net").fingerprint;
    assert!(!certificates.poll());

    fs::write(&pair.certificate, "broken").unwrap();
    let renewed = folder.pair("host", &["example.net", "more.example"]);
    assert_eq!(renewed, host);
    assert!(certificates.poll());
    assert_eq!(leaf_for(&certificates, "example.org").fingerprint, old);
    assert_ne!(leaf_for(&certificates, "example.net").fingerprint, old_host);
    assert!(!certificates.poll(), "a file that stays broken is not read again");

    folder.pair("default", &["example.org", "more.example.org"]);
    assert_eq!(certificates.reload(None), 0);
    assert_ne!(leaf_for(&certificates, "example.org").fingerprint, old);
}

#[test]
fn rfc5929_s4_1_the_certificate_is_hashed_as_its_signature_is() {
    use ::aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512};
    for (algorithm, hash) in [
        (&PKCS_ECDSA_P256_SHA256, Some(&SHA256)),
        (&PKCS_ECDSA_P384_SHA384, Some(&SHA384)),
        (&PKCS_RSA_SHA256, Some(&SHA256)),
        (&PKCS_RSA_SHA384, Some(&SHA384)),
        (&PKCS_RSA_SHA512, Some(&SHA512)),
        (&PKCS_ED25519, None),
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = rcgen::CertificateParams::new(vec!["example.org".to_owned()]).unwrap().self_signed(&key).unwrap();
        let expected = hash.map(|hash| digest(hash, der.der()).as_ref().to_vec());
        assert_eq!(super::pair::end_point(der.der()), expected, "{algorithm:?}");
        // MD5 and SHA-1 give way to SHA-256: the same certificate with another object identifier for its signature
        if algorithm == &PKCS_RSA_SHA256 {
            for last in [4, 5] {
                let sha256_with_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
                let mut weak = der.der().to_vec();
                let places: Vec<_> = weak.windows(9).enumerate().filter(|(_, bytes)| *bytes == sha256_with_rsa).map(|(at, _)| at).collect();
                places.into_iter().for_each(|at| weak[at + 8] = last);
                assert_eq!(super::pair::end_point(&weak), Some(digest(&SHA256, &weak).as_ref().to_vec()));
            }
        }
    }
    assert_eq!(super::pair::end_point(b"no certificate"), None);
}

/// One handshake over a pipe; what each end binds to: the client's exporter and certificate, the server's bindings.
async fn shake(
    acceptor: &Acceptor,
    client: &Arc<rustls::ClientConfig>,
    host: &str,
) -> (Option<Vec<u8>>, Vec<u8>, crate::stream::sasl::ChannelBindings) {
    use tokio::io::AsyncReadExt as _;
    let (near, far) = tokio::io::duplex(1 << 16);
    let connector = tokio_rustls::TlsConnector::from(client.clone());
    let name = rustls_pki_types::ServerName::try_from(host.to_owned()).unwrap();
    let (server, client) = tokio::join!(acceptor.accept(far, None), connector.connect(name, near));
    let ((mut server, bindings), mut client) = (server.unwrap(), client.unwrap());
    // the client takes up tickets by reading
    tokio::io::AsyncWriteExt::write_all(&mut server, b"x").await.unwrap();
    tokio::io::AsyncWriteExt::flush(&mut server).await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    let (_, connection) = client.get_ref();
    let exporter = connection.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", None).ok();
    (exporter, connection.peer_certificates().unwrap()[0].to_vec(), bindings)
}

#[tokio::test]
async fn rfc9266_and_rfc5929_both_ends_bind_to_the_same() {
    use crate::stream::sasl::ChannelBindings;
    let folder = Folder::new("binding");
    let settings = Settings {
        default: Some(folder.pair("default", &["example.com"])),
        hosts: vec![("example.org".into(), folder.pair("org", &["example.org"]))],
        ..folder.settings()
    };
    let roots = |certificates: &Certificates| {
        let mut roots = rustls::RootCertStore::empty();
        certificates.resolver.table.load().entries.iter().for_each(|entry| roots.add(entry.key.cert[0].clone()).unwrap());
        roots
    };
    let certificates = Certificates::load(settings).unwrap();
    let acceptor = certificates.acceptor(&[]).unwrap();
    let end_point = |der: &[u8]| super::pair::end_point(der);
    for (versions, binds) in [(&[&rustls::version::TLS13][..], true), (&[&rustls::version::TLS12], false)] {
        let client = rustls::ClientConfig::builder_with_provider(certificates.provider.clone()).with_protocol_versions(versions).unwrap();
        let client = Arc::new(client.with_root_certificates(roots(&certificates)).with_no_client_auth());
        let mut seen = Vec::new();
        for host in ["example.com", "example.org"] {
            let (exporter, certificate, bindings) = shake(&acceptor, &client, host).await;
            let expected = if binds { ChannelBindings::new(exporter, end_point(&certificate)) } else { ChannelBindings::default() };
            assert_eq!(bindings, expected, "{host}");
            seen.push(certificate);
        }
        assert_ne!(seen[0], seen[1], "the name chooses the certificate");

        // A session that is taken up again shows no certificate, and is bound to the one it began with.
        let (exporter, certificate, bindings) = shake(&acceptor, &client, "example.org").await;
        let expected = if binds { ChannelBindings::new(exporter, end_point(&certificate)) } else { ChannelBindings::default() };
        assert_eq!((&certificate, &bindings), (&seen[1], &expected));
        // After a renewal a session of the old certificate is not taken up: the client sees the new one, which it does not trust here.
        folder.pair("org", &["example.org", "renewed.example.org"]);
        assert_eq!(certificates.reload(None), 0);
        let (near, far) = tokio::io::duplex(1 << 16);
        let connector = tokio_rustls::TlsConnector::from(client.clone());
        let (server, client) = tokio::join!(acceptor.accept(far, None), connector.connect("example.org".try_into().unwrap(), near));
        assert!(client.is_err() && (server.is_err() || binds), "the old session was taken up");
    }
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
