//! A node whole, but for its items.

use std::time::SystemTime;

use super::{PubSubStore, StoreError};
use crate::pubsub::model::{Node, NodeAddress};

impl PubSubStore {
    /// The node with its last item that has not expired; `None` if there is none of this address.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, address: &NodeAddress, now: SystemTime) -> Result<Option<Node>, StoreError> {
        todo!()
    }
}
