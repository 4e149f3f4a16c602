//! What a command changes, in one transaction.

use super::{PubSubStore, StoreError};
use crate::pubsub::change::Change;
use crate::pubsub::model::NodeAddress;

/// What came of the changes of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Ids of items that went to make room (`max_items`), or because the new configuration does not keep them, the oldest first.
    pub evicted: Vec<String>,
}

impl PubSubStore {
    /// Applies the changes of one command to one node, all or none.
    ///
    /// # Errors
    /// [`StoreError::NoSuchNode`] if the node, or a collection it is to be in, is not there; [`StoreError::NodeExists`];
    /// [`StoreError::NoSuchAccount`] if an account without existence is to have a node; or the database's.
    pub async fn commit(&self, address: &NodeAddress, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let committed = self.commit_all(vec![(address.clone(), changes)]).await?;
        Ok(committed.into_iter().next().unwrap_or_default())
    }

    /// The same for several nodes, in this order, all or none.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    pub async fn commit_all(&self, commands: Vec<(NodeAddress, Vec<Change>)>) -> Result<Vec<Committed>, StoreError> {
        todo!()
    }
}
