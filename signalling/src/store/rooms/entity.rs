//! What goes with an account.

use super::super::database::Tx;
use super::{Rooms, StoreError};
use crate::jid::BareJid;

const AFFILIATIONS: &str = "DELETE FROM room_affiliations WHERE jid = $1";
const REQUESTS: &str = "DELETE FROM room_requests WHERE jid = $1";
const WORN: &str = "DELETE FROM room_hats_worn WHERE jid = $1";
const HELD: &str = "UPDATE rooms SET holder = NULL WHERE holder = $1";

/// What goes, in this order.
const OF_AN_ENTITY: [&str; 4] = [AFFILIATIONS, REQUESTS, WORN, HELD];

/// All that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [AFFILIATIONS, REQUESTS, WORN, HELD];

/// Part of the transaction that removes an account: its affiliations with their nicknames, its requests and hats. Rooms that it has created stay,
/// and count for nobody. An account of the same name that comes later inherits nothing.
pub(in super::super) async fn remove(tx: &mut Tx, entity: &BareJid) -> Result<(), StoreError> {
    tx.remove_of(entity, &OF_AN_ENTITY).await
}

impl Rooms {
    /// Removes once more what an account that is gone has in rooms: what was stored while its sessions ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_again(&self, entity: &BareJid) -> Result<(), StoreError> {
        self.database.remove_again("remove what an entity has in rooms", entity, &OF_AN_ENTITY).await
    }
}
