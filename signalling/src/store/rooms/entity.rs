//! What goes with an account.

use super::super::database::Tx;
use super::{Rooms, StoreError};
use crate::jid::BareJid;

const AFFILIATIONS: &str = "DELETE FROM room_affiliations WHERE jid = $1";
const REQUESTS: &str = "DELETE FROM room_requests WHERE jid = $1";
const WORN: &str = "DELETE FROM room_hats_worn WHERE jid = $1";
const HELD: &str = "UPDATE rooms SET holder = NULL WHERE holder = $1";

/// All that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [AFFILIATIONS, REQUESTS, WORN, HELD];

/// Part of the transaction that removes an account: its affiliations with their nicknames, its requests and hats. Rooms that it has created stay,
/// and count for nobody. An account of the same name that comes later inherits nothing.
pub(in super::super) async fn remove(tx: &mut Tx, entity: &BareJid) -> Result<(), StoreError> {
    for sql in [AFFILIATIONS, REQUESTS, WORN, HELD] {
        tx.execute(sql, &[entity.as_str().into()]).await?;
    }
    Ok(())
}

impl Rooms {
    /// Removes once more what an account that is gone has in rooms: what was stored while its sessions ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_again(&self, entity: &BareJid) -> Result<(), StoreError> {
        let entity = entity.clone();
        self.database
            .write("remove what an entity has in rooms", move |tx| {
                Box::pin(async move {
                    match tx.require_account(&entity).await {
                        // The next one of that name.
                        Ok(()) => Ok(()),
                        Err(StoreError::NoSuchAccount(_)) => remove(tx, &entity).await,
                        Err(error) => Err(error),
                    }
                })
            })
            .await
    }
}
