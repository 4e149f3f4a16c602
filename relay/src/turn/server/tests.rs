//! The server against clients that hold to the RFC, clients that do not, and random ones; with time that the test sets.

use std::collections::HashMap as Map;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::settings::{Limits, Settings};
use crate::turn::peers::PeerRules;
use crate::turn::ports::Ports;

const ACCOUNT: &str = "juliet@example.org";
const LOCAL: &str = "192.0.2.1:3478";

/// A server with the shell played by the test.
struct Bench {
    server: Server,
    auth: Arc<Auth>,
    registry: Arc<Registry>,
    now: Now,
    next_socket: u32,
    closed: Vec<SocketId>,
    disconnected: Vec<u64>,
    sent: Vec<(Client, Vec<u8>)>,
}

/// A client with its credentials.
#[derive(Clone)]
struct TestClient {
    client: Client,
    username: String,
    key: Key,
    nonce: String,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default(), Limits::default())
    }

    fn with(settings: Settings, limits: Limits) -> Self {
        let start = Instant::now();
        let auth = Arc::new(Auth::new("example.org".into(), &[1; 32], Some("shared"), settings.credentials));
        let registry = Arc::new(Registry::new(
            Ports::new(50_000..=50_999, &settings.public_addresses),
            PeerRules::new(settings.allow_peers, settings.deny_peers),
            limits,
            Hosts::new(["192.0.2.1", "127.0.0.1", "2001:db8::1", "::1"].map(|ip| ip.parse().unwrap())),
        ));
        let server = Server::new(3, auth.clone(), registry.clone(), settings.call_grace, [9; 32], start);
        let now = Now { at: start, time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        Self { server, auth, registry, now, next_socket: 0, closed: Vec::new(), disconnected: Vec::new(), sent: Vec::new() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now.at += Duration::from_secs(seconds);
        self.now.time += Duration::from_secs(seconds);
        self.server.handle_timeout(self.now.at);
        self.work();
        self.registry.sweep(self.now.at);
    }

    /// Plays the shell until the server wants nothing more.
    fn work(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { client, message } => self.sent.push((client, message)),
                Output::Close(socket) => self.closed.push(socket),
                Output::Disconnect(id) => self.disconnected.push(id),
                Output::Open { opening, wanted } => {
                    let opened = self.open(wanted).ok_or(wanted);
                    self.server.handle_opened(opening, opened, self.now);
                }
            }
        }
    }

    fn open(&mut self, wanted: Wanted) -> Option<Opened> {
        let (bound, token) = match wanted {
            Wanted::Reserved(token) => (self.registry.redeem(token)?.1, None),
            Wanted::Fresh(ip, kind) => {
                let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
                let port = self.registry.ports.take(family, kind, || self.server.random())?;
                let token = (kind == PortKind::EvenPair).then(|| self.server.random().to_be_bytes());
                if let Some(token) = token {
                    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                    self.registry.reserve(token, socket, SocketAddr::new(ip, port + 1), self.now.at);
                }
                (SocketAddr::new(ip, port), token)
            }
        };
        assert!(self.registry.ports.publish(bound));
        self.next_socket += 1;
        Some(Opened { socket: SocketId(self.next_socket), bound, token })
    }

    /// A UDP client with fresh credentials of an account and a good nonce.
    fn client_of(&self, account: &str, remote: &str) -> TestClient {
        let remote: SocketAddr = remote.parse().unwrap();
        let credentials = self.auth.issue(account, self.now.time, [5; 12]);
        let local: SocketAddr = if remote.is_ipv4() { LOCAL.parse().unwrap() } else { "[2001:db8::1]:3478".parse().unwrap() };
        TestClient {
            client: Client { via: Via::Udp(0), remote: remote.into(), local: local.into() },
            key: Key::long_term(&credentials.username, "example.org", &credentials.password, PasswordAlgorithm::Md5).unwrap(),
            username: credentials.username,
            nonce: self.auth.nonce(remote, self.now.time),
        }
    }

    fn client(&self) -> TestClient {
        self.client_of(ACCOUNT, "198.51.100.9:40000")
    }

    fn say(&mut self, client: Client, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.sent.clear();
        assert_eq!(self.server.handle_message(client, bytes, self.now), None, "no request is a route");
        self.work();
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(|(to, message)| {
                assert_eq!(to, client, "answers go where the request came from");
                message
            })
            .collect()
    }

    /// Sends a signed request and checks that the one answer is signed, too.
    fn ask(&mut self, client: &TestClient, request: Ask) -> Answer {
        let answers = self.say(client.client, &client.sign(request));
        assert_eq!(answers.len(), 1);
        let answer = Answer(answers[0].clone());
        let message = answer.message();
        assert!(message.has_fingerprint());
        if message.has_integrity() {
            assert!(message.verify(&client.key), "signed with the key of the request");
        } else {
            assert_eq!(answer.code(), Some(401));
        }
        answer
    }

    fn allocate(&mut self, client: &TestClient) -> SocketAddr {
        let answer = self.ask(client, Ask::allocate());
        assert_eq!(answer.code(), None);
        answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap()
    }

    fn permit(&mut self, client: &TestClient, peer: &str) -> Option<u16> {
        self.ask(client, Ask::new(Method::CREATE_PERMISSION).peer(peer)).code()
    }

    fn bind(&mut self, client: &TestClient, channel: u16, peer: &str) -> Option<u16> {
        self.ask(client, Ask::new(Method::CHANNEL_BIND).channel(channel).peer(peer)).code()
    }

    /// Where a Send indication goes.
    fn send(&mut self, client: &TestClient, peer: &str) -> Option<Route> {
        let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([2; 12]));
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer.parse().unwrap());
        writer.attribute(AttributeType::DATA, b"payload");
        let bytes = writer.finish();
        let route = self.server.handle_message(client.client, &bytes, self.now)?;
        assert_eq!(&bytes[route.payload.clone()], b"payload");
        Some(route)
    }

    fn send_on(&mut self, client: &TestClient, channel: u16) -> Option<String> {
        let [high, low] = channel.to_be_bytes();
        let route = self.server.handle_channel_data(client.client, &[high, low, 0, 2, 7, 7], self.now.at)?;
        assert_eq!(route.payload, 4..6);
        Some(SocketAddr::from(route.to).to_string())
    }

    fn hear_peer(&mut self, socket: u32, peer: &str) -> Option<DeliveryHeader> {
        let peer: SocketAddr = peer.parse().unwrap();
        self.server.handle_peer(SocketId(socket), peer.into(), self.now.at).map(|delivery| delivery.header)
    }
}

/// A request before it is signed.
#[derive(Clone)]
struct Ask {
    method: Method,
    transaction: [u8; 12],
    attributes: Vec<(AttributeType, Vec<u8>)>,
    peers: Vec<SocketAddr>,
}

impl Ask {
    fn new(method: Method) -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&number.to_be_bytes());
        Self { method, transaction, attributes: Vec::new(), peers: Vec::new() }
    }

    fn allocate() -> Self {
        Self::new(Method::ALLOCATE).with(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    }

    fn with(mut self, kind: AttributeType, value: &[u8]) -> Self {
        self.attributes.push((kind, value.to_vec()));
        self
    }

    fn lifetime(self, seconds: u32) -> Self {
        self.with(AttributeType::LIFETIME, &seconds.to_be_bytes())
    }

    fn channel(self, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        self.with(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0])
    }

    fn peer(mut self, peer: &str) -> Self {
        self.peers.push(peer.parse().unwrap());
        self
    }

    fn writer(&self) -> Writer {
        let mut writer = Writer::new(Class::Request, self.method, TransactionId(self.transaction));
        for (kind, value) in &self.attributes {
            writer.attribute(*kind, value);
        }
        for peer in &self.peers {
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, *peer);
        }
        writer
    }
}

impl TestClient {
    fn sign(&self, request: Ask) -> Vec<u8> {
        let mut writer = request.writer();
        writer.attribute(AttributeType::USERNAME, self.username.as_bytes());
        writer.attribute(AttributeType::REALM, b"example.org");
        writer.attribute(AttributeType::NONCE, self.nonce.as_bytes());
        writer.sign(&self.key, Integrity::Sha1);
        writer.finish()
    }
}

#[derive(Debug)]
struct Answer(Vec<u8>);

impl Answer {
    fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    /// The error code; none for a success.
    fn code(&self) -> Option<u16> {
        let message = self.message();
        match message.class() {
            Class::Success => None,
            Class::Error => Some(message.error_code().unwrap().0),
            other => panic!("an answer of class {other:?}"),
        }
    }

    fn address(&self, kind: AttributeType) -> Option<SocketAddr> {
        self.message().get_xor_address(kind).unwrap()
    }

    fn lifetime(&self) -> Option<u32> {
        self.message().lifetime_s().unwrap()
    }
}

// RFC 8489.

#[test]
fn rfc8489_s6_3_1_binding_tells_the_source() {
    let mut bench = Bench::new();
    for remote in ["198.51.100.9:40000", "[2001:db8:1::9]:5", "[::ffff:198.51.100.9]:40000"] {
        let mut client = bench.client();
        client.client.remote = remote.parse::<SocketAddr>().unwrap().into();
        let answers = bench.say(client.client, &Ask::new(Method::BINDING).writer().finish());
        let answer = Answer(answers[0].clone());
        let expected: SocketAddr = remote.parse().unwrap();
        assert_eq!(
            answer.address(AttributeType::XOR_MAPPED_ADDRESS).unwrap(),
            SocketAddr::new(expected.ip().to_canonical(), expected.port())
        );
        assert_eq!(answer.message().get(AttributeType::SOFTWARE), Some(SOFTWARE));
        assert!(answer.message().has_fingerprint() && !answer.message().has_integrity());
    }
}

#[test]
fn rfc8489_s6_3_1_unknown_attributes_are_listed() {
    let mut bench = Bench::new();
    let client = bench.client();
    let request =
        |method| Ask::new(method).with(AttributeType(0x0003), &[0; 4]).with(AttributeType(0x7FFF), &[]).with(AttributeType(0x8FFF), &[]);
    let binding = Answer(bench.say(client.client, &request(Method::BINDING).writer().finish())[0].clone());
    let allocate = bench.ask(&client, request(Method::ALLOCATE));
    for answer in [binding, allocate] {
        assert_eq!(answer.code(), Some(420));
        assert_eq!(answer.message().get(AttributeType::UNKNOWN_ATTRIBUTES), Some([0x00, 0x03, 0x7F, 0xFF].as_slice()));
    }
    // §7.2 step 4: DONT-FRAGMENT is not supported.
    assert_eq!(bench.ask(&client, Ask::allocate().with(AttributeType::DONT_FRAGMENT, &[])).code(), Some(420));
}

#[test]
fn rfc8489_s9_2_4_a_challenge_has_realm_and_nonce_and_no_integrity() {
    let mut bench = Bench::new();
    let client = bench.client();
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CREATE_PERMISSION, Method::CHANNEL_BIND] {
        let answer = Answer(bench.say(client.client, &Ask::new(method).writer().finish())[0].clone());
        let message = answer.message();
        assert_eq!((answer.code(), message.get(AttributeType::REALM)), (Some(401), Some(b"example.org".as_slice())));
        let nonce = message.get(AttributeType::NONCE).unwrap();
        assert!(bench.auth.is_nonce_good(nonce, "198.51.100.9".parse().unwrap(), bench.now.time));
        assert!(!message.has_integrity() && message.has_fingerprint() && message.get(AttributeType::SOFTWARE).is_some());
    }
}

#[test]
fn rfc8489_s9_2_4_each_check_in_its_order() {
    let mut bench = Bench::new();
    let good = bench.client();
    let foreign_nonce = bench.auth.nonce("198.51.100.10:40000".parse().unwrap(), bench.now.time);
    let other_port = bench.auth.nonce("198.51.100.9:1".parse().unwrap(), bench.now.time);
    let old_nonce = bench.auth.nonce("198.51.100.9:1".parse().unwrap(), bench.now.time - Duration::from_secs(3_601));
    let expired = bench.auth.issue(ACCOUNT, bench.now.time - Duration::from_secs(86_400), [1; 12]);
    let expired_key = Key::long_term(&expired.username, "example.org", &expired.password, PasswordAlgorithm::Md5).unwrap();
    let table: Vec<(&str, TestClient, Option<u16>, bool)> = vec![
        ("good", good.clone(), None, true),
        ("wrong password", TestClient { key: Key::short_term("wrong"), ..good.clone() }, Some(401), false),
        ("unknown name", TestClient { username: "juliet".into(), ..good.clone() }, Some(401), false),
        ("name too long", TestClient { username: "9".repeat(509), ..good.clone() }, Some(401), false),
        ("expired", TestClient { username: expired.username, key: expired_key, ..good.clone() }, Some(401), false),
        ("no nonce of ours", TestClient { nonce: "nonce".into(), ..good.clone() }, Some(438), true),
        ("another source's nonce", TestClient { nonce: foreign_nonce, ..good.clone() }, Some(438), true),
        ("too old", TestClient { nonce: old_nonce, ..good.clone() }, Some(438), true),
        ("another port's nonce", TestClient { nonce: other_port, ..good.clone() }, None, true),
    ];
    for (port, (what, mut client, code, is_signed)) in table.into_iter().enumerate() {
        client.client.remote.port = 1_000 + port as u16;
        let answer = bench.ask(&client, Ask::allocate());
        assert_eq!((answer.code(), answer.message().has_integrity()), (code, is_signed), "{what}");
        let has_challenge = answer.message().get(AttributeType::NONCE).is_some() && answer.message().get(AttributeType::REALM).is_some();
        assert_eq!(has_challenge, code.is_some(), "{what}");
    }
}

#[test]
fn rfc8489_s9_2_4_integrity_without_name_realm_or_nonce_is_400() {
    let mut bench = Bench::new();
    let client = bench.client();
    let all = [
        (AttributeType::USERNAME, client.username.as_bytes()),
        (AttributeType::REALM, b"example.org"),
        (AttributeType::NONCE, client.nonce.as_bytes()),
    ];
    for (left_out, _) in all {
        let mut writer = Ask::allocate().writer();
        for (kind, value) in all.iter().filter(|(kind, _)| *kind != left_out) {
            writer.attribute(*kind, value);
        }
        writer.sign(&client.key, Integrity::Sha1);
        let answer = Answer(bench.say(client.client, &writer.finish())[0].clone());
        assert_eq!((answer.code(), answer.message().has_integrity()), (Some(400), false));
        assert!(answer.message().get(AttributeType::NONCE).is_none() && answer.message().get(AttributeType::REALM).is_none());
    }
}

#[test]
fn rfc8489_s6_3_what_is_no_request_gets_no_answer() {
    let mut bench = Bench::new();
    let client = bench.client();
    let message = |class, method| Writer::new(class, method, TransactionId([1; 12])).finish();
    for bytes in [
        message(Class::Indication, Method::BINDING),
        message(Class::Indication, Method::DATA),
        message(Class::Indication, Method::ALLOCATE),
        message(Class::Success, Method::BINDING),
        message(Class::Error, Method::ALLOCATE),
        message(Class::Request, Method::SEND),
        message(Class::Request, Method(0x00A)),
        message(Class::Request, Method(0xFFF)),
    ] {
        assert!(bench.say(client.client, &bytes).is_empty());
    }
}

#[test]
fn unauthenticated_answers_to_one_source_are_bounded_over_udp() {
    let mut bench = Bench::with(Settings::default(), Limits { answers_burst: 10, answers_per_second: 1, ..Limits::default() });
    let client = bench.client();
    let mut count = |via, bytes: &[u8]| (0..50).filter(|_| !bench.say(Client { via, ..client.client }, bytes).is_empty()).count();
    let binding = Ask::new(Method::BINDING).writer().finish();
    assert_eq!(count(Via::Udp(0), &binding), 10);
    assert_eq!(count(Via::Udp(0), &Ask::allocate().writer().finish()), 0);
    assert_eq!(count(Via::Tcp(1), &binding), 50);
    assert!(bench.ask(&client, Ask::allocate()).code().is_none(), "who has credentials is served");
    let stale = TestClient { nonce: "stale".into(), ..client };
    assert!(bench.say(stale.client, &stale.sign(Ask::allocate())).is_empty(), "a replayed request reflects nothing");
}

// RFC 8656 §7: Allocate.

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
        (transport(&[6, 0, 0, 0]), 442),
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
fn s7_2_no_port_left_is_508_and_recovers() {
    let mut bench = Bench::new();
    let mut taken: Vec<u16> = std::iter::from_fn(|| bench.registry.ports.take(Family::V4, PortKind::Any, || 0)).collect();
    let client = bench.client();
    assert_eq!(bench.ask(&client, Ask::allocate()).code(), Some(508));
    assert!(bench.server.is_idle());
    bench.registry.ports.release(Family::V4, taken.pop().unwrap());
    bench.allocate(&client);
}

// §5, §8: using and refreshing.

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
fn a_running_allocation_outlives_its_credentials() {
    let mut bench = Bench::with(Settings { credentials: Duration::from_secs(60), ..Settings::default() }, Limits::default());
    let client = bench.client();
    bench.allocate(&client);
    bench.pass(300);
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH)).code(), None);
    let mut second = client.clone();
    second.client.remote.port += 1;
    assert_eq!(bench.ask(&second, Ask::allocate()).code(), Some(401));
}

// §9 to §12: permissions and channels.

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
    // Unbound, both halves may be bound anew.
    assert_eq!(bench.bind(&client, 0x4001, "8.8.8.8:1"), None);
    assert_eq!(bench.bind(&client, 0x4000, "8.8.8.8:2"), None);
    assert_eq!(bench.send_on(&client, 0x4001).as_deref(), Some("8.8.8.8:1"));
}

// Relay to relay.

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

// Calls, accounts, connections.

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
    bench.server.observe(key.index, Direction::ToPeer, &[0; 100], bench.now.at);
    bench.server.publish_quality();
    assert_eq!(bench.registry.quality(CallId(1)).unwrap().relays[0].to_peer.packets, 1);
    bench.server.observe(key.index, Direction::ToPeer, &[0; 100], bench.now.at);
    assert_eq!(bench.ask(&client, Ask::new(Method::REFRESH).lifetime(0)).code(), None);
    let quality = bench.registry.quality(CallId(1)).unwrap();
    assert_eq!((quality.relays[0].relayed, quality.relays[0].to_peer.bytes), (relayed, 200));
    assert_eq!(quality.relays[0].account.as_ref(), ACCOUNT);
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
    let mut bench = Bench::new();
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

// Properties.

proptest! {
    /// Whatever bytes come, nothing is relayed and nobody gets a success but for a Binding request.
    #[test]
    fn garbage_gets_no_success(bytes in proptest::collection::vec(any::<u8>(), 0..120), head in 0..8usize) {
        let heads: [&[u8]; 8] = [
            &[], &[0, 1], &[0, 3, 0, 8], &[0, 4], &[0, 8], &[0, 9], &[0, 0x16], &[0x40, 0],
        ];
        let mut bench = Bench::new();
        let client = bench.client();
        bench.allocate(&client);
        let mut bytes = [heads[head], bytes.as_slice()].concat();
        for is_mended in [false, true] {
            if is_mended && bytes.len() >= 20 {
                bytes.truncate(bytes.len() & !3);
                let length = (bytes.len() - 20) as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[4..8].copy_from_slice(&campanile_ice::stun::MAGIC_COOKIE.to_be_bytes());
            }
            prop_assert_eq!(bench.server.handle_channel_data(client.client, &bytes, bench.now.at), None);
            prop_assert_eq!(bench.server.handle_message(client.client, &bytes, bench.now), None);
            bench.work();
            for (_, answer) in bench.sent.drain(..) {
                let answer = Message::parse(&answer).unwrap();
                prop_assert!(answer.class() == Class::Error || answer.method() == Method::BINDING || answer.method() == Method::ALLOCATE);
            }
        }
        prop_assert_eq!(bench.server.allocations.len(), 1);
    }

    /// A signed request with any byte changed does nothing.
    #[test]
    fn altered_requests_do_nothing(at in any::<prop::sample::Index>(), flip in 1..=255u8, which in 0..3usize) {
        let mut bench = Bench::new();
        let client = bench.client();
        if which > 0 {
            bench.allocate(&client);
        }
        let request = [Ask::allocate(), Ask::new(Method::REFRESH).lifetime(0), Ask::new(Method::CHANNEL_BIND).channel(0x4000).peer("8.8.8.8:1")][which].clone();
        let mut bytes = client.sign(request);
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        let before = (bench.server.allocations.len(), bench.server.flows.len());
        bench.server.handle_message(client.client, &bytes, bench.now);
        bench.work();
        prop_assert_eq!((bench.server.allocations.len(), bench.server.flows.len()), before);
        for (_, answer) in bench.sent.drain(..) {
            let answer = Message::parse(&answer).unwrap();
            // The type field may turn it into a Binding request, which anyone may make.
            prop_assert!(answer.class() == Class::Error || answer.method() == Method::BINDING);
        }
    }

    /// The server agrees with a model of permissions and channels over random requests and time: no byte passes without a permission.
    #[test]
    fn a_model_agrees(steps in proptest::collection::vec((0..7u8, 0..3usize, 0..3u16, 0..200u64), 1..60)) {
        let peers = ["8.8.8.1:1", "8.8.8.1:2", "8.8.8.2:1"];
        let mut bench = Bench::new();
        let mut client = bench.client();
        let start = bench.now.at;
        let mut model = Model::default();
        for (what, peer, number, seconds) in steps {
            let channel = 0x4000 + number;
            let name = peers[peer];
            let now = bench.now.at.duration_since(start).as_secs();
            client.nonce = bench.auth.nonce(client.client.remote.into(), bench.now.time);
            model.expire(now);
            match what {
                0 => {
                    let code = bench.ask(&client, Ask::allocate()).code();
                    prop_assert_eq!(code, model.allocated.map(|_| 437));
                    model.allocated.get_or_insert(now + 600);
                }
                1 => {
                    let code = bench.permit(&client, name);
                    prop_assert_eq!(code, model.needs_allocation());
                    if code.is_none() {
                        model.permit(ip(name), now + 300);
                    }
                }
                2 => {
                    let conflict = model.channels.iter().any(|(bound, (to, _))| (*bound == channel) != (*to == name));
                    let expected = model.needs_allocation().or(conflict.then_some(400));
                    prop_assert_eq!(bench.bind(&client, channel, name), expected);
                    if expected.is_none() {
                        model.channels.insert(channel, (name, now + 600));
                        model.permit(ip(name), now + 600);
                    }
                }
                3 => {
                    let code = bench.ask(&client, Ask::new(Method::REFRESH).lifetime(if number == 0 { 0 } else { 700 })).code();
                    prop_assert_eq!(code, model.needs_allocation());
                    match number {
                        0 => model = Model::default(),
                        _ => model.allocated = model.allocated.map(|_| now + 700),
                    }
                }
                _ => bench.pass(seconds),
            }
            let now = bench.now.at.duration_since(start).as_secs();
            model.expire(now);
            for name in peers {
                prop_assert_eq!(bench.send(&client, name).is_some(), model.permissions.contains_key(ip(name)));
                let from = bench.hear_peer(bench.next_socket, name);
                prop_assert_eq!(from.is_some(), model.permissions.contains_key(ip(name)));
                let is_bound = model.channels.values().any(|(to, _)| *to == name);
                prop_assert_eq!(matches!(from, Some(DeliveryHeader::Channel(_))), is_bound && from.is_some());
            }
            for channel in 0x4000..0x4003 {
                let expected = model.channels.get(&channel).filter(|(to, _)| model.permissions.contains_key(ip(to)));
                prop_assert_eq!(bench.send_on(&client, channel), expected.map(|(to, _)| to.to_string()));
            }
        }
    }
}

#[derive(Default)]
struct Model {
    allocated: Option<u64>,
    permissions: Map<&'static str, u64>,
    channels: Map<u16, (&'static str, u64)>,
}

impl Model {
    fn permit(&mut self, ip: &'static str, until: u64) {
        let known = self.permissions.entry(ip).or_default();
        *known = until.max(*known);
    }

    fn expire(&mut self, now: u64) {
        self.permissions.retain(|_, until| *until > now);
        self.channels.retain(|_, (_, until)| *until > now);
        if self.allocated.is_some_and(|until| until <= now) {
            *self = Self::default();
        }
    }

    fn needs_allocation(&self) -> Option<u16> {
        if self.allocated.is_some() { None } else { Some(437) }
    }
}

fn ip(peer: &'static str) -> &'static str {
    peer.split_once(':').unwrap().0
}
