//! RFC 8656 §7: Allocate.

use std::net::{IpAddr, SocketAddr};

use campanile_ice::stun::turn::Family;
use campanile_ice::stun::{AttributeType, ErrorCode, Method};

use super::bench::{ACCOUNT, Answer, Ask, Bench, TestClient};
use crate::settings::{Limits, Settings};
use crate::stats::PerFamily;
use crate::turn::ports::PortKind;
use crate::turn::registry::Hosts;

#[test]
fn s7_2_allocate() {
    let mut bench = Bench::new();
    let client = bench.client();
    let answer = bench.ask(&client, Ask::allocate());
    assert_eq!(answer.code(), None);
    let relayed = answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap();
    assert_eq!(relayed.ip(), "192.0.2.1".parse::<IpAddr>().unwrap());
    assert!((50_000..51_000).contains(&relayed.port()));
    assert_eq!(answer.address(AttributeType::XOR_MAPPED_ADDRESS), Some("198.51.100.9:40000".parse().unwrap()));
    assert_eq!((answer.lifetime(), bench.server.stats.allocations.udp), (Some(600), 1));
}

#[test]
fn s7_2_a_retransmission_gets_the_same_answer_and_another_transaction_437() {
    let mut bench = Bench::new();
    let client = bench.client();
    let request = Ask::allocate();
    let first = bench.ask(&client, request.clone());
    bench.pass(2);
    let second = bench.ask(&client, request.clone());
    let relayed = |answer: &Answer| answer.address(AttributeType::XOR_RELAYED_ADDRESS);
    assert_eq!(relayed(&first), relayed(&second));
    assert_eq!((second.code(), second.lifetime()), (None, Some(598)));
    assert_eq!(bench.server.allocations.len(), 1);
    assert_eq!(bench.ask(&client, Ask::allocate()).code(), Some(437));
    let other = TestClient { client: client.client, ..bench.client_of("romeo@example.org", "198.51.100.9:40000") };
    assert_eq!(bench.ask(&other, request).code(), Some(437), "another's transaction id is no retransmission");
}

#[test]
fn s7_2_requests_that_are_refused() {
    use AttributeType as A;
    let transport = |value: &[u8]| Ask::new(Method::ALLOCATE).with(A::REQUESTED_TRANSPORT, value);
    let family = |kind, code| Ask::allocate().with(kind, &[code, 0, 0, 0]);
    let table = [
        (Ask::new(Method::ALLOCATE), 400),
        (transport(&[17]), 400),
        (transport(&[6, 0, 0, 0]), 400),
        (transport(&[99, 0, 0, 0]), 442),
        (Ask::allocate().with(A::LIFETIME, &[1]), 400),
        (Ask::allocate().with(A::EVEN_PORT, &[]), 400),
        (Ask::allocate().with(A::RESERVATION_TOKEN, &[0; 8]), 508),
        (Ask::allocate().with(A::RESERVATION_TOKEN, &[0; 7]), 400),
        (Ask::allocate().with(A::RESERVATION_TOKEN, &[0; 8]).with(A::EVEN_PORT, &[0]), 400),
        (family(A::REQUESTED_ADDRESS_FAMILY, 1).with(A::RESERVATION_TOKEN, &[0; 8]), 400),
        (family(A::ADDITIONAL_ADDRESS_FAMILY, 2).with(A::RESERVATION_TOKEN, &[0; 8]), 400),
        (family(A::REQUESTED_ADDRESS_FAMILY, 3), 440),
        (family(A::REQUESTED_ADDRESS_FAMILY, 1).with(A::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]), 400),
        (family(A::ADDITIONAL_ADDRESS_FAMILY, 1), 400),
        (family(A::ADDITIONAL_ADDRESS_FAMILY, 9), 400),
        (family(A::ADDITIONAL_ADDRESS_FAMILY, 2).with(A::EVEN_PORT, &[0x80]), 400),
    ];
    let mut bench = Bench::new();
    let client = bench.client();
    for (number, (request, code)) in table.into_iter().enumerate() {
        assert_eq!(bench.ask(&client, request).code(), Some(code), "row {number}");
    }
    assert!(bench.server.is_idle());
    assert_eq!(bench.registry.ports.usage().0, 0);
}

#[test]
fn s7_2_families() {
    let mut bench = Bench::new();
    let with = |family| Ask::allocate().with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
    let mut check = |remote: &str, request, expected: &str| {
        let client = bench.client_of(ACCOUNT, remote);
        let relayed = bench.ask(&client, request).address(AttributeType::XOR_RELAYED_ADDRESS).unwrap();
        assert_eq!(relayed.ip().to_string(), expected, "{remote}");
    };
    check("198.51.100.9:1", with(1), "192.0.2.1");
    check("198.51.100.9:2", with(2), "2001:db8::1");
    check("[2001:db8:9::9]:3", with(2), "2001:db8::1");
    check("[2001:db8:9::9]:4", Ask::allocate(), "192.0.2.1");
}

#[test]
fn s7_2_a_host_without_the_family_answers_440() {
    let mut bench = Bench::new();
    bench.registry.set_hosts(Hosts::new(["192.0.2.1".parse().unwrap()]));
    let client = bench.client();
    let request = |kind| Ask::allocate().with(kind, &[2, 0, 0, 0]);
    assert_eq!(bench.ask(&client, request(AttributeType::REQUESTED_ADDRESS_FAMILY)).code(), Some(440));
    // Half of a dual allocation can be had: the other half's error comes along.
    let answer = bench.ask(&client, request(AttributeType::ADDITIONAL_ADDRESS_FAMILY));
    assert_eq!(answer.code(), None);
    let error = answer.message().get(AttributeType::ADDRESS_ERROR_CODE).unwrap().to_vec();
    assert_eq!(error[..4], [2, 0, 4, 40]);
}

#[test]
fn s7_2_dual_allocations() {
    let mut bench = Bench::new();
    let client = bench.client();
    let answer = bench.ask(&client, Ask::allocate().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    let message = answer.message();
    let relayed: Vec<String> = message
        .attributes()
        .filter(|(kind, _)| *kind == AttributeType::XOR_RELAYED_ADDRESS)
        .map(|(_, value)| message.read_xor_address(value).unwrap().ip().to_string())
        .collect();
    assert_eq!(relayed, ["192.0.2.1", "2001:db8::1"]);
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
    assert_eq!(bench.permit(&client, "[2600::1]:1"), None);
    let (v4, v6) = (bench.send(&client, "8.8.8.8:1").unwrap(), bench.send(&client, "[2600::1]:1").unwrap());
    assert_ne!(v4.socket, v6.socket);
    // §8.1: one family is ended without touching the other.
    let end = Ask::new(Method::REFRESH).lifetime(0).with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    assert_eq!(bench.ask(&client, end.clone()).code(), None);
    assert_eq!(bench.closed, [v6.socket]);
    assert_eq!(bench.server.stats.relayed, PerFamily { ipv4: 1, ipv6: 0 });
    assert!(bench.send(&client, "[2600::1]:1").is_none() && bench.send(&client, "8.8.8.8:1").is_some());
    assert_eq!(bench.ask(&client, Ask { transaction: [4; 12], ..end }).code(), Some(443));
    assert_eq!(bench.permit(&client, "[2600::1]:1"), Some(443));
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert!(bench.server.is_idle());
}

#[test]
fn s7_2_even_ports_and_reservations() {
    let mut bench = Bench::new();
    let rtp = bench.client_of(ACCOUNT, "198.51.100.9:1");
    let answer = bench.ask(&rtp, Ask::allocate().with(AttributeType::EVEN_PORT, &[0x80]));
    let first = answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap();
    assert_eq!(first.port() % 2, 0);
    let token = answer.message().reservation_token().unwrap().unwrap();
    let rtcp = bench.client_of(ACCOUNT, "198.51.100.9:2");
    let second = bench.ask(&rtcp, Ask::allocate().with(AttributeType::RESERVATION_TOKEN, &token));
    assert_eq!(second.address(AttributeType::XOR_RELAYED_ADDRESS), Some(SocketAddr::new(first.ip(), first.port() + 1)));
    let again = bench.client_of(ACCOUNT, "198.51.100.9:3");
    assert_eq!(bench.ask(&again, Ask::allocate().with(AttributeType::RESERVATION_TOKEN, &token)).code(), Some(508));
}

#[test]
fn s7_2_even_port_with_every_family_and_reservation() {
    use AttributeType as A;
    // EVEN-PORT's R bit, the family attribute; the error, else which families are relayed and whether a port is reserved.
    type Case = (Option<u8>, Option<(A, u8)>, Result<(&'static [Family], bool), u16>);
    let (v4, v6, both) = (&[Family::V4][..], &[Family::V6][..], &[Family::V4, Family::V6][..]);
    let (requested, additional) = (A::REQUESTED_ADDRESS_FAMILY, A::ADDITIONAL_ADDRESS_FAMILY);
    let table: &[Case] = &[
        (None, None, Ok((v4, false))),
        (None, Some((requested, 1)), Ok((v4, false))),
        (None, Some((requested, 2)), Ok((v6, false))),
        (None, Some((additional, 2)), Ok((both, false))),
        (Some(0), None, Ok((v4, false))),
        (Some(0), Some((requested, 1)), Ok((v4, false))),
        (Some(0), Some((requested, 2)), Ok((v6, false))),
        (Some(0), Some((additional, 2)), Ok((both, false))),
        (Some(0x7F), None, Ok((v4, false))),
        (Some(0x80), None, Ok((v4, true))),
        (Some(0xFF), None, Ok((v4, true))),
        (Some(0x80), Some((requested, 1)), Ok((v4, true))),
        (Some(0x80), Some((requested, 2)), Ok((v6, true))),
        (Some(0x80), Some((additional, 2)), Err(400)),
        (Some(0x80), Some((additional, 1)), Err(400)),
        (Some(0x80), Some((requested, 7)), Err(440)),
    ];
    let mut bench = Bench::new();
    let (rtp, rtcp) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of(ACCOUNT, "198.51.100.9:2"));
    for (number, (even_port, family, expected)) in table.iter().enumerate() {
        let ask = even_port.iter().fold(Ask::allocate(), |ask, value| ask.with(A::EVEN_PORT, &[*value]));
        let ask = family.iter().fold(ask, |ask, (kind, code)| ask.with(*kind, &[*code, 0, 0, 0]));
        let answer = bench.ask(&rtp, ask);
        let Ok((families, is_reserved)) = expected else {
            assert_eq!(answer.code(), expected.err(), "row {number}");
            continue;
        };
        assert_eq!(answer.code(), None, "row {number}");
        let message = answer.message();
        let relayed: Vec<SocketAddr> = message
            .attributes()
            .filter(|(kind, _)| *kind == A::XOR_RELAYED_ADDRESS)
            .map(|(_, value)| message.read_xor_address(value).unwrap())
            .collect();
        assert_eq!(relayed.iter().map(|address| Family::of(*address)).collect::<Vec<_>>(), *families, "row {number}");
        assert!(even_port.is_none() || relayed.iter().all(|address| address.port() % 2 == 0), "row {number}");
        let token = message.reservation_token().unwrap();
        assert_eq!(token.is_some(), *is_reserved, "row {number}");
        // The reservation is of the same family, at the next port.
        if let Some(token) = token {
            let second = bench.ask(&rtcp, Ask::allocate().with(A::RESERVATION_TOKEN, &token));
            let next = SocketAddr::new(relayed[0].ip(), relayed[0].port() + 1);
            assert_eq!(second.address(A::XOR_RELAYED_ADDRESS), Some(next), "row {number}");
            assert_eq!(second.message().reservation_token(), Ok(None));
            assert_eq!(bench.ask(&rtcp, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
        }
        assert_eq!(bench.ask(&rtp, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    }
    assert!(bench.server.is_idle());
    assert_eq!(bench.registry.ports.usage().0, 0);
}

#[test]
fn s7_2_reserved_ports_count_in_the_quotas() {
    let mut bench = Bench::with(Settings::default(), Limits { allocations_per_account: 2, ..Limits::default() });
    let pair = || Ask::allocate().with(AttributeType::EVEN_PORT, &[0x80]);
    let redeem = |token: [u8; 8]| Ask::allocate().with(AttributeType::RESERVATION_TOKEN, &token);
    let end = || Ask::new(Method::REFRESH).lifetime(0);
    let clients: Vec<TestClient> = (1..5).map(|port| bench.client_of(ACCOUNT, &format!("198.51.100.9:{port}"))).collect();
    let [rtp, rtcp, third, fourth] = clients.as_slice() else { panic!() };

    // Made and freed in a loop, nothing stays behind.
    for _ in 0..5 {
        let answer = bench.ask(rtp, pair());
        assert_eq!(bench.registry.ports.usage().0, 2);
        assert_eq!(bench.ask(rtcp, Ask::allocate()).code(), Some(486));
        assert_eq!(bench.ask(rtp, end()).code(), None);
        assert_eq!(bench.registry.ports.usage().0, 0);
        let token = answer.message().reservation_token().unwrap().unwrap();
        assert_eq!(bench.ask(rtcp, redeem(token)).code(), Some(508));
    }
    // Two places are needed at once.
    bench.allocate(third);
    assert_eq!(bench.ask(rtp, pair()).code(), Some(486));
    assert_eq!(bench.ask(third, end()).code(), None);

    // The place is handed over, and only to the account.
    let answer = bench.ask(rtp, pair());
    let token = answer.message().reservation_token().unwrap().unwrap();
    let romeo = bench.client_of("romeo@example.org", "198.51.100.9:9");
    assert_eq!(bench.ask(&romeo, redeem(token)).code(), Some(508));
    assert_eq!(bench.ask(rtcp, redeem(token)).code(), None);
    assert_eq!(bench.ask(third, Ask::allocate()).code(), Some(486));
    assert_eq!(bench.ask(rtp, end()).code(), None);
    assert_eq!(bench.registry.ports.usage().0, 1, "what was redeemed stays");
    bench.allocate(third);
    for client in [rtcp, third] {
        assert_eq!(bench.ask(client, end()).code(), None);
    }

    // After 30 s it is over.
    bench.ask(rtp, pair());
    bench.pass(29);
    assert_eq!(bench.ask(fourth, Ask::allocate()).code(), Some(486));
    bench.pass(1);
    assert_eq!(bench.registry.ports.usage().0, 1);
    bench.allocate(fourth);
    for client in [rtp, fourth] {
        assert_eq!(bench.ask(client, end()).code(), None);
    }
    assert!(bench.server.is_idle());
    assert_eq!(bench.registry.ports.usage().0, 0);
}

#[test]
fn s7_2_quotas() {
    let mut bench = Bench::with(Settings::default(), Limits { allocations: 3, allocations_per_account: 2, ..Limits::default() });
    let client = |bench: &Bench, account: &str, port| bench.client_of(account, &format!("198.51.100.9:{port}"));
    for port in [1, 2] {
        let client = client(&bench, ACCOUNT, port);
        bench.allocate(&client);
    }
    let third = client(&bench, ACCOUNT, 3);
    assert_eq!(bench.ask(&third, Ask::allocate()).code(), Some(486));
    let romeo = client(&bench, "romeo@example.org", 4);
    bench.allocate(&romeo);
    let nurse = client(&bench, "nurse@example.org", 5);
    assert_eq!(bench.ask(&nurse, Ask::allocate()).code(), Some(508));
    assert_eq!(bench.ask(&romeo, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    bench.allocate(&nurse);
}

#[test]
fn s7_2_a_kernel_that_refuses_is_500_and_half_a_pair_of_families_names_508() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.refusal = Some(ErrorCode::SERVER_ERROR);
    assert_eq!(bench.ask(&client, Ask::allocate()).code(), Some(500));
    assert_eq!(bench.ask(&client, Ask::allocate().with(AttributeType::EVEN_PORT, &[0x80])).code(), Some(500));
    assert!(bench.server.is_idle());
    bench.refusal = None;
    let taken: Vec<u16> = std::iter::from_fn(|| bench.registry.ports.take(Family::V6, PortKind::Any, || 0)).collect();
    let answer = bench.ask(&client, Ask::allocate().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert_eq!(answer.code(), None);
    assert_eq!(answer.message().get(AttributeType::ADDRESS_ERROR_CODE).unwrap()[..4], [2, 0, 5, 8]);
    assert_eq!(answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().ip().to_string(), "192.0.2.1");
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    for port in taken {
        bench.registry.ports.release(Family::V6, port);
    }
    assert!(bench.server.is_idle() && bench.registry.ports.usage().0 == 0);
}

#[test]
fn s7_2_no_port_left_is_508_and_recovers() {
    let mut bench = Bench::new();
    let mut taken: Vec<u16> = std::iter::from_fn(|| bench.registry.ports.take(Family::V4, PortKind::Any, || 0)).collect();
    let client = bench.client();
    assert_eq!(bench.ask(&client, Ask::allocate()).code(), Some(508));
    assert!(bench.server.is_idle());
    bench.registry.ports.release(Family::V4, taken.pop().unwrap());
    bench.allocate(&client);
}

/// `campanile drain`: what there is lives on, nothing is added, and who asks is told to try elsewhere or later.
#[test]
fn s7_2_a_server_that_drains_takes_no_allocation_and_refreshes_those_it_has() {
    let mut bench = Bench::new();
    let (first, second, third) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of(ACCOUNT, "198.51.100.9:2"), bench.client());
    let answer = bench.ask(&first, Ask::allocate().with(AttributeType::EVEN_PORT, &[0x80]));
    let token = answer.message().reservation_token().unwrap().unwrap();
    bench.registry.drain();
    assert_eq!(bench.ask(&third, Ask::allocate()).code(), Some(508));
    assert_eq!(bench.ask(&first, Ask::new(Method::REFRESH)).lifetime(), Some(600));
    assert_eq!(bench.permit(&first, "8.8.8.8:1"), None);
    // The second half of a pair was promised before.
    assert_eq!(bench.ask(&second, Ask::allocate().with(AttributeType::RESERVATION_TOKEN, &token)).code(), None);
    for client in [&first, &second] {
        assert_eq!(bench.ask(client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    }
    assert_eq!(bench.ask(&third, Ask::allocate()).code(), Some(508));
    assert!(bench.server.is_idle());
}
