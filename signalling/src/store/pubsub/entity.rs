//! What goes with an account.

use super::super::database::Tx;
use super::{PubSubStore, StoreError, read_bare};
use crate::jid::BareJid;
use crate::pubsub::model::NodeAddress;

const NODES: &str = "DELETE FROM pubsub_nodes WHERE service = $1";
const REDIRECTS: &str = "DELETE FROM pubsub_redirects WHERE service = $1";
const OWNED: &str = "DELETE FROM pubsub_nodes
    WHERE id IN (SELECT node_id FROM pubsub_affiliations WHERE jid = $1 AND affiliation = 'owner')
        AND NOT EXISTS (SELECT 1 FROM pubsub_affiliations o WHERE o.node_id = pubsub_nodes.id AND o.affiliation = 'owner' AND o.jid <> $1)";
// What it has made and others own counts for one of them from now on.
const HELD: &str = "UPDATE pubsub_nodes SET holder =
        (SELECT MIN(o.jid) FROM pubsub_affiliations o WHERE o.node_id = pubsub_nodes.id AND o.affiliation = 'owner' AND o.jid <> $1)
    WHERE holder = $1";
const AFFILIATIONS: &str = "DELETE FROM pubsub_affiliations WHERE jid = $1";
const SUBSCRIPTIONS: &str = "DELETE FROM pubsub_subscriptions WHERE bare = $1";
const WITH: &str = "SELECT n.service, n.node FROM pubsub_nodes n
    WHERE n.id IN (SELECT node_id FROM pubsub_affiliations WHERE jid = $1 UNION SELECT node_id FROM pubsub_subscriptions WHERE bare = $1)
    ORDER BY n.service, n.node";

/// What goes, in this order.
const OF_AN_ENTITY: [&str; 6] = [NODES, REDIRECTS, OWNED, HELD, AFFILIATIONS, SUBSCRIPTIONS];

/// All that look rows up, for the test that none reads a whole table.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 7] = [NODES, REDIRECTS, OWNED, HELD, AFFILIATIONS, SUBSCRIPTIONS, WITH];

/// Part of the transaction that removes an account: its own nodes, nodes elsewhere that have no other owner, its affiliations and subscriptions. An
/// account of the same name that comes later inherits nothing.
pub(in super::super) async fn remove(tx: &mut Tx, entity: &BareJid) -> Result<(), StoreError> {
    tx.remove_of(entity, &OF_AN_ENTITY).await
}

impl PubSubStore {
    /// Removes once more what an account that is gone has at nodes: what its sessions have stored while they ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_again(&self, entity: &BareJid) -> Result<(), StoreError> {
        self.database.remove_again("remove what an entity has at nodes", entity, &OF_AN_ENTITY).await
    }

    /// Nodes where this entity has an affiliation or a subscription: before its account is removed, to forget them in memory.
    ///
    /// # Errors
    /// The database's.
    pub async fn nodes_with(&self, entity: &BareJid) -> Result<Vec<NodeAddress>, StoreError> {
        let rows = self.database.fetch_all("list nodes of an entity", WITH, &[entity.as_str().into()]).await?;
        rows.iter().map(|row| Ok(NodeAddress { service: read_bare(row, 0, "pubsub_nodes.service")?, node: row.text(1)? })).collect()
    }
}
