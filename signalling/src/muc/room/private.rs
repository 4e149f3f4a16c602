//! XEP-0045 §7.5: a private message from one occupant to another.

use super::super::config::{AllowPm, VisitorsPm};
use super::super::model::{Role, Room};
use super::super::outcome::Outcome;
use super::super::presence::write_occupant_id;
use super::message::is_the_rooms;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, MessageType, Stanza};
use crate::xml::XmlWriter;

impl Room {
    pub(super) fn private_message(&self, stanza: &Stanza, nick: &str, out: &mut Outcome) -> Result<(), StanzaError> {
        let sender = stanza.from().and_then(|from| self.occupants.of(from)).ok_or_else(StanzaError::not_acceptable)?;
        if stanza.kind() == Kind::Message(MessageType::Groupchat) {
            return Err(StanzaError::bad_request("a message to one occupant does not have the type groupchat"));
        }
        let recipient = self.occupants.get(nick).ok_or_else(StanzaError::item_not_found)?;
        let allowed = match self.lasting.config.allow_pm {
            AllowPm::Anyone => true,
            AllowPm::Participants => sender.role >= Role::Participant,
            AllowPm::Moderators => sender.role == Role::Moderator,
            AllowPm::None => false,
        };
        let visitors = match self.lasting.config.visitors_pm {
            VisitorsPm::Anyone => true,
            VisitorsPm::Moderators => recipient.role == Role::Moderator,
            VisitorsPm::Nobody => false,
        };
        if !allowed || (sender.role == Role::Visitor && !visitors) {
            return Err(StanzaError::forbidden().with_text("private messages are not allowed here"));
        }
        let mut xml = XmlWriter::with_capacity(192);
        xml.open("x").ns(ns::MUC_USER).close();
        write_occupant_id(&mut xml, &sender.id);
        let mut message = stanza.clone();
        message.remove_children(|child| is_the_rooms(child, &self.lasting.jid));
        message.add_child(&xml.finish());
        message.set_from(&sender.jid);
        for seat in &recipient.seats {
            out.send(message.clone().with_to(&seat.jid));
        }
        Ok(())
    }
}
