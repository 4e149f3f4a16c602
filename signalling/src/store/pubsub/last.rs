//! Last items for whoever comes online: XEP-0060 §7.1 (`send_last_published_item`), XEP-0163 §4.3.4. Few statements for all contacts and nodes.

use std::time::SystemTime;

use super::{PubSubStore, StoreError};
use crate::jid::BareJid;
use crate::pubsub::config::NodeConfig;
use crate::pubsub::model::{Affiliation, Item, NodeAddress, Subscription};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) String, pub(super) String, pub(super) String, pub(super) String);

/// Some last items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastItems {
    /// In the order of services and names.
    pub items: Vec<LastItem>,
    /// There may be more.
    pub next: Option<Cursor>,
}

impl PubSubStore {
    /// For `account` coming online: the last items of PEP nodes named in `interests` of all contacts on this server that show it their presence. About
    /// `bytes_max` bytes of payloads at a time.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of_contacts(
        &self,
        account: &BareJid,
        interests: &[String],
        now: SystemTime,
        after: Option<&Cursor>,
        bytes_max: usize,
    ) -> Result<LastItems, StoreError> {
        todo!()
    }

    /// For `viewer` coming online (or the owner itself): the last items of the nodes named in `interests` of one account.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_items_of(
        &self,
        service: &BareJid,
        viewer: &BareJid,
        interests: &[String],
        now: SystemTime,
    ) -> Result<LastItems, StoreError> {
        todo!()
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
        todo!()
    }
}
