//! Who is in a room. The indexes by nickname and by real JID, the sum of bytes and the lists of recipients change here and nowhere else.

use std::sync::Arc;

use super::model::{Occupant, Occupants, Role, Seat};
use super::outcome::Lists;
use super::presence::Templates;
use crate::addressees::Addressees;
use crate::jid::{FullJid, Jid};
use crate::ns;

/// What the room adds to a presence besides addresses and hats, about.
const ADDED_BYTES: usize = 400;

impl Occupants {
    /// The occupant of this nickname.
    #[must_use]
    pub fn get(&self, nick: &str) -> Option<&Arc<Occupant>> {
        self.by_nick.get(nick)
    }

    /// The occupant with this session.
    #[must_use]
    pub fn of(&self, real: &Jid) -> Option<&Arc<Occupant>> {
        self.by_jid.get(real.as_str()).and_then(|nick| self.by_nick.get(nick))
    }

    /// All, in the order of their nicknames.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Occupant>> {
        self.by_nick.values()
    }

    /// Nicknames in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_nick.len()
    }

    /// Whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    /// Sessions that are there.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.by_jid.len()
    }

    /// Bytes of all presence, as a newcomer gets it.
    #[must_use]
    pub fn presence_bytes(&self) -> usize {
        self.presence_bytes
    }

    /// Somebody is there from now on, under a nickname that nobody has, with sessions that are not there yet.
    pub fn insert(&mut self, occupant: Occupant) {
        let nick = occupant.nick().to_owned();
        debug_assert!(!occupant.seats.is_empty() && !self.by_nick.contains_key(&nick), "an occupant is there once, with a session");
        for seat in &occupant.seats {
            let before = Arc::make_mut(&mut self.by_jid).insert(seat.jid.clone().into(), nick.clone());
            debug_assert!(before.is_none(), "a session is there once");
        }
        self.presence_bytes += bytes_of(&occupant);
        Arc::make_mut(&mut self.by_account).entry(occupant.account.clone()).or_default().insert(nick.clone());
        Arc::make_mut(&mut self.by_nick).insert(nick, Arc::new(occupant));
        self.lists = Lists::default();
    }

    /// Whoever has this nickname is gone with all sessions.
    pub fn remove(&mut self, nick: &str) -> Option<Arc<Occupant>> {
        self.by_nick.get(nick)?;
        let gone = Arc::make_mut(&mut self.by_nick).remove(nick)?;
        for seat in &gone.seats {
            Arc::make_mut(&mut self.by_jid).remove(seat.jid.as_str());
        }
        self.presence_bytes -= bytes_of(&gone);
        let by_account = Arc::make_mut(&mut self.by_account);
        if let Some(nicks) = by_account.get_mut(&gone.account) {
            nicks.remove(nick);
            if nicks.is_empty() {
                by_account.remove(&gone.account);
            }
        }
        self.lists = Lists::default();
        Some(gone)
    }

    /// Changes what there is to say of an occupant: anything but its nickname, or the last of its sessions. Returns it as it is then.
    pub fn update(&mut self, nick: &str, change: impl FnOnce(&mut Occupant)) -> Option<Arc<Occupant>> {
        self.by_nick.get(nick)?;
        let shared = Arc::make_mut(&mut self.by_nick).get_mut(nick)?;
        let before = shared.clone();
        let occupant = Arc::make_mut(shared);
        occupant.templates = Templates::default();
        change(occupant);
        let after = shared.clone();
        debug_assert!(after.jid == before.jid && after.account == before.account && !after.seats.is_empty(), "an occupant stays who it is");
        self.presence_bytes = self.presence_bytes + bytes_of(&after) - bytes_of(&before);
        let (came, went) = (missing(&after, &before), missing(&before, &after));
        if after.role != before.role || !came.is_empty() || !went.is_empty() {
            self.lists = Lists::default();
        }
        for jid in went {
            Arc::make_mut(&mut self.by_jid).remove(jid.as_str());
        }
        for jid in came {
            Arc::make_mut(&mut self.by_jid).insert(jid.into(), nick.to_owned());
        }
        Some(after)
    }

    /// Somebody writes privately to whoever has this nickname.
    pub fn note_private(&mut self, to: &str, from: &str) {
        let is_new = self.by_nick.get(to).is_some_and(|occupant| !occupant.correspondents.has(from));
        if is_new && let Some(shared) = Arc::make_mut(&mut self.by_nick).get_mut(to) {
            Arc::make_mut(shared).correspondents.note(from);
        }
    }

    /// What is shown of everyone is to be written anew: the configuration or the hats are other ones.
    pub fn forget_templates(&mut self) {
        for occupant in Arc::make_mut(&mut self.by_nick).values_mut() {
            Arc::make_mut(occupant).templates = Templates::default();
        }
    }

    /// Every session.
    pub fn everyone(&mut self) -> Addressees {
        let all = self.by_nick.values();
        self.lists.everyone.get_or_insert_with(|| sessions(all)).clone()
    }

    /// Sessions of moderators.
    pub fn moderators(&mut self) -> Addressees {
        let all = self.by_nick.values();
        self.lists.moderators.get_or_insert_with(|| sessions(all.filter(|occupant| occupant.role == Role::Moderator))).clone()
    }

    /// Sessions of all others.
    pub fn others(&mut self) -> Addressees {
        let all = self.by_nick.values();
        self.lists.others.get_or_insert_with(|| sessions(all.filter(|occupant| occupant.role != Role::Moderator))).clone()
    }

    /// Those of an account, in the order of their nicknames.
    pub fn of_account(&self, account: &str) -> impl Iterator<Item = &Arc<Occupant>> {
        self.by_account.get(account).into_iter().flatten().filter_map(|nick| self.by_nick.get(nick))
    }
}

/// Sessions that the first has and the second has not.
fn missing(from: &Occupant, other: &Occupant) -> Vec<FullJid> {
    from.seats.iter().filter(|seat| other.seat(&seat.jid).is_none()).map(|seat| seat.jid.clone()).collect()
}

fn sessions<'a>(of: impl Iterator<Item = &'a Arc<Occupant>>) -> Addressees {
    of.flat_map(|occupant| occupant.seats.iter().map(|seat| Jid::from(&seat.jid))).collect()
}

fn bytes_of(occupant: &Occupant) -> usize {
    occupant.seats.iter().map(|seat| seat.bytes(&occupant.jid)).sum()
}

impl Seat {
    /// What its presence adds to what newcomers get, as that of this occupant.
    pub(super) fn bytes(&self, occupant: &FullJid) -> usize {
        self.presence.size_bytes() + self.jid.as_str().len() + occupant.as_str().len() + ADDED_BYTES
    }
}

impl Occupant {
    /// Its nickname.
    #[must_use]
    pub fn nick(&self) -> &str {
        self.jid.resource_str()
    }

    /// The session of this real JID.
    #[must_use]
    pub fn seat(&self, real: &Jid) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.jid == *real)
    }

    /// A session has sent other presence: it is the occupant's from now on, unless that one is in a call (XEP-0272 §3.2) and this one is not.
    /// Returns false for a session that is not there.
    pub(super) fn say(&mut self, seat: Seat) -> bool {
        let Some(at) = self.seats.iter().position(|known| known.jid == seat.jid) else { return false };
        let in_call = |seat: &Seat| seat.presence.child(ns::MUJI, "muji").is_some();
        if at > 0 && in_call(&self.seats[0]) && !in_call(&seat) {
            self.seats[at] = seat;
        } else {
            self.seats.remove(at);
            self.seats.insert(0, seat);
        }
        true
    }
}
