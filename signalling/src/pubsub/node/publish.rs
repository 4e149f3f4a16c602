//! XEP-0060 §7.1: publication, to a node that is there and to one that is not there yet.

use std::time::Duration;

use super::{Outcome, create};
use crate::forms::Form;
use crate::ns;
use crate::pubsub::access;
use crate::pubsub::change::Change;
use crate::pubsub::config::NodeFull;
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Item, Node, NodeKind};
use crate::pubsub::reply::{self, Reply};
use crate::pubsub::request::NewItem;
use crate::stanza::error::StanzaError;

pub(super) fn publish(
    node: Option<&Node>,
    name: Option<&str>,
    items: &[NewItem],
    options: Option<&Form>,
    context: &Context<'_>,
) -> Result<Outcome, StanzaError> {
    let Some(node) = node else {
        // §7.1.4.
        let created = create::for_publication(name, options, context)?;
        let mut outcome = published(&created.node, items, context)?;
        outcome.changes.insert(0, Change::Create(Box::new(created.node)));
        outcome.notifications.splice(0..0, created.notifications);
        outcome.others = created.others;
        return Ok(outcome);
    };
    // §7.1.3.2.
    if node.kind == NodeKind::Collection {
        return Err(error::unsupported("publish"));
    }
    access::may_publish(node, context.requester, context.relation)?;
    if let Some(options) = options {
        node.config.check_options(options, context.limits)?;
    }
    published(node, items, context)
}

fn published(node: &Node, items: &[NewItem], context: &Context<'_>) -> Result<Outcome, StanzaError> {
    if node.kind == NodeKind::Collection {
        return Err(error::unsupported("publish"));
    }
    check_type(node, items)?;
    check_payloads(node, items, context)?;
    check_room(node, items, context)?;
    let config = &node.config;
    let items: Vec<_> = items
        .iter()
        .map(|item| Item {
            id: item.id.clone().unwrap_or_else(|| (context.fresh_id)()),
            publisher: context.requester.clone(),
            published_at: context.now,
            payload: item.payload.clone(),
        })
        .collect();
    let name = &node.address.node;
    let reply = reply::pubsub(ns::PUBSUB, |out| {
        out.open("publish").attr("node", name);
        for item in &items {
            out.open("item").attr("id", &item.id).close();
        }
        out.close();
    });
    let mut outcome = Outcome::new(name, Reply::Payload(reply));
    if config.deliver_notifications {
        let shown = items.iter().map(|item| node.shown(item)).collect();
        let kind = EventKind::Published { items: shown, publisher: context.requester.clone() };
        outcome.notifications.push(Notification { event: node.event(kind), audience: Audience::Subscribers });
    }
    if !items.is_empty() {
        let lifetime = config.item_expire_s().map(Duration::from_secs);
        outcome.changes.push(Change::Publish {
            items,
            persist: config.persist_items,
            max_items: usize::try_from(config.max_items(context.limits)).unwrap_or(usize::MAX),
            expires_at: lifetime.and_then(|lifetime| context.now.checked_add(lifetime)),
        });
    }
    Ok(outcome)
}

/// §4.3, §7.1.3.7: whether the request is of the kind that the node is configured for.
fn check_type(node: &Node, items: &[NewItem]) -> Result<(), StanzaError> {
    let without_payload = items.iter().any(|item| item.payload.is_none());
    match (node.config.persist_items, node.config.deliver_payloads) {
        (true, _) if items.is_empty() => Err(error::item_required()),
        (false, true) if items.is_empty() => Err(error::payload_required()),
        (_, true) if without_payload => Err(error::payload_required()),
        (false, false) if !items.is_empty() => Err(error::item_forbidden()),
        _ => Ok(()),
    }
}

/// §7.1.3.5, §7.1.3.6.
fn check_payloads(node: &Node, items: &[NewItem], context: &Context<'_>) -> Result<(), StanzaError> {
    let size_max = node.config.max_payload_size.min(context.limits.payload_bytes);
    for item in items {
        let Some(payload) = &item.payload else { continue };
        if payload.len() as u64 > size_max {
            return Err(error::payload_too_big());
        }
        if !is_payload_of(&node.config.type_, &item.payload_ns) {
            return Err(error::invalid_payload());
        }
    }
    Ok(())
}

/// Whether payloads of this namespace belong to a node of this type (`pubsub#type`): it is the namespace itself, but where the type is one of
/// those that say what Atom entries (RFC 4287) are used for, XEP-0277 and XEP-0472.
fn is_payload_of(type_: &str, ns: &str) -> bool {
    let of_atom = type_ == "urn:xmpp:microblog:0" || type_.starts_with("urn:xmpp:pubsub-social-feed:");
    type_.is_empty() || type_ == ns || of_atom && ns == ns::ATOM
}

/// §7.1.2.5, §7.1.3.4, §12.11, and whose items these would replace.
fn check_room(node: &Node, items: &[NewItem], context: &Context<'_>) -> Result<(), StanzaError> {
    let facts = context.facts;
    let existing = || items.iter().filter_map(|item| facts.publishers.get(item.id.as_ref()?));
    if !access::may_overwrite(node, context.requester, context.relation)
        && existing().any(|publisher| publisher.bare_str() != context.requester.bare_str())
    {
        return Err(StanzaError::forbidden());
    }
    if !node.config.persist_items {
        return Ok(());
    }
    let max = node.config.max_items(context.limits);
    if items.len() as u64 > max {
        return Err(error::max_items_exceeded());
    }
    let new = (items.len() - existing().count()) as u64;
    if node.config.publish_node_full == NodeFull::Reject && facts.count.saturating_add(new) > max && new > 0 {
        return Err(error::node_full());
    }
    Ok(())
}
