//! Counters: plain numbers that a worker owns, published once a second and summed by `handle.rs`.

use std::time::Duration;

use campanile_ice::stun::turn::Family;

use crate::quality::report::Volume;

/// Why a packet went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Neither a STUN message nor ChannelData, or a broken one.
    Malformed,
    /// STUN of a method or class that a server does not take.
    Unexpected,
    /// Data of a client that has no allocation.
    NoAllocation,
    /// ChannelData on a channel that is not bound, or no longer.
    NoChannel,
    /// A Send indication to a peer without a permission.
    NoPermission,
    /// A datagram of a peer without a permission.
    PeerNoPermission,
    /// To or from an address of this host that is no live relayed address.
    OwnAddress,
    /// A datagram longer than any that can be passed on.
    TooBig,
    /// The kernel did not take it: its buffer was full, or there is no route.
    SendFailed,
    /// The queue towards a TCP or TLS client was full.
    QueueFull,
    /// An unauthenticated request beyond the budget of its source.
    OverBudget,
    /// Payload beyond the bytes per second of its account.
    OverQuota,
    /// Payload beyond the bytes per second of what serves no accepted call.
    OverEarlyQuota,
    /// From one relayed address of ours to another, whose worker was behind.
    WorkerBusy,
    /// To or from a TCP or TLS client whose connection has just ended, or an allocation that has.
    ClientGone,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::Unexpected,
        Self::NoAllocation,
        Self::NoChannel,
        Self::NoPermission,
        Self::PeerNoPermission,
        Self::OwnAddress,
        Self::TooBig,
        Self::SendFailed,
        Self::QueueFull,
        Self::OverBudget,
        Self::OverQuota,
        Self::OverEarlyQuota,
        Self::WorkerBusy,
        Self::ClientGone,
    ];

    /// The reason as a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unexpected => "unexpected",
            Self::NoAllocation => "no_allocation",
            Self::NoChannel => "no_channel",
            Self::NoPermission => "no_permission",
            Self::PeerNoPermission => "peer_no_permission",
            Self::OwnAddress => "own_address",
            Self::TooBig => "too_big",
            Self::SendFailed => "send_failed",
            Self::QueueFull => "queue_full",
            Self::OverBudget => "over_budget",
            Self::OverQuota => "over_quota",
            Self::OverEarlyQuota => "over_early_quota",
            Self::WorkerBusy => "worker_busy",
            Self::ClientGone => "client_gone",
        }
    }
}

/// Why a request was not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// An integrity attribute without user name, realm or nonce (400).
    Incomplete,
    /// PASSWORD-ALGORITHMS is not what was offered, or PASSWORD-ALGORITHM none of it (400).
    BidDown,
    /// A user name that nobody was given.
    UnknownName,
    /// Credentials past their expiry.
    Expired,
    /// Credentials of an account that was revoked.
    Revoked,
    /// The integrity attribute does not fit the password.
    WrongPassword,
    /// A nonce of another source, or too old (438).
    StaleNonce,
    /// Good credentials, but not those of the allocation (441).
    WrongCredentials,
}

impl AuthFailure {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Incomplete,
        Self::BidDown,
        Self::UnknownName,
        Self::Expired,
        Self::Revoked,
        Self::WrongPassword,
        Self::StaleNonce,
        Self::WrongCredentials,
    ];

    /// The reason as a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::BidDown => "bid_down",
            Self::UnknownName => "unknown_name",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::WrongPassword => "wrong_password",
            Self::StaleNonce => "stale_nonce",
            Self::WrongCredentials => "wrong_credentials",
        }
    }
}

/// The codes of error responses that are counted each for itself; the order of `Stats::errors`.
pub const ERROR_CODES: [u16; 16] = [400, 401, 403, 405, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 500, 508];

/// The upper bounds of the classes that batches fall into by their size. The last is the size of the largest.
pub const BATCH_SIZES: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Batches of packets by their size: one per packet on an idle machine, 64 at the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// Batches of each class of [`BATCH_SIZES`], and last those that are larger.
    pub counts: [u64; BATCH_SIZES.len() + 1],
    /// Packets in all of them.
    pub packets: u64,
}

impl Batches {
    /// Counts a batch; one without packets is none.
    pub fn count(&mut self, packets: usize) {
        if packets > 0 {
            let class = packets.next_power_of_two().trailing_zeros() as usize;
            self.counts[class.min(BATCH_SIZES.len())] += 1;
            self.packets += packets as u64;
        }
    }

    fn merge(&mut self, other: &Self) {
        add(&mut self.counts, &other.counts);
        self.packets += other.packets;
    }
}

/// One number per transport between client and server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerTransport {
    /// UDP.
    pub udp: u64,
    /// TCP.
    pub tcp: u64,
    /// TLS.
    pub tls: u64,
}

/// One number per address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerFamily {
    /// IPv4.
    pub ipv4: u64,
    /// IPv6.
    pub ipv6: u64,
}

impl PerFamily {
    /// The number of a family.
    pub fn of(&mut self, family: Family) -> &mut u64 {
        match family {
            Family::V4 => &mut self.ipv4,
            Family::V6 => &mut self.ipv6,
        }
    }
}

/// What the relay did since it started, and what it holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Live allocations.
    pub allocations: PerTransport,
    /// Allocations ever made.
    pub allocations_made: PerTransport,
    /// Allocations whose client has moved to another address or connection (RFC 8016).
    pub moves: u64,
    /// Relayed addresses of the live allocations; one may have two.
    pub relayed: PerFamily,
    /// Open connections (`udp` stays 0).
    pub connections: PerTransport,
    /// Data connections of TCP allocations (RFC 6062), those included that wait for their client or peer.
    pub data_connections: u64,
    /// Data connections that clients have ever bound.
    pub data_connections_made: u64,
    /// Payload that was relayed from clients to peers.
    pub to_peer: Volume,
    /// Payload that was relayed from peers to clients.
    pub to_client: Volume,
    /// Binding requests answered.
    pub bindings: u64,
    /// Requests without credentials answered with a challenge (401).
    pub challenges: u64,
    /// Successful requests of other methods.
    pub requests: u64,
    /// Packets dropped, in the order of [`DropReason::ALL`].
    pub drops: [u64; DropReason::ALL.len()],
    /// Requests that failed to authenticate, in the order of [`AuthFailure::ALL`].
    pub auth_failures: [u64; AuthFailure::ALL.len()],
    /// Error responses, in the order of [`ERROR_CODES`], and last those of other codes.
    pub errors: [u64; ERROR_CODES.len() + 1],
    /// Batches of datagrams received from one socket.
    pub receives: Batches,
    /// Batches of datagrams that were sent together.
    pub sends: Batches,
    /// Runs of joined datagrams (GSO) that the kernel or a device refused.
    pub joined_refused: u64,
    /// Workers that send each datagram on its own, since devices refuse joined ones or the kernel has none.
    pub workers_apart: u64,
    /// How often each worker has published its counters; by the number of the worker.
    pub publications: Vec<u64>,
    /// How long each worker was at work and did not wait for packets, since it started; by the number of the worker.
    pub busy: Vec<Duration>,
    /// Relayed ports in use.
    pub ports_used: PerFamily,
    /// Relayed ports that there are.
    pub ports: PerFamily,
}

impl Stats {
    /// Counts a dropped packet.
    pub fn count_drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// Counts a failed authentication.
    pub fn count_auth_failure(&mut self, reason: AuthFailure) {
        self.auth_failures[reason as usize] += 1;
    }

    /// Counts an error response.
    pub fn count_error(&mut self, code: u16) {
        let index = ERROR_CODES.iter().position(|known| *known == code);
        self.errors[index.unwrap_or(ERROR_CODES.len())] += 1;
    }

    /// Adds what the next worker counted. Ports are everybody's: they are not added.
    pub fn merge(&mut self, other: &Self) {
        for (sum, other) in [
            (&mut self.allocations, &other.allocations),
            (&mut self.allocations_made, &other.allocations_made),
            (&mut self.connections, &other.connections),
        ] {
            sum.udp += other.udp;
            sum.tcp += other.tcp;
            sum.tls += other.tls;
        }
        self.moves += other.moves;
        self.data_connections_made += other.data_connections_made;
        self.relayed.ipv4 += other.relayed.ipv4;
        self.relayed.ipv6 += other.relayed.ipv6;
        self.to_peer.merge(other.to_peer);
        self.to_client.merge(other.to_client);
        self.bindings += other.bindings;
        self.challenges += other.challenges;
        self.requests += other.requests;
        add(&mut self.drops, &other.drops);
        add(&mut self.auth_failures, &other.auth_failures);
        add(&mut self.errors, &other.errors);
        self.receives.merge(&other.receives);
        self.sends.merge(&other.sends);
        self.joined_refused += other.joined_refused;
        self.workers_apart += other.workers_apart;
        self.publications.extend(&other.publications);
        self.busy.extend(&other.busy);
    }
}

fn add<const N: usize>(sum: &mut [u64; N], other: &[u64; N]) {
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_where_they_are_counted() {
        let mut stats = Stats::default();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            stats.count_drop(reason);
        }
        for (index, reason) in AuthFailure::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            stats.count_auth_failure(reason);
        }
        stats.merge(&stats.clone());
        assert!(stats.drops.iter().chain(&stats.auth_failures).all(|count| *count == 2));
    }

    #[test]
    fn a_batch_is_counted_in_the_class_that_holds_it() {
        for (packets, class) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (33, 6), (64, 6), (65, 7), (1000, 7)] {
            let mut batches = Batches::default();
            batches.count(0);
            batches.count(packets);
            assert_eq!(batches.counts.iter().position(|count| *count == 1), Some(class), "{packets}");
            assert_eq!((batches.packets, batches.counts.iter().sum()), (packets as u64, 1_u64));
            assert!(BATCH_SIZES.get(class).is_none_or(|bound| packets as u64 <= *bound), "{packets}");
        }
    }

    #[test]
    fn a_code_that_is_not_listed_is_counted_too() {
        let mut stats = Stats::default();
        stats.count_error(401);
        stats.count_error(699);
        assert_eq!((stats.errors[1], stats.errors[ERROR_CODES.len()]), (1, 1));
    }

    #[test]
    fn workers_stand_in_their_order() {
        let worker = |number| Stats { busy: vec![Duration::from_secs(number)], publications: vec![number], ..Stats::default() };
        let mut sum = worker(1);
        sum.merge(&worker(2));
        assert_eq!((sum.busy, sum.publications), (vec![Duration::from_secs(1), Duration::from_secs(2)], vec![1, 2]));
    }
}
