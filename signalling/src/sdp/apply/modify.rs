//! content-modify and session-info: XEP-0166 §7.2.3 and §7.2.9, XEP-0167 §8, draft-ietf-stox-media §6.

use super::Step;
use crate::jingle::content::{Jingle, Party, Senders};
use crate::ns;
use crate::sdp::description::{Section, State};
use crate::sdp::map::MapError;
use crate::sdp::warning::Quoted;

impl Step<'_> {
    /// The senders of a content are the same for both parties, whoever changes them.
    pub(super) fn content_modify(&mut self) -> Result<(), MapError> {
        for content in self.contents()? {
            let Some(index) = self.find(content)? else { continue };
            let Some(senders) = content.senders else {
                return Err(self.bad_request(&content.name, "expected senders (XEP-0166 §7.3)"));
            };
            if content.description.is_some() || content.transport.is_some() {
                self.warnings.add(format_args!("content-modify changes the senders only, the rest is left out"));
            }
            let section = self.section(index);
            section.content.senders = Some(senders);
            section.pending.held = None;
        }
        Ok(())
    }

    /// XEP-0167 §8. The other party's hold is its own matter: it goes on accepting media, and its direction is in its description.
    pub(super) fn session_info(&mut self) {
        let party = self.from;
        match (&self.stanza.info, Hold::of(self.stanza)) {
            (_, Some(_)) if !self.is_own() => {}
            (_, Some(Hold::Held)) => self.each_active(|section| hold(section, party)),
            (_, Some(Hold::Active)) => self.each_active(|section| unhold(section, party)),
            (Some(info), None) => self.warnings.add(format_args!("session-info: SDP has no line for {}", Quoted(&info.name))),
            (None, None) => {}
        }
    }

    fn each_active(&mut self, change: impl Fn(&mut Section)) {
        self.description.sections.iter_mut().filter(|section| section.state == State::Active).for_each(change);
    }
}

/// What a session-info says of who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sdp) enum Hold {
    /// `<hold/>`.
    Held,
    /// `<unhold/>` or `<active/>`: either ends the hold.
    Active,
}

impl Hold {
    /// What this stanza says, if it is one of those.
    pub fn of(stanza: &Jingle) -> Option<Self> {
        let info = stanza.info.as_ref().filter(|info| info.namespace == ns::JINGLE_RTP_INFO)?;
        match &*info.name {
            "hold" => Some(Self::Held),
            "unhold" | "active" => Some(Self::Active),
            _ => None,
        }
    }
}

/// RFC 3264 §8.4: sendrecv becomes sendonly, recvonly inactive; the party receives no more.
fn hold(section: &mut Section, party: Party) {
    let before = section.content.senders.unwrap_or(Senders::Both);
    if receives(before, party) {
        section.pending.held = Some(before);
        section.content.senders = Some(if before == Senders::Both { only(party) } else { Senders::None });
    }
}

/// What was before the hold; where that is not known, both send.
fn unhold(section: &mut Section, party: Party) {
    let held = section.pending.held.take();
    if !receives(section.content.senders.unwrap_or(Senders::Both), party) {
        section.content.senders = Some(held.unwrap_or(Senders::Both));
    }
}

fn receives(senders: Senders, party: Party) -> bool {
    senders == Senders::Both || senders == only(party.other())
}

fn only(party: Party) -> Senders {
    match party {
        Party::Initiator => Senders::Initiator,
        Party::Responder => Senders::Responder,
    }
}
