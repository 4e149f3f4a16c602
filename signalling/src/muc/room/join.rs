//! XEP-0045 §7.1, §7.2: entering a room, and what a newcomer gets.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::super::context::Context;
use super::super::history::Wanted;
use super::super::model::{Affiliation, Occupant, Role, Room, Seat};
use super::super::outcome::Outcome;
use super::super::presence::{self, Notice, Own, Templates};
use super::super::status::Status;
use crate::jid::{BareJid, FullJid};
use crate::ns;
use crate::stanza::Stanza;
use crate::stanza::error::{Condition, ErrorType, StanzaError};

/// §7.2.9: so many more may be there if they are admins.
const ADMINS_BEYOND: usize = 10;

/// Sessions of one account in one room, whatever their nicknames: more than anybody has clients.
const SESSIONS_OF_ACCOUNT_MAX: usize = 16;

impl Room {
    /// §7.2: somebody who is not there wants to be.
    pub(super) fn join(
        &mut self,
        stanza: &Stanza,
        from: FullJid,
        jid: FullJid,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let account = from.to_bare();
        let affiliation = if context.administers { Affiliation::Owner } else { self.affiliation_of(&account) };
        // §7.2.10.
        if !self.exists_for(&from, context) {
            return Err(StanzaError::item_not_found());
        }
        self.must_be_let_in(stanza, affiliation)?;
        self.nick_must_be_free(&jid, &account)?;
        let shared = self.occupants.get(jid.resource_str()).is_some();
        if !shared {
            self.must_have_place(affiliation)?;
        }
        self.must_have_seat(&account, affiliation, context)?;
        let seat = Seat { jid: from.clone(), presence: presence::cleaned(stanza) };
        self.must_fit(&seat, &jid, None, context)?;

        let nick = jid.resource_str().to_owned();
        if shared {
            // §7.2.8: the others know the occupant already.
            self.occupants.update(&nick, |occupant| occupant.seats.push(seat));
            self.welcome(stanza, &from, &nick, context, out);
            return Ok(());
        }
        let role = self.lasting.config.role_of(affiliation);
        self.occupants.insert(Occupant {
            jid,
            id: self.lasting.occupant_id(&account),
            account,
            affiliation,
            role,
            seats: vec![seat],
            administers: context.administers,
            correspondents: Default::default(),
            templates: Templates::default(),
        });
        if let Some(occupant) = self.occupants.get(&nick).cloned() {
            self.tell_all_but(&occupant, &Notice::available(&occupant), false, out);
        }
        self.welcome(stanza, &from, &nick, context, out);
        Ok(())
    }

    /// §7.2.5–§7.2.7.
    fn must_be_let_in(&self, stanza: &Stanza, affiliation: Affiliation) -> Result<(), StanzaError> {
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        if affiliation == Affiliation::None && self.lasting.config.members_only {
            return Err(StanzaError::registration_required());
        }
        if let Some(password) = &self.lasting.config.password {
            let given = stanza.child(ns::MUC, "x").and_then(|x| x.element().ok());
            let given = given.as_ref().and_then(|x| x.root().child(ns::MUC, "password")).map(|password| password.text());
            if given.is_none_or(|given| verify_slices_are_equal(given.as_bytes(), password.as_bytes()).is_err()) {
                return Err(StanzaError::not_authorized());
            }
        }
        Ok(())
    }

    /// §7.2.8, §7.6: the nickname is nobody else's, whether in use or registered. Sessions of one account may share one.
    pub(super) fn nick_must_be_free(&self, jid: &FullJid, account: &BareJid) -> Result<(), StanzaError> {
        let nick = jid.resource_str();
        let used = self.occupants.get(nick).is_some_and(|occupant| occupant.account != *account);
        let reserved = self.reserved_for(nick).is_some_and(|owner| owner != account);
        if used || reserved { Err(StanzaError::conflict()) } else { Ok(()) }
    }

    /// §7.2.9: there may be one nickname more.
    pub(super) fn must_have_place(&self, affiliation: Affiliation) -> Result<(), StanzaError> {
        let max = self.lasting.config.occupants_max.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
        if self.occupants.len() >= max.saturating_add(beyond(affiliation)) { Err(full()) } else { Ok(()) }
    }

    /// One session more, in the room and of its account.
    fn must_have_seat(&self, account: &BareJid, affiliation: Affiliation, context: &Context<'_>) -> Result<(), StanzaError> {
        if self.occupants.sessions() >= context.limits.occupants.saturating_add(beyond(affiliation)) {
            return Err(full());
        }
        let sessions: usize =
            self.occupants.iter().filter(|occupant| occupant.account == *account).map(|occupant| occupant.seats.len()).sum();
        if sessions >= SESSIONS_OF_ACCOUNT_MAX {
            return Err(StanzaError::resource_constraint().with_text("too many sessions of this account are in the room"));
        }
        Ok(())
    }

    /// §7.1: what a session gets that enters, in this order. `stanza` is what it has sent.
    pub(super) fn welcome(&self, stanza: &Stanza, to: &FullJid, nick: &str, context: &Context<'_>, out: &mut Outcome) {
        let Some(occupant) = self.occupants.get(nick) else { return };
        let sees_all = occupant.role == Role::Moderator;
        // XEP-0486 §5.2: the room's own presence, for clients that look for its avatar there.
        if let Some(presence) = self.avatar_presence() {
            out.send(presence.with_to(to));
        }
        out.effects.reserve(self.occupants.len() + self.history.messages.len() + 1);
        for other in self.occupants.iter().filter(|other| other.jid != occupant.jid) {
            if sees_all || self.is_seen(other.role) {
                out.send(presence::template(&self.lasting, other, sees_all || self.is_open()).clone().with_to(to));
            }
        }
        let mut codes = Vec::new();
        let config = &self.lasting.config;
        for (code, holds) in
            [(Status::NonAnonymous, self.is_open()), (Status::Logged, config.archived), (Status::Created, self.lasting.locked)]
        {
            codes.extend(holds.then_some(code));
        }
        let own = Own { codes: &codes, answers: Some(stanza) };
        out.send(Notice::available(occupant).write_own(&self.lasting, occupant, to, own));
        for message in self.history_for(&Wanted::read(stanza), to, context) {
            out.send(message);
        }
        out.send(self.subject_for(context).with_to(to));
    }
}

/// §7.2.9: so many more may be there.
fn beyond(affiliation: Affiliation) -> usize {
    if affiliation >= Affiliation::Admin { ADMINS_BEYOND } else { 0 }
}

fn full() -> StanzaError {
    StanzaError::new(Condition::ServiceUnavailable, ErrorType::Wait).with_text("the room is full")
}
