//! XEP-0060 §6.5: retrieval of items.

use super::Outcome;
use crate::pubsub::access;
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::model::{Node, NodeKind, SubscriptionState};
use crate::pubsub::reply::{self, NodeItems, Reply};
use crate::pubsub::request::ItemsRequest;
use crate::stanza::error::StanzaError;

/// Decides whether the requester may have them; the store has them.
pub(super) fn retrieve(node: &Node, request: &ItemsRequest, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    access::may_retrieve(node, context.requester, context.relation)?;
    check_subid(node, request, context)?;
    let name = &node.address.node;
    if node.kind == NodeKind::Collection || node.config.persist_items {
        return Ok(Outcome::new(name, Reply::Items(request.clone())));
    }
    // §6.5.9.4; §6.5.5 where there may be a last item.
    if !node.config.deliver_payloads {
        return Err(error::unsupported("persistent-items"));
    }
    let last = node.last_item_at(context.now).filter(|last| request.ids.is_empty() || request.ids.contains(&last.id));
    let items = NodeItems { node, items: last.map(std::slice::from_ref).unwrap_or_default() };
    Ok(Outcome::new(name, Reply::Payload(reply::items(&[items], None))))
}

/// §6.5.9.1, §6.5.9.2: who has several subscriptions says which one it means.
fn check_subid(node: &Node, request: &ItemsRequest, context: &Context<'_>) -> Result<(), StanzaError> {
    let account = context.requester.to_bare();
    let mut own = node
        .subscriptions_of(&account)
        .filter(|own| own.state == SubscriptionState::Subscribed && (own.jid.is_bare() || own.jid == *context.requester));
    match &request.subid {
        None if own.nth(1).is_some() => Err(error::subid_required()),
        None => Ok(()),
        Some(subid) => match own.next() {
            // It is not subscribed, so that there is nothing to mean.
            None => Ok(()),
            Some(first) if first.subid == *subid || own.any(|own| own.subid == *subid) => Ok(()),
            Some(_) => Err(error::invalid_subid()),
        },
    }
}
