//! Reading items: XEP-0060 §6.5, in the order of their publication; items that have expired are not there.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::SystemTime;

use bytes::Bytes;

use super::super::database::{Row, Value};
use super::super::listing;
use super::super::{from_millis, to_millis};
use super::{PubSubStore, StoreError, read_jid, to_count};
use crate::jid::Jid;
use crate::pubsub::model::{Item, NodeAddress};
use crate::rsm::{Place, Request};

/// Items read by one statement: what a page has no room for has been read in vain.
const CHUNK: usize = 32;
/// Ids looked up by one statement.
const IDS: usize = 16;
/// What each item counts for besides its payload when pages are measured: the element around it.
const ENVELOPE_BYTES: usize = 128;

/// Which items are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemsQuery {
    /// §6.5.8: those of these ids that are there, in the order of publication.
    ByIds(Vec<String>),
    /// §6.5.7: the newest so many.
    Newest(usize),
    /// §6.5.4: a page. Without [`Request::max`], as many as `count_max` and `bytes_max` allow.
    Page(Request),
}

/// Some items of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemsPage {
    /// From the oldest to the newest.
    pub items: Vec<Item>,
    /// The number of the first one among all; `None` if there are none here, or they were asked for by id.
    pub index: Option<usize>,
    /// How many the node has.
    pub count: usize,
    /// Nothing that was asked for is missing for lack of room. (Whether a page is the last one is seen from `index`, `count` and its length.)
    pub complete: bool,
}

/// What a decision about an item needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemFact {
    /// Its id.
    pub id: String,
    /// Who published it.
    pub publisher: Jid,
}

const NODE: &str = "SELECT id FROM pubsub_nodes WHERE service = $1 AND node = $2";
const COUNT: &str = "SELECT COUNT(*) FROM pubsub_items WHERE node_id = $1 AND expires_at > $2";
const COUNT_BEFORE: &str = "SELECT COUNT(*) FROM pubsub_items WHERE node_id = $1 AND expires_at > $2 AND seq < $3";
const ANCHOR: &str = "SELECT seq FROM pubsub_items WHERE node_id = $1 AND expires_at > $2 AND item = $3";
const AT: &str = "SELECT seq FROM pubsub_items WHERE node_id = $1 AND expires_at > $2 ORDER BY seq LIMIT 1 OFFSET $3";
const FORWARDS: &str = "SELECT seq, item, publisher, published_at, payload FROM pubsub_items
                        WHERE node_id = $1 AND expires_at > $2 AND seq > $3 AND seq < $4 ORDER BY seq LIMIT $5";
const BACKWARDS: &str = "SELECT seq, item, publisher, published_at, payload FROM pubsub_items
                         WHERE node_id = $1 AND expires_at > $2 AND seq > $3 AND seq < $4 ORDER BY seq DESC LIMIT $5";
// The same without payloads.
const HEADS_FORWARDS: &str = "SELECT seq, item, publisher, published_at, SUBSTR(payload, 1, 0) FROM pubsub_items
                              WHERE node_id = $1 AND expires_at > $2 AND seq > $3 AND seq < $4 ORDER BY seq LIMIT $5";
const HEADS_BACKWARDS: &str = "SELECT seq, item, publisher, published_at, SUBSTR(payload, 1, 0) FROM pubsub_items
                               WHERE node_id = $1 AND expires_at > $2 AND seq > $3 AND seq < $4 ORDER BY seq DESC LIMIT $5";
const ONE: &str =
    "SELECT seq, item, publisher, published_at, payload FROM pubsub_items WHERE node_id = $1 AND expires_at > $2 AND seq = $3";
static BY_ID: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (3..IDS + 3).map(|place| format!("${place}")).collect();
    let places = places.join(", ");
    format!("SELECT seq, item, publisher FROM pubsub_items WHERE node_id = $1 AND expires_at > $2 AND item IN ({places})")
});

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [NODE, COUNT, COUNT_BEFORE, ANCHOR, AT, FORWARDS, BACKWARDS, HEADS_FORWARDS, HEADS_BACKWARDS, ONE, BY_ID.as_str()].into_iter()
}

/// Items of a node between two others, and from which end.
struct Range {
    after: i64,
    before: i64,
    backwards: bool,
    count_max: usize,
    payloads: bool,
}

impl PubSubStore {
    /// The items wanted, at most `count_max` and about `bytes_max` bytes of payload, at least one. `None` if a page is to begin or end at an item
    /// that is not there (XEP-0059 §2.2), and for a node that is not there.
    ///
    /// # Errors
    /// The database's.
    pub async fn items(
        &self,
        address: &NodeAddress,
        query: &ItemsQuery,
        now: SystemTime,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Option<ItemsPage>, StoreError> {
        self.read_items(address, query, now, count_max, Some(bytes_max)).await
    }

    /// The same without payloads, for who wants to know which items there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn item_heads(
        &self,
        address: &NodeAddress,
        query: &ItemsQuery,
        now: SystemTime,
        count_max: usize,
    ) -> Result<Option<ItemsPage>, StoreError> {
        self.read_items(address, query, now, count_max, None).await
    }

    /// Without a bound on bytes, without payloads.
    async fn read_items(
        &self,
        address: &NodeAddress,
        query: &ItemsQuery,
        now: SystemTime,
        count_max: usize,
        bytes_max: Option<usize>,
    ) -> Result<Option<ItemsPage>, StoreError> {
        let Some(node) = self.node_id(address).await? else { return Ok(None) };
        let count = self.count_items(node, now).await?;
        let (payloads, bytes_max) = (bytes_max.is_some(), bytes_max.unwrap_or(usize::MAX));
        let all = Range { after: -1, before: i64::MAX, backwards: false, count_max, payloads };
        let (range, bounded) = match query {
            ItemsQuery::ByIds(ids) => return self.items_by_id(node, ids, now, count_max, bytes_max, count).await.map(Some),
            ItemsQuery::Newest(newest) => (Range { backwards: true, count_max: count_max.min(*newest), ..all }, *newest <= count_max),
            ItemsQuery::Page(request) => {
                let all = Range { count_max: request.max.unwrap_or(count_max).min(count_max), ..all };
                let range = match &request.place {
                    Place::First => Some(all),
                    Place::Last => Some(Range { backwards: true, ..all }),
                    Place::After(id) => self.place_of(node, id, now).await?.map(|seq| Range { after: seq, ..all }),
                    Place::Before(id) => self.place_of(node, id, now).await?.map(|seq| Range { before: seq, backwards: true, ..all }),
                    Place::Index(index) => {
                        let first = self.seq(AT, &[node.into(), to_millis(now).into(), to_count(*index).into()]).await?;
                        // Beyond the end there is nothing.
                        Some(first.map_or(Range { after: i64::MAX - 1, ..all }, |seq| Range { after: seq - 1, ..all }))
                    }
                };
                let Some(range) = range else { return Ok(None) };
                (range, request.max.is_some_and(|max| max <= count_max))
            }
        };
        self.items_of_range(node, range, now, bytes_max, count, bounded).await.map(Some)
    }

    /// `bounded`: it was asked for no more than the range's count.
    async fn items_of_range(
        &self,
        node: i64,
        mut range: Range,
        now: SystemTime,
        bytes_max: usize,
        count: usize,
        bounded: bool,
    ) -> Result<ItemsPage, StoreError> {
        let mut page = ItemsPage { items: Vec::new(), index: None, count, complete: true };
        let (mut bytes, mut first) = (0, None);
        'page: while range.count_max > 0 {
            // One more than wanted says whether there are more.
            let wanted = (range.count_max + 1 - page.items.len()).min(CHUNK);
            let sql = match (range.payloads, range.backwards) {
                (true, false) => FORWARDS,
                (true, true) => BACKWARDS,
                (false, false) => HEADS_FORWARDS,
                (false, true) => HEADS_BACKWARDS,
            };
            let values = [node.into(), to_millis(now).into(), range.after.into(), range.before.into(), to_count(wanted).into()];
            let rows = self.database.fetch_all("read items", sql, &values).await?;
            for row in &rows {
                if page.items.len() == range.count_max {
                    page.complete = bounded;
                    break 'page;
                }
                if bytes >= bytes_max && !page.items.is_empty() {
                    page.complete = false;
                    break 'page;
                }
                let (seq, item) = (row.int(0)?, read(row, 1)?);
                bytes += size_bytes(&item);
                page.items.push(item);
                *(if range.backwards { &mut range.before } else { &mut range.after }) = seq;
                if range.backwards || first.is_none() {
                    first = Some(seq);
                }
            }
            if rows.len() < wanted {
                break;
            }
        }
        if range.backwards {
            page.items.reverse();
        }
        if let Some(first) = first {
            let before = self.number(COUNT_BEFORE, &[node.into(), to_millis(now).into(), first.into()]).await?;
            page.index = Some(before);
        }
        Ok(page)
    }

    async fn items_by_id(
        &self,
        node: i64,
        ids: &[String],
        now: SystemTime,
        count_max: usize,
        bytes_max: usize,
        count: usize,
    ) -> Result<ItemsPage, StoreError> {
        let mut found = Vec::new();
        for row in self.rows_by_id(node, ids, now).await? {
            found.push(row.int(0)?);
        }
        found.sort_unstable();
        let mut page = ItemsPage { items: Vec::new(), index: None, count, complete: found.len() <= count_max };
        let mut bytes = 0;
        for seq in found.into_iter().take(count_max) {
            if bytes >= bytes_max && !page.items.is_empty() {
                page.complete = false;
                break;
            }
            let row = self.database.fetch_optional("read an item", ONE, &[node.into(), to_millis(now).into(), seq.into()]).await?;
            if let Some(row) = row {
                let item = read(&row, 1)?;
                bytes += size_bytes(&item);
                page.items.push(item);
            }
        }
        Ok(page)
    }

    /// Who published those of these items that are there.
    ///
    /// # Errors
    /// The database's.
    pub async fn item_facts(&self, address: &NodeAddress, ids: &[String], now: SystemTime) -> Result<Vec<ItemFact>, StoreError> {
        let Some(node) = self.node_id(address).await? else { return Ok(Vec::new()) };
        let rows = self.rows_by_id(node, ids, now).await?;
        rows.iter().map(|row| Ok(ItemFact { id: row.text(1)?, publisher: read_jid(row, 2, "pubsub_items.publisher")? })).collect()
    }

    /// How many items the node has.
    ///
    /// # Errors
    /// The database's.
    pub async fn item_count(&self, address: &NodeAddress, now: SystemTime) -> Result<usize, StoreError> {
        match self.node_id(address).await? {
            Some(node) => self.count_items(node, now).await,
            None => Ok(0),
        }
    }

    /// The row of a node.
    pub(super) async fn node_id(&self, address: &NodeAddress) -> Result<Option<i64>, StoreError> {
        let key = [address.service.as_str().into(), address.node.as_str().into()];
        self.database.fetch_optional("look up a node", NODE, &key).await?.map(|row| row.int(0)).transpose()
    }

    async fn count_items(&self, node: i64, now: SystemTime) -> Result<usize, StoreError> {
        self.number(COUNT, &[node.into(), to_millis(now).into()]).await
    }

    async fn place_of(&self, node: i64, id: &str, now: SystemTime) -> Result<Option<i64>, StoreError> {
        self.seq(ANCHOR, &[node.into(), to_millis(now).into(), id.into()]).await
    }

    async fn seq(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<i64>, StoreError> {
        self.database.fetch_optional("find an item", sql, values).await?.map(|row| row.int(0)).transpose()
    }

    /// The one number that a statement yields.
    pub(super) async fn number(&self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        listing::number(&self.database, sql, values).await
    }

    /// Place, id and publisher of each, in no order.
    async fn rows_by_id(&self, node: i64, ids: &[String], now: SystemTime) -> Result<Vec<Row>, StoreError> {
        let distinct: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let mut rest: Vec<&str> = distinct.into_iter().collect();
        let mut rows = Vec::new();
        while let Some(last) = rest.last().copied() {
            let chunk = rest.split_off(rest.len().saturating_sub(IDS));
            let mut values: Vec<Value<'_>> = vec![node.into(), to_millis(now).into()];
            // The last id stands in the places that are left over.
            values.extend(chunk.iter().copied().chain(std::iter::repeat(last)).take(IDS).map(Value::from));
            rows.extend(self.database.fetch_all("look up items", &BY_ID, &values).await?);
        }
        Ok(rows)
    }
}

/// What an item counts for when pages are measured, and what an account keeps.
pub(super) fn size_bytes(item: &Item) -> usize {
    ENVELOPE_BYTES + item.id.len() + item.payload.as_ref().map_or(0, Bytes::len)
}

/// Id, publisher, time and payload, from this column on.
pub(super) fn read(row: &Row, column: usize) -> Result<Item, StoreError> {
    let payload = row.bytes(column + 3)?;
    read_with(row, column, payload)
}

/// Id, publisher and time, from this column on, with a payload from elsewhere.
pub(super) fn read_with(row: &Row, column: usize, payload: Vec<u8>) -> Result<Item, StoreError> {
    Ok(Item {
        id: row.text(column)?,
        publisher: read_jid(row, column + 1, "pubsub_items.publisher")?,
        published_at: from_millis(row.int(column + 2)?),
        payload: (!payload.is_empty()).then(|| payload.into()),
    })
}
