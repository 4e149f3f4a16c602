//! Promise: behind a TCP proxy that speaks the PROXY protocol, each client is known by its own address: to limits, logs and STUN.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use campanile_relay::proxy_protocol;

use crate::mux::BINDING;
use crate::support::server::Server;
use crate::support::wire::Wire;
use crate::support::{PATIENCE, tls, turn, within_patience};

const EVERYWHERE: &str = "server.mux = [\"127.0.0.1:0\"]
server.proxy_protocol = [\"127.0.0.0/8\"]
c2s.proxy_protocol = [\"127.0.0.0/8\"]
http.proxy_protocol = [\"127.0.0.0/8\"]
turn.proxy_protocol = [\"127.0.0.0/8\"]";

/// A client of the documentation's network, and the address that it connected to.
const CLIENT: &str = "192.0.2.7:40000";
const FRONT: &str = "203.0.113.1:443";

fn header() -> Vec<u8> {
    // with a TLV (PP2_TYPE_NOOP) at the end
    proxy_protocol::write(CLIENT.parse().unwrap(), FRONT.parse().unwrap(), &[0x04, 0, 1, 0])
}

fn dial(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut tcp = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(header).unwrap();
    tcp
}

/// XOR-MAPPED-ADDRESS (RFC 8489 §14.2) of the answer to a Binding request.
fn mapped(stream: &mut (impl std::io::Read + std::io::Write)) -> SocketAddr {
    stream.write_all(&BINDING).unwrap();
    let mut head = [0; 20];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head[..2], [1, 1]);
    let mut attributes = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
    stream.read_exact(&mut attributes).unwrap();
    let at = attributes.windows(4).position(|part| part == [0, 0x20, 0, 8]).expect("an IPv4 address") + 4;
    let value = &attributes[at..at + 8];
    let port = u16::from_be_bytes([value[2], value[3]]) ^ 0x2112;
    ([value[4] ^ 0x21, value[5] ^ 0x12, value[6] ^ 0xa4, value[7] ^ 0x42], port).into()
}

#[test]
fn the_clients_address_is_the_one_that_counts() {
    let server = Server::with(EVERYWHERE);
    let client: SocketAddr = CLIENT.parse().unwrap();
    // STUN tells it over TCP, TLS and the port for everything
    assert_eq!(mapped(&mut dial(server.address("turn_tcp"), &header())), client);
    for service in ["turn_tls", "mux"] {
        let mut stream = tls::connect(dial(server.address(service), &header()), &["stun.turn"]).expect("TLS");
        assert_eq!(mapped(&mut stream), client, "{service}");
    }
    let line = format!("PROXY TCP4 192.0.2.7 203.0.113.1 {} 443\r\n", client.port());
    assert_eq!(mapped(&mut dial(server.address("turn_tcp"), line.as_bytes())), client);
    // the log names it, on each way in
    for service in ["direct_tls", "mux", "c2s"] {
        let mut wire = Wire::inside(tls::connect(dial(server.address(service), &header()), &["xmpp-client"]).expect("TLS"));
        wire.header();
        wire.log_in("alice");
        wire.bind(service);
    }
    let said = server.logs("logged in");
    assert!(said.contains(CLIENT), "{said}");
    let mut stream = dial(server.address("http"), &header());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let mut stream = tls::connect(dial(server.address("https"), &header()), &["http/1.1"]).expect("TLS");
    stream.write_all(b"GET /.well-known/host-meta HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    let _ = stream.read_to_string(&mut page);
    // the port that the client connected to is the proxy's
    assert!(page.contains("wss://localhost/xmpp-websocket"), "{page}");
}

/// XEP-0215 §3.1 names what stands before the server, not where the server listens behind it.
#[test]
fn clients_are_told_the_ports_of_the_proxy() {
    let ports = "server.mux_public_port = 443\nturn.tcp_public_port = 13478\nturn.tls_public_port = 15349\nturn.udp_public_port = 23478";
    let told = |more: &str| {
        let server = Server::with(&format!("server.mux = [\"127.0.0.1:0\"]\n{more}"));
        let mut alice = Wire::bound(&server, "alice", "home");
        let told = turn::services(&mut alice, "").into_iter();
        let told: Vec<_> = told.map(|service| format!("{}:{}/{}", service.kind, service.port, service.transport)).collect();
        (told, server.address("turn_udp").port())
    };
    let (all, _) = told(ports);
    assert_eq!(all, ["turn:23478/udp", "stun:23478/udp", "turn:13478/tcp", "turns:443/tcp", "turns:15349/tcp"]);
    // what is on loopback, with nothing before it, is not told beside what can be reached
    assert_eq!(told("server.mux_public_port = 443").0, ["turns:443/tcp"]);
    let (all, udp) = told("turn.udp = [\"[::]:0\"]");
    assert_eq!(all, [format!("turn:{udp}/udp"), format!("stun:{udp}/udp")]);
}

/// §2.2: what begins with anything else is dropped, and LOCAL is the proxy itself.
#[test]
fn without_a_header_nobody_is_served() {
    let server = Server::with(EVERYWHERE);
    for service in ["c2s", "direct_tls", "http", "https", "turn_tcp", "turn_tls", "mux"] {
        for start in [&b"<?xml version='1.0'?>"[..], b"GET / HTTP/1.1\r\n\r\n", &BINDING, b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c"] {
            let mut tcp = dial(server.address(service), start);
            let mut rest = Vec::new();
            // a reset is as good as an end
            let _ = tcp.read_to_end(&mut rest);
            assert_eq!(rest, b"", "{service} {start:?}");
        }
    }
    let mut tcp = dial(server.address("turn_tcp"), &proxy_protocol::LOCAL);
    let own = tcp.local_addr().unwrap();
    assert_eq!(mapped(&mut tcp), own);
}

#[test]
fn each_client_behind_the_proxy_has_limits_of_its_own() {
    let server = Server::with(&format!("{EVERYWHERE}\nlimits.connections_per_source = 1"));
    let header = |client: &str| proxy_protocol::write(client.parse().unwrap(), FRONT.parse().unwrap(), &[]);
    for (service, one, another) in [("mux", "198.51.100.1:1", "198.51.100.2:1"), ("turn_tls", "198.51.100.3:1", "198.51.100.4:1")] {
        let open = |client: &str| tls::connect(dial(server.address(service), &header(client)), &["stun.turn"]);
        let mut first = open(one).expect("the first");
        assert_eq!(mapped(&mut first), one.parse().unwrap());
        assert!(open(one).is_err(), "a second of the same client");
        let mut other = open(another).expect("of another");
        assert_eq!(mapped(&mut other), another.parse().unwrap());
    }
}

/// A proxy that is not in the list is a client like any other, and its header is noise.
#[test]
fn a_header_from_anybody_else_is_noise() {
    let server = Server::with("turn.proxy_protocol = [\"192.0.2.0/24\"]");
    let mut tcp = dial(server.address("turn_tcp"), &header());
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest);
    assert_eq!(rest, b"");
    let mut tcp = dial(server.address("turn_tcp"), b"");
    let own = tcp.local_addr().unwrap();
    assert_eq!(mapped(&mut tcp), own);
}

#[test]
#[ignore = "curl: run tests/run"]
fn curl_speaks_version_1() {
    let server = Server::with(EVERYWHERE);
    let ca = tls::ca_file(server.folder());
    for service in ["mux", "https"] {
        let url = format!("https://localhost:{}/", server.address(service).port());
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--haproxy-protocol", "--cacert", ca.to_str().expect("a plain path"), &url]);
        let output = curl.output().unwrap();
        let page = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && page.contains("<html"), "{page} {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// HAProxy before a listener. It ends with the test, however that ends.
struct HaProxy {
    process: Child,
    front: SocketAddr,
}

impl HaProxy {
    /// Where clients find the server behind it, whose listener must be `back`.
    fn start(folder: &Path, front: SocketAddr, back: SocketAddr) -> Self {
        let config = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             frontend all\n  bind {front}\n  default_backend campanile\n\
             backend campanile\n  server campanile {back} send-proxy-v2\n"
        );
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let process = Command::new("haproxy").args(["-db", "-f"]).arg(&file).spawn().expect("haproxy is installed");
        let haproxy = Self { process, front };
        haproxy.dial();
        haproxy
    }

    fn dial(&self) -> TcpStream {
        let tcp = within_patience(|| TcpStream::connect(self.front));
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// HAProxy in front of the port for everything, as in the README: clients are told where it listens, and find the relay there.
#[test]
#[ignore = "haproxy: run tests/run"]
fn haproxy_passes_clients_on() {
    let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::with(&format!("{EVERYWHERE}\nserver.mux_public_port = {}", front.port()));
    let haproxy = HaProxy::start(server.folder(), front, server.address("mux"));
    let mut wire = Wire::inside(tls::connect(haproxy.dial(), &["xmpp-client"]).expect("TLS"));
    wire.header();
    wire.log_in("alice");
    wire.bind("home");
    let told = turn::services(&mut wire, "type='turns'");
    let told = told.iter().find(|service| service.port == front.port()).unwrap_or_else(|| panic!("the front in {told:?}"));
    let tcp = within_patience(|| TcpStream::connect((told.host.as_str(), told.port)));
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let own = tcp.local_addr().unwrap();
    assert_eq!(mapped(&mut tls::connect(tcp, &["stun.turn"]).expect("TLS")), own);
}
