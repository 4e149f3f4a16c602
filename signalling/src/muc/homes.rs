//! The homes of rooms: each address has one, which alone holds the room in memory (docs/adr/0010).
//!
//! A room where somebody is stays in memory; the others make room for each other. Whoever changes a room holds its turn; whoever only looks, does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::deliver::{self, Parcel};
use super::history::HistoryMax;
use super::model::{Room, Said};
use super::relay::Talks;
use super::room::say::is_for_newcomers;
use crate::jid::BareJid;
use crate::outbox::Outbox;
use crate::shelf::{Holds, Place, Shelf};
use crate::stanza::Stanza;
use crate::store::{LoadedRoom, Rooms, StoreError, Stored};
use crate::xml::Bindings;

/// One address: the room there, if there is one, and the turn-taking of those who change it.
#[derive(Debug)]
pub(super) struct RoomHome {
    /// The address.
    pub jid: BareJid,
    state: Mutex<State>,
    turn: Arc<tokio::sync::Mutex<()>>,
    loading: tokio::sync::Mutex<()>,
    /// IQs between occupants.
    talks: Mutex<Talks>,
    /// The database may have another room than memory.
    in_doubt: AtomicBool,
    /// Stanzas on their way.
    pub outbox: Outbox<Parcel>,
}

/// What is at an address.
#[derive(Debug, Default)]
enum State {
    /// The database knows.
    #[default]
    Unknown,
    Nothing,
    Room(Box<Room>),
}

/// The turn to change what is at an address.
pub(super) type Turn = OwnedMutexGuard<()>;

impl RoomHome {
    fn new(jid: BareJid) -> Self {
        let outbox = Outbox::new(deliver::BOUNDS);
        Self {
            jid,
            state: Mutex::default(),
            turn: Arc::default(),
            loading: tokio::sync::Mutex::default(),
            talks: Mutex::default(),
            in_doubt: AtomicBool::new(false),
            outbox,
        }
    }

    /// Waits for the turn.
    pub fn turn(&self) -> impl Future<Output = Turn> + Send + 'static {
        self.turn.clone().lock_owned()
    }

    /// Looks at the room, if it is in memory, for one pure call.
    pub fn look<T>(&self, look: impl FnOnce(&Room) -> T) -> Option<T> {
        match &*self.locked() {
            State::Room(room) => Some(look(room)),
            State::Unknown | State::Nothing => None,
        }
    }

    /// Looks at the room and at what is under way between its occupants.
    pub fn talk<T>(&self, talk: impl FnOnce(&Room, &mut Talks) -> T) -> Option<T> {
        self.look(|room| talk(room, &mut self.talks.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Changes the room, if it is there, for one pure call. The caller holds the turn.
    pub fn change<T>(&self, change: impl FnOnce(&mut Room) -> T) -> Option<T> {
        match &mut *self.locked() {
            State::Room(room) => Some(change(room)),
            State::Unknown | State::Nothing => None,
        }
    }

    /// Another room, or none, is here from now on. The caller holds the turn.
    pub fn put(&self, room: Option<Room>) {
        let before = std::mem::replace(&mut *self.locked(), room.map_or(State::Nothing, |room| State::Room(Box::new(room))));
        drop(before);
    }

    /// What is here is for the database to say again. The caller holds the turn.
    pub fn forget(&self) {
        *self.locked() = State::Unknown;
    }

    /// The database has not said whether it has stored a change. The caller holds the turn.
    pub fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Whether that is so.
    pub fn is_doubtful(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    /// It has said so by now.
    pub fn settle_doubt(&self) {
        self.in_doubt.store(false, Ordering::Relaxed);
    }

    /// Changes the room, once nobody is reading any more what was true a moment ago. The caller holds the turn.
    pub async fn when_loaded(&self, change: impl FnOnce(&mut Room)) {
        let _loading = self.loading.lock().await;
        self.change(change);
    }

    /// Whether it is known what is here.
    pub fn is_known(&self) -> bool {
        !matches!(*self.locked(), State::Unknown)
    }

    /// Makes sure of that.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, store: &Rooms, history: HistoryMax) -> Result<(), StoreError> {
        if self.is_known() {
            return Ok(());
        }
        let _loading = self.loading.lock().await;
        if !self.is_known() {
            let found = store.load(&self.jid, history.count, history.bytes).await?;
            self.put(found.map(|found| room_of(found, history)));
        }
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A panic ends one stanza: the room goes on with what the call left, which is a plain value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for RoomHome {
    fn holds(&self) -> Holds {
        match &*self.locked() {
            State::Unknown | State::Nothing => Holds::Nothing,
            State::Room(room) if room.occupants.is_empty() => Holds::Something,
            State::Room(_) => Holds::Someone,
        }
    }
}

/// All homes of rooms.
pub(super) type RoomHomes = Shelf<BareJid, RoomHome>;

impl RoomHomes {
    /// The home of an address.
    pub fn of(&self, room: &BareJid) -> Arc<RoomHome> {
        self.entry(room, || RoomHome::new(room.clone())).home
    }
}

/// A room as it comes from the database: nobody is there.
fn room_of(loaded: LoadedRoom, max: HistoryMax) -> Room {
    let LoadedRoom { lasting, history, last_id } = loaded;
    let mut room = Room::of(lasting);
    room.last_id = last_id;
    // The archive has more than that.
    for said in history.into_iter().filter_map(|stored| said(&room.lasting.jid, stored)).filter(|said| is_for_newcomers(&said.stanza)) {
        room.history.push(said, max);
    }
    room
}

/// A message of a room's archive, as newcomers see it. What cannot be read is logged and left out.
pub(super) fn said(room: &BareJid, stored: Stored) -> Option<Said> {
    let real = stored.sender?;
    match Stanza::parse(stored.stanza, &Bindings::empty()) {
        Ok(stanza) => Some(Said { id: stored.id, stanza, real }),
        Err(error) => {
            tracing::error!(%room, id = %stored.id, ?error, "a message of a room cannot be read");
            None
        }
    }
}
