//! content-reject, content-remove and session-terminate: XEP-0166 §7.2.4, §7.2.5 and §7.2.11, RFC 3264 §8.2.

use super::Step;
use crate::sdp::description::{Pending, State};
use crate::sdp::map::MapError;

impl Step<'_> {
    /// The answer to a content-add that is none.
    pub(super) fn content_reject(&mut self) -> Result<(), MapError> {
        for content in self.contents()? {
            let Some(index) = self.find(content)? else { continue };
            let section = &self.description.sections[index];
            let is_asked = if self.is_own() { section.state == State::Offered } else { section.content.creator != self.from };
            if !is_asked {
                return Err(self.out_of_order(&content.name, "nobody has asked for that"));
            }
            self.refuse(index);
        }
        self.session_level();
        Ok(())
    }

    /// Either party takes any content out.
    pub(super) fn content_remove(&mut self) -> Result<(), MapError> {
        for content in self.contents()? {
            if let Some(index) = self.find(content)? {
                self.refuse(index);
            }
        }
        self.session_level();
        Ok(())
    }

    pub(super) fn session_terminate(&mut self) {
        for index in 0..self.description.sections.len() {
            self.refuse(index);
        }
    }

    /// The m= line stays, with port 0 and as it was last described; groups lose it (RFC 8843 §7.5.3).
    pub(super) fn refuse(&mut self, index: usize) {
        let Some(section) = self.description.sections.get_mut(index).filter(|section| section.state != State::Refused) else { return };
        section.state = State::Refused;
        section.pending = Pending::default();
        let name = section.content.name.clone();
        let has_namesake = self.description.sections.iter().any(|section| section.state == State::Active && section.content.name == name);
        if !has_namesake {
            for group in &mut self.description.groups {
                group.contents.retain(|content| *content != name);
            }
            self.description.groups.retain(|group| !group.contents.is_empty());
        }
    }
}
