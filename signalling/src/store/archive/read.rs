//! Reading messages: pages of the archive (XEP-0313 §4) and what waits for delivery (XEP-0160).

use std::sync::LazyLock;

use bytes::Bytes;

use super::super::database::{Row, Value};
use super::{Archive, ArchiveId, StoreError, optional_id, rows};
use crate::jid::{BareJid, Jid};

/// Ids looked up by one statement.
const IDS: usize = 64;
/// Messages read by one statement: what a page has no room for has been read in vain.
const CHUNK: usize = 32;
/// What each message counts for besides its stanza when pages are measured: the envelope that goes around it.
const ENVELOPE_BYTES: usize = 256;

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// The other side: any of its resources when the address is bare (XEP-0313 §4.1.1).
    pub with: Option<Jid>,
    /// Behind this one.
    pub after: Option<ArchiveId>,
    /// Before this one.
    pub before: Option<ArchiveId>,
    /// Only these.
    pub ids: Option<Vec<ArchiveId>>,
}

/// A message as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub id: ArchiveId,
    /// Whether the archive shows it.
    pub archived: bool,
    /// The stanza, written alone.
    pub stanza: Bytes,
}

/// Some messages of a range, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// From the oldest to the newest.
    pub messages: Vec<Stored>,
    /// There are no more on the side to which the page was read.
    pub complete: bool,
}

impl Range {
    fn low(&self) -> i64 {
        self.after.map_or(-1, ArchiveId::to_i64)
    }

    fn high(&self) -> i64 {
        self.before.map_or(i64::MAX, ArchiveId::to_i64)
    }

    /// Account, both ends, and the other side as the statements below count them.
    fn values<'a>(&'a self, account: &'a BareJid) -> Vec<Value<'a>> {
        let mut values = vec![account.as_str().into(), self.low().into(), self.high().into()];
        if let Some(with) = &self.with {
            values.extend([rows::hash(with.bare_str()).into(), with.bare_str().into()]);
            values.extend(with.resource().map(Value::from));
        }
        values
    }

    /// Which of three statements: for everyone, for a bare, for a full address.
    fn choose<'s>(&self, statements: &'s [String; 3]) -> &'s str {
        match &self.with {
            None => &statements[0],
            Some(with) if with.is_bare() => &statements[1],
            Some(_) => &statements[2],
        }
    }
}

/// `order` is that of ids; statements with an address go along the index by address, which needs its bounds as pairs to be chosen.
fn for_each_address(select: &str, order: Option<&str>) -> [String; 3] {
    let end = |limit: usize, columns: &[&str]| match order {
        None => String::new(),
        Some(order) => {
            let columns: Vec<String> = columns.iter().map(|column| format!("{column} {order}")).collect();
            format!("ORDER BY {} LIMIT ${limit}", columns.join(", "))
        }
    };
    let with = "AND (peer_hash, id) > ($4, $2) AND (peer_hash, id) < ($4, $3) AND peer = $5";
    [
        format!("{select} FROM messages WHERE account = $1 AND id > $2 AND id < $3 AND archived = 1 {}", end(4, &["id"])),
        format!("{select} FROM messages WHERE account = $1 {with} AND archived = 1 {}", end(6, &["peer_hash", "id"])),
        format!("{select} FROM messages WHERE account = $1 {with} AND resource = $6 AND archived = 1 {}", end(7, &["peer_hash", "id"])),
    ]
}

static FORWARDS: LazyLock<[String; 3]> = LazyLock::new(|| for_each_address("SELECT id, stanza", Some("ASC")));
static BACKWARDS: LazyLock<[String; 3]> = LazyLock::new(|| for_each_address("SELECT id, stanza", Some("DESC")));
static COUNT: LazyLock<[String; 3]> = LazyLock::new(|| for_each_address("SELECT COUNT(*)", None));
static BY_ID: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (2..IDS + 2).map(|place| format!("${place}")).collect();
    format!("SELECT id, peer, resource FROM messages WHERE account = $1 AND archived = 1 AND id IN ({}) ORDER BY id", places.join(", "))
});

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    FORWARDS.iter().chain(&*BACKWARDS).chain(&*COUNT).map(String::as_str).chain([BY_ID.as_str(), WAITING, UNDELIVERED_BETWEEN, ENDS])
}

const ENDS: &str = "SELECT (SELECT id FROM messages WHERE account = $1 AND archived = 1 ORDER BY id LIMIT 1),
                           (SELECT id FROM messages WHERE account = $1 AND archived = 1 ORDER BY id DESC LIMIT 1)";
const WAITING: &str = "SELECT m.id, m.stanza, m.archived FROM undelivered u JOIN messages m ON m.account = u.account AND m.id = u.id
                       WHERE u.account = $1 AND u.id > $2 ORDER BY u.id LIMIT $3";
const UNDELIVERED_BETWEEN: &str = "SELECT id FROM undelivered WHERE account = $1 AND id >= $2 AND id <= $3 ORDER BY id";

impl Archive {
    /// Up to `count` messages of a range, and about `bytes_max` bytes, at least one: the oldest ones, or the newest with `backwards`.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(
        &self,
        account: &BareJid,
        range: &Range,
        backwards: bool,
        count: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let doing = "read a page of an archive";
        self.settled(account, doing).await?;
        let mut page = match &range.ids {
            None => self.page_of_range(account, range.clone(), backwards, count, bytes_max).await?,
            Some(ids) => self.page_of_ids(account, range, ids, backwards, count, bytes_max).await?,
        };
        if backwards {
            page.messages.reverse();
        }
        Ok(page)
    }

    async fn page_of_range(
        &self,
        account: &BareJid,
        mut range: Range,
        backwards: bool,
        count: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let sql = range.choose(if backwards { &BACKWARDS } else { &FORWARDS });
        let mut page = Page { messages: Vec::new(), complete: true };
        let mut bytes = 0;
        loop {
            // One more than wanted says whether there are more.
            let wanted = (count + 1 - page.messages.len()).min(CHUNK);
            let mut values = range.values(account);
            values.push(limit(wanted).into());
            let rows = self.database.fetch_all("read a page of an archive", sql, &values).await?;
            let read = rows.len();
            for row in rows {
                if page.messages.len() >= count || (bytes >= bytes_max && !page.messages.is_empty()) {
                    page.complete = false;
                    return Ok(page);
                }
                let (id, stanza) = (ArchiveId::from_i64(row.int(0)?), Bytes::from(row.bytes(1)?));
                bytes += stanza.len() + ENVELOPE_BYTES;
                page.messages.push(Stored { id, archived: true, stanza });
                *(if backwards { &mut range.before } else { &mut range.after }) = Some(id);
            }
            if read < wanted {
                return Ok(page);
            }
        }
    }

    async fn page_of_ids(
        &self,
        account: &BareJid,
        range: &Range,
        ids: &[ArchiveId],
        backwards: bool,
        count: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let wanted = |id: i64, peer: &str, resource: &str| {
            range.low() < id
                && id < range.high()
                && range.with.as_ref().is_none_or(|with| with.bare_str() == peer && with.resource().is_none_or(|wanted| wanted == resource))
        };
        let mut chosen = Vec::new();
        for row in self.rows_by_id(account, ids).await? {
            let id = row.int(0)?;
            if wanted(id, &row.text(1)?, &row.text(2)?) {
                chosen.push(ArchiveId::from_i64(id));
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        if backwards {
            chosen.reverse();
        }
        let mut page = Page { messages: Vec::new(), complete: chosen.len() <= count };
        let mut bytes = 0;
        for id in chosen.into_iter().take(count) {
            if bytes >= bytes_max && !page.messages.is_empty() {
                page.complete = false;
                break;
            }
            const SQL: &str = "SELECT id, stanza FROM messages WHERE account = $1 AND id = $2 AND archived = 1";
            let row = self.database.fetch_optional("read a message", SQL, &[account.as_str().into(), id.to_i64().into()]).await?;
            if let Some(row) = row {
                let stanza = Bytes::from(row.bytes(1)?);
                bytes += stanza.len() + ENVELOPE_BYTES;
                page.messages.push(Stored { id, archived: true, stanza });
            }
        }
        Ok(page)
    }

    /// How many messages a range has, that of `ids` left out of account.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, account: &BareJid, range: &Range) -> Result<usize, StoreError> {
        let doing = "count the messages of an archive";
        self.settled(account, doing).await?;
        let row = self.database.fetch_optional(doing, range.choose(&COUNT), &range.values(account)).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.and_then(|count| usize::try_from(count).ok()).unwrap_or_default())
    }

    /// Whether the archive has all of these.
    ///
    /// # Errors
    /// The database's.
    pub async fn has(&self, account: &BareJid, ids: &[ArchiveId]) -> Result<bool, StoreError> {
        self.settled(account, "look a message up").await?;
        let mut wanted: Vec<i64> = ids.iter().map(|id| id.to_i64()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(self.rows_by_id(account, ids).await?.len() == wanted.len())
    }

    /// The rows of these ids that there are, each once: id, address and resource of the other side.
    async fn rows_by_id(&self, account: &BareJid, ids: &[ArchiveId]) -> Result<Vec<Row>, StoreError> {
        let mut ids: Vec<i64> = ids.iter().map(|id| id.to_i64()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS) {
            // The last one again fills the places that are left.
            let padded = chunk.iter().chain(std::iter::repeat(&chunk[chunk.len() - 1])).take(IDS);
            let values: Vec<Value<'_>> = std::iter::once(account.as_str().into()).chain(padded.map(|id| (*id).into())).collect();
            rows.extend(self.database.fetch_all("look messages up", &BY_ID, &values).await?);
        }
        Ok(rows)
    }

    /// The first and the last message of the archive: XEP-0313 §5.
    ///
    /// # Errors
    /// The database's.
    pub async fn ends(&self, account: &BareJid) -> Result<Option<(ArchiveId, ArchiveId)>, StoreError> {
        let doing = "read the ends of an archive";
        self.settled(account, doing).await?;
        let Some(row) = self.database.fetch_optional(doing, ENDS, &[account.as_str().into()]).await? else { return Ok(None) };
        Ok(optional_id(&row, 0)?.zip(optional_id(&row, 1)?))
    }

    /// Messages that no client has acknowledged, the oldest first, beginning behind `after`: up to `count` and about `bytes_max` bytes, at
    /// least one if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn waiting(&self, account: &BareJid, after: Option<ArchiveId>, count: usize, bytes_max: usize) -> Result<Page, StoreError> {
        let doing = "read messages that wait";
        self.settled(account, doing).await?;
        let after = after.map_or(-1, ArchiveId::to_i64);
        let values = [account.as_str().into(), after.into(), limit(count + 1).into()];
        let mut page = Page { messages: Vec::new(), complete: true };
        let mut bytes = 0;
        self.database
            .fetch_each(doing, WAITING, &values, |row| {
                if page.messages.len() >= count || (bytes >= bytes_max && !page.messages.is_empty()) {
                    page.complete = false;
                    return Ok(false);
                }
                let stanza = Bytes::from(row.bytes(1)?);
                bytes += stanza.len() + ENVELOPE_BYTES;
                page.messages.push(Stored { id: ArchiveId::from_i64(row.int(0)?), archived: row.flag(2)?, stanza });
                Ok(true)
            })
            .await?;
        Ok(page)
    }

    /// Which messages between these two, both included, no client has acknowledged, in order.
    ///
    /// # Errors
    /// The database's.
    pub async fn undelivered_between(&self, account: &BareJid, first: ArchiveId, last: ArchiveId) -> Result<Vec<ArchiveId>, StoreError> {
        let values = [account.as_str().into(), first.to_i64().into(), last.to_i64().into()];
        let rows = self.database.fetch_all("look for messages that wait", UNDELIVERED_BETWEEN, &values).await?;
        rows.iter().map(|row| row.int(0).map(ArchiveId::from_i64)).collect()
    }
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
