//! Reading items: XEP-0060 §6.5, in the order of their publication; items that have expired are not there.

use std::time::SystemTime;

use super::{PubSubStore, StoreError};
use crate::jid::Jid;
use crate::pubsub::model::{Item, NodeAddress};
use crate::rsm;

/// Which items are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemsQuery {
    /// §6.5.8: those of these ids that are there, in the order of publication.
    ByIds(Vec<String>),
    /// §6.5.7: the newest so many.
    Newest(usize),
    /// §6.5.4: a page. Without [`rsm::Request::max`], as many as `count_max` and `bytes_max` allow.
    Page(rsm::Request),
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
        todo!()
    }

    /// Who published those of these items that are there.
    ///
    /// # Errors
    /// The database's.
    pub async fn item_facts(&self, address: &NodeAddress, ids: &[String], now: SystemTime) -> Result<Vec<ItemFact>, StoreError> {
        todo!()
    }

    /// How many items the node has.
    ///
    /// # Errors
    /// The database's.
    pub async fn item_count(&self, address: &NodeAddress, now: SystemTime) -> Result<usize, StoreError> {
        todo!()
    }
}
