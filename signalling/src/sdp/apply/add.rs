//! content-add: XEP-0166 §7.2.2, RFC 3264 §8.1.

use super::{Mark, Step, condition, place, refusal};
use crate::jingle::content::{CONTENTS_MAX, Content};
use crate::jingle::transport::Method;
use crate::sdp::description::{Description, Section, State};
use crate::sdp::map::{self, MapError};
use crate::sdp::warning::{Warning, Warnings};

impl Description {
    /// The description after a content-add of which only the names are known, as a content-reject has them. Which media they are of is not known,
    /// so the m= lines, which no answer makes part of the session, are those of a data channel.
    ///
    /// # Errors
    /// There are too many.
    pub(in crate::sdp) fn offered_without_description(&self, contents: &[Content]) -> Result<(Self, Vec<Warning>), MapError> {
        let (mut description, mut warnings) = (self.clone(), Warnings::default());
        for content in contents {
            warnings.enter(&content.name);
            if let Some(refused) = description.sections.iter_mut().find(|section| section.content.name == content.name) {
                warnings.add(format_args!("its m= line is refused already"));
                refused.state = State::Offered;
                continue;
            }
            warnings.add(format_args!("it is not in the description before: a refused m= line more, whose media is not known"));
            description.put(Content::new(content.creator, &content.name), State::Offered, None)?;
            description.origin.version = self.origin.version.saturating_add(1);
        }
        Ok((description, warnings.into_vec()))
    }

    /// Gives a new content its m= line, and says which.
    fn put(&mut self, content: Content, state: State, marked: Option<usize>) -> Result<usize, MapError> {
        let Some(index) = place(self, &content, marked) else {
            return Err(refusal(condition::RESOURCE_CONSTRAINT, format_args!("content-add: more than {CONTENTS_MAX} contents")));
        };
        let section = Section::new(content, state);
        match self.sections.get_mut(index) {
            Some(refused) => *refused = section,
            None => self.sections.push(section),
        }
        Ok(index)
    }
}

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
        let state = if self.is_own() { State::Active } else { State::Offered };
        let mut content = Content { carried, ..content.clone() };
        content.transport.as_mut().into_iter().for_each(map::assume_trickle);
        let index = self.description.put(content, state, marks.place)?;
        if marks.place.is_some_and(|place| place != index) {
            self.warnings.add(format_args!("content-add: the m= line that it asks for is not free"));
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
