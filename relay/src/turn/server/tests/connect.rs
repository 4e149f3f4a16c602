//! RFC 6062: TCP allocations.

use std::net::{SocketAddr, TcpListener, TcpStream};

use campanile_ice::stun::{AttributeType, Class, Message, Method};
use proptest::prelude::*;

use super::bench::{ACCOUNT, Answer, Ask, Bench, TestClient, session};
use crate::datapath::flow::{SocketId, Via};
use crate::settings::{Limits, Settings};
use crate::turn::data_connections::DataConnectionKey;
use crate::turn::registry::{CallId, Hosts};

const PEER: &str = "8.8.8.8:80";

/// A client of an account over TCP, on a connection of its own.
fn client(bench: &mut Bench, account: &str, connection: u64) -> TestClient {
    let mut client = bench.client_of(account, &format!("198.51.100.9:{}", 40_000 + connection));
    client.client.via = Via::Tcp(connection);
    bench.server.handle_connected(client.client, bench.now.at);
    client
}

/// The same person on another connection.
fn again(bench: &mut Bench, client: &TestClient, connection: u64) -> TestClient {
    let mut again = client.clone();
    again.client.via = Via::Tcp(connection);
    again.client.remote.port = 40_000 + connection as u16;
    again.nonce = bench.auth.nonce(again.client.remote.into(), bench.now.time);
    bench.server.handle_connected(again.client, bench.now.at);
    again
}

fn tcp() -> Ask {
    Ask::new(Method::ALLOCATE).with(AttributeType::REQUESTED_TRANSPORT, &[6, 0, 0, 0])
}

fn allocate(bench: &mut Bench, client: &TestClient) -> SocketAddr {
    let answer = bench.ask(client, tcp());
    assert_eq!(answer.code(), None);
    assert!(answer.message().get(AttributeType::RESERVATION_TOKEN).is_none());
    answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap()
}

fn socket() -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

/// A Connect request: its error code, or none and what the shell is to do.
fn connect(bench: &mut Bench, client: &TestClient, peer: &str) -> Result<(DataConnectionKey, SocketAddr, SocketAddr), u16> {
    let answers = bench.say(client.client, &client.sign(Ask::new(Method::CONNECT).peer(peer)));
    match answers.as_slice() {
        [] => Ok(bench.connects.pop().unwrap()),
        [answer] => Err(Answer(answer.clone()).code().unwrap()),
        _ => panic!("more than one answer"),
    }
}

/// Plays the shell for a Connect that has been sent; the answer.
fn connected(bench: &mut Bench, client: &TestClient, connection: DataConnectionKey, is_connected: bool) -> Answer {
    bench.sent.clear();
    let is_connected = is_connected && bench.registry.data.connected(connection, socket());
    bench.server.handle_peer_connected(connection, is_connected, bench.now.at);
    bench.work();
    let [(to, answer)] = bench.sent.as_slice() else { panic!("one answer: {:?}", bench.sent) };
    assert_eq!(*to, client.client);
    assert!(Message::parse(answer).unwrap().verify(&client.key));
    Answer(answer.clone())
}

fn bind(bench: &mut Bench, client: &TestClient, id: u32) -> Option<u16> {
    bench.ask(client, Ask::new(Method::CONNECTION_BIND).with(AttributeType::CONNECTION_ID, &id.to_be_bytes())).code()
}

/// A peer connects: the number that the client is told, and the peer's address.
fn arrive(bench: &mut Bench, socket_number: u32, peer: &str) -> Option<(u32, SocketAddr)> {
    bench.sent.clear();
    let connection = bench.server.handle_peer_arrived(SocketId::tcp(socket_number), peer.parse().unwrap(), bench.now.at);
    bench.work();
    let Some(connection) = connection else {
        assert!(bench.sent.is_empty(), "§5.3: nothing is sent to the client");
        return None;
    };
    assert!(bench.registry.data.connected(connection, socket()));
    let message = Message::parse(&bench.sent[0].1).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::CONNECTION_ATTEMPT));
    let peer = message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).unwrap().unwrap();
    assert_eq!(message.connection_id(), Ok(Some(connection.id)));
    Some((connection.id, peer))
}

#[test]
fn s5_1_tcp_allocations_are_for_tcp_clients_and_take_no_features_of_udp() {
    let mut bench = Bench::new();
    let udp = bench.client();
    assert_eq!(bench.ask(&udp, tcp()).code(), Some(400), "2.");
    let client = client(&mut bench, ACCOUNT, 1);
    for protocol in [0, 1, 7, 132] {
        let request = Ask::new(Method::ALLOCATE).with(AttributeType::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0]);
        assert_eq!(bench.ask(&client, request).code(), Some(442), "1.");
    }
    assert_eq!(bench.ask(&client, tcp().with(AttributeType::EVEN_PORT, &[0])).code(), Some(400), "3.");
    assert_eq!(bench.ask(&client, tcp().with(AttributeType::EVEN_PORT, &[0x80])).code(), Some(400), "3.");
    assert_eq!(bench.ask(&client, tcp().with(AttributeType::RESERVATION_TOKEN, &[7; 8])).code(), Some(400), "3.");
    assert!(bench.server.is_idle() || bench.server.allocations.is_empty());
    let relayed = allocate(&mut bench, &client);
    assert!(bench.registry.data.is_listening(relayed));
    assert_eq!(bench.registry.ports.resolve(relayed.into()), None, "over UDP it is nobody's");
    assert_eq!(bench.ask(&client, tcp().lifetime(700)).code(), Some(437), "there is one");
    let v6 = self::client(&mut bench, ACCOUNT, 2);
    let answer = bench.ask(&v6, tcp().with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert!(answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().is_ipv6());
    // They end as others do, and nothing is left.
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    bench.pass(600);
    assert!(bench.server.is_idle() && bench.registry.data.is_empty());
    assert_eq!((bench.closed.len(), bench.registry.ports.usage().0), (2, 0));
}

#[test]
fn s3_the_control_connection_carries_no_data() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    assert_eq!(bench.permit(&client, PEER), None);
    assert_eq!(bench.bind(&client, 0x4000, PEER), Some(403));
    assert_eq!(bench.send(&client, PEER), None);
    assert_eq!(bench.send_on(&client, 0x4000), None);
    // And an allocation for UDP makes no connections.
    let udp = self::client(&mut bench, ACCOUNT, 2);
    bench.allocate(&udp);
    assert_eq!(connect(&mut bench, &udp, PEER), Err(403));
}

#[test]
fn s5_2_connect() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    assert_eq!(connect(&mut bench, &client, PEER), Err(437));
    let relayed = allocate(&mut bench, &client);
    assert_eq!(bench.ask(&client, Ask::new(Method::CONNECT)).code(), Some(400), "no peer");
    assert_eq!(bench.ask(&client, Ask::new(Method::CONNECT).with(AttributeType::XOR_PEER_ADDRESS, &[0; 5])).code(), Some(400));
    for (peer, code) in [
        ("8.8.8.8:0", 400),
        ("[2600::1]:80", 443),
        ("127.0.0.1:80", 403),
        ("10.0.0.1:80", 403),
        ("169.254.169.254:80", 403),
        ("192.0.2.1:3478", 403),
        (&relayed.to_string(), 403),
    ] {
        assert_eq!(connect(&mut bench, &client, peer), Err(code), "{peer}");
    }
    let other = self::client(&mut bench, "romeo@example.org", 1);
    assert_eq!(connect(&mut bench, &TestClient { client: client.client, ..other }, PEER), Err(441));

    let (first, from, to) = connect(&mut bench, &client, PEER).unwrap();
    assert_eq!((from, to), (relayed, PEER.parse().unwrap()));
    assert_eq!(connect(&mut bench, &client, PEER), Err(446), "being connected");
    let (second, ..) = connect(&mut bench, &client, "8.8.8.8:81").unwrap();
    let answer = connected(&mut bench, &client, first, true);
    assert_eq!((answer.code(), answer.message().connection_id()), (None, Ok(Some(first.id))));
    assert_eq!(connect(&mut bench, &client, PEER), Err(446), "pending");
    assert_eq!(connected(&mut bench, &client, second, false).code(), Some(447));
    let (second, ..) = connect(&mut bench, &client, "8.8.8.8:81").unwrap();
    // The peer says nothing for 30 seconds: 447. The first connection is not bound in them: closed.
    bench.pass(29);
    assert_eq!(bench.registry.data.len(), 2);
    bench.sent.clear();
    bench.pass(1);
    assert_eq!(bench.sent.len(), 1);
    assert_eq!(Answer(bench.sent[0].1.clone()).code(), Some(447));
    assert!(bench.registry.data.stop(second).is_none());
    assert_eq!(bench.registry.data.len(), 0);
    let data = again(&mut bench, &client, 2);
    assert_eq!(bind(&mut bench, &data, first.id), Some(400), "too late");
    connect(&mut bench, &client, PEER).unwrap();
}

#[test]
fn s5_2_time_to_bind_begins_when_the_peer_has_answered() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    let (connection, ..) = connect(&mut bench, &client, PEER).unwrap();
    bench.pass(29);
    connected(&mut bench, &client, connection, true);
    bench.pass(29);
    let data = again(&mut bench, &client, 2);
    assert_eq!(bind(&mut bench, &data, connection.id), None);
    bench.pass(60);
    assert!(bench.registry.data.stop(connection).is_some(), "a bound one has no time");
}

#[test]
fn s5_3_peers_need_a_permission_to_connect() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    assert_eq!(arrive(&mut bench, 1, PEER), None);
    assert_eq!(bench.permit(&client, "8.8.8.8:9"), None);
    let (id, peer) = arrive(&mut bench, 1, PEER).unwrap();
    assert_eq!(peer, PEER.parse().unwrap());
    assert_eq!(arrive(&mut bench, 1, PEER), None, "one connection to one peer");
    assert_eq!(connect(&mut bench, &client, PEER), Err(446), "and none to it");
    assert_eq!(arrive(&mut bench, 1, "8.8.8.9:80"), None, "another address");
    assert_eq!(arrive(&mut bench, 2, "8.8.8.8:81"), None, "another's relayed address");
    let data = again(&mut bench, &client, 2);
    assert_eq!(bind(&mut bench, &data, id), None);
    bench.pass(300);
    assert_eq!(arrive(&mut bench, 1, "8.8.8.8:82"), None, "the permission has ended");
    assert_eq!(bench.registry.data.len(), 1, "what it let in stays");
    // An unbound one is closed after 30 seconds.
    assert_eq!(bench.permit(&client, PEER), None);
    let (id, _) = arrive(&mut bench, 1, "8.8.8.8:83").unwrap();
    bench.pass(30);
    let data = again(&mut bench, &client, 3);
    assert_eq!((bench.registry.data.len(), bind(&mut bench, &data, id)), (1, Some(400)));
}

#[test]
fn s5_4_connection_bind() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    let (connection, ..) = connect(&mut bench, &client, PEER).unwrap();
    let data = again(&mut bench, &client, 2);
    assert_eq!(bind(&mut bench, &data, connection.id), Some(400), "not connected yet");
    connected(&mut bench, &client, connection, true);
    assert_eq!(bench.ask(&data, Ask::new(Method::CONNECTION_BIND)).code(), Some(400), "no number");
    assert_eq!(bench.ask(&data, Ask::new(Method::CONNECTION_BIND).with(AttributeType::CONNECTION_ID, &[1])).code(), Some(400));
    assert_eq!(bind(&mut bench, &data, connection.id ^ 1), Some(400), "nobody's");
    let udp = bench.client();
    assert_eq!(bind(&mut bench, &udp, connection.id), Some(400), "over UDP");
    let stranger = self::client(&mut bench, "romeo@example.org", 3);
    assert_eq!(bind(&mut bench, &stranger, connection.id), Some(400), "another's");
    let same_account = self::client(&mut bench, ACCOUNT, 4);
    let mut other_name = same_account.clone();
    other_name.username.push('x');
    assert_eq!(bind(&mut bench, &other_name, connection.id), Some(401));
    assert_eq!(bind(&mut bench, &client, connection.id), Some(437), "the control connection itself");
    assert!(bench.bound.is_empty());
    let connections = bench.server.stats.connections.tcp;
    assert_eq!(bind(&mut bench, &data, connection.id), None);
    assert_eq!(bench.bound, [(data.client, connection.id)]);
    assert_eq!(bench.server.stats.connections.tcp, connections - 1, "it is no client any more");
    assert_eq!(bench.server.stats.data_connections_made, 1);
    let late = again(&mut bench, &client, 5);
    assert_eq!(bind(&mut bench, &late, connection.id), Some(400), "bound already");
    assert_eq!(connect(&mut bench, &client, PEER), Err(446), "active");
    drop(bench.registry.data.take(connection.id).unwrap());
    connect(&mut bench, &client, PEER).unwrap();
}

#[test]
fn data_connections_outlive_credentials_as_their_allocation_does() {
    let mut bench = Bench::with(Settings { credentials: std::time::Duration::from_secs(60), ..Settings::default() }, Limits::default());
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    bench.pass(300);
    let (connection, ..) = connect(&mut bench, &client, PEER).unwrap();
    connected(&mut bench, &client, connection, true);
    let data = again(&mut bench, &client, 2);
    assert_eq!(bench.ask(&data, tcp()).code(), Some(401));
    assert_eq!(bind(&mut bench, &data, connection.id), None);
}

#[test]
fn s5_5_data_connections_end_with_their_allocation_however_it_ends() {
    for end in 0..4 {
        let mut bench = Bench::new();
        let client = client(&mut bench, ACCOUNT, 1);
        allocate(&mut bench, &client);
        assert_eq!(bench.permit(&client, PEER), None);
        let (connecting, ..) = connect(&mut bench, &client, "8.8.8.8:81").unwrap();
        let (pending, ..) = connect(&mut bench, &client, "8.8.8.8:82").unwrap();
        connected(&mut bench, &client, pending, true);
        let (id, _) = arrive(&mut bench, 1, PEER).unwrap();
        let data = again(&mut bench, &client, 2);
        assert_eq!(bind(&mut bench, &data, id), None);
        let link = bench.registry.data.take(id).unwrap();
        link.owner.carried.add(crate::quality::report::Direction::ToPeer, 500);
        match end {
            0 => assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None),
            1 => bench.pass(600),
            2 => bench.server.handle_revoke(ACCOUNT, bench.now.at),
            _ => bench.server.handle_disconnected(1, bench.now.at),
        }
        bench.work();
        assert!(link.stop.is_cancelled() && bench.registry.data.is_empty(), "{end}");
        assert!(bench.server.is_idle());
        assert_eq!(bench.server.stats.to_peer.bytes, 500);
        bench.sent.clear();
        bench.server.handle_peer_connected(connecting, true, bench.now.at);
        bench.work();
        assert!(bench.sent.is_empty(), "the answer comes too late");
    }
}

#[test]
fn between_relayed_addresses_of_ours_by_address_and_port() {
    let public = vec!["203.0.113.7".parse().unwrap()];
    let mut bench = Bench::with(Settings { public_addresses: public, ..Settings::default() }, Limits::default());
    let (juliet, romeo) = (client(&mut bench, ACCOUNT, 1), client(&mut bench, "romeo@example.org", 2));
    let (a, b) = (allocate(&mut bench, &juliet), allocate(&mut bench, &romeo));
    assert_eq!(a.ip().to_string(), "203.0.113.7");
    let udp = self::client(&mut bench, "nurse@example.org", 3);
    let not_tcp = bench.allocate(&udp);
    assert_eq!(connect(&mut bench, &juliet, &not_tcp.to_string()), Err(403), "a service may have that port over TCP");
    assert_eq!(bench.permit(&juliet, &not_tcp.to_string()), Some(403));
    let (_, from, to) = connect(&mut bench, &juliet, &b.to_string()).unwrap();
    assert_eq!((from.to_string(), to.to_string()), (format!("192.0.2.1:{}", a.port()), format!("192.0.2.1:{}", b.port())));
    assert_eq!(arrive(&mut bench, 2, &from.to_string()), None, "no permission");
    assert_eq!(bench.permit(&romeo, &a.to_string()), None);
    assert_eq!(arrive(&mut bench, 2, "192.0.2.1:22"), None, "another service of this host");
    assert_eq!(arrive(&mut bench, 2, "203.0.113.7:22"), None);
    assert_eq!(arrive(&mut bench, 2, &from.to_string()).unwrap().1, a, "known by the address that is told");
}

/// However fast they come and go, no more is kept of them than there are.
#[test]
fn connections_that_fail_leave_nothing_to_wait_for() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    assert_eq!(bench.permit(&client, PEER), None);
    let (kept, ..) = connect(&mut bench, &client, PEER).unwrap();
    for _ in 0..1_000 {
        let (connection, ..) = connect(&mut bench, &client, "8.8.8.8:81").unwrap();
        assert_eq!(connected(&mut bench, &client, connection, false).code(), Some(447));
        arrive(&mut bench, 1, "8.8.8.8:82").unwrap();
        let key = bench.server.waiting.back().unwrap().1;
        bench.registry.data.close(key);
    }
    assert!(bench.server.waiting.len() <= 128, "{}", bench.server.waiting.len());
    bench.pass(30);
    assert!(bench.registry.data.stop(kept).is_none() && bench.server.waiting.is_empty());
}

#[test]
fn the_end_of_one_family_ends_its_data_connections() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    let answer = bench.ask(&client, tcp().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]));
    assert_eq!(answer.code(), None);
    let (four, ..) = connect(&mut bench, &client, PEER).unwrap();
    let (six, ..) = connect(&mut bench, &client, "[2600::1]:80").unwrap();
    let (pending, ..) = connect(&mut bench, &client, "[2600::1]:81").unwrap();
    connected(&mut bench, &client, pending, true);
    let end = Ask::new(Method::REFRESH).lifetime(0).with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    assert_eq!(bench.ask(&client, end).code(), None);
    let is_live = |key| bench.registry.data.stop(key).is_some();
    assert_eq!((is_live(four), is_live(six), is_live(pending)), (true, false, false));
    assert_eq!(bench.server.connecting.len(), 1);
    assert_eq!(connected(&mut bench, &client, four, true).code(), None);
}

#[test]
fn connections_to_an_address_that_has_become_ours_end() {
    let mut bench = Bench::new();
    let client = client(&mut bench, ACCOUNT, 1);
    allocate(&mut bench, &client);
    let (ours, ..) = connect(&mut bench, &client, PEER).unwrap();
    let (other, ..) = connect(&mut bench, &client, "8.8.8.9:80").unwrap();
    connected(&mut bench, &client, ours, true);
    bench.registry.set_hosts(Hosts::new(["192.0.2.1", "8.8.8.8"].map(|ip| ip.parse().unwrap())));
    bench.server.handle_addresses(bench.now.at);
    assert!(bench.registry.data.stop(ours).is_none() && bench.registry.data.stop(other).is_some());
}

#[test]
fn an_allocation_of_no_accepted_call_is_held_to_the_lower_rate() {
    let mut bench = Bench::with(Settings { fence: true, ..Settings::default() }, Limits::default());
    let session = session(1);
    let mut client = bench.client_of_session(ACCOUNT, &session, "198.51.100.9:40001");
    client.client.via = Via::Tcp(1);
    bench.server.handle_connected(client.client, bench.now.at);
    let relayed = allocate(&mut bench, &client);
    let early = |bench: &Bench| {
        let index = bench.server.by_client[&client.client];
        bench.server.allocations[index as usize].data.as_ref().unwrap().is_early.load(std::sync::atomic::Ordering::Relaxed)
    };
    assert!(early(&bench));
    let key = bench.registry.link(ACCOUNT, relayed, CallId(1)).unwrap();
    bench.server.handle_link(key, CallId(1));
    assert!(early(&bench));
    bench.server.handle_accepted(key, CallId(1));
    assert!(!early(&bench));
    bench.server.handle_unlink(key, CallId(1), bench.now.at);
    assert!(early(&bench));
}

#[test]
fn data_connections_are_bounded() {
    let limits = Limits { data_connections_per_allocation: 2, data_connections_per_account: 3, data_connections: 4, ..Limits::default() };
    let mut bench = Bench::with(Settings::default(), limits);
    let (first, second) = (client(&mut bench, ACCOUNT, 1), client(&mut bench, ACCOUNT, 2));
    let romeo = client(&mut bench, "romeo@example.org", 3);
    for client in [&first, &second, &romeo] {
        allocate(&mut bench, client);
    }
    let mut check = |client: &TestClient, peer: &str, code: Option<u16>| {
        assert_eq!(connect(&mut bench, client, peer).err(), code);
    };
    check(&first, "8.8.8.8:1", None);
    check(&first, "8.8.8.8:2", None);
    check(&first, "8.8.8.8:3", Some(486));
    check(&second, "8.8.8.8:1", None);
    check(&second, "8.8.8.8:2", Some(486));
    check(&romeo, "8.8.8.8:1", None);
    check(&romeo, "8.8.8.8:2", Some(508));
    // What comes in is not taken either.
    assert_eq!(bench.permit(&romeo, PEER), None);
    assert_eq!(arrive(&mut bench, 3, PEER), None);
}

proptest! {
    /// No connection of a peer comes to be without a permission, none to a peer without its owner's request, and none outlives its
    /// allocation, whatever happens in which order.
    #[test]
    fn a_model_agrees(steps in proptest::collection::vec((0..8u8, 0..3usize, 0..40u64), 1..60)) {
        let peers = ["8.8.8.1:1", "8.8.8.1:2", "8.8.8.2:1"];
        let mut bench = Bench::new();
        let mut control = client(&mut bench, ACCOUNT, 1);
        let start = bench.now.at;
        let (mut allocated, mut permitted) = (None, [0; 3]);
        // By peer: its key, whether it is connected, when its time ends.
        let mut live: [Option<(DataConnectionKey, bool, u64)>; 3] = [None; 3];
        let mut stream = 10;
        for (what, which, seconds) in steps {
            let now = bench.now.at.duration_since(start).as_secs();
            control.nonce = bench.auth.nonce(control.client.remote.into(), bench.now.time);
            let peer = peers[which];
            match what {
                0 if allocated.is_none() => {
                    allocate(&mut bench, &control);
                    allocated = Some((now + 600, bench.next_socket));
                }
                0 => {
                    prop_assert_eq!(bench.ask(&control, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
                    (allocated, permitted, live) = (None, [0; 3], [None; 3]);
                }
                1 => {
                    let code = bench.permit(&control, peer);
                    prop_assert_eq!(code.is_none(), allocated.is_some());
                    if code.is_none() {
                        (0..3).filter(|other| peers[*other].split(':').next() == peer.split(':').next()).for_each(|other| permitted[other] = now + 300);
                    }
                }
                2 => match connect(&mut bench, &control, peer) {
                    Ok((key, ..)) => {
                        prop_assert!(allocated.is_some() && live[which].is_none());
                        live[which] = Some((key, false, now + 30));
                    }
                    Err(code) => prop_assert_eq!(code, if allocated.is_none() { 437 } else { 446 }),
                },
                3 => {
                    if let Some((key, is_connected @ false, _)) = live[which] {
                        let answer = connected(&mut bench, &control, key, true);
                        prop_assert!(answer.code().is_none() && !is_connected);
                        live[which] = Some((key, true, now + 30));
                    }
                }
                4 => {
                    let socket = allocated.map_or(99, |(_, socket)| socket);
                    let arrived = arrive(&mut bench, socket, peer);
                    prop_assert_eq!(arrived.is_some(), allocated.is_some() && permitted[which] > now && live[which].is_none());
                    if let Some((id, _)) = arrived {
                        let key = bench.server.waiting.iter().map(|(_, key, _)| *key).rfind(|key| key.id == id);
                        live[which] = Some((key.unwrap(), true, now + 30));
                    }
                }
                5 => {
                    stream += 1;
                    let data = again(&mut bench, &control, stream);
                    let id = live[which].map_or(7, |(key, ..)| key.id);
                    let is_due = live[which].is_some_and(|(_, is_connected, until)| is_connected && until != u64::MAX);
                    prop_assert_eq!(bind(&mut bench, &data, id).is_none(), is_due);
                    if let (true, Some((key, ..))) = (is_due, live[which]) {
                        live[which] = Some((key, true, u64::MAX));
                    }
                }
                _ => {
                    bench.pass(seconds);
                    let now = now + seconds;
                    if allocated.is_some_and(|(until, _)| until <= now) {
                        (allocated, permitted, live) = (None, [0; 3], [None; 3]);
                    }
                    live.iter_mut().for_each(|one| *one = one.filter(|(_, _, until)| *until > now));
                    if bench.disconnected.contains(&1) {
                        bench.disconnected.clear();
                        bench.server.handle_disconnected(1, bench.now.at);
                        bench.server.handle_connected(control.client, bench.now.at);
                    }
                }
            }
            prop_assert_eq!(bench.registry.data.len(), live.iter().flatten().count());
        }
    }
}
