//! RFC 8656 §11: relay to relay.

use std::net::SocketAddr;

use campanile_ice::stun::Method;

use super::bench::{ACCOUNT, Ask, Bench};
use crate::settings::{Limits, Settings};
use crate::stats::DropReason;
use crate::turn::server::DeliveryHeader;

#[test]
fn a_live_relayed_address_of_ours_is_reachable_and_nothing_else_on_its_host() {
    let mut bench = Bench::new();
    let (juliet, romeo) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of("romeo@example.org", "198.51.100.8:1"));
    let (a, b) = (bench.allocate(&juliet).to_string(), bench.allocate(&romeo).to_string());
    assert_eq!(bench.permit(&juliet, &b), None);
    assert_eq!(bench.permit(&romeo, &a), None);
    assert_eq!(SocketAddr::from(bench.send(&juliet, &b).unwrap().to).to_string(), b);
    assert!(bench.hear_peer(2, &a).is_some());
    // The permission is for the address, but each packet's port is looked at.
    for port in [53, 3478, 50_000] {
        let service = format!("192.0.2.1:{port}");
        if service != a && service != b {
            assert!(bench.send(&juliet, &service).is_none(), "{service}");
            assert!(bench.hear_peer(1, &service).is_none(), "{service}");
            assert_eq!(bench.bind(&juliet, 0x4000, &service), Some(403));
        }
    }
    assert_eq!(bench.server.stats.drops[DropReason::OwnAddress as usize], 6);
    // A channel ends to pass when the relayed address is gone, and passes to the next one that has the port.
    assert_eq!(bench.bind(&juliet, 0x4000, &b), None);
    assert_eq!(bench.send_on(&juliet, 0x4000).as_ref(), Some(&b));
    assert_eq!(bench.ask(&romeo, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert_eq!(bench.send_on(&juliet, 0x4000), None);
    assert_eq!(bench.permit(&juliet, &b), None, "a permission that is there may be refreshed");
    bench.ask(&juliet, Ask::new(Method::REFRESH).lifetime(3600));
    bench.pass(601);
    assert_eq!(bench.permit(&juliet, &b), Some(403));
}

#[test]
fn behind_nat_the_advertised_address_is_mapped_both_ways() {
    let settings = Settings { public_addresses: vec!["203.0.113.7".parse().unwrap()], ..Settings::default() };
    let mut bench = Bench::with(settings, Limits::default());
    let (juliet, romeo) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of("romeo@example.org", "198.51.100.8:1"));
    let (a, b) = (bench.allocate(&juliet), bench.allocate(&romeo));
    assert_eq!((a.ip().to_string(), b.ip().to_string()), ("203.0.113.7".into(), "203.0.113.7".into()));
    let bound = |port| format!("192.0.2.1:{port}");
    // Advertised form: sent to the bound one, received from the bound one, shown as the advertised one.
    assert_eq!(bench.bind(&juliet, 0x4000, &b.to_string()), None);
    assert_eq!(bench.permit(&romeo, &a.to_string()), None);
    assert_eq!(bench.send_on(&juliet, 0x4000), Some(bound(b.port())));
    assert_eq!(bench.hear_peer(2, &bound(a.port())), Some(DeliveryHeader::Data(a.into())));
    assert!(matches!(bench.hear_peer(1, &bound(b.port())), Some(DeliveryHeader::Channel(_))));
    // Bound form: as it is.
    assert_eq!(bench.permit(&juliet, &bound(b.port())), None);
    assert_eq!(bench.send(&juliet, &bound(b.port())).map(|route| SocketAddr::from(route.to).to_string()), Some(bound(b.port())));
    // Nothing else on either address.
    for address in ["192.0.2.1:53", "203.0.113.7:53", "203.0.113.7:3478"] {
        assert!(bench.send(&juliet, address).is_none(), "{address}");
        assert!(bench.hear_peer(2, address).is_none(), "{address}");
        assert_eq!(bench.bind(&juliet, 0x4001, address), Some(403));
    }
}

#[test]
fn own_addresses_that_the_operator_opens_are_reachable() {
    let settings = Settings { allow_peers: vec!["192.0.2.0/24".parse().unwrap()], ..Settings::default() };
    let mut bench = Bench::with(settings, Limits::default());
    let client = bench.client();
    bench.allocate(&client);
    assert_eq!(bench.permit(&client, "192.0.2.1:53"), None);
    assert!(bench.send(&client, "192.0.2.1:53").is_some() && bench.hear_peer(1, "192.0.2.1:53").is_some());
}
