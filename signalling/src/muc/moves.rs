//! What happens to occupants, whoever wants it: affiliations and roles change, and people are removed (XEP-0045 §8, §9, §10). Whether somebody may
//! do that to somebody is decided before; nothing here fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::Change;
use super::context::Context;
use super::model::{Affiliated, Affiliation, Lasting, Occupant, Role, Room, Seat};
use super::outcome::Outcome;
use super::presence::{self, Notice, Own, Why};
use super::status::Status;
use crate::addressees::Addressees;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{MessageType, Stanza};
use crate::xml::XmlWriter;

impl Lasting {
    /// §5.2 of an account, or else of its domain.
    #[must_use]
    pub fn affiliation_of(&self, account: &Jid) -> Affiliation {
        let of = |jid: &str| self.affiliations.get(jid).map(|entry| entry.affiliation);
        let own = of(account.bare_str()).filter(|affiliation| *affiliation != Affiliation::None);
        own.or_else(|| of(account.domain())).unwrap_or(Affiliation::None)
    }

    /// Changes what is stored, and says so.
    pub(super) fn change(&mut self, change: Change, out: &mut Outcome) {
        out.changes.push(change.clone());
        change.apply(self);
    }
}

impl Room {
    /// Whether this real full JID is in the room.
    #[must_use]
    pub fn is_occupant(&self, real: &Jid) -> bool {
        self.occupants.of(real).is_some()
    }

    /// The occupant of this nickname.
    #[must_use]
    pub fn occupant(&self, nick: &str) -> Option<&Arc<Occupant>> {
        self.occupants.get(nick)
    }

    /// §5.2 of an account, or else of its domain, as it is stored.
    #[must_use]
    pub fn affiliation_of(&self, account: &Jid) -> Affiliation {
        self.lasting.affiliation_of(account)
    }

    /// What whoever has sent a request is to the room: the role is that of its session here, or the highest of the account's other sessions.
    /// Administrators of the server may do everything.
    #[must_use]
    pub fn power(&self, from: &Jid, context: &Context<'_>) -> (Affiliation, Role) {
        if context.administers {
            return (Affiliation::Owner, Role::Moderator);
        }
        if let Some(occupant) = self.occupants.of(from) {
            return (occupant.affiliation, occupant.role);
        }
        let role = self.occupants.of_account(from.bare_str()).map(|occupant| occupant.role).max();
        (self.affiliation_of(from), role.unwrap_or(Role::None))
    }

    /// What is said of something that whoever has sent a request does.
    pub(super) fn why(&self, from: &Jid, reason: Option<String>) -> Why {
        Why { actor: self.occupants.of(from).map(|occupant| occupant.nick().to_owned()), reason }
    }

    /// §9, §10.3–§10.8: gives somebody (or everybody of a domain) another affiliation. Those who are there change their role with it (§5.1.3): who
    /// rises keeps what it had or gets more, who falls gets what newcomers of its kind have; the banned (301) and, in a members-only room, those
    /// who are no members (321) are removed. Those who are not there are told by a message (101), and so are the occupants who see real JIDs.
    /// Whoever loses an affiliation loses its nickname.
    pub fn set_affiliation(&mut self, jid: &BareJid, to: Affiliation, why: &Why, context: &Context<'_>, out: &mut Outcome) {
        let before = self.affiliation_of(jid);
        let known = self.lasting.affiliations.get(jid);
        let entry = self.entry(jid, to, why.reason.as_deref());
        if known != entry.as_ref() {
            self.lasting.change(Change::Affiliate(jid.clone(), entry), out);
        }
        // Who is registered by an admin's hand waits no more; nor does the banned one.
        if to != Affiliation::None && self.lasting.requests.contains_key(jid) {
            self.lasting.change(Change::Request(jid.clone(), None), out);
        }
        let there: Vec<Arc<Occupant>> = match jid.local() {
            Some(_) => self.occupants.of_account(jid.as_str()).cloned().collect(),
            None => self.occupants.iter().filter(|occupant| occupant.account.domain() == jid.as_str()).cloned().collect(),
        };
        if there.is_empty() && before != self.affiliation_of(jid) {
            self.tell_of_absent(jid, why, context, out);
        }
        for occupant in there {
            self.follow(&occupant, why, out);
        }
    }

    /// An occupant whose affiliation is another one in the list than in the room.
    pub(super) fn follow(&mut self, occupant: &Occupant, why: &Why, out: &mut Outcome) {
        let affiliation = if occupant.administers { Affiliation::Owner } else { self.affiliation_of(&occupant.account) };
        if affiliation == occupant.affiliation {
            return;
        }
        let nick = occupant.nick();
        let usual = self.lasting.config.role_of(affiliation);
        let role = if affiliation > occupant.affiliation { usual.max(occupant.role) } else { usual };
        self.occupants.update(nick, |occupant| occupant.affiliation = affiliation);
        if affiliation == Affiliation::Outcast {
            self.remove(nick, &[Status::Banned], why, out);
        } else if affiliation == Affiliation::None && self.lasting.config.members_only {
            self.remove(nick, &[Status::AffiliationLost], why, out);
        } else {
            self.change_role(nick, role, why, out);
        }
    }

    /// §9.3, §7.10: a nickname is somebody's, or nobody's any more. Who has no affiliation either is forgotten.
    pub fn reserve(&mut self, jid: &BareJid, nick: Option<String>, out: &mut Outcome) {
        let known = self.lasting.affiliations.get(jid);
        let affiliation = known.map_or(Affiliation::None, |known| known.affiliation);
        let entry = (affiliation != Affiliation::None || nick.is_some()).then(|| Affiliated {
            affiliation,
            nick,
            reason: known.and_then(|known| known.reason.clone()),
        });
        if known != entry.as_ref() {
            self.lasting.change(Change::Affiliate(jid.clone(), entry), out);
        }
    }

    /// §8.2–§8.4, §9.6, §9.7: gives an occupant another role; `Role::None` kicks it (307).
    pub fn set_role(&mut self, nick: &str, to: Role, why: &Why, out: &mut Outcome) {
        if to == Role::None {
            self.remove(nick, &[Status::Kicked], why, out);
        } else if self.occupants.get(nick).is_some_and(|occupant| occupant.role != to) {
            self.change_role(nick, to, why, out);
        }
    }

    /// The role changes or not: everyone is told. A new moderator is shown the others anew, as it sees their real JIDs from now on.
    fn change_role(&mut self, nick: &str, to: Role, why: &Why, out: &mut Outcome) {
        let Some(before) = self.occupants.get(nick).map(|occupant| occupant.role) else { return };
        let Some(after) = self.occupants.update(nick, |occupant| occupant.role = to) else { return };
        let notice = Notice { why: why.if_any(), ..Notice::available(&after) };
        self.tell(&after, &notice, self.is_seen(before), Own::default(), out);
        if (before == Role::Moderator) != (to == Role::Moderator) {
            self.show_others_to(&after, &after.seats, to == Role::Moderator, out);
        }
    }

    /// An occupant sees real JIDs and hidden occupants from now on, or does not any more: these sessions of it are told.
    pub(super) fn show_others_to(&self, occupant: &Occupant, seats: &[Seat], moderator: bool, out: &mut Outcome) {
        let anew = moderator && !self.is_open();
        for other in self.occupants.iter().filter(|other| other.jid != occupant.jid) {
            let hidden = !self.is_seen(other.role);
            let stanza = match (moderator, hidden) {
                (true, hidden) if hidden || anew => presence::template(&self.lasting, other, true).clone(),
                (false, true) => Notice::gone(other, &presence::unavailable()).write(&self.lasting, other, None, &[]),
                _ => continue,
            };
            for seat in seats {
                out.send(stanza.clone().with_to(&seat.jid));
            }
        }
    }

    /// Removes an occupant with all its sessions: it is told first, then the others.
    pub fn remove(&mut self, nick: &str, codes: &[Status], why: &Why, out: &mut Outcome) {
        let Some(gone) = self.occupants.remove(nick) else { return };
        let said = presence::unavailable();
        let notice = Notice { codes, why: why.if_any(), ..Notice::gone(&gone, &said) };
        self.tell(&gone, &notice, self.is_seen(gone.role), Own::default(), out);
    }

    /// §10.9, §11.2: removes everybody; each is told of itself only. `destroy` is the element `<destroy/>`, and then nobody has an affiliation.
    pub fn remove_everybody(&mut self, codes: &[Status], destroy: Option<&[u8]>, out: &mut Outcome) {
        let said = presence::unavailable();
        for occupant in std::mem::take(&mut self.occupants).iter() {
            let mut notice = Notice { codes, destroy, ..Notice::gone(occupant, &said) };
            if destroy.is_some() {
                notice.affiliation = Affiliation::None;
            }
            self.tell_own(occupant, &notice, Own::default(), out);
        }
    }

    /// Presence of an occupant anew, as its hats or its account's affiliation is another one; nothing of it has changed in the room.
    pub fn announce(&mut self, nick: &str, codes: &[Status], why: &Why, out: &mut Outcome) {
        let Some(occupant) = self.occupants.update(nick, |_| {}) else { return };
        let notice = Notice { codes, why: why.if_any(), ..Notice::available(&occupant) };
        self.tell(&occupant, &notice, self.is_seen(occupant.role), Own::default(), out);
    }

    /// After another configuration was put in place of `before`: those whose presence is shown to everyone from now on appear, others vanish
    /// (`muc#roomconfig_presencebroadcast`), and history becomes shorter.
    pub fn configured(&mut self, before: &BTreeSet<Role>, context: &Context<'_>, out: &mut Outcome) {
        self.occupants.forget_templates();
        let all: Vec<Arc<Occupant>> = self.occupants.iter().cloned().collect();
        for occupant in all {
            let (was_seen, is_seen) = (before.contains(&occupant.role), self.is_seen(occupant.role));
            if was_seen != is_seen {
                let recipients = without(self.occupants.others(), &occupant);
                self.tell_others(&occupant, &Notice::available(&occupant), is_seen, recipients, out);
            }
        }
        self.history.limit(self.history_max(context));
    }

    /// §10.2.1: a message to everybody that has these codes only.
    pub fn broadcast_codes(&mut self, codes: &[Status], context: &Context<'_>, out: &mut Outcome) {
        let message = Stanza::message(MessageType::Groupchat).with_from(&self.lasting.jid).with_id((context.fresh_id)());
        out.broadcast(message.with_content(presence::codes(codes)), self.occupants.everyone());
    }

    /// Whether everyone sees presence of this role; moderators always do.
    pub(super) fn is_seen(&self, role: Role) -> bool {
        self.lasting.config.broadcast.contains(&role)
    }

    /// Whether everyone sees real JIDs.
    pub(super) fn is_open(&self) -> bool {
        self.lasting.config.whois == super::config::Whois::Anyone
    }

    /// Tells the occupant itself and all others; `was_seen`: everyone saw it before.
    pub(super) fn tell(&mut self, occupant: &Occupant, notice: &Notice<'_>, was_seen: bool, own: Own<'_>, out: &mut Outcome) {
        self.tell_own(occupant, notice, own, out);
        self.tell_all_but(occupant, notice, was_seen, out);
    }

    /// Tells all others.
    pub(super) fn tell_all_but(&mut self, occupant: &Occupant, notice: &Notice<'_>, was_seen: bool, out: &mut Outcome) {
        // Presence of one who is gone is as visible as it was.
        let is_seen = if notice.role == Role::None { was_seen } else { self.is_seen(notice.role) };
        if self.is_open() && is_seen {
            let everyone = without(self.occupants.everyone(), occupant);
            out.broadcast(presence::broadcast(&self.lasting, occupant, notice, true), everyone);
            return;
        }
        let moderators = without(self.occupants.moderators(), occupant);
        if !moderators.is_empty() {
            out.broadcast(presence::broadcast(&self.lasting, occupant, notice, true), moderators);
        }
        if was_seen || is_seen {
            let others = without(self.occupants.others(), occupant);
            self.tell_others(occupant, notice, is_seen, others, out);
        }
    }

    /// Tells those who are no moderators: one who is not to be seen any more is gone for them.
    fn tell_others(&self, occupant: &Occupant, notice: &Notice<'_>, is_seen: bool, to: Addressees, out: &mut Outcome) {
        if to.is_empty() {
            return;
        }
        let jid = self.is_open();
        let stanza = if is_seen {
            presence::broadcast(&self.lasting, occupant, notice, jid)
        } else {
            let said = presence::unavailable();
            presence::broadcast(&self.lasting, occupant, &Notice { codes: &[], why: None, ..Notice::gone(occupant, &said) }, jid)
        };
        out.broadcast(stanza, to);
    }

    /// §7.2.2: tells the occupant itself (110), each session with its own real JID.
    pub(super) fn tell_own(&self, occupant: &Occupant, notice: &Notice<'_>, own: Own<'_>, out: &mut Outcome) {
        for seat in &occupant.seats {
            out.send(notice.write_own(&self.lasting, occupant, &seat.jid, own));
        }
    }

    /// §18.1, rule 2, and §10.3, example 176: somebody who is not there, and those who see real JIDs.
    fn tell_of_absent(&mut self, jid: &BareJid, why: &Why, context: &Context<'_>, out: &mut Outcome) {
        let content = |code: Option<Status>| {
            let mut xml = XmlWriter::new();
            xml.open("x").ns(ns::MUC_USER);
            xml.open("item").attr("affiliation", self.lasting.affiliation_of(jid).name()).attr("jid", jid.as_str()).attr("role", "none");
            why.write(&mut xml);
            xml.close();
            presence::write_codes(&mut xml, code.as_slice());
            xml.finish()
        };
        let (absent, present) = (content(Some(Status::AffiliationChanged)), content(None));
        let message = || Stanza::message(MessageType::Normal).with_from(&self.lasting.jid).with_id((context.fresh_id)());
        // A domain is no one to write to.
        if jid.local().is_some() && self.lasting.config.tell_absent {
            out.send(message().with_content(absent).with_to(jid));
        }
        let message = message().with_content(present);
        let to = if self.is_open() { self.occupants.everyone() } else { self.occupants.moderators() };
        out.broadcast(message, to);
    }
}

/// These recipients without an occupant's own sessions.
fn without(recipients: Addressees, occupant: &Occupant) -> Addressees {
    let is_own = |jid: &Jid| occupant.seats.iter().any(|seat| seat.jid == *jid);
    if recipients.iter().any(is_own) { recipients.iter().filter(|jid| !is_own(jid)).cloned().collect() } else { recipients }
}
