//! What the server does to a node by its own hand: a step is decided within the node's turn, stored, and told.

use std::sync::Arc;

use super::change::Change;
use super::event::Notification;
use super::homes::{Held, NodeHome};
use super::model::{Node, NodeAddress};
use super::service::PubSub;
use crate::store::StoreError;
use crate::time::now;

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
        let steps = [(held, step)];
        let evicted = self.commit(&steps).await?.pop().unwrap_or_default();
        let [(held, Step { changes, notifications })] = steps;
        let told = self.take_over(held, &changes, notifications, &evicted, now()).await;
        self.send(&held.home, told);
        Ok(())
    }

    /// Stores steps that belong together, all or none; the caller holds the nodes. Gives the items of each that went for `max_items`.
    pub(super) async fn commit(&self, steps: &[(&Held, Step)]) -> Result<Vec<Vec<String>>, StoreError> {
        let changing = steps.iter().filter(|(_, step)| !step.changes.is_empty());
        let commands: Vec<_> = changing.map(|(held, step)| (held.home.address.clone(), step.changes.clone())).collect();
        if commands.is_empty() {
            return Ok(vec![Vec::new(); steps.len()]);
        }
        let committed = self.store.commit_all(commands).await.inspect_err(|error| {
            // Unless it says that nothing is stored, what became of it is for the database to know: memory asks again.
            if !is_refusal(error) {
                steps.iter().for_each(|(held, _)| held.home.forget());
            }
        })?;
        let mut committed = committed.into_iter();
        let evicted = |step: &Step| if step.changes.is_empty() { Vec::new() } else { committed.next().unwrap_or_default().evicted };
        Ok(steps.iter().map(|(_, step)| step).map(evicted).collect())
    }
}

/// Errors by which the store says that nothing was stored.
fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NodeExists { .. }
            | StoreError::NoSuchNode { .. }
            | StoreError::NoSuchAccount(_)
            | StoreError::TooLong { .. }
            | StoreError::Full
    )
}
