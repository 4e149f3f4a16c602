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
    /// The node's owner shows its presence to whoever comes online, by the roster here; false for hosts.
    pub shows_presence: bool,
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
    /// Behind this one, of names: service and node; of subscriptions: JID and subid.
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
/// Small payloads come with it, large ones are read when there is room for them.
const COLUMNS: &str = "n.service, n.node, n.kind, n.config, their.group_names, a.affiliation, i.item, i.publisher, i.published_at,
    CASE WHEN LENGTH(i.payload) <= 4096 THEN i.payload END, i.node_id, i.seq, their.subscription";
/// How many they are.
const COLUMN_COUNT: usize = 13;
const PAYLOAD: &str = "SELECT payload FROM pubsub_items WHERE node_id = $1 AND seq = $2";
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
         WHERE n.service = $6 AND n.node > $7 AND {} AND n.send_last = 'on_sub_and_presence' AND {NOT_BLOCKED}
         ORDER BY n.node LIMIT {ROWS}",
        named(8)
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
             AND {NOT_BLOCKED} AND s.node_id >= $6 AND (s.node_id > $6 OR s.jid > $7 OR (s.jid = $7 AND s.subid > $8))
         ORDER BY s.node_id, s.jid, s.subid LIMIT {ROWS}"
    )
});

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    [&OF_CONTACTS, &OF_ONE, &OF_SUBSCRIPTIONS].into_iter().map(|sql| sql.as_str()).chain([PAYLOAD])
}

/// A chunk of names; the last one stands in the places that are left over.
fn bind<'v>(values: &mut Vec<Value<'v>>, names: &'v [String]) {
    let last = names.last().map_or("", String::as_str);
    values.extend(names.iter().map(String::as_str).chain(std::iter::repeat(last)).take(NAMES).map(Value::from));
}

/// Who comes online, and when, as the statements want to know it: `$1` to `$5`.
struct Viewer<'v> {
    jid: &'v Jid,
    now: i64,
    domain_resource: String,
}

impl<'v> Viewer<'v> {
    fn new(jid: &'v Jid, now: SystemTime) -> Self {
        let domain_resource = jid.resource().map_or_else(|| jid.domain().to_owned(), |resource| format!("{}/{resource}", jid.domain()));
        Self { jid, now: to_millis(now), domain_resource }
    }

    fn values(&self) -> Vec<Value<'_>> {
        let (bare, full) = (self.jid.bare_str(), self.jid.as_str());
        vec![bare.into(), self.now.into(), full.into(), self.jid.domain().into(), self.domain_resource.as_str().into()]
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
        let page = Page::new(after, bytes_max);
        self.of_names("read the last items of contacts", &OF_CONTACTS, "", &Viewer::new(viewer, now), interests, page).await
    }

    /// For `viewer` coming online (or the owner itself): the last items of the nodes named in `interests` of one account, if it has not blocked the
    /// viewer. About `bytes_max` bytes of payloads at a time.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of(
        &self,
        service: &BareJid,
        viewer: &Jid,
        interests: &[String],
        now: SystemTime,
        after: Option<&Cursor>,
        bytes_max: usize,
    ) -> Result<LastItems, StoreError> {
        let page = Page::new(after, bytes_max);
        self.of_names("read the last items of an account", &OF_ONE, service.as_str(), &Viewer::new(viewer, now), interests, page).await
    }

    /// For `viewer` coming online: the last items of the nodes, at any service, that its account, or one of its resources, is subscribed to, but of
    /// accounts that have blocked it. About `bytes_max` bytes of payloads at a time.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of_subscriptions(
        &self,
        viewer: &Jid,
        now: SystemTime,
        after: Option<&Cursor>,
        bytes_max: usize,
    ) -> Result<LastItems, StoreError> {
        let mut page = Page::new(after, bytes_max);
        let viewer = Viewer::new(viewer, now);
        loop {
            let Cursor { after, node, .. } = page.cursor.clone();
            let mut values = viewer.values();
            values.extend([node.into(), after.0.as_str().into(), after.1.as_str().into()]);
            let rows = self.database.fetch_all("read the last items of subscriptions", &OF_SUBSCRIPTIONS, &values).await?;
            for row in &rows {
                if page.is_full() {
                    return Ok(page.cut());
                }
                let subscription = read_subscription(row, COLUMN_COUNT)?;
                page.cursor.node = row.int(COLUMN_COUNT + 4)?;
                page.cursor.after = (subscription.jid.as_str().to_owned(), subscription.subid.clone());
                page.add(self.read(row, Some(subscription)).await?);
            }
            if rows.len() < ROWS {
                return Ok(page.found);
            }
        }
    }

    /// By a statement that goes on behind a service and a node, `$6` and `$7`; for each chunk of names it begins at `first`.
    async fn of_names(
        &self,
        doing: &'static str,
        statement: &'static str,
        first: &str,
        viewer: &Viewer<'_>,
        interests: &[String],
        mut page: Page,
    ) -> Result<LastItems, StoreError> {
        while let Some(names) = interests.get(page.cursor.interests..).filter(|names| !names.is_empty()) {
            let chunk = &names[..names.len().min(NAMES)];
            let (service, node) = page.cursor.after.clone();
            let service = if service.is_empty() { first } else { &service };
            let mut values = viewer.values();
            values.extend([service.into(), node.as_str().into()]);
            bind(&mut values, chunk);
            let rows = self.database.fetch_all(doing, statement, &values).await?;
            for row in &rows {
                if page.is_full() {
                    return Ok(page.cut());
                }
                page.cursor.after = (row.text(0)?, row.text(1)?);
                page.add(self.read(row, None).await?);
            }
            if rows.len() < ROWS {
                page.cursor = Cursor { interests: page.cursor.interests + chunk.len(), ..Cursor::default() };
            }
        }
        Ok(page.found)
    }

    /// [`COLUMNS`]; `None` for an item that has gone meanwhile.
    async fn read(&self, row: &Row, subscription: Option<Subscription>) -> Result<Option<LastItem>, StoreError> {
        let kind = read_named(row, 2, "pubsub_nodes.kind", NodeKind::parse)?;
        let groups = match row.optional_text(4)? {
            Some(json) => serde_json::from_str(&json)
                .map_err(|error| StoreError::Corrupt { place: "roster_items.group_names", cause: error.to_string() })?,
            None => Vec::new(),
        };
        let payload = if row.is_null(9)? {
            let key = [row.int(10)?.into(), row.int(11)?.into()];
            match self.database.fetch_optional("read the payload of a last item", PAYLOAD, &key).await? {
                Some(row) => row.bytes(0)?,
                None => return Ok(None),
            }
        } else {
            row.bytes(9)?
        };
        Ok(Some(LastItem {
            address: NodeAddress { service: read_bare(row, 0, "pubsub_nodes.service")?, node: row.text(1)? },
            config: read_config(row, 3, kind)?,
            affiliation: if row.is_null(5)? { Affiliation::None } else { read_affiliation(row, 5)? },
            shows_presence: matches!(row.optional_text(12)?.as_deref(), Some("from" | "both")),
            groups,
            subscription,
            item: items::read_with(row, 6, payload)?,
        }))
    }
}

/// What is read of a page.
struct Page {
    found: LastItems,
    cursor: Cursor,
    bytes: usize,
    bytes_max: usize,
}

impl Page {
    fn new(after: Option<&Cursor>, bytes_max: usize) -> Self {
        Self { found: LastItems::default(), cursor: after.cloned().unwrap_or_default(), bytes: 0, bytes_max }
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    fn add(&mut self, item: Option<LastItem>) {
        self.bytes += item.as_ref().map_or(0, |item| items::size_bytes(&item.item));
        self.found.items.extend(item);
    }

    fn cut(self) -> LastItems {
        LastItems { next: Some(self.cursor), ..self.found }
    }
}
