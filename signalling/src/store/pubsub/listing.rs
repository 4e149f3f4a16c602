//! Lists: nodes for service discovery (XEP-0060 §5.2, §5.5), an entity's subscriptions and affiliations (§5.6, §5.7), and the numbers that limits
//! look at. The root collection node of a service, whose name is empty, is in no list.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::super::database::{Row, Value};
use super::super::listing::{Listed, Listing};
use super::load::{read_affiliation, read_subscription};
use super::{PubSubStore, StoreError, read_bare, read_named, to_count};
use crate::jid::BareJid;
use crate::pubsub::config::AccessModel;
use crate::pubsub::model::{Affiliation, NodeAddress, NodeKind, Subscription};
use crate::rsm::Request;

/// A node in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its NodeID.
    pub node: String,
    /// What it holds.
    pub kind: NodeKind,
    /// `pubsub#title`, which may be empty.
    pub title: String,
    /// Who may see what is in it.
    pub access_model: AccessModel,
}

/// Some nodes, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodesPage {
    /// The nodes.
    pub nodes: Vec<NodeEntry>,
    /// The number of the first one among all.
    pub index: Option<usize>,
    /// How many there are.
    pub count: usize,
}

/// A kind of list of nodes; `$1` says of what.
fn nodes_of(rows: &str) -> Listing {
    Listing::new("n.node, n.kind, n.title, n.access_model", rows, "n.node")
}

/// Of a service; `$1` is its address.
static ALL: LazyLock<Listing> = LazyLock::new(|| nodes_of("pubsub_nodes n WHERE n.service = $1 AND n.node <> ''"));
static TOP_LEVEL: LazyLock<Listing> = LazyLock::new(|| {
    // What is in the root collection by name is there anyway.
    nodes_of(
        "pubsub_nodes n WHERE n.service = $1 AND n.node <> '' AND NOT EXISTS
             (SELECT 1 FROM pubsub_collections c JOIN pubsub_nodes o ON o.id = c.collection_id WHERE c.node_id = n.id AND o.node <> '')",
    )
});
/// Of a collection; `$1` is its row.
static CHILDREN: LazyLock<Listing> =
    LazyLock::new(|| nodes_of("pubsub_collections c JOIN pubsub_nodes n ON n.id = c.node_id WHERE c.collection_id = $1"));

const CHILD_NAMES: &str = "SELECT n.node FROM pubsub_collections c JOIN pubsub_nodes n ON n.id = c.node_id
                           WHERE c.collection_id = $1 ORDER BY n.node LIMIT $2";
const REDIRECT: &str = "SELECT uri FROM pubsub_redirects WHERE service = $1 AND node = $2";
const SUBSCRIPTIONS: &str = "SELECT n.node, s.jid, s.subid, s.state, s.options
                             FROM pubsub_subscriptions s JOIN pubsub_nodes n ON n.id = s.node_id
                             WHERE s.bare = $1 AND n.service = $2 ORDER BY n.node, s.jid, s.subid";
const EVERYWHERE: &str = "SELECT n.service, n.node, s.jid, s.subid, s.state, s.options
                          FROM pubsub_subscriptions s JOIN pubsub_nodes n ON n.id = s.node_id
                          WHERE s.bare = $1 ORDER BY n.service, n.node, s.jid, s.subid";
const AFFILIATIONS: &str = "SELECT n.node, a.affiliation FROM pubsub_affiliations a JOIN pubsub_nodes n ON n.id = a.node_id
                            WHERE a.jid = $1 AND n.service = $2 ORDER BY n.node";
const OWNED: &str = "SELECT COUNT(*) FROM pubsub_affiliations a JOIN pubsub_nodes n ON n.id = a.node_id
                     WHERE a.jid = $1 AND a.affiliation = 'owner' AND n.service = $2";
const SUBSCRIPTION_COUNT: &str = "SELECT COUNT(*) FROM pubsub_subscriptions WHERE bare = $1";
const PENDING: &str = "SELECT n.node FROM pubsub_affiliations a JOIN pubsub_nodes n ON n.id = a.node_id
                       WHERE a.jid = $1 AND a.affiliation = 'owner' AND n.service = $2
                           AND EXISTS (SELECT 1 FROM pubsub_subscriptions s WHERE s.node_id = n.id AND s.state = 'pending')
                       ORDER BY n.node";

const LAST_IDS: &str = "SELECT n.node, (SELECT i.item FROM pubsub_items i WHERE i.node_id = n.id ORDER BY i.seq DESC LIMIT 1)
                        FROM pubsub_nodes n WHERE n.service = $1 AND n.node IN ($2, $3, $4, $5)";

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    let lists = [&ALL, &TOP_LEVEL, &CHILDREN].into_iter().flat_map(|list| {
        let list: &'static Listing = list;
        list.statements()
    });
    lists.chain([CHILD_NAMES, REDIRECT, SUBSCRIPTIONS, EVERYWHERE, AFFILIATIONS, OWNED, SUBSCRIPTION_COUNT, PENDING, LAST_IDS])
}

impl PubSubStore {
    /// A page of all nodes of a service; at most `count_max`. A page may lie behind or before a name that is none of a node.
    ///
    /// # Errors
    /// The database's.
    pub async fn nodes(&self, service: &BareJid, page: &Request, count_max: usize) -> Result<NodesPage, StoreError> {
        self.list(&ALL, || service.as_str().into(), page, count_max).await
    }

    /// A page of the nodes that are in no collection: what a service's root collection node holds (XEP-0248 §4).
    ///
    /// # Errors
    /// The database's.
    pub async fn top_level(&self, service: &BareJid, page: &Request, count_max: usize) -> Result<NodesPage, StoreError> {
        self.list(&TOP_LEVEL, || service.as_str().into(), page, count_max).await
    }

    /// A page of the nodes that are in a collection.
    ///
    /// # Errors
    /// The database's.
    pub async fn children(&self, collection: &NodeAddress, page: &Request, count_max: usize) -> Result<NodesPage, StoreError> {
        match self.node_id(collection).await? {
            Some(id) => self.list(&CHILDREN, || id.into(), page, count_max).await,
            None => Ok(NodesPage::default()),
        }
    }

    async fn list<'v>(
        &self,
        listing: &'static Listing,
        of: impl Fn() -> Value<'v>,
        page: &Request,
        count_max: usize,
    ) -> Result<NodesPage, StoreError> {
        let read = |row: &Row| read_entry(row).map(|entry| (entry.node.clone(), entry));
        let Listed { entries: nodes, index, count } = listing.page(&self.database, of, page, count_max, read).await?;
        Ok(NodesPage { nodes, index, count })
    }

    /// Names of all nodes in a collection, for notifications and checks; at most `count_max`, in the order of names.
    ///
    /// # Errors
    /// The database's.
    pub async fn child_names(&self, collection: &NodeAddress, count_max: usize) -> Result<Vec<String>, StoreError> {
        let Some(id) = self.node_id(collection).await? else { return Ok(Vec::new()) };
        let rows = self.database.fetch_all("list a collection", CHILD_NAMES, &[id.into(), to_count(count_max).into()]).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// Where a deleted node's name sends to: §8.4.2.
    ///
    /// # Errors
    /// The database's.
    pub async fn redirect(&self, address: &NodeAddress) -> Result<Option<String>, StoreError> {
        let key = [address.service.as_str().into(), address.node.as_str().into()];
        self.database.fetch_optional("look up a deleted node", REDIRECT, &key).await?.map(|row| row.text(0)).transpose()
    }

    /// §5.6: subscriptions of an entity and its resources at a service, with their nodes' names, in the order of these.
    ///
    /// # Errors
    /// The database's.
    pub async fn subscriptions_of(&self, service: &BareJid, entity: &BareJid) -> Result<Vec<(String, Subscription)>, StoreError> {
        let values = [entity.as_str().into(), service.as_str().into()];
        let rows = self.database.fetch_all("list subscriptions", SUBSCRIPTIONS, &values).await?;
        rows.iter().map(|row| Ok((row.text(0)?, read_subscription(row, 1)?))).collect()
    }

    /// Subscriptions of an entity and its resources, wherever they are; `[limits]` bounds them.
    ///
    /// # Errors
    /// The database's.
    pub async fn subscriptions_everywhere(&self, entity: &BareJid) -> Result<Vec<(NodeAddress, Subscription)>, StoreError> {
        let rows = self.database.fetch_all("list subscriptions", EVERYWHERE, &[entity.as_str().into()]).await?;
        let of = |row: &Row| {
            Ok((NodeAddress { service: read_bare(row, 0, "pubsub_nodes.service")?, node: row.text(1)? }, read_subscription(row, 2)?))
        };
        rows.iter().map(of).collect()
    }

    /// §5.7: affiliations of an entity at a service, with their nodes' names, in the order of these.
    ///
    /// # Errors
    /// The database's.
    pub async fn affiliations_of(&self, service: &BareJid, entity: &BareJid) -> Result<Vec<(String, Affiliation)>, StoreError> {
        let values = [entity.as_str().into(), service.as_str().into()];
        let rows = self.database.fetch_all("list affiliations", AFFILIATIONS, &values).await?;
        rows.iter().map(|row| Ok((row.text(0)?, read_affiliation(row, 1)?))).collect()
    }

    /// Those of these nodes that are there, each with the id of its last item, if it has one.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_ids(&self, service: &BareJid, nodes: [&str; 4]) -> Result<BTreeMap<String, Option<String>>, StoreError> {
        let [one, two, three, four] = nodes.map(Value::from);
        let rows = self.database.fetch_all("look up nodes", LAST_IDS, &[service.as_str().into(), one, two, three, four]).await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.optional_text(1)?))).collect()
    }

    /// How many nodes of a service the entity owns.
    ///
    /// # Errors
    /// The database's.
    pub async fn owned(&self, service: &BareJid, owner: &BareJid) -> Result<usize, StoreError> {
        self.number(OWNED, &[owner.as_str().into(), service.as_str().into()]).await
    }

    /// How many nodes a service has.
    ///
    /// # Errors
    /// The database's.
    pub async fn node_count(&self, service: &BareJid) -> Result<usize, StoreError> {
        ALL.count(&self.database, service.as_str().into()).await
    }

    /// How many subscriptions an entity and its resources have, at all services.
    ///
    /// # Errors
    /// The database's.
    pub async fn subscription_count(&self, entity: &BareJid) -> Result<usize, StoreError> {
        self.number(SUBSCRIPTION_COUNT, &[entity.as_str().into()]).await
    }

    /// Pending subscriptions to nodes that the entity owns at a service (§8.7): names of the nodes, each once.
    ///
    /// # Errors
    /// The database's.
    pub async fn pending_at(&self, service: &BareJid, owner: &BareJid) -> Result<Vec<String>, StoreError> {
        let values = [owner.as_str().into(), service.as_str().into()];
        let rows = self.database.fetch_all("list nodes with pending subscriptions", PENDING, &values).await?;
        rows.iter().map(|row| row.text(0)).collect()
    }
}

fn read_entry(row: &Row) -> Result<NodeEntry, StoreError> {
    Ok(NodeEntry {
        node: row.text(0)?,
        kind: read_named(row, 1, "pubsub_nodes.kind", NodeKind::parse)?,
        title: row.text(2)?,
        access_model: read_named(row, 3, "pubsub_nodes.access_model", AccessModel::parse)?,
    })
}
