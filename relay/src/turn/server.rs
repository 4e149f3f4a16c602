//! RFC 8656, the server's side for the clients of one worker, and STUN Binding (RFC 8489). No I/O, no clock.
//!
//! Requests are answered through `poll_output`; packets to be relayed are returned as routes, so that the payload stays where it was
//! received. Deviation: channel numbers up to 0x7FFF are accepted (RFC 5766 §11). Not done: DONT-FRAGMENT (answered 420, as §7.2 allows), the ICMP attribute (§11.5), TCP allocations (RFC 6062), mobility
//! (RFC 8016), SHA-256 credentials.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::hmac;
use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::turn::{Channel, Family, RequestedFamily, TRANSPORT_UDP, parse_channel_data};
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Malformed, Message, Method, TransactionId, Writer};
use slab::Slab;

use super::allocation::{Allocation, CHANNEL, ChannelBinding, PERMISSION, Permission, Relay, lifetime, relay_index};
use super::auth::{Auth, BadName, account_name};
use super::budget::{AnswerBudget, source_of};
use super::ports::PortKind;
use super::registry::{AllocationKey, CallId, Full, Hosts, Registry};
use crate::datapath::flow::{Client, Flows, Inbound, Outbound, Permit, Reach, SocketId, Via};
use crate::endpoint::{Endpoint, Ip, Keyed};
use crate::quality::report::Direction;
use crate::stats::{AuthFailure, DropReason, PerTransport, Stats};

/// SOFTWARE (RFC 8489 §14.14).
const SOFTWARE: &[u8] = b"campanile";
/// Bytes of a USERNAME (RFC 8489 §14.3: "less than 509 bytes").
const USERNAME_BYTES_MAX: usize = 508;

/// Both clocks, read once per batch.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers.
    pub at: Instant,
    /// For credentials and nonces.
    pub time: SystemTime,
}

/// What the shell is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message to a client.
    Send {
        /// To whom.
        client: Client,
        /// The bytes.
        message: Vec<u8>,
    },
    /// Open a relayed socket, then call `handle_opened`.
    Open {
        /// What to call it with.
        opening: u32,
        /// Which socket.
        wanted: Wanted,
    },
    /// Close a relayed socket. Its port has been given back.
    Close(SocketId),
    /// Close a client's connection.
    Disconnect(u64),
}

/// A relayed socket to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Bind one at this address.
    Fresh(IpAddr, PortKind),
    /// Take the one that was reserved under this token.
    Reserved([u8; 8]),
}

/// An opened relayed socket.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// What it is called from now on.
    pub socket: SocketId,
    /// Where it is bound.
    pub bound: SocketAddr,
    /// The token under which the next port was reserved.
    pub token: Option<[u8; 8]>,
}

/// Where a client's packet goes: `payload` of it, out of `socket`, to `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The relayed socket.
    pub socket: SocketId,
    /// The peer, in its local form if it is a relayed address of ours.
    pub to: Endpoint,
    /// Which bytes of the packet.
    pub payload: Range<usize>,
    /// Whose counters.
    pub allocation: u32,
}

/// Where a peer's packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The client.
    pub client: Client,
    /// What stands before the payload.
    pub header: DeliveryHeader,
    /// Whose counters.
    pub allocation: u32,
}

/// How a peer's packet is handed to the client (§11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryHeader {
    /// As ChannelData.
    Channel(Channel),
    /// As a Data indication that names this peer.
    Data(Endpoint),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Allocation { index: u32, serial: u64 },
    Connection(u64),
}

/// A TCP or TLS client's connection.
struct Connection {
    client: Client,
    /// When it is closed, if it has no allocation by then.
    deadline: Instant,
    /// When its timer runs out; then the deadline is looked at.
    scheduled: Instant,
}

/// An Allocate request that waits for its sockets.
struct Opening {
    client: Client,
    transaction: TransactionId,
    username: Box<str>,
    key: Key,
    account: Arc<str>,
    source: Ip,
    /// Places in the quotas that were counted for it.
    places: usize,
    lifetime: std::time::Duration,
    /// Still to be opened, last one first.
    wanted: Vec<Wanted>,
    opened: Vec<Opened>,
    /// A family that could not be had, and why (ADDRESS-ERROR-CODE).
    missing: Option<(Family, ErrorCode)>,
}

/// A request that passed authentication.
struct Request<'a> {
    message: Message<'a>,
    client: Client,
    username: Box<str>,
    key: Key,
    account: Arc<str>,
    allocation: Option<u32>,
}

/// An error response: the code, and whether it is signed.
struct Refusal {
    code: ErrorCode,
    key: Option<Key>,
    unknown: Vec<AttributeType>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, key: None, unknown: Vec::new() }
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        ErrorCode::BAD_REQUEST.into()
    }
}

/// The server for the clients of one worker.
pub struct Server {
    worker: u16,
    auth: Arc<Auth>,
    registry: Arc<Registry>,
    call_grace: std::time::Duration,
    allocations: Slab<Allocation>,
    by_client: HashMap<Client, u32, Keyed>,
    /// Allocations with live calls.
    linked: HashSet<u32>,
    flows: Flows,
    connections: HashMap<u64, Connection>,
    /// One per allocation and one per connection, in the order in which they are due.
    timers: BTreeSet<(Instant, Timer)>,
    openings: Slab<Opening>,
    outputs: VecDeque<Output>,
    budget: AnswerBudget,
    random: Random,
    serial: u64,
    stats: Stats,
}

impl Server {
    /// A server without allocations. `seed` makes its ports and tokens unpredictable.
    pub fn new(
        worker: u16,
        auth: Arc<Auth>,
        registry: Arc<Registry>,
        call_grace: std::time::Duration,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let budget = AnswerBudget::new(registry.limits.answers_per_second, registry.limits.answers_burst, now);
        Self {
            worker,
            auth,
            registry,
            call_grace,
            allocations: Slab::new(),
            by_client: HashMap::default(),
            linked: HashSet::new(),
            flows: Flows::default(),
            connections: HashMap::new(),
            timers: BTreeSet::new(),
            openings: Slab::new(),
            outputs: VecDeque::new(),
            budget,
            random: Random::new(seed),
            serial: 0,
            stats: Stats::default(),
        }
    }

    // Client to server.

    /// A STUN message from a client. A Send indication that may pass is returned as a route.
    pub fn handle_message(&mut self, client: Client, bytes: &[u8], now: Now) -> Option<Route> {
        let Ok(message) = Message::parse(bytes) else {
            self.stats.count_drop(DropReason::Malformed);
            return None;
        };
        self.touch_connection(client, now.at);
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => return self.handle_send(client, &message, now.at),
            // Keeps NAT bindings alive (RFC 8489 §6.3.2).
            (Class::Indication, Method::BINDING) => {}
            (Class::Request, Method::BINDING) => self.handle_binding(client, &message, now.at),
            (Class::Request, Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND) => {
                self.handle_request(client, message, now);
            }
            _ => self.stats.count_drop(DropReason::Unexpected),
        }
        None
    }

    /// A ChannelData message from a client (§12.6).
    pub fn handle_channel_data(&mut self, client: Client, bytes: &[u8], now: Instant) -> Option<Route> {
        let Some((channel, payload)) = parse_channel_data(bytes) else {
            self.stats.count_drop(DropReason::Malformed);
            return None;
        };
        let Some(flow) = self.flows.outbound(client, channel, now) else {
            let reason = if self.by_client.contains_key(&client) { DropReason::NoChannel } else { DropReason::NoAllocation };
            self.stats.count_drop(reason);
            return None;
        };
        let (socket, allocation, reach, peer) = (flow.socket, flow.allocation, flow.reach, flow.peer);
        let to = self.destination(reach, peer)?;
        Some(Route { socket, to, payload, allocation })
    }

    /// §11.2.
    fn handle_send(&mut self, client: Client, message: &Message<'_>, now: Instant) -> Option<Route> {
        let route = self.route_send(client, message, now);
        route.map_err(|reason| self.stats.count_drop(reason)).ok()
    }

    fn route_send(&self, client: Client, message: &Message<'_>, now: Instant) -> Result<Route, DropReason> {
        let allocation = *self.by_client.get(&client).ok_or(DropReason::NoAllocation)?;
        if message.attributes().any(|(kind, _)| kind.is_comprehension_required() && !is_known(kind)) {
            return Err(DropReason::Unexpected);
        }
        let peer = message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).ok().flatten().ok_or(DropReason::Malformed)?;
        let payload = message.range_of(AttributeType::DATA).ok_or(DropReason::Malformed)?;
        let relay = self.allocations[allocation as usize].relay(wire_family(peer)).ok_or(DropReason::NoPermission)?;
        let permit = self.flows.permit(relay.socket, peer.ip().into(), now).ok_or(DropReason::NoPermission)?;
        let to = resolve(&self.registry, permit.reach, peer.into())?;
        Ok(Route { socket: relay.socket, to, payload, allocation })
    }

    fn destination(&mut self, reach: Reach, peer: Endpoint) -> Option<Endpoint> {
        resolve(&self.registry, reach, peer).map_err(|reason| self.stats.count_drop(reason)).ok()
    }

    /// A datagram from a peer to a relayed address (§11.3, §12.7).
    pub fn handle_peer(&mut self, socket: SocketId, source: Endpoint, now: Instant) -> Option<Delivery> {
        let delivery = self.deliver(socket, source, now);
        delivery.map_err(|reason| self.stats.count_drop(reason)).ok()
    }

    fn deliver(&self, socket: SocketId, source: Endpoint, now: Instant) -> Result<Delivery, DropReason> {
        match self.deliver_from(socket, source, source, now) {
            Err(DropReason::PeerNoPermission) => {}
            found => return found,
        }
        // A relay of ours, whose advertised address is not the one it sends from.
        let advertised = self.registry.ports.advertised_form(source).ok_or(DropReason::PeerNoPermission)?;
        self.deliver_from(socket, advertised, source, now)
    }

    fn deliver_from(&self, socket: SocketId, peer: Endpoint, source: Endpoint, now: Instant) -> Result<Delivery, DropReason> {
        let admit = |reach| match reach {
            Reach::Peer | Reach::Own => Ok(()),
            Reach::Relays if self.registry.ports.is_bound(source) => Ok(()),
            Reach::Relays => Err(DropReason::OwnAddress),
        };
        if let Some(flow) = self.flows.inbound(socket, peer, now) {
            admit(flow.reach)?;
            let header = DeliveryHeader::Channel(flow.channel);
            return Ok(Delivery { client: flow.client, header, allocation: flow.allocation });
        }
        let permit = self.flows.permit(socket, peer.ip, now).ok_or(DropReason::PeerNoPermission)?;
        admit(permit.reach)?;
        Ok(Delivery { client: permit.client, header: DeliveryHeader::Data(peer), allocation: permit.allocation })
    }

    /// Counts a payload that was relayed.
    pub fn observe(&mut self, allocation: u32, direction: Direction, payload: &[u8], now: Instant) {
        let Some(allocation) = self.allocations.get_mut(allocation as usize) else { return };
        let (own, all) = match direction {
            Direction::ToPeer => (&mut allocation.to_peer, &mut self.stats.to_peer),
            Direction::ToClient => (&mut allocation.to_client, &mut self.stats.to_client),
        };
        own.add(payload.len());
        all.add(payload.len());
        allocation.meters.observe(direction, payload, now);
    }

    /// RFC 8489 §6.3.1.1. Needs no credentials; those that come are not looked at.
    fn handle_binding(&mut self, client: Client, message: &Message<'_>, now: Instant) {
        if !self.may_answer(client, now) {
            return;
        }
        let unknown = message.unknown_attributes(is_known);
        if !unknown.is_empty() {
            let refusal = Refusal { code: ErrorCode::UNKNOWN_ATTRIBUTE, key: None, unknown };
            return self.refuse(client, message, refusal);
        }
        self.stats.bindings += 1;
        let mut writer = Writer::new(Class::Success, Method::BINDING, message.transaction());
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client.remote.into());
        self.send(client, writer, None);
    }

    fn handle_request(&mut self, client: Client, message: Message<'_>, now: Now) {
        let done = self.authenticate(client, message, now).and_then(|request| {
            let key = request.key.clone();
            self.dispatch(request, now).map_err(|refusal| Refusal { key: Some(key), ..refusal })
        });
        let Err(refusal) = done else { return };
        // A stale nonce proves no source: such a request may be an old one, sent again by somebody else.
        let is_source_proven = refusal.key.is_some() && refusal.code != ErrorCode::STALE_NONCE;
        if !is_source_proven && !self.may_answer(client, now.at) {
            return;
        }
        match refusal.code {
            ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE => self.challenge(client, &message, refusal, now),
            _ => self.refuse(client, &message, refusal),
        }
    }

    fn dispatch(&mut self, request: Request<'_>, now: Now) -> Result<(), Refusal> {
        // RFC 8489 §6.3.1.
        let unknown = request.message.unknown_attributes(is_known);
        if !unknown.is_empty() {
            return Err(Refusal { code: ErrorCode::UNKNOWN_ATTRIBUTE, key: None, unknown });
        }
        if request.message.method() == Method::ALLOCATE {
            return self.allocate(request, now);
        }
        // §5: without an allocation 437, with another user name 441.
        let index = request.allocation.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if self.allocations[index as usize].username != request.username {
            self.stats.count_auth_failure(AuthFailure::WrongCredentials);
            return Err(ErrorCode::WRONG_CREDENTIALS.into());
        }
        match request.message.method() {
            Method::REFRESH => self.refresh(index, request, now.at),
            Method::CREATE_PERMISSION => self.create_permission(index, request, now.at),
            _ => self.channel_bind(index, request, now.at),
        }
    }

    // Authentication.

    /// RFC 8489 §9.2.4, in its order.
    fn authenticate<'a>(&mut self, client: Client, message: Message<'a>, now: Now) -> Result<Request<'a>, Refusal> {
        if !message.has_integrity() {
            self.stats.challenges += 1;
            return Err(ErrorCode::UNAUTHENTICATED.into());
        }
        let username = message.get(AttributeType::USERNAME);
        let nonce = message.get(AttributeType::NONCE);
        // USERHASH was not offered: no user has that name.
        let username = username.or(message.get(AttributeType::USERHASH).map(|_| [].as_slice()));
        let (Some(username), Some(nonce), Some(_)) = (username, nonce, message.get(AttributeType::REALM)) else {
            self.stats.count_auth_failure(AuthFailure::Incomplete);
            return Err(ErrorCode::BAD_REQUEST.into());
        };
        let Some((username, key, account)) = self.credentials(client, username, now.time) else {
            return Err(ErrorCode::UNAUTHENTICATED.into());
        };
        if !message.verify(&key) {
            self.stats.count_auth_failure(AuthFailure::WrongPassword);
            return Err(ErrorCode::UNAUTHENTICATED.into());
        }
        if !self.auth.is_nonce_good(nonce, client.remote.ip.into(), now.time) {
            self.stats.count_auth_failure(AuthFailure::StaleNonce);
            return Err(Refusal { code: ErrorCode::STALE_NONCE, key: Some(key), unknown: Vec::new() });
        }
        let allocation = self.by_client.get(&client).copied();
        Ok(Request { message, client, username, key, account, allocation })
    }

    /// The key and account of a user name. An allocation keeps its own, so that it can be refreshed when they have expired.
    fn credentials(&mut self, client: Client, username: &[u8], time: SystemTime) -> Option<(Box<str>, Key, Arc<str>)> {
        if let Some(&index) = self.by_client.get(&client) {
            let allocation = &self.allocations[index as usize];
            if allocation.username.as_bytes() == username {
                return Some((allocation.username.clone(), allocation.key.clone(), allocation.account.clone()));
            }
        }
        let username = std::str::from_utf8(username).ok().filter(|name| name.len() <= USERNAME_BYTES_MAX);
        let owner = username.ok_or(BadName::Unknown).and_then(|username| {
            let owner = self.auth.owner(username, time)?;
            let key = Key::long_term(username, self.auth.realm(), &owner.password, PasswordAlgorithm::Md5);
            Ok((username.into(), key.map_err(|_| BadName::Unknown)?, owner.account))
        });
        owner
            .map_err(|reason| {
                self.stats.count_auth_failure(match reason {
                    BadName::Unknown => AuthFailure::UnknownName,
                    BadName::Expired => AuthFailure::Expired,
                    BadName::Revoked => AuthFailure::Revoked,
                });
            })
            .ok()
    }

    // Allocate.

    /// §7.2, by its numbered steps; 1 was `authenticate`.
    fn allocate(&mut self, request: Request<'_>, now: Now) -> Result<(), Refusal> {
        let message = &request.message;
        // 2. The 5-tuple is in use; a retransmission gets the same answer.
        if let Some(index) = request.allocation {
            let allocation = &self.allocations[index as usize];
            if allocation.transaction == message.transaction() && allocation.username == request.username {
                self.answer_allocate(index, now.at);
                return Ok(());
            }
            return Err(ErrorCode::ALLOCATION_MISMATCH.into());
        }
        // 3.
        match message.requested_transport()? {
            None => return Err(ErrorCode::BAD_REQUEST.into()),
            Some(TRANSPORT_UDP) => {}
            Some(_) => return Err(ErrorCode::UNSUPPORTED_TRANSPORT.into()),
        }
        // 4. DONT-FRAGMENT is not among the known attributes.
        // 5.
        let even_port = message.even_port()?;
        let requested = message.family(AttributeType::REQUESTED_ADDRESS_FAMILY)?;
        let additional = message.family(AttributeType::ADDITIONAL_ADDRESS_FAMILY)?;
        let token = message.reservation_token()?;
        let requested_lifetime = message.lifetime_s()?;
        if token.is_some() && (even_port.is_some() || requested.is_some() || additional.is_some()) {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // 6.
        if requested.is_some() && additional.is_some() {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // 7.
        let family = match requested {
            None => Family::V4,
            Some(RequestedFamily::Known(family)) => family,
            Some(RequestedFamily::Unknown(_)) => return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED.into()),
        };
        // 8.
        let kind = match even_port {
            None => PortKind::Any,
            Some(false) => PortKind::Even,
            Some(true) if additional.is_some() => return Err(ErrorCode::BAD_REQUEST.into()),
            Some(true) => PortKind::EvenPair,
        };
        // 9.
        let is_dual = match additional {
            None => false,
            Some(RequestedFamily::Known(Family::V6)) => true,
            Some(_) => return Err(ErrorCode::BAD_REQUEST.into()),
        };
        let (mut wanted, mut missing) = (Vec::new(), None);
        if let Some(token) = token {
            wanted.push(Wanted::Reserved(token));
        } else {
            let families: &[Family] = if is_dual { &[Family::V6, Family::V4] } else { &[family] };
            for &family in families {
                match self.bind_ip(request.client, family) {
                    Some(ip) => wanted.push(Wanted::Fresh(ip, kind)),
                    None => missing = Some((family, ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)),
                }
            }
        }
        if wanted.is_empty() {
            return Err(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED.into());
        }
        // 11.
        let source = source_of(request.client.remote.ip.into());
        let admitted = match token {
            // The reservation's place is handed over.
            Some(token) => self.registry.claim(token, &request.account, source, now.at),
            // A port that is reserved counts as much as one that is used.
            None => self.registry.admit(&request.account, source, places(kind)).map(|()| true),
        };
        match admitted {
            Ok(true) => {}
            Err(Full::Quota) => return Err(ErrorCode::QUOTA_REACHED.into()),
            Ok(false) | Err(Full::Server) => return Err(ErrorCode::INSUFFICIENT_CAPACITY.into()),
        }
        let opening = self.openings.insert(Opening {
            client: request.client,
            transaction: message.transaction(),
            username: request.username,
            key: request.key,
            account: request.account,
            source,
            places: places(kind),
            lifetime: lifetime(requested_lifetime),
            wanted,
            opened: Vec::new(),
            missing,
        });
        self.open_next(opening as u32, now);
        Ok(())
    }

    fn bind_ip(&self, client: Client, family: Family) -> Option<IpAddr> {
        self.registry.hosts().bind_ip(client.local.ip.into(), family, self.registry.ports.advertised_ip(family))
    }

    fn open_next(&mut self, opening: u32, now: Now) {
        match self.openings[opening as usize].wanted.pop() {
            Some(wanted) => self.outputs.push_back(Output::Open { opening, wanted }),
            None => self.finish_allocate(opening, now),
        }
    }

    /// The answer to `Output::Open`; an error is 508, as there is no port left or the token is no good.
    pub fn handle_opened(&mut self, opening: u32, result: Result<Opened, Wanted>, now: Now) {
        let Some(waiting) = self.openings.get_mut(opening as usize) else { return };
        match result {
            Ok(opened) => waiting.opened.push(opened),
            Err(Wanted::Fresh(ip, _)) => {
                let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
                waiting.missing = Some((family, ErrorCode::INSUFFICIENT_CAPACITY));
            }
            Err(Wanted::Reserved(_)) => waiting.missing = Some((Family::V4, ErrorCode::INSUFFICIENT_CAPACITY)),
        }
        self.open_next(opening, now);
    }

    fn finish_allocate(&mut self, opening: u32, now: Now) {
        let opening = self.openings.remove(opening as usize);
        if opening.opened.is_empty() {
            for _ in 0..opening.places {
                self.registry.withdraw(&opening.account, opening.source);
            }
            let code = opening.missing.map_or(ErrorCode::INSUFFICIENT_CAPACITY, |(_, code)| code);
            let mut writer = Writer::new(Class::Error, Method::ALLOCATE, opening.transaction);
            writer.error(code);
            self.stats.count_error(code.0);
            return self.send(opening.client, writer, Some(&opening.key));
        }
        let token = opening.opened.iter().find_map(|opened| opened.token);
        match token {
            Some(token) => self.registry.hold(token, &opening.account, opening.source),
            None => (1..opening.places).for_each(|_| self.registry.withdraw(&opening.account, opening.source)),
        }
        self.serial += 1;
        let expires = now.at + opening.lifetime;
        let mut relays = [None; 2];
        for opened in &opening.opened {
            let advertised = self.registry.ports.advertise(opened.bound);
            let relay = Relay { socket: opened.socket, bound: opened.bound, advertised, expires };
            relays[relay_index(Family::of(opened.bound))] = Some(relay);
        }
        let index = self.allocations.insert(Allocation {
            serial: self.serial,
            client: opening.client,
            account: opening.account,
            username: opening.username,
            key: opening.key,
            transaction: opening.transaction,
            source: opening.source,
            relays,
            token,
            missing: opening.missing,
            permissions: Vec::new(),
            channels: Vec::new(),
            calls: Vec::new(),
            free_at: None,
            scheduled: expires,
            to_peer: Default::default(),
            to_client: Default::default(),
            meters: Default::default(),
        }) as u32;
        let allocation = &self.allocations[index as usize];
        let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
        for relay in allocation.relays.iter().flatten() {
            self.registry.add(key, &allocation.account, relay.bound);
        }
        self.by_client.insert(opening.client, index);
        self.timers.insert((expires, Timer::Allocation { index, serial: self.serial }));
        *transport(&mut self.stats.allocations, opening.client.via) += 1;
        *transport(&mut self.stats.allocations_made, opening.client.via) += 1;
        self.answer_allocate(index, now.at);
    }

    /// The success response, with the time that is left (§7.2).
    fn answer_allocate(&mut self, index: u32, now: Instant) {
        self.stats.requests += 1;
        let allocation = &self.allocations[index as usize];
        let mut writer = Writer::new(Class::Success, Method::ALLOCATE, allocation.transaction);
        let mut expires = now;
        for relay in allocation.relays.iter().flatten() {
            writer.xor_address(AttributeType::XOR_RELAYED_ADDRESS, relay.advertised);
            expires = expires.max(relay.expires);
        }
        writer.u32(AttributeType::LIFETIME, expires.duration_since(now).as_secs() as u32);
        writer.xor_address(AttributeType::XOR_MAPPED_ADDRESS, allocation.client.remote.into());
        if let Some(token) = allocation.token {
            writer.attribute(AttributeType::RESERVATION_TOKEN, &token);
        }
        if let Some((family, code)) = allocation.missing {
            let mut value = vec![family.code(), 0, (code.0 / 100) as u8, (code.0 % 100) as u8];
            value.extend_from_slice(code.reason().as_bytes());
            writer.attribute(AttributeType::ADDRESS_ERROR_CODE, &value);
        }
        let (client, key) = (allocation.client, allocation.key.clone());
        self.send(client, writer, Some(&key));
    }

    // Requests on an allocation.

    /// §8.2.
    fn refresh(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let requested_s = request.message.lifetime_s()?;
        let family = match request.message.family(AttributeType::REQUESTED_ADDRESS_FAMILY)? {
            None => None,
            Some(RequestedFamily::Known(family)) => Some(family),
            Some(RequestedFamily::Unknown(_)) => return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into()),
        };
        let allocation = &mut self.allocations[index as usize];
        if family.is_some_and(|family| allocation.relay(family).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        let is_meant = |relay: &Relay| family.is_none_or(|family| family == Family::of(relay.bound));
        let mut writer = Writer::new(Class::Success, Method::REFRESH, request.message.transaction());
        if requested_s == Some(0) {
            writer.u32(AttributeType::LIFETIME, 0);
            let ended: Vec<Family> =
                allocation.relays.iter().flatten().filter(|relay| is_meant(relay)).map(|relay| Family::of(relay.bound)).collect();
            self.end_relays(index, &ended, now);
        } else {
            let lifetime = lifetime(requested_s);
            for relay in allocation.relays.iter_mut().flatten().filter(|relay| is_meant(relay)) {
                relay.expires = now + lifetime;
            }
            writer.u32(AttributeType::LIFETIME, lifetime.as_secs() as u32);
            self.reschedule(index);
        }
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }

    /// §10.2: all of the addresses or none. More of them than there may be permissions are refused before any is judged: one
    /// datagram has room for thousands.
    fn create_permission(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let peers = request.message.peers()?;
        if peers.is_empty() {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // A permission is per address: the ports do not count.
        let (mut named, mut first_of_each) = (HashSet::new(), Vec::new());
        for peer in peers {
            if named.insert(peer.ip()) {
                first_of_each.push(peer);
            }
            if named.len() > self.registry.limits.permissions {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
            }
        }
        let hosts = self.registry.hosts();
        let mut granted = Vec::with_capacity(first_of_each.len());
        for peer in first_of_each {
            granted.push((peer.ip(), self.judge(index, peer, &hosts, now)?));
        }
        let allocation = &self.allocations[index as usize];
        let added = granted.iter().filter(|(ip, _)| allocation.permission(*ip, now).is_none()).count();
        if allocation.permissions.len() + added > self.registry.limits.permissions {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        for (ip, reach) in granted {
            self.permit(index, ip, reach, now, PERMISSION);
        }
        self.reschedule(index);
        let writer = Writer::new(Class::Success, Method::CREATE_PERMISSION, request.message.transaction());
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }

    /// §12.2.
    fn channel_bind(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let number = request.message.channel_number()?.ok_or(ErrorCode::BAD_REQUEST)?;
        let peer = request.message.get_xor_address(AttributeType::XOR_PEER_ADDRESS)?.ok_or(ErrorCode::BAD_REQUEST)?;
        // §12.2 ends the range at 0x4FFF; RFC 5766 at 0x7FFF, and its clients (coturn's among them) use all of it.
        let channel = Channel::new(number).ok_or(ErrorCode::BAD_REQUEST)?;
        let allocation = &self.allocations[index as usize];
        let live = || allocation.channels.iter().filter(|binding| binding.expires > now);
        if live().any(|binding| (binding.channel == channel) != (binding.peer == peer)) || peer.port() == 0 {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        let is_new = !live().any(|binding| binding.channel == channel);
        let reach = self.judge(index, peer, &self.registry.hosts(), now)?;
        if reach == Reach::Relays && is_new && self.registry.ports.resolve(peer.into()).is_none() {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let (limits, permissions) = (&self.registry.limits, allocation.permissions.len());
        if (is_new && allocation.channels.len() >= limits.channels)
            || (allocation.permission(peer.ip(), now).is_none() && permissions >= limits.permissions)
        {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        self.forget_ended(index, now);
        let channels = &mut self.allocations[index as usize].channels;
        let binding = ChannelBinding { channel, peer, reach, expires: now + CHANNEL };
        match channels.iter_mut().find(|binding| binding.channel == channel) {
            Some(before) => *before = binding,
            None => channels.push(binding),
        }
        // As long as the channel, see docs/deviations.md: clients that only bind channels refresh them just before their ten minutes end.
        self.permit(index, peer.ip(), reach, now, CHANNEL);
        self.reschedule(index);
        let writer = Writer::new(Class::Success, Method::CHANNEL_BIND, request.message.transaction());
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }

    /// Whether an allocation may reach a peer, and how far: 443, 403.
    fn judge(&self, index: u32, peer: SocketAddr, hosts: &Hosts, now: Instant) -> Result<Reach, Refusal> {
        let allocation = &self.allocations[index as usize];
        if allocation.relay(wire_family(peer)).is_none() {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        // Would go out as the IPv4 address it spells, or not at all.
        if peer.ip().to_canonical() != peer.ip() {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let is_own = |ip: IpAddr| hosts.contains(ip) || self.registry.ports.advertised_ip(ip_family(ip)) == Some(ip);
        if self.registry.rules.permits(peer.ip(), is_own) {
            return Ok(if is_own(peer.ip()) { Reach::Own } else { Reach::Peer });
        }
        // Our own relayed addresses, by address and port. A permission is per address: once there, it may be refreshed by any port.
        let is_relayed = self.registry.ports.resolve(peer.into()).is_some();
        let is_there = allocation.permission(peer.ip(), now).is_some_and(|permission| permission.reach == Reach::Relays);
        if is_relayed || is_there { Ok(Reach::Relays) } else { Err(ErrorCode::FORBIDDEN.into()) }
    }

    /// Installs a permission or makes it longer, and what of the channels to the address depends on it.
    fn permit(&mut self, index: u32, ip: IpAddr, reach: Reach, now: Instant, lasts: Duration) {
        let allocation = &mut self.allocations[index as usize];
        let Some(relay) = allocation.relays[relay_index(ip_family(ip))] else { return };
        let expires = match allocation.permissions.iter_mut().find(|permission| permission.ip == ip) {
            Some(permission) => {
                permission.reach = reach;
                permission.expires = permission.expires.max(now + lasts);
                permission.expires
            }
            None => {
                let expires = now + lasts;
                allocation.permissions.push(Permission { ip, reach, expires });
                expires
            }
        };
        let client = allocation.client;
        self.flows.set_permit(relay.socket, ip.into(), Permit { expires, allocation: index, client, reach });
        for binding in allocation.channels.iter_mut().filter(|binding| binding.peer.ip() == ip && binding.expires > now) {
            binding.reach = reach;
            let (peer, expires) = (Endpoint::from(binding.peer), expires.min(binding.expires));
            self.flows.set_channel(
                Outbound { expires, socket: relay.socket, allocation: index, peer, reach },
                Inbound { expires, allocation: index, client, channel: binding.channel, reach },
            );
        }
    }

    // Time.

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ends what has run out.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Allocation { index, serial } => self.handle_allocation_timeout(index, serial, now),
                Timer::Connection(id) => self.handle_connection_timeout(id, now),
            }
        }
    }

    fn handle_allocation_timeout(&mut self, index: u32, serial: u64, now: Instant) {
        let Some(allocation) = self.allocations.get(index as usize).filter(|allocation| allocation.serial == serial) else { return };
        if allocation.free_at.is_some_and(|free_at| free_at <= now) {
            return self.free(index, now);
        }
        let ended: Vec<Family> =
            allocation.relays.iter().flatten().filter(|relay| relay.expires <= now).map(|relay| Family::of(relay.bound)).collect();
        self.end_relays(index, &ended, now);
        if self.allocations.get(index as usize).is_some_and(|allocation| allocation.serial == serial) {
            self.forget_ended(index, now);
            let allocation = &mut self.allocations[index as usize];
            allocation.scheduled = allocation.next_due();
            self.timers.insert((allocation.scheduled, Timer::Allocation { index, serial }));
        }
    }

    /// Sets an earlier timer where something ends before the one that is set. Later ends are found when that one runs out.
    fn reschedule(&mut self, index: u32) {
        let allocation = &mut self.allocations[index as usize];
        let due = allocation.next_due();
        if due < allocation.scheduled {
            let timer = Timer::Allocation { index, serial: allocation.serial };
            self.timers.remove(&(allocation.scheduled, timer));
            self.timers.insert((due, timer));
            allocation.scheduled = due;
        }
    }

    /// Drops permissions and channels that have run out.
    fn forget_ended(&mut self, index: u32, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(index as usize) else { return };
        let (client, relays, flows) = (allocation.client, allocation.relays, &mut self.flows);
        let socket = |ip: IpAddr| relays[relay_index(ip_family(ip))].map(|relay| relay.socket);
        allocation.channels.retain(|binding| {
            let keep = binding.expires > now;
            if let (false, Some(socket)) = (keep, socket(binding.peer.ip())) {
                flows.remove_channel(client, binding.channel, socket, binding.peer.into());
            }
            keep
        });
        allocation.permissions.retain(|permission| {
            let keep = permission.expires > now;
            if let (false, Some(socket)) = (keep, socket(permission.ip)) {
                flows.remove_permit(socket, permission.ip.into());
            }
            keep
        });
    }

    // The end of an allocation.

    /// Ends the relayed addresses of these families; the allocation with the last one (§8.1).
    fn end_relays(&mut self, index: u32, families: &[Family], now: Instant) {
        let Some(allocation) = self.allocations.get(index as usize) else { return };
        if families.is_empty() {
            return;
        }
        if allocation.relays.iter().flatten().all(|relay| families.contains(&Family::of(relay.bound))) {
            return self.free(index, now);
        }
        for &family in families {
            self.end_relay(index, family);
        }
    }

    fn end_relay(&mut self, index: u32, family: Family) {
        let allocation = &mut self.allocations[index as usize];
        let Some(relay) = allocation.relays[relay_index(family)].take() else { return };
        let (client, flows) = (allocation.client, &mut self.flows);
        allocation.channels.retain(|binding| {
            let keep = ip_family(binding.peer.ip()) != family;
            if !keep {
                flows.remove_channel(client, binding.channel, relay.socket, binding.peer.into());
            }
            keep
        });
        allocation.permissions.retain(|permission| {
            let keep = ip_family(permission.ip) != family;
            if !keep {
                flows.remove_permit(relay.socket, permission.ip.into());
            }
            keep
        });
        self.registry.remove(relay.bound);
        self.outputs.push_back(Output::Close(relay.socket));
    }

    fn free(&mut self, index: u32, now: Instant) {
        let Some(allocation) = self.allocations.get(index as usize) else { return };
        let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
        if let Some(quality) = allocation.quality() {
            for &call in &allocation.calls {
                self.registry.record(call, key, quality.clone());
            }
        }
        for family in [Family::V4, Family::V6] {
            self.end_relay(index, family);
        }
        let allocation = self.allocations.remove(index as usize);
        self.timers.remove(&(allocation.scheduled, Timer::Allocation { index, serial: allocation.serial }));
        if let Some(token) = allocation.token {
            self.registry.cancel(token);
        }
        self.registry.withdraw(&allocation.account, allocation.source);
        self.by_client.remove(&allocation.client);
        self.linked.remove(&index);
        *transport(&mut self.stats.allocations, allocation.client.via) -= 1;
        self.touch_connection(allocation.client, now);
    }

    // What the rest of the server wants.

    /// A call uses the allocation from now on.
    pub fn handle_link(&mut self, key: AllocationKey, call: CallId) {
        let Some(allocation) = self.allocation_mut(key) else { return };
        if !allocation.calls.contains(&call) {
            allocation.calls.push(call);
        }
        allocation.free_at = None;
        self.linked.insert(key.index);
    }

    /// A call that used the allocation has ended; after the last one the allocation has its grace.
    pub fn handle_unlink(&mut self, key: AllocationKey, call: CallId, now: Instant) {
        let free_at = now + self.call_grace;
        let Some(allocation) = self.allocation_mut(key) else { return };
        if let Some(quality) = allocation.quality() {
            self.registry.record(call, key, quality);
        }
        let Some(allocation) = self.allocation_mut(key) else { return };
        allocation.calls.retain(|linked| *linked != call);
        if allocation.calls.is_empty() {
            allocation.free_at = Some(free_at);
            self.linked.remove(&key.index);
            self.reschedule(key.index);
        }
    }

    /// Frees all allocations of an account.
    pub fn handle_revoke(&mut self, account: &str, now: Instant) {
        let account = account_name(account);
        let mine: Vec<u32> = self
            .allocations
            .iter()
            .filter(|(_, allocation)| allocation.account.as_ref() == account)
            .map(|(index, _)| index as u32)
            .collect();
        for index in mine {
            self.free(index, now);
        }
    }

    fn allocation_mut(&mut self, key: AllocationKey) -> Option<&mut Allocation> {
        self.allocations.get_mut(key.index as usize).filter(|allocation| allocation.serial == key.serial)
    }

    // Connections of TCP and TLS clients.

    /// A client has connected.
    pub fn handle_connected(&mut self, client: Client, now: Instant) {
        if let Some(id) = client.via.stream() {
            let deadline = now + self.registry.limits.idle;
            self.connections.insert(id, Connection { client, deadline, scheduled: deadline });
            self.timers.insert((deadline, Timer::Connection(id)));
            *transport(&mut self.stats.connections, client.via) += 1;
        }
    }

    /// A connection is gone, and its allocation with it.
    pub fn handle_disconnected(&mut self, id: u64, now: Instant) {
        let Some(Connection { client, scheduled, .. }) = self.connections.remove(&id) else { return };
        self.timers.remove(&(scheduled, Timer::Connection(id)));
        *transport(&mut self.stats.connections, client.via) -= 1;
        if let Some(&index) = self.by_client.get(&client) {
            self.free(index, now);
        }
    }

    fn touch_connection(&mut self, client: Client, now: Instant) {
        if let Some(id) = client.via.stream()
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.deadline = now + self.registry.limits.idle;
        }
    }

    fn handle_connection_timeout(&mut self, id: u64, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let has_allocation = self.by_client.contains_key(&connection.client);
        if !has_allocation && connection.deadline <= now {
            self.outputs.push_back(Output::Disconnect(id));
        }
        let is_waiting = !has_allocation && connection.deadline > now;
        connection.scheduled = if is_waiting { connection.deadline } else { now + self.registry.limits.idle };
        self.timers.insert((connection.scheduled, Timer::Connection(id)));
    }

    // Answers.

    /// Whether an unauthenticated request over UDP gets an answer; over TCP and TLS the source is proven.
    fn may_answer(&mut self, client: Client, now: Instant) -> bool {
        if client.via.stream().is_some() || self.budget.take(client.remote.ip.into(), now) {
            return true;
        }
        self.stats.count_drop(DropReason::OverBudget);
        false
    }

    /// 401 and 438 carry realm and a new nonce (RFC 8489 §9.2.4).
    fn challenge(&mut self, client: Client, message: &Message<'_>, refusal: Refusal, now: Now) {
        let mut writer = Writer::new(Class::Error, message.method(), message.transaction());
        writer.error(refusal.code);
        writer.attribute(AttributeType::REALM, self.auth.realm().as_bytes());
        writer.attribute(AttributeType::NONCE, self.auth.nonce(client.remote.into(), now.time).as_bytes());
        self.stats.count_error(refusal.code.0);
        self.send(client, writer, refusal.key.as_ref());
    }

    fn refuse(&mut self, client: Client, message: &Message<'_>, refusal: Refusal) {
        let mut writer = Writer::new(Class::Error, message.method(), message.transaction());
        writer.error(refusal.code);
        if !refusal.unknown.is_empty() {
            writer.unknown_attributes(&refusal.unknown);
        }
        self.stats.count_error(refusal.code.0);
        self.send(client, writer, refusal.key.as_ref());
    }

    fn succeed(&mut self, client: Client, writer: Writer, key: &Key) {
        self.stats.requests += 1;
        self.send(client, writer, Some(key));
    }

    fn send(&mut self, client: Client, mut writer: Writer, key: Option<&Key>) {
        writer.attribute(AttributeType::SOFTWARE, SOFTWARE);
        if let Some(key) = key {
            writer.sign(key, Integrity::Sha1);
        }
        writer.fingerprint();
        self.outputs.push_back(Output::Send { client, message: writer.finish() });
    }

    /// What the shell is to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    // For the shell.

    /// An unpredictable number, for ports and tokens.
    pub fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// The counters; the shell adds its own.
    pub fn stats_mut(&mut self) -> &mut Stats {
        &mut self.stats
    }

    /// Tells the registry what the allocations with live calls have carried so far. Called once a second.
    pub fn publish_quality(&self) {
        for &index in &self.linked {
            let Some(allocation) = self.allocations.get(index as usize) else { continue };
            let Some(quality) = allocation.quality() else { continue };
            let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
            for &call in &allocation.calls {
                self.registry.record(call, key, quality.clone());
            }
        }
    }

    /// Whether nothing is held for any client.
    pub fn is_idle(&self) -> bool {
        self.allocations.is_empty() && self.openings.is_empty() && self.flows.is_empty() && self.by_client.is_empty()
    }
}

/// What an allocation of this kind counts for in the quotas, the port that is reserved along with it included.
fn places(kind: PortKind) -> usize {
    match kind {
        PortKind::Any | PortKind::Even => 1,
        PortKind::EvenPair => 2,
    }
}

/// Where a packet towards a permitted peer really goes.
fn resolve(registry: &Registry, reach: Reach, peer: Endpoint) -> Result<Endpoint, DropReason> {
    match reach {
        Reach::Peer => Ok(peer),
        Reach::Own => Ok(registry.ports.resolve(peer).unwrap_or(peer)),
        Reach::Relays => registry.ports.resolve(peer).ok_or(DropReason::OwnAddress),
    }
}

/// Every comprehension-required attribute that the server knows, be it expected in a message or not.
fn is_known(kind: AttributeType) -> bool {
    matches!(
        kind,
        AttributeType::MAPPED_ADDRESS
            | AttributeType::USERNAME
            | AttributeType::MESSAGE_INTEGRITY
            | AttributeType::ERROR_CODE
            | AttributeType::UNKNOWN_ATTRIBUTES
            | AttributeType::CHANNEL_NUMBER
            | AttributeType::LIFETIME
            | AttributeType::XOR_PEER_ADDRESS
            | AttributeType::DATA
            | AttributeType::REALM
            | AttributeType::NONCE
            | AttributeType::XOR_RELAYED_ADDRESS
            | AttributeType::REQUESTED_ADDRESS_FAMILY
            | AttributeType::EVEN_PORT
            | AttributeType::REQUESTED_TRANSPORT
            | AttributeType::XOR_MAPPED_ADDRESS
            | AttributeType::RESERVATION_TOKEN
    )
}

/// The family that an attribute spelled: a mapped IPv4 address is IPv6 here, and refused later.
fn wire_family(address: SocketAddr) -> Family {
    ip_family(address.ip())
}

fn ip_family(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::V4 } else { Family::V6 }
}

fn transport(counts: &mut PerTransport, via: Via) -> &mut u64 {
    match via {
        Via::Udp(_) => &mut counts.udp,
        Via::Tcp(_) => &mut counts.tcp,
        Via::Tls(_) => &mut counts.tls,
    }
}

/// HMAC-SHA256 in counter mode over a seed.
struct Random {
    key: hmac::Key,
    counter: u64,
    pool: Vec<u64>,
}

impl Random {
    fn new(seed: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &seed), counter: 0, pool: Vec::new() }
    }

    fn next(&mut self) -> u64 {
        if let Some(word) = self.pool.pop() {
            return word;
        }
        self.counter += 1;
        let block = hmac::sign(&self.key, &self.counter.to_be_bytes());
        let (words, _) = block.as_ref().as_chunks::<8>();
        self.pool.extend(words.iter().map(|word| u64::from_be_bytes(*word)));
        self.pool.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
