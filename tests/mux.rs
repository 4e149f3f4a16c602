//! Promise: where only port 443 is let out, everything is there: XMPP, HTTPS with WebSocket, and TURN on one TLS port, told apart by ALPN, and
//! without it by what the client says first.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::support::folder::Folder;
use crate::support::peers;
use crate::support::scram::{Hash, Scram};
use crate::support::server::{CONFIG, PASSWORD, Server};
use crate::support::turn;
use crate::support::wire::Wire;
use crate::support::ws::{OPEN, Ws};
use crate::support::{PATIENCE, http, tls, within_patience};
use crate::turn_udp::lost_between_allocations;

/// RFC 8489 §5: a Binding request.
pub const BINDING: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];

fn start() -> Server {
    Server::with("server.mux = [\"127.0.0.1:0\"]")
}

fn dial(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}

/// What the server sends after this, up to so many bytes or its end.
fn answer(stream: &mut tls::Stream, said: &[u8], bytes: usize) -> Vec<u8> {
    stream.write_all(said).unwrap();
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while read.len() < bytes {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    read
}

#[test]
fn each_protocol_by_its_name_and_by_its_first_bytes() {
    let server = start();
    let mux = server.address("mux");
    let stream = b"<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
    let request = b"GET /.well-known/host-meta.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (protocol, names, said, start) in [
        // XEP-0368 §5, RFC 7301 §6, RFC 7443 §4
        ("xmpp", &["xmpp-client"][..], &stream[..], &b"<?xml"[..]),
        ("xmpp", &[], stream, b"<?xml"),
        ("http", &["http/1.1"], request, b"HTTP/1.1 200"),
        ("http", &["h2", "http/1.1"], request, b"HTTP/1.1 200"),
        ("http", &[], request, b"HTTP/1.1 200"),
        ("turn", &["stun.turn"], &BINDING, &[1, 1]),
        ("turn", &["stun.nat-discovery"], &BINDING, &[1, 1]),
        ("turn", &[], &BINDING, &[1, 1]),
    ] {
        let mut stream = tls::connect(dial(mux), names).unwrap_or_else(|error| panic!("{protocol} {names:?}: {error}"));
        let agreed = stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(agreed.as_deref(), names.last().copied(), "{protocol} {names:?}");
        let got = answer(&mut stream, said, start.len());
        assert!(got.starts_with(start), "{protocol} {names:?}: {:?}", String::from_utf8_lossy(&got));
        let metrics = http::get(server.address("admin"), "/metrics").body;
        assert!(http::metric(&metrics, "campanile_mux_connections_total", protocol) >= 1.0, "{metrics}");
    }
    // the answer to a Binding request names the client's address
    let mut stream = tls::connect(dial(mux), &["stun.turn"]).expect("TLS");
    let port = stream.sock.local_addr().unwrap().port();
    let got = answer(&mut stream, &BINDING, 32);
    let xored = port ^ 0x2112;
    assert!(got.windows(4).any(|part| part == [0, 1, (xored >> 8) as u8, xored as u8]), "{got:02x?}");
    // RFC 7301 §3.2: nothing here speaks these
    for names in [&["h2"][..], &["xmpp-server"], &["smtp"]] {
        let refused = tls::connect(dial(mux), names).err().unwrap_or_else(|| panic!("{names:?} is accepted"));
        assert!(refused.contains("NoApplicationProtocol") || refused.contains("reset"), "{names:?}: {refused}");
    }
}

#[test]
fn bytes_in_pieces_and_bytes_of_nobody() {
    let server = start();
    let mux = server.address("mux");
    let mut stream = tls::connect(dial(mux), &[]).expect("TLS");
    for byte in &BINDING[..19] {
        stream.write_all(&[*byte]).unwrap();
        stream.flush().unwrap();
    }
    assert!(answer(&mut stream, &BINDING[19..], 2).starts_with(&[1, 1]));
    for noise in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0x16; 20], &[0; 20], &[0x40, 0, 0, 4, 1, 2, 3, 4]]
    {
        let mut stream = tls::connect(dial(mux), &[]).expect("TLS");
        assert_eq!(answer(&mut stream, noise, 1), b"", "{noise:?}");
    }
    let metrics = || http::get(server.address("admin"), "/metrics").body;
    assert!(http::metric(&metrics(), "campanile_mux_connections_total", "unknown") >= 5.0, "{}", metrics());
    // who speaks no TLS is not answered in any protocol
    let mut tcp = dial(mux);
    tcp.write_all(&BINDING).unwrap();
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest);
    assert!(!rest.starts_with(&[1, 1]), "{rest:?}");
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let server = Server::with("server.mux = [\"127.0.0.1:0\"]\nlimits.handshake_s = 1");
    let mut stream = tls::connect(dial(server.address("mux")), &[]).expect("TLS");
    assert_eq!(answer(&mut stream, b"", 1), b"");
    let metrics = http::get(server.address("admin"), "/metrics").body;
    assert!((http::metric(&metrics, "campanile_mux_connections_total", "none") - 1.0).abs() < f64::EPSILON, "{metrics}");
    // what is closed is counted as such a moment later
    within_patience(|| {
        let metrics = http::get(server.address("admin"), "/metrics").body;
        if http::metric(&metrics, "campanile_connections", "\"mux\"").abs() < f64::EPSILON { Ok(()) } else { Err(metrics) }
    });
}

#[test]
fn a_source_has_so_many_connections_whatever_it_speaks() {
    let server = Server::with("server.mux = [\"127.0.0.1:0\"]\nlimits.connections_per_source = 2");
    let mux = server.address("mux");
    let open = |names: &[&str]| tls::connect(dial(mux), names);
    let mut relay = open(&["stun.turn"]).expect("the first");
    assert!(answer(&mut relay, &BINDING, 2).starts_with(&[1, 1]));
    let xmpp = open(&["xmpp-client"]).expect("the second");
    assert!(open(&["http/1.1"]).is_err(), "the third");
    drop((relay, xmpp));
    // a place comes back when the server has seen the end
    let mut again = within_patience(|| open(&["stun.turn"]));
    assert!(answer(&mut again, &BINDING, 2).starts_with(&[1, 1]));
}

/// RFC 9266: a log-in on this port is bound to its TLS as on one of its own.
#[test]
fn a_log_in_is_bound_to_the_connection() {
    let server = start();
    let mut wire = Wire::inside(tls::connect(dial(server.address("mux")), &["xmpp-client"]).expect("TLS"));
    let features = wire.header();
    assert!(features.contains("SCRAM-SHA-256-PLUS") && features.contains("tls-exporter"), "{features}");
    let scram = Scram::bound(Hash::Sha256, "alice", PASSWORD, "abc", "p=tls-exporter", tls::exporter(wire.tls()));
    wire.exchange("SCRAM-SHA-256-PLUS", scram).expect("bound");
    wire.header();
    wire.bind("home");
    // XEP-0215: the relay is told on this port too, behind UDP and TCP
    let all = turn::services(&mut wire, "");
    let port = server.address("mux").port();
    let told = all.iter().find(|service| service.port == port).expect("the port");
    assert_eq!((told.kind.as_str(), told.transport.as_str()), ("turns", "tcp"));
    assert!(told.username.is_some() && told.password.is_some());
    assert_eq!((all[0].kind.as_str(), all[0].transport.as_str()), ("turn", "udp"));
    assert!(all.iter().any(|service| service.kind == "turns" && service.port == server.address("turn_tls").port()));
}

/// XEP-0156: who asks on this port is sent to it; without another HTTPS port everybody is.
#[test]
fn websockets_are_told_and_served() {
    let server = Server::with("server.mux = [\"127.0.0.1:0\"]\nhttp.tls_listen = []");
    let mux = server.address("mux");
    let url = format!("wss://localhost:{}/xmpp-websocket", mux.port());
    assert!(http::get_tls(mux, "/.well-known/host-meta").body.contains(&url));
    let told = http::get(server.address("http"), "/.well-known/host-meta.json").body;
    assert!(told.contains(&format!(":{}/xmpp-websocket", mux.port())), "{told}");
    let (mut ws, _) = Ws::secure(mux, "localhost");
    ws.send(OPEN);
    ws.expect(&["<open "]);
    assert!(ws.expect(&["features"]).contains("PLAIN"), "it is a secure connection");
}

/// Certificates by name (RFC 6066 §3), as on every port.
#[test]
fn the_certificate_is_that_of_the_name() {
    let config = CONFIG.replace("[server]", "[server]\ndomains = [\"localhost\", \"example.org\"]\nmux = [\"127.0.0.1:0\"]")
        + "[tls.hosts.\"example.org\"]\ncertificate = \"other.pem\"\nkey = \"other.key\"\n";
    let folder = Folder::new();
    let other = tls::issued(&["example.org"]);
    for (name, content) in [
        ("campanile.toml", &config),
        ("cert.pem", &tls::leaf().certificate),
        ("key.pem", &tls::leaf().key),
        ("other.pem", &other.certificate),
        ("other.key", &other.key),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let server = Server::serve(folder, &[]);
    for (domain, names) in [("localhost", ["xmpp-client"]), ("example.org", ["stun.turn"]), ("example.org", ["http/1.1"])] {
        tls::connect_to(dial(server.address("mux")), domain, true, &names).unwrap_or_else(|error| panic!("{domain}: {error}"));
    }
}

#[test]
#[ignore = "slixmpp: run tests/run"]
fn slixmpp_logs_in() {
    let server = start();
    let port = server.address("mux").port();
    let events = peers::python(&server, "chat.py", serde_json::json!({ "direct_tls": true, "port": port }));
    assert!(events.all("online").all(|online| online["tls"].as_str().is_some()), "{:?}", events.get("online"));
}

#[test]
#[ignore = "turnutils_uclient: run tests/run"]
fn turnutils_uclient_gets_through() {
    let server = start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let port = server.address("mux").port();
    let service = turn::services(&mut alice, "type='turns'").into_iter().find(|service| service.port == port).expect("the port");
    let ca = tls::ca_file(server.folder());
    let lost = lost_between_allocations(&service, &["-t", "-S", "-E", ca.to_str().expect("a plain path")]);
    // As in turn_tls.rs: the tool itself leaves records in OpenSSL's buffer.
    assert!(lost < 40.0, "{lost} %");
}

/// OpenSSL agrees on each name, and curl gets a page, whatever it offers.
#[test]
#[ignore = "openssl, curl: run tests/run"]
fn openssl_and_curl_agree() {
    let server = start();
    let mux = server.address("mux").to_string();
    let ca = tls::ca_file(server.folder());
    let ca = ca.to_str().expect("a plain path");
    for name in ["xmpp-client", "stun.turn", "stun.nat-discovery", "http/1.1"] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &mux, "-servername", "localhost", "-CAfile", ca, "-verify_return_error", "-alpn", name]);
        let output = openssl.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("ALPN protocol: {name}")) && said.contains("Verify return code: 0"), "{name}: {said}");
    }
    let url = format!("https://localhost:{}/", server.address("mux").port());
    for flags in [&[][..], &["--no-alpn"], &["--http1.1"]] {
        let output = Command::new("curl").args(flags).args(["-sS", "--cacert", ca, &url]).output().unwrap();
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && page.contains("<html"), "{flags:?}: {page} {}", String::from_utf8_lossy(&output.stderr));
    }
}
