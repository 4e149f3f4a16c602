//! The messages of all accounts: the archive (XEP-0313) and what waits for delivery (XEP-0160), one table for both. And those of rooms, in another one.
//!
//! Changes join a queue in memory, which never waits and gives each a number; one task writes all that waits in one transaction ([`queue`]).
//! Reads first wait until what was queued before them for their account or room is written.

mod id;
mod preferences;
mod queue;
mod read;
mod retention;
mod rows;
mod tables;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use bytes::Bytes;

use super::StoreError;
use super::database::{Database, Row};
use super::durable::Durability;
use crate::jid::{BareJid, Jid};

pub use id::ArchiveId;
pub use preferences::{Policy, Preferences};
pub use read::{Page, Range, Stored};
pub use retention::{Expired, ExpiredRoom};
pub use tables::Whose;

use queue::{Change, Queue};

/// How long a read waits for what was queued before it.
const SETTLE_WAIT_MAX: Duration = Duration::from_secs(10);

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the account.
    pub id: ArchiveId,
    /// The other side: who sent it to the account, or whom the account sent it to.
    pub peer: Jid,
    /// Whether the archive shows it. What is not archived is there until it is delivered.
    pub archived: bool,
    /// No client of the account has acknowledged it: it comes back.
    pub undelivered: bool,
    /// The whole stanza, written alone.
    pub stanza: Bytes,
}

/// A message of a room as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// Its number in the room.
    pub id: ArchiveId,
    /// The real address of whoever sent it.
    pub real: Jid,
    /// The nickname under which it was sent; empty for what the room itself says.
    pub nick: String,
    /// The whole stanza, written alone.
    pub stanza: Bytes,
}

/// What an account in memory needs to know of its messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The highest number given out.
    pub last: Option<ArchiveId>,
    /// Messages that no client has acknowledged.
    pub undelivered: BTreeSet<ArchiveId>,
    /// XEP-0441.
    pub preferences: Preferences,
}

/// The archives of all accounts. A clone is another handle on the same queue.
#[derive(Clone)]
pub struct Archive {
    database: Database,
    queue: Arc<Queue>,
    /// A [`Policy`].
    policy: Arc<AtomicU8>,
}

impl Archive {
    /// Starts the task that writes. Must be called within a tokio runtime.
    pub(super) fn start(database: Database) -> Self {
        let queue = Queue::start(database.clone());
        Self { database, queue, policy: Arc::new(AtomicU8::new(Policy::default() as u8)) }
    }

    /// What is queued and what is on the disk.
    #[must_use]
    pub fn durability(&self) -> &Durability {
        self.queue.durability()
    }

    /// Whether the queue takes more messages: it does not while the database is too slow or fails. Acknowledgements always have a place.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Whether the database is so far behind that whoever brings messages should wait for [`Archive::room`].
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.queue.is_behind()
    }

    /// Resolves once the database has caught up; at once when it fails, and after two seconds in any case.
    pub async fn room(&self) {
        self.queue.room().await;
    }

    /// Keeps a message of the account.
    pub fn keep(&self, account: &BareJid, record: Record) {
        self.queue.push(account, [Change::Keep(record)]);
    }

    /// Keeps a message of a room. What comes for a room that is not there, or not any more, is left out.
    pub fn keep_in_room(&self, room: &BareJid, record: RoomRecord) {
        self.queue.push(room, [Change::KeepInRoom(record)]);
    }

    /// Puts another stanza in the place of a kept one of a room: what is left of a message that was taken back (XEP-0424 §5, XEP-0425 §4).
    pub fn replace_in_room(&self, room: &BareJid, id: ArchiveId, stanza: Bytes) {
        self.queue.push(room, [Change::ReplaceInRoom(id, stanza)]);
    }

    /// Notes of kept messages that no client has acknowledged them.
    pub fn undelivered(&self, account: &BareJid, ids: impl IntoIterator<Item = ArchiveId>) {
        self.queue.push(account, ids.into_iter().map(Change::Undelivered));
    }

    /// A client has these archived messages.
    pub fn delivered(&self, account: &BareJid, ids: impl IntoIterator<Item = ArchiveId>) {
        self.queue.push(account, ids.into_iter().map(Change::Delivered));
    }

    /// A client has these messages: nothing is kept of those that are not archived.
    pub fn forget(&self, account: &BareJid, ids: impl IntoIterator<Item = ArchiveId>) {
        self.queue.push(account, ids.into_iter().map(Change::Forget));
    }

    /// What is known of the account's messages; `None` if there is no such account.
    ///
    /// # Errors
    /// The database's.
    pub async fn summary(&self, account: &BareJid) -> Result<Option<Summary>, StoreError> {
        const UNDELIVERED: &str = "SELECT id FROM undelivered WHERE account = $1";
        const SQL: &str = "SELECT (SELECT MAX(m.id) FROM messages m WHERE m.account = a.jid),
                                  (SELECT MIN(u.id) FROM undelivered u WHERE u.account = a.jid), p.policy, p.always, p.never
                           FROM accounts a LEFT JOIN archive_preferences p ON p.account = a.jid WHERE a.jid = $1";
        let doing = "load an account's messages";
        self.settled(account, doing).await?;
        let Some(row) = self.database.fetch_optional(doing, SQL, &[account.as_str().into()]).await? else { return Ok(None) };
        // Few accounts have some.
        let undelivered = match optional_id(&row, 1)? {
            Some(_) => self.database.fetch_all(doing, UNDELIVERED, &[account.as_str().into()]).await?,
            None => Vec::new(),
        };
        Ok(Some(Summary {
            last: optional_id(&row, 0)?,
            undelivered: undelivered.iter().map(|row| row.int(0).map(ArchiveId::from_i64)).collect::<Result<_, _>>()?,
            preferences: if row.is_null(2)? { Preferences::default() } else { preferences::read(&row, 2)? },
        }))
    }

    /// Waits until what was queued so far for the account or room is written.
    ///
    /// # Errors
    /// `Busy` when that takes too long.
    pub async fn settled(&self, whose: &BareJid, doing: &'static str) -> Result<(), StoreError> {
        let Some(queued) = self.queue.last_of(whose) else { return Ok(()) };
        tokio::time::timeout(SETTLE_WAIT_MAX, self.durability().reached(queued)).await.map_err(|_| StoreError::Busy { doing })
    }

    /// Writes what is queued and ends the task.
    pub(super) async fn close(&self) {
        self.queue.close().await;
    }
}

fn optional_id(row: &Row, column: usize) -> Result<Option<ArchiveId>, StoreError> {
    if row.is_null(column)? { Ok(None) } else { row.int(column).map(|id| Some(ArchiveId::from_i64(id))) }
}

#[cfg(test)]
pub(super) mod tests;
