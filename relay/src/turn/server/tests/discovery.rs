//! RFC 5780 §6: Binding where two addresses and two ports are served.

use std::net::SocketAddr;

use campanile_ice::stun::discovery::ChangeRequest;
use campanile_ice::stun::{AttributeType, Method};

use super::bench::{Answer, Ask, Bench};
use crate::datapath::flow::{Client, Via};
use crate::turn::server::discovery::{Discovery, Place};

const PLACES: [[&str; 2]; 2] = [["192.0.2.1:3478", "192.0.2.1:3479"], ["192.0.2.2:3478", "192.0.2.2:3479"]];
const REMOTE: &str = "198.51.100.9:40000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The first port has a socket for both addresses, the second one for each.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let numbers = [[0, 1], [0, 2]];
    let place = |ip: usize, port: usize| Place { number: numbers[ip][port], local: address(PLACES[ip][port]).into() };
    bench.server.set_discovery(Some(Discovery([[place(0, 0), place(0, 1)], [place(1, 0), place(1, 1)]])));
    bench
}

/// A client that asks at one of the four places.
fn client(ip: usize, port: usize) -> Client {
    let via = Via::Udp([[0, 1], [0, 2]][ip][port]);
    Client { via, remote: address(REMOTE).into(), local: address(PLACES[ip][port]).into() }
}

fn ask(bench: &mut Bench, client: Client, request: &Ask) -> (Client, Answer) {
    bench.sent.clear();
    bench.server.handle_message(client, &request.writer().finish(), bench.now);
    bench.work();
    assert_eq!(bench.sent.len(), 1);
    let (to, message) = bench.sent.remove(0);
    (to, Answer(message))
}

fn change(ip: bool, port: bool) -> Ask {
    Ask::new(Method::BINDING).with(AttributeType::CHANGE_REQUEST, &ChangeRequest { ip, port }.value())
}

#[test]
fn rfc5780_s6_1_table_1_where_the_response_comes_from() {
    let mut bench = bench();
    for (ip, port) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for (change_ip, change_port) in [(false, false), (true, false), (false, true), (true, true)] {
            let (to, answer) = ask(&mut bench, client(ip, port), &change(change_ip, change_port));
            let from = client(ip ^ usize::from(change_ip), port ^ usize::from(change_port));
            assert_eq!((answer.code(), to), (None, from));
            let message = answer.message();
            let read = |kind| message.get_address(kind).unwrap();
            assert_eq!(read(AttributeType::RESPONSE_ORIGIN), Some(from.local.into()));
            assert_eq!(read(AttributeType::OTHER_ADDRESS), Some(address(PLACES[1 - ip][1 - port])));
            assert_eq!(read(AttributeType::MAPPED_ADDRESS), Some(address(REMOTE)));
            assert_eq!(answer.address(AttributeType::XOR_MAPPED_ADDRESS), Some(address(REMOTE)));
            assert!(message.has_fingerprint());
        }
    }
}

#[test]
fn rfc5780_s6_1_without_any_of_its_attributes_the_response_tells_the_other_address() {
    let (to, answer) = ask(&mut bench(), client(1, 0), &Ask::new(Method::BINDING));
    assert_eq!(to, client(1, 0));
    assert_eq!(answer.message().get_address(AttributeType::OTHER_ADDRESS), Ok(Some(address(PLACES[0][1]))));
}

#[test]
fn rfc5780_s7_5_and_s7_6_response_port_and_padding() {
    use AttributeType as A;
    let mut bench = bench();
    let port = |port: u16| Ask::new(Method::BINDING).with(A::RESPONSE_PORT, &[port.to_be_bytes(), [0, 0]].concat());
    let (to, answer) = ask(&mut bench, client(0, 0), &port(5_000));
    assert_eq!((SocketAddr::from(to.remote), to.local), (address("198.51.100.9:5000"), client(0, 0).local));
    assert_eq!(answer.address(A::XOR_MAPPED_ADDRESS), Some(address(REMOTE)), "the source is told, not the port that was asked for");
    for (padding, expected) in [(0, 0), (4, 4), (1_500, 1_500), (9_000, 1_500)] {
        let request = Ask::new(Method::BINDING).with(A::PADDING, &vec![7; padding]);
        let request_bytes = request.writer().finish().len();
        let (_, answer) = ask(&mut bench, client(0, 0), &request);
        assert_eq!(answer.message().get(A::PADDING).map(<[u8]>::len), Some(expected));
        assert!(padding < 1_500 || answer.0.len() < request_bytes + 100, "it is no amplifier");
    }
    let refused = [
        port(5_000).with(A::PADDING, &[0; 4]),
        port(0),
        Ask::new(Method::BINDING).with(A::RESPONSE_PORT, &[1, 2]),
        Ask::new(Method::BINDING).with(A::CHANGE_REQUEST, &[]),
    ];
    for request in refused {
        let (to, answer) = ask(&mut bench, client(0, 0), &request);
        assert_eq!((to, answer.code()), (client(0, 0), Some(400)));
    }
}

#[test]
fn rfc5780_s6_where_it_is_not_served_its_attributes_are_unknown() {
    use AttributeType as A;
    let requests = [
        (Ask::new(Method::BINDING).with(A::CHANGE_REQUEST, &[0; 4]), [0x00, 0x03]),
        (Ask::new(Method::BINDING).with(A::PADDING, &[0; 4]), [0x00, 0x26]),
        (Ask::new(Method::BINDING).with(A::RESPONSE_PORT, &[0; 4]), [0x00, 0x27]),
    ];
    let check = |bench: &mut Bench, client: Client| {
        for (request, kind) in &requests {
            let (_, answer) = ask(bench, client, request);
            assert_eq!((answer.code(), answer.message().get(A::UNKNOWN_ATTRIBUTES)), (Some(420), Some(kind.as_slice())));
        }
        let (_, answer) = ask(bench, client, &Ask::new(Method::BINDING));
        assert_eq!(answer.code(), None);
        assert!([A::OTHER_ADDRESS, A::RESPONSE_ORIGIN, A::MAPPED_ADDRESS].iter().all(|kind| answer.message().get(*kind).is_none()));
    };
    check(&mut Bench::new(), client(0, 0));
    // At another address of the host, and over TCP.
    check(&mut bench(), Client { local: address("192.0.2.3:3478").into(), ..client(0, 0) });
    check(&mut bench(), Client { via: Via::Tcp(1), ..client(0, 0) });
    // In requests of TURN they are unknown everywhere.
    let mut bench = bench();
    let turn = bench.client();
    assert_eq!(bench.ask(&turn, Ask::allocate().with(A::CHANGE_REQUEST, &[0; 4])).code(), Some(420));
}

#[test]
fn rfc5780_answers_are_bounded_as_others_are() {
    let mut bench = bench();
    let mut count = 0;
    for _ in 0..5_000 {
        bench.server.handle_message(client(0, 0), &change(true, true).writer().finish(), bench.now);
        bench.work();
        count += bench.sent.drain(..).count();
    }
    assert_eq!(count, 2_000);
}
