//! Who sees an account's presence: contacts with a subscription, whom directed presence told, and nobody who is blocked.

use std::ops::Bound;

use super::Account;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::session::Session;
use crate::stanza::{PresenceType, Stanza};

/// Resources that an account keeps in mind because they have sent it their presence.
const VISITORS_MAX: usize = 1_000;

impl Account {
    /// XEP-0191 §3.3: whether this address is blocked. The account's own resources and its server never are.
    #[must_use]
    pub fn blocks(&self, jid: &Jid) -> bool {
        !self.blocked.is_empty() && self.blocked.matches(jid) && !super::blocklist::is_exempt(&self.jid, jid)
    }

    /// Contacts that get each presence of the account (RFC 6121 §4.2.2).
    pub fn watchers(&self) -> impl Iterator<Item = &BareJid> {
        self.roster.values().filter(|item| item.subscription.is_from() && !self.blocks(&item.jid)).map(|item| &item.jid)
    }

    /// Contacts whose presence the account gets (RFC 6121 §4.3.1), in order, from `after` on.
    pub fn watched(&self, after: Bound<BareJid>) -> impl Iterator<Item = &BareJid> {
        let contacts = self.roster.range((after, Bound::Unbounded)).map(|(_, item)| item);
        contacts.filter(|item| item.subscription.is_to() && !self.blocks(&item.jid)).map(|item| &item.jid)
    }

    /// The current presence of every available resource, for one contact.
    pub fn presences_for(&self, contact: &Jid) -> Vec<Stanza> {
        self.available().filter_map(|session| session.presence.clone()).map(|presence| presence.with_to(contact.clone())).collect()
    }

    /// Unavailable presence of every available resource, for one contact.
    pub fn unavailable_for(&self, contact: &Jid) -> Vec<Stanza> {
        self.available().map(|session| unavailable(session, contact)).collect()
    }

    /// RFC 6121 §3.2.2 and §4.6.1: unavailable presence for a contact that may no longer see the account, directed presence included. Whom a
    /// block list keeps away has seen it already.
    pub fn leave_contact(&mut self, contact: &BareJid) -> Vec<Stanza> {
        if self.blocks(contact) {
            return Vec::new();
        }
        for session in self.sessions.iter_mut().filter(|session| session.is_available()) {
            session.directed.retain(|to| to.bare_str() != contact.as_str());
        }
        self.unavailable_for(contact)
    }

    /// XEP-0060 §9.1.3: a resource has sent its presence, which it may do without a subscription. Whether that is new.
    pub fn visited_by(&mut self, from: &Jid) -> bool {
        let is_visitor = !from.is_bare() && from.bare_str() != self.jid.as_str() && !self.shows_presence_to(from);
        is_visitor && self.visitors.len() < VISITORS_MAX && self.visitors.insert(from.clone())
    }

    /// RFC 6121 §4.6.1: who has left need not be told when a session of this account leaves: none of them, or the one that is addressed, as others
    /// may be there under the same nickname. A room stays told, even if its occupant has left (XEP-0045 §7.14): this can be the answer to a presence
    /// after which the session has entered anew. So that nicknames do not pile up, one address of a room is enough.
    pub fn has_left(&mut self, stanza: &Stanza, from: &Jid) {
        self.visitors.remove(from);
        let to = stanza.to().filter(|to| !to.is_bare());
        let is_occupant = stanza.child(ns::MUC_USER, "x").is_some();
        for session in self.sessions.iter_mut().filter(|session| !session.directed.is_empty() && to.is_none_or(|to| session.jid == *to)) {
            let may_be_forgotten =
                || !is_occupant || session.directed.iter().any(|other| other != from && other.bare_str() == from.bare_str());
            if session.directed.contains(from) && may_be_forgotten() {
                session.directed.remove(from);
            }
        }
    }

    /// XEP-0191 §3.3: the unavailable presence by which the account leaves those that a block list hides it from now and a moment ago did
    /// not: contacts that saw it, and who got directed presence.
    pub fn leave_newly_blocked(&mut self, before: &super::BlockList) -> Vec<Stanza> {
        let newly = |account: &Self, jid: &Jid| account.blocks(jid) && !before.matches(jid);
        let mut goodbye = Vec::new();
        for item in self.roster.values().filter(|item| item.subscription.is_from()) {
            if newly(self, &item.jid) {
                goodbye.extend(self.unavailable_for(&item.jid));
            }
        }
        // A rule about one resource of a contact: only that resource is told.
        for rule in self.blocked.iter().filter(|rule| !rule.is_bare() && !before.has(rule)) {
            if self.shows_presence_to(rule) && newly(self, rule) {
                goodbye.extend(self.unavailable_for(rule));
            }
        }
        for index in 0..self.sessions.len() {
            let gone: Vec<Jid> = self.sessions[index].directed.iter().filter(|to| newly(self, to)).cloned().collect();
            let session = &mut self.sessions[index];
            for to in gone {
                session.directed.remove(&to);
                goodbye.push(unavailable(session, &to));
            }
        }
        goodbye
    }

    /// XEP-0191 §3.4: the presence by which the account comes back to those whom a block list no longer hides it from; and probes, since
    /// their presence was not delivered meanwhile.
    pub fn return_to_unblocked(&self, before: &super::BlockList) -> Vec<Stanza> {
        let no_longer = |jid: &Jid| before.matches(jid) && !self.blocks(jid);
        let mut welcome = Vec::new();
        for item in self.roster.values().filter(|item| no_longer(&item.jid)) {
            if item.subscription.is_from() {
                welcome.extend(self.presences_for(&item.jid));
            }
            if item.subscription.is_to() && self.available().next().is_some() {
                welcome.push(Stanza::presence(PresenceType::Probe).with_from(self.jid.clone()).with_to(item.jid.clone()));
            }
        }
        for rule in before.iter().filter(|rule| !rule.is_bare() && no_longer(rule) && self.shows_presence_to(rule)) {
            if !before.matches(&rule.to_bare()) {
                welcome.extend(self.presences_for(rule));
            }
        }
        welcome
    }
}

fn unavailable(session: &Session, to: &Jid) -> Stanza {
    Stanza::presence(PresenceType::Unavailable).with_from(session.jid.clone()).with_to(to.clone())
}
