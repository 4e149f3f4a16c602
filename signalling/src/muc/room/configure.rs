//! XEP-0045 §10.1.2, §10.1.3, §10.2: what another configuration does to those who are there.

use std::collections::BTreeMap;

use super::bounds::Given;
use crate::forms::Form;
use crate::jid::{BareJid, Jid};
use crate::muc::change::Change;
use crate::muc::config::{RoomConfig, Submitted, Whois};
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Lasting, Room};
use crate::muc::outcome::Outcome;
use crate::muc::presence::Why;
use crate::muc::status::Status;
use crate::stanza::error::StanzaError;

impl Room {
    /// Takes a form; the room is open from then on.
    pub(super) fn configure(&mut self, form: &Form, from: &Jid, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let submitted = self.lasting.config.submit(form, context.limits)?;
        let given = self.given(&submitted);
        let entries: Vec<Given> = given.iter().map(|(jid, to)| (jid.clone(), self.entry(jid, *to, None))).collect();
        self.check_affiliations(&entries, context).map_err(|(_, error)| error)?;
        let before = self.lasting.config.clone();
        if self.lasting.locked || submitted.config != before {
            self.lasting.change(Change::Configure(Box::new(submitted.config)), out);
            self.configured(&before.broadcast, context, out);
        }
        let why = self.why(from, None);
        for (jid, to) in given {
            self.set_affiliation(&jid, to, &why, context, out);
        }
        if self.lasting.config.members_only && !before.members_only {
            self.remove_strangers(&why, out);
        }
        let codes = codes(&before, &self.lasting.config);
        if !codes.is_empty() {
            self.broadcast_codes(&codes, context, out);
        }
        Ok(())
    }

    /// §10.2: the full lists of admins and owners, as changes. Who is an owner no longer is an admin (example 169), unless the list of admins was
    /// filled in without it; who is neither is a member where only members come in, else nothing (§10.7).
    fn given(&self, submitted: &Submitted) -> BTreeMap<BareJid, Affiliation> {
        let less = if submitted.config.members_only { Affiliation::Member } else { Affiliation::None };
        let mut given = BTreeMap::new();
        for (jid, entry) in self.lasting.affiliations.iter() {
            let to = match entry.affiliation {
                Affiliation::Owner if submitted.owners.is_some() && submitted.admins.is_some() => less,
                Affiliation::Owner if submitted.owners.is_some() => Affiliation::Admin,
                Affiliation::Admin if submitted.admins.is_some() => less,
                _ => continue,
            };
            given.insert(jid.clone(), to);
        }
        for jid in submitted.admins.iter().flatten() {
            // A list of admins alone takes nobody's ownership.
            if submitted.owners.is_some() || self.affiliation_of(jid) != Affiliation::Owner {
                given.insert(jid.clone(), Affiliation::Admin);
            }
        }
        for jid in submitted.owners.iter().flatten() {
            given.insert(jid.clone(), Affiliation::Owner);
        }
        given.retain(|jid, to| self.lasting.affiliations.get(jid).map_or(Affiliation::None, |entry| entry.affiliation) != *to);
        given
    }

    /// The database has something else of the room than was thought: those who are there learn of it as of any change. Nothing is to be stored.
    pub(in crate::muc) fn becomes(&mut self, found: Lasting, context: &Context<'_>, out: &mut Outcome) {
        if self.lasting == found {
            return;
        }
        let before = std::mem::replace(&mut self.lasting, found).config;
        self.configured(&before.broadcast, context, out);
        let there: Vec<_> = self.occupants.iter().cloned().collect();
        for occupant in there {
            self.follow(&occupant, &Why::default(), out);
        }
        if self.lasting.config.members_only && !before.members_only {
            self.remove_strangers(&Why::default(), out);
        }
        let codes = codes(&before, &self.lasting.config);
        if !codes.is_empty() {
            self.broadcast_codes(&codes, context, out);
        }
    }

    /// §10.2: the room is members-only now (322).
    fn remove_strangers(&mut self, why: &Why, out: &mut Outcome) {
        let strangers = self.occupants.iter().filter(|occupant| occupant.affiliation < Affiliation::Member);
        let strangers: Vec<String> = strangers.map(|occupant| occupant.nick().to_owned()).collect();
        for nick in strangers {
            self.remove(&nick, &[Status::MembersOnly], why, out);
        }
    }
}

/// §10.2.1: what everyone is told of another configuration.
fn codes(before: &RoomConfig, after: &RoomConfig) -> Vec<Status> {
    let mut codes = Vec::new();
    let other = RoomConfig { archived: after.archived, whois: after.whois, ..before.clone() };
    if other != *after {
        codes.push(Status::ConfigChanged);
    }
    match (before.archived, after.archived) {
        (false, true) => codes.push(Status::Logged),
        (true, false) => codes.push(Status::NotLogged),
        _ => {}
    }
    match (before.whois, after.whois) {
        (Whois::Moderators, Whois::Anyone) => codes.push(Status::NowNonAnonymous),
        (Whois::Anyone, Whois::Moderators) => codes.push(Status::NowSemiAnonymous),
        _ => {}
    }
    codes
}
