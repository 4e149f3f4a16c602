//! content-add: XEP-0166 §7.2.2, RFC 3264 §8.1.

use super::{Mark, Step, condition, place, refusal};
use crate::jingle::content::{CONTENTS_MAX, Content, Description};
use crate::jingle::transport::Method;
use crate::sdp::description::{Section, State};
use crate::sdp::map::MapError;
use crate::sdp::warning::Quoted;

impl Step<'_> {
    /// New contents: this party's are described with that, the other's wait for an answer.
    pub(super) fn content_add(&mut self) -> Result<(), MapError> {
        let mut added: Vec<usize> = Vec::new();
        for content in self.contents()? {
            self.warnings.enter(&content.name);
            if let Some(index) = self.namesake(content) {
                // XEP-0166 §7.3: alternatives for the same purpose share a name.
                if added.contains(&index) {
                    self.warnings.add(format_args!("content-add: an alternative of the same name is left out"));
                    continue;
                }
                return Err(self.out_of_order(&content.name, "it is in the session already"));
            }
            if !is_sayable(content) {
                self.warnings.add(format_args!("content-add: SDP has no words for {}, left out", Quoted(content.media())));
                continue;
            }
            added.push(self.add(content)?);
        }
        self.session_level();
        Ok(())
    }

    fn add(&mut self, content: &Content) -> Result<usize, MapError> {
        if content.creator != self.from {
            // It is called by that name from now on; the creator is not put right.
            let party = self.from.as_str();
            self.warnings.add(format_args!("content-add says creator='{}', it comes from the {party}", content.creator.as_str()));
        }
        let (carried, marks) = Mark::take(&content.carried);
        let Some(index) = place(&self.description, content, marks.place) else {
            return Err(refusal(condition::RESOURCE_CONSTRAINT, format_args!("content-add: more than {CONTENTS_MAX} contents")));
        };
        if marks.place.is_some_and(|place| place != index) {
            self.warnings.add(format_args!("content-add: the m= line that it asks for is not free"));
        }
        let state = if self.is_own() { State::Active } else { State::Offered };
        let section = Section::new(Content { carried, ..content.clone() }, state);
        match self.description.sections.get_mut(index) {
            Some(refused) => *refused = section,
            None => self.description.sections.push(section),
        }
        Ok(index)
    }

    /// The content of the session that has the same name and creator.
    fn namesake(&self, content: &Content) -> Option<usize> {
        self.description.sections.iter().position(|section| {
            section.state != State::Refused && section.content.name == content.name && section.content.creator == content.creator
        })
    }
}

/// Whether it is a content of a kind that has an m= line.
fn is_sayable(content: &Content) -> bool {
    let is_data = || content.transport.as_ref().is_some_and(|transport| transport.sctp.is_some());
    !has_no_words(content) && (matches!(content.description, Some(Description::Rtp(_))) || is_data())
}

/// Whether what is said of a content shows that it is none for SDP.
pub(super) fn has_no_words(content: &Content) -> bool {
    matches!(content.description, Some(Description::FileTransfer)) || matches!(content.method(), Some(Method::Other(_)))
}
