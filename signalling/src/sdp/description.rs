//! What one party has said of itself in a session so far: its contents, in the order of the m= lines.
//!
//! The order never changes and a line never goes away (RFC 3264 §8): what was refused or removed keeps its place, and a later content may take
//! it (RFC 8829 §5.2.2).

use smol_str::SmolStr;

use super::line::Origin;
use crate::jingle::content::{Action, Carried, Content, Group, Jingle, Party};

/// A session as one party describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Whose description it is.
    pub party: Party,
    /// XEP-0166 §7.1.
    pub sid: SmolStr,
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

impl Description {
    /// The stanza that says all of it: contents that are active, groups, what is carried.
    #[must_use]
    pub fn to_jingle(&self, action: Action) -> Jingle {
        let contents = self.sections.iter().filter(|section| section.state == State::Active).map(|section| section.content.clone());
        Jingle {
            contents: contents.collect(),
            groups: self.groups.clone(),
            carried: self.carried.clone(),
            ..Jingle::new(action, &self.sid)
        }
    }
}
