//! A server with the shell played by the test, clients with credentials, requests and their answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm, user_hash};
use campanile_ice::stun::turn::Family;
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, TransactionId, Writer};

use crate::datapath::flow::{Client, SocketId, Via};
use crate::settings::{Limits, Settings};
use crate::turn::auth::{Auth, Credentials};
use crate::turn::data_connections::DataConnectionKey;
use crate::turn::fence::Fence;
use crate::turn::peers::PeerRules;
use crate::turn::ports::{Home, PortKind, Ports};
use crate::turn::registry::{Hosts, Registry};
use crate::turn::server::{DeliveryHeader, Now, Opened, Output, Route, Server, Wanted};
use crate::turn::sessions::{RelaySession, SessionTag};

pub(super) const ACCOUNT: &str = "juliet@example.org";
pub(super) const WORKER: u16 = 3;
pub(super) const LOCAL: &str = "192.0.2.1:3478";

/// A session by number.
pub(super) fn session(number: u8) -> RelaySession {
    RelaySession { tag: SessionTag::new([number; 8]), party: format!("{ACCOUNT}/{number}").into() }
}

/// A server with the shell played by the test.
pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) auth: Arc<Auth>,
    pub(super) registry: Arc<Registry>,
    pub(super) now: Now,
    pub(super) next_socket: u32,
    pub(super) closed: Vec<SocketId>,
    pub(super) disconnected: Vec<u64>,
    pub(super) sent: Vec<(Client, Vec<u8>)>,
    /// Data connections that the shell is to make, from and to where.
    pub(super) connects: Vec<(DataConnectionKey, SocketAddr, SocketAddr)>,
    /// What another worker is to be given, and to be told.
    pub(super) passed_on: Vec<(u16, Client, Vec<u8>)>,
    pub(super) expected: Vec<(u16, Client, bool)>,
    /// Clients that became data connections.
    pub(super) bound: Vec<(Client, u32)>,
    /// What becomes of every attempt to open a socket.
    pub(super) refusal: Option<ErrorCode>,
}

/// A client with its credentials.
#[derive(Clone)]
pub(super) struct TestClient {
    pub(super) client: Client,
    pub(super) username: String,
    pub(super) key: Key,
    pub(super) nonce: String,
    /// PASSWORD-ALGORITHM, with MESSAGE-INTEGRITY-SHA256; none for a client of RFC 5389.
    pub(super) algorithm: Option<PasswordAlgorithm>,
    /// Sends USERHASH in place of USERNAME.
    pub(super) is_anonymous: bool,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Settings::default(), Limits::default())
    }

    pub(super) fn with(settings: Settings, limits: Limits) -> Self {
        let start = Instant::now();
        let rest_secret = settings.rest_secret.as_deref();
        let auth = Arc::new(Auth::new("example.org".into(), &[1; 32], rest_secret, settings.credentials));
        let mut registry = Registry::new(
            Ports::new(50_000..=50_999, &settings.public_addresses),
            PeerRules::new(settings.allow_peers, settings.deny_peers),
            limits,
            Hosts::new(["192.0.2.1", "127.0.0.1", "2001:db8::1", "::1"].map(|ip| ip.parse().unwrap())),
        );
        registry.fence = Fence::new(settings.fence);
        let registry = Arc::new(registry);
        Self::of(WORKER, auth, registry, settings.call_grace, start)
    }

    /// Another worker of the same relay.
    pub(super) fn beside(&self, worker: u16) -> Self {
        let mut other = Self::of(worker, self.auth.clone(), self.registry.clone(), Duration::from_secs(10), self.now.at);
        other.now = self.now;
        other
    }

    /// The same with other keys.
    pub(super) fn with_auth(self, auth: Arc<Auth>) -> Self {
        Self::of(WORKER, auth, self.registry, Duration::from_secs(10), self.now.at)
    }

    fn of(worker: u16, auth: Arc<Auth>, registry: Arc<Registry>, call_grace: Duration, start: Instant) -> Self {
        let server = Server::new(worker, auth.clone(), registry.clone(), call_grace, [9; 32], start);
        let now = Now { at: start, time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        Self {
            server,
            auth,
            registry,
            now,
            next_socket: 0,
            closed: Vec::new(),
            disconnected: Vec::new(),
            sent: Vec::new(),
            connects: Vec::new(),
            passed_on: Vec::new(),
            expected: Vec::new(),
            bound: Vec::new(),
            refusal: None,
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now.at += Duration::from_secs(seconds);
        self.now.time += Duration::from_secs(seconds);
        self.server.handle_timeout(self.now.at);
        self.work();
        self.registry.sweep(self.now.at);
    }

    /// Plays the shell until the server wants nothing more.
    pub(super) fn work(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { client, message } => self.sent.push((client, message)),
                Output::Close(socket) => self.closed.push(socket),
                Output::Disconnect(id) => self.disconnected.push(id),
                Output::Connect { connection, from, to, .. } => self.connects.push((connection, from, to)),
                Output::PassOn { worker, client, message } => self.passed_on.push((worker, client, message)),
                Output::Expect { worker, client, is_ours } => self.expected.push((worker, client, is_ours)),
                Output::Bind { client, connection } => self.bound.push((client, connection)),
                Output::Open { opening, wanted } => {
                    let code = self.refusal.unwrap_or(ErrorCode::INSUFFICIENT_CAPACITY);
                    let opened = if self.refusal.is_some() { None } else { self.open(wanted) };
                    let opened = opened.ok_or((wanted, code));
                    self.server.handle_opened(opening, opened, self.now);
                }
            }
        }
    }

    pub(super) fn open(&mut self, wanted: Wanted) -> Option<Opened> {
        let (bound, token) = match wanted {
            Wanted::Reserved(token) => (self.registry.redeem(token)?.1, None),
            Wanted::Listen(ip) => {
                let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
                let port = self.registry.ports.take(family, PortKind::Any, || self.server.random())?;
                self.next_socket += 1;
                return Some(Opened { socket: SocketId::tcp(self.next_socket), bound: SocketAddr::new(ip, port), token: None });
            }
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
        self.next_socket += 1;
        let socket = SocketId(self.next_socket);
        assert!(self.registry.ports.publish(bound, Home { worker: WORKER, socket }));
        Some(Opened { socket, bound, token })
    }

    /// A UDP client with fresh credentials of an account and a good nonce.
    pub(super) fn client_of(&self, account: &str, remote: &str) -> TestClient {
        self.client_showing(&self.auth.issue(account, self.now.time, [5; 12]), remote)
    }

    /// A client with the credentials that were issued to a session.
    pub(super) fn client_of_session(&self, account: &str, session: &RelaySession, remote: &str) -> TestClient {
        self.client_showing(&self.auth.issue_to(account, Some(session), self.now.time, [6; 12]), remote)
    }

    fn client_showing(&self, credentials: &Credentials, remote: &str) -> TestClient {
        let remote: SocketAddr = remote.parse().unwrap();
        let local: SocketAddr = if remote.is_ipv4() { LOCAL.parse().unwrap() } else { "[2001:db8::1]:3478".parse().unwrap() };
        TestClient {
            client: Client { via: Via::Udp(0), remote: remote.into(), local: local.into() },
            key: Key::long_term(&credentials.username, "example.org", &credentials.password, PasswordAlgorithm::Md5).unwrap(),
            username: credentials.username.clone(),
            nonce: self.auth.nonce(remote, self.now.time),
            algorithm: None,
            is_anonymous: false,
        }
    }

    /// The same for a client of RFC 8489: it names an algorithm.
    pub(super) fn client_with(&self, algorithm: PasswordAlgorithm, remote: &str) -> TestClient {
        let client = self.client_of(ACCOUNT, remote);
        let password = self.auth.owner(&client.username, self.now.time).unwrap_or_else(|error| panic!("{error:?}")).password;
        let key = Key::long_term(&client.username, "example.org", &password, algorithm).unwrap();
        TestClient { key, algorithm: Some(algorithm), ..client }
    }

    pub(super) fn client(&self) -> TestClient {
        self.client_of(ACCOUNT, "198.51.100.9:40000")
    }

    pub(super) fn say(&mut self, client: Client, bytes: &[u8]) -> Vec<Vec<u8>> {
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
    pub(super) fn ask(&mut self, client: &TestClient, request: Ask) -> Answer {
        let answers = self.say(client.client, &client.sign(request));
        assert_eq!(answers.len(), 1);
        let answer = Answer(answers[0].clone());
        let message = answer.message();
        assert!(message.has_fingerprint());
        if message.has_integrity() {
            assert!(message.verify(&client.key), "signed with the key of the request");
            assert_eq!(message.integrity(), Some(client.integrity()), "and as the request demands");
        } else {
            assert_eq!(answer.code(), Some(401));
        }
        answer
    }

    pub(super) fn allocate(&mut self, client: &TestClient) -> SocketAddr {
        let answer = self.ask(client, Ask::allocate());
        assert_eq!(answer.code(), None);
        answer.address(AttributeType::XOR_RELAYED_ADDRESS).unwrap()
    }

    pub(super) fn permit(&mut self, client: &TestClient, peer: &str) -> Option<u16> {
        self.ask(client, Ask::new(Method::CREATE_PERMISSION).peer(peer)).code()
    }

    pub(super) fn bind(&mut self, client: &TestClient, channel: u16, peer: &str) -> Option<u16> {
        self.ask(client, Ask::new(Method::CHANNEL_BIND).channel(channel).peer(peer)).code()
    }

    /// Where a Send indication goes.
    pub(super) fn send(&mut self, client: &TestClient, peer: &str) -> Option<Route> {
        let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([2; 12]));
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer.parse().unwrap());
        writer.attribute(AttributeType::DATA, b"payload");
        let bytes = writer.finish();
        let route = self.server.handle_message(client.client, &bytes, self.now)?;
        assert_eq!(&bytes[route.payload.clone()], b"payload");
        Some(route)
    }

    pub(super) fn send_on(&mut self, client: &TestClient, channel: u16) -> Option<String> {
        let [high, low] = channel.to_be_bytes();
        let route = self.server.handle_channel_data(client.client, &[high, low, 0, 2, 7, 7], self.now.at)?;
        assert_eq!(route.payload, 4..6);
        Some(SocketAddr::from(route.to).to_string())
    }

    pub(super) fn hear_peer(&mut self, socket: u32, peer: &str) -> Option<DeliveryHeader> {
        let peer: SocketAddr = peer.parse().unwrap();
        self.server.handle_peer(SocketId(socket), peer.into(), self.now.at).map(|delivery| delivery.header)
    }
}

/// A request before it is signed.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) transaction: [u8; 12],
    pub(super) attributes: Vec<(AttributeType, Vec<u8>)>,
    pub(super) peers: Vec<SocketAddr>,
}

impl Ask {
    pub(super) fn new(method: Method) -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&number.to_be_bytes());
        Self { method, transaction, attributes: Vec::new(), peers: Vec::new() }
    }

    pub(super) fn allocate() -> Self {
        Self::new(Method::ALLOCATE).with(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    }

    pub(super) fn with(mut self, kind: AttributeType, value: &[u8]) -> Self {
        self.attributes.push((kind, value.to_vec()));
        self
    }

    pub(super) fn lifetime(self, seconds: u32) -> Self {
        self.with(AttributeType::LIFETIME, &seconds.to_be_bytes())
    }

    pub(super) fn channel(self, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        self.with(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0])
    }

    pub(super) fn peer(mut self, peer: &str) -> Self {
        self.peers.push(peer.parse().unwrap());
        self
    }

    pub(super) fn writer(&self) -> Writer {
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
    pub(super) fn sign(&self, request: Ask) -> Vec<u8> {
        let mut writer = request.writer();
        match self.is_anonymous {
            true => writer.attribute(AttributeType::USERHASH, &user_hash(&self.username, "example.org").unwrap()),
            false => writer.attribute(AttributeType::USERNAME, self.username.as_bytes()),
        };
        writer.attribute(AttributeType::REALM, b"example.org");
        writer.attribute(AttributeType::NONCE, self.nonce.as_bytes());
        if let Some(algorithm) = self.algorithm {
            writer.attribute(AttributeType::PASSWORD_ALGORITHMS, &PasswordAlgorithm::OFFER);
            writer.attribute(AttributeType::PASSWORD_ALGORITHM, &algorithm.value());
        }
        writer.sign(&self.key, self.integrity());
        writer.finish()
    }

    /// What requests are signed with, and their answers.
    pub(super) fn integrity(&self) -> Integrity {
        if self.algorithm.is_some() { Integrity::Sha256 } else { Integrity::Sha1 }
    }
}

#[derive(Debug)]
pub(super) struct Answer(pub(super) Vec<u8>);

impl Answer {
    pub(super) fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }

    /// The error code; none for a success.
    pub(super) fn code(&self) -> Option<u16> {
        let message = self.message();
        match message.class() {
            Class::Success => None,
            Class::Error => Some(message.error_code().unwrap().0),
            other => panic!("an answer of class {other:?}"),
        }
    }

    pub(super) fn address(&self, kind: AttributeType) -> Option<SocketAddr> {
        self.message().get_xor_address(kind).unwrap()
    }

    pub(super) fn lifetime(&self) -> Option<u32> {
        self.message().lifetime_s().unwrap()
    }
}
