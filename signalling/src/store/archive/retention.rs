//! What is too old goes: `archive.keep_days` and `offline.keep_days`. Account by account, in transactions of a bounded number of rows, so that
//! no other write waits long.

use std::time::SystemTime;

use super::{Archive, ArchiveId, StoreError};
use crate::jid::BareJid;

/// Rows deleted by one transaction.
const CHUNK: i64 = 256;

/// What was deleted of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Whose messages they were.
    pub account: BareJid,
    /// Messages that no client had acknowledged and that no client will get any more.
    pub undelivered: u64,
    /// Messages of the archive.
    pub archived: u64,
}

/// What was deleted of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredRoom {
    /// Whose messages they were.
    pub room: BareJid,
    /// How many.
    pub archived: u64,
}

impl Archive {
    /// Deletes what came before `archive` from the next room behind `after` that has something so old. `None` when there is no such room.
    ///
    /// # Errors
    /// The database's.
    pub async fn expire_in_room(&self, after: Option<&BareJid>, archive: SystemTime) -> Result<Option<ExpiredRoom>, StoreError> {
        let before = ArchiveId::at(archive).to_i64();
        let after = after.map_or("", |room| room.as_str());
        let next = self.database.fetch_optional("look for old messages", NEXT_ROOM, &[after.into(), before.into()]).await?;
        let Some(row) = next else { return Ok(None) };
        let room = BareJid::parse(&row.text(0)?).map_err(|error| StoreError::Corrupt { place: "rooms.jid", cause: error.to_string() })?;
        let archived = self.delete(&room, IN_ROOM, before).await?;
        Ok(Some(ExpiredRoom { room, archived }))
    }

    /// Deletes what is too old from the next account behind `after` that has something too old: from the archive what came before `archive`, and
    /// what waits for delivery since before `offline`. `None` when there is no such account.
    ///
    /// # Errors
    /// The database's.
    pub async fn expire(&self, after: Option<&BareJid>, archive: SystemTime, offline: SystemTime) -> Result<Option<Expired>, StoreError> {
        const NEXT: &str = "SELECT a.jid FROM accounts a WHERE a.jid > $1
                            AND (EXISTS (SELECT 1 FROM messages m WHERE m.account = a.jid AND m.id < $2)
                                 OR EXISTS (SELECT 1 FROM undelivered u WHERE u.account = a.jid AND u.id < $3))
                            ORDER BY a.jid LIMIT 1";
        let [archive, offline] = [archive, offline].map(|time| ArchiveId::at(time).to_i64());
        let after = after.map_or("", |account| account.as_str());
        let next = self.database.fetch_optional("look for old messages", NEXT, &[after.into(), archive.into(), offline.into()]).await?;
        let Some(row) = next else { return Ok(None) };
        let account =
            BareJid::parse(&row.text(0)?).map_err(|error| StoreError::Corrupt { place: "accounts.jid", cause: error.to_string() })?;
        let undelivered = self.delete(&account, UNDELIVERED, offline).await?;
        // What waits longer than the archive keeps it goes on waiting, out of the archive's sight.
        self.hide(&account, archive).await?;
        let mut archived = self.delete(&account, ARCHIVED, archive).await?;
        archived += self.delete(&account, NEITHER, offline).await?;
        Ok(Some(Expired { account, undelivered, archived }))
    }

    /// Runs a deleting statement until it finds nothing more.
    async fn delete(&self, whose: &BareJid, sql: &'static str, before: i64) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let whose = whose.clone();
            let chunk = self
                .database
                .write("delete old messages", move |tx| {
                    Box::pin(async move { tx.execute(sql, &[whose.as_str().into(), before.into(), CHUNK.into()]).await })
                })
                .await?;
            deleted += chunk;
            if chunk == 0 {
                return Ok(deleted);
            }
        }
    }

    async fn hide(&self, account: &BareJid, before: i64) -> Result<u64, StoreError> {
        let account = account.clone();
        self.database
            .write("hide old messages", move |tx| {
                Box::pin(async move { tx.execute(HIDE, &[account.as_str().into(), before.into()]).await })
            })
            .await
    }
}

/// All that look for rows, for the test that none reads a whole table.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [UNDELIVERED, ARCHIVED, NEITHER, HIDE, IN_ROOM].into_iter()
}

const HIDE: &str = "UPDATE messages SET archived = 0 WHERE account = $1 AND archived = 1 AND id IN
    (SELECT id FROM undelivered WHERE account = $1 AND id < $2)";
const UNDELIVERED: &str =
    "DELETE FROM undelivered WHERE account = $1 AND id IN (SELECT id FROM undelivered WHERE account = $1 AND id < $2 ORDER BY id LIMIT $3)";
const ARCHIVED: &str = "DELETE FROM messages WHERE account = $1 AND id IN
    (SELECT m.id FROM messages m WHERE m.account = $1 AND m.id < $2
     AND NOT EXISTS (SELECT 1 FROM undelivered u WHERE u.account = m.account AND u.id = m.id) ORDER BY m.id LIMIT $3)";
/// Kept for delivery only, and no longer waiting.
const NEITHER: &str = "DELETE FROM messages WHERE account = $1 AND id IN
    (SELECT m.id FROM messages m WHERE m.account = $1 AND m.id < $2 AND m.archived = 0
     AND NOT EXISTS (SELECT 1 FROM undelivered u WHERE u.account = m.account AND u.id = m.id) ORDER BY m.id LIMIT $3)";
/// Like that of accounts, it goes through all rooms once an hour.
const NEXT_ROOM: &str =
    "SELECT r.jid FROM rooms r WHERE r.jid > $1 AND EXISTS (SELECT 1 FROM room_messages m WHERE m.room_id = r.id AND m.id < $2)
                         ORDER BY r.jid LIMIT 1";
const IN_ROOM: &str = "DELETE FROM room_messages WHERE room_id = (SELECT r.id FROM rooms r WHERE r.jid = $1) AND id IN
    (SELECT m.id FROM room_messages m WHERE m.room_id = (SELECT r.id FROM rooms r WHERE r.jid = $1) AND m.id < $2 ORDER BY m.id LIMIT $3)";
