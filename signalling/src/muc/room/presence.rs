//! Presence sent to a room: XEP-0045 §7.2, §7.7, §17.3.

use std::sync::Arc;

use super::super::context::Context;
use super::super::model::{Affiliation, Occupant, Role, Room, Seat};
use super::super::outcome::Outcome;
use super::super::presence::{self, Notice, Own};
use super::super::status::Status;
use super::hats::HATS_SHARE;
use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{PresenceType, Stanza};
use crate::xml::XmlWriter;

/// No session may take more than this share of what presence a room can hold.
const SHARE: usize = 64;

impl Room {
    pub(super) fn presence(
        &mut self,
        stanza: &Stanza,
        type_: PresenceType,
        nick: Option<&str>,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let Some(from) = stanza.from() else { return Err(StanzaError::jid_malformed()) };
        match type_ {
            PresenceType::Available => self.available(stanza, from, nick, context, out)?,
            // §17.3, rule 5: from others it is ignored. Whatever nickname it is sent to, the session is gone.
            PresenceType::Unavailable => self.leave(stanza, from, &[], out),
            PresenceType::Error => self.presence_error(stanza, out),
            // §17.3, rules 1, 2 and 4: these neither enter nor leave, and nobody subscribes to a room.
            PresenceType::Probe
            | PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed => {}
        }
        Ok(())
    }

    fn available(
        &mut self,
        stanza: &Stanza,
        from: &Jid,
        nick: Option<&str>,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let Ok(from) = FullJid::try_from(from.clone()) else { return Err(StanzaError::jid_malformed()) };
        // §7.2.1, example 19; §17.1: nor one that nobody sees.
        let Some(nick) = nick.filter(|nick| !nick.trim().is_empty()) else { return Err(StanzaError::jid_malformed()) };
        let jid = self.lasting.jid.with_resource(nick).map_err(|_| StanzaError::jid_malformed())?;
        let enters = stanza.child(ns::MUC, "x").is_some();
        let occupant = self.occupants.of(&from).cloned();
        match occupant {
            Some(occupant) if occupant.jid == jid => {
                self.change_presence(stanza, &from, &occupant, context, out)?;
                // §17.3, rule 3: who enters while there has lost what it knew.
                if enters {
                    self.welcome(stanza, &from, nick, context, out);
                }
            }
            Some(occupant) => {
                self.change_nick(stanza, &from, &occupant, jid, context, out)?;
                if enters {
                    self.welcome(stanza, &from, nick, context, out);
                }
            }
            None if enters => self.join(stanza, from, jid, context, out)?,
            None => {
                let mut id = XmlWriter::with_capacity(128);
                presence::write_occupant_id(&mut id, &self.lasting.occupant_id(&from.to_bare()));
                out.send(not_there(&jid, &from).with_child(&id.finish()));
            }
        }
        Ok(())
    }

    /// §7.7.
    fn change_presence(
        &mut self,
        stanza: &Stanza,
        from: &FullJid,
        occupant: &Arc<Occupant>,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let seat = Seat { jid: from.clone(), presence: presence::cleaned(stanza) };
        self.must_fit(&seat, &occupant.jid, Some(occupant), context)?;
        let resync = stanza.child(ns::MUC, "x").is_some();
        if resync && occupant.seat(from) == Some(&seat) {
            return Ok(());
        }
        let Some(after) = self.occupants.update(occupant.nick(), |occupant| _ = occupant.say(seat)) else { return Ok(()) };
        let notice = Notice::available(&after);
        if after.seats[0].jid == *from {
            // Who is welcomed anew is told of itself then.
            let (own, others): (Vec<&Seat>, Vec<&Seat>) = after.seats.iter().partition(|seat| seat.jid == *from);
            for seat in others.into_iter().chain(own.into_iter().filter(|_| !resync)) {
                out.send(notice.write_own(&self.lasting, &after, &seat.jid, Own { answers: Some(stanza), codes: &[] }));
            }
            self.tell_all_but(&after, &notice, self.is_seen(after.role), out);
        } else if !resync {
            // Another session speaks for the occupant.
            out.send(notice.write_own(&self.lasting, &after, from, Own { answers: Some(stanza), codes: &[] }));
        }
        Ok(())
    }

    /// Whether there is room for this presence, under this nickname, in place of what the session has said as another occupant, or as this one.
    pub(super) fn must_fit(&self, seat: &Seat, jid: &FullJid, before: Option<&Occupant>, context: &Context<'_>) -> Result<(), StanzaError> {
        let max = context.limits.presence_bytes - context.limits.presence_bytes / HATS_SHARE;
        let before = before.and_then(|before| Some(before.seat(&seat.jid)?.bytes(&before.jid))).unwrap_or_default();
        let after = seat.bytes(jid);
        if after > before && (after > max / SHARE || self.occupants.presence_bytes() - before + after > max) {
            return Err(StanzaError::resource_constraint().with_text("there is no room for so much presence"));
        }
        Ok(())
    }
}

/// §7.2.18, example 43: presence from somebody who is not there does not mean entering, it comes of not knowing that one was removed.
pub(in crate::muc) fn not_there(jid: &FullJid, from: &FullJid) -> Stanza {
    let mut xml = XmlWriter::with_capacity(320);
    xml.open("x").ns(ns::MUC_USER);
    xml.open("item").attr("affiliation", Affiliation::None.name()).attr("role", Role::None.name());
    xml.open("reason").text("You are not in the room.").close().close();
    presence::write_codes(&mut xml, &[Status::Own, Status::Kicked, Status::Unreachable]);
    xml.close();
    presence::unavailable().with_from(jid).with_to(from).with_content(xml.finish())
}
