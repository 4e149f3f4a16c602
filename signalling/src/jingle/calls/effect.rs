//! What follows from what calls are told.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

use super::{CallId, Kind};
use crate::jid::{BareJid, Jid};
use crate::jingle::reason::Outcome;

/// What follows from a stanza or from time.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A propose or a session-initiate began a call. Each has exactly one [`Effect::Ended`].
    Started {
        /// Which.
        call: CallId,
    },
    /// Its proposal has come to something: `Answered` when a device proceeded. Once for each call that was proposed.
    ProposalDone {
        /// Which.
        call: CallId,
        /// To what.
        outcome: Outcome,
    },
    /// Its session was accepted.
    Accepted {
        /// Which.
        call: CallId,
        /// Whether it counts.
        kind: Kind,
        /// From session-initiate to session-accept.
        setup: Duration,
    },
    /// A stanza that `account`, of this server, sent within the call names an address that may be one of its allocations.
    Link {
        /// Who sent it.
        account: BareJid,
        /// The address.
        relayed: SocketAddr,
        /// The call.
        call: CallId,
    },
    /// A party of a live call has told the other where it may be reached.
    Offered(Box<Offering>),
    /// The call is over.
    Ended {
        /// Which.
        call: CallId,
        /// Whether it counts.
        kind: Kind,
        /// What became of it.
        outcome: Outcome,
        /// Since the session-accept.
        active: Option<Duration>,
    },
    /// A stanza of Jingle moved nothing.
    Ignored(Ignored),
}

/// See [`Effect::Offered`].
#[derive(Debug, Clone, PartialEq)]
pub struct Offering {
    /// The call.
    pub call: CallId,
    /// Who offers.
    pub from: Jid,
    /// To whom.
    pub to: Jid,
    /// What: IP addresses, and the credentials of the connectivity checks.
    pub offer: campanile_relay::Offer,
}

/// Why a stanza moved nothing. It was routed; the other party answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// No action, no sid, or a sid or content name that is too long.
    Malformed,
    /// No such session between the two (XEP-0166 §10, `unknown-session`).
    UnknownSession,
    /// Not in this state (XEP-0166 §10, `out-of-order`).
    OutOfOrder,
    /// The table is full of calls that may not be evicted.
    Full,
}

impl Ignored {
    /// Every cause, for metrics that show a zero.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::UnknownSession, Self::OutOfOrder, Self::Full];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSession => "unknown-session",
            Self::OutOfOrder => "out-of-order",
            Self::Full => "full",
        }
    }
}

/// The effects of one input, in order.
pub type Effects = SmallVec<[Effect; 4]>;
