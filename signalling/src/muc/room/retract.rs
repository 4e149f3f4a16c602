//! XEP-0424: Message Retraction, version 0.4, in rooms: who has said something may take it back. What is left of it in the archive is a tombstone (§4), and
//! newcomers do not see it any more (§5). What is common to retraction and moderation (XEP-0425) stands here.

use super::element;
use crate::jid::{BareJid, Jid};
use crate::muc::context::Context;
use crate::muc::model::{Room, Said};
use crate::muc::outcome::{Effect, Outcome};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Child, Kind, MessageType, Stanza};
use crate::store::ArchiveId;
use crate::time::xep0082;
use crate::xml::XmlWriter;

impl Room {
    /// The message that a retraction or moderation is about, where the history does not have it: to be taken from the archive.
    #[must_use]
    pub fn refers_to(&self, stanza: &Stanza) -> Option<ArchiveId> {
        let named = match stanza.kind() {
            Kind::Message(MessageType::Groupchat) => retracted_by(stanza),
            Kind::Iq(_) => super::moderate::moderated_by(stanza),
            _ => None,
        };
        named.filter(|id| self.remembered(*id).is_none())
    }

    /// §5: the message that a groupchat message of this account takes back; to be asked before the message is sent, and given to [`retract`](Self::retract)
    /// afterwards. `None` for a message that takes nothing back, or nothing that is known.
    ///
    /// # Errors
    /// `forbidden` for another's message.
    pub fn check_retraction(&self, stanza: &Stanza, account: &BareJid, context: &Context<'_>) -> Result<Option<Said>, StanzaError> {
        let Some(said) = retracted_by(stanza).and_then(|id| self.said(id, context)) else { return Ok(None) };
        if said.real.bare_str() != account.as_str() {
            return Err(StanzaError::forbidden().with_text("that message is another's"));
        }
        Ok(is_retractable(&said.stanza).then(|| said.clone()))
    }

    /// §4: puts a tombstone in the place of a message that was taken back by another, which is this one.
    pub fn retract(&mut self, said: Said, by: &Stanza, context: &Context<'_>, out: &mut Outcome) {
        self.bury(said, by, context, &[], out);
    }

    /// A message of the history, or the one that was taken from the archive.
    pub(super) fn said<'a>(&'a self, id: ArchiveId, context: &'a Context<'_>) -> Option<&'a Said> {
        self.remembered(id).or_else(|| context.referred.filter(|said| said.id == id))
    }

    fn remembered(&self, id: ArchiveId) -> Option<&Said> {
        self.history.messages.iter().find(|said| said.id == id)
    }

    /// Takes a message away, with a tombstone in its place: `by` is the message that says so to everyone, `details` come into the tombstone.
    pub(super) fn bury(&mut self, said: Said, by: &Stanza, context: &Context<'_>, details: &[u8], out: &mut Outcome) {
        let mut xml = XmlWriter::new();
        // §4: who finds the tombstone finds the retraction by this.
        xml.open("retracted")
            .ns(ns::RETRACTION)
            .attr("id", by.id().unwrap_or_default())
            .attr("stamp", &xep0082(context.now))
            .raw(details)
            .close();
        let tombstone = tombstone(&said.stanza, &self.lasting.jid, xml);
        self.history.forget(said.id);
        out.effects.push(Effect::Replace { id: said.id, stanza: tombstone });
    }
}

/// Which message a groupchat message takes back. Those of before version 0.4 are read, too.
fn retracted_by(stanza: &Stanza) -> Option<ArchiveId> {
    if let Some(retract) = stanza.child(ns::RETRACTION, "retract") {
        return ArchiveId::parse(&retract.attr("id")?);
    }
    let apply_to = stanza.child(ns::FASTENING, "apply-to")?;
    let element = element(&apply_to).ok()?;
    element.root().child(ns::RETRACTION_0, "retract")?;
    ArchiveId::parse(element.root().attr("id")?)
}

/// Whether a message takes another one back, by its author or by a moderator.
pub(super) fn takes_back(stanza: &Stanza) -> bool {
    stanza.children().any(|child| child.is(ns::RETRACTION, "retract") || child.is(ns::FASTENING, "apply-to"))
}

/// Messages of occupants are taken back by who has sent them, but neither retractions nor what is left of a message.
pub(super) fn is_retractable(stanza: &Stanza) -> bool {
    let is_left = stanza.child(ns::RETRACTION, "retracted").is_some();
    is_of_occupant(stanza) && !takes_back(stanza) && !is_left
}

/// Whether somebody other than the room has said it.
pub(super) fn is_of_occupant(stanza: &Stanza) -> bool {
    stanza.from().is_some_and(|from| !from.is_bare())
}

/// §4: the message with its addresses and identifiers, and nothing of what was said.
fn tombstone(of: &Stanza, room: &Jid, left: XmlWriter) -> Stanza {
    let is_number = |child: &Child<'_>| child.is(ns::STANZA_ID, "stanza-id") && child.attr("by").as_deref() == Some(room.as_str());
    let mut content = XmlWriter::new();
    for child in of.children().filter(|child| is_number(child) || child.is(ns::OCCUPANT_ID, "occupant-id")) {
        if let Ok(element) = child.element() {
            element.root().write(&mut content, ns::CLIENT);
        }
    }
    content.raw(&left.finish());
    let mut tombstone = Stanza::message(MessageType::Groupchat).with_content(content.finish());
    if let Some(from) = of.from() {
        tombstone.set_from(from.clone());
    }
    if let Some(id) = of.id() {
        tombstone.set_id(id);
    }
    tombstone
}
