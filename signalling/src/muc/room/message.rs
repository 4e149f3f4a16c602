//! XEP-0045 §7.4: a message to all occupants. It is the room's hot path: no tree is built, and the stanza is the same for every recipient.

use super::super::context::Context;
use super::super::model::{Occupant, Role, Room, Said};
use super::super::outcome::{Effect, Outcome};
use super::super::presence::write_occupant_id;
use super::subject;
use crate::jid::{BareJid, Jid};
use crate::message::{self, Keeping};
use crate::ns;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{Child, Stanza};
use crate::store::ArchiveId;
use crate::xml::XmlWriter;

impl Room {
    pub(super) fn message(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let occupant = stanza.from().and_then(|from| self.occupants.of(from)).ok_or_else(StanzaError::not_acceptable)?.clone();
        if occupant.role < Role::Participant {
            return Err(StanzaError::forbidden());
        }
        let is_subject = subject::is_subject(stanza);
        if is_subject {
            self.must_change_subject(&occupant)?;
        }
        let keep = Keeping::in_room(stanza);
        if keep && self.lasting.config.archived && !context.archive_has_room {
            let error = StanzaError::new(Condition::InternalServerError, ErrorType::Wait);
            return Err(error.with_text("the archive does not keep up, try again later"));
        }
        if is_subject {
            self.change_subject(stanza, &occupant, context, out);
        }
        self.broadcast(stanza, &occupant, keep, context, out);
        Ok(())
    }

    /// Sends what an occupant says to everyone, and remembers it.
    fn broadcast(&mut self, stanza: &Stanza, occupant: &Occupant, keep: bool, context: &Context<'_>, out: &mut Outcome) {
        let id = keep.then(|| ArchiveId::after(self.last_id, context.now, (context.random)()));
        let mut said = signed(stanza, &self.lasting.jid, occupant, id).without_to();
        if said.id().is_none() {
            said.set_id((context.fresh_id)());
        }
        let real = stanza.from().cloned().unwrap_or_else(|| Jid::from(occupant.seats[0].jid.clone()));
        if let Some(id) = id {
            self.last_id = Some(id);
            if self.lasting.config.archived {
                out.effects.push(Effect::Keep { id, real: real.clone(), stanza: said.clone() });
            }
            if message::is_readable(&said) {
                let max = self.history_max(context);
                self.history.push(Said { id, stanza: said.clone(), real }, max);
            }
        }
        out.broadcast(said, self.occupants.everyone());
    }
}

/// The stanza as from the occupant: what only the room may say is taken away, its identifier (XEP-0421) and its number (XEP-0359) are added.
fn signed(stanza: &Stanza, room: &BareJid, occupant: &Occupant, id: Option<ArchiveId>) -> Stanza {
    let mut xml = XmlWriter::with_capacity(256);
    if let Some(id) = id {
        xml.open("stanza-id").ns(ns::STANZA_ID).attr("id", &id.to_string()).attr("by", room.as_str()).close();
    }
    write_occupant_id(&mut xml, &occupant.id);
    let mut signed = stanza.clone();
    signed.remove_children(|child| is_the_rooms(child, room));
    signed.add_child(&xml.finish());
    signed.with_from(&occupant.jid)
}

/// What only the room says in a message: roles and codes (§17.3, rule 6), identifiers (XEP-0421 §4, XEP-0359 §3), and when it got it (§7.2.13).
pub(super) fn is_the_rooms(child: &Child<'_>, room: &BareJid) -> bool {
    let is_room = |name: &str| {
        child.attr(name).is_some_and(|jid| *jid == *room.as_str() || Jid::parse(&jid).is_ok_and(|jid| jid.bare_str() == room.as_str()))
    };
    match child.ns() {
        ns::MUC_USER | ns::OCCUPANT_ID => true,
        ns::STANZA_ID => child.name() == "stanza-id" && is_room("by"),
        ns::DELAY => is_room("from"),
        _ => false,
    }
}
