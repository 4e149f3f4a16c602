//! XEP-0045 §7.6: changing the nickname. Where several sessions share one, only the one that asks takes another.

use super::super::context::Context;
use super::super::model::{Occupant, Role, Room, Seat};
use super::super::outcome::Outcome;
use super::super::presence::{self, Notice, Own, Templates};
use super::super::status::Status;
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::Stanza;
use crate::stanza::error::{Condition, ErrorType, StanzaError};

impl Room {
    pub(super) fn change_nick(
        &mut self,
        stanza: &Stanza,
        from: &FullJid,
        occupant: &Occupant,
        jid: FullJid,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let config = &self.lasting.config;
        // Example 53.
        if !config.allow_nick_change || (occupant.role == Role::Visitor && !config.allow_visitor_nick_change) {
            return Err(StanzaError::new(Condition::NotAcceptable, ErrorType::Cancel).with_text("nicknames are locked down"));
        }
        self.nick_must_be_free(&jid, &occupant.account)?;
        let seat = Seat { jid: from.clone(), presence: presence::cleaned(stanza) };
        self.must_fit(&seat, &jid, Some(occupant), context)?;

        let alone = occupant.seats.len() == 1;
        let shared = self.occupants.get(jid.resource_str()).is_some();
        if !shared && !alone {
            self.must_have_place(occupant.affiliation)?;
        }
        if shared {
            self.move_over(stanza, occupant, &jid, seat, out);
        } else if alone {
            self.rename(stanza, occupant, &jid, seat, out);
        } else {
            self.split(stanza, occupant, &jid, seat, out);
        }
        Ok(())
    }

    /// The occupant as it is under the new nickname.
    fn renamed(occupant: &Occupant, jid: &FullJid, seat: Seat) -> Occupant {
        Occupant { jid: jid.clone(), seats: vec![seat], templates: Templates::default(), ..occupant.clone() }
    }

    /// The usual case: the occupant has one session, and nobody has the nickname.
    fn rename(&mut self, stanza: &Stanza, before: &Occupant, jid: &FullJid, seat: Seat, out: &mut Outcome) {
        let seen = self.is_seen(before.role);
        let said = presence::unavailable();
        let left = renaming(before, jid, &said);
        self.tell(before, &left, seen, Own::default(), out);
        self.occupants.remove(before.nick());
        let after = Self::renamed(before, jid, seat);
        self.occupants.insert(after.clone());
        self.answer_new_nick(stanza, &after, &after.seats[0].jid, out);
        self.tell_all_but(&after, &Notice::available(&after), seen, out);
    }

    /// One of several sessions becomes an occupant of its own; the others stay.
    fn split(&mut self, stanza: &Stanza, before: &Occupant, jid: &FullJid, seat: Seat, out: &mut Outcome) {
        let own = seat.jid.clone();
        self.answer_old_nick(before, jid, &own, out);
        self.give_up_seat(before.nick(), &own, out);
        let after = Self::renamed(before, jid, seat);
        self.occupants.insert(after.clone());
        // For the session that asked, its old nickname is another's from now on.
        self.show_to(before.nick(), &own, after.role, out);
        self.answer_new_nick(stanza, &after, &own, out);
        self.tell_all_but(&after, &Notice::available(&after), false, out);
    }

    /// The nickname is that of another occupant of the same account: the session joins it there.
    fn move_over(&mut self, stanza: &Stanza, before: &Occupant, jid: &FullJid, seat: Seat, out: &mut Outcome) {
        let own = seat.jid.clone();
        self.answer_old_nick(before, jid, &own, out);
        if before.seats.len() == 1 {
            self.occupants.remove(before.nick());
            // For the others it is no new nickname, as they see it already.
            self.tell_all_but(before, &Notice::gone(before, &presence::unavailable()), self.is_seen(before.role), out);
        } else {
            self.give_up_seat(before.nick(), &own, out);
        }
        let nick = jid.resource_str();
        let Some(after) = self.occupants.update(nick, |occupant| occupant.seats.push(seat)) else { return };
        if before.role != after.role && (before.role == Role::Moderator || after.role == Role::Moderator) {
            let seats: Vec<Seat> = after.seats.iter().filter(|seat| seat.jid == own).cloned().collect();
            self.show_others_to(&after, &seats, after.role == Role::Moderator, out);
        }
        self.show_to(before.nick(), &own, after.role, out);
        self.answer_new_nick(stanza, &after, &own, out);
    }

    /// Tells the session that asked that it has left its old nickname.
    fn answer_old_nick(&self, before: &Occupant, jid: &FullJid, own: &FullJid, out: &mut Outcome) {
        out.send(renaming(before, jid, &presence::unavailable()).write_own(&self.lasting, before, own, Own::default()));
    }

    /// Tells the session that asked that it has its new one; who is welcomed anew is told then.
    fn answer_new_nick(&self, stanza: &Stanza, after: &Occupant, own: &FullJid, out: &mut Outcome) {
        if stanza.child(ns::MUC, "x").is_none() {
            out.send(Notice::available(after).write_own(&self.lasting, after, own, Own { answers: Some(stanza), codes: &[] }));
        }
    }

    /// Shows an occupant, if there is one of this nickname, to a session that has this role.
    fn show_to(&self, nick: &str, to: &FullJid, role: Role, out: &mut Outcome) {
        let Some(other) = self.occupants.get(nick) else { return };
        let sees_all = role == Role::Moderator;
        if sees_all || self.is_seen(other.role) {
            out.send(presence::template(&self.lasting, other, sees_all || self.is_open()).clone().with_to(to));
        }
    }
}

/// That an occupant is not to be found under its old nickname any more (303).
fn renaming<'a>(before: &'a Occupant, jid: &'a FullJid, said: &'a Stanza) -> Notice<'a> {
    Notice { said, nick: Some(jid.resource_str()), codes: &[Status::NickChanged], ..Notice::available(before) }
}
