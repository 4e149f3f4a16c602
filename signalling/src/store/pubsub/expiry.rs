//! What has run out: items (`pubsub#item_expire`) and subscriptions (§12.19). It is shown here and goes by changes like any other.

use std::time::SystemTime;

use super::super::database::Row;
use super::super::{from_millis, to_millis};
use super::{NEVER, PubSubStore, StoreError, read_bare, read_jid, to_count};
use crate::jid::Jid;
use crate::pubsub::model::NodeAddress;

/// Items of one node that have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueItems {
    /// The node.
    pub address: NodeAddress,
    /// Their ids.
    pub ids: Vec<String>,
}

/// Subscriptions of one node that have expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSubscriptions {
    /// The node.
    pub address: NodeAddress,
    /// Each by its JID and subid.
    pub subscriptions: Vec<(Jid, String)>,
}

/// What has expired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Items, by node.
    pub items: Vec<DueItems>,
    /// Subscriptions, by node.
    pub subscriptions: Vec<DueSubscriptions>,
}

// The bound that is a number makes the index of what does expire usable.
const NEXT: &str = "SELECT CAST(COALESCE(MIN(expires_at), 9223372036854775807) AS BIGINT) FROM (
    SELECT MIN(expires_at) AS expires_at FROM pubsub_items WHERE expires_at < 9223372036854775807
    UNION ALL SELECT MIN(expires_at) FROM pubsub_subscriptions WHERE expires_at < 9223372036854775807) AS next";
const ITEMS: &str = "SELECT n.service, n.node, i.item FROM pubsub_items i JOIN pubsub_nodes n ON n.id = i.node_id
                     WHERE i.expires_at < 9223372036854775807 AND i.expires_at <= $1 ORDER BY i.expires_at LIMIT $2";
const SUBSCRIPTIONS: &str = "SELECT n.service, n.node, s.jid, s.subid FROM pubsub_subscriptions s JOIN pubsub_nodes n ON n.id = s.node_id
                             WHERE s.expires_at < 9223372036854775807 AND s.expires_at <= $1 ORDER BY s.expires_at LIMIT $2";

/// All that read a part of a table, for the test that none reads the whole.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 3] = [NEXT, ITEMS, SUBSCRIPTIONS];

impl PubSubStore {
    /// When the next item or subscription expires, if any does.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_expiry(&self) -> Result<Option<SystemTime>, StoreError> {
        let row = self.database.fetch_optional("find out what expires next", NEXT, &[]).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.filter(|next| *next != NEVER).map(from_millis))
    }

    /// What has expired until `now`: up to `count_max` items and as many subscriptions, those that expired first.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self, now: SystemTime, count_max: usize) -> Result<Due, StoreError> {
        let (doing, now, limit) = ("find out what has expired", to_millis(now), to_count(count_max));
        let mut due = Due::default();
        for row in self.database.fetch_all(doing, ITEMS, &[now.into(), limit.into()]).await? {
            let (address, id) = (read_address(&row)?, row.text(2)?);
            match due.items.iter_mut().find(|of| of.address == address) {
                Some(of) => of.ids.push(id),
                None => due.items.push(DueItems { address, ids: vec![id] }),
            }
        }
        for row in self.database.fetch_all(doing, SUBSCRIPTIONS, &[now.into(), limit.into()]).await? {
            let (address, key) = (read_address(&row)?, (read_jid(&row, 2, "pubsub_subscriptions.jid")?, row.text(3)?));
            match due.subscriptions.iter_mut().find(|of| of.address == address) {
                Some(of) => of.subscriptions.push(key),
                None => due.subscriptions.push(DueSubscriptions { address, subscriptions: vec![key] }),
            }
        }
        Ok(due)
    }
}

fn read_address(row: &Row) -> Result<NodeAddress, StoreError> {
    Ok(NodeAddress { service: read_bare(row, 0, "pubsub_nodes.service")?, node: row.text(1)? })
}
