//! RFC 8656 §9 to §12: permissions and channels.

use std::net::SocketAddr;

use campanile_ice::stun::turn::Channel;
use campanile_ice::stun::{AttributeType, Method};

use super::bench::{Ask, Bench};
use crate::settings::{Limits, Settings};
use crate::turn::server::DeliveryHeader;

#[test]
fn s9_a_permission_lasts_five_minutes() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    assert!(bench.send(&client, "8.8.8.8:5").is_none());
    assert_eq!(bench.permit(&client, "8.8.8.8:0"), None);
    for _ in 0..2 {
        let route = bench.send(&client, "8.8.8.8:5").unwrap();
        assert_eq!(SocketAddr::from(route.to), "8.8.8.8:5".parse().unwrap());
        assert_eq!(bench.hear_peer(1, "8.8.8.8:99"), Some(DeliveryHeader::Data("8.8.8.8:99".parse::<SocketAddr>().unwrap().into())));
        assert_eq!(bench.hear_peer(1, "8.8.8.9:99"), None);
        bench.pass(299);
    }
    bench.pass(1);
    assert!(bench.send(&client, "8.8.8.8:5").is_none() && bench.hear_peer(1, "8.8.8.8:99").is_none());
    assert!(bench.server.flows.is_empty());
    assert_eq!(bench.permit(&client, "8.8.8.8:0"), None);
    assert!(bench.send(&client, "8.8.8.8:5").is_some());
}

#[test]
fn s9_is_refreshed_by_create_permission_alone() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    assert_eq!(bench.permit(&client, "8.8.8.8:5"), None);
    bench.pass(200);
    assert!(bench.send(&client, "8.8.8.8:5").is_some(), "a Send does not refresh");
    assert_eq!(bench.permit(&client, "8.8.4.4:5"), None);
    bench.pass(100);
    assert!(bench.send(&client, "8.8.8.8:5").is_none() && bench.send(&client, "8.8.4.4:5").is_some());
}

#[test]
fn s10_2_all_addresses_or_none() {
    let mut bench = Bench::with(Settings::default(), Limits { permissions: 2, ..Limits::default() });
    let client = bench.client();
    bench.allocate(&client);
    let ask = |peers: &[&str]| peers.iter().fold(Ask::new(Method::CREATE_PERMISSION), |ask, peer| ask.peer(peer));
    assert_eq!(bench.ask(&client, ask(&[])).code(), Some(400));
    assert_eq!(bench.ask(&client, ask(&["8.8.8.8:1"]).with(AttributeType::XOR_PEER_ADDRESS, &[0, 9, 0, 0])).code(), Some(400));
    assert_eq!(bench.ask(&client, ask(&["8.8.8.8:1", "[2600::1]:1"])).code(), Some(443));
    assert_eq!(bench.ask(&client, ask(&["8.8.8.8:1", "10.0.0.1:1"])).code(), Some(403));
    assert_eq!(bench.ask(&client, ask(&["8.8.8.1:1", "8.8.8.2:1", "8.8.8.3:1"])).code(), Some(508));
    assert!(bench.server.flows.is_empty());
    assert_eq!(bench.ask(&client, ask(&["8.8.8.1:1", "8.8.8.1:2", "8.8.8.2:1"])).code(), None);
    assert_eq!(bench.ask(&client, ask(&["8.8.8.1:1", "8.8.8.2:1"])).code(), None);
}

#[test]
fn s10_2_too_many_peers_are_refused_before_any_is_judged() {
    let mut bench = Bench::with(Settings::default(), Limits { permissions: 4, ..Limits::default() });
    let client = bench.client();
    bench.allocate(&client);
    // A forbidden one would be 403 once judged, one of the other family 443.
    let request = |peers: usize, first: &str| {
        (1..peers).fold(Ask::new(Method::CREATE_PERMISSION).peer(first), |ask, number| {
            ask.peer(&format!("8.8.{}.{}:1", number / 250, number % 250))
        })
    };
    for first in ["127.0.0.1:1", "[2600::1]:1", "9.9.9.9:1"] {
        for peers in [5, 5_000] {
            assert_eq!(bench.ask(&client, request(peers, first)).code(), Some(508), "{peers} {first}");
        }
    }
    assert_eq!(bench.ask(&client, request(4, "127.0.0.1:1")).code(), Some(403));
    assert_eq!(bench.ask(&client, request(4, "[2600::1]:1")).code(), Some(443));
    assert_eq!(bench.send(&client, "8.8.0.1:1"), None);
    assert_eq!(bench.ask(&client, request(4, "9.9.9.9:1")).code(), None);
    assert!(bench.send(&client, "8.8.0.3:1").is_some());
    // Many ports of one address are one permission.
    let ports = (1..5_000).fold(Ask::new(Method::CREATE_PERMISSION), |ask, port| ask.peer(&format!("9.9.9.9:{port}")));
    assert_eq!(bench.ask(&client, ports).code(), None);
    // Full: those that are there may be refreshed, others not.
    assert_eq!(bench.ask(&client, request(4, "9.9.9.9:1")).code(), None);
    assert_eq!(bench.permit(&client, "9.9.9.10:1"), Some(508));
}

#[test]
fn peers_that_are_no_part_of_the_internet_are_refused_by_both_requests() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.ask(&client, Ask::allocate().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    let peers = ["127.0.0.1:53", "10.0.0.1:80", "169.254.169.254:80", "192.0.2.1:3478", "0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1"];
    for peer in peers.into_iter().chain(["[::1]:1", "[::]:1", "[fd00::1]:1", "[64:ff9b::7f00:1]:1", "[2002:7f00:1::]:1"]) {
        assert_eq!(bench.permit(&client, peer), Some(403), "{peer}");
        assert_eq!(bench.bind(&client, 0x4000, peer), Some(403), "{peer}");
    }
    // xor_address would unmap it: the attribute is written by hand.
    let mapped = Ask::new(Method::CREATE_PERMISSION);
    let mut value = vec![0, 2, 0x21, 0x12];
    let spelled = "::ffff:8.8.8.8".parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mask = [&campanile_ice::stun::MAGIC_COOKIE.to_be_bytes()[..], &mapped.transaction[..]].concat();
    value.extend(spelled.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
    assert_eq!(bench.ask(&client, mapped.with(AttributeType::XOR_PEER_ADDRESS, &value)).code(), Some(403));
}

#[test]
fn s12_2_channel_bind() {
    let mut bench = Bench::with(Settings::default(), Limits { channels: 2, ..Limits::default() });
    let client = bench.client();
    bench.allocate(&client);
    let bind = |channel, peer: &str| Ask::new(Method::CHANNEL_BIND).channel(channel).peer(peer);
    let table = [
        (Ask::new(Method::CHANNEL_BIND).peer("8.8.8.8:1"), Some(400)),
        (Ask::new(Method::CHANNEL_BIND).channel(0x4000), Some(400)),
        (bind(0x3FFF, "8.8.8.8:1"), Some(400)),
        (bind(0x8000, "8.8.8.8:1"), Some(400)),
        (bind(0x4000, "8.8.8.8:0"), Some(400)),
        (bind(0x4000, "[2600::1]:1"), Some(443)),
        (bind(0x4000, "8.8.8.8:1"), None),
        (bind(0x4000, "8.8.8.8:1"), None),
        (bind(0x4000, "8.8.8.8:2"), Some(400)),
        (bind(0x4001, "8.8.8.8:1"), Some(400)),
        (bind(0x4FFF, "8.8.8.8:2"), None),
        (bind(0x4002, "8.8.8.8:3"), Some(508)),
    ];
    for (number, (request, code)) in table.into_iter().enumerate() {
        assert_eq!(bench.ask(&client, request).code(), code, "row {number}");
    }
}

#[test]
fn s12_6_and_s12_7_channel_data_both_ways() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    assert_eq!(bench.send_on(&client, 0x4000), None);
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), None);
    let channel = Channel::new(0x4000).unwrap();
    assert_eq!(bench.send_on(&client, 0x4000).as_deref(), Some("8.8.8.8:1"));
    assert_eq!(bench.hear_peer(1, "8.8.8.8:1"), Some(DeliveryHeader::Channel(channel)));
    // §12: the channel is for one port, the permission that came with it for all.
    assert!(matches!(bench.hear_peer(1, "8.8.8.8:2"), Some(DeliveryHeader::Data(_))));
    assert_eq!(bench.hear_peer(2, "8.8.8.8:1"), None);
    let mut stranger = client.clone();
    stranger.client.remote.port += 1;
    assert_eq!(bench.send_on(&stranger, 0x4000), None);
    for bytes in [&[0x40, 0, 0, 3, 1, 2][..], &[0x40, 0, 0], &[0x40, 1, 0, 0], &[0x50, 0, 0, 0]] {
        assert_eq!(bench.server.handle_channel_data(client.client, bytes, bench.now.at), None);
    }
}

#[test]
fn s12_a_channel_and_the_permission_that_comes_with_it_last_ten_minutes() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), None);
    bench.pass(500);
    assert!(bench.send_on(&client, 0x4000).is_some(), "a client that only binds channels refreshes them after 500 seconds");
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
    bench.ask(&client, Ask::new(Method::REFRESH));
    bench.pass(99);
    assert!(bench.send_on(&client, 0x4000).is_some());
    bench.pass(1);
    assert_eq!(bench.send_on(&client, 0x4000), None, "the channel has ended");
    assert!(matches!(bench.hear_peer(1, "8.8.8.8:1"), Some(DeliveryHeader::Data(_))), "the permission was made longer");
}

#[test]
fn s12_for_five_minutes_after_its_end_a_channel_can_be_bound_as_before_alone() {
    let mut bench = Bench::with(Settings::default(), Limits { channels: 2, ..Limits::default() });
    let client = bench.client();
    bench.ask(&client, Ask::allocate().lifetime(3_600));
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), None);
    assert_eq!(bench.bind(&client, 0x4001, "8.8.8.8:2"), None);
    bench.pass(600);
    for _ in 0..2 {
        assert_eq!(bench.send_on(&client, 0x4000), None);
        assert_eq!(bench.bind(&client, 0x4001, "8.8.8.8:1"), Some(400));
        assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:2"), Some(400));
        assert_eq!(bench.bind(&client, 0x4002, "8.8.8.8:1"), Some(400));
        assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:3"), Some(400));
        assert_eq!(bench.bind(&client, 0x4002, "8.8.8.8:3"), Some(508), "it keeps its place");
        bench.pass(149);
    }
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), None, "revived");
    assert_eq!(bench.send_on(&client, 0x4000).as_deref(), Some("8.8.8.8:1"));
    bench.pass(2);
    // The other one's quarantine is over: both halves are free.
    assert_eq!(bench.bind(&client, 0x4001, "8.8.8.8:3"), None);
    assert_eq!(bench.send_on(&client, 0x4001).as_deref(), Some("8.8.8.8:3"));
    bench.pass(900);
    assert_eq!(bench.bind(&client, 0x4002, "8.8.8.8:1"), None);
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:2"), None);
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert!(bench.server.is_idle());
}

#[test]
fn no_address_that_leads_to_this_machine_is_a_peer_like_others() {
    let public = ["8.8.4.7", "8.8.4.8"].map(|ip| ip.parse().unwrap()).into();
    let mut bench = Bench::with(Settings { public_addresses: public, ..Settings::default() }, Limits::default());
    let client = bench.client();
    bench.allocate(&client);
    for (peer, is_relayed) in [("8.8.4.7:22", false), ("8.8.4.8:22", false), ("8.8.4.9:22", true)] {
        bench.permit(&client, peer);
        assert_eq!(bench.send(&client, peer).is_some(), is_relayed, "{peer}");
    }
}
