//! content-accept and session-accept: XEP-0166 §7.2.1 and §7.2.8, RFC 3264 §6.

use super::transport::merge;
use super::{Mark, Step, condition, refusal};
use crate::jingle::content::{Carried, Content, Description, Party};
use crate::sdp::description::{Section, State};
use crate::sdp::map::{self, MapError};

impl Step<'_> {
    /// The sender takes part in contents that were offered to it.
    pub(super) fn content_accept(&mut self) -> Result<(), MapError> {
        for content in self.contents()? {
            if let Some(index) = self.find(content)? {
                self.accept(index, content)?;
            }
        }
        self.session_level();
        Ok(())
    }

    /// The same for what the session began with; contents that are left out are refused. Those of another disposition than `session` are not
    /// meant (§7.2.8).
    pub(super) fn session_accept(&mut self) -> Result<(), MapError> {
        if self.from == Party::Initiator {
            return Err(refusal(condition::OUT_OF_ORDER, format_args!("session-accept by the initiator")));
        }
        let mut named = vec![false; self.description.sections.len()];
        for content in self.contents()? {
            let Some(index) = self.find(content)? else { continue };
            named[index] = true;
            if self.description.sections[index].content.creator == self.from {
                self.warnings.add(format_args!("session-accept: it is the sender's own content, nothing changes"));
                continue;
            }
            self.accept(index, content)?;
        }
        for (index, named) in named.into_iter().enumerate() {
            let content = &self.description.sections[index].content;
            if !named && content.creator != self.from && is_of_session(content) {
                self.refuse(index);
            }
        }
        self.session_level();
        Ok(())
    }

    fn accept(&mut self, index: usize, content: &Content) -> Result<(), MapError> {
        let section = &self.description.sections[index];
        match (section.state, self.is_own()) {
            (State::Offered, true) => self.describe(index, content),
            (State::Active, false) if section.content.creator != self.from => {
                let section = self.section(index);
                follow(section, content);
                // RFC 8843 §6: only an offer that has not been answered is bundle-only.
                section.content.carried.retain(|line| !is_bundle_only(line));
                Ok(())
            }
            _ => Err(self.out_of_order(&content.name, "nobody has asked for that")),
        }
    }

    /// This party's own description takes the place of the other's.
    fn describe(&mut self, index: usize, content: &Content) -> Result<(), MapError> {
        let section = &self.description.sections[index];
        let asked = &section.content;
        let is_data = map::is_data(asked);
        let is_fitting = match (&asked.description, &content.description) {
            // XEP-0343 has no description, some write an empty one.
            (_, Some(Description::Rtp(rtp))) if is_data => rtp.payload_types.is_empty(),
            _ if is_data => true,
            (Some(Description::Rtp(asked)), Some(Description::Rtp(rtp))) => rtp.media.is_empty() || rtp.media == asked.media,
            (Some(Description::Rtp(_)), _) | (_, Some(Description::Rtp(_))) => false,
            _ => true,
        };
        if !is_fitting {
            return Err(self.bad_request(&content.name, "expected a description of the kind that was offered"));
        }
        let Some(mut transport) = merge(section.pending.early.as_ref(), content.transport.as_ref(), &mut self.warnings) else {
            return Err(self.bad_request(&content.name, "expected a transport"));
        };
        map::assume_trickle(&mut transport);
        let (carried, _) = Mark::take(&content.carried);
        let mut own = Content {
            creator: asked.creator,
            name: asked.name.clone(),
            senders: content.senders.or(asked.senders),
            disposition: content.disposition.clone().or_else(|| asked.disposition.clone()),
            description: content.description.clone(),
            transport: Some(transport),
            protocol: content.protocol.clone(),
            carried,
        };
        if let (Some(Description::Rtp(own)), Some(Description::Rtp(asked))) = (&mut own.description, &asked.description)
            && own.media.is_empty()
        {
            own.media = asked.media.clone();
        }
        let from = self.from;
        let section = self.section(index);
        section.content = own;
        section.state = State::Active;
        section.pending.early = None;
        if let Some(replace) = section.pending.replace.as_deref_mut().filter(|replace| replace.by == from) {
            replace.before = None;
        }
        Ok(())
    }
}

/// The senders of the answer hold for both: what the answer does not say stays as it was offered.
fn follow(section: &mut Section, answer: &Content) {
    if answer.senders.is_some() {
        section.content.senders = answer.senders;
        section.pending.held = None;
    }
}

fn is_of_session(content: &Content) -> bool {
    content.disposition.as_deref().is_none_or(|disposition| disposition == "session")
}

fn is_bundle_only(line: &Carried) -> bool {
    line.kind == 'a' && line.value == "bundle-only"
}
