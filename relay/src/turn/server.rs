//! RFC 8656, the server's side for the clients of one worker, and STUN Binding (RFC 8489). No I/O, no clock.
//!
//! Requests are answered through `poll_output`; packets to be relayed are returned as routes, so that the payload stays where it was
//! received. Deviation: channel numbers up to 0x7FFF are accepted (RFC 5766 §11).

mod allocate;
mod answer;
mod authenticate;
mod connect;
mod connection;
pub mod discovery;
mod icmp;
mod mobility;
mod permission;
mod random;
mod refresh;
mod relayed;
mod timers;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use campanile_ice::stun::turn::{Channel, Family};
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Malformed, Message, Method};
use slab::Slab;

use self::allocate::Opening;
use self::answer::{Room, Spare};
use self::connect::Connecting;
use self::connection::Connection;
use self::discovery::Discovery;
use self::mobility::ticket;
use self::random::Random;
use super::allocation::Allocation;
use super::auth::{Auth, Signing, account_name};
use super::data_connections::{DataConnectionKey, Overdue};
use super::ports::{Home, PortKind};
use super::registry::{AllocationKey, CallId, Registry};
use super::sessions::{RelaySession, SessionTag};
use crate::arena::Arena;
use crate::datapath::flow::{Client, Flows, SocketId, Via};
use crate::endpoint::{Endpoint, Keyed};
use crate::stats::{AuthFailure, DropReason, PerTransport, Stats};

/// Allocations whose quality is published at a time.
const QUALITIES: usize = 32;

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
    /// Connect to a peer from a relayed TCP address, put the socket into the table of data connections, then call
    /// `handle_peer_connected`.
    Connect {
        /// The data connection.
        connection: DataConnectionKey,
        /// The relayed address's socket.
        socket: SocketId,
        /// Where it is bound.
        from: SocketAddr,
        /// The peer, in its local form if it is a relayed address of ours.
        to: SocketAddr,
    },
    /// Give another worker what a client has sent here: a datagram, or a connection with its first message.
    PassOn {
        /// That worker.
        worker: u16,
        /// The client.
        client: Client,
        /// The message.
        message: Vec<u8>,
    },
    /// Tell another worker that datagrams of a client are to be passed on to this one, or no longer.
    Expect {
        /// That worker.
        worker: u16,
        /// The client.
        client: Client,
        /// Whether they are.
        is_ours: bool,
    },
    /// Join a client's connection with a data connection, after all that was sent before.
    Bind {
        /// The client.
        client: Client,
        /// The data connection's number.
        connection: u32,
    },
}

/// A relayed socket to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Bind one at this address.
    Fresh(IpAddr, PortKind),
    /// Listen for TCP at this address, from a port of which connections can be made (RFC 6062).
    Listen(IpAddr),
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
    /// Whose socket the peer is, if it is a relayed address of ours.
    pub home: Option<Home>,
    /// Which bytes of the packet.
    pub payload: Range<usize>,
    /// Whose counters.
    pub allocation: u32,
    /// The datagram is to go out with the DF bit set (§11.2, §14).
    pub dont_fragment: bool,
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

/// A request that passed authentication.
struct Request<'a> {
    message: Message<'a>,
    client: Client,
    username: Box<str>,
    key: Signing,
    account: Arc<str>,
    session: Option<RelaySession>,
    allocation: Option<u32>,
}

/// An error response: the code, and whether it is signed.
struct Refusal {
    code: ErrorCode,
    key: Option<Signing>,
    unknown: Vec<AttributeType>,
    /// The user was named by a USERHASH that leads nowhere.
    is_hash_unknown: bool,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, key: None, unknown: Vec::new(), is_hash_unknown: false }
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
    allocations: Arena<Allocation>,
    by_client: HashMap<Client, u32, Keyed>,
    /// Where the fence is up, the allocation of each relayed socket.
    by_socket: HashMap<SocketId, u32>,
    /// Which addresses of this host permissions were judged by.
    addresses: u64,
    /// The allocations of each session.
    by_session: HashMap<SessionTag, Vec<u32>>,
    /// Allocations with live calls.
    linked: BTreeSet<u32>,
    flows: Flows,
    connections: HashMap<u64, Connection>,
    /// TCP allocations by their listening sockets.
    listening: HashMap<SocketId, u32>,
    /// Connect requests that wait for their peers.
    connecting: HashMap<DataConnectionKey, Connecting>,
    /// Data connections that are not to be what they are any more by then. All wait equally long, so the first is due first; what has ended
    /// is forgotten when there is as much of it as of others.
    waiting: VecDeque<(Instant, DataConnectionKey, Overdue)>,
    waiting_max: usize,
    /// The 5-tuples to which clients move, until data has come on them.
    moving: HashSet<Client, Keyed>,
    /// Clients of this worker whose datagrams come to another one.
    guests: HashMap<Client, u16, Keyed>,
    /// Clients of other workers whose datagrams come to this one.
    elsewhere: HashMap<Client, u16, Keyed>,
    /// The worker that the datagram at hand has come to, if it is another one.
    comes_by: Option<u16>,
    /// One per allocation and one per connection, in the order in which they are due.
    timers: BTreeSet<(Instant, Timer)>,
    openings: Slab<Opening>,
    outputs: VecDeque<Output>,
    /// What an answer was written into, for the next one.
    spare: Spare,
    discovery: Option<Discovery>,
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
        registry.budget.begin(now);
        Self {
            worker,
            auth,
            registry,
            call_grace,
            allocations: Arena::default(),
            by_client: HashMap::default(),
            by_session: HashMap::new(),
            by_socket: HashMap::new(),
            addresses: 0,
            linked: BTreeSet::new(),
            flows: Flows::default(),
            connections: HashMap::new(),
            listening: HashMap::new(),
            connecting: HashMap::new(),
            waiting: VecDeque::new(),
            waiting_max: connect::WAITING_MIN,
            moving: HashSet::default(),
            guests: HashMap::default(),
            elsewhere: HashMap::default(),
            comes_by: None,
            timers: BTreeSet::new(),
            openings: Slab::new(),
            outputs: VecDeque::new(),
            spare: Spare::default(),
            discovery: None,
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
        if !self.elsewhere.is_empty() && self.pass_on(client, bytes) {
            return None;
        }
        self.touch_connection(client, now.at);
        match (message.class(), message.method()) {
            (Class::Request, Method::REFRESH) if let Some(worker) = self.home_of(client, &message) => {
                // Nothing but the ticket has been looked at: the source may be forged.
                if client.via.stream().is_none() && !self.registry.budget.take(client.remote.ip, now.at) {
                    self.stats.count_drop(DropReason::OverBudget);
                    return None;
                }
                self.outputs.push_back(Output::PassOn { worker, client, message: bytes.to_vec() });
                client.via.stream().into_iter().for_each(|id| self.handle_disconnected(id, now.at));
            }
            (Class::Indication, Method::SEND) => return self.handle_send(client, &message, now.at),
            // Keeps NAT bindings alive (RFC 8489 §6.3.2).
            (Class::Indication, Method::BINDING) => {}
            (Class::Request, Method::BINDING) => self.handle_binding(client, &message, now.at),
            (
                Class::Request,
                Method::ALLOCATE
                | Method::REFRESH
                | Method::CREATE_PERMISSION
                | Method::CHANNEL_BIND
                | Method::CONNECT
                | Method::CONNECTION_BIND,
            ) => self.handle_request(client, message, now),
            _ => self.stats.count_drop(DropReason::Unexpected),
        }
        None
    }

    fn handle_request(&mut self, client: Client, message: Message<'_>, now: Now) {
        let done = self.authenticate(client, message, now).and_then(|request| {
            let key = request.key.clone();
            self.dispatch(request, now).map_err(|refusal| Refusal { key: Some(key), ..refusal })
        });
        let Err(refusal) = done else { return };
        // A stale nonce proves no source: such a request may be an old one, sent again by somebody else.
        let is_source_proven = refusal.key.is_some() && refusal.code != ErrorCode::STALE_NONCE;
        let room = if is_source_proven { Room::ANY } else { self.room_for_answer(client, &message, now.at) };
        match refusal.code {
            ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE => self.challenge(client, &message, refusal, room, now),
            _ => self.refuse(client, &message, refusal, room),
        }
    }

    fn dispatch(&mut self, request: Request<'_>, now: Now) -> Result<(), Refusal> {
        // RFC 8489 §6.3.1.
        let unknown = request.message.unknown_attributes(is_known);
        if !unknown.is_empty() {
            return Err(Refusal { unknown, ..ErrorCode::UNKNOWN_ATTRIBUTE.into() });
        }
        if request.message.method() == Method::ALLOCATE {
            return self.allocate(request, now);
        }
        if request.message.method() == Method::CONNECTION_BIND {
            return self.connection_bind(request, now.at);
        }
        if let Some(ticket) = ticket(&request.message) {
            return self.refresh_by_ticket(ticket, request, now.at);
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
            Method::CONNECT => self.connect(index, request, now.at),
            _ => self.channel_bind(index, request, now.at),
        }
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

    /// A call that is linked to the allocation is accepted.
    pub fn handle_accepted(&mut self, key: AllocationKey, call: CallId) {
        let Some(allocation) = self.allocation_mut(key) else { return };
        if allocation.calls.contains(&call) && !allocation.accepted.contains(&call) {
            allocation.accepted.push(call);
            allocation.judge_rate();
        }
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
        allocation.accepted.retain(|linked| *linked != call);
        allocation.judge_rate();
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

    /// A session is over: frees its allocations.
    pub fn handle_session_end(&mut self, tag: SessionTag, now: Instant) {
        for index in self.by_session.get(&tag).cloned().unwrap_or_default() {
            self.free(index, now);
        }
    }

    fn allocation_mut(&mut self, key: AllocationKey) -> Option<&mut Allocation> {
        self.allocations.get_mut(key.index as usize).filter(|allocation| allocation.serial == key.serial)
    }

    /// What the shell is to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes the bytes of a message back that was sent, so that the next answer needs no memory of its own.
    pub fn take_back(&mut self, message: Vec<u8>) {
        self.spare.put(message);
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

    /// Tells the registry what allocations with live calls have carried so far, from number `from` on: some of them, so that no packet
    /// waits for all. Returns where to go on.
    pub fn publish_quality(&self, from: u32) -> Option<u32> {
        let mut rest = self.linked.range(from..);
        for &index in rest.by_ref().take(QUALITIES) {
            let Some(allocation) = self.allocations.get(index as usize) else { continue };
            let Some(quality) = allocation.quality() else { continue };
            let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
            for &call in &allocation.calls {
                self.registry.record(call, key, quality.clone());
            }
        }
        rest.next().copied()
    }

    /// Whether nothing is held for any client.
    pub fn is_idle(&self) -> bool {
        self.listening.is_empty()
            && self.guests.is_empty()
            && self.moving.is_empty()
            && self.connecting.is_empty()
            && self.allocations.is_empty()
            && self.openings.is_empty()
            && self.flows.is_empty()
            && self.by_client.is_empty()
            && self.by_session.is_empty()
            && self.by_socket.is_empty()
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
            | AttributeType::MESSAGE_INTEGRITY_SHA256
            | AttributeType::PASSWORD_ALGORITHM
            | AttributeType::USERHASH
            | AttributeType::XOR_RELAYED_ADDRESS
            | AttributeType::REQUESTED_ADDRESS_FAMILY
            | AttributeType::EVEN_PORT
            | AttributeType::REQUESTED_TRANSPORT
            | AttributeType::DONT_FRAGMENT
            | AttributeType::XOR_MAPPED_ADDRESS
            | AttributeType::RESERVATION_TOKEN
            | AttributeType::CONNECTION_ID
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

#[cfg(test)]
mod tests;
