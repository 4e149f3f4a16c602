//! Lists: nodes for service discovery (XEP-0060 §5.2, §5.5), an entity's subscriptions and affiliations (§5.6, §5.7), and the numbers that limits
//! look at.

use super::{PubSubStore, StoreError};
use crate::jid::BareJid;
use crate::pubsub::config::AccessModel;
use crate::pubsub::model::{Affiliation, NodeAddress, NodeKind, Subscription};
use crate::rsm;

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

impl PubSubStore {
    /// A page of all nodes of a service; at most `count_max`.
    ///
    /// # Errors
    /// The database's.
    pub async fn nodes(&self, service: &BareJid, page: &rsm::Request, count_max: usize) -> Result<NodesPage, StoreError> {
        todo!()
    }

    /// A page of the nodes that are in no collection: what a service's root collection node holds (XEP-0248 §4).
    ///
    /// # Errors
    /// The database's.
    pub async fn top_level(&self, service: &BareJid, page: &rsm::Request, count_max: usize) -> Result<NodesPage, StoreError> {
        todo!()
    }

    /// A page of the nodes that are in a collection.
    ///
    /// # Errors
    /// The database's.
    pub async fn children(&self, collection: &NodeAddress, page: &rsm::Request, count_max: usize) -> Result<NodesPage, StoreError> {
        todo!()
    }

    /// Names of all nodes in a collection, for notifications and checks; at most `count_max`, in the order of names.
    ///
    /// # Errors
    /// The database's.
    pub async fn child_names(&self, collection: &NodeAddress, count_max: usize) -> Result<Vec<String>, StoreError> {
        todo!()
    }

    /// Where a deleted node's name sends to: §8.4.2.
    ///
    /// # Errors
    /// The database's.
    pub async fn redirect(&self, address: &NodeAddress) -> Result<Option<String>, StoreError> {
        todo!()
    }

    /// §5.6: subscriptions of an entity and its resources at a service, with their nodes' names, in the order of these.
    ///
    /// # Errors
    /// The database's.
    pub async fn subscriptions_of(&self, service: &BareJid, entity: &BareJid) -> Result<Vec<(String, Subscription)>, StoreError> {
        todo!()
    }

    /// §5.7: affiliations of an entity at a service, with their nodes' names, in the order of these.
    ///
    /// # Errors
    /// The database's.
    pub async fn affiliations_of(&self, service: &BareJid, entity: &BareJid) -> Result<Vec<(String, Affiliation)>, StoreError> {
        todo!()
    }

    /// How many nodes of a service the entity owns.
    ///
    /// # Errors
    /// The database's.
    pub async fn owned(&self, service: &BareJid, owner: &BareJid) -> Result<usize, StoreError> {
        todo!()
    }

    /// How many nodes a service has.
    ///
    /// # Errors
    /// The database's.
    pub async fn node_count(&self, service: &BareJid) -> Result<usize, StoreError> {
        todo!()
    }

    /// How many subscriptions an entity and its resources have, at all services.
    ///
    /// # Errors
    /// The database's.
    pub async fn subscription_count(&self, entity: &BareJid) -> Result<usize, StoreError> {
        todo!()
    }

    /// Pending subscriptions to nodes that the entity owns at a service (§8.7): names of the nodes, each once.
    ///
    /// # Errors
    /// The database's.
    pub async fn pending_at(&self, service: &BareJid, owner: &BareJid) -> Result<Vec<String>, StoreError> {
        todo!()
    }
}
