//! The fence: a session reaches what the other party of its live calls has offered, whoever has proven to be that party, and nothing else.

use campanile_ice::stun::integrity::{Integrity, Key};
use campanile_ice::stun::{AttributeType, Class, Method, TransactionId, Writer};

use super::bench::{ACCOUNT, Ask, Bench, LOCAL, TestClient, session};
use crate::datapath::flow::SocketId;
use crate::endpoint::Endpoint;
use crate::settings::{Limits, Settings};
use crate::turn::fence::Offer;
use crate::turn::registry::{CallId, Hosts};

const CALL: CallId = CallId(1);
const ROMEO: &str = "romeo@montague.lit/orchard";

fn fenced() -> (Bench, TestClient) {
    let mut bench = Bench::with(Settings { fence: true, ..Settings::default() }, Limits::default());
    let client = bench.client_of_session(ACCOUNT, &session(1), "198.51.100.9:1");
    bench.allocate(&client);
    (bench, client)
}

fn offer(bench: &Bench, from: &str, to: &str, addresses: &[&str], credentials: &[(&str, &str)]) {
    let offer = Offer {
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        credentials: credentials.iter().map(|(ufrag, password)| ((*ufrag).into(), (*password).into())).collect(),
    };
    bench.registry.fence.offer(CALL, from, to, &offer);
}

#[test]
fn permissions_only_towards_what_the_other_party_of_a_live_call_offered() {
    let (mut bench, client) = fenced();
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), Some(403));
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:1"), Some(403));
    offer(&bench, ROMEO, &session(1).party, &["8.8.8.8", "10.0.0.1"], &[]);
    offer(&bench, ROMEO, &session(2).party, &["8.8.4.4"], &[]);
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:2"), None);
    assert_eq!(bench.permit(&client, "8.8.4.4:1"), Some(403), "offered to another device");
    assert_eq!(bench.permit(&client, "10.0.0.1:1"), Some(403), "the rules for peers hold as ever");
    assert_eq!(bench.ask(&client, Ask::new(Method::CREATE_PERMISSION).peer("8.8.8.8:1").peer("8.8.4.4:1")).code(), Some(403));
    assert!(bench.send(&client, "8.8.4.4:1").is_none());
    assert!(bench.send(&client, "8.8.8.8:9").is_some());
    // What was granted is not made longer when the call is over.
    bench.registry.fence.end_call(CALL);
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), Some(403));
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:2"), Some(403));
}

#[test]
fn two_allocations_of_ours_reach_each_other_only_in_a_call() {
    let (mut bench, client) = fenced();
    let other = bench.client_of_session("romeo@montague.lit", &session(2), "198.51.100.8:1");
    let relayed = bench.allocate(&other);
    assert_eq!(bench.permit(&client, &relayed.to_string()), Some(403));
    offer(&bench, ROMEO, &session(1).party, &[&relayed.ip().to_string()], &[]);
    assert_eq!(bench.permit(&client, &relayed.to_string()), None);
    assert!(bench.send(&client, &relayed.to_string()).is_some());
    assert!(bench.send(&client, &format!("{}:22", relayed.ip())).is_none());
}

#[test]
fn names_without_a_session_are_not_fenced() {
    let (mut bench, _) = fenced();
    let client = bench.client_of(ACCOUNT, "198.51.100.9:2");
    bench.allocate(&client);
    assert_eq!(bench.permit(&client, "8.8.8.8:1"), None);
}

fn check(name: &str, password: &str) -> Vec<u8> {
    let mut writer = Writer::new(Class::Request, Method::BINDING, TransactionId([3; 12]));
    writer.attribute(AttributeType::USERNAME, name.as_bytes());
    writer.sign(&Key::short_term(password), Integrity::Sha1);
    writer.fingerprint();
    writer.finish()
}

fn endpoint(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

#[test]
fn rfc8445_s7_3_an_authenticated_check_opens_the_fence_for_its_source() {
    let (mut bench, client) = fenced();
    let party = session(1).party;
    offer(&bench, ROMEO, &party, &[], &[("Rufr", "romeos password")]);
    offer(&bench, &party, ROMEO, &[], &[("Jufr", "juliets password")]);
    let stranger = |bench: &mut Bench, bytes: &[u8], source: &str| {
        bench.now.at += std::time::Duration::from_millis(20);
        assert!(bench.hear_peer(1, source).is_none(), "no byte passes without a permission");
        bench.server.handle_stranger(SocketId(1), endpoint(source), bytes, bench.now.at);
    };
    for forged in [&check("Jufr:Rufr", "guessed")[..], &check("Rufr:Jufr", "juliets password"), b"", &[0; 20]] {
        stranger(&mut bench, forged, "8.8.8.8:5");
        assert_eq!(bench.permit(&client, "8.8.8.8:5"), Some(403));
    }
    let good = check("Jufr:Rufr", "juliets password");
    stranger(&mut bench, &good, "8.8.8.8:5");
    assert_eq!(bench.permit(&client, "8.8.8.8:5"), None);
    assert_eq!(bench.permit(&client, "8.8.8.9:5"), Some(403));
    // Passwords are not guessed faster than checks come, and who knows no names keeps nobody from being heard.
    let say =
        |bench: &mut Bench, bytes: &[u8], source: &str| bench.server.handle_stranger(SocketId(1), endpoint(source), bytes, bench.now.at);
    bench.now.at += std::time::Duration::from_millis(20);
    for noise in [check("a:b", "c"), Ask::new(Method::BINDING).writer().finish(), vec![0, 1]] {
        say(&mut bench, &noise, "8.8.8.9:5");
    }
    say(&mut bench, &good, "8.8.8.9:5");
    assert_eq!(bench.permit(&client, "8.8.8.9:5"), None);
    bench.now.at += std::time::Duration::from_millis(20);
    say(&mut bench, &check("Jufr:Rufr", "guessed"), "8.8.8.10:5");
    say(&mut bench, &good, "8.8.8.10:5");
    assert_eq!(bench.permit(&client, "8.8.8.10:5"), Some(403));
    // One address has one place, however often it is heard of; and the newest are kept.
    for _ in 0..100 {
        stranger(&mut bench, &good, "8.8.8.11:5");
    }
    assert_eq!(bench.permit(&client, "8.8.8.8:6"), None);
    for host in 1..100 {
        stranger(&mut bench, &good, &format!("9.9.9.{host}:5"));
    }
    let heard: Vec<_> = (1..100).filter(|host| bench.permit(&client, &format!("9.9.9.{host}:5")).is_none()).collect();
    assert_eq!(heard, (84..100).collect::<Vec<_>>(), "a list with a bound");
    // With the call it is over.
    bench.registry.fence.end_call(CALL);
    assert_eq!(bench.permit(&client, "9.9.9.99:5"), Some(403));
    assert_eq!(bench.bind(&client, 0x4000, "9.9.9.99:5"), Some(403));
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert!(bench.server.is_idle());
}

/// A permission does not outlive its address becoming one of this host.
#[test]
fn what_becomes_an_address_of_ours_is_reached_no_more() {
    let mut bench = Bench::new();
    let client = bench.client();
    let other = bench.client_of("romeo@example.org", "198.51.100.8:1");
    bench.allocate(&client);
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:5"), None);
    assert_eq!(bench.permit(&client, "8.8.4.4:5"), None);
    bench.server.handle_addresses(bench.now.at);
    assert!(bench.send_on(&client, 0x4000).is_some() && bench.hear_peer(1, "8.8.8.8:5").is_some());
    let here = LOCAL.parse::<std::net::SocketAddr>().unwrap().ip();
    bench.registry.set_hosts(Hosts::new([here, "8.8.8.8".parse().unwrap()]));
    bench.pass(1);
    bench.server.handle_addresses(bench.now.at);
    assert!(bench.send_on(&client, 0x4000).is_none() && bench.send(&client, "8.8.8.8:22").is_none());
    assert!(bench.hear_peer(1, "8.8.8.8:5").is_none());
    assert!(bench.send(&client, "8.8.4.4:5").is_some() && bench.hear_peer(1, "8.8.4.4:6").is_some());
    // But a relayed address of ours there is one, as ever.
    let mut elsewhere = other.clone();
    elsewhere.client.local = endpoint("8.8.8.8:3478");
    let relayed = bench.allocate(&elsewhere);
    assert_eq!(relayed.ip().to_string(), "8.8.8.8");
    assert!(bench.send(&client, &relayed.to_string()).is_some());
    // Nothing lasts longer for it.
    bench.pass(599);
    assert!(bench.send(&client, &relayed.to_string()).is_none());
}
