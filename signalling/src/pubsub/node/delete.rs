//! XEP-0060 §8.4, XEP-0248 §7.4: deletion.

use super::{Outcome, graph, must_own};
use crate::pubsub::change::Change;
use crate::pubsub::context::Context;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::Node;
use crate::pubsub::reply::Reply;
use crate::stanza::error::StanzaError;

pub(super) fn delete(node: &Node, redirect: Option<&String>, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    if node.address.node == graph::ROOT {
        return Err(StanzaError::not_allowed());
    }
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    outcome.changes.push(Change::Delete { redirect: redirect.cloned() });
    if node.config.notify_delete {
        let event = node.event(EventKind::Deleted { redirect: redirect.cloned() });
        outcome.notifications.push(Notification { event, audience: Audience::Subscribers });
    }
    Ok(outcome)
}
