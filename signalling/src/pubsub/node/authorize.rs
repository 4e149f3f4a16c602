//! XEP-0060 §8.6 and §8.7: subscriptions that an owner has to approve. All owners are asked, the first answer counts (§12.13).

use super::{Outcome, must_own};
use crate::jid::Jid;
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Node, SubscriptionState};
use crate::pubsub::reply::Reply;
use crate::stanza::error::StanzaError;

/// Requests that an owner is sent again at once; there will be others when these are decided.
const PENDING_MAX: usize = 256;

/// §8.6: an owner has decided.
pub(super) fn decide(node: &Node, jid: &Jid, subid: Option<&str>, allow: bool, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let pending = super::subscribe::of_jid(node, jid)
        .find(|pending| pending.state == SubscriptionState::Pending && subid.is_none_or(|subid| pending.subid == subid))
        .ok_or_else(error::not_subscribed)?;
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    if allow {
        let (change, notifications) = node.approve(pending, context);
        outcome.changes.push(change);
        outcome.notifications = notifications;
    } else {
        (outcome.changes, outcome.notifications) = node.end_subscription(pending);
    }
    Ok(outcome)
}

/// §8.7.4.
pub(super) fn pending(node: &Node, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    let pending = node.subscriptions.values().filter(|subscription| subscription.state == SubscriptionState::Pending);
    outcome.notifications = pending
        .take(PENDING_MAX)
        .map(|pending| {
            let kind = EventKind::AuthorizationRequest { jid: pending.jid.clone(), subid: pending.subid.clone() };
            Notification { event: node.event(kind), audience: Audience::These(super::these(vec![context.requester.to_bare().into()])) }
        })
        .collect();
    Ok(outcome)
}
