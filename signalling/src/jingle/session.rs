//! One Jingle session between two addresses, as a server sees it that carries the stanzas of both: the state machine of XEP-0166 §5.1.
//! Pure: it is told each stanza and says what that means.
//!
//! A stanza that cannot occur in the present state moves nothing here; the party that gets it answers with `out-of-order`. The server sees each
//! stanza before its receiver does, so where both parties act at once it may be a step ahead of either.

mod contents;
mod offer;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use contents::{SESSION_CONTENTS_MAX, SessionContent};
pub use offer::{ADDRESSES_MAX, CandidateCounts, Offer, Offered};

use contents::{ContentName, Contents, names};

use super::content::{Action, Jingle, Party};
use super::reason::{Fault, JingleCondition, Outcome};
use crate::jid::Jid;

/// Requests of one session whose answer is awaited; the oldest is forgotten.
pub const OUTSTANDING_MAX: usize = 32;

/// §5.1, "three overall session states".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Between session-initiate and session-accept.
    Pending,
    /// After session-accept.
    Active,
    /// After session-terminate or what amounts to it.
    Ended,
}

/// What a stanza means for a session or a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing moves.
    Stay,
    /// A device rings.
    Ringing,
    /// A device of the responder takes the call (XEP-0353 §3.4).
    Proceeded,
    /// The session is active.
    Accepted,
    /// It is over.
    Ended(Outcome),
    /// The stanza cannot occur in this state.
    OutOfOrder,
}

/// One session.
#[derive(Debug, Clone)]
pub struct Session {
    initiator: Jid,
    responder: Jid,
    state: State,
    contents: Contents,
    offers: [Offer; 2],
    outstanding: VecDeque<Outstanding>,
}

/// A request that waits for its IQ result or error.
#[derive(Debug, Clone)]
struct Outstanding {
    from: Party,
    id: Box<str>,
    action: Action,
    /// Number of its rung in the ladder.
    rung: u32,
    /// Whether it moved the session, or was out of order.
    moved: bool,
    /// The contents it is about, as far as an error would undo it.
    contents: Vec<ContentName>,
}

impl Session {
    /// A session begun by a session-initiate (§6.2), in state PENDING.
    #[must_use]
    pub fn new(initiator: Jid, responder: Jid, initiate: &Jingle) -> Self {
        let mut session = Self {
            initiator,
            responder,
            state: State::Pending,
            contents: Contents::default(),
            offers: [Offer::default(), Offer::default()],
            outstanding: VecDeque::new(),
        };
        session.contents.add(initiate);
        session
    }

    /// Address of a party.
    #[must_use]
    pub fn address(&self, party: Party) -> &Jid {
        match party {
            Party::Initiator => &self.initiator,
            Party::Responder => &self.responder,
        }
    }

    /// Which party sends a stanza with these addresses; `None`: the session is not theirs.
    #[must_use]
    pub fn sender(&self, from: &Jid, to: &Jid) -> Option<Party> {
        if self.initiator == *from && self.responder == *to {
            Some(Party::Initiator)
        } else if self.responder == *from && self.initiator == *to {
            Some(Party::Responder)
        } else {
            None
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The contents, those first that came first.
    #[must_use]
    pub fn contents(&self) -> &[SessionContent] {
        self.contents.as_slice()
    }

    /// What a party has offered.
    #[must_use]
    pub fn offer(&self, party: Party) -> &Offer {
        &self.offers[party as usize]
    }

    /// A request of `from` within the session, the session-initiate included only if it is a second one.
    pub fn handle_action(&mut self, from: Party, jingle: &Jingle) -> Step {
        if self.state == State::Ended {
            return Step::OutOfOrder;
        }
        match jingle.action {
            // §10: "session-initiate after session-accept", and before it no less.
            Action::SessionInitiate => Step::OutOfOrder,
            Action::SessionAccept if self.state == State::Pending && from == Party::Responder => {
                self.state = State::Active;
                self.contents.accept_session(jingle);
                Step::Accepted
            }
            Action::SessionAccept => Step::OutOfOrder,
            Action::SessionTerminate => {
                let outcome = Outcome::of(jingle.reason.as_ref().and_then(|reason| reason.condition), from, self.state == State::Active);
                self.end(outcome)
            }
            Action::SessionInfo if jingle.info_name() == Some("ringing") && self.state == State::Pending => Step::Ringing,
            Action::ContentAdd => {
                self.contents.add(jingle);
                Step::Stay
            }
            Action::ContentAccept => self.contents.accept(from, jingle),
            Action::ContentModify => self.contents.modify(jingle),
            Action::ContentReject => self.contents.reject(from, jingle),
            Action::ContentRemove => self.contents.remove(jingle),
            Action::TransportReplace => {
                self.contents.replace_transport(from, jingle);
                Step::Stay
            }
            Action::TransportAccept => self.contents.answer_transport(from, true),
            Action::TransportReject => self.contents.answer_transport(from, false),
            Action::DescriptionInfo | Action::SecurityInfo | Action::SessionInfo | Action::TransportInfo => Step::Stay,
        }
    }

    /// The session is over for a reason outside of its own stanzas.
    pub fn end(&mut self, outcome: Outcome) -> Step {
        self.state = State::Ended;
        // Nothing of this is asked for in a past session.
        self.outstanding = VecDeque::new();
        self.offers.iter_mut().for_each(Offer::forget_addresses);
        Step::Ended(outcome)
    }

    /// Counts the candidates of a stanza of `from` and gives what is new in it.
    pub fn take_candidates(&mut self, from: Party, jingle: &Jingle) -> Offered {
        self.offers[from as usize].take(jingle)
    }

    /// Remembers a request and what it meant, so that its answer is known by the IQ's id.
    pub fn await_reply(&mut self, from: Party, id: &str, jingle: &Jingle, rung: u32, step: Step) {
        if id.len() > super::content::NAME_BYTES_MAX {
            return;
        }
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.outstanding.pop_front();
        }
        let contents = match jingle.action {
            Action::ContentAdd | Action::TransportReplace => names(jingle).map(|(creator, name)| (creator, name.into())).collect(),
            _ => Vec::new(),
        };
        let moved = step != Step::OutOfOrder;
        self.outstanding.push_back(Outstanding { from, id: id.into(), action: jingle.action, rung, moved, contents });
    }

    /// The IQ result (`fault` is `None`) or error with which `from` answers a request of the other party: the rung it belongs to, and what it
    /// means. `None`: no such request.
    pub fn handle_reply(&mut self, from: Party, id: &str, fault: Option<&Fault>) -> Option<(u32, Step)> {
        let index = self.outstanding.iter().position(|request| request.from == from.other() && *request.id == *id)?;
        let request = self.outstanding.remove(index)?;
        let step = match fault {
            // §6.3.1: an acknowledgement moves nothing.
            None => Step::Stay,
            Some(fault) => self.refused(&request, fault),
        };
        Some((request.rung, step))
    }

    /// A request was answered with an error.
    fn refused(&mut self, request: &Outstanding, fault: &Fault) -> Step {
        if self.state == State::Ended {
            return Step::Stay;
        }
        let unknown = fault.jingle == Some(JingleCondition::UnknownSession);
        match request.action {
            // §6.3.2: there never was a session.
            Action::SessionInitiate if request.moved => self.end(fault.outcome()),
            Action::SessionTerminate => Step::Stay,
            // §10: the other party has no such session any more.
            _ if unknown && self.state == State::Active => self.end(Outcome::Gone),
            _ if unknown => self.end(Outcome::Failed),
            // Most often the very answer: out-of-order.
            _ if !request.moved => Step::Stay,
            // The initiator cannot learn that the session is active.
            Action::SessionAccept if fault.is_unreachable() => self.end(Outcome::Gone),
            // §7.2.16 and elsewhere: the change never happened.
            Action::ContentAdd => {
                self.contents.undo_add(&request.contents);
                Step::Stay
            }
            Action::TransportReplace => {
                self.contents.undo_replace(request.from, &request.contents);
                Step::Stay
            }
            _ => Step::Stay,
        }
    }
}
