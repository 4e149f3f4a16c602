//! XEP-0045 §7.5: a private message from one occupant to another.

use std::collections::VecDeque;

use super::super::config::{AllowPm, VisitorsPm};
use super::super::model::{Occupant, Role, Room};
use super::super::outcome::Outcome;
use super::super::presence::write_occupant_id;
use super::message::is_the_rooms;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, MessageType, Stanza};
use crate::xml::XmlWriter;

/// Most nicknames that an occupant has private messages from, as far as the room remembers.
const CORRESPONDENTS_MAX: usize = 64;

/// From whom an occupant has got private messages, by their nicknames then, the latest last: from them, and from nobody else, it may have errors to
/// return.
#[derive(Debug, Clone, Default)]
pub struct Correspondents(VecDeque<String>);

/// The room does not remember them over a restart, and is the same room.
impl PartialEq for Correspondents {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Correspondents {
    pub fn has(&self, nick: &str) -> bool {
        self.0.iter().any(|known| known == nick)
    }

    pub fn note(&mut self, nick: &str) {
        if self.0.len() == CORRESPONDENTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(nick.to_owned());
    }
}

impl Room {
    pub(super) fn private_message(&mut self, stanza: &Stanza, nick: &str, out: &mut Outcome) -> Result<(), StanzaError> {
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
        let mut message = stanza.clone();
        message.remove_children(|child| is_the_rooms(child, &self.lasting.jid));
        pass_on(message, xml, sender, recipient, out);
        let from = sender.nick().to_owned();
        self.occupants.note_private(nick, &from);
        Ok(())
    }
}

/// Sends what one occupant has for another to each of its sessions, with `added` and who the sender is (XEP-0421).
pub(super) fn pass_on(mut message: Stanza, mut added: XmlWriter, sender: &Occupant, recipient: &Occupant, out: &mut Outcome) {
    write_occupant_id(&mut added, &sender.id);
    message.add_child(&added.finish());
    message.set_from(&sender.jid);
    for seat in &recipient.seats {
        out.send(message.clone().with_to(&seat.jid));
    }
}
