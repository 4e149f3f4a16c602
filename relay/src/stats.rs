//! Counters: plain numbers that a worker owns, published once a second and summed by `handle.rs`.

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
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
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

/// The codes of error responses that are counted; the order of `Stats::errors`.
pub const ERROR_CODES: [u16; 16] = [400, 401, 403, 405, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 500, 508];

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

/// What the relay did since it started, and what it holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Live allocations.
    pub allocations: PerTransport,
    /// Allocations ever made.
    pub allocations_made: PerTransport,
    /// Open connections (`udp` stays 0).
    pub connections: PerTransport,
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
    /// Error responses, in the order of [`ERROR_CODES`].
    pub errors: [u64; ERROR_CODES.len()],
    /// Batches received; packets per batch tell how busy a worker is.
    pub batches: u64,
    /// Datagrams received.
    pub received: u64,
    /// Relayed ports in use, and in the range, over both families.
    pub ports: (u32, u32),
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
        if let Some(index) = ERROR_CODES.iter().position(|known| *known == code) {
            self.errors[index] += 1;
        }
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        fn add<const N: usize>(sum: &mut [u64; N], other: &[u64; N]) {
            sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        }
        for (sum, other) in [
            (&mut self.allocations, &other.allocations),
            (&mut self.allocations_made, &other.allocations_made),
            (&mut self.connections, &other.connections),
        ] {
            sum.udp += other.udp;
            sum.tcp += other.tcp;
            sum.tls += other.tls;
        }
        self.to_peer.merge(other.to_peer);
        self.to_client.merge(other.to_client);
        self.bindings += other.bindings;
        self.challenges += other.challenges;
        self.requests += other.requests;
        add(&mut self.drops, &other.drops);
        add(&mut self.auth_failures, &other.auth_failures);
        add(&mut self.errors, &other.errors);
        self.batches += other.batches;
        self.received += other.received;
    }
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
}
