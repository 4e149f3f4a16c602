//! XEP-0045 §10.1: who creates a room, and what there is of it then.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use super::change::Change;
use super::config::RoomConfig;
use super::homes::RoomHome;
use super::model::Room;
use super::outcome::Outcome;
use super::service::Muc;
use super::turns::Command;
use crate::jid::BareJid;
use crate::random;
use crate::stanza::error::StanzaError;
use crate::time::now;

/// Accounts that create rooms at once.
const CREATORS: usize = 64;

/// Turns of those who create rooms, so that nobody has more than it may.
pub(super) struct Creators {
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Default for Creators {
    fn default() -> Self {
        Self { turns: (0..CREATORS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Creators {
    async fn turn(&self, account: &BareJid) -> MutexGuard<'_, ()> {
        self.turns[self.hasher.hash_one(account) as usize % CREATORS].lock().await
    }
}

impl Muc {
    /// §10.1: whoever enters a room that is not there creates it.
    pub(super) async fn create(self: &Arc<Self>, home: &Arc<RoomHome>, command: &Command) {
        match self.new_room(home, command).await {
            Ok((room, out)) => {
                home.put(room);
                self.tell(home, command, out);
            }
            Err(error) => self.refuse(home, command, error),
        }
    }

    /// The room, if anybody is in it, as it is stored, and what follows.
    async fn new_room(&self, home: &RoomHome, command: &Command) -> Result<(Option<Room>, Outcome), StanzaError> {
        if command.nick().is_none() {
            // §7.2.1.
            return Err(StanzaError::jid_malformed().with_text("a room is entered with a nickname"));
        }
        let hosts = &self.settings.hosts;
        if !hosts.may_create(&command.from, self.router.is_member(&command.from)) {
            return Err(StanzaError::not_allowed().with_text("you may not create rooms here"));
        }
        let creator = command.from.to_bare();
        // Nobody else's turn, so that the number holds until the room is stored.
        let _creating = self.creators.turn(&creator).await;
        if !hosts.is_admin(&creator) {
            let count = self.store.created_by(&creator).await.map_err(self.router.internal("count the rooms of an account"))?;
            if count >= self.settings.limits.rooms_per_account {
                return Err(StanzaError::resource_constraint().with_text("you have as many rooms as you may have"));
            }
        }
        let config = RoomConfig::of_new_room(self.settings.archived());
        let mut room = Room::new(home.jid.clone(), creator, config, now(), random::bytes::<32>().to_vec());
        let mut out = Outcome::default();
        self.decide(&mut room, command, None, &mut out)?;
        out.changes.clear();
        if out.over {
            return Ok((None, out));
        }
        self.store
            .commit(&home.jid, vec![Change::Create(Box::new(room.lasting.clone()))])
            .await
            // It may be stored all the same: whoever comes next looks.
            .inspect_err(|_| home.forget())
            .map_err(self.router.internal("store a room"))?;
        Ok((Some(room), out))
    }
}
