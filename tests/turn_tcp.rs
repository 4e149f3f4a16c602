//! Promise: where UDP is blocked, the relay is reached over TCP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::PATIENCE;
use crate::support::server::Server;
use crate::support::turn;
use crate::support::wire::Wire;
use crate::turn_udp::lost_between_allocations;

#[test]
#[ignore = "turnutils_uclient: run tests/run"]
fn turnutils_uclient_loses_nothing() {
    let server = Server::start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let service = turn::relay(&mut alice, "turn", "tcp");
    for flags in [&["-t"][..], &["-t", "-s"], &["-t", "-M"]] {
        assert_eq!(lost_between_allocations(&service, flags), 0.0, "{flags:?}");
    }
}

/// RFC 6062: both ends are TCP allocations of this server.
#[test]
#[ignore = "turnutils_uclient: run tests/run"]
fn turnutils_uclient_loses_nothing_over_tcp_allocations() {
    let server = Server::start();
    let mut alice = Wire::bound(&server, "alice", "home");
    let service = turn::relay(&mut alice, "turn", "tcp");
    assert_eq!(lost_between_allocations(&service, &["-T"]), 0.0);
}

/// RFC 8489 §6.2.2: requests back to back and in pieces; a stream that is no STUN ends.
#[test]
fn s6_2_2_framing() {
    let server = Server::start();
    let binding = |number: u8| [[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42].as_slice(), &[number; 12]].concat();
    let mut tcp = TcpStream::connect(server.address("turn_tcp")).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(&[binding(1), binding(2)].concat()).unwrap();
    for piece in binding(3).chunks(3) {
        tcp.write_all(piece).unwrap();
        tcp.flush().unwrap();
    }
    for number in 1..=3 {
        let mut head = [0; 20];
        tcp.read_exact(&mut head).expect("an answer");
        assert_eq!((&head[..2], &head[8..]), (&[1, 1][..], &[number; 12][..]));
        let mut attributes = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        tcp.read_exact(&mut attributes).unwrap();
    }
    let mut tcp = TcpStream::connect(server.address("turn_tcp")).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    // closing with a reset is as good as closing
    let _ = tcp.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
}
