//! Who is in which room, over an orderly stop: occupants stay with the sessions that hibernate. Removal of accounts.

use std::sync::Arc;
use std::time::SystemTime;

use super::change::Change;
use super::model::{Lasting, Room, Said};
use super::room;
use super::service::Muc;
use crate::homes::Home;
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Framing, PresenceType, Stanza};
use crate::store::{SavedMessage, SavedOccupant, SavedRoom, SavedSeat, StoreError};
use crate::xml::Bindings;

/// Rooms read at once.
const PAGE: usize = 64;

impl Muc {
    /// Writes who is where, for the next start. All connections have ended, and all that was said has gone out. Returns how many sessions there were.
    ///
    /// # Errors
    /// The database's.
    pub async fn store_occupants(&self) -> Result<usize, StoreError> {
        let rooms: Vec<_> = self.homes.in_memory().iter().filter_map(|home| home.look(saved).flatten()).collect();
        let count = rooms.iter().flat_map(|room| &room.occupants).map(|occupant| occupant.seats.len()).sum();
        self.store.save(rooms).await?;
        Ok(count)
    }

    /// Puts occupants back whose sessions can be resumed, and ends rooms that nobody has kept. Called once, when those sessions are back. Returns how
    /// many occupants there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn restore_occupants(self: &Arc<Self>) -> Result<usize, StoreError> {
        let ended = self.store.end_temporary().await?;
        if ended > 0 {
            tracing::info!(rooms = ended, "temporary rooms have ended with those who were in them");
        }
        let mut count = 0;
        let mut last: Option<BareJid> = None;
        loop {
            let page = self.store.saved(last.as_ref(), PAGE).await?;
            let Some(room) = page.last() else { break };
            last = Some(room.jid.clone());
            for room in page {
                count += self.restore(room).await?;
            }
        }
        if last.is_some() {
            self.store.forget_saved().await?;
        }
        Ok(count)
    }

    async fn restore(self: &Arc<Self>, saved: SavedRoom) -> Result<usize, StoreError> {
        let home = self.homes.of(&saved.jid);
        let turn = home.turn().await;
        home.load(&self.store, self.history_max()).await?;
        let gone = home.change(|room| {
            room.history.messages.extend(saved.history.into_iter().filter_map(|message| said(&saved.jid, message)));
            let max = self.settings.limits.room.history;
            room.history.limit(max);
            let mut gone = Vec::new();
            for SavedOccupant { nick, role, seats, .. } in saved.occupants {
                for SavedSeat { jid: real, presence } in seats {
                    let is_there = self.is_there(&real);
                    let administers = self.settings.hosts.is_admin(&real);
                    let seat = room::SavedSeat { nick: nick.clone(), real, role, presence };
                    if room.restore(&seat, administers) && !is_there {
                        gone.push((seat.real, seat.nick));
                    }
                }
            }
            (gone, room.occupants.is_empty() && (room.lasting.locked || !room.lasting.config.persistent), room.occupants.sessions())
        });
        let Some((gone, is_over, count)) = gone else { return Ok(0) };
        if is_over {
            self.store.commit(&home.jid, vec![Change::Destroy]).await?;
            home.put(None);
        }
        drop(turn);
        for (real, nick) in &gone {
            // Nobody will come back for it: the others learn of it.
            let Ok(to) = home.jid.with_resource(nick) else { continue };
            let left = Stanza::presence(PresenceType::Unavailable).with_from(real).with_to(to);
            self.handle(left, None).await;
        }
        Ok(count - gone.len())
    }

    /// Whether a session of this address is here.
    fn is_there(&self, real: &FullJid) -> bool {
        let has = |home: Arc<Home>| home.with(|account| account.resource(real.resource_str()).is_some());
        self.router.home_in_memory(&real.to_bare()).is_some_and(has)
    }

    /// An account is gone from the database, with all that it was to rooms: whoever takes its name is nobody there. Its sessions have left already.
    pub async fn forget(&self, account: &BareJid) {
        for home in self.homes.in_memory() {
            if home.is_known() && home.look(|room| has_part(&room.lasting, account)) != Some(true) {
                continue;
            }
            let _turn = home.turn().await;
            home.when_loaded(|room| remove(&mut room.lasting, account)).await;
        }
    }
}

fn has_part(lasting: &Lasting, account: &BareJid) -> bool {
    lasting.affiliations.contains_key(account) || lasting.requests.contains_key(account) || lasting.hats.worn.contains_key(account)
}

fn remove(lasting: &mut Lasting, account: &BareJid) {
    lasting.affiliations.remove(account);
    lasting.requests.remove(account);
    lasting.hats.worn.remove(account);
}

/// A room in which somebody is.
fn saved(room: &Room) -> Option<SavedRoom> {
    if room.occupants.is_empty() {
        return None;
    }
    let mut occupants: Vec<SavedOccupant> = Vec::new();
    for room::SavedSeat { nick, real, role, presence } in room.saved() {
        let seat = SavedSeat { jid: real, presence };
        match occupants.last_mut().filter(|occupant| occupant.nick == nick) {
            Some(occupant) => occupant.seats.push(seat),
            None => {
                let voice_asked_at: Option<SystemTime> = room.occupant(&nick).and_then(|occupant| occupant.voice_asked_at);
                occupants.push(SavedOccupant { nick, role, voice_asked_at, seats: vec![seat] });
            }
        }
    }
    let message = |said: &Said| SavedMessage { id: said.id, real: said.real.clone(), stanza: said.stanza.to_bytes(Framing::Alone) };
    // What is archived comes back from there.
    let history = if room.lasting.config.archived { Vec::new() } else { room.history.messages.iter().map(message).collect() };
    Some(SavedRoom { jid: room.lasting.jid.clone(), occupants, history })
}

fn said(room: &BareJid, message: SavedMessage) -> Option<Said> {
    let SavedMessage { id, real, stanza } = message;
    match Stanza::parse(stanza, &Bindings::empty()) {
        Ok(stanza) => Some(Said { id, stanza, real }),
        Err(error) => {
            tracing::error!(%room, %id, ?error, "a message of a room cannot be read");
            None
        }
    }
}
