//! XEP-0045 §8.2–§8.5, §9.1–§9.8, §10.3–§10.8: `muc#admin`. A request names one or many; all of it is done, or nothing.

mod items;
mod lists;
pub(super) mod rights;

use std::collections::{BTreeMap, BTreeSet};

use crate::jid::{BareJid, Jid};
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Role, Room};
use crate::muc::outcome::Outcome;
use crate::muc::presence::Why;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, MessageType, Stanza};
use crate::xml::{Node, XmlWriter};

use super::bounds::Given;
use super::{element, sender};
use items::{Item, Wanted};

/// What is to be done, once all of it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Role { nick: String, to: Role },
    Affiliation { jid: BareJid, to: Affiliation, reserve: Option<Option<String>> },
}

impl Room {
    /// Reads or changes the lists of affiliations and roles.
    ///
    /// # Errors
    /// `forbidden`, `not-allowed`, `conflict` (who bans itself, the last owner, a nickname that is another's), `item-not-found` (nobody of that nickname),
    /// `bad-request`, `jid-malformed`, `not-acceptable`, `resource-constraint`; with those of many items that it is about.
    pub fn admin(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no payload"))?;
        let query = element(&payload)?;
        let items = items::items(query.root())?;
        let from = sender(stanza)?;
        if stanza.kind() == Kind::Iq(IqType::Get) {
            let [item] = &items[..] else { return Err(StanzaError::bad_request("one list is asked for at a time")) };
            out.reply = self.list(item, self.power(from, context), context)?;
            return Ok(());
        }
        let steps = self.steps(&items, from, context).map_err(|(number, mut error)| {
            if items.len() > 1 {
                error.payload = query.root().children_named(ns::MUC_ADMIN, "item").nth(number).map(|item| Box::new(offending(item)));
            }
            error
        })?;
        let by = self.why(from, None);
        for (step, item) in steps.into_iter().zip(items) {
            let why = Why { reason: item.reason, ..by.clone() };
            match step {
                Step::Role { nick, to } => self.set_role(&nick, to, &why, out),
                Step::Affiliation { jid, to, reserve } => {
                    let member = to == Affiliation::Member && self.affiliation_of(&jid) < Affiliation::Member;
                    self.set_affiliation(&jid, to, &why, context, out);
                    if let Some(nick) = reserve {
                        self.reserve(&jid, nick, out);
                    }
                    if member && self.lasting.config.members_only {
                        out.send(self.invitation_of_member(&jid, from, &why, context));
                    }
                }
            }
        }
        Ok(())
    }

    /// §9.5, example 134: who has come to the member list of a members-only room is told that it may come.
    fn invitation_of_member(&self, member: &BareJid, from: &Jid, why: &Why, context: &Context<'_>) -> Stanza {
        let xml = self.write_invitation(from.bare_str(), why.reason.as_deref(), None);
        let message = Stanza::message(MessageType::Normal).with_from(&self.lasting.jid).with_to(member).with_id((context.fresh_id)());
        message.with_content(xml.finish())
    }

    /// What all items come to, if every one of them may be done; else the number of the first that may not.
    fn steps(&self, items: &[Item], from: &Jid, context: &Context<'_>) -> Result<Vec<Step>, (usize, StanzaError)> {
        let by = self.power(from, context);
        let mut all = Together::default();
        let mut steps = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            let step = match item.wanted {
                Wanted::Role(to) => self.role_step(item, to, by, from),
                Wanted::Affiliation(to) => self.affiliation_step(item, to, by.0, from, &mut all),
            };
            let step = step.map_err(|error| (number, error))?;
            if !all.add(self, number, &step, item.reason.as_deref()) {
                return Err((number, StanzaError::bad_request("an item comes twice")));
            }
            steps.push(step);
        }
        self.check_affiliations(&all.given, context).map_err(|(given, error)| (all.numbers[given], error))?;
        Ok(steps)
    }

    /// §8.2–§8.5, §9.6–§9.8.
    fn role_step(&self, item: &Item, to: Role, by: rights::Standing, from: &Jid) -> Result<Step, StanzaError> {
        // Who may not do anything is not told who is there.
        rights::change_role(by, (Affiliation::None, Role::Visitor), Role::Participant, false)?;
        let occupant = match (&item.nick, &item.jid) {
            (Some(nick), _) => self.occupant(self.resource(nick)?.as_str()),
            // Not as the text has it, but clear.
            (None, Some(jid)) => {
                self.occupants.of(jid).or_else(|| jid.resource().filter(|_| self.is_here(jid)).and_then(|nick| self.occupant(nick)))
            }
            (None, None) => return Err(StanzaError::bad_request("a role is given to a nickname")),
        };
        let occupant = occupant.ok_or_else(|| StanzaError::item_not_found().with_text("nobody has that nickname"))?;
        let own = occupant.account == from.bare_str();
        rights::change_role(by, (occupant.affiliation, occupant.role), to, own)?;
        Ok(Step::Role { nick: occupant.nick().to_owned(), to })
    }

    /// §9.1–§9.5, §10.3–§10.8.
    fn affiliation_step(&self, item: &Item, to: Affiliation, by: Affiliation, from: &Jid, all: &mut Together) -> Result<Step, StanzaError> {
        if by < Affiliation::Admin {
            return Err(StanzaError::forbidden());
        }
        let (jid, nick) = match (&item.jid, &item.nick) {
            // An occupant JID means whoever is behind it.
            (Some(jid), nick) if self.is_here(jid) => {
                let occupant = jid.resource().and_then(|nick| self.occupant(nick));
                let occupant = occupant.ok_or_else(|| StanzaError::item_not_found().with_text("nobody has that nickname"))?;
                (occupant.account.clone(), nick.as_deref())
            }
            // §10.3: the bare JID counts.
            (Some(jid), nick) => (jid.to_bare(), nick.as_deref()),
            // Some clients name the nickname only.
            (None, Some(nick)) => {
                let occupant = self.occupant(self.resource(nick)?.as_str());
                let occupant = occupant.ok_or_else(|| StanzaError::item_not_found().with_text("nobody has that nickname"))?;
                (occupant.account.clone(), None)
            }
            (None, None) => return Err(StanzaError::bad_request("an affiliation is given to a JID")),
        };
        // §9.1.
        if to == Affiliation::Outcast && jid == from.bare_str() {
            return Err(StanzaError::conflict().with_text("nobody bans itself"));
        }
        rights::change_affiliation(by, self.affiliation_of(&jid), to)?;
        // §9.2: domains are banned; they are nobody who could be more.
        if jid.local().is_none() && to > Affiliation::None {
            return Err(StanzaError::not_acceptable().with_text("a domain can be banned only"));
        }
        let reserve = match nick {
            Some(nick) if to >= Affiliation::Member => {
                let nick = if nick.is_empty() { None } else { Some(self.resource(nick)?) };
                if let Some(nick) = &nick {
                    all.take(self, nick, &jid)?;
                }
                Some(nick)
            }
            _ => None,
        };
        Ok(Step::Affiliation { jid, to, reserve })
    }

    /// Whether an address is the room's own or one of its occupants'.
    fn is_here(&self, jid: &Jid) -> bool {
        self.lasting.jid == jid.bare_str()
    }

    /// A nickname as addresses have it.
    fn resource(&self, nick: &str) -> Result<String, StanzaError> {
        let jid = self.lasting.jid.with_resource(nick);
        jid.map(|jid| jid.resource_str().to_owned()).map_err(|error| StanzaError::jid_malformed().with_text(error.to_string()))
    }
}

/// What items come to together.
#[derive(Default)]
struct Together {
    nicks: BTreeSet<String>,
    jids: BTreeSet<BareJid>,
    given: Vec<Given>,
    /// By which item each of them is given.
    numbers: Vec<usize>,
    /// Whose nicknames become whose.
    reserved: BTreeMap<String, BareJid>,
}

impl Together {
    /// `false`: the same one was there before.
    fn add(&mut self, room: &Room, number: usize, step: &Step, reason: Option<&str>) -> bool {
        match step {
            Step::Role { nick, .. } => self.nicks.insert(nick.clone()),
            Step::Affiliation { jid, to, reserve } => {
                let mut entry = room.entry(jid, *to, reason);
                if let (Some(entry), Some(nick)) = (&mut entry, reserve) {
                    entry.nick.clone_from(nick);
                }
                self.given.push((jid.clone(), entry));
                self.numbers.push(number);
                self.jids.insert(jid.clone())
            }
        }
    }

    /// §9.3: a nickname becomes somebody's: nobody else's it is, and nobody else uses it.
    fn take(&mut self, room: &Room, nick: &str, jid: &BareJid) -> Result<(), StanzaError> {
        let used = room.occupant(nick).is_some_and(|occupant| occupant.account != *jid);
        match self.reserved.get(nick).or_else(|| room.reserved_for(nick)) {
            Some(owner) if owner != jid => Err(StanzaError::conflict().with_text("the nickname is somebody else's")),
            _ if used => Err(StanzaError::conflict().with_text("somebody else has that nickname")),
            _ => {
                self.reserved.insert(nick.to_owned(), jid.clone());
                Ok(())
            }
        }
    }
}

/// §8.4: "along with the offending item".
fn offending(item: Node<'_>) -> bytes::Bytes {
    let mut xml = XmlWriter::new();
    xml.open("query").ns(ns::MUC_ADMIN);
    item.write(&mut xml, ns::MUC_ADMIN);
    xml.close();
    xml.finish()
}

#[cfg(test)]
mod tests;
