//! content-add: XEP-0166 §7.2.2, RFC 3264 §8.1.

use super::{Mark, Step, condition, place, refusal};
use crate::jingle::content::{CONTENTS_MAX, Content};
use crate::jingle::transport::Method;
use crate::sdp::description::{Section, State};
use crate::sdp::map::{self, MapError};

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
            if let Some(reason) = map::unsayable(content) {
                self.warnings.add(format_args!("content-add: left out, {reason}"));
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
        let mut content = Content { carried, ..content.clone() };
        content.transport.as_mut().into_iter().for_each(map::assume_trickle);
        let section = Section::new(content, state);
        match self.description.sections.get_mut(index) {
            Some(refused) => *refused = section,
            None => self.description.sections.push(section),
        }
        Ok(index)
    }

    /// The content of the session that has the same name and creator.
    fn namesake(&self, content: &Content) -> Option<usize> {
        self.description.sections.iter().position(|section| {
            section.state != State::Refused
                && !content.name.is_empty()
                && section.content.name == content.name
                && section.content.creator == content.creator
        })
    }
}

/// Whether what is said of a content shows that it was left out when it was added.
pub(super) fn is_unsayable(content: &Content) -> bool {
    let shows = content.description.is_some() || matches!(content.method(), Some(Method::Other(_)));
    shows && map::unsayable(content).is_some()
}
