//! What has run out: items (`pubsub#item_expire`) and subscriptions (§12.19). It is shown here and goes by changes like any other.

use std::time::SystemTime;

use super::{PubSubStore, StoreError};
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

impl PubSubStore {
    /// When the next item or subscription expires, if any does.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_expiry(&self) -> Result<Option<SystemTime>, StoreError> {
        todo!()
    }

    /// What has expired until `now`: up to `count_max` items and as many subscriptions, those that expired first.
    ///
    /// # Errors
    /// The database's.
    pub async fn due(&self, now: SystemTime, count_max: usize) -> Result<Due, StoreError> {
        todo!()
    }
}
