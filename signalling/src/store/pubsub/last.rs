//! Last items for whoever comes online: XEP-0060 §7.1 (`send_last_published_item`), XEP-0163 §4.3.4. Few statements for all contacts and nodes.

use std::sync::LazyLock;
use std::time::SystemTime;

use super::super::database::{Row, Value};
use super::super::to_millis;
use super::load::{read_affiliation, read_config, read_subscription};
use super::{PubSubStore, StoreError, items, read_bare, read_named};
use crate::jid::{BareJid, Jid};
use crate::pubsub::config::NodeConfig;
use crate::pubsub::model::{Affiliation, Item, NodeAddress, NodeKind, Subscription};

/// The last item of a node, and what decides whether it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastItem {
    /// The node.
    pub address: NodeAddress,
    /// Its configuration; `send_last_published_item` is `on_sub_and_presence`.
    pub config: NodeConfig,
    /// The affiliation of whoever comes online.
    pub affiliation: Affiliation,
    /// The groups in which the node's owner has whoever comes online, for PEP nodes of accounts with rosters here.
    pub groups: Vec<String>,
    /// The subscription it is told to; `None` for implicit interest.
    pub subscription: Option<Subscription>,
    /// The item.
    pub item: Item,
}

/// Where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Names that were dealt with before.
    interests: usize,
    /// Behind this one, of contacts: service and node; of subscriptions: JID and subid.
    after: (String, String),
    /// Of subscriptions: the node's row.
    node: i64,
}

/// Some last items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastItems {
    /// In the order of services and names.
    pub items: Vec<LastItem>,
    /// There may be more.
    pub next: Option<Cursor>,
}

/// Names looked up by one statement.
const NAMES: usize = 32;
/// Items read by one statement: what a page has no room for has been read in vain.
const ROWS: usize = 64;

/// What is read of each. The last item is the one with the highest number, without reading the others.
const COLUMNS: &str =
    "n.service, n.node, n.kind, n.config, their.group_names, a.affiliation, i.item, i.publisher, i.published_at, i.payload";
const LAST: &str = "i.seq = (SELECT l.seq FROM pubsub_items l WHERE l.node_id = n.id AND l.expires_at > $2 ORDER BY l.seq DESC LIMIT 1)";

/// The node's owner has not blocked `$3`, `$1`, `$4` or `$5`: the four kinds of address of XEP-0191 §6.
const NOT_BLOCKED: &str = "NOT EXISTS (SELECT 1 FROM blocked_jids b WHERE b.account = n.account AND b.jid IN ($1, $3, $4, $5))";

/// `n.node` is one of the names, which begin at this place.
fn named(first: usize) -> String {
    let places: Vec<String> = (first..first + NAMES).map(|place| format!("${place}")).collect();
    format!("n.node IN ({})", places.join(", "))
}

static OF_CONTACTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM roster_items own
         JOIN roster_items their ON their.account = own.contact AND their.contact = own.account
         JOIN pubsub_nodes n ON n.service = own.contact AND {}
         JOIN pubsub_items i ON i.node_id = n.id AND {LAST}
         LEFT JOIN pubsub_affiliations a ON a.node_id = n.id AND a.jid = $1
         WHERE own.account = $1 AND their.subscription IN ('from', 'both') AND n.send_last = 'on_sub_and_presence'
             AND {NOT_BLOCKED} AND own.contact >= $6 AND (own.contact > $6 OR n.node > $7)
         ORDER BY own.contact, n.node LIMIT {ROWS}",
        named(8)
    )
});
static OF_ONE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM pubsub_nodes n
         JOIN pubsub_items i ON i.node_id = n.id AND {LAST}
         LEFT JOIN roster_items their ON their.account = n.account AND their.contact = $1
         LEFT JOIN pubsub_affiliations a ON a.node_id = n.id AND a.jid = $1
         WHERE n.service = $6 AND {} AND n.send_last = 'on_sub_and_presence' AND {NOT_BLOCKED} ORDER BY n.node",
        named(7)
    )
});
static OF_SUBSCRIPTIONS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS}, s.jid, s.subid, s.state, s.options, s.node_id FROM pubsub_subscriptions s
         JOIN pubsub_nodes n ON n.id = s.node_id
         JOIN pubsub_items i ON i.node_id = n.id AND {LAST}
         LEFT JOIN roster_items their ON their.account = n.account AND their.contact = $1
         LEFT JOIN pubsub_affiliations a ON a.node_id = n.id AND a.jid = $1
         WHERE s.bare = $1 AND s.state = 'subscribed' AND n.send_last = 'on_sub_and_presence'
             AND s.node_id >= $3 AND (s.node_id > $3 OR s.jid > $4 OR (s.jid = $4 AND s.subid > $5))
         ORDER BY s.node_id, s.jid, s.subid LIMIT {ROWS}"
    )
});

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [&OF_CONTACTS, &OF_ONE, &OF_SUBSCRIPTIONS].into_iter().map(|sql| sql.as_str())
}

/// A chunk of names; the last one stands in the places that are left over.
fn bind<'v>(values: &mut Vec<Value<'v>>, names: &'v [String]) {
    let last = names.last().map_or("", String::as_str);
    values.extend(names.iter().map(String::as_str).chain(std::iter::repeat(last)).take(NAMES).map(Value::from));
}

/// Who comes online, as the statements want to know it: `$1`, and `$3` to `$5`.
struct Viewer<'v> {
    jid: &'v Jid,
    domain_resource: String,
}

impl<'v> Viewer<'v> {
    fn new(jid: &'v Jid) -> Self {
        let domain_resource = jid.resource().map_or_else(|| jid.domain().to_owned(), |resource| format!("{}/{resource}", jid.domain()));
        Self { jid, domain_resource }
    }

    fn values(&self, now: SystemTime) -> Vec<Value<'_>> {
        let now = to_millis(now);
        let (bare, full) = (self.jid.bare_str(), self.jid.as_str());
        vec![bare.into(), now.into(), full.into(), self.jid.domain().into(), self.domain_resource.as_str().into()]
    }
}

impl PubSubStore {
    /// For `viewer` coming online: the last items of PEP nodes named in `interests` of all contacts on this server that show its account their
    /// presence and have not blocked it. About `bytes_max` bytes of payloads at a time.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of_contacts(
        &self,
        viewer: &Jid,
        interests: &[String],
        now: SystemTime,
        after: Option<&Cursor>,
        bytes_max: usize,
    ) -> Result<LastItems, StoreError> {
        let mut page = LastItems::default();
        let mut cursor = after.cloned().unwrap_or_default();
        let mut bytes = 0;
        let viewer = Viewer::new(viewer);
        while let Some(names) = interests.get(cursor.interests..).filter(|names| !names.is_empty()) {
            let chunk = &names[..names.len().min(NAMES)];
            let (service, node) = &cursor.after;
            let mut values = viewer.values(now);
            values.extend([service.as_str().into(), node.as_str().into()]);
            bind(&mut values, chunk);
            let rows = self.database.fetch_all("read the last items of contacts", &OF_CONTACTS, &values).await?;
            for row in &rows {
                if bytes >= bytes_max {
                    page.next = Some(cursor);
                    return Ok(page);
                }
                let item = read(row)?;
                bytes += items::size_bytes(&item.item);
                cursor.after = (item.address.service.as_str().to_owned(), item.address.node.clone());
                page.items.push(item);
            }
            if rows.len() < ROWS {
                cursor = Cursor { interests: cursor.interests + chunk.len(), ..Cursor::default() };
            }
        }
        Ok(page)
    }

    /// For `viewer` coming online (or the owner itself): the last items of the nodes named in `interests` of one account, if it has not blocked the
    /// viewer.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of(
        &self,
        service: &BareJid,
        viewer: &Jid,
        interests: &[String],
        now: SystemTime,
    ) -> Result<Vec<LastItem>, StoreError> {
        let mut found = Vec::new();
        let viewer = Viewer::new(viewer);
        for chunk in interests.chunks(NAMES) {
            let mut values = viewer.values(now);
            values.push(service.as_str().into());
            bind(&mut values, chunk);
            for row in &self.database.fetch_all("read the last items of an account", &OF_ONE, &values).await? {
                found.push(read(row)?);
            }
        }
        Ok(found)
    }

    /// For `subscriber` coming online: the last items of the nodes, at any service, that it, or one of its resources, is subscribed to. About
    /// `bytes_max` bytes of payloads at a time.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of_subscriptions(
        &self,
        subscriber: &BareJid,
        now: SystemTime,
        after: Option<&Cursor>,
        bytes_max: usize,
    ) -> Result<LastItems, StoreError> {
        let mut page = LastItems::default();
        let mut cursor = after.cloned().unwrap_or_default();
        let mut bytes = 0;
        loop {
            let (jid, subid) = &cursor.after;
            let values =
                [subscriber.as_str().into(), to_millis(now).into(), cursor.node.into(), jid.as_str().into(), subid.as_str().into()];
            let rows = self.database.fetch_all("read the last items of subscriptions", &OF_SUBSCRIPTIONS, &values).await?;
            for row in &rows {
                if bytes >= bytes_max {
                    page.next = Some(cursor);
                    return Ok(page);
                }
                let subscription = read_subscription(row, 10)?;
                cursor.node = row.int(14)?;
                cursor.after = (subscription.jid.as_str().to_owned(), subscription.subid.clone());
                let item = LastItem { subscription: Some(subscription), ..read(row)? };
                bytes += items::size_bytes(&item.item);
                page.items.push(item);
            }
            if rows.len() < ROWS {
                return Ok(page);
            }
        }
    }
}

/// [`COLUMNS`].
fn read(row: &Row) -> Result<LastItem, StoreError> {
    let kind = read_named(row, 2, "pubsub_nodes.kind", NodeKind::parse)?;
    let groups = match row.optional_text(4)? {
        Some(json) => serde_json::from_str(&json)
            .map_err(|error| StoreError::Corrupt { place: "roster_items.group_names", cause: error.to_string() })?,
        None => Vec::new(),
    };
    Ok(LastItem {
        address: NodeAddress { service: read_bare(row, 0, "pubsub_nodes.service")?, node: row.text(1)? },
        config: read_config(row, 3, kind)?,
        affiliation: if row.is_null(5)? { Affiliation::None } else { read_affiliation(row, 5)? },
        groups,
        subscription: None,
        item: items::read(row, 6)?,
    })
}
