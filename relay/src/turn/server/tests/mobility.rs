//! RFC 8016: mobility.

use std::sync::Arc;

use campanile_ice::stun::{AttributeType, Message, Method};

use super::bench::{ACCOUNT, Answer, Ask, Bench, TestClient};
use crate::datapath::flow::{Client, SocketId, Via};
use crate::settings::{Limits, Settings};
use crate::turn::auth::Auth;

const PEER: &str = "8.8.8.8:1";

fn mobile() -> Ask {
    Ask::allocate().with(AttributeType::MOBILITY_TICKET, &[])
}

fn ticket(answer: &Answer) -> Option<Vec<u8>> {
    answer.message().get(AttributeType::MOBILITY_TICKET).map(<[u8]>::to_vec)
}

/// An allocation with a permission and a channel to the peer; its ticket.
fn allocate(bench: &mut Bench, client: &TestClient) -> Vec<u8> {
    let answer = bench.ask(client, mobile());
    assert_eq!(answer.code(), None);
    assert_eq!(bench.bind(client, 0x4000, PEER), None);
    ticket(&answer).unwrap()
}

/// The same person at another address.
fn at(bench: &Bench, client: &TestClient, remote: &str) -> TestClient {
    let remote: std::net::SocketAddr = remote.parse().unwrap();
    let nonce = bench.auth.nonce(remote, bench.now.time);
    TestClient { client: Client { remote: remote.into(), ..client.client }, nonce, ..client.clone() }
}

fn come(ticket: &[u8]) -> Ask {
    Ask::new(Method::REFRESH).with(AttributeType::MOBILITY_TICKET, ticket)
}

/// The client to which a datagram of the peer goes.
fn hears(bench: &mut Bench) -> Option<Client> {
    let peer: std::net::SocketAddr = PEER.parse().unwrap();
    let socket = SocketId(bench.next_socket);
    bench.server.handle_peer(socket, peer.into(), bench.now.at).map(|delivery| delivery.client)
}

#[test]
fn s3_1_2_allocate_with_a_ticket_or_without() {
    let mut bench = Bench::new();
    let (plain, client) = (bench.client_of(ACCOUNT, "198.51.100.8:1"), bench.client());
    let answer = bench.ask(&plain, Ask::allocate());
    assert_eq!((answer.code(), ticket(&answer)), (None, None));
    assert_eq!(bench.ask(&client, Ask::allocate().with(AttributeType::MOBILITY_TICKET, &[1])).code(), Some(400));
    let request = mobile();
    let first = ticket(&bench.ask(&client, request.clone())).unwrap();
    let again = ticket(&bench.ask(&client, request)).unwrap();
    assert!(!first.is_empty() && !again.is_empty(), "a retransmission is answered with one, too");

    let mut auth = Auth::new("example.org".into(), &[1; 32], None, std::time::Duration::from_secs(600));
    auth.forbid_mobility();
    let mut bench = Bench::new().with_auth(Arc::new(auth));
    let client = bench.client();
    assert_eq!(bench.ask(&client, mobile()).code(), Some(405));
    assert_eq!(bench.ask(&client, Ask::allocate().with(AttributeType::MOBILITY_TICKET, &[1])).code(), Some(400));
    assert_eq!(bench.ask(&client, Ask::allocate()).code(), None);
    assert_eq!(bench.ask(&client, come(&first)).code(), Some(405));
}

#[test]
fn s3_2_2_the_old_5_tuple_is_good_until_data_comes_on_the_new_one() {
    let mut bench = Bench::new();
    let old = bench.client();
    let first = allocate(&mut bench, &old);
    let new = at(&bench, &old, "203.0.113.50:5000");
    assert_eq!(bench.send_on(&new, 0x4000), None);
    let answer = bench.ask(&new, come(&first).lifetime(1_200));
    let second = ticket(&answer).unwrap();
    assert_eq!((answer.code(), answer.lifetime(), second != first), (None, Some(1_200), true));
    // Both are good; data goes to the old one.
    assert_eq!(hears(&mut bench), Some(old.client));
    assert_eq!(bench.send_on(&old, 0x4000).unwrap(), PEER);
    assert_eq!(bench.permit(&new, "8.8.8.9:1"), None, "requests alone do not show that data gets through");
    assert_eq!(bench.permit(&old, "8.8.8.9:1"), None);
    assert_eq!(hears(&mut bench), Some(old.client));
    assert_eq!(bench.server.stats_mut().moves, 0);
    // Lost answers: the same request is answered again, with the ticket that is good.
    let repeated = bench.ask(&new, come(&first).lifetime(1_200));
    assert_eq!((repeated.code(), ticket(&repeated).is_some()), (None, true));
    // The first data on the new one.
    assert_eq!(bench.send_on(&new, 0x4000).unwrap(), PEER);
    assert_eq!((hears(&mut bench), bench.server.stats_mut().moves), (Some(new.client), 1));
    assert!(bench.send(&new, "8.8.8.9:1").is_some());
    assert_eq!((bench.send_on(&old, 0x4000), bench.send(&old, PEER)), (None, None));
    assert_eq!(bench.ask(&old, Ask::new(Method::REFRESH)).code(), Some(437));
    // The address that it left is free for another allocation, also of the same client.
    assert_eq!(bench.ask(&old, Ask::allocate()).code(), None);
    assert_eq!(bench.ask(&new, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert_eq!(bench.ask(&old, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert!(bench.server.is_idle());
}

#[test]
fn s3_2_2_a_send_indication_confirms_as_well_and_the_move_may_go_on() {
    let mut bench = Bench::new();
    let first = bench.client();
    let mut good = allocate(&mut bench, &first);
    let second = at(&bench, &first, "203.0.113.50:5000");
    let third = at(&bench, &first, "203.0.113.51:5000");
    good = ticket(&bench.ask(&second, come(&good))).unwrap();
    // Away again before it has sent anything.
    good = ticket(&bench.ask(&third, come(&good))).unwrap();
    assert_eq!(bench.ask(&second, Ask::new(Method::REFRESH)).code(), Some(437), "skipped");
    assert_eq!(hears(&mut bench), Some(first.client));
    assert!(bench.send(&third, PEER).is_some());
    assert_eq!(hears(&mut bench), Some(third.client));
    // And back where it was.
    good = ticket(&bench.ask(&first, come(&good))).unwrap();
    assert!(bench.send(&first, PEER).is_some() && bench.send(&third, PEER).is_none());
    assert_eq!(bench.ask(&third, come(&good).lifetime(0)).code(), None, "a move to end it");
    assert!(bench.server.is_idle() && bench.server.poll_timeout().is_none());
    assert_eq!(bench.server.stats.allocations, Default::default());
}

#[test]
fn s3_2_2_what_is_refused() {
    let mut bench = Bench::new();
    let client = bench.client();
    let good = allocate(&mut bench, &client);
    let new = at(&bench, &client, "203.0.113.50:5000");
    let mut altered = good.clone();
    altered[20] ^= 1;
    for (ticket, what) in [(vec![], "empty"), (vec![7; 54], "made up"), (altered, "altered"), (good[1..].to_vec(), "cut")] {
        assert_eq!(bench.ask(&new, come(&ticket)).code(), Some(400), "{what}");
    }
    assert_eq!(bench.ask(&client, come(&good)).code(), Some(400), "the same 5-tuple");
    // Somebody else who has seen it on the wire.
    let thief = bench.client_of("romeo@example.org", "203.0.113.66:6666");
    assert_eq!(bench.ask(&thief, come(&good)).code(), Some(441));
    let mut wrong = new.clone();
    wrong.key = thief.key.clone();
    assert_eq!(bench.ask(&wrong, come(&good)).code(), Some(401));
    // §3.2: what the Refresh asks for besides.
    assert_eq!(bench.ask(&new, come(&good).with(AttributeType::LIFETIME, &[1])).code(), Some(400));
    assert_eq!(bench.ask(&new, come(&good).with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0])).code(), Some(443));
    // A 5-tuple that has an allocation of its own.
    let busy = at(&bench, &client, "203.0.113.51:5000");
    bench.allocate(&busy);
    assert_eq!(bench.ask(&busy, come(&good)).code(), Some(437));
    // None of them has moved anything, or used the ticket up.
    assert!(hears(&mut bench).is_none(), "the last socket is the other allocation's");
    assert_eq!(bench.send_on(&client, 0x4000).unwrap(), PEER);
    let next = ticket(&bench.ask(&new, come(&good))).unwrap();
    assert_eq!(bench.ask(&new, come(&next)).code(), Some(400), "it is there already");
    // The old ticket is good for retransmissions of this client alone, for 30 seconds.
    let other = at(&bench, &client, "203.0.113.52:5000");
    assert_eq!(bench.ask(&other, come(&good)).code(), Some(400));
    bench.pass(29);
    assert_eq!(bench.ask(&new, come(&good)).code(), None);
    bench.pass(1);
    assert_eq!(bench.ask(&new, come(&good)).code(), Some(400));
    // An allocation that has ended.
    assert_eq!(bench.ask(&new, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    assert_eq!(bench.ask(&other, come(&next)).code(), Some(437));
    bench.allocate(&new);
    assert_eq!(bench.ask(&other, come(&next)).code(), Some(437), "another one in its place");
    // One that never asked for a ticket has none, and one of a process before this one is over.
    let mut elsewhere =
        Bench::new().with_auth(Arc::new(Auth::new("example.org".into(), &[1; 32], Some("shared"), std::time::Duration::from_secs(600))));
    assert_eq!(elsewhere.ask(&new, come(&next)).code(), Some(437));
}

#[test]
fn a_moved_allocation_outlives_its_credentials() {
    let mut bench = Bench::with(Settings { credentials: std::time::Duration::from_secs(60), ..Settings::default() }, Limits::default());
    let client = bench.client();
    let good = allocate(&mut bench, &client);
    bench.pass(300);
    let new = at(&bench, &client, "203.0.113.50:5000");
    assert_eq!(bench.ask(&new, Ask::allocate()).code(), Some(401));
    assert_eq!(bench.ask(&new, come(&good)).code(), None);
}

fn over(bench: &mut Bench, client: &TestClient, via: Via) -> TestClient {
    let mut client = client.clone();
    client.client.via = via;
    if let Some(id) = via.stream() {
        client.client.remote.port = 1_000 + id as u16;
    }
    client.nonce = bench.auth.nonce(client.client.remote.into(), bench.now.time);
    bench.server.handle_connected(client.client, bench.now.at);
    client
}

#[test]
fn a_client_that_lost_its_connection_has_a_minute_to_come_back() {
    let mut bench = Bench::new();
    let udp = bench.client();
    let first = over(&mut bench, &udp, Via::Tls(1));
    let good = allocate(&mut bench, &first);
    bench.server.handle_disconnected(1, bench.now.at);
    assert_eq!(hears(&mut bench), Some(first.client), "its data is for a connection that is gone");
    bench.pass(59);
    let second = over(&mut bench, &udp, Via::Tcp(2));
    let good = ticket(&bench.ask(&second, come(&good))).unwrap();
    assert_eq!(hears(&mut bench), Some(second.client), "nobody is left at the old one");
    assert_eq!((bench.server.stats.allocations.tcp, bench.server.stats.allocations.tls), (1, 0));
    bench.pass(100);
    assert!(bench.closed.is_empty());
    // From TCP to UDP, and the old connection closes before any data has come.
    let third = at(&bench, &udp, "203.0.113.50:5000");
    let good = ticket(&bench.ask(&third, come(&good))).unwrap();
    assert_eq!(hears(&mut bench), Some(second.client));
    bench.server.handle_disconnected(2, bench.now.at);
    assert_eq!(hears(&mut bench), Some(third.client));
    // A new connection that closes before it was used changes nothing.
    let fourth = over(&mut bench, &udp, Via::Tcp(4));
    let good = ticket(&bench.ask(&fourth, come(&good))).unwrap();
    bench.server.handle_disconnected(4, bench.now.at);
    assert_eq!(hears(&mut bench), Some(third.client));
    let fifth = over(&mut bench, &udp, Via::Tls(5));
    bench.ask(&fifth, come(&good));
    assert_eq!(bench.send_on(&fifth, 0x4000).unwrap(), PEER);
    bench.server.handle_disconnected(5, bench.now.at);
    bench.pass(59);
    assert!(bench.closed.is_empty());
    bench.pass(1);
    assert_eq!(bench.closed.len(), 1);
    assert!(bench.server.is_idle() && bench.server.poll_timeout().is_none());
    assert_eq!((bench.server.stats.allocations, bench.server.stats.connections), Default::default());
}

#[test]
fn the_control_connection_of_a_tcp_allocation_moves_at_once_and_not_to_udp() {
    let mut bench = Bench::new();
    let udp = bench.client();
    let first = over(&mut bench, &udp, Via::Tcp(1));
    let request = Ask::new(Method::ALLOCATE).with(AttributeType::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
    let good = ticket(&bench.ask(&first, request.with(AttributeType::MOBILITY_TICKET, &[]))).unwrap();
    assert_eq!(bench.permit(&first, PEER), None);
    assert_eq!(bench.ask(&at(&bench, &udp, "203.0.113.50:5000"), come(&good)).code(), Some(400));
    let second = over(&mut bench, &udp, Via::Tls(2));
    assert_eq!(bench.ask(&second, come(&good)).code(), None);
    bench.sent.clear();
    assert!(bench.server.handle_peer_arrived(SocketId::tcp(1), PEER.parse().unwrap(), bench.now.at).is_some());
    bench.work();
    assert_eq!((bench.sent[0].0, Message::parse(&bench.sent[0].1).unwrap().method()), (second.client, Method::CONNECTION_ATTEMPT));
}

#[test]
fn datagrams_that_come_to_another_worker_are_passed_on() {
    let mut home = Bench::new();
    let mut other = home.beside(1);
    let old = home.client();
    let good = allocate(&mut home, &old);
    let new = at(&home, &old, "203.0.113.50:5000");
    // The Refresh comes to the other worker, which knows whose the ticket is, and nothing else.
    let request = new.sign(come(&good));
    assert!(other.say(new.client, &request).is_empty());
    let [(3, client, message)] = other.passed_on.as_slice() else { panic!("passed on to the ticket's worker") };
    assert_eq!((*client, message), (new.client, &request));
    assert_eq!(home.server.handle_passed_on(new.client, 1, &request, home.now), None);
    home.work();
    assert_eq!(Answer(home.sent.pop().unwrap().1).code(), None);
    assert_eq!(home.expected, [(1, new.client, true)]);
    other.server.handle_expect(new.client, 3, true);
    // Data and requests that come there are passed on.
    other.passed_on.clear();
    assert_eq!(other.send_on(&new, 0x4000), None);
    assert!(other.say(new.client, &new.sign(Ask::new(Method::REFRESH))).is_empty());
    other.work();
    assert_eq!(other.passed_on.len(), 2);
    let (_, _, data) = other.passed_on.remove(0);
    let route = home.server.handle_passed_on(new.client, 1, &data, home.now).unwrap();
    assert_eq!(route.to, PEER.parse::<std::net::SocketAddr>().unwrap().into());
    assert_eq!(hears(&mut home), Some(new.client));
    // The end of the allocation, or the next move, ends that.
    home.expected.clear();
    assert_eq!(home.server.handle_passed_on(new.client, 1, &new.sign(Ask::new(Method::REFRESH).lifetime(0)), home.now), None);
    home.work();
    assert_eq!(home.expected, [(1, new.client, false)]);
    other.server.handle_expect(new.client, 3, false);
    assert_eq!(other.ask(&new, Ask::new(Method::REFRESH)).code(), Some(437));
    assert!(home.server.is_idle() && other.server.is_idle());

    // Nobody else's ticket, and no made-up one, is passed on; a connection goes as a whole.
    other.passed_on.clear();
    assert_eq!(other.ask(&new, come(&[9; 54])).code(), Some(400));
    let good = allocate(&mut home, &old);
    let stream = over(&mut other, &old, Via::Tls(7));
    assert!(other.say(stream.client, &stream.sign(come(&good))).is_empty());
    assert_eq!((other.passed_on.len(), other.server.stats.connections.tls), (1, 0));
    let busy = other.client_of(ACCOUNT, "203.0.113.51:1");
    other.allocate(&busy);
    assert_eq!(other.ask(&busy, come(&good)).code(), Some(437), "it has an allocation there");
}

#[test]
fn what_is_passed_on_unseen_is_within_the_budget_of_its_source() {
    let limits = || Limits { answers_per_second: 1, answers_burst: 20, ..Limits::default() };
    let mut home = Bench::with(Settings::default(), limits());
    let mut other = home.beside(1);
    let old = home.client();
    let good = allocate(&mut home, &old);
    let forged = at(&home, &old, "203.0.113.50:5000");
    let request = forged.sign(come(&good));
    for _ in 0..100 {
        other.say(forged.client, &request);
    }
    assert_eq!(other.passed_on.len(), 20);
}

#[test]
fn a_client_with_an_allocation_of_its_own_is_not_passed_on() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.allocate(&client);
    bench.server.handle_expect(client.client, 1, true);
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH)).code(), None);
    assert!(bench.passed_on.is_empty());
}
