//! Who is in which room, over an orderly stop: occupants stay with the sessions that hibernate (what is kept: `saved.rs`). Removal of accounts.

use std::sync::Arc;

use super::change::Change;
use super::model::Lasting;
use super::outcome::Outcome;
use super::saved;
use super::service::Muc;
use crate::homes::Home;
use crate::jid::{BareJid, FullJid};
use crate::stanza::{PresenceType, Stanza};
use crate::store::{SavedRoom, StoreError};

/// Rooms read at once.
const PAGE: usize = 64;

impl Muc {
    /// Writes who is where, for the next start. All connections have ended, and all that was said has gone out. Returns how many sessions there were.
    ///
    /// # Errors
    /// The database's.
    pub async fn store_occupants(&self) -> Result<usize, StoreError> {
        let rooms: Vec<_> = self.homes.in_memory().iter().filter_map(|home| home.look(saved::save).flatten()).collect();
        let count = rooms.iter().map(|room| room.seats.len()).sum();
        self.store.save(rooms).await?;
        Ok(count)
    }

    /// §11.2: the server is about to end. Whose session does not come back after the next start is told, before its stream ends.
    pub async fn shut_down(self: &Arc<Self>) {
        for home in self.homes.in_memory() {
            if home.look(|room| room.occupants.is_empty()) != Some(false) {
                continue;
            }
            let turn = home.turn().await;
            let mut out = Outcome::default();
            home.change(|room| room.shut_down(|real| self.stays(real), &mut out));
            self.follow(&home, turn, out, |muc, out| muc.send(&home, None, out, None));
        }
        self.settled().await;
    }

    /// Whether a session can be resumed after the next start (XEP-0198 §5).
    fn stays(&self, real: &FullJid) -> bool {
        let can_be_resumed =
            |home: Arc<Home>| home.with(|account| account.resource(real.resource_str()).is_some_and(|own| own.resumption.is_some()));
        self.router.home_in_memory(&real.to_bare()).is_some_and(can_be_resumed)
    }

    /// Puts occupants back whose sessions can be resumed, and ends rooms that nobody has kept. Called once, when those sessions are back. Returns how
    /// many occupants there are. A room that cannot be read is logged: the server starts without its occupants.
    ///
    /// # Errors
    /// The database's.
    pub async fn restore_occupants(self: &Arc<Self>) -> Result<usize, StoreError> {
        let ended = self.store.end_temporary().await?;
        if ended > 0 {
            tracing::info!(rooms = ended, "temporary rooms have ended with those who were in them");
        }
        let mut count = 0;
        let mut last = None;
        loop {
            let (page, end) = self.store.saved(last, PAGE).await?;
            if end.is_none() {
                break;
            }
            last = end;
            for room in page {
                let jid = room.jid.clone();
                match self.restore(room).await {
                    Ok(restored) => count += restored,
                    Err(error @ StoreError::Corrupt { .. }) => tracing::error!(room = %jid, %error, "a room cannot be read"),
                    Err(error) => return Err(error),
                }
            }
        }
        // Rooms that have ended with those who have not come back.
        self.settled().await;
        if last.is_some() {
            self.store.forget_saved().await?;
        }
        Ok(count)
    }

    async fn restore(self: &Arc<Self>, saved: SavedRoom) -> Result<usize, StoreError> {
        let home = self.homes.of(&saved.jid);
        let turn = home.turn().await;
        home.load(&self.store, self.history_max()).await?;
        let restored = home.change(|room| {
            let max = self.history_max();
            saved::restore(room, &saved, max, |account| self.settings.hosts.is_admin(account));
            let gone: Vec<_> = room.saved().filter(|seat| !self.is_there(&seat.real)).collect();
            (room.occupants.sessions(), gone, room.has_ended())
        });
        let Some((count, gone, has_ended)) = restored else { return Ok(0) };
        if has_ended {
            self.store.commit(&home.jid, vec![Change::Destroy]).await?;
            home.put(None);
        }
        drop(turn);
        for seat in &gone {
            // Nobody will come back for it: the others learn of it.
            let Ok(to) = home.jid.with_resource(&seat.nick) else { continue };
            let left = Stanza::presence(PresenceType::Unavailable).with_from(&seat.real).with_to(to);
            self.handle(left, None).await;
        }
        Ok(count - gone.len())
    }

    /// Whether a session of this address is here.
    fn is_there(&self, real: &FullJid) -> bool {
        let has = |home: Arc<Home>| home.with(|account| account.resource(real.resource_str()).is_some());
        self.router.home_in_memory(&real.to_bare()).is_some_and(has)
    }

    /// An account is gone from the database, with all that it was to rooms: whoever takes its name has no rights there (but the same occupant
    /// identifier, docs/deviations.md). Its sessions have left already.
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
    lasting.affiliations.remove(account.as_str());
    lasting.requests.remove(account);
    if lasting.hats.worn.contains_key(account) {
        Arc::make_mut(&mut lasting.hats).worn.remove(account);
    }
}
