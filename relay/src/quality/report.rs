//! What is told of a call's media: the RTP streams that passed, and how much each allocation carried.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Which way media went through an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to a peer.
    ToPeer,
    /// From a peer to the client.
    ToClient,
}

/// One RTP stream through one allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamQuality {
    /// Which way it went.
    pub direction: Direction,
    /// SSRC.
    pub ssrc: u32,
    /// The payload type seen last.
    pub payload_type: u8,
    /// Packets that arrived here.
    pub received: u32,
    /// Packets lost on the way here; negative where packets came twice (RFC 3550 A.3).
    pub lost: i64,
    /// Bytes of RTP.
    pub bytes: u64,
    /// The clock rate, once it is known.
    pub clock_hz: Option<u32>,
    /// Interarrival jitter on the way here, once the clock rate is known (RFC 3550 A.8).
    pub jitter_ms: Option<f64>,
    /// From the first packet to the last.
    pub duration: Duration,
}

/// What passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Volume {
    /// Counts one datagram.
    pub fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Counts what another counted.
    pub fn merge(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// One allocation that serves, or served, a call.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayQuality {
    /// Its relayed address as advertised; the IPv4 one of two.
    pub relayed: SocketAddr,
    /// The account it belongs to.
    pub account: Arc<str>,
    /// What its client sent to peers.
    pub to_peer: Volume,
    /// What peers sent to its client.
    pub to_client: Volume,
    /// The RTP streams.
    pub streams: Vec<StreamQuality>,
}

/// The media of one call as its relays saw it, at most a second old.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallQuality {
    /// One entry per allocation.
    pub relays: Vec<RelayQuality>,
}
