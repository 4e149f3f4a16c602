//! What must be looked up before a request can be decided. Nothing is for one who will be refused whatever is found: a request costs as little as
//! its sender may do.

use std::collections::BTreeSet;

use super::{collection, subscriptions};
use crate::forms::Form;
use crate::jid::Jid;
use crate::pubsub::access;
use crate::pubsub::config::{AccessModel, CHILDREN_MAX, NodeFull};
use crate::pubsub::context::{Relation, Standing, Wants};
use crate::pubsub::model::{Affiliation, Node, NodeKind, SubscriptionState};
use crate::pubsub::request::{Action, Request, SubscriptionChange};

/// What must be looked up before [`handle`](super::handle) can decide. `node` is the request's target, if it exists.
#[must_use]
pub fn wants(node: Option<&Node>, request: &Request, standing: &Standing<'_>) -> Wants {
    let name = request.node.as_deref().unwrap_or_default();
    let requester = standing.requester;
    let relation = Relation { administers: standing.administers, ..Relation::default() };
    let owns = |node: &Node| access::owns(node, requester, &relation);
    let mut wants = Wants::default();
    match (&request.action, node) {
        (Action::Subscribe { jid, .. }, node) => {
            let own = jid.bare_str() == requester.bare_str();
            if own || standing.administers {
                wants.subscriptions_of.push(jid.to_bare());
            }
            if !own && standing.administers && node.is_some_and(access::depends_on_relation) {
                wants.relations_of.push(jid.to_bare());
            }
        }
        (Action::Publish { items, .. }, Some(node)) if access::may_publish(node, requester, &relation).is_ok() => {
            let reject = node.config.publish_node_full == NodeFull::Reject && node.config.persist_items;
            if reject || !access::may_overwrite(node, requester, &relation) {
                wants.publishers_of = items.iter().filter_map(|item| item.id.clone()).collect();
            }
            wants.count = reject;
        }
        (Action::Publish { options, .. }, None) if standing.may_create => {
            wants.structure = true;
            wants.owned = true;
            place(name, options.as_ref(), None, &mut wants);
        }
        (Action::Create { form }, None) if standing.may_create => {
            wants.structure = true;
            wants.owned = true;
            place(name, form.as_ref(), None, &mut wants);
        }
        (Action::Retract { ids, .. }, Some(node))
            if node.config.persist_items && node.affiliation(&requester.to_bare()) != Affiliation::Outcast =>
        {
            wants.publishers_of.clone_from(ids);
        }
        (Action::Configuration, Some(node)) if node.kind == NodeKind::Collection && owns(node) => wants.children_of.push(name.to_owned()),
        (Action::Configure(form), Some(node)) if owns(node) => {
            place(name, Some(form), Some(node), &mut wants);
            wants.structure = wants.touches_others();
            review(node, form, &mut wants);
        }
        (Action::Delete { .. }, Some(node)) if owns(node) => wants.structure = true,
        (Action::SetSubscriptions(changes), Some(node)) if owns(node) => subscribers(node, changes, &mut wants),
        (Action::SetAffiliations(changes), Some(node)) if owns(node) && access::depends_on_relation(node) => {
            wants.relations_of = changes.iter().map(|(jid, _)| jid.clone()).collect();
        }
        (Action::Associate { child }, Some(node)) if collection::must_take(node, requester, &relation).is_ok() => {
            wants.structure = true;
            wants.nodes.push(child.clone());
            wants.children_of.push(name.to_owned());
            wants.ancestors_of.push(name.to_owned());
        }
        // Who owns the other one may do it, too.
        (Action::Dissociate { child }, Some(_)) => {
            wants.structure = true;
            wants.nodes.push(child.clone());
        }
        _ => {}
    }
    wants.relations_of.sort_unstable();
    wants.relations_of.dedup();
    wants
}

impl Wants {
    /// Whether other nodes have to stand still.
    #[must_use]
    pub fn touches_others(&self) -> bool {
        !self.nodes.is_empty() || self.own_children || !self.children_of.is_empty() || !self.ancestors_of.is_empty()
    }
}

/// The nodes around one whose collections or children a form may change.
fn place(name: &str, form: Option<&Form>, node: Option<&Node>, wants: &mut Wants) {
    // What is more than there may be will be refused, and is not looked for.
    let values = |var: &str, max: usize| {
        let field = form.and_then(|form| form.fields.iter().find(|field| field.var == var))?;
        let values: BTreeSet<_> = field.values.iter().filter(|value| !value.is_empty() && *value != name).collect();
        (values.len() <= max).then(|| values.into_iter().cloned().collect::<Vec<_>>())
    };
    let had = node.map(|node| node.config.collection.clone()).unwrap_or_default();
    if let Some(collections) = values("pubsub#collection", collection::COLLECTIONS_MAX) {
        let new: Vec<_> = collections.iter().filter(|collection| !had.contains(collection)).cloned().collect();
        let gone = had.iter().filter(|collection| !collections.contains(collection)).cloned();
        wants.nodes.extend(gone);
        wants.ancestors_of.extend(new.iter().cloned());
        wants.children_of.extend(new.iter().cloned());
        wants.nodes.extend(new);
    }
    if let Some(children) = values("pubsub#children", CHILDREN_MAX) {
        wants.nodes.extend(children);
        wants.own_children = node.is_some();
        wants.ancestors_of.extend(had);
        if node.is_some_and(|node| node.kind == NodeKind::Collection) {
            wants.children_of.push(name.to_owned());
        }
    }
    for names in [&mut wants.nodes, &mut wants.children_of, &mut wants.ancestors_of] {
        names.sort_unstable();
        names.dedup();
    }
}

/// Subscribers whose relation to the owner will count, once it does.
fn review(node: &Node, form: &Form, wants: &mut Wants) {
    let field = |var: &str| form.fields.iter().find(|field| field.var == var);
    let model =
        field("pubsub#access_model").map_or(Some(node.config.access_model), |field| field.single().ok().and_then(AccessModel::parse));
    let changes = model != Some(node.config.access_model) || field("pubsub#roster_groups_allowed").is_some();
    if changes && matches!(model, Some(AccessModel::Presence | AccessModel::Roster)) {
        wants.relations_of = node.subscriptions.values().map(|subscription| subscription.jid.to_bare()).collect();
    }
}

/// What has to be known of those whom an owner subscribes.
fn subscribers(node: &Node, changes: &[SubscriptionChange], wants: &mut Wants) {
    let is_new = |change: &&SubscriptionChange| {
        change.state == SubscriptionState::Subscribed
            && change.subid.is_none()
            && super::subscribe::of_jid(node, &change.jid).next().is_none()
    };
    let new: BTreeSet<_> = changes.iter().filter(is_new).map(|change| change.jid.to_bare()).collect();
    wants.subscriptions_of = new.into_iter().take(subscriptions::NEW_MAX).collect();
    if access::depends_on_relation(node) {
        let subscribed = |change: &&SubscriptionChange| change.state == SubscriptionState::Subscribed;
        wants.relations_of = changes.iter().filter(subscribed).map(|change: &SubscriptionChange| Jid::to_bare(&change.jid)).collect();
    }
}
