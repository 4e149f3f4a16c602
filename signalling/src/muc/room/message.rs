//! XEP-0045 §7.4: a message to all occupants. It is the room's hot path: no tree is built, and the stanza is the same for every recipient.

use super::super::context::Context;
use super::super::model::{Occupant, Role, Room};
use super::super::outcome::Outcome;
use super::super::presence::write_occupant_id;
use super::{sender, subject};
use crate::jid::{BareJid, Jid};
use crate::message::Keeping;
use crate::ns;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{Child, Stanza};
use crate::store::ArchiveId;
use crate::xml::XmlWriter;

impl Room {
    pub(super) fn message(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let from = sender(stanza)?;
        let occupant = self.occupants.of(from).ok_or_else(StanzaError::not_acceptable)?.clone();
        if occupant.role < Role::Participant {
            return Err(StanzaError::forbidden());
        }
        let is_subject = subject::is_subject(stanza);
        if is_subject {
            self.must_change_subject(stanza, &occupant)?;
        }
        let retracted = self.check_retraction(stanza, &occupant.account, context)?;
        // A retraction is kept as what it takes back was, whatever it says of itself.
        let keep = retracted.is_some() || Keeping::in_room(stanza);
        if keep && self.lasting.config.archived && !context.archive_has_room {
            let error = StanzaError::new(Condition::InternalServerError, ErrorType::Wait);
            return Err(error.with_text("the archive does not keep up, try again later"));
        }
        if is_subject {
            self.change_subject(stanza, &occupant, context, out);
        }
        let id = keep.then(|| self.next_id(context));
        let mut said = signed(stanza, &self.lasting.jid, &occupant, id);
        if said.id().is_none() {
            said.set_id((context.fresh_id)());
        }
        self.spread(said.clone(), id, from, context, out);
        if let Some(retracted) = retracted {
            self.retract(retracted, &said, context, out);
        }
        Ok(())
    }
}

/// The stanza as from the occupant: what only the room may say is taken away, its identifier (XEP-0421) and its number (XEP-0359) are added.
fn signed(stanza: &Stanza, room: &BareJid, occupant: &Occupant, id: Option<ArchiveId>) -> Stanza {
    let mut xml = XmlWriter::with_capacity(256);
    if let Some(id) = id {
        xml.open("stanza-id").ns(ns::STANZA_ID).attr("id", &id.to_string()).attr("by", room.as_str()).close();
    }
    write_occupant_id(&mut xml, &occupant.id);
    let mut signed = stanza.clone().without_to();
    signed.remove_children(|child| is_the_rooms(child, room));
    signed.add_child(&xml.finish());
    signed.with_from(&occupant.jid)
}

/// What only the room says in a message: roles and codes (§17.3, rule 6), identifiers (XEP-0421 §4, XEP-0359 §3), what is left
/// of messages and who has moderated them (XEP-0424 §4, XEP-0425 §4), and when it got it (§7.2.13).
pub(super) fn is_the_rooms(child: &Child<'_>, room: &BareJid) -> bool {
    let is_room = |name: &str| {
        child.attr(name).is_some_and(|jid| *jid == *room.as_str() || Jid::parse(&jid).is_ok_and(|jid| jid.bare_str() == room.as_str()))
    };
    match child.ns() {
        ns::MUC_USER | ns::OCCUPANT_ID => true,
        ns::RETRACTION => child.name() == "retracted",
        ns::MODERATION | ns::MODERATION_0 => child.name() == "moderated",
        ns::STANZA_ID => child.name() == "stanza-id" && is_room("by"),
        ns::DELAY => is_room("from"),
        _ => false,
    }
}
