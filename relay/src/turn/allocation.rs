//! One allocation (RFC 8656 §6): who owns it, its relayed addresses, permissions (§9), channels (§12) and when each ends.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use campanile_ice::stun::turn::{Channel, Family};
use campanile_ice::stun::{ErrorCode, TransactionId};

use super::auth::Signing;
use super::data_connections::DataOwner;
use super::fence::Fence;
use super::quota::Allowance;
use super::registry::CallId;
use super::sessions::RelaySession;
use crate::datapath::flow::{Client, Reach, SocketId};
use crate::endpoint::Ip;
use crate::quality::meter::Meters;
use crate::quality::report::{RelayQuality, Volume};

/// §9: "The Permission Lifetime MUST be 300 seconds".
pub const PERMISSION: Duration = Duration::from_secs(300);
/// §12: ten minutes.
pub const CHANNEL: Duration = Duration::from_secs(600);
/// §12: how long after its end a channel's number and peer can be bound to nothing but each other.
pub const QUARANTINE: Duration = Duration::from_secs(300);
const DEFAULT_LIFETIME_S: u32 = 600;
const MAX_LIFETIME_S: u32 = 3_600;

/// §7.2, §8.2: between the default and the maximum, the default where the client asks for none.
pub fn lifetime(requested_s: Option<u32>) -> Duration {
    Duration::from_secs(requested_s.unwrap_or(DEFAULT_LIFETIME_S).clamp(DEFAULT_LIFETIME_S, MAX_LIFETIME_S).into())
}

/// The state of one allocation. What each packet touches stands first and together: two cache lines of a table that fits into none.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Allocation {
    /// The 5-tuple.
    pub client: Client,
    /// What the client sent to peers.
    pub to_peer: Volume,
    /// What peers sent to the client.
    pub to_client: Volume,
    /// Live calls that use it.
    pub calls: Vec<CallId>,
    /// What it may relay of its account's bytes per second.
    pub allowance: Allowance,
    /// Tells it from others that had its place before.
    pub serial: u64,
    /// The account it counts for.
    pub account: Arc<str>,
    /// The session that its credentials were issued to; it ends with that.
    pub session: Option<RelaySession>,
    /// USERNAME of the request that made it; the only one that may use it (§5).
    pub username: Box<str>,
    /// The key of that user name.
    pub key: Signing,
    /// The transaction that made it, to know a retransmission by.
    pub transaction: TransactionId,
    /// What the source counts for.
    pub source: Ip,
    /// What all data connections of a TCP allocation (RFC 6062) share; none for one that relays UDP.
    pub data: Option<Arc<DataOwner>>,
    /// The relayed addresses, IPv4 and IPv6.
    pub relays: [Option<Relay>; 2],
    /// The token of the port that was reserved along with it.
    pub token: Option<[u8; 8]>,
    /// A family that could not be had, and why (ADDRESS-ERROR-CODE, §7.2).
    pub missing: Option<(Family, ErrorCode)>,
    /// Permissions, one per address.
    pub permissions: Vec<Permission>,
    /// Channels, one per number and per peer.
    pub channels: Vec<ChannelBinding>,
    /// What becomes of it when its client moves (RFC 8016); none for a client that did not ask for a ticket.
    pub mobile: Option<Box<Mobile>>,
    /// It belongs to a session, and the fence is up.
    pub is_fenced: bool,
    /// Those of its calls that are accepted.
    pub accepted: Vec<CallId>,
    /// Addresses from which connectivity checks of the other party of a call came; they count as long as that lives.
    pub checked: Vec<(IpAddr, CallId)>,
    /// When the next one is looked at.
    pub next_check: Option<Instant>,
    /// When it is freed because its last call ended.
    pub free_at: Option<Instant>,
    /// When the timer that stands for it runs out.
    pub scheduled: Instant,
    /// RTP seen.
    pub meters: Meters,
}

/// RFC 8016: where the client of an allocation moves.
#[derive(Debug, Default)]
pub struct Mobile {
    /// Of the ticket that is good.
    pub generation: u32,
    /// Who moved last, and until when the request may be repeated with the ticket before that one.
    pub moved: Option<(Client, Instant)>,
    /// The new 5-tuple, until the client has sent data on it.
    pub next: Option<Client>,
    /// When it ends because its connection is gone and the client has not come back.
    pub waits_until: Option<Instant>,
}

/// One relayed transport address.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    /// The socket.
    pub socket: SocketId,
    /// Where it is bound.
    pub bound: SocketAddr,
    /// What clients are told.
    pub advertised: SocketAddr,
    /// When it ends unless refreshed.
    pub expires: Instant,
}

/// §9.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// The peer's address.
    pub ip: IpAddr,
    /// Which ports count.
    pub reach: Reach,
    /// When it ends.
    pub expires: Instant,
}

/// §12.
#[derive(Clone, Copy, Debug)]
pub struct ChannelBinding {
    /// The number.
    pub channel: Channel,
    /// The peer.
    pub peer: SocketAddr,
    /// Which ports count.
    pub reach: Reach,
    /// When it ends.
    pub expires: Instant,
    /// It stands in the flow tables; afterwards it is kept for its quarantine alone.
    pub is_live: bool,
}

impl ChannelBinding {
    /// When it is forgotten.
    pub fn held_until(&self) -> Instant {
        self.expires + QUARANTINE
    }
}

impl Allocation {
    /// The relayed address of a family.
    pub fn relay(&self, family: Family) -> Option<&Relay> {
        self.relays[relay_index(family)].as_ref()
    }

    /// The permission for an address, unless it has run out.
    pub fn permission(&self, ip: IpAddr, now: Instant) -> Option<&Permission> {
        self.permissions.iter().find(|permission| permission.ip == ip && permission.expires > now)
    }

    /// Whether it serves no accepted call, behind a fence for which the calls of its session count.
    pub fn is_early(&self) -> bool {
        self.is_fenced && self.accepted.is_empty()
    }

    /// Its calls have changed: which of the account's rates it is held to.
    pub fn judge_rate(&mut self) {
        let early = self.is_early();
        self.allowance.set_early(early);
        if let Some(data) = &self.data {
            data.is_early.store(early, Ordering::Relaxed);
        }
    }

    /// Whether the fence lets it reach an address. Names made with the REST secret belong to no session whose calls are seen.
    pub fn is_let(&self, fence: &Fence, ip: IpAddr) -> bool {
        let Some(session) = &self.session else { return true };
        fence.lets(&session.party, ip) || self.checked.iter().any(|(checked, call)| *checked == ip && fence.holds(*call))
    }

    /// Gives back to the account what has ended since there were `before` permissions and channels.
    pub fn withdraw(&self, (permissions, channels): (usize, usize)) {
        self.allowance.share().withdraw(permissions - self.permissions.len(), channels - self.channels.len());
    }

    /// The next time at which something of it ends.
    pub fn next_due(&self) -> Instant {
        let relays = self.relays.iter().flatten().map(|relay| relay.expires);
        let permissions = self.permissions.iter().map(|permission| permission.expires);
        let channels = self.channels.iter().map(|channel| if channel.is_live { channel.expires } else { channel.held_until() });
        let waits_until = self.mobile.as_ref().and_then(|mobile| mobile.waits_until);
        let due = relays.chain(permissions).chain(channels).chain(self.free_at).chain(waits_until).min();
        due.unwrap_or(self.scheduled)
    }

    /// What it carried, for the calls that it serves.
    pub fn quality(&self) -> Option<RelayQuality> {
        let relay = self.relays.iter().flatten().next()?;
        Some(RelayQuality {
            relayed: relay.advertised,
            account: self.account.clone(),
            to_peer: self.to_peer,
            to_client: self.to_client,
            streams: self.meters.report().collect(),
        })
    }
}

/// Where a family stands in `Allocation::relays`.
pub fn relay_index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_packet_touches_is_two_cache_lines() {
        use std::mem::offset_of;
        let ends = [
            offset_of!(Allocation, client) + size_of::<Client>(),
            offset_of!(Allocation, to_client) + size_of::<Volume>(),
            offset_of!(Allocation, calls) + size_of::<Vec<CallId>>(),
        ];
        assert!(ends.into_iter().all(|end| end <= 128), "{ends:?}");
    }

    #[test]
    fn s7_2_lifetimes_are_clamped() {
        for (requested, expected) in
            [(None, 600), (Some(0), 600), (Some(1), 600), (Some(600), 600), (Some(1_200), 1_200), (Some(u32::MAX), 3_600)]
        {
            assert_eq!(lifetime(requested).as_secs(), expected, "{requested:?}");
        }
    }
}
