//! Calls, accounts and connections, and what is left when they end.

use aws_lc_rs::hmac;
use campanile_ice::stun::Method;
use campanile_ice::stun::integrity::{Key, PasswordAlgorithm};

use super::bench::{ACCOUNT, Ask, Bench};
use crate::datapath::flow::{SocketId, Via};
use crate::quality::report::Direction;
use crate::settings::{Limits, Settings};
use crate::turn::registry::CallId;

#[test]
fn an_allocation_is_freed_some_seconds_after_its_last_call() {
    let mut bench = Bench::new();
    let client = bench.client();
    let relayed = bench.allocate(&client);
    let link = |bench: &mut Bench, call| {
        let key = bench.registry.link(ACCOUNT, relayed, CallId(call)).unwrap();
        bench.server.handle_link(key, CallId(call));
        key
    };
    let unlink = |bench: &mut Bench, call| {
        for key in bench.registry.end_call(CallId(call), bench.now.at) {
            bench.server.handle_unlink(key, CallId(call), bench.now.at);
        }
    };
    assert_eq!(bench.registry.link("romeo@example.org", relayed, CallId(9)), None);
    link(&mut bench, 1);
    link(&mut bench, 2);
    unlink(&mut bench, 1);
    bench.pass(60);
    unlink(&mut bench, 2);
    bench.pass(9);
    link(&mut bench, 3);
    bench.pass(60);
    assert!(bench.closed.is_empty());
    unlink(&mut bench, 3);
    bench.pass(10);
    assert_eq!(bench.closed.len(), 1);
    assert!(bench.server.is_idle());
}

#[test]
fn the_quality_of_a_call_survives_its_allocation() {
    let mut bench = Bench::new();
    let client = bench.client();
    let relayed = bench.allocate(&client);
    let key = bench.registry.link(ACCOUNT, relayed, CallId(1)).unwrap();
    bench.server.handle_link(key, CallId(1));
    assert!(bench.server.observe(key.index, Direction::ToPeer, &[0; 100], bench.now.at));
    assert_eq!(bench.server.publish_quality(0), None);
    assert_eq!(bench.registry.quality(CallId(1)).unwrap().relays[0].to_peer.packets, 1);
    assert!(bench.server.observe(key.index, Direction::ToPeer, &[0; 100], bench.now.at));
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    let quality = bench.registry.quality(CallId(1)).unwrap();
    assert_eq!((quality.relays[0].relayed, quality.relays[0].to_peer.bytes), (relayed, 200));
    assert_eq!(quality.relays[0].account.as_ref(), ACCOUNT);
}

#[test]
fn the_quality_of_many_calls_is_published_in_portions() {
    let mut bench = Bench::new();
    for number in 0..50u64 {
        let client = bench.client_of(ACCOUNT, &format!("198.51.100.9:{}", 1_000 + number));
        let relayed = bench.allocate(&client);
        let key = bench.registry.link(ACCOUNT, relayed, CallId(number)).unwrap();
        bench.server.handle_link(key, CallId(number));
    }
    let published = |bench: &Bench| (0..50).filter(|number| !bench.registry.quality(CallId(*number)).unwrap().relays.is_empty()).count();
    let next = bench.server.publish_quality(0);
    assert!(next.is_some() && (1..50).contains(&published(&bench)));
    assert_eq!(bench.server.publish_quality(next.unwrap()), None);
    assert_eq!(published(&bench), 50);
}

#[test]
fn revoking_an_account_frees_its_allocations_alone() {
    let mut bench = Bench::new();
    let (juliet, romeo) = (bench.client_of(ACCOUNT, "198.51.100.9:1"), bench.client_of("romeo@example.org", "198.51.100.8:1"));
    bench.allocate(&juliet);
    bench.allocate(&romeo);
    bench.auth.revoke(ACCOUNT, bench.now.time);
    bench.server.handle_revoke(ACCOUNT, bench.now.at);
    bench.work();
    assert_eq!(bench.closed, [SocketId(1)]);
    assert_eq!(bench.ask(&juliet, Ask::new(Method::REFRESH)).code(), Some(401));
    assert_eq!(bench.ask(&romeo, Ask::new(Method::REFRESH)).code(), None);
    bench.pass(1);
    let anew = bench.client_of(ACCOUNT, "198.51.100.9:1");
    bench.allocate(&anew);
}

#[test]
fn rest_names_are_accounts_of_their_own() {
    let settings = Settings { rest_secret: Some("shared".into()), ..Settings::default() };
    let mut bench = Bench::with(settings, Limits::default());
    let mut client = bench.client();
    client.username = "1900000000:juliet@example.org".into();
    let secret = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"shared");
    let tag = hmac::sign(&secret, client.username.as_bytes());
    let password = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
    client.key = Key::long_term(&client.username, "example.org", &password, PasswordAlgorithm::Md5).unwrap();
    let relayed = bench.allocate(&client);
    assert_eq!(bench.registry.link(ACCOUNT, relayed, CallId(1)), None);
    assert!(bench.registry.link("rest:juliet@example.org", relayed, CallId(1)).is_some());
}

#[test]
fn a_connection_without_an_allocation_is_closed_and_one_that_closes_frees_its_own() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    client.client.via = Via::Tls(7);
    bench.server.handle_connected(client.client, bench.now.at);
    bench.pass(20);
    bench.say(client.client, &Ask::new(Method::BINDING).writer().finish());
    bench.pass(20);
    assert!(bench.disconnected.is_empty());
    bench.allocate(&client);
    bench.pass(500);
    assert!(bench.disconnected.is_empty());
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    bench.pass(29);
    assert!(bench.disconnected.is_empty());
    bench.pass(31);
    assert_eq!(bench.disconnected, [7]);
    bench.server.handle_disconnected(7, bench.now.at);

    client.client.via = Via::Tls(8);
    bench.server.handle_connected(client.client, bench.now.at);
    client.nonce = bench.auth.nonce(client.client.remote.into(), bench.now.time);
    bench.allocate(&client);
    bench.server.handle_disconnected(8, bench.now.at);
    bench.work();
    assert!(bench.server.is_idle() && bench.server.poll_timeout().is_none());
    assert_eq!((bench.server.stats.connections, bench.server.stats.allocations), Default::default());
}

#[test]
fn many_allocations_leave_nothing_behind() {
    let mut bench = Bench::new();
    for round in 0..2_000u16 {
        let client = bench.client_of(ACCOUNT, &format!("198.51.100.9:{}", 1 + round));
        bench.allocate(&client);
        assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), None);
        assert_eq!(bench.permit(&client, "8.8.8.9:1"), None);
        assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
        assert!(bench.server.is_idle());
    }
    assert_eq!((bench.server.timers.len(), bench.registry.ports.usage().0), (0, 0));
    assert!(bench.server.flows.is_empty());
}
