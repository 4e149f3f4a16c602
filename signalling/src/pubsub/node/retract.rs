//! XEP-0060 §7.2 and §8.5: items that go, some or all.

use super::{Outcome, must_own};
use crate::pubsub::access;
use crate::pubsub::change::Change;
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Node, NodeKind};
use crate::pubsub::reply::Reply;
use crate::stanza::error::StanzaError;

/// §7.2; all of the items or none (§12.11).
pub(super) fn retract(node: &Node, ids: &[String], notify: Option<bool>, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    check_persistent(node)?;
    // Who could not have published anything learns nothing of what is there.
    let insider = access::may_publish(node, context.requester, context.relation).is_ok();
    for id in ids {
        match context.facts.publishers.get(id) {
            Some(publisher) if access::may_retract(node, context.requester, context.relation, publisher) => {}
            None if insider => return Err(StanzaError::item_not_found()),
            _ => return Err(StanzaError::forbidden()),
        }
    }
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    outcome.changes.push(Change::Retract(ids.to_vec()));
    if node.config.deliver_notifications && notify.unwrap_or(node.config.notify_retract) {
        outcome.notifications.push(node.retracted(ids));
    }
    Ok(outcome)
}

/// §8.5: one notification for all items.
pub(super) fn purge(node: &Node, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    check_persistent(node)?;
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    (outcome.changes, outcome.notifications) = node.purge();
    Ok(outcome)
}

/// §7.2.3.5, §8.5.3.3.
fn check_persistent(node: &Node) -> Result<(), StanzaError> {
    if node.kind == NodeKind::Collection || !node.config.persist_items { Err(error::unsupported("persistent-items")) } else { Ok(()) }
}

impl Node {
    /// That items are gone.
    fn retracted(&self, ids: &[String]) -> Notification {
        Notification { event: self.event(EventKind::Retracted { ids: ids.to_vec() }), audience: Audience::Subscribers }
    }

    /// All items go: an owner wants it, or their publisher went offline (`pubsub#purge_offline`).
    #[must_use]
    pub fn purge(&self) -> (Vec<Change>, Vec<Notification>) {
        let told = self.config.deliver_notifications && self.config.notify_retract;
        let notification = Notification { event: self.event(EventKind::Purged), audience: Audience::Subscribers };
        (vec![Change::Purge], Some(notification).filter(|_| told).into_iter().collect())
    }

    /// What is told of items that have expired (`pubsub#item_expire`).
    #[must_use]
    pub fn expired(&self, ids: &[String]) -> Option<Notification> {
        let told = self.config.deliver_notifications && self.config.notify_retract && !ids.is_empty();
        told.then(|| self.retracted(ids))
    }

    /// What is told of items that had to go for newer ones, once the store has said which (`pubsub#publish_node_full`).
    #[must_use]
    pub fn evicted(&self, ids: &[String]) -> Option<Notification> {
        let told = self.config.publish_node_full == crate::pubsub::config::NodeFull::RetractOldest;
        self.expired(ids).filter(|_| told)
    }
}
