//! A batch of changes as few statements of many rows. Statements are made once, for each power of two up to 64 rows.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use super::super::database::{Tx, Value};
use super::queue::{Change, Entry};
use super::{Record, StoreError};

/// Rows of one statement; what is left over goes with the next smaller one.
const SIZES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// The same statement for each of [`SIZES`].
struct Statement {
    columns: usize,
    sql: [String; SIZES.len()],
}

impl Statement {
    /// `head` and `tail` stand around the list of rows.
    fn new(head: &str, columns: usize, tail: &str) -> Self {
        let sql = SIZES.map(|rows| {
            let mut sql = String::from(head);
            for row in 0..rows {
                sql.push_str(if row == 0 { "(" } else { ", (" });
                for column in 1..=columns {
                    let comma = if column == 1 { "" } else { ", " };
                    // Writing into a string cannot fail.
                    let _ = write!(sql, "{comma}${}", row * columns + column);
                }
                sql.push(')');
            }
            sql.push_str(tail);
            sql
        });
        Self { columns, sql }
    }

    /// Runs it over all rows; `values` appends a row's columns.
    async fn run<'a, T>(&'static self, tx: &mut Tx, rows: &'a [T], values: impl Fn(&'a T, &mut Vec<Value<'a>>)) -> Result<(), StoreError> {
        let mut bound = Vec::with_capacity(self.columns * rows.len().min(SIZES[0]));
        let mut left = rows;
        for (size, sql) in SIZES.iter().zip(&self.sql) {
            while left.len() >= *size {
                let (chunk, rest) = left.split_at(*size);
                bound.clear();
                chunk.iter().for_each(|row| values(row, &mut bound));
                tx.execute(sql, &bound).await?;
                left = rest;
            }
        }
        Ok(())
    }
}

static KEEP: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "INSERT INTO messages (account, id, peer, resource, peer_hash, archived, stanza) VALUES ",
        7,
        // A commit whose answer was lost is tried again.
        " ON CONFLICT (account, id) DO NOTHING",
    )
});
static UNDELIVERED: LazyLock<Statement> =
    LazyLock::new(|| Statement::new("INSERT INTO undelivered (account, id) VALUES ", 2, " ON CONFLICT (account, id) DO NOTHING"));
/// What is for a room that is not there, or not any more, is left out.
static KEEP_IN_ROOM: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "INSERT INTO room_messages (room_id, id, peer, resource, nick, peer_hash, nick_hash, stanza)
         SELECT rooms.id, column2, column3, column4, column5, column6, column7, column8 FROM (VALUES ",
        8,
        ") AS v JOIN rooms ON rooms.jid = CAST(column1 AS TEXT) WHERE true ON CONFLICT (room_id, id) DO NOTHING",
    )
});
const REPLACE_IN_ROOM: &str = "UPDATE room_messages SET stanza = $3 WHERE room_id = (SELECT id FROM rooms WHERE jid = $1) AND id = $2";
/// The rows of a list as pairs of the columns' types: SQLite looks them up by the key only then.
const PAIRS: &str = "(account, id) IN (SELECT CAST(column1 AS TEXT), CAST(column2 AS BIGINT) FROM (VALUES ";
/// Of messages kept earlier, which retention may have taken away.
static UNDELIVERED_IF_THERE: LazyLock<Statement> = LazyLock::new(|| {
    let head = format!("INSERT INTO undelivered (account, id) SELECT account, id FROM messages WHERE {PAIRS}");
    Statement::new(&head, 2, ") AS v) ON CONFLICT (account, id) DO NOTHING")
});
static DELIVERED: LazyLock<Statement> = LazyLock::new(|| Statement::new(&format!("DELETE FROM undelivered WHERE {PAIRS}"), 2, ") AS v)"));
static FORGET: LazyLock<Statement> =
    LazyLock::new(|| Statement::new(&format!("DELETE FROM messages WHERE archived = 0 AND {PAIRS}"), 2, ") AS v)"));

/// Those that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    UNDELIVERED_IF_THERE
        .sql
        .iter()
        .chain(&DELIVERED.sql)
        .chain(&FORGET.sql)
        .chain(&KEEP_IN_ROOM.sql)
        .map(String::as_str)
        .chain([REPLACE_IN_ROOM])
}

/// Whether the accounts of a batch are known to be there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Care {
    /// They are taken to be there; a deleted one makes the batch fail.
    Trust,
    /// Each is looked up, and what belongs to a deleted one is left out.
    LookUp,
}

/// Writes a batch within the transaction of its job.
///
/// Of one message, what is kept comes before what is noted, and that before its delivery: so the order between messages does not matter, and each
/// kind of change is one statement. What was delivered before it was written leaves no trace.
pub(super) async fn write(tx: &mut Tx, batch: &[Entry], care: Care) -> Result<(), StoreError> {
    let missing = match care {
        Care::Trust => HashSet::new(),
        Care::LookUp => missing_accounts(tx, batch).await?,
    };
    in_rooms(tx, batch).await?;
    let batch = || batch.iter().filter(|entry| !missing.contains(entry.owner.as_str()));
    let mut kept: HashMap<(&str, i64), &Record> = HashMap::new();
    let mut done: HashSet<(&str, i64)> = HashSet::new();
    let (mut noted, mut delivered, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    for entry in batch() {
        let account = entry.owner.as_str();
        match &entry.change {
            Change::Keep(record) => {
                // Only these can be delivered in the same batch.
                if record.undelivered || !record.archived {
                    kept.insert((account, record.id.to_i64()), record);
                }
            }
            Change::Undelivered(id) => noted.push((account, id.to_i64())),
            Change::Delivered(id) | Change::Forget(id) => {
                let key = (account, id.to_i64());
                done.insert(key);
                if !kept.contains_key(&key) {
                    delivered.push(key);
                    if matches!(entry.change, Change::Forget(_)) {
                        forgotten.push(key);
                    }
                }
            }
            Change::KeepInRoom(_) | Change::ReplaceInRoom(..) => {}
        }
    }
    let messages: Vec<(&str, &Record)> = batch()
        .filter_map(|entry| match &entry.change {
            Change::Keep(record) => Some((entry.owner.as_str(), record)),
            _ => None,
        })
        .filter(|(account, record)| record.archived || !done.contains(&(*account, record.id.to_i64())))
        .collect();
    let undelivered: Vec<(&str, i64)> = messages
        .iter()
        .filter(|(_, record)| record.undelivered)
        .map(|(account, record)| (*account, record.id.to_i64()))
        .filter(|key| !done.contains(key))
        .collect();
    noted.retain(|key| !done.contains(key));

    KEEP.run(tx, &messages, |(account, record), values| {
        values.extend([
            (*account).into(),
            record.id.to_i64().into(),
            record.peer.bare_str().into(),
            record.peer.resource().unwrap_or_default().into(),
            hash(record.peer.bare_str()).into(),
            record.archived.into(),
            record.stanza.as_ref().into(),
        ]);
    })
    .await?;
    UNDELIVERED.run(tx, &undelivered, key).await?;
    UNDELIVERED_IF_THERE.run(tx, &noted, key).await?;
    DELIVERED.run(tx, &delivered, key).await?;
    FORGET.run(tx, &forgotten, key).await
}

/// The changes of rooms. A message is kept before it is replaced: so the order between messages does not matter.
async fn in_rooms(tx: &mut Tx, batch: &[Entry]) -> Result<(), StoreError> {
    let (mut kept, mut replaced) = (Vec::new(), Vec::new());
    for Entry { owner: room, change } in batch {
        match change {
            Change::KeepInRoom(record) => kept.push((room.as_str(), record)),
            Change::ReplaceInRoom(id, stanza) => replaced.push((room.as_str(), id, stanza)),
            Change::Keep(_) | Change::Undelivered(_) | Change::Delivered(_) | Change::Forget(_) => {}
        }
    }
    KEEP_IN_ROOM
        .run(tx, &kept, |(room, record), values| {
            values.extend([
                (*room).into(),
                record.id.to_i64().into(),
                record.real.bare_str().into(),
                record.real.resource().unwrap_or_default().into(),
                record.nick.as_str().into(),
                hash(record.real.bare_str()).into(),
                hash(&record.nick).into(),
                record.stanza.as_ref().into(),
            ]);
        })
        .await?;
    for (room, id, stanza) in replaced {
        tx.execute(REPLACE_IN_ROOM, &[room.into(), id.to_i64().into(), stanza.as_ref().into()]).await?;
    }
    Ok(())
}

/// FNV-1a of an address or a nickname, for the index: addresses themselves may be longer than PostgreSQL's indexes take. It is in the database, so it never changes.
pub(super) fn hash(address: &str) -> i64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    address.bytes().fold(0xcbf2_9ce4_8422_2325, step).cast_signed()
}

fn key<'a>((account, id): &(&'a str, i64), values: &mut Vec<Value<'a>>) {
    values.extend([(*account).into(), (*id).into()]);
}

async fn missing_accounts<'a>(tx: &mut Tx, batch: &'a [Entry]) -> Result<HashSet<&'a str>, StoreError> {
    let mut accounts: HashSet<&str> = batch.iter().filter(|entry| !entry.change.is_of_room()).map(|entry| entry.owner.as_str()).collect();
    let mut there = Vec::new();
    for account in &accounts {
        if tx.fetch_optional("SELECT 1 FROM accounts WHERE jid = $1", &[(*account).into()]).await?.is_some() {
            there.push(*account);
        }
    }
    for account in there {
        accounts.remove(account);
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the hash's authors: databases hold it.
    #[test]
    fn the_hash_of_an_address_never_changes() {
        for (text, expected) in [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
            assert_eq!(hash(text), expected.cast_signed(), "{text}");
        }
    }
}
