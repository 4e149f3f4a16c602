//! The flow tables: flat records that say where a packet goes. `turn/server.rs` writes them; the datapath reads them.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::time::Instant;

use campanile_ice::stun::turn::Channel;

use crate::endpoint::{Endpoint, Ip, Keyed};

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The worker's UDP socket of this number.
    Udp(u16),
    /// A TCP connection.
    Tcp(u64),
    /// A TLS connection.
    Tls(u64),
}

impl Via {
    /// The connection, for a stream.
    pub fn stream(self) -> Option<u64> {
        match self {
            Self::Udp(_) => None,
            Self::Tcp(id) | Self::Tls(id) => Some(id),
        }
    }
}

/// A client by its 5-tuple (RFC 8656 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Transport and socket.
    pub via: Via,
    /// The client's address as the server sees it.
    pub remote: Endpoint,
    /// The server's address to which the client sends.
    pub local: Endpoint,
}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The socket implies transport and local port. The words that others choose are mixed in one by one.
        let via = match self.via {
            Via::Udp(number) => u64::from(number),
            Via::Tcp(id) | Via::Tls(id) => id,
        };
        let ((high, low), local) = (self.remote.ip.words(), self.local.ip.words());
        state.write_u64(via ^ u64::from(self.remote.port) << 48);
        state.write_u64(high);
        state.write_u64(low);
        state.write_u64(local.0 ^ local.1.rotate_left(32));
    }
}

/// A relayed socket of this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

impl SocketId {
    /// Marks the listener of a TCP allocation (RFC 6062), which no datagram goes through.
    const TCP: u32 = 1 << 31;

    /// The listener of this number.
    pub fn tcp(number: u32) -> Self {
        Self(number | Self::TCP)
    }

    /// The number of a TCP allocation's listener; none for a UDP socket.
    pub fn tcp_number(self) -> Option<u32> {
        (self.0 & Self::TCP != 0).then_some(self.0 & !Self::TCP)
    }
}

/// How far a permission or channel reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every port of the peer.
    Peer,
    /// An address of this host that the operator opened: every port, a relayed one by its local form.
    Own,
    /// An address of this host: only ports that are live relayed ones, judged for each packet.
    Relays,
}

/// Client to peer, by channel.
#[derive(Clone, Copy, Debug)]
pub struct Outbound {
    /// When channel or permission end, whichever is first.
    pub expires: Instant,
    /// The relayed socket to send from.
    pub socket: SocketId,
    /// Where to.
    pub peer: Endpoint,
    /// Which ports count.
    pub reach: Reach,
}

/// Peer to client, where a channel is bound to the peer.
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// When channel or permission end, whichever is first.
    pub expires: Instant,
    /// Whose client.
    pub allocation: u32,
    /// The channel to send on.
    pub channel: Channel,
    /// Which ports count.
    pub reach: Reach,
}

/// A permission (RFC 8656 §9), for both directions.
#[derive(Clone, Copy, Debug)]
pub struct Permit {
    /// When it ends.
    pub expires: Instant,
    /// Whose.
    pub allocation: u32,
    /// Which ports count.
    pub reach: Reach,
}

/// A channel of an allocation, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Line(u64);

impl Line {
    fn new(allocation: u32, channel: Channel) -> Self {
        Self(u64::from(allocation) << 16 | u64::from(channel.number()))
    }
}

/// The three tables of a worker. Whose client a packet is for, or from, says the allocation alone.
#[derive(Debug, Default)]
pub struct Flows {
    outbound: HashMap<Line, Outbound, Keyed>,
    inbound: HashMap<(SocketId, Endpoint), Inbound, Keyed>,
    permits: HashMap<(SocketId, Ip), Permit, Keyed>,
}

impl Flows {
    /// Where ChannelData of this allocation's client goes.
    pub fn outbound(&self, allocation: u32, channel: Channel, now: Instant) -> Option<&Outbound> {
        self.outbound.get(&Line::new(allocation, channel)).filter(|flow| flow.expires > now)
    }

    /// Where a datagram from this peer goes, if a channel is bound to the peer.
    pub fn inbound(&self, socket: SocketId, peer: Endpoint, now: Instant) -> Option<&Inbound> {
        self.inbound.get(&(socket, peer)).filter(|flow| flow.expires > now)
    }

    /// The permission for a peer's address.
    pub fn permit(&self, socket: SocketId, ip: Ip, now: Instant) -> Option<&Permit> {
        self.permits.get(&(socket, ip)).filter(|permit| permit.expires > now)
    }

    /// Sets both directions of a channel.
    pub fn set_channel(&mut self, outbound: Outbound, inbound: Inbound) {
        self.outbound.insert(Line::new(inbound.allocation, inbound.channel), outbound);
        self.inbound.insert((outbound.socket, outbound.peer), inbound);
    }

    /// Forgets both directions of a channel.
    pub fn remove_channel(&mut self, allocation: u32, channel: Channel, socket: SocketId, peer: Endpoint) {
        self.outbound.remove(&Line::new(allocation, channel));
        self.inbound.remove(&(socket, peer));
    }

    /// Sets a permission.
    pub fn set_permit(&mut self, socket: SocketId, ip: Ip, permit: Permit) {
        self.permits.insert((socket, ip), permit);
    }

    /// Forgets a permission.
    pub fn remove_permit(&mut self, socket: SocketId, ip: Ip) {
        self.permits.remove(&(socket, ip));
    }

    /// Records in all tables; nothing is left when no allocation is.
    pub fn len(&self) -> usize {
        self.outbound.len() + self.inbound.len() + self.permits.len()
    }

    /// Whether all tables are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
