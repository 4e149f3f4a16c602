//! What a party's description is after a stanza: XEP-0166 §7.2 and RFC 3264 §8. Which stanzas are in which file:
//!
//! - `add`: content-add;
//! - `accept`: content-accept, session-accept;
//! - `remove`: content-reject, content-remove, session-terminate;
//! - `modify`: content-modify, session-info;
//! - `transport`: transport-info, -replace, -accept, -reject;
//! - `hints`: description-info;
//! - `level`: what any of them says of the session, groups and carried lines; `place`: which m= line a new content takes.

mod accept;
mod add;
mod hints;
mod level;
mod modify;
mod place;
#[cfg(test)]
pub(super) mod properties;
mod remove;
#[cfg(test)]
pub(super) mod tests;
mod transport;

use std::fmt;

use smol_str::SmolStr;

pub(super) use self::hints::learn;
pub(super) use self::modify::Hold;
pub(super) use self::place::{Mark, place};
pub(super) use self::transport::key;
use super::description::{Description, Section, State};
use super::map::{self, MapError};
use super::warning::{Quoted, Warning, Warnings};
use crate::jingle::content::{Action, Content, Jingle, Party};
use crate::jingle::reason::Condition;

/// Conditions of XEP-0166 §10, and of RFC 6120 §8.3.3 where that has none, with which a party answers what does not fit.
mod condition {
    pub const BAD_REQUEST: &str = "bad-request";
    pub const ITEM_NOT_FOUND: &str = "item-not-found";
    pub const OUT_OF_ORDER: &str = "out-of-order";
    pub const RESOURCE_CONSTRAINT: &str = "resource-constraint";
    pub const TIE_BREAK: &str = "tie-break";
    pub const UNKNOWN_SESSION: &str = "unknown-session";
}

impl Description {
    /// The description after this stanza of either party. Its version grows by one if its SDP is another one than before.
    ///
    /// The stanzas of both parties have to come in the same order to the descriptions of both; then these have the same m= lines. A tie (XEP-0166
    /// §7.2.16) is broken only where the order shows it: by two transport-replaces without an answer between them.
    ///
    /// # Errors
    /// The stanza does not fit: it names an unknown content, or answers what was not asked. The text begins with the condition of XEP-0166 §10.
    pub fn apply(&self, from: Party, stanza: &Jingle) -> Result<(Self, Vec<Warning>), MapError> {
        let mut step = Step { description: self.clone(), from, stanza, nameless: Vec::new(), warnings: Warnings::default() };
        step.run()?;
        let Step { mut description, mut warnings, .. } = step;
        warnings.leave();
        if let Some(reason) = &stanza.reason {
            let condition = reason.condition.map_or("", Condition::as_str);
            warnings.add(format_args!("{}: SDP has no line for the reason {}", stanza.action.as_str(), Quoted(condition)));
        }
        if map::to_sdp(&description).0 != map::to_sdp(self).0 {
            match self.origin.version.checked_add(1) {
                Some(version) => description.origin.version = version,
                None => warnings.add(format_args!("the version in o= cannot grow any more, though the description has changed")),
            }
        }
        Ok((description, warnings.into_vec()))
    }
}

/// One stanza on its way into a description.
struct Step<'a> {
    description: Description,
    from: Party,
    stanza: &'a Jingle,
    /// Which contents without a name have been found: those are known by their place.
    nameless: Vec<usize>,
    warnings: Warnings,
}

/// By whom a section is described at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// By the party whose description it is.
    Own,
    /// By the other: it waits for an answer.
    Others,
}

impl<'a> Step<'a> {
    fn run(&mut self) -> Result<(), MapError> {
        if self.stanza.sid != self.description.sid {
            return Err(refusal(
                condition::UNKNOWN_SESSION,
                format_args!("the session is {}, not {}", Quoted(&self.description.sid), Quoted(&self.stanza.sid)),
            ));
        }
        if self.is_own() {
            let Step { description, stanza, .. } = self;
            description.initiator = stanza.initiator.clone().or(description.initiator.take());
            description.responder = stanza.responder.clone().or(description.responder.take());
        }
        match self.stanza.action {
            Action::ContentAccept => self.content_accept(),
            Action::ContentAdd => self.content_add(),
            Action::ContentModify => self.content_modify(),
            Action::ContentReject => self.content_reject(),
            Action::ContentRemove => self.content_remove(),
            Action::DescriptionInfo => self.description_info(),
            Action::SecurityInfo => {
                self.warnings.add(format_args!("security-info: SDP has no line for security preconditions"));
                Ok(())
            }
            Action::SessionAccept => self.session_accept(),
            Action::SessionInfo => {
                self.session_info();
                Ok(())
            }
            Action::SessionInitiate => Err(refusal(condition::OUT_OF_ORDER, format_args!("session-initiate within the session"))),
            Action::SessionTerminate => {
                self.session_terminate();
                Ok(())
            }
            Action::TransportAccept => self.transport_accept(),
            Action::TransportInfo => self.transport_info(),
            Action::TransportReject => self.transport_reject(),
            Action::TransportReplace => self.transport_replace(),
        }
    }

    /// Whether the party says something of itself.
    fn is_own(&self) -> bool {
        self.from == self.description.party
    }

    /// Whose words the sender's are.
    fn whose(&self) -> Whose {
        if self.is_own() { Whose::Own } else { Whose::Others }
    }

    fn name(&self) -> &'static str {
        self.stanza.action.as_str()
    }

    /// The contents, of which there has to be one at least.
    fn contents(&self) -> Result<&'a [Content], MapError> {
        match &self.stanza.contents[..] {
            [] => Err(refusal(condition::BAD_REQUEST, format_args!("{} without contents", self.name()))),
            contents => Ok(contents),
        }
    }

    /// Where the content is: by creator and name, else, since some write a wrong creator, by a name that is there only once. `None`: it is
    /// one of those that SDP has no words for, and was passed over when it was added.
    fn find(&mut self, content: &Content) -> Result<Option<usize>, MapError> {
        self.warnings.enter(&content.name);
        let mut by_name = None;
        let mut others = 0;
        for (index, section) in self.description.sections.iter().enumerate() {
            if section.state == State::Refused || section.content.name != content.name || self.nameless.contains(&index) {
                continue;
            }
            if section.content.creator == content.creator {
                if content.name.is_empty() {
                    self.nameless.push(index);
                }
                return Ok(Some(index));
            }
            by_name = Some(index);
            others += 1;
        }
        match by_name {
            Some(index) if others == 1 => {
                let creator = self.description.sections[index].content.creator.as_str();
                self.warnings.add(format_args!("{} says creator='{}', it is the {creator}", self.name(), content.creator.as_str()));
                Ok(Some(index))
            }
            _ if add::is_unsayable(content) => {
                self.warnings.add(format_args!("{} of a content that SDP cannot say: left out", self.name()));
                Ok(None)
            }
            _ => Err(refusal(
                condition::ITEM_NOT_FOUND,
                format_args!("{}: there is no content {} of the {}", self.name(), Quoted(&content.name), content.creator.as_str()),
            )),
        }
    }

    fn section(&mut self, index: usize) -> &mut Section {
        &mut self.description.sections[index]
    }

    /// The error that what is said of this content cannot be said now.
    fn out_of_order(&self, name: &SmolStr, reason: &str) -> MapError {
        refusal(condition::OUT_OF_ORDER, format_args!("{} of content {}: {reason}", self.name(), Quoted(name)))
    }

    fn bad_request(&self, name: &SmolStr, reason: &str) -> MapError {
        refusal(condition::BAD_REQUEST, format_args!("{} of content {}: {reason}", self.name(), Quoted(name)))
    }
}

fn refusal(condition: &str, text: fmt::Arguments<'_>) -> MapError {
    MapError::Stanza(format!("{condition}: {text}"))
}
