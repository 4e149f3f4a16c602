//! One call: what is known of it, whose it is, and how long it may wait.

use std::time::Instant;

use super::{CallId, Limits};
use crate::jid::{BareJid, Jid};
use crate::jingle::content::Party;
use crate::jingle::ladder::Ladder;
use crate::jingle::propose::{Proposal, ProposalState};
use crate::jingle::reason::{Outcome, Reason};
use crate::jingle::session::{Session, State};

/// Whether a session is a call in the sense of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Real-time media, or other datagrams than a file's.
    Call,
    /// A file transfer or another stream; followed, not counted among the calls.
    Other,
}

/// One call, live or past.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number here.
    pub id: CallId,
    /// The id of the proposal, the sid of the session.
    pub sid: Box<str>,
    /// Decided by what began it.
    pub kind: Kind,
    /// The account that began it.
    pub initiator: BareJid,
    /// The account it called.
    pub responder: BareJid,
    /// Present if it was proposed.
    pub proposal: Option<Proposal>,
    /// Present once there was a session-initiate.
    pub session: Option<Session>,
    /// When what happened.
    pub times: Times,
    /// Who said what.
    pub ladder: Ladder,
    /// Present once it is over.
    pub end: Option<End>,
    pub(super) rank: Rank,
    pub(super) proposal_done: bool,
    pub(super) last_stanza: Instant,
    pub(super) unavailable: Option<(Jid, Instant)>,
    pub(super) due: Option<Instant>,
}

/// The first time of each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Propose or session-initiate.
    pub started: Instant,
    /// A device rings.
    pub ringing: Option<Instant>,
    /// A device proceeds.
    pub proceeded: Option<Instant>,
    /// Session-initiate.
    pub initiated: Option<Instant>,
    /// Session-accept.
    pub accepted: Option<Instant>,
    /// An allocation of ours was linked.
    pub linked: Option<Instant>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Instant,
    /// What became of it.
    pub outcome: Outcome,
    /// What the party that ended it gave as reason.
    pub reason: Option<Reason>,
    /// Condition of the error that ended it.
    pub error: Option<&'static str>,
}

/// Who goes first when the table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Begun by an account elsewhere, not accepted.
    Foreign,
    /// Begun by an account of this server, not accepted.
    Own,
    /// Accepted.
    Active,
}

impl Call {
    /// Which party an address belongs to. One account may call another of its own devices; then the device that began is the initiator.
    pub(super) fn party(&self, from: &Jid) -> Party {
        let began = match (&self.session, &self.proposal) {
            (Some(session), _) => session.address(Party::Initiator) == from,
            (None, Some(proposal)) => proposal.initiator() == from,
            (None, None) => false,
        };
        if began || self.responder.as_str() != from.bare_str() { Party::Initiator } else { Party::Responder }
    }

    /// Whether this very address holds the call: one that stands for it until it ends or another device takes it.
    pub(super) fn is_at(&self, address: &Jid) -> bool {
        match (&self.session, &self.proposal) {
            (Some(session), _) => session.address(Party::Initiator) == address || session.address(Party::Responder) == address,
            (None, Some(proposal)) => proposal.initiator() == address || proposal.device() == Some(address),
            (None, None) => false,
        }
    }

    /// A stanza of the call came from this address.
    pub(super) fn heard(&mut self, from: &Jid, now: Instant) {
        self.last_stanza = now;
        self.unavailable.take_if(|(address, _)| address == from);
    }

    /// When waiting for the next stanza ends.
    pub(super) fn due(&self, limits: &Limits) -> Option<Instant> {
        let waiting = match (&self.session, &self.proposal) {
            (Some(session), _) => match session.state() {
                State::Pending => {
                    let wait = if self.kind == Kind::Call { limits.pending_max } else { limits.offer_max };
                    Some(self.times.initiated.unwrap_or(self.times.started) + wait)
                }
                State::Active if self.times.linked.is_some() => None,
                State::Active => Some(self.last_stanza + limits.idle_max),
                State::Ended => None,
            },
            (None, Some(proposal)) if proposal.state() == ProposalState::Proceeding => {
                Some(self.times.proceeded.unwrap_or(self.times.started) + limits.proceed_max)
            }
            (None, _) => Some(self.times.started + limits.proposal_max),
        };
        let unavailable = self.unavailable.as_ref().map(|(_, at)| *at + limits.unavailable_grace);
        [waiting, unavailable].into_iter().flatten().min()
    }

    /// What became of a call that was not heard of in time.
    pub(super) fn outcome_of_waiting(&self, now: Instant, limits: &Limits) -> Outcome {
        if self.unavailable.as_ref().is_some_and(|(_, at)| *at + limits.unavailable_grace <= now) {
            return Outcome::Gone;
        }
        match (&self.session, &self.proposal) {
            (Some(session), _) if session.state() == State::Active => Outcome::Gone,
            (Some(_), _) => Outcome::Missed,
            // The responder took the call, and the caller never came.
            (None, Some(proposal)) if proposal.state() == ProposalState::Proceeding => Outcome::Failed,
            (None, _) => Outcome::Missed,
        }
    }
}
