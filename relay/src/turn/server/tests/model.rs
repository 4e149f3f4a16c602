//! RFC 8656 §5 to §12: over random sequences of requests and time the server agrees with a model of a few lines, and no byte is relayed without
//! a permission.

use std::collections::BTreeMap as Map;
use std::net::{IpAddr, SocketAddr};

use campanile_ice::stun::integrity::Key;
use campanile_ice::stun::turn::{Family, Icmp};
use campanile_ice::stun::{AttributeType, Method};
use proptest::prelude::*;

use super::bench::{ACCOUNT, Ask, Bench, TestClient};
use crate::datapath::flow::SocketId;
use crate::turn::server::{DeliveryHeader, ip_family};

/// The last one is forbidden.
const PEERS: [&str; 6] = ["8.8.8.1:1", "8.8.8.1:2", "8.8.8.2:1", "[2600::1]:1", "[2600::2]:1", "127.0.0.1:1"];
const CHANNELS: [u16; 4] = [0x4000, 0x4001, 0x7FFF, 0x3FFF];
/// Two of one account, and another's.
const CLIENTS: [(&str, &str); 3] = [(ACCOUNT, "198.51.100.9:1"), (ACCOUNT, "198.51.100.9:2"), ("romeo@example.org", "[2001:db8:9::9]:3")];

#[derive(Clone, Debug)]
enum Step {
    Allocate(Kind),
    Refresh { lifetime: Option<u32>, family: Option<Family> },
    Permit(Vec<usize>),
    Bind(usize, usize),
    Fraud(Fraud),
    Pass(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    OfFamily(Family),
    Dual,
    EvenPair,
    /// With the last token that anyone was given.
    Reserved,
}

#[derive(Clone, Copy, Debug)]
enum Fraud {
    WrongPassword,
    StaleNonce,
    /// Good credentials of another account on this client's 5-tuple.
    AnotherUser,
}

fn step() -> impl Strategy<Value = Step> {
    let family = || prop_oneof![Just(Family::V4), Just(Family::V6)];
    let kind = prop_oneof![
        2 => Just(Kind::Plain),
        1 => family().prop_map(Kind::OfFamily),
        2 => Just(Kind::Dual),
        2 => Just(Kind::EvenPair),
        3 => Just(Kind::Reserved),
    ];
    let lifetime = prop_oneof![2 => Just(None), 1 => Just(Some(0)), 2 => (0..5_000u32).prop_map(Some)];
    prop_oneof![
        4 => kind.prop_map(Step::Allocate),
        2 => (lifetime, proptest::option::of(family())).prop_map(|(lifetime, family)| Step::Refresh { lifetime, family }),
        3 => proptest::collection::vec(0..PEERS.len(), 0..4).prop_map(Step::Permit),
        4 => (0..CHANNELS.len(), 0..PEERS.len()).prop_map(|(channel, peer)| Step::Bind(channel, peer)),
        1 => prop_oneof![Just(Fraud::WrongPassword), Just(Fraud::StaleNonce), Just(Fraud::AnotherUser)].prop_map(Step::Fraud),
        3 => (0..20u64).prop_map(Step::Pass),
        3 => (0..400u64).prop_map(Step::Pass),
        // Where something ends, and a second before.
        3 => prop::sample::select(vec![1, 29, 30, 299, 300, 599, 600]).prop_map(Step::Pass),
    ]
}

/// What the RFC says, with times in seconds from the start.
#[derive(Default)]
struct Model {
    now: u64,
    allocations: [Option<Allocation>; CLIENTS.len()],
    token: Option<Token>,
}

#[derive(Default)]
struct Allocation {
    /// By family, when each ends.
    relays: Map<bool, u64>,
    permissions: Map<IpAddr, u64>,
    channels: Map<u16, (SocketAddr, u64)>,
}

#[derive(Clone, Copy)]
struct Token {
    value: [u8; 8],
    of: usize,
    until: u64,
}

impl Model {
    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let now = self.now;
        for client in 0..CLIENTS.len() {
            let ended: Vec<bool> = match &self.allocations[client] {
                Some(allocation) => allocation.relays.iter().filter(|(_, until)| **until <= now).map(|(is_v6, _)| *is_v6).collect(),
                None => continue,
            };
            self.end(client, &ended);
            if let Some(allocation) = &mut self.allocations[client] {
                allocation.permissions.retain(|_, until| *until > now);
                // §12: held for five minutes more.
                allocation.channels.retain(|_, (_, until)| *until + 300 > now);
            }
        }
        self.token = self.token.filter(|token| token.until > now);
    }

    fn end(&mut self, client: usize, families: &[bool]) {
        let Some(allocation) = &mut self.allocations[client] else { return };
        for is_v6 in families {
            allocation.relays.remove(is_v6);
            allocation.permissions.retain(|ip, _| ip.is_ipv6() != *is_v6);
            allocation.channels.retain(|_, (peer, _)| peer.is_ipv6() != *is_v6);
        }
        if allocation.relays.is_empty() {
            self.allocations[client] = None;
            self.token = self.token.filter(|token| token.of != client);
        }
    }

    /// The error code of §7.2.
    fn allocate(&mut self, client: usize, kind: Kind) -> Option<u16> {
        if self.allocations[client].is_some() {
            return Some(437);
        }
        if kind == Kind::Reserved {
            let is_good = self.token.is_some_and(|token| CLIENTS[token.of].0 == CLIENTS[client].0);
            if !is_good {
                return Some(508);
            }
            self.token = None;
        }
        let families: &[bool] = match kind {
            Kind::Plain | Kind::EvenPair | Kind::Reserved | Kind::OfFamily(Family::V4) => &[false],
            Kind::OfFamily(Family::V6) => &[true],
            Kind::Dual => &[false, true],
        };
        let relays = families.iter().map(|is_v6| (*is_v6, self.now + 600)).collect();
        self.allocations[client] = Some(Allocation { relays, ..Allocation::default() });
        None
    }

    /// §8.2.
    fn refresh(&mut self, client: usize, lifetime: Option<u32>, family: Option<Family>) -> Option<u16> {
        let Some(allocation) = &mut self.allocations[client] else { return Some(437) };
        let meant: Vec<bool> = match family {
            Some(family) => vec![family == Family::V6],
            None => allocation.relays.keys().copied().collect(),
        };
        if !meant.iter().all(|is_v6| allocation.relays.contains_key(is_v6)) {
            return Some(443);
        }
        match lifetime {
            Some(0) => self.end(client, &meant),
            lifetime => {
                let until = self.now + u64::from(lifetime.unwrap_or(600).clamp(600, 3_600));
                allocation.relays.extend(meant.into_iter().map(|is_v6| (is_v6, until)));
            }
        }
        None
    }

    /// §10.2.
    fn permit(&mut self, client: usize, peers: &[SocketAddr]) -> Option<u16> {
        let now = self.now;
        let Some(allocation) = &mut self.allocations[client] else { return Some(437) };
        if peers.is_empty() {
            return Some(400);
        }
        if let Some(code) = peers.iter().find_map(|peer| allocation.judge(*peer)) {
            return Some(code);
        }
        peers.iter().for_each(|peer| allocation.permit(peer.ip(), now + 300));
        None
    }

    /// §12.2. The permission lasts as long as the channel (docs/deviations.md).
    fn bind(&mut self, client: usize, channel: u16, peer: SocketAddr) -> Option<u16> {
        let now = self.now;
        let Some(allocation) = &mut self.allocations[client] else { return Some(437) };
        let is_taken = allocation.channels.iter().any(|(bound, (to, _))| (*bound == channel) != (*to == peer));
        if !(0x4000..0x8000).contains(&channel) || is_taken {
            return Some(400);
        }
        if let Some(code) = allocation.judge(peer) {
            return Some(code);
        }
        allocation.channels.insert(channel, (peer, now + 600));
        allocation.permit(peer.ip(), now + 600);
        None
    }

    fn is_permitted(&self, client: usize, ip: IpAddr) -> bool {
        self.allocations[client].as_ref().is_some_and(|allocation| allocation.permissions.contains_key(&ip))
    }

    /// The channel that is live for a peer.
    fn channel(&self, client: usize, peer: SocketAddr) -> Option<u16> {
        let channels = &self.allocations[client].as_ref()?.channels;
        channels.iter().find(|(_, (to, until))| *to == peer && *until > self.now).map(|(channel, _)| *channel)
    }
}

impl Allocation {
    fn judge(&self, peer: SocketAddr) -> Option<u16> {
        match self.relays.contains_key(&peer.is_ipv6()) {
            false => Some(443),
            true => peer.ip().is_loopback().then_some(403),
        }
    }

    fn permit(&mut self, ip: IpAddr, until: u64) {
        let known = self.permissions.entry(ip).or_default();
        *known = until.max(*known);
    }
}

struct World {
    bench: Bench,
    model: Model,
    clients: Vec<TestClient>,
}

impl World {
    fn new() -> Self {
        let bench = Bench::new();
        let clients = CLIENTS.iter().map(|(account, remote)| bench.client_of(account, remote)).collect();
        Self { bench, model: Model::default(), clients }
    }

    /// Takes a step on both sides.
    fn take(&mut self, client: usize, step: Step) -> Result<(), TestCaseError> {
        let asked = format!("{client} {step:?} at {}", self.model.now);
        let (code, expected) = match step {
            Step::Allocate(kind) => {
                let token = self.model.token.map_or([0; 8], |token| token.value);
                let answer = self.ask(client, allocate(kind, token));
                let expected = self.model.allocate(client, kind);
                if let Some(value) = answer.message().reservation_token().unwrap() {
                    prop_assert!(kind == Kind::EvenPair && answer.code().is_none());
                    self.model.token = Some(Token { value, of: client, until: self.model.now + 30 });
                }
                (answer.code(), expected)
            }
            Step::Refresh { lifetime, family } => {
                let mut ask = Ask::new(Method::REFRESH);
                ask = lifetime.into_iter().fold(ask, Ask::lifetime);
                let family_value = |family: Family| [family.code(), 0, 0, 0];
                ask = family.into_iter().fold(ask, |ask, family| ask.with(AttributeType::REQUESTED_ADDRESS_FAMILY, &family_value(family)));
                (self.ask(client, ask).code(), self.model.refresh(client, lifetime, family))
            }
            Step::Permit(peers) => {
                let ask = peers.iter().fold(Ask::new(Method::CREATE_PERMISSION), |ask, peer| ask.peer(PEERS[*peer]));
                let peers: Vec<SocketAddr> = peers.iter().map(|peer| address(PEERS[*peer])).collect();
                (self.ask(client, ask).code(), self.model.permit(client, &peers))
            }
            Step::Bind(channel, peer) => {
                let (channel, peer) = (CHANNELS[channel], PEERS[peer]);
                let ask = Ask::new(Method::CHANNEL_BIND).channel(channel).peer(peer);
                (self.ask(client, ask).code(), self.model.bind(client, channel, address(peer)))
            }
            Step::Fraud(fraud) => {
                let honest = &self.clients[client];
                let (fraud, expected) = match fraud {
                    Fraud::WrongPassword => (TestClient { key: Key::short_term("guessed"), ..honest.clone() }, 401),
                    Fraud::StaleNonce => (TestClient { nonce: "stale".into(), ..honest.clone() }, 438),
                    Fraud::AnotherUser => {
                        let other = self.bench.client_of("nurse@example.org", CLIENTS[client].1);
                        (other, if self.model.allocations[client].is_some() { 441 } else { 437 })
                    }
                };
                (self.bench.ask(&fraud, Ask::new(Method::REFRESH).lifetime(0)).code(), Some(expected))
            }
            Step::Pass(seconds) => {
                self.bench.pass(seconds);
                self.model.pass(seconds);
                (None, None)
            }
        };
        prop_assert_eq!(code, expected, "{}", asked);
        Ok(())
    }

    fn ask(&mut self, client: usize, ask: Ask) -> super::bench::Answer {
        let nonce = self.bench.auth.nonce(address(CLIENTS[client].1), self.bench.now.time);
        self.clients[client].nonce = nonce;
        let client = self.clients[client].clone();
        self.bench.ask(&client, ask)
    }

    /// The socket of a client's relayed address, as the server has it.
    fn socket(&self, client: usize, peer: SocketAddr) -> Option<SocketId> {
        let index = *self.bench.server.by_client.get(&self.clients[client].client)?;
        self.bench.server.allocations[index as usize].relay(ip_family(peer.ip())).map(|relay| relay.socket)
    }

    /// What passes is what the model lets pass: by indications, by channels, from peers, and errors about peers.
    fn check(&mut self) -> Result<(), TestCaseError> {
        for number in 0..CLIENTS.len() {
            let client = self.clients[number].clone();
            for name in PEERS {
                let peer = address(name);
                let is_permitted = self.model.is_permitted(number, peer.ip());
                let socket = self.socket(number, peer);
                let has_relay =
                    self.model.allocations[number].as_ref().is_some_and(|allocation| allocation.relays.contains_key(&peer.is_ipv6()));
                prop_assert_eq!(socket.is_some(), has_relay);
                let sent = self.bench.send(&client, name).map(|route| (Some(route.socket), SocketAddr::from(route.to)));
                prop_assert_eq!(sent, is_permitted.then_some((socket, peer)), "{} to {}", number, name);
                let Some(socket) = socket else { continue };
                let heard = self.bench.server.handle_peer(socket, peer.into(), self.bench.now.at);
                prop_assert_eq!(heard.map(|delivery| delivery.client), is_permitted.then_some(client.client));
                let channel = heard.and_then(|delivery| match delivery.header {
                    DeliveryHeader::Channel(channel) => Some(channel.number()),
                    DeliveryHeader::Data(_) => None,
                });
                prop_assert_eq!(channel, self.model.channel(number, peer).filter(|_| is_permitted), "{} from {}", number, name);
                let icmp = Icmp { kind: if peer.is_ipv4() { 3 } else { 1 }, code: 3, error_data: 0 };
                self.bench.server.handle_icmp(socket, peer.into(), icmp, self.bench.now.at);
                self.bench.sent.clear();
                self.bench.work();
                let told: Vec<_> = self.bench.sent.drain(..).map(|(to, _)| to).collect();
                prop_assert_eq!(told, Vec::from_iter(is_permitted.then_some(client.client)));
            }
            for channel in CHANNELS {
                let bound = PEERS.into_iter().find(|peer| self.model.channel(number, address(peer)) == Some(channel));
                let expected = bound.filter(|peer| self.model.is_permitted(number, address(peer).ip()));
                let sent = self.bench.send_on(&client, channel);
                prop_assert_eq!(sent.as_deref(), expected);
            }
        }
        Ok(())
    }
}

fn allocate(kind: Kind, token: [u8; 8]) -> Ask {
    match kind {
        Kind::Plain => Ask::allocate(),
        Kind::OfFamily(family) => Ask::allocate().with(AttributeType::REQUESTED_ADDRESS_FAMILY, &[family.code(), 0, 0, 0]),
        Kind::Dual => Ask::allocate().with(AttributeType::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]),
        Kind::EvenPair => Ask::allocate().with(AttributeType::EVEN_PORT, &[0x80]),
        Kind::Reserved => Ask::allocate().with(AttributeType::RESERVATION_TOKEN, &token),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

proptest! {
    #[test]
    fn the_server_and_the_model_agree(steps in proptest::collection::vec((0..CLIENTS.len(), step()), 1..60)) {
        let mut world = World::new();
        for (client, step) in steps {
            world.take(client, step)?;
            world.check()?;
        }
        // Whatever happened, nothing is left in the end.
        world.bench.pass(4_000);
        prop_assert!(world.bench.server.is_idle() && world.bench.server.poll_timeout().is_none());
        prop_assert_eq!(world.bench.registry.ports.usage().0, 0);
    }
}
