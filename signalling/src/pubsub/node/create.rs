//! XEP-0060 §8.1 and §7.1.4: creation, asked for or by a first publication.

use std::collections::BTreeMap;

use super::{Other, Outcome, collection, graph};
use crate::forms::Form;
use crate::ns;
use crate::pubsub::change::Change;
use crate::pubsub::config::{NodeConfig, Submitted};
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Affiliation, Node, NodeAddress, NodeKind, ServiceKind};
use crate::pubsub::reply::{self, Reply};
use crate::pubsub::wellknown;
use crate::stanza::error::StanzaError;

/// A node that comes to be.
pub(super) struct Created {
    pub node: Node,
    pub notifications: Vec<Notification>,
    pub others: Vec<Other>,
}

/// §8.1.
pub(super) fn create(node: Option<&Node>, name: Option<&str>, form: Option<&Form>, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    if !context.may_create {
        return Err(StanzaError::forbidden());
    }
    if node.is_some() {
        return Err(StanzaError::conflict());
    }
    let default = default_of(name, context);
    let submitted = match form {
        Some(form) => default.submit(form, context.limits)?,
        None => Submitted { config: default, children: None },
    };
    let created = build(name, submitted, context)?;
    let reply = match name {
        Some(_) => Reply::Empty,
        None => Reply::Payload(reply::pubsub(ns::PUBSUB, |out| {
            out.open("create").attr("node", &created.node.address.node).close();
        })),
    };
    let mut outcome = Outcome::new(&created.node.address.node, reply);
    outcome.changes.push(Change::Create(Box::new(created.node)));
    outcome.notifications = created.notifications;
    outcome.others = created.others;
    Ok(outcome)
}

/// §7.1.4, §7.1.5: for one who may create nodes, a publication creates the node that it names.
pub(super) fn for_publication(name: Option<&str>, options: Option<&Form>, context: &Context<'_>) -> Result<Created, StanzaError> {
    if !context.may_create {
        return Err(StanzaError::item_not_found());
    }
    let default = default_of(name, context);
    let config = match options {
        Some(options) => default.with_options(options, context.limits)?,
        None => default,
    };
    build(name, Submitted { config, children: None }, context)
}

/// §8.3, and what an account's node of this name is for.
fn default_of(name: Option<&str>, context: &Context<'_>) -> NodeConfig {
    let mut config = NodeConfig::default_for(context.kind, NodeKind::Leaf);
    if context.kind == ServiceKind::Pep {
        wellknown::defaults(name.unwrap_or_default(), &mut config);
    }
    config
}

fn build(name: Option<&str>, submitted: Submitted, context: &Context<'_>) -> Result<Created, StanzaError> {
    if context.facts.owned >= context.limits.nodes {
        return Err(error::too_many_nodes());
    }
    let name = match name {
        Some(name) => check_name(name, context)?,
        None => (context.fresh_id)(),
    };
    let placement = collection::place(&name, None, &submitted.config, submitted.children.as_deref(), context)?;
    // The account is who publishes there and owns it (XEP-0163 §2.2).
    let owner = match context.kind {
        ServiceKind::Host => context.requester.to_bare(),
        ServiceKind::Pep => context.service.clone(),
    };
    let node = Node {
        address: NodeAddress { service: context.service.clone(), node: name },
        service: context.kind,
        kind: submitted.config.node_type,
        creator: context.requester.to_bare(),
        created_at: context.now,
        config: submitted.config,
        affiliations: [(owner, Affiliation::Owner)].into(),
        subscriptions: BTreeMap::new(),
        last_item: None,
    };
    let event = node.event(EventKind::Created);
    let mut notifications = vec![Notification { event, audience: Audience::Collections }];
    notifications.extend(placement.notifications(&node));
    Ok(Created { node, notifications, others: placement.others })
}

/// §4.6: a NodeID looks like a resourcepart, so that it can be one.
fn check_name(name: &str, context: &Context<'_>) -> Result<String, StanzaError> {
    let same = context.service.with_resource(name).is_ok_and(|address| address.resource_str() == name);
    if same && name != graph::ROOT {
        Ok(name.to_owned())
    } else {
        Err(error::unacceptable("a NodeID is what a resourcepart may be (RFC 7622 §3.4)"))
    }
}
