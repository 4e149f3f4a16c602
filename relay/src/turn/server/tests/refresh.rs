//! RFC 8656 §5, §6 and §8: using and refreshing.

use std::time::Duration;

use campanile_ice::stun::{AttributeType, Method};

use super::bench::{ACCOUNT, Ask, Bench, TestClient};
use crate::settings::{Limits, Settings};

#[test]
fn s5_without_an_allocation_437_and_with_another_name_441() {
    let mut bench = Bench::new();
    let client = bench.client();
    let requests = || {
        [
            Ask::new(Method::REFRESH),
            Ask::new(Method::CREATE_PERMISSION).peer("8.8.8.8:1"),
            Ask::new(Method::CHANNEL_BIND).channel(0x4000).peer("8.8.8.8:1"),
        ]
    };
    for request in requests() {
        assert_eq!(bench.ask(&client, request).code(), Some(437));
    }
    bench.allocate(&client);
    let other = bench.client_of("romeo@example.org", "198.51.100.9:40000");
    let same_account = TestClient { ..bench.client_of(ACCOUNT, "198.51.100.9:40000") };
    for request in requests() {
        assert_eq!(bench.ask(&other, request.clone()).code(), Some(441));
        assert_eq!(bench.ask(&same_account, request).code(), None);
    }
}

#[test]
fn s8_2_refresh() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    let mut check = |request: Ask, code, lifetime| {
        let answer = bench.ask(&client, request);
        assert_eq!((answer.code(), answer.lifetime()), (code, lifetime));
    };
    check(Ask::new(Method::REFRESH), None, Some(600));
    check(Ask::new(Method::REFRESH).lifetime(1), None, Some(600));
    check(Ask::new(Method::REFRESH).lifetime(100_000), None, Some(3_600));
    check(Ask::new(Method::REFRESH).with(AttributeType::LIFETIME, &[0; 3]), Some(400), None);
    check(Ask::new(Method::REFRESH).with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]), Some(443), None);
    check(Ask::new(Method::REFRESH).lifetime(0), None, Some(0));
    check(Ask::new(Method::REFRESH).lifetime(0), Some(437), None);
    assert!(bench.server.is_idle());
    assert_eq!((bench.closed.len(), bench.registry.ports.usage().0), (1, 0));
}

#[test]
fn s6_allocations_end_unless_refreshed() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    bench.pass(599);
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH)).code(), None);
    bench.pass(599);
    assert!(bench.closed.is_empty());
    bench.pass(1);
    assert_eq!(bench.closed.len(), 1);
    assert!(bench.server.is_idle() && bench.server.poll_timeout().is_none());
    assert_eq!(bench.server.stats.allocations.udp, 0);
}

#[test]
fn a_running_allocation_outlives_its_credentials_by_name_and_by_hash() {
    let mut bench = Bench::with(Settings { credentials: Duration::from_secs(60), ..Settings::default() }, Limits::default());
    let client = bench.client();
    bench.allocate(&client);
    bench.pass(300);
    // The next name that is issued makes the server forget the hashes of those that have expired.
    bench.client_of("romeo@example.org", "198.51.100.8:1");
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH)).code(), None);
    assert_eq!(bench.ask(&TestClient { is_anonymous: true, ..client.clone() }, Ask::new(Method::REFRESH)).code(), None);
    let mut second = client.clone();
    second.client.remote.port += 1;
    assert_eq!(bench.ask(&second, Ask::allocate()).code(), Some(401));
}
