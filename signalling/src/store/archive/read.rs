//! Reading messages: pages of the archive (XEP-0313 §4) and what waits for delivery (XEP-0160).

use bytes::Bytes;

use super::super::database::{Row, Value};
use super::tables::{Filter, IDS, Whose};
use super::{Archive, ArchiveId, StoreError, optional_id};
use crate::jid::{BareJid, Jid};

/// Messages read by one statement: what a page has no room for has been read in vain.
const CHUNK: usize = 32;
/// What each message counts for besides its stanza when pages are measured: the envelope that goes around it.
const ENVELOPE_BYTES: usize = 256;

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// The other side: any of its resources when the address is bare (XEP-0313 §4.1.1). In a room, whoever sent it: by the occupant's address, or by
    /// the real one, for those who may know it.
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
    /// In a room, the real address of whoever sent it.
    pub sender: Option<Jid>,
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

    /// Whose, both ends, and the filter.
    fn values<'a>(&self, whose: Whose<'a>, filter: Filter<'a>) -> Vec<Value<'a>> {
        let mut values = vec![whose.jid().as_str().into(), self.low().into(), self.high().into()];
        values.extend(filter.values());
        values
    }
}

/// All others that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [WAITING, UNDELIVERED_BETWEEN];

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
        whose: impl Into<Whose<'_>>,
        range: &Range,
        backwards: bool,
        count: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let whose = whose.into();
        self.settled(whose.jid(), "read a page of an archive").await?;
        let mut page = match &range.ids {
            None => self.page_of_range(whose, range, backwards, count, bytes_max).await?,
            Some(ids) => self.page_of_ids(whose, range, ids, backwards, count, bytes_max).await?,
        };
        if backwards {
            page.messages.reverse();
        }
        Ok(page)
    }

    async fn page_of_range(
        &self,
        whose: Whose<'_>,
        range: &Range,
        backwards: bool,
        count: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let filter = whose.filter(range);
        let sql = whose.statements().page(filter, backwards);
        let mut left = Range { after: range.after, before: range.before, ..Range::default() };
        let mut page = Page { messages: Vec::new(), complete: true };
        let mut bytes = 0;
        loop {
            // One more than wanted says whether there are more.
            let wanted = (count + 1 - page.messages.len()).min(CHUNK);
            let mut values = left.values(whose, filter);
            values.push(limit(wanted).into());
            let rows = self.database.fetch_all("read a page of an archive", sql, &values).await?;
            let found = rows.len();
            for row in rows {
                if page.messages.len() >= count || (bytes >= bytes_max && !page.messages.is_empty()) {
                    page.complete = false;
                    return Ok(page);
                }
                let message = read(&row, whose)?;
                bytes += message.stanza.len() + ENVELOPE_BYTES;
                *(if backwards { &mut left.before } else { &mut left.after }) = Some(message.id);
                page.messages.push(message);
            }
            if found < wanted {
                return Ok(page);
            }
        }
    }

    async fn page_of_ids(
        &self,
        whose: Whose<'_>,
        range: &Range,
        ids: &[ArchiveId],
        backwards: bool,
        count: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let (low, high, filter) = (range.low(), range.high(), whose.filter(range));
        let mut chosen = Vec::new();
        for row in self.rows_by_id(whose, ids).await? {
            let id = row.int(0)?;
            if low < id && id < high && filter.matches(&row.text(1)?, &row.text(2)?, &row.text(3)?) {
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
            let values = [whose.jid().as_str().into(), id.to_i64().into()];
            let row = self.database.fetch_optional("read a message", &whose.statements().one, &values).await?;
            if let Some(row) = row {
                let message = read(&row, whose)?;
                bytes += message.stanza.len() + ENVELOPE_BYTES;
                page.messages.push(message);
            }
        }
        Ok(page)
    }

    /// How many messages a range has, that of `ids` left out of account.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, whose: impl Into<Whose<'_>>, range: &Range) -> Result<usize, StoreError> {
        let (doing, whose) = ("count the messages of an archive", whose.into());
        self.settled(whose.jid(), doing).await?;
        let filter = whose.filter(range);
        let row = self.database.fetch_optional(doing, whose.statements().count(filter), &range.values(whose, filter)).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.and_then(|count| usize::try_from(count).ok()).unwrap_or_default())
    }

    /// Whether the archive has all of these.
    ///
    /// # Errors
    /// The database's.
    pub async fn has(&self, whose: impl Into<Whose<'_>>, ids: &[ArchiveId]) -> Result<bool, StoreError> {
        let whose = whose.into();
        self.settled(whose.jid(), "look a message up").await?;
        let mut wanted: Vec<i64> = ids.iter().map(|id| id.to_i64()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(self.rows_by_id(whose, ids).await?.len() == wanted.len())
    }

    /// The rows of these ids that there are, each once: id, address and resource of the other side, nickname.
    async fn rows_by_id(&self, whose: Whose<'_>, ids: &[ArchiveId]) -> Result<Vec<Row>, StoreError> {
        let mut ids: Vec<i64> = ids.iter().map(|id| id.to_i64()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS) {
            // The last one again fills the places that are left.
            let padded = chunk.iter().chain(std::iter::repeat(&chunk[chunk.len() - 1])).take(IDS);
            let values: Vec<Value<'_>> = std::iter::once(whose.jid().as_str().into()).chain(padded.map(|id| (*id).into())).collect();
            rows.extend(self.database.fetch_all("look messages up", &whose.statements().by_id, &values).await?);
        }
        Ok(rows)
    }

    /// The first and the last message of the archive: XEP-0313 §5.
    ///
    /// # Errors
    /// The database's.
    pub async fn ends(&self, whose: impl Into<Whose<'_>>) -> Result<Option<(ArchiveId, ArchiveId)>, StoreError> {
        let (doing, whose) = ("read the ends of an archive", whose.into());
        self.settled(whose.jid(), doing).await?;
        let values = [whose.jid().as_str().into()];
        let Some(row) = self.database.fetch_optional(doing, &whose.statements().ends, &values).await? else { return Ok(None) };
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
                let id = ArchiveId::from_i64(row.int(0)?);
                page.messages.push(Stored { id, archived: row.flag(2)?, stanza, sender: None });
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

/// A row of a page.
fn read(row: &Row, whose: Whose<'_>) -> Result<Stored, StoreError> {
    let sender = match whose {
        Whose::Account(_) => None,
        Whose::Room(_) => Some(address(&row.text(2)?, &row.text(3)?)?),
    };
    Ok(Stored { id: ArchiveId::from_i64(row.int(0)?), archived: true, stanza: Bytes::from(row.bytes(1)?), sender })
}

fn address(bare: &str, resource: &str) -> Result<Jid, StoreError> {
    let parsed = if resource.is_empty() { Jid::parse(bare) } else { Jid::parse(&format!("{bare}/{resource}")) };
    parsed.map_err(|cause| StoreError::Corrupt { place: "room_messages.peer", cause: cause.to_string() })
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
