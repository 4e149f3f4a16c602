//! A node whole, but for its items.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::super::database::Row;
use super::super::{from_millis, to_millis};
use super::{PubSubStore, StoreError, items, read_bare, read_jid, read_named};
use crate::pubsub::config::NodeConfig;
use crate::pubsub::model::{Affiliation, Node, NodeAddress, NodeKind, ServiceKind, Subscription, SubscriptionState};
use crate::pubsub::options::SubscribeOptions;

const NODE: &str = "SELECT id, account, kind, creator, created_at, config FROM pubsub_nodes WHERE service = $1 AND node = $2";
const COLLECTIONS: &str = "SELECT n.node FROM pubsub_collections c JOIN pubsub_nodes n ON n.id = c.collection_id
                           WHERE c.node_id = $1 ORDER BY c.position";
const AFFILIATIONS: &str = "SELECT jid, affiliation FROM pubsub_affiliations WHERE node_id = $1";
const SUBSCRIPTIONS: &str = "SELECT jid, subid, state, options FROM pubsub_subscriptions WHERE node_id = $1";
const LAST: &str = "SELECT seq, item, publisher, published_at, payload FROM pubsub_items
                    WHERE node_id = $1 AND expires_at > $2 ORDER BY seq DESC LIMIT 1";

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 5] = [NODE, COLLECTIONS, AFFILIATIONS, SUBSCRIPTIONS, LAST];

impl PubSubStore {
    /// The node with its last item that has not expired; `None` if there is none of this address.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, address: &NodeAddress, now: SystemTime) -> Result<Option<Node>, StoreError> {
        let doing = "load a node";
        let key = [address.service.as_str().into(), address.node.as_str().into()];
        let Some(row) = self.database.fetch_optional(doing, NODE, &key).await? else { return Ok(None) };
        let id = row.int(0)?;
        let kind = read_named(&row, 2, "pubsub_nodes.kind", NodeKind::parse)?;
        let mut node = Node {
            address: address.clone(),
            service: if row.is_null(1)? { ServiceKind::Host } else { ServiceKind::Pep },
            kind,
            creator: read_bare(&row, 3, "pubsub_nodes.creator")?,
            created_at: from_millis(row.int(4)?),
            config: read_config(&row, 5, kind)?,
            affiliations: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            last_item: None,
        };
        for row in self.database.fetch_all(doing, COLLECTIONS, &[id.into()]).await? {
            node.config.collection.push(row.text(0)?);
        }
        for row in self.database.fetch_all(doing, AFFILIATIONS, &[id.into()]).await? {
            node.affiliations.insert(read_bare(&row, 0, "pubsub_affiliations.jid")?, read_affiliation(&row, 1)?);
        }
        for row in self.database.fetch_all(doing, SUBSCRIPTIONS, &[id.into()]).await? {
            let subscription = read_subscription(&row, 0)?;
            node.subscriptions.insert((subscription.jid.clone(), subscription.subid.clone()), subscription);
        }
        let last = self.database.fetch_optional(doing, LAST, &[id.into(), to_millis(now).into()]).await?;
        node.last_item = last.map(|row| items::read(&row, 1)).transpose()?;
        Ok(Some(node))
    }
}

/// A column with a configuration; collections are kept elsewhere.
pub(super) fn read_config(row: &Row, column: usize, kind: NodeKind) -> Result<NodeConfig, StoreError> {
    let config = NodeConfig::from_stored(&row.text(column)?, kind);
    config.map_err(|cause| StoreError::Corrupt { place: "pubsub_nodes.config", cause: cause.to_string() })
}

pub(super) fn read_affiliation(row: &Row, column: usize) -> Result<Affiliation, StoreError> {
    read_named(row, column, "pubsub_affiliations.affiliation", Affiliation::parse)
}

/// JID, subid, state and options, from this column on.
pub(super) fn read_subscription(row: &Row, column: usize) -> Result<Subscription, StoreError> {
    let options = SubscribeOptions::from_stored(&row.text(column + 3)?);
    Ok(Subscription {
        jid: read_jid(row, column, "pubsub_subscriptions.jid")?,
        subid: row.text(column + 1)?,
        state: read_named(row, column + 2, "pubsub_subscriptions.state", SubscriptionState::parse)?,
        options: options.map_err(|cause| StoreError::Corrupt { place: "pubsub_subscriptions.options", cause: cause.to_string() })?,
    })
}
