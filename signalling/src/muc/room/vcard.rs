//! XEP-0486: MUC Avatars, version 0.1: the room's vCard (XEP-0054), which owners set and everybody reads.

use bytes::Bytes;

use super::{element, sender};
use crate::muc::card::Card;
use crate::muc::change::Change;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Room};
use crate::muc::outcome::Outcome;
use crate::muc::status::Status;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, PresenceType, Stanza};
use crate::xml::XmlWriter;

impl Room {
    /// §3.2, §3.4: `vcard-temp`, get and set.
    ///
    /// # Errors
    /// `forbidden` for who is no owner, `not-acceptable` for a vCard that is too large.
    pub fn vcard(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        if stanza.kind() == Kind::Iq(IqType::Get) {
            out.reply = self.lasting.vcard.as_ref().map_or_else(empty, |card| card.xml.clone());
            return Ok(());
        }
        if self.power(sender(stanza)?, context).0 < Affiliation::Owner {
            return Err(StanzaError::forbidden().with_text("Only owners are allowed to set avatars."));
        }
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no vCard"))?;
        let element = element(&payload)?;
        // §3.2: an empty one is none.
        let card = element.root().children().next().map(|_| Card::new(element.root().to_bytes()));
        if card.as_ref().is_some_and(|card| card.xml.len() > context.limits.vcard_bytes) {
            return Err(StanzaError::not_acceptable().with_text("the vCard is too large"));
        }
        if card == self.lasting.vcard {
            return Ok(());
        }
        let shown_before = self.avatar_hashes().first().cloned();
        self.lasting.change(Change::VCard(card), out);
        self.broadcast_codes(&[Status::ConfigChanged], context, out);
        if self.avatar_hashes().first() != shown_before.as_ref() {
            let presence = self.presence_with_avatar();
            out.broadcast(presence, self.occupants.everyone());
        }
        Ok(())
    }

    /// §3.3: `muc#roominfo_avatarhash`; none where there is no avatar.
    #[must_use]
    pub fn avatar_hashes(&self) -> &[String] {
        self.lasting.vcard.as_ref().map_or(&[], |card| &card.hashes)
    }

    /// §5.2: presence of the room itself, for clients that look for its avatar there; for a newcomer, where there is one.
    #[must_use]
    pub fn avatar_presence(&self) -> Option<Stanza> {
        (!self.avatar_hashes().is_empty()).then(|| self.presence_with_avatar())
    }

    /// Example 15; without an avatar, that there is none (XEP-0153 §4.1).
    fn presence_with_avatar(&self) -> Stanza {
        let mut xml = XmlWriter::new();
        xml.open("x").ns(ns::VCARD_UPDATE).open("photo");
        if let Some(hash) = self.avatar_hashes().first() {
            xml.text(hash);
        }
        xml.close().close();
        Stanza::presence(PresenceType::Available).with_from(self.lasting.jid.clone()).with_content(xml.finish())
    }
}

fn empty() -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("vCard").ns(ns::VCARD).close();
    xml.finish()
}

#[cfg(test)]
mod tests;
