//! What the server does to a node by its own hand: a step is decided within the node's turn, stored, and told.

use std::sync::Arc;

use super::change::Change;
use super::event::Notification;
use super::homes::{Held, NodeHome};
use super::model::{Node, NodeAddress};
use super::service::{PubSub, is_refusal, now};
use crate::store::StoreError;

/// What the server does to a node.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub changes: Vec<Change>,
    pub notifications: Vec<Notification>,
}

impl From<(Vec<Change>, Vec<Notification>)> for Step {
    fn from((changes, notifications): (Vec<Change>, Vec<Notification>)) -> Self {
        Self { changes, notifications }
    }
}

impl FromIterator<Step> for Step {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        let mut all = Self::default();
        for step in steps {
            all.changes.extend(step.changes);
            all.notifications.extend(step.notifications);
        }
        all
    }
}

/// These items are gone.
pub(super) fn retracted(node: &Node, ids: Vec<String>) -> Step {
    if ids.is_empty() {
        return Step::default();
    }
    Step { notifications: node.expired(&ids).into_iter().collect(), changes: vec![Change::Retract(ids)] }
}

impl PubSub {
    /// Changes a node by the server's own hand: `decide` sees the node, within its turn.
    pub(super) async fn change(
        self: &Arc<Self>,
        address: &NodeAddress,
        decide: impl FnOnce(&NodeHome, &Node) -> Step,
    ) -> Result<(), StoreError> {
        let held = self.hold_with_room(address).await?;
        let Some(node) = held.home.node() else { return Ok(()) };
        let step = decide(&held.home, &node);
        drop(node);
        self.take_step(&held, step).await
    }

    /// The turn of a node that has room for more notifications.
    pub(super) async fn hold_with_room(&self, address: &NodeAddress) -> Result<Held, StoreError> {
        loop {
            let held = self.nodes.hold(address, &self.store, now()).await?;
            if !held.home.outbox.is_full() {
                return Ok(held);
            }
            let home = held.home.clone();
            drop(held);
            home.outbox.room().await;
        }
    }

    /// Stores what the server does to a node, and tells of it.
    pub(super) async fn take_step(self: &Arc<Self>, held: &Held, step: Step) -> Result<(), StoreError> {
        let Step { changes, notifications } = step;
        let mut evicted = Vec::new();
        if !changes.is_empty() {
            let committed = self.store.commit(&held.home.address, changes.clone()).await;
            // What became of it is for the database to know.
            evicted = committed
                .inspect_err(|error| {
                    if !is_refusal(error) {
                        held.home.forget()
                    }
                })?
                .evicted;
        }
        let told = self.take_over(held, &changes, notifications, &evicted, now()).await;
        self.send(&held.home, told);
        Ok(())
    }
}
