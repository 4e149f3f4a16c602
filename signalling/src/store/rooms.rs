//! Rooms (XEP-0045): what is lasting of them, who was there at an orderly stop. Their archives are with those of accounts ([`super::Archive`]).
//!
//! What one stanza changes is one transaction ([`change`]). Two stanzas must not change one room at once: whoever calls holds the room's turn. A room
//! that is destroyed only loses its name in that transaction, however much it has: the rest goes in small ones ([`removal`]).

mod change;
mod entity;
mod hats;
mod listing;
mod load;
mod removal;
mod saved;

#[cfg(test)]
pub(super) mod tests;

use super::archive::Archive;
use super::columns::{read_bare, read_named, to_count};
use super::database::{Database, Tx};
use super::{StoreError, to_millis};
use crate::jid::BareJid;

pub use listing::{RoomEntry, RoomsPage};
pub use load::LoadedRoom;
pub use saved::{SavedMessage, SavedPlace, SavedRoom};

pub(super) use entity::remove;

/// The rooms of all services. A clone is another handle.
#[derive(Clone)]
pub struct Rooms {
    database: Database,
    archive: Archive,
}

impl Rooms {
    pub(super) fn new(database: Database, archive: Archive) -> Self {
        Self { database, archive }
    }
}

const ROOM: &str = "SELECT id FROM rooms WHERE jid = $1";

/// A room's row.
async fn look_up(tx: &mut Tx, room: &BareJid) -> Result<Option<i64>, StoreError> {
    tx.fetch_optional(ROOM, &[room.as_str().into()]).await?.map(|row| row.int(0)).transpose()
}
