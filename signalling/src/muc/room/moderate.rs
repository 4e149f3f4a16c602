//! XEP-0425: Moderated Message Retraction, version 0.3, and the form of before (version 0.2), which clients still use: moderators take back what others have said.

use super::admin::rights::moderates;
use super::reason::read_reason;
use super::retract::is_of_occupant;
use super::{element, sender, write_reason};
use crate::jid::Jid;
use crate::muc::context::Context;
use crate::muc::model::{Room, Said};
use crate::muc::outcome::Outcome;
use crate::muc::presence::write_occupant_id;
use crate::ns;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{IqType, Kind, MessageType, Stanza};
use crate::store::ArchiveId;
use crate::xml::{Node, XmlWriter};

/// What a moderator asks for.
struct Moderation {
    id: String,
    reason: Option<String>,
}

/// Who has done it, as everyone sees it: as an occupant, if it is one, and by its identifier (XEP-0421).
struct Moderator {
    jid: Option<String>,
    occupant_id: String,
}

impl Room {
    /// §3: takes a message back for its author.
    ///
    /// # Errors
    /// `forbidden` for who is no moderator, `bad-request`, `feature-not-implemented` for moderation that is no retraction, `item-not-found` for a message
    /// that neither history nor archive has, `not-allowed` for what is no message of an occupant.
    pub fn moderate(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let from = sender(stanza)?;
        if stanza.kind() != Kind::Iq(IqType::Set) {
            return Err(StanzaError::bad_request("moderation changes something"));
        }
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no request"))?;
        let moderation = Moderation::read(element(&payload)?.root())?;
        if !moderates(self.power(from, context)) {
            return Err(StanzaError::forbidden().with_text("Only moderators are allowed to moderate other participants' messages"));
        }
        if self.lasting.config.archived && !context.archive_has_room {
            let error = StanzaError::new(Condition::InternalServerError, ErrorType::Wait);
            return Err(error.with_text("the archive does not keep up, try again later"));
        }
        let said = ArchiveId::parse(&moderation.id).and_then(|id| self.said(id, context)).cloned();
        let said = said.ok_or_else(|| StanzaError::item_not_found().with_text("there is no such message"))?;
        if said.stanza.child(ns::RETRACTION, "retracted").is_some() {
            // Another moderator, or its author, was quicker.
            return Ok(());
        }
        // Whatever else stands in it: its author chooses that.
        if !is_of_occupant(&said.stanza) {
            return Err(StanzaError::not_allowed().with_text("only what an occupant has said is moderated"));
        }
        self.take_back(said, from, &moderation, context, out);
        Ok(())
    }

    fn take_back(&mut self, said: Said, from: &Jid, moderation: &Moderation, context: &Context<'_>, out: &mut Outcome) {
        let occupant = self.occupants.of(from);
        let moderator = Moderator {
            jid: occupant.map(|occupant| occupant.jid.to_string()),
            occupant_id: occupant.map_or_else(|| self.lasting.occupant_id(&from.to_bare()), |occupant| occupant.id.clone()),
        };
        let message = Stanza::message(MessageType::Groupchat).with_from(self.lasting.jid.clone()).with_id((context.fresh_id)());
        let message = message.with_content(announcement(moderation, &moderator));
        let sent = self.say(message, from, context, out);
        let mut details = XmlWriter::new();
        moderator.write(&mut details);
        write_reason(&mut details, moderation.reason.as_deref());
        self.bury(said, &sent, context, &details.finish(), out);
    }
}

impl Moderation {
    fn read(root: Node<'_>) -> Result<Self, StanzaError> {
        let id = root.attr("id").ok_or_else(|| StanzaError::bad_request("`id` is missing"))?;
        let moderate = match root.ns() {
            ns::FASTENING => root.child(ns::MODERATION_0, "moderate").ok_or_else(StanzaError::feature_not_implemented)?,
            _ => root,
        };
        if ![ns::RETRACTION, ns::RETRACTION_0].iter().any(|ns| moderate.child(ns, "retract").is_some()) {
            return Err(StanzaError::feature_not_implemented().with_text("messages are retracted"));
        }
        Ok(Self { id: id.to_owned(), reason: read_reason(moderate)? })
    }
}

/// Which message an IQ moderates.
pub(super) fn moderated_by(stanza: &Stanza) -> Option<ArchiveId> {
    let payload = stanza.payload()?;
    let named = payload.is(ns::MODERATION, "moderate") || payload.is(ns::FASTENING, "apply-to");
    named.then(|| ArchiveId::parse(&payload.attr("id")?))?
}

/// Example 5, and the same for clients of before.
fn announcement(moderation: &Moderation, moderator: &Moderator) -> bytes::Bytes {
    let mut xml = XmlWriter::new();
    xml.open("retract").ns(ns::RETRACTION).attr("id", &moderation.id);
    moderator.write(&mut xml);
    write_reason(&mut xml, moderation.reason.as_deref());
    xml.close();
    xml.open("apply-to").ns(ns::FASTENING).attr("id", &moderation.id);
    xml.open("moderated").ns(ns::MODERATION_0).attr_opt("by", moderator.jid.as_deref());
    xml.open("retract").ns(ns::RETRACTION_0).close();
    write_reason(&mut xml, moderation.reason.as_deref());
    xml.close().close();
    xml.finish()
}

impl Moderator {
    fn write(&self, xml: &mut XmlWriter) {
        xml.open("moderated").ns(ns::MODERATION).attr_opt("by", self.jid.as_deref());
        write_occupant_id(xml, &self.occupant_id);
        xml.close();
    }
}

#[cfg(test)]
mod tests;
