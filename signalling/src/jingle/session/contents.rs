//! The contents of a session, and what adds, accepts, changes and removes them: XEP-0166 §7.2.

use smol_str::SmolStr;

use super::Step;
use crate::jingle::content::{Content, Jingle, Party, Senders};
use crate::jingle::transport::Method;

/// Contents followed in one session.
pub const SESSION_CONTENTS_MAX: usize = 64;

/// A content of a session, without what only the parties need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionContent {
    /// §7.3.
    pub creator: Party,
    /// §7.3.
    pub name: SmolStr,
    /// `audio`, `video`, `file`…
    pub media: SmolStr,
    /// Who sends.
    pub senders: Senders,
    /// The transport in force, if one was named.
    pub transport: Option<Method>,
    /// Proposed by a transport-replace that waits for its answer, and by whom.
    replacement: Option<(Party, Method)>,
    /// Whether the other party has accepted it.
    pub accepted: bool,
}

impl SessionContent {
    fn new(content: &Content) -> Self {
        Self {
            creator: content.creator,
            name: content.name.clone(),
            media: content.media().into(),
            senders: content.senders.unwrap_or(Senders::Both),
            transport: content.method().cloned(),
            replacement: None,
            accepted: false,
        }
    }
}

/// Those of one session, the first to come first.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents(Vec<SessionContent>);

/// Creator and name, which together name a content (§7.3).
pub(super) type ContentName = (Party, SmolStr);

impl Contents {
    pub(super) fn as_slice(&self) -> &[SessionContent] {
        &self.0
    }

    /// New contents of a session-initiate or a content-add; those already known by creator and name are alternatives (§7.3) of one purpose.
    pub(super) fn add(&mut self, jingle: &Jingle) {
        for content in &jingle.contents {
            if self.0.len() < SESSION_CONTENTS_MAX && self.get_mut(content.creator, &content.name).is_none() {
                self.0.push(SessionContent::new(content));
            }
        }
    }

    /// §7.2.8: a session-accept also accepts the contents it names.
    pub(super) fn accept_session(&mut self, jingle: &Jingle) {
        for content in &jingle.contents {
            if let Some(known) = self.get_mut(content.creator, &content.name) {
                known.accepted = true;
                known.senders = content.senders.unwrap_or(known.senders);
            }
        }
        // What the responder leaves out is no part of the session; but one that renames every content means all of them.
        let any = self.0.iter().any(|content| content.accepted);
        self.0.retain(|content| content.accepted || !any || content.creator == Party::Responder);
        if !any {
            self.0.iter_mut().for_each(|content| content.accepted = true);
        }
    }

    /// §7.2.1: accepts what the other party has added.
    pub(super) fn accept(&mut self, from: Party, jingle: &Jingle) -> Step {
        let mut step = Step::OutOfOrder;
        for (creator, name) in names(jingle) {
            if creator == from.other()
                && let Some(content) = self.get_mut(creator, name)
                && !content.accepted
            {
                content.accepted = true;
                step = Step::Stay;
            }
        }
        step
    }

    /// §7.2.3.
    pub(super) fn modify(&mut self, jingle: &Jingle) -> Step {
        let mut step = Step::OutOfOrder;
        for content in &jingle.contents {
            if let Some(known) = self.get_mut(content.creator, &content.name) {
                known.senders = content.senders.unwrap_or(Senders::Both);
                step = Step::Stay;
            }
        }
        step
    }

    /// §7.2.4: refuses what the other party has added.
    pub(super) fn reject(&mut self, from: Party, jingle: &Jingle) -> Step {
        self.remove_if(jingle, |content| content.creator == from.other() && !content.accepted)
    }

    /// §7.2.5. A session that is left without contents is for the receiver to terminate.
    pub(super) fn remove(&mut self, jingle: &Jingle) -> Step {
        self.remove_if(jingle, |_| true)
    }

    fn remove_if(&mut self, jingle: &Jingle, removable: impl Fn(&SessionContent) -> bool) -> Step {
        let before = self.0.len();
        self.0.retain(|content| !(removable(content) && names(jingle).any(|named| named == (content.creator, &content.name))));
        if self.0.len() < before { Step::Stay } else { Step::OutOfOrder }
    }

    /// §7.2.15.
    pub(super) fn replace_transport(&mut self, from: Party, jingle: &Jingle) {
        for content in &jingle.contents {
            if let Some(method) = content.method()
                && let Some(known) = self.get_mut(content.creator, &content.name)
            {
                known.replacement = Some((from, method.clone()));
            }
        }
    }

    /// §7.2.12, §7.2.14. The answer is taken for all that waits: XEP-0176's own example 13 names another content than its example 11.
    pub(super) fn answer_transport(&mut self, from: Party, accepted: bool) -> Step {
        let mut step = Step::OutOfOrder;
        for content in &mut self.0 {
            if let Some((_, method)) = content.replacement.take_if(|(by, _)| *by == from.other()) {
                if accepted {
                    content.transport = Some(method);
                }
                step = Step::Stay;
            }
        }
        step
    }

    /// A content-add was answered with an error: it never happened.
    pub(super) fn undo_add(&mut self, named: &[ContentName]) {
        self.0.retain(|content| content.accepted || !about(named, content));
    }

    /// Likewise a transport-replace of this party.
    pub(super) fn undo_replace(&mut self, by: Party, named: &[ContentName]) {
        for content in &mut self.0 {
            if content.replacement.as_ref().is_some_and(|(proposer, _)| *proposer == by) && about(named, content) {
                content.replacement = None;
            }
        }
    }

    fn get_mut(&mut self, creator: Party, name: &str) -> Option<&mut SessionContent> {
        self.0.iter_mut().find(|content| content.creator == creator && *content.name == *name)
    }
}

/// Creator and name of each content of a stanza.
pub(super) fn names(jingle: &Jingle) -> impl Iterator<Item = (Party, &str)> {
    jingle.contents.iter().map(|content| (content.creator, &*content.name))
}

fn about(named: &[ContentName], content: &SessionContent) -> bool {
    named.iter().any(|(creator, name)| *creator == content.creator && *name == content.name)
}
