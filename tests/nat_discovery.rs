//! Promise: where the operator gives two addresses, clients can measure their NAT by RFC 5780; elsewhere they are told that they cannot.

use std::net::{SocketAddr, UdpSocket};

use crate::support::PATIENCE;
use crate::support::peers;
use crate::support::server::Server;

/// A server with two addresses and two ports.
fn server() -> (Server, [SocketAddr; 2]) {
    let free_port = || UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let (first, second) = (free_port(), free_port());
    let server = Server::with(&format!("turn.nat_discovery = [\"127.0.0.1:{first}\", \"127.0.0.2:{second}\"]"));
    (server, [SocketAddr::from(([127, 0, 0, 1], first)), SocketAddr::from(([127, 0, 0, 2], second))])
}

/// A Binding request with these flags of CHANGE-REQUEST (RFC 5780 §7.2).
fn binding(flags: u8) -> Vec<u8> {
    [&[0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42][..], &[flags; 12], &[0, 3, 0, 4, 0, 0, 0, flags]].concat()
}

fn ask(server: SocketAddr, flags: u8) -> (SocketAddr, Vec<u8>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&binding(flags), server).unwrap();
    let mut answer = vec![0; 1_500];
    let (length, from) = socket.recv_from(&mut answer).unwrap();
    answer.truncate(length);
    assert_eq!(answer[8..20], [flags; 12], "the transaction");
    (from, answer)
}

#[test]
fn s6_1_answers_come_from_the_address_and_port_that_the_client_wants() {
    let (_server, [first, second]) = server();
    let at = |ip: SocketAddr, port: SocketAddr| SocketAddr::new(ip.ip(), port.port());
    for (flags, expected) in [(0, first), (4, at(second, first)), (2, at(first, second)), (6, second)] {
        let (from, answer) = ask(first, flags);
        assert_eq!((from, &answer[..2]), (expected, &[1, 1][..]), "flags {flags}");
    }
}

#[test]
fn s6_with_one_address_it_is_refused_with_420() {
    let server = Server::start();
    let (from, answer) = ask(server.address("turn_udp"), 6);
    assert_eq!((from, &answer[..2]), (server.address("turn_udp"), &[1, 0x11][..]));
    assert!(answer.windows(4).any(|bytes| bytes == [0, 0, 4, 20]), "{answer:?}");
}

#[test]
#[ignore = "turnutils_natdiscovery: run tests/run"]
fn turnutils_natdiscovery_finds_that_there_is_no_nat_in_the_way() {
    let (_server, [first, _]) = server();
    let port = first.port().to_string();
    for more in [&[][..], &["-P"]] {
        let said = peers::coturn("turnutils_natdiscovery", &[more, &["-m", "-f", "-p", &port, "127.0.0.1"]].concat());
        assert!(said.contains("Endpoint Independent Mapping") && said.contains("Endpoint Independent Filtering"), "{said}");
    }
}
