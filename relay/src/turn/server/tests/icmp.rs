//! RFC 8656 §11.5: ICMP errors, and §11.2, §13 to §15: DONT-FRAGMENT.

use std::net::SocketAddr;

use campanile_ice::stun::turn::Icmp;
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};

use super::bench::{ACCOUNT, Ask, Bench, TestClient};
use crate::datapath::flow::{SocketId, Via};
use crate::settings::{Limits, Settings};
use crate::stats::DropReason;

const REFUSED: Icmp = Icmp { kind: 3, code: 3, error_data: 0 };

/// What the client is told of an error about a datagram to `peer`.
fn told(bench: &mut Bench, client: &TestClient, socket: u32, peer: &str, icmp: Icmp) -> Option<(SocketAddr, Icmp)> {
    bench.sent.clear();
    bench.server.handle_icmp(SocketId(socket), peer.parse::<SocketAddr>().unwrap().into(), icmp, bench.now.at);
    bench.work();
    let (to, bytes) = bench.sent.pop()?;
    assert!(bench.sent.is_empty() && to == client.client);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method(), message.has_integrity()), (Class::Indication, Method::DATA, false));
    assert_eq!(message.get(AttributeType::DATA), None);
    assert_eq!(message.get(AttributeType::ICMP).unwrap()[..2], [0, 0]);
    let peer = message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).unwrap().unwrap();
    Some((peer, message.icmp().unwrap().unwrap()))
}

#[test]
fn s11_5_errors_of_permitted_peers_alone_are_told() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    assert_eq!(told(&mut bench, &client, 1, "8.8.8.8:5", REFUSED), None);
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
    // By address: the port may be missing.
    for peer in ["8.8.8.8:5", "8.8.8.8:0"] {
        assert_eq!(told(&mut bench, &client, 1, peer, REFUSED), Some((peer.parse().unwrap(), REFUSED)));
    }
    assert_eq!(told(&mut bench, &client, 1, "8.8.8.9:5", REFUSED), None);
    assert_eq!(told(&mut bench, &client, 2, "8.8.8.8:5", REFUSED), None, "another allocation's socket");
    bench.pass(300);
    assert_eq!(told(&mut bench, &client, 1, "8.8.8.8:5", REFUSED), None, "the permission has ended");
    // §12.5: as an indication also where a channel is bound.
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:5"), None);
    assert!(told(&mut bench, &client, 1, "8.8.8.8:5", REFUSED).is_some());
    assert_eq!(bench.server.stats.drops[DropReason::PeerNoPermission as usize], 4);
}

#[test]
fn s11_5_types_and_s18_13_error_data() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.ask(&client, Ask::allocate().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert_eq!((bench.permit(&client, "8.8.8.8:1"), bench.permit(&client, "[2600::1]:1")), (None, None));
    let (v4, v6) = ((1, "8.8.8.8:5"), (2, "[2600::1]:5"));
    // Type, code, and the error data where it is told at all.
    type Case<'a> = ((u32, &'a str), u8, u8, Option<u32>);
    let table: &[Case<'_>] = &[
        (v4, 3, 0, Some(0)),
        (v4, 3, 1, Some(0)),
        (v4, 3, 4, Some(1_400)),
        (v4, 3, 13, Some(0)),
        (v4, 11, 0, Some(0)),
        (v4, 0, 0, None),
        (v4, 1, 0, None),
        (v4, 2, 0, None),
        (v4, 4, 0, None),
        (v4, 5, 0, None),
        (v4, 12, 0, None),
        (v6, 1, 4, Some(0)),
        (v6, 2, 0, Some(1_400)),
        (v6, 3, 1, Some(0)),
        (v6, 4, 0, None),
        (v6, 11, 0, None),
        (v6, 128, 0, None),
    ];
    for &((socket, peer), kind, code, error_data) in table {
        let heard = told(&mut bench, &client, socket, peer, Icmp { kind, code, error_data: 1_400 });
        let expected = error_data.map(|error_data| (peer.parse().unwrap(), Icmp { kind, code, error_data }));
        assert_eq!(heard, expected, "{peer} {kind} {code}");
    }
}

#[test]
fn s11_5_behind_nat_a_relay_is_named_by_its_advertised_address() {
    let settings = Settings { public_addresses: vec!["203.0.113.7".parse().unwrap()], ..Settings::default() };
    let mut bench = Bench::with(settings, Limits::default());
    let (juliet, romeo) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of("romeo@example.org", "198.51.100.8:1"));
    bench.allocate(&juliet);
    let b = bench.allocate(&romeo);
    assert_eq!(bench.permit(&juliet, &b.to_string()), None);
    let bound = format!("192.0.2.1:{}", b.port());
    assert_eq!(told(&mut bench, &juliet, 1, &bound, REFUSED), Some((b, REFUSED)));
}

#[test]
fn s11_2_and_s13_to_s15_dont_fragment() {
    let mut bench = Bench::new();
    let mut check = |remote: &str, via, peer: &str, expected| {
        let mut client = bench.client_of(ACCOUNT, remote);
        client.client.via = via;
        let ask = Ask::allocate().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
        assert_eq!(bench.ask(&client, ask.with(AttributeType::DONT_FRAGMENT, &[])).code(), None, "§7.2 step 4: it is supported");
        assert_eq!(bench.permit(&client, peer), None);
        let mut send = |is_asked| {
            let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([2; 12]));
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer.parse().unwrap());
            if is_asked {
                writer.attribute(AttributeType::DONT_FRAGMENT, &[]);
            }
            writer.attribute(AttributeType::DATA, b"payload");
            bench.server.handle_message(client.client, &writer.finish(), bench.now).unwrap().dont_fragment
        };
        assert_eq!((send(false), send(true)), (false, expected), "{remote} {via:?} {peer}");
    };
    let (v4, v6) = ("8.8.8.8:1", "[2600::1]:1");
    check("198.51.100.9:1", Via::Udp(0), v4, true);
    check("198.51.100.9:2", Via::Udp(0), v6, false);
    check("[2001:db8:9::9]:3", Via::Udp(0), v4, false);
    check("[2001:db8:9::9]:4", Via::Udp(0), v6, false);
    check("198.51.100.9:5", Via::Tcp(1), v4, true);
    check("[2001:db8:9::9]:6", Via::Tls(2), v6, true);
}
