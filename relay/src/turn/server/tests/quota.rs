//! What an account may use, and what its session's end takes from it.

use std::time::Duration;

use campanile_ice::stun::Method;

use super::bench::{ACCOUNT, Ask, Bench, session};
use crate::quality::report::Direction;
use crate::settings::{Limits, Settings};
use crate::stats::DropReason;
use crate::turn::registry::CallId;

#[test]
fn credentials_and_allocations_end_with_their_session() {
    let mut bench = Bench::new();
    let (one, other) = (session(1), session(2));
    let of_one = bench.client_of_session(ACCOUNT, &one, "198.51.100.9:1");
    let also_of_one = bench.client_of_session(ACCOUNT, &one, "198.51.100.9:2");
    let of_other = bench.client_of_session(ACCOUNT, &other, "198.51.100.9:3");
    for client in [&of_one, &also_of_one, &of_other] {
        bench.allocate(client);
    }
    assert!(bench.auth.sessions.end(one.tag));
    bench.server.handle_session_end(one.tag, bench.now.at);
    bench.work();
    assert_eq!(bench.closed.len(), 2);
    assert_eq!(bench.ask(&of_one, Ask::new(Method::REFRESH)).code(), Some(401));
    assert_eq!(bench.ask(&of_one, Ask::allocate()).code(), Some(401));
    assert_eq!(bench.ask(&of_other, Ask::new(Method::REFRESH)).code(), None);
    bench.server.handle_session_end(other.tag, bench.now.at);
    bench.work();
    assert!(bench.server.is_idle());
}

#[test]
fn while_its_session_lives_an_allocation_is_refreshed_beyond_the_life_of_its_credentials() {
    let mut bench = Bench::with(Settings { credentials: Duration::from_secs(60), ..Settings::default() }, Limits::default());
    let mut client = bench.client_of_session(ACCOUNT, &session(1), "198.51.100.9:1");
    bench.allocate(&client);
    for _ in 0..10 {
        bench.pass(500);
        client.nonce = bench.auth.nonce(client.client.remote.into(), bench.now.time);
        assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH)).code(), None);
        assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
    }
    let mut anew = client.clone();
    anew.client.remote.port = 2;
    assert_eq!(bench.ask(&anew, Ask::allocate()).code(), Some(401), "but nothing new is made with them");
    bench.server.handle_session_end(session(1).tag, bench.now.at);
    bench.work();
    assert!(bench.server.is_idle());
}

#[test]
fn permissions_and_channels_of_one_account_are_bounded_over_its_allocations() {
    let limits = Limits { permissions_per_account: 3, channels_per_account: 2, ..Limits::default() };
    let mut bench = Bench::with(Settings::default(), limits);
    let (one, other) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of(ACCOUNT, "198.51.100.9:2"));
    let stranger = bench.client_of("romeo@example.org", "198.51.100.9:3");
    for client in [&one, &other, &stranger] {
        bench.allocate(client);
    }
    assert_eq!(bench.permit(&one, "8.8.8.1:1"), None);
    assert_eq!(bench.bind(&one, 0x4000, "8.8.8.1:1"), None, "the permission is there");
    assert_eq!(bench.bind(&other, 0x4000, "8.8.8.2:1"), None);
    assert_eq!(bench.bind(&other, 0x4001, "8.8.8.2:2"), Some(508), "no channel left");
    assert_eq!(bench.permit(&other, "8.8.8.3:1"), None);
    assert_eq!(bench.permit(&one, "8.8.8.4:1"), Some(508), "no permission left");
    assert_eq!(bench.permit(&other, "8.8.8.3:1"), None, "one that is there can be refreshed");
    assert_eq!(bench.bind(&other, 0x4000, "8.8.8.2:1"), None);
    assert_eq!(bench.bind(&stranger, 0x4000, "8.8.8.4:1"), None);
    // They come back when they end, with time and with their allocation.
    bench.pass(301);
    assert_eq!(bench.permit(&one, "8.8.8.4:1"), None);
    assert_eq!(bench.permit(&one, "8.8.8.5:1"), Some(508), "those of channels last");
    assert_eq!(bench.ask(&other, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert_eq!(bench.permit(&one, "8.8.8.5:1"), None);
    assert_eq!(bench.bind(&one, 0x4001, "8.8.8.5:1"), None);
    for client in [&one, &stranger] {
        assert_eq!(bench.ask(client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    }
    bench.pass(2);
    assert!(bench.server.is_idle() && bench.registry.shares.is_empty());
}

/// How many packets of 1,000 bytes pass at once.
fn passed(bench: &mut Bench, allocation: u32, direction: Direction) -> usize {
    (0..1_000).filter(|_| bench.server.observe(allocation, direction, &[0; 1_000], bench.now.at)).count()
}

#[test]
fn bytes_per_second_are_shared_by_the_allocations_of_an_account() {
    let mut bench = Bench::with(Settings::default(), Limits { bytes_per_second: 100_000, ..Limits::default() });
    let (one, other) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of(ACCOUNT, "198.51.100.9:2"));
    bench.allocate(&one);
    bench.allocate(&other);
    assert_eq!(passed(&mut bench, 0, Direction::ToPeer) + passed(&mut bench, 1, Direction::ToClient), 100);
    bench.pass(1);
    assert_eq!(passed(&mut bench, 1, Direction::ToPeer), 100);
    assert_eq!(bench.server.stats.drops[DropReason::OverQuota as usize], 2_800);
    assert_eq!(
        (bench.server.stats.to_peer.packets + bench.server.stats.to_client.packets),
        200,
        "what is dropped is not counted as relayed"
    );
}

#[test]
fn behind_the_fence_little_passes_before_a_call_is_accepted() {
    let limits = Limits { bytes_per_second: 500_000, early_bytes_per_second: 70_000, ..Limits::default() };
    let mut bench = Bench::with(Settings { fence: true, ..Settings::default() }, limits);
    let client = bench.client_of_session(ACCOUNT, &session(1), "198.51.100.9:1");
    let relayed = bench.allocate(&client);
    assert_eq!(passed(&mut bench, 0, Direction::ToPeer), 70);
    let call = CallId(1);
    let key = bench.registry.link(ACCOUNT, relayed, call).unwrap();
    bench.server.handle_accepted(key, call);
    bench.pass(1);
    assert_eq!(passed(&mut bench, 0, Direction::ToPeer), 70, "not the call of this allocation");
    bench.server.handle_link(key, call);
    bench.pass(1);
    assert_eq!(passed(&mut bench, 0, Direction::ToPeer), 70, "not accepted");
    bench.server.handle_accepted(key, call);
    assert_eq!(passed(&mut bench, 0, Direction::ToPeer), 500);
    bench.server.handle_unlink(key, call, bench.now.at);
    bench.pass(1);
    assert_eq!(passed(&mut bench, 0, Direction::ToPeer), 70, "in the seconds after the call");
    // Names of other programs, whose calls nobody sees.
    let other = bench.client_of("romeo@example.org", "198.51.100.9:2");
    bench.allocate(&other);
    assert_eq!(passed(&mut bench, 1, Direction::ToPeer), 500);
    // Without a fence calls do not count.
    let mut open =
        Bench::with(Settings::default(), Limits { bytes_per_second: 500_000, early_bytes_per_second: 70_000, ..Limits::default() });
    let client = open.client_of_session(ACCOUNT, &session(1), "198.51.100.9:1");
    open.allocate(&client);
    assert_eq!(passed(&mut open, 0, Direction::ToPeer), 500);
}
