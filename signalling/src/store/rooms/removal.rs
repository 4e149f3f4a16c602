//! The end of rooms. One that is destroyed loses its name at once; what it has, maybe millions of messages, goes in transactions of a bounded number of
//! rows, so that no other write waits long.

use super::super::database::Tx;
use super::{Rooms, StoreError};

/// Rows deleted by one transaction.
const CHUNK: i64 = 256;
/// Rooms that lose their names in one transaction.
const ROOMS: i64 = 64;

const DESTROY: &str =
    "UPDATE rooms SET jid = NULL, domain = '', local = '', creator = '', holder = NULL, locked = 1, persistent = 1, public = 0,
                           name = '', config = '', subject = NULL WHERE id = $1";
const NOBODY: &str = "DELETE FROM room_occupants WHERE room_id = $1";
const TEMPORARY: &str = "SELECT r.id FROM rooms r WHERE r.persistent = 0 AND r.id > $1
                             AND NOT EXISTS (SELECT 1 FROM room_occupants o WHERE o.room_id = r.id) ORDER BY r.id LIMIT $2";
const DESTROYED: &str = "SELECT id FROM rooms WHERE jid IS NULL ORDER BY id LIMIT 1";
const GONE: &str = "DELETE FROM rooms WHERE id = $1 AND jid IS NULL";
// Behind what went before: PostgreSQL would come by all of that again each time.
const MESSAGES: &str = "DELETE FROM room_messages WHERE room_id = $1 AND id IN
    (SELECT id FROM room_messages WHERE room_id = $1 AND id > $3 ORDER BY id LIMIT $2) RETURNING id";
/// Of these there are as many as `[limits]` lets there be.
const CONTENTS: [&str; 3] = [
    "DELETE FROM room_affiliations WHERE room_id = $1 AND jid IN (SELECT jid FROM room_affiliations WHERE room_id = $1 ORDER BY jid LIMIT $2)",
    "DELETE FROM room_requests WHERE room_id = $1 AND jid IN (SELECT jid FROM room_requests WHERE room_id = $1 ORDER BY jid LIMIT $2)",
    "DELETE FROM room_hats_worn WHERE room_id = $1 AND jid IN (SELECT jid FROM room_hats_worn WHERE room_id = $1 ORDER BY jid LIMIT $2)",
];

/// All that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [DESTROY, NOBODY, TEMPORARY, DESTROYED, MESSAGES, GONE].into_iter().chain(CONTENTS)
}

/// Part of the transaction that destroys a room.
pub(super) async fn destroy(tx: &mut Tx, id: i64) -> Result<(), StoreError> {
    tx.execute(DESTROY, &[id.into()]).await?;
    tx.execute(NOBODY, &[id.into()]).await.map(drop)
}

impl Rooms {
    /// At the start, before anything else: the end of temporary rooms that a crash has left. Those that were saved at an orderly stop live on.
    /// How many ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_temporary(&self) -> Result<usize, StoreError> {
        let (mut last, mut ended) = (i64::MIN, 0);
        loop {
            let ids = self
                .database
                .write("end temporary rooms", move |tx| {
                    Box::pin(async move {
                        let mut ids = Vec::new();
                        for row in tx.fetch_all(TEMPORARY, &[last.into(), ROOMS.into()]).await? {
                            ids.push(row.int(0)?);
                        }
                        for id in &ids {
                            destroy(tx, *id).await?;
                        }
                        Ok(ids)
                    })
                })
                .await?;
            ended += ids.len();
            match ids.last() {
                Some(id) => last = *id,
                None => return Ok(ended),
            }
        }
    }

    /// Deletes what rooms that were destroyed have left behind. Called from time to time; how many rooms are gone for good.
    ///
    /// # Errors
    /// The database's.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let mut gone = 0;
        while let Some(row) = self.database.fetch_optional("look for destroyed rooms", DESTROYED, &[]).await? {
            let id = row.int(0)?;
            let mut last = Some(i64::MIN);
            while let Some(after) = last {
                last = self.delete_messages(id, after).await?;
            }
            for sql in CONTENTS {
                while self.delete(sql, id).await? > 0 {}
            }
            let last = self.database.write("forget a room", move |tx| Box::pin(async move { tx.execute(GONE, &[id.into()]).await }));
            last.await?;
            gone += 1;
        }
        Ok(gone)
    }

    /// The last one that was deleted.
    async fn delete_messages(&self, id: i64, after: i64) -> Result<Option<i64>, StoreError> {
        self.database
            .write("delete what a room had", move |tx| {
                Box::pin(async move {
                    let mut last = None;
                    for row in tx.fetch_all(MESSAGES, &[id.into(), CHUNK.into(), after.into()]).await? {
                        last = last.max(Some(row.int(0)?));
                    }
                    Ok(last)
                })
            })
            .await
    }

    async fn delete(&self, sql: &'static str, id: i64) -> Result<u64, StoreError> {
        self.database
            .write("delete what a room had", move |tx| Box::pin(async move { tx.execute(sql, &[id.into(), CHUNK.into()]).await }))
            .await
    }
}
