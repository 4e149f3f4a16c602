//! XEP-0248 §7.2, §7.5, §7.6: which nodes are in which collections. A node names its collections; a collection's children are those that name it.

use super::{Other, Outcome, graph};
use crate::jid::Jid;
use crate::pubsub::access;
use crate::pubsub::change::Change;
use crate::pubsub::config::{CHILDREN_MAX, ChildrenPolicy, NodeConfig};
use crate::pubsub::context::{Context, Relation};
use crate::pubsub::error;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Node, NodeKind};
use crate::pubsub::reply::Reply;
use crate::stanza::error::StanzaError;

/// Collections of one node.
pub(super) const COLLECTIONS_MAX: usize = 16;

/// What becomes of the nodes around one that is placed.
#[derive(Default)]
pub(super) struct Placement {
    pub others: Vec<Other>,
    /// What the node itself tells, as a collection.
    events: Vec<EventKind>,
}

impl Placement {
    pub fn is_empty(&self) -> bool {
        self.others.is_empty() && self.events.is_empty()
    }

    pub fn notifications(&self, node: &Node) -> Vec<Notification> {
        self.events.iter().map(|kind| Notification { event: node.event(kind.clone()), audience: Audience::Subscribers }).collect()
    }
}

/// Checks and finds out what it means that the node of this name is in the collections of `config` and, a collection itself, has these children.
/// `before` is the node as it is, if it is there.
pub(super) fn place(
    name: &str,
    before: Option<&Node>,
    config: &NodeConfig,
    children: Option<&[String]>,
    context: &Context<'_>,
) -> Result<Placement, StanzaError> {
    let mut placement = Placement::default();
    let had = before.map(|before| before.config.collection.as_slice()).unwrap_or_default();
    if config.collection.len() > COLLECTIONS_MAX {
        return Err(error::max_nodes_exceeded());
    }
    let mut parents = context.facts.parents.clone();
    parents.insert(name.to_owned(), config.collection.clone());
    for parent in config.collection.iter().filter(|parent| !had.contains(parent)) {
        let parent = find(parent, context)?;
        must_take(parent, context.requester, context.relation)?;
        must_have_room(parent, context)?;
        if parent.address.node == name || graph::may_be_above(name, &parent.address.node, &parents) {
            return Err(error::invalid_graph());
        }
        if let Some(before) = before {
            let form = Some(before.meta_data(context.limits));
            placement.others.push(tells(parent, EventKind::Associated { child: name.to_owned(), form }));
        }
    }
    for parent in had.iter().filter(|parent| !config.collection.contains(parent)) {
        if let Some(parent) = context.facts.nodes.get(parent) {
            placement.others.push(tells(parent, EventKind::Dissociated { child: name.to_owned() }));
        }
    }
    place_children(name, config, children, &mut parents, context, &mut placement)?;
    Ok(placement)
}

fn place_children(
    name: &str,
    config: &NodeConfig,
    children: Option<&[String]>,
    parents: &mut std::collections::BTreeMap<String, Vec<String>>,
    context: &Context<'_>,
    placement: &mut Placement,
) -> Result<(), StanzaError> {
    let Some(wanted) = children else { return Ok(()) };
    let has = context.facts.children.get(name).map(Vec::as_slice).unwrap_or_default();
    if config.node_type == NodeKind::Leaf {
        // §7.2.3.1.
        return if wanted.is_empty() { Ok(()) } else { Err(error::invalid_graph()) };
    }
    if wanted.len() as u64 > children_max(config) {
        return Err(error::max_nodes_exceeded());
    }
    for child in wanted.iter().filter(|child| !has.contains(child)) {
        let child = find(child, context)?;
        access::must_own(child, context.requester, context.relation)?;
        let (child_name, mut collection) = (&child.address.node, child.config.collection.clone());
        if child_name == name || graph::may_be_above(child_name, name, parents) {
            return Err(error::invalid_graph());
        }
        if collection.len() >= COLLECTIONS_MAX {
            return Err(error::max_nodes_exceeded());
        }
        collection.push(name.to_owned());
        parents.insert(child_name.clone(), collection.clone());
        placement.others.push(moves(child, collection));
        placement.events.push(EventKind::Associated { child: child_name.clone(), form: Some(child.meta_data(context.limits)) });
    }
    for child in has.iter().filter(|child| !wanted.contains(child)) {
        let Some(child) = context.facts.nodes.get(child) else { continue };
        let collection = child.config.collection.iter().filter(|collection| *collection != name).cloned().collect();
        placement.others.push(moves(child, collection));
        placement.events.push(EventKind::Dissociated { child: child.address.node.clone() });
    }
    Ok(())
}

/// §7.5.
pub(super) fn associate(node: &Node, child: &str, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let name = &node.address.node;
    let mut outcome = Outcome::new(name, Reply::Empty);
    if node.kind != NodeKind::Collection {
        return Err(error::invalid_graph());
    }
    // Before the child, which is not looked up for whoever may not.
    must_take(node, context.requester, context.relation)?;
    let child = find(child, context)?;
    access::must_own(child, context.requester, context.relation)?;
    if child.config.collection.contains(name) {
        return Ok(outcome);
    }
    must_have_room(node, context)?;
    if child.config.collection.len() >= COLLECTIONS_MAX {
        return Err(error::max_nodes_exceeded());
    }
    if child.address.node == *name || graph::may_be_above(&child.address.node, name, &context.facts.parents) {
        return Err(error::invalid_graph());
    }
    let mut collection = child.config.collection.clone();
    collection.push(name.clone());
    outcome.others.push(moves(child, collection));
    let kind = EventKind::Associated { child: child.address.node.clone(), form: Some(child.meta_data(context.limits)) };
    outcome.notifications.push(Notification { event: node.event(kind), audience: Audience::Subscribers });
    Ok(outcome)
}

/// §7.6: owners of either may part them.
pub(super) fn dissociate(node: &Node, child: &str, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let name = &node.address.node;
    let child = find(child, context)?;
    let owns = |node| access::owns(node, context.requester, context.relation);
    if !owns(node) && !owns(child) {
        return Err(StanzaError::forbidden());
    }
    if !child.config.collection.contains(name) {
        return Err(StanzaError::bad_request("the node is not associated with that collection"));
    }
    let mut outcome = Outcome::new(name, Reply::Empty);
    let collection = child.config.collection.iter().filter(|collection| *collection != name).cloned().collect();
    outcome.others.push(moves(child, collection));
    let kind = EventKind::Dissociated { child: child.address.node.clone() };
    outcome.notifications.push(Notification { event: node.event(kind), audience: Audience::Subscribers });
    Ok(outcome)
}

fn find<'c>(name: &str, context: &Context<'c>) -> Result<&'c Node, StanzaError> {
    context.facts.nodes.get(name).copied().ok_or_else(StanzaError::item_not_found)
}

/// §7.2.3.1, §7.2.3.2: whether it is a collection, and one that takes what the requester brings.
pub(super) fn must_take(parent: &Node, requester: &Jid, relation: &Relation) -> Result<(), StanzaError> {
    if parent.kind != NodeKind::Collection {
        return Err(error::invalid_graph());
    }
    let allowed = access::owns(parent, requester, relation)
        || match parent.config.children_association_policy {
            ChildrenPolicy::All => parent.affiliation(&requester.to_bare()) != crate::pubsub::model::Affiliation::Outcast,
            ChildrenPolicy::Owners => false,
            ChildrenPolicy::Whitelist => parent.config.children_association_whitelist.contains(&requester.to_bare()),
        };
    if allowed { Ok(()) } else { Err(StanzaError::forbidden()) }
}

/// §7.2.3.3.
fn must_have_room(parent: &Node, context: &Context<'_>) -> Result<(), StanzaError> {
    let children = context.facts.children.get(&parent.address.node).map_or(0, Vec::len) as u64;
    if children < children_max(&parent.config) { Ok(()) } else { Err(error::max_nodes_exceeded()) }
}

fn children_max(config: &NodeConfig) -> u64 {
    config.children_max.unwrap_or(u64::MAX).min(CHILDREN_MAX as u64)
}

/// A collection that only tells.
fn tells(collection: &Node, kind: EventKind) -> Other {
    let notification = Notification { event: collection.event(kind), audience: Audience::Subscribers };
    Other { node: collection.address.node.clone(), changes: Vec::new(), notifications: vec![notification] }
}

/// A node that is in these collections from now on (§8.3).
fn moves(child: &Node, collection: Vec<String>) -> Other {
    let config = NodeConfig { collection, ..child.config.clone() };
    Other { node: child.address.node.clone(), changes: vec![Change::Configure(Box::new(config))], notifications: Vec::new() }
}
