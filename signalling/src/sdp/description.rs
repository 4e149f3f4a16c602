//! What one party has said of itself in a session so far: its contents, in the order of the m= lines.
//!
//! The order never changes and a line never goes away (RFC 3264 §8): what was refused or removed keeps its place, and a later content may take
//! it (RFC 8829 §5.2.2).

use smol_str::SmolStr;

use super::line::Origin;
use crate::jingle::content::{Action, Carried, Content, Group, Jingle, Party, Senders};
use crate::jingle::reason::{Condition, Reason};
use crate::jingle::transport::Transport;

/// A session as one party describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Whose description it is.
    pub party: Party,
    /// XEP-0166 §7.1.
    pub sid: SmolStr,
    /// XEP-0166 §7.1: the JID of who began the session, if a stanza has said it.
    pub initiator: Option<SmolStr>,
    /// XEP-0166 §7.1: the JID of who answers it.
    pub responder: Option<SmolStr>,
    /// `o=`: its version grows with each change.
    pub origin: Origin,
    /// XEP-0338.
    pub groups: Vec<Group>,
    /// In the order of the m= lines.
    pub sections: Vec<Section>,
    /// Lines of the session level that Jingle has no element for.
    pub carried: Vec<Carried>,
}

/// A content and its m= line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// As this party describes it; of one that the other party has offered and this one has not answered, as the other describes it.
    pub content: Content,
    /// Whether it is part of the session.
    pub state: State,
    /// What was said of it and waits for an answer.
    pub pending: Pending,
}

/// What a session knows of a section beside its m= line: nothing of it is in the SDP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// What this party has said of its transport before it accepts the content: XEP-0320 §1, example 3; XEP-0176 §6.
    pub early: Option<Transport>,
    /// A transport-replace without answer: XEP-0166 §7.2.15.
    pub replace: Option<Box<Replace>>,
    /// The senders before this party's `<hold/>`: XEP-0167 §8.2.
    pub held: Option<Senders>,
}

/// A transport-replace that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// Who wants another transport.
    pub by: Party,
    /// What holds again if the answer is a transport-reject; `None` where it is not known, as the other party's is not.
    pub before: Option<Transport>,
}

/// Where a section stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// This party has described it.
    Active,
    /// The other party has added it and waits for the answer: port 0 until then.
    Offered,
    /// Refused or removed: port 0.
    Refused,
}

impl Section {
    /// One of which nothing waits for an answer.
    #[must_use]
    pub fn new(content: Content, state: State) -> Self {
        Self { content, state, pending: Pending::default() }
    }
}

impl Description {
    /// What the other party has said so far, if this is an offer that it has not answered: all contents are offered to it. Its version is 0,
    /// for there is no SDP of it yet.
    #[must_use]
    pub fn unanswered(&self) -> Self {
        let sections = self.sections.iter().map(|section| {
            let state = if section.state == State::Active { State::Offered } else { section.state };
            Section::new(section.content.clone(), state)
        });
        Self {
            party: self.party.other(),
            sid: self.sid.clone(),
            initiator: None,
            responder: None,
            origin: Origin { username: "-".into(), session_id: self.origin.session_id.clone(), ..Origin::default() },
            groups: Vec::new(),
            sections: sections.collect(),
            carried: Vec::new(),
        }
    }

    /// The stanza that says all of it: contents that are active, groups, what is carried.
    #[must_use]
    pub fn to_jingle(&self, action: Action) -> Jingle {
        self.clone().into_jingle(action)
    }

    /// The same of one that is not needed any more.
    #[must_use]
    pub fn into_jingle(self, action: Action) -> Jingle {
        let Self { sid, initiator, responder, groups, carried, sections, .. } = self;
        let contents = sections.into_iter().filter(|section| section.state == State::Active).map(|section| section.content);
        Jingle { initiator, responder, contents: contents.collect(), groups, carried, ..Jingle::new(action, &sid) }
    }
    /// The stanza of a party that takes part in nothing: XEP-0166 §6.3.
    #[must_use]
    pub fn declined(&self) -> Jingle {
        let reason = Reason { condition: Some(Condition::Decline), ..Reason::default() };
        Jingle { reason: Some(reason), ..Jingle::new(Action::SessionTerminate, &self.sid) }
    }
}
