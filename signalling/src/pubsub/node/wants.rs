//! What must be looked up before a request can be decided.

use crate::forms::Form;
use crate::jid::Jid;
use crate::pubsub::access;
use crate::pubsub::config::{AccessModel, NodeFull};
use crate::pubsub::context::Wants;
use crate::pubsub::model::{Affiliation, Node, NodeKind};
use crate::pubsub::request::{Action, Request};

/// What must be looked up before [`handle`](super::handle) can decide. `node` is the request's target, if it exists.
#[must_use]
pub fn wants(node: Option<&Node>, request: &Request, requester: &Jid) -> Wants {
    let name = request.node.as_deref().unwrap_or_default();
    let mut wants = Wants::default();
    match (&request.action, node) {
        (Action::Subscribe { jid, .. }, node) => {
            wants.subscriptions_of = Some(jid.to_bare());
            if node.is_some_and(access::depends_on_relation) && jid.bare_str() != requester.bare_str() {
                wants.relations_of.push(jid.to_bare());
            }
        }
        (Action::Publish { items, .. }, Some(node)) => {
            let reject = node.config.publish_node_full == NodeFull::Reject && node.config.persist_items;
            let affiliation = node.affiliation(&requester.to_bare());
            if reject || !matches!(affiliation, Affiliation::Owner | Affiliation::Publisher) {
                wants.publishers_of = items.iter().filter_map(|item| item.id.clone()).collect();
            }
            wants.count = reject;
        }
        (Action::Publish { options, .. }, None) => {
            wants.owned = true;
            place(name, options.as_ref(), None, &mut wants);
        }
        (Action::Create { form }, _) => {
            wants.owned = true;
            place(name, form.as_ref(), None, &mut wants);
        }
        (Action::Retract { ids, .. }, Some(_)) => wants.publishers_of.clone_from(ids),
        (Action::Configuration, Some(node)) if node.kind == NodeKind::Collection => wants.children_of.push(name.to_owned()),
        (Action::Configure(form), Some(node)) => {
            place(name, Some(form), Some(node), &mut wants);
            review(node, form, &mut wants);
        }
        (Action::SetSubscriptions(changes), Some(node)) if access::depends_on_relation(node) => {
            wants.relations_of = changes.iter().map(|change| change.jid.to_bare()).collect();
        }
        (Action::SetAffiliations(changes), Some(node)) if access::depends_on_relation(node) => {
            wants.relations_of = changes.iter().map(|(jid, _)| jid.clone()).collect();
        }
        (Action::Associate { child } | Action::Dissociate { child }, Some(_)) => {
            wants.nodes.push(child.clone());
            wants.children_of.push(name.to_owned());
            wants.ancestors_of.push(name.to_owned());
        }
        _ => {}
    }
    wants.relations_of.sort_unstable();
    wants.relations_of.dedup();
    wants
}

/// The nodes around one whose collections or children a form may change.
fn place(name: &str, form: Option<&Form>, node: Option<&Node>, wants: &mut Wants) {
    let values = |var: &str| {
        let field = form.and_then(|form| form.fields.iter().find(|field| field.var == var));
        field.map(|field| field.values.iter().filter(|value| !value.is_empty()).cloned().collect::<Vec<_>>())
    };
    let had = node.map(|node| node.config.collection.clone()).unwrap_or_default();
    if let Some(collections) = values("pubsub#collection") {
        let new: Vec<_> = collections.into_iter().filter(|collection| !had.contains(collection)).collect();
        wants.ancestors_of.extend(new.iter().cloned());
        wants.children_of.extend(new.iter().cloned());
        wants.nodes.extend(new);
        wants.nodes.extend(had.clone());
    }
    if let Some(children) = values("pubsub#children") {
        wants.nodes.extend(children);
        wants.own_children = node.is_some();
        wants.ancestors_of.extend(had);
    }
    if node.is_some_and(|node| node.kind == NodeKind::Collection) {
        wants.children_of.push(name.to_owned());
    }
    for names in [&mut wants.nodes, &mut wants.children_of, &mut wants.ancestors_of] {
        names.sort_unstable();
        names.dedup();
    }
    wants.nodes.retain(|other| other != name);
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
