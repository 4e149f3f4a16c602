//! What a stanza says beside its contents: groups (XEP-0338) and carried lines of the session level.

use super::{Mark, Step};
use crate::jingle::content::Group;
use crate::sdp::description::State;
use crate::sdp::warning::Quoted;

impl Step<'_> {
    /// Takes over this party's groups and lines from a stanza about contents or from a description-info. XEP-0338 does not say what they mean
    /// after the session-initiate: here they are all that hold from now on, and if there are none, nothing is said about them. A group without
    /// contents is none: so the last one goes away.
    pub(super) fn session_level(&mut self) {
        self.warnings.leave();
        if !self.is_own() {
            return;
        }
        if !self.stanza.groups.is_empty() {
            let groups = self.stanza.groups.iter().map(|group| self.existing(group)).collect::<Vec<_>>();
            for (said, group) in self.stanza.groups.iter().zip(&groups) {
                if said.contents.len() != group.contents.len() {
                    let semantics = Quoted(&said.semantics);
                    self.warnings.add(format_args!("group {semantics}: what is no content of the session, or refused, is left out"));
                }
            }
            self.description.groups = groups.into_iter().filter(|group| !group.contents.is_empty()).collect();
        }
        let (lines, marks) = Mark::take(&self.stanza.carried);
        if marks.whole || !lines.is_empty() {
            self.description.carried = lines;
        }
    }

    fn existing(&self, group: &Group) -> Group {
        let sections = &self.description.sections;
        let is_active = |name: &str| sections.iter().any(|section| section.state == State::Active && section.content.name == name);
        let contents = group.contents.iter().filter(|name| is_active(name)).cloned();
        Group { semantics: group.semantics.clone(), contents: contents.collect() }
    }
}
