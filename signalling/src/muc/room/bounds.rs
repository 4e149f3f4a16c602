//! XEP-0045 §10, §15: what the affiliations may become. A room has an owner, and there is a bound to its entries and to their bytes, which whoever asks
//! for a list gets at once.

use crate::jid::BareJid;
use crate::muc::context::Context;
use crate::muc::model::{Affiliated, Affiliation, Room};
use crate::stanza::error::StanzaError;

/// An entry as it is to be; none: it goes.
pub(super) type Given = (BareJid, Option<Affiliated>);

/// What entries come to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    entries: usize,
    bytes: usize,
}

impl Held {
    fn of(jid: &BareJid, entry: Option<&Affiliated>) -> Self {
        Self { entries: usize::from(entry.is_some()), bytes: entry.map_or(0, |entry| entry.bytes(jid)) }
    }

    fn of_request(account: &BareJid, nick: Option<&String>) -> Self {
        Self { entries: usize::from(nick.is_some()), bytes: nick.map_or(0, |nick| account.as_str().len() + nick.len()) }
    }

    /// With other ones in the place of some of these.
    fn with(self, new: Self, old: Self) -> Self {
        Self { entries: self.entries + new.entries - old.entries, bytes: self.bytes + new.bytes - old.bytes }
    }
}

impl Room {
    /// The entry of somebody who gets an affiliation, for this reason.
    pub(in crate::muc) fn entry(&self, jid: &BareJid, to: Affiliation, reason: Option<&str>) -> Option<Affiliated> {
        let known = self.lasting.affiliations.get(jid);
        // §9.1: outcasts have no nicknames.
        let nick = known.filter(|_| to != Affiliation::Outcast).and_then(|known| known.nick.clone());
        (to != Affiliation::None).then(|| Affiliated { affiliation: to, nick, reason: reason.map(str::to_owned) })
    }

    /// Whether these entries, each of somebody else, can be there together.
    ///
    /// # Errors
    /// `conflict` where no owner would be left, `resource-constraint`; with the number of the entry that is too much.
    pub(super) fn check_affiliations(&self, given: &[Given], context: &Context<'_>) -> Result<(), (usize, StanzaError)> {
        let known = &self.lasting.affiliations;
        let owns = |entry: Option<&Affiliated>| entry.is_some_and(|entry| entry.affiliation == Affiliation::Owner);
        let loses = |(jid, entry): &Given| owns(known.get(jid)) && !owns(entry.as_ref());
        if let Some(number) = given.iter().rposition(loses) {
            let lost = given.iter().filter(|given| loses(given)).count();
            let owners = known.values().filter(|entry| owns(Some(entry))).count();
            if owners == lost && !given.iter().any(|(_, entry)| owns(entry.as_ref())) {
                return Err((number, StanzaError::conflict().with_text("a room has an owner")));
            }
        }
        let before = self.held();
        let mut after = before;
        let mut last_to_grow = 0;
        for (number, (jid, entry)) in given.iter().enumerate() {
            let (old, new) = (Held::of(jid, known.get(jid)), Held::of(jid, entry.as_ref()));
            if new.entries > old.entries || new.bytes > old.bytes {
                last_to_grow = number;
            }
            // Who gets an affiliation waits for it no more.
            let waits = self.lasting.requests.get(jid).filter(|_| entry.is_some());
            after = after.with(new, old).with(Held { entries: 0, bytes: 0 }, Held::of_request(jid, waits));
        }
        must_hold(before, after, context).map_err(|error| (last_to_grow, error))
    }

    /// Whether there is room for a nickname, which somebody waits for or has.
    ///
    /// # Errors
    /// `resource-constraint`.
    pub(super) fn must_have_room_for(&self, account: &BareJid, nick: &str, waits: bool, context: &Context<'_>) -> Result<(), StanzaError> {
        let (nick, before) = (nick.to_owned(), self.held());
        let after = before.with(Held { entries: 0, bytes: 0 }, Held::of_request(account, self.lasting.requests.get(account)));
        let after = if waits {
            after.with(Held::of_request(account, Some(&nick)), Held { entries: 0, bytes: 0 })
        } else {
            let known = self.lasting.affiliations.get(account);
            let reason = known.and_then(|known| known.reason.clone());
            let entry = Affiliated { affiliation: Affiliation::Member, nick: Some(nick), reason };
            after.with(Held::of(account, Some(&entry)), Held::of(account, known))
        };
        must_hold(before, after, context)
    }

    /// What there is, with those who wait to be registered.
    fn held(&self) -> Held {
        let (affiliations, requests) = (&self.lasting.affiliations, &self.lasting.requests);
        let bytes = requests.iter().map(|(account, nick)| Held::of_request(account, Some(nick)).bytes).sum::<usize>();
        Held { entries: affiliations.len() + requests.len(), bytes: affiliations.bytes() + bytes }
    }
}

/// What is too much already may become less.
fn must_hold(before: Held, after: Held, context: &Context<'_>) -> Result<(), StanzaError> {
    let too_many = after.entries > context.limits.affiliations && after.entries > before.entries;
    let too_large = after.bytes > context.limits.affiliation_bytes && after.bytes > before.bytes;
    if too_many || too_large {
        return Err(StanzaError::resource_constraint().with_text("the room has as many affiliations as it may"));
    }
    Ok(())
}
