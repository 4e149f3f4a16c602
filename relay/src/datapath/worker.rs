//! One thread per core: receive a batch, demultiplex, look up, send a batch, run timers. It owns its allocations and their sockets.

mod inbox;
mod outputs;
mod passing;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use campanile_ice::stun::turn::{Family, Frame, Icmp, stream_frame};
use tokio::sync::mpsc;

use super::batch::{Batch, Destination, SLOTS, SLOTS_PER_RELAY};
use super::demux::{self, Kind};
use super::flow::{Client, SocketId, Via};
use super::neighbours::{Neighbours, neighbours};
use super::pace::{self, Pace};
use super::socket::send_unfragmented;
use super::system::{Poller, SendError, Waker, interface_addresses, nap, read_error, sleep_precisely};
use super::tcp_relay::{Arrival, TcpRelays};
use crate::arena::Arena;
use crate::endpoint::{Endpoint, Keyed};
use crate::stats::{DropReason, Stats};
use crate::turn::data_connections::DataConnectionKey;
use crate::turn::registry::{AllocationKey, CallId, Hosts, Registry};
use crate::turn::server::{Now, Route, Server};
use crate::turn::sessions::SessionTag;
use crate::turn::stream::{Outbox, Turn};

/// How often counters and meters are published.
const PUBLISH: Duration = Duration::from_secs(1);
/// How often the first worker looks for new interface addresses.
const LOOK_FOR_ADDRESSES: Duration = Duration::from_secs(10);
/// ICMP errors taken from one socket at a time.
const ERRORS_PER_TURN: usize = 16;

const WAKER_TOKEN: u64 = u64::MAX;
const LISTENER_TOKENS: u64 = 1 << 32;

/// What the shell of TCP and TLS clients hands to a worker; bounded, and waits when full.
pub enum Inbox {
    /// A client has connected.
    Connected(Client, Outbox),
    /// Whole frames of a client.
    Frames(u64, Bytes, Turn),
    /// A connection is gone.
    Disconnected(u64),
    /// A datagram of a client of this worker that has come to another one (RFC 8016).
    PassedOn {
        /// The client.
        client: Client,
        /// The worker that it has come to.
        from: u16,
        /// The datagram.
        bytes: Bytes,
    },
    /// Whether a peer has been connected to; the socket is in the table of data connections.
    PeerConnected(DataConnectionKey, bool),
    /// A peer has connected to a relayed TCP address.
    PeerArrived(Arrival),
}

/// What `Relay` wants of a worker; few, and bounded by the number of calls and accounts.
pub enum Control {
    /// A call uses an allocation.
    Link(AllocationKey, CallId),
    /// A call that an allocation is linked to is accepted.
    Accepted(AllocationKey, CallId),
    /// A call that used an allocation has ended.
    Unlink(AllocationKey, CallId),
    /// Free the allocations of an account.
    Revoke(Arc<str>),
    /// A connection of another worker whose client has an allocation here, with the frames that it was to work (RFC 8016).
    Adopt(Client, Outbox, Bytes, Turn),
    /// Frames that came to another worker when the connection was on its way here.
    Frames(u64, Bytes, Turn),
    /// Datagrams of a client are to be passed on to another worker, or no longer.
    Expect(Client, u16, bool),
    /// Free the allocations of a session.
    EndSession(SessionTag),
    /// Free everything and end.
    Shutdown,
}

/// How others reach a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    /// For the shell of TCP and TLS.
    pub inbox: mpsc::Sender<Inbox>,
    /// For `Relay`.
    pub control: std_mpsc::Sender<Control>,
    /// To be called after sending to either.
    pub waker: Arc<Waker>,
    /// What it counted, at most a second old.
    pub stats: Arc<Mutex<Stats>>,
}

/// All a worker is made of, before its thread runs.
pub struct Worker {
    index: u16,
    server: Server,
    registry: Arc<Registry>,
    poller: Poller,
    listeners: Vec<Listener>,
    sockets: Arena<Relayed>,
    /// Relayed TCP addresses; none where there is no runtime for them.
    tcp: Option<TcpRelays>,
    /// All workers, by their numbers; none before they know each other.
    workers: Vec<WorkerHandle>,
    /// A connection that is to go to another worker, when its frame is worked.
    leaving: Option<(u16, Outbox)>,
    /// Connections that went, and where to: what is under way follows them. Forgotten within a second.
    left: HashMap<u64, u16, Keyed>,
    /// Closed by the server, to be dropped once what is queued on them was sent.
    closing: Vec<SocketId>,
    streams: HashMap<u64, Stream, Keyed>,
    /// Streams with something pending.
    dirty: Vec<u64>,
    inbox: mpsc::Receiver<Inbox>,
    control: std_mpsc::Receiver<Control>,
    waker: Arc<Waker>,
    published: Arc<Mutex<Stats>>,
    indications: u64,
    /// How often it has published its counters.
    publications: u64,
    neighbours: Neighbours,
    /// Packets that came from them.
    crossings: u64,
    /// Packets between relayed addresses of ours do not go through the kernel.
    has_short_cut: bool,
}

struct Listener {
    socket: UdpSocket,
    local: Endpoint,
    /// It listens on all addresses: answers must name theirs.
    is_any: bool,
}

struct Relayed {
    socket: UdpSocket,
    bound: Endpoint,
}

/// Where a payload lies.
enum Payload<'a> {
    /// In a received datagram, and where in it.
    Packet(usize, Range<usize>),
    /// Elsewhere.
    Bytes(&'a [u8]),
}

impl Payload<'_> {
    fn bytes<'b>(&'b self, batch: &'b Batch) -> &'b [u8] {
        match self {
            Self::Packet(index, range) => &batch.payload(*index)[range.clone()],
            Self::Bytes(bytes) => bytes,
        }
    }

    fn queue(self, destination: Destination<'_>, head: &[u8], pad_bytes: usize, batch: &mut Batch) {
        match self {
            Self::Packet(index, range) => batch.queue_packet(destination, index, range, head, pad_bytes),
            Self::Bytes(bytes) => batch.queue_copy(destination, head, bytes, pad_bytes),
        }
    }
}

impl Listener {
    /// How a datagram goes to a client.
    fn towards(&self, client: Client) -> Destination<'_> {
        let from = self.is_any.then_some(client.local.ip);
        Destination { socket: self.socket.as_fd(), to: client.remote, from }
    }
}

/// A TCP or TLS client.
struct Stream {
    client: Client,
    outbox: Outbox,
    /// Frames of this turn of the loop, sent at its end.
    pending: BytesMut,
}

impl Worker {
    /// A worker that listens on these sockets.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new(
        index: u16,
        server: Server,
        registry: Arc<Registry>,
        listeners: Vec<UdpSocket>,
        inbox_messages: usize,
    ) -> io::Result<(Self, WorkerHandle)> {
        let poller = Poller::new()?;
        let waker = Arc::new(Waker::new()?);
        poller.add_waker(&waker, WAKER_TOKEN)?;
        let mut sockets = Vec::new();
        for socket in listeners {
            poller.add(socket.as_fd(), LISTENER_TOKENS | sockets.len() as u64)?;
            let local = socket.local_addr()?;
            sockets.push(Listener { socket, local: local.into(), is_any: local.ip().is_unspecified() });
        }
        let (inbox_sender, inbox) = mpsc::channel(inbox_messages);
        let (control_sender, control) = std_mpsc::channel();
        let published = Arc::new(Mutex::new(Stats { busy: vec![Duration::ZERO], publications: vec![0], ..Stats::default() }));
        let handle = WorkerHandle { inbox: inbox_sender, control: control_sender, waker: waker.clone(), stats: published.clone() };
        let worker = Self {
            index,
            server,
            registry,
            poller,
            listeners: sockets,
            sockets: Arena::default(),
            tcp: None,
            workers: Vec::new(),
            leaving: None,
            left: HashMap::default(),
            closing: Vec::new(),
            streams: HashMap::default(),
            dirty: Vec::new(),
            inbox,
            control,
            waker,
            published,
            indications: 0,
            publications: 0,
            neighbours: Neighbours::default(),
            crossings: 0,
            has_short_cut: true,
        };
        if index == 0 {
            worker.look_for_addresses();
        }
        Ok((worker, handle))
    }

    /// Tells a worker of all workers, itself included.
    pub fn introduce(&mut self, workers: &[WorkerHandle]) {
        self.workers = workers.to_vec();
    }

    /// Serves TCP allocations (RFC 6062) from now on.
    pub fn relay_tcp(&mut self, relays: TcpRelays) {
        self.tcp = Some(relays);
    }

    /// Joins workers, so that packets between their relayed addresses need no system call. To be called once, before they run.
    pub fn join(workers: &mut [Self]) {
        let wakers: Vec<_> = workers.iter().map(|worker| worker.waker.clone()).collect();
        for (worker, neighbours) in workers.iter_mut().zip(neighbours(&wakers)) {
            worker.neighbours = neighbours;
        }
    }

    /// Sends packets between relayed addresses of ours through the kernel, as if they were anybody's: to compare.
    pub fn without_short_cut(mut self) -> Self {
        self.has_short_cut = false;
        self
    }

    /// The thread. Ends at `Control::Shutdown`, or when the kernel refuses to wait.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn run(mut self) -> io::Result<()> {
        let mut batch = Batch::new();
        let started = Instant::now();
        let (mut publish_at, mut look_at) = (started, started + LOOK_FOR_ADDRESSES);
        let mut waited = Duration::ZERO;
        let (mut has_more, mut quality_from) = (false, None);
        let (mut pace, mut packets, mut naps) = (Pace::new(started), 0, false);
        sleep_precisely(pace::SLACK);
        loop {
            let due = self.server.poll_timeout().map_or(publish_at, |at| at.min(publish_at));
            let waits_from = (!has_more).then(Instant::now);
            let timeout = waits_from.map_or(Duration::ZERO, |from| due.saturating_duration_since(from));
            let ready = if naps && !has_more { self.nap()? } else { self.wait(timeout)? };
            let now = Now { at: Instant::now(), time: SystemTime::now() };
            waited += waits_from.map_or(Duration::ZERO, |from| now.at.saturating_duration_since(from));
            let Some(more) = self.turn(ready, &mut batch, now) else { return Ok(()) };
            has_more = more;
            let packets_before = std::mem::replace(&mut packets, self.crossings + self.server.stats_mut().receives.packets);
            naps = pace.turned(now.at, packets - packets_before);
            // In portions: with thousands of calls it takes milliseconds.
            if let Some(from) = quality_from {
                quality_from = self.server.publish_quality(from);
                has_more |= quality_from.is_some();
            }
            if now.at >= publish_at {
                quality_from = Some(0);
                has_more = true;
                publish_at = now.at + PUBLISH;
                batch.handle_time(now.at);
                self.publish(&batch, now.at, now.at.saturating_duration_since(started).saturating_sub(waited));
            }
            if self.index == 0 && now.at >= look_at {
                look_at = now.at + LOOK_FOR_ADDRESSES;
                self.look_for_addresses();
            }
        }
    }

    /// Waits until there is something to do; returns how many sockets are readable.
    fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        if self.neighbours.is_empty() || timeout.is_zero() {
            return self.poller.wait(timeout);
        }
        self.waker.fall_asleep();
        let timeout = if self.neighbours.has_news() { Duration::ZERO } else { timeout };
        let ready = self.poller.wait(timeout);
        self.waker.be_awake();
        ready
    }

    /// Lets packets gather, and returns how many sockets are readable then.
    fn nap(&mut self) -> io::Result<usize> {
        nap(pace::NAP);
        self.poller.wait(Duration::ZERO)
    }

    /// One turn of the loop. Returns whether something is left to be done at once; none when the worker is to end.
    fn turn(&mut self, ready: usize, batch: &mut Batch, now: Now) -> Option<bool> {
        // First, so that datagrams find what they were announced by (`Control::Expect`).
        if self.read_control(batch, now) {
            self.flush(batch);
            return None;
        }
        for index in 0..ready {
            match self.poller.token(index) {
                WAKER_TOKEN => self.waker.reset(),
                token if token >= LISTENER_TOKENS => self.receive_from_clients((token & 0xFFFF) as u16, batch, now),
                token => {
                    let id = SocketId(token as u32);
                    if self.poller.is_error(index) {
                        self.read_errors(id, None, batch, now);
                    }
                    self.receive_from_peers(id, batch, now);
                }
            }
        }
        let mut has_more = self.read_neighbours(batch, now);
        has_more |= !self.read_inbox(batch, now);
        self.server.handle_timeout(now.at);
        self.work_outputs(batch, now);
        self.flush(batch);
        Some(has_more)
    }

    // Receiving.

    fn receive_from_clients(&mut self, number: u16, batch: &mut Batch, now: Now) {
        self.make_room(batch, SLOTS / 4);
        let listener = &self.listeners[usize::from(number)];
        let slots = match batch.receive(listener.socket.as_fd(), SLOTS) {
            Ok(slots) => slots,
            Err(error) => return tracing::warn!(%error, local = ?listener.local, "receiving from clients failed"),
        };
        let bound = listener.local;
        self.count_batch(slots.len());
        for slot in slots {
            let packet = batch.packet(slot);
            if packet.is_truncated {
                self.server.stats_mut().count_drop(DropReason::TooBig);
                continue;
            }
            let local = Endpoint { ip: packet.local.unwrap_or(bound.ip), port: bound.port };
            let client = Client { via: Via::Udp(number), remote: packet.remote, local };
            if let Some(route) = self.demultiplex(client, batch.payload(slot), now) {
                let payload = Payload::Packet(slot, route.payload.clone());
                self.forward(route, payload, batch, now);
            }
            self.work_outputs(batch, now);
        }
    }

    fn demultiplex(&mut self, client: Client, bytes: &[u8], now: Now) -> Option<Route> {
        match demux::kind(bytes) {
            Kind::Channel => self.server.handle_channel_data(client, bytes, now.at),
            Kind::Stun => self.server.handle_message(client, bytes, now),
            Kind::Other => {
                self.server.stats_mut().count_drop(DropReason::Malformed);
                None
            }
        }
    }

    fn receive_from_peers(&mut self, id: SocketId, batch: &mut Batch, now: Now) {
        self.make_room(batch, SLOTS_PER_RELAY);
        let Some(relayed) = self.sockets.get(id.0 as usize) else { return };
        let slots = match batch.receive(relayed.socket.as_fd(), SLOTS_PER_RELAY) {
            Ok(slots) => slots,
            Err(error) => return tracing::debug!(%error, "receiving from peers failed"),
        };
        self.count_batch(slots.len());
        for slot in slots {
            let packet = batch.packet(slot);
            if packet.is_truncated {
                self.server.stats_mut().count_drop(DropReason::TooBig);
                continue;
            }
            self.arrive(id, packet.remote, Payload::Packet(slot, 0..packet.payload_bytes), batch, now);
        }
    }

    /// RFC 8656 §11.2: a Send with DONT-FRAGMENT. Such are probes of a path, and few: each goes on its own.
    fn send_unfragmented(&mut self, route: &Route, payload: &[u8], batch: &mut Batch, now: Now) {
        let Some(relayed) = self.sockets.get(route.socket.0 as usize) else {
            return self.server.stats_mut().count_drop(DropReason::ClientGone);
        };
        if let Err(error) = send_unfragmented(&relayed.socket, payload, route.to.into()) {
            tracing::debug!(%error, bytes = payload.len(), "not sent without fragments");
            self.server.stats_mut().count_drop(DropReason::SendFailed);
            self.read_errors(route.socket, Some(route.to), batch, now);
        }
    }

    /// Tells clients what the network says of what they sent (RFC 8656 §11.5). `to` is where the last datagram was sent.
    fn read_errors(&mut self, id: SocketId, to: Option<Endpoint>, batch: &mut Batch, now: Now) {
        for _ in 0..ERRORS_PER_TURN {
            let Some(relayed) = self.sockets.get(id.0 as usize) else { return };
            match read_error(relayed.socket.as_fd()) {
                Ok(Some(SendError::Icmp(peer, kind, code, error_data))) => {
                    self.server.handle_icmp(id, peer, Icmp { kind, code, error_data }, now.at);
                }
                Ok(Some(SendError::TooBig(peer, mtu_bytes))) => {
                    let family = if peer.ip.is_ipv4() { Family::V4 } else { Family::V6 };
                    self.server.handle_icmp(id, to.unwrap_or(peer), Icmp::too_big(family, mtu_bytes), now.at);
                }
                Ok(Some(SendError::Other)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.work_outputs(batch, now);
    }

    fn make_room(&mut self, batch: &mut Batch, slots: usize) {
        if batch.room() < slots {
            self.flush(batch);
        }
    }

    /// Counts each of these frames.
    fn count_lost(&mut self, frames: &[u8], reason: DropReason) {
        self.server.stats_mut().drops[reason as usize] += frames_in(frames);
    }

    fn count_batch(&mut self, packets: usize) {
        self.server.stats_mut().receives.count(packets);
    }

    // The end of a turn.

    fn flush(&mut self, batch: &mut Batch) {
        self.neighbours.publish();
        self.server.stats_mut().sends.count(batch.queued());
        let failed = batch.flush();
        self.server.stats_mut().drops[DropReason::SendFailed as usize] += failed as u64;
        for id in self.dirty.drain(..) {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let frames = stream.pending.split().freeze();
            if !stream.outbox.send(frames.clone()) {
                self.server.stats_mut().drops[DropReason::QueueFull as usize] += frames_in(&frames);
            }
        }
        for id in self.closing.drain(..) {
            self.sockets.try_remove(id.0 as usize);
        }
    }

    /// `busy` is how long this worker has been at work.
    fn publish(&mut self, batch: &Batch, now: Instant, busy: Duration) {
        self.server.collect_data();
        self.left.clear();
        self.server.handle_addresses(now);
        if self.index == 0 {
            self.registry.sweep(now);
        }
        self.publications += 1;
        let mut stats = self.server.stats_mut().clone();
        (stats.joined_refused, stats.workers_apart) = (batch.refusals(), u64::from(!batch.is_joining()));
        (stats.busy, stats.publications) = (vec![busy], vec![self.publications]);
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    fn look_for_addresses(&self) {
        match interface_addresses() {
            Ok(addresses) => self.registry.set_hosts(Hosts::new(addresses).with_outward(outward_addresses())),
            Err(error) => tracing::warn!(%error, "the addresses of this host cannot be read"),
        }
    }
}

/// How many frames stand in a client's outgoing bytes.
fn frames_in(mut frames: &[u8]) -> u64 {
    let mut count = 0;
    while let Frame::Whole(length) = stream_frame(frames) {
        frames = &frames[length..];
        count += 1;
    }
    count
}

/// The addresses that the kernel sends to the Internet from, at most one per family. Connecting a UDP socket asks for the route and
/// sends nothing; which address of the Internet it is asked for matters little: these are a root server's.
fn outward_addresses() -> impl Iterator<Item = IpAddr> {
    let routes: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(198, 41, 0, 4).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0x503, 0xBA3E, 0, 0, 0, 2, 0x30).into()),
    ];
    routes.into_iter().filter_map(|(any, there)| {
        // No route, or a family that the kernel does not have: then there is no such address.
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
        socket.connect(SocketAddr::new(there, 53)).ok()?;
        socket.local_addr().ok().map(|local| local.ip())
    })
}

#[cfg(test)]
mod short_cut;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::report::Direction;
    use crate::settings::{Limits, Settings};
    use crate::turn::auth::Auth;
    use crate::turn::peers::PeerRules;
    use crate::turn::ports::PortKind;
    use crate::turn::ports::Ports;
    use crate::turn::server::{Delivery, DeliveryHeader, Wanted};

    fn worker() -> Worker {
        let settings = Settings::default();
        let auth = Arc::new(Auth::new("example.org".into(), &[1; 32], None, settings.credentials));
        let ports = Ports::new(52_000..=52_999, &[]);
        let registry = Arc::new(Registry::new(ports, PeerRules::default(), Limits::default(), Hosts::default()));
        let seed = std::array::from_fn(|index| index as u8 ^ std::process::id() as u8);
        let server = Server::new(0, auth, registry.clone(), settings.call_grace, seed, Instant::now());
        Worker::new(0, server, registry, Vec::new(), 4).unwrap().0
    }

    #[test]
    fn what_is_too_long_for_a_slot_is_dropped_and_counted_from_peers_too() {
        let (mut worker, mut batch) = (worker(), Batch::new());
        let now = Now { at: Instant::now(), time: SystemTime::now() };
        let relayed = worker.open(Wanted::Fresh(Ipv6Addr::LOCALHOST.into(), PortKind::Any), now).unwrap();
        let peer = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        // Over IPv6 a datagram may be 20 bytes longer than over IPv4.
        for (before, bytes) in [65_507, 65_508, 65_527].into_iter().enumerate() {
            assert_eq!(peer.send_to(&vec![7; bytes], relayed.bound).unwrap(), bytes);
            let deadline = Instant::now() + Duration::from_secs(5);
            while worker.server.stats_mut().receives.packets == before as u64 && Instant::now() < deadline {
                worker.receive_from_peers(relayed.socket, &mut batch, now);
            }
        }
        let drops = worker.server.stats_mut().drops;
        assert_eq!(drops[DropReason::TooBig as usize], 2);
        assert_eq!(drops[DropReason::PeerNoPermission as usize], 1, "the one that fits is judged like any other");
    }

    #[test]
    fn what_comes_for_a_relayed_address_or_client_that_has_just_gone_is_counted() {
        let (mut workers, mut batch) = ([worker(), worker()], Batch::new());
        Worker::join(&mut workers);
        let now = Now { at: Instant::now(), time: SystemTime::now() };
        let endpoint = |port| Endpoint::from(SocketAddr::from(([127, 0, 0, 1], port)));
        let [first, second] = &mut workers;
        // Another worker's packet for an address that nobody has any more.
        assert!(first.neighbours.push(1, endpoint(52_001), endpoint(52_002), b"late"));
        first.neighbours.publish();
        second.read_neighbours(&mut batch, now);
        let mut expected = Stats::default().drops;
        expected[DropReason::OwnAddress as usize] = 1;
        assert_eq!(second.server.stats_mut().drops, expected);
        // A peer's, an answer, and two frames of a connection that has ended; a payload of an allocation that has.
        let client = Client { via: Via::Tcp(9), remote: endpoint(1), local: endpoint(2) };
        let delivery = Delivery { client, header: DeliveryHeader::Data(endpoint(3)), allocation: 0 };
        second.deliver(delivery, Payload::Bytes(b"late"), &mut batch);
        second.send(client, vec![0; 20], &mut batch);
        second.read_frames(9, Bytes::from_static(&[0x40, 0, 0, 0, 0x40, 0, 0, 0]), Turn::default(), &mut batch, now);
        assert!(!second.server.observe(7, Direction::ToPeer, b"late", now.at));
        expected[DropReason::ClientGone as usize] = 5;
        assert_eq!(second.server.stats_mut().drops, expected);
    }

    #[test]
    fn outward_addresses_are_those_of_this_host() {
        let hosts = Hosts::new(interface_addresses().unwrap());
        let outward: Vec<IpAddr> = outward_addresses().collect();
        assert!(outward.len() <= 2 && outward.iter().all(|ip| hosts.contains(*ip)), "{outward:?}");
    }

    #[test]
    fn s7_2_a_reserved_socket_is_closed_with_its_reservation() {
        let mut worker = worker();
        let now = Now { at: Instant::now(), time: SystemTime::now() };
        let opened = worker.open(Wanted::Fresh(Ipv6Addr::LOCALHOST.into(), PortKind::EvenPair), now).unwrap();
        let second = SocketAddr::new(opened.bound.ip(), opened.bound.port() + 1);
        assert!(UdpSocket::bind(second).is_err());
        assert_eq!(worker.registry.ports.usage().0, 2);
        worker.registry.cancel(opened.token.unwrap());
        assert!(UdpSocket::bind(second).is_ok());
        assert_eq!(worker.registry.ports.usage().0, 1);
    }
}
