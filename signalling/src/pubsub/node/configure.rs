//! XEP-0060 §8.2 and §8.3, XEP-0248 §7.2: configuration, and what it does to those whom it lets in or keeps out.

use super::{Outcome, collection, graph, must_own, owner_reply};
use crate::forms::{Form, FormType};
use crate::pubsub::access::{self, Grant};
use crate::pubsub::change::Change;
use crate::pubsub::config::{NodeConfig, Submitted};
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Node, NodeKind, SubscriptionState};
use crate::pubsub::reply::Reply;
use crate::stanza::error::StanzaError;

/// §8.2.1.
pub(super) fn form(node: &Node, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let name = &node.address.node;
    let children = context.facts.children.get(name).map(Vec::as_slice).unwrap_or_default();
    let reply = owner_reply(|out| {
        out.open("configure").attr("node", name).raw(&node.config.form(children, context.limits)).close();
    });
    Ok(Outcome::new(name, reply))
}

/// §8.3, XEP-0248 §7.3.
pub(super) fn default(collection: bool, context: &Context<'_>) -> Outcome {
    let kind = if collection { NodeKind::Collection } else { NodeKind::Leaf };
    let form = NodeConfig::default_for(context.kind, kind).form(&[], context.limits);
    Outcome::new(
        "",
        owner_reply(|out| {
            out.open("default").raw(&form).close();
        }),
    )
}

/// §8.2.4.
pub(super) fn configure(node: &Node, form: &Form, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let name = &node.address.node;
    let mut outcome = Outcome::new(name, Reply::Empty);
    if name == graph::ROOT {
        // XEP-0248 §8.1: nobody configures the root node.
        return Err(StanzaError::not_allowed());
    }
    if form.type_ == FormType::Cancel {
        return Ok(outcome);
    }
    let Submitted { config, children } = node.config.submit(form, context.limits)?;
    // XEP-0248 §7.2.3.4: a collection stays one.
    if node.kind == NodeKind::Collection && config.node_type == NodeKind::Leaf {
        return Err(error::invalid_graph());
    }
    let placement = collection::place(name, Some(node), &config, children.as_deref(), context)?;
    let changed = config != node.config;
    if !changed && placement.is_empty() {
        return Ok(outcome);
    }
    // Subscriptions aside, which are looked at one by one.
    let after = Node { config, kind: node.kind, subscriptions: std::collections::BTreeMap::new(), ..node.shallow() };
    if changed {
        if node.kind == NodeKind::Leaf && after.config.node_type == NodeKind::Collection {
            // XEP-0248 §7.2.4: a collection has no items.
            outcome.changes.push(Change::Purge);
        }
        outcome.changes.push(Change::Configure(Box::new(after.config.clone())));
        if after.config.notify_config {
            let form = after.config.deliver_payloads.then(|| after.config.result(context.limits));
            let event = after.event(EventKind::Configured { form });
            outcome.notifications.push(Notification { event, audience: Audience::Subscribers });
        }
    }
    outcome.notifications.extend(placement.notifications(&after));
    outcome.others = placement.others;
    if after.config.access_model != node.config.access_model || after.config.roster_groups_allowed != node.config.roster_groups_allowed {
        let_in_or_out(node, &after, context, &mut outcome);
    }
    Ok(outcome)
}

/// §12.14, §14.3: who may not be a subscriber any more is none; who waited for approval is let in if none is needed any more.
fn let_in_or_out(before: &Node, after: &Node, context: &Context<'_>, outcome: &mut Outcome) {
    for subscription in before.subscriptions.values() {
        let account = subscription.jid.to_bare();
        let relation = Node::relation(context, &account);
        let pending = subscription.state == SubscriptionState::Pending;
        if !access::may_receive(after, &account, &relation) {
            let (changes, notifications) = after.end_subscription(subscription);
            outcome.changes.extend(changes);
            outcome.notifications.extend(notifications);
        } else if pending && access::may_subscribe(after, &account, &relation) == Ok(Grant::Subscribed) {
            let (change, notifications) = after.approve(subscription, context);
            outcome.changes.push(change);
            outcome.notifications.extend(notifications);
        }
    }
}

impl Node {
    /// The same without its subscriptions, of which there may be many.
    pub(super) fn shallow(&self) -> Self {
        Self {
            address: self.address.clone(),
            service: self.service,
            kind: self.kind,
            creator: self.creator.clone(),
            created_at: self.created_at,
            config: self.config.clone(),
            affiliations: self.affiliations.clone(),
            subscriptions: std::collections::BTreeMap::new(),
            last_item: self.last_item.clone(),
        }
    }
}
