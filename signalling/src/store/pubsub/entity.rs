//! What goes with an account.

use super::super::database::Tx;
use super::{PubSubStore, StoreError};
use crate::jid::BareJid;
use crate::pubsub::model::NodeAddress;

/// Part of the transaction that removes an account: its own nodes, nodes elsewhere that have no other owner, its affiliations and subscriptions.
pub(in super::super) async fn remove(tx: &mut Tx, entity: &BareJid) -> Result<(), StoreError> {
    todo!()
}

impl PubSubStore {
    /// Nodes that have an affiliation or a subscription of this entity: before its account is removed, to forget them in memory.
    ///
    /// # Errors
    /// The database's.
    pub async fn nodes_with(&self, entity: &BareJid) -> Result<Vec<NodeAddress>, StoreError> {
        todo!()
    }
}
