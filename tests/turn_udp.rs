//! Promise: the relay over UDP carries what clients with our credentials send, to peers that are allowed, and serves nobody else.

use std::net::UdpSocket;
use std::thread;

use crate::support::PATIENCE;
use crate::support::peers;
use crate::support::server::Server;
use crate::support::turn::{self, Service};
use crate::support::wire::Wire;
use serde_json::json;

/// Runs coturn's client between allocations of its own, through this relay; gives the per cent that it did not get back.
pub fn lost_between_allocations(service: &Service, flags: &[&str]) -> f64 {
    let port = service.port.to_string();
    let (user, password) = (service.username.as_deref().expect("a name"), service.password.as_deref().expect("a password"));
    let arguments = [flags, &["-y", "-u", user, "-w", password, "-p", &port, "-n", "50", "-m", "4", "-l", "160", "127.0.0.1"]].concat();
    let said = peers::uclient(&arguments);
    assert!(said.contains("tot_send_bytes ~ 32000"), "not all was sent: {said}");
    let lost = said.split("Total lost packets ").nth(1).and_then(|rest| rest.split(['(', '%']).nth(1)?.parse().ok());
    lost.unwrap_or_else(|| panic!("no total: {said}"))
}

/// An UDP service that sends back what it gets, for as long as the test runs.
pub fn echo() -> std::net::SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((size, from)) = socket.recv_from(&mut buffer) {
            // the sender may be gone; the next datagram is another's
            let _ = socket.send_to(&buffer[..size], from);
        }
    });
    address
}

/// XEP-0215 §3: what clients are told of, complete and with credentials for this account.
#[test]
fn s3_the_services_that_are_told() {
    let server = Server::start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let all = turn::services(&mut alice, "");
    let kinds: Vec<_> = all.iter().map(|service| (service.kind.as_str(), service.transport.as_str(), service.port)).collect();
    for (kind, transport, listener) in
        [("stun", "udp", "turn_udp"), ("turn", "udp", "turn_udp"), ("turn", "tcp", "turn_tcp"), ("turns", "tcp", "turn_tls")]
    {
        assert!(kinds.contains(&(kind, transport, server.address(listener).port())), "{kind} over {transport} is missing: {kinds:?}");
    }
    let relays: Vec<_> = all.iter().filter(|service| service.kind.starts_with("turn")).collect();
    // UDP first: some clients take the first of the list only
    assert_eq!((relays[0].kind.as_str(), relays[0].transport.as_str()), ("turn", "udp"));
    for relay in relays {
        assert!(relay.username.is_some() && relay.password.is_some(), "{}", relay.text);
        assert!(
            relay.text.contains("expires='") && (relay.text.contains("restricted='true'") || relay.text.contains("restricted='1'")),
            "{}",
            relay.text
        );
    }
    assert!(turn::services(&mut alice, "type='stun'").iter().all(|service| service.kind == "stun"));
    // the older namespace, which some clients still ask
    let old = alice.iq("old", "type='get' to='localhost'", "<services xmlns='urn:xmpp:extdisco:1'/>");
    assert!(old.contains("xmlns='urn:xmpp:extdisco:1'") && old.contains("type='turn'"), "{old}");
    let port = server.address("turn_udp").port();
    let ask = format!("<credentials xmlns='urn:xmpp:extdisco:2'><service host='{}' type='turn' port='{port}'/></credentials>", all[0].host);
    let answer = alice.iq("cred", "type='get' to='localhost'", &ask);
    assert!(answer.contains(" username='") && answer.contains(" password='"), "{answer}");
    // credentials are each account's own
    let mut bob = Wire::bound(&server, "bob", "home");
    let (mine, his) = (turn::relay(&mut alice, "turn", "udp"), turn::relay(&mut bob, "turn", "udp"));
    assert_ne!(mine.username, his.username);
}

#[test]
#[ignore = "turnutils_uclient: run tests/run"]
fn turnutils_uclient_loses_nothing() {
    let server = Server::start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let service = turn::relay(&mut alice, "turn", "udp");
    // channels, then Send and Data indications, then with a change of sockets in between (RFC 8016)
    for flags in [&[][..], &["-s"], &["-M"]] {
        assert_eq!(lost_between_allocations(&service, flags), 0.0, "{flags:?}");
    }
}

#[test]
#[ignore = "turnutils_uclient: run tests/run"]
fn a_peer_that_the_operator_allows_is_reached() {
    let server = Server::with("turn.allow_peers = [\"127.0.0.1/32\"]");
    let mut alice = Wire::bound(&server, "alice", "home");
    let service = turn::relay(&mut alice, "turn", "udp");
    let peer = echo().port().to_string();
    let (user, password) = (service.username.expect("a name"), service.password.expect("a password"));
    let port = service.port.to_string();
    let said = peers::uclient(&["-u", &user, "-w", &password, "-p", &port, "-e", "127.0.0.1", "-r", &peer, "-n", "50", "-c", "127.0.0.1"]);
    assert!(said.contains("Total lost packets 0 (0.000000%)"), "{said}");
}

/// aioice: wrong, altered, expired and foreign credentials; peers in every forbidden range and spelling; limits of messages.
#[test]
#[ignore = "aioice: run tests/run"]
fn aioice_is_refused_what_the_rules_refuse() {
    let server = Server::start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let service = turn::relay(&mut alice, "turn", "udp");
    let events = peers::python(
        &server,
        "turn.py",
        json!({ "turn": ["127.0.0.1", service.port], "username": service.username, "password": service.password, "echo": echo().to_string() }),
    );
    for event in ["allocated", "wrong credentials", "forbidden peers", "own address", "odd datagrams"] {
        events.get(event);
    }
}

/// Datagrams that are no STUN are not answered: the relay must not be made to shout at others.
#[test]
fn s5_noise_gets_no_answer() {
    let server = Server::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address("turn_udp")).unwrap();
    let binding = [[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42].as_slice(), &[7; 12]].concat();
    for noise in [
        &b""[..],
        b"x",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 20],
        &binding[..19],
        &[0x40, 0, 0xff, 0xff, 1],
        &[0x40, 0, 0, 4, 1, 2, 3, 4],
        &[[0, 1, 0, 8].as_slice(), &binding[4..]].concat(),
        &[[0, 1, 0, 3].as_slice(), &binding[4..], &[1, 2, 3]].concat(),
    ] {
        socket.send(noise).unwrap();
    }
    socket.send(&binding).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 1500];
    let size = socket.recv(&mut answer).expect("an answer to the binding request");
    // the first answer is the one to the right request: success, same transaction, our own address
    assert_eq!((&answer[..2], &answer[4..20]), (&[1, 1][..], &binding[4..]));
    assert!(size >= 32);
}
