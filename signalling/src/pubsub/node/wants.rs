//! What must be looked up before a request can be decided. Nothing is for one who will be refused whatever is found: a request costs as little as
//! its sender may do.

use std::collections::BTreeSet;

use super::{collection, subscriptions};
use crate::forms::Form;
use crate::jid::{BareJid, Jid};
use crate::pubsub::access;
use crate::pubsub::config::{AccessModel, CHILDREN_MAX, NodeFull};
use crate::pubsub::context::{Relation, Standing, Wants};
use crate::pubsub::model::{Affiliation, Node, NodeKind, SubscriptionState};
use crate::pubsub::request::{Action, NewItem, Request, SubscriptionChange};

/// What must be looked up before [`handle`](super::handle) can decide. `node` is the request's target, if it exists.
#[must_use]
pub fn wants(node: Option<&Node>, request: &Request, standing: &Standing<'_>) -> Wants {
    let name = request.node.as_deref().unwrap_or_default();
    let requester = standing.requester;
    let relation = Relation { administers: standing.administers, ..Relation::default() };
    let owns = |node: &Node| access::owns(node, requester, &relation);
    let mut wants = match (&request.action, node) {
        (Action::Subscribe { jid, .. }, node) => subscription(node, jid, standing),
        (Action::Publish { items, .. }, Some(node)) if access::may_publish(node, requester, &relation).is_ok() => {
            publication(node, items, access::may_overwrite(node, requester, &relation))
        }
        (Action::Publish { options, .. }, None) if standing.may_create => creation(name, options.as_ref()),
        (Action::Create { form }, None) if standing.may_create => creation(name, form.as_ref()),
        (Action::Retract { ids, .. }, Some(node))
            if node.config.persist_items && node.affiliation(&requester.to_bare()) != Affiliation::Outcast =>
        {
            Wants { publishers_of: ids.clone(), ..Wants::default() }
        }
        (Action::Configuration, Some(node)) if node.kind == NodeKind::Collection && owns(node) => {
            Wants { children_of: vec![name.to_owned()], ..Wants::default() }
        }
        (Action::Configure(form), Some(node)) if owns(node) => configuration(name, form, node),
        (Action::Delete { .. }, Some(node)) if owns(node) => Wants { structure: true, ..Wants::default() },
        (Action::SetSubscriptions(changes), Some(node)) if owns(node) => subscribers(node, changes),
        (Action::SetAffiliations(changes), Some(node)) if owns(node) && access::depends_on_relation(node) => {
            Wants { relations_of: changes.iter().map(|(jid, _)| jid.clone()).collect(), ..Wants::default() }
        }
        (Action::Associate { child }, Some(node)) if collection::must_take(node, requester, &relation).is_ok() => Wants {
            structure: true,
            nodes: vec![child.clone()],
            children_of: vec![name.to_owned()],
            ancestors_of: vec![name.to_owned()],
            ..Wants::default()
        },
        // Who owns the other one may do it, too.
        (Action::Dissociate { child }, Some(_)) => Wants { structure: true, nodes: vec![child.clone()], ..Wants::default() },
        _ => Wants::default(),
    };
    wants.relations_of.sort_unstable();
    wants.relations_of.dedup();
    wants
}

/// How many subscriptions the subscriber has; what it is to the owners, if it is not who asks.
fn subscription(node: Option<&Node>, jid: &Jid, standing: &Standing<'_>) -> Wants {
    let mut wants = Wants::default();
    let own = jid.bare_str() == standing.requester.bare_str();
    if own || standing.administers {
        wants.subscriptions_of.push(jid.to_bare());
    }
    if !own && standing.administers && node.is_some_and(access::depends_on_relation) {
        wants.relations_of.push(jid.to_bare());
    }
    wants
}

/// Whose items it may not replace, and whether there is room for it.
fn publication(node: &Node, items: &[NewItem], may_overwrite: bool) -> Wants {
    let count = node.config.publish_node_full == NodeFull::Reject && node.config.persist_items;
    let ids = items.iter().filter(|_| count || !may_overwrite).filter_map(|item| item.id.clone());
    Wants { publishers_of: ids.collect(), count, ..Wants::default() }
}

fn creation(name: &str, form: Option<&Form>) -> Wants {
    let mut wants = Wants { structure: true, owned: true, ..Wants::default() };
    place(name, form, None, &mut wants);
    wants
}

fn configuration(name: &str, form: &Form, node: &Node) -> Wants {
    let mut wants = Wants { relations_of: subscribers_to_judge(node, form), ..Wants::default() };
    place(name, Some(form), Some(node), &mut wants);
    wants.structure = wants.touches_others();
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
fn subscribers_to_judge(node: &Node, form: &Form) -> Vec<BareJid> {
    let field = |var: &str| form.fields.iter().find(|field| field.var == var);
    let model =
        field("pubsub#access_model").map_or(Some(node.config.access_model), |field| field.single().ok().and_then(AccessModel::parse));
    let changes = model != Some(node.config.access_model) || field("pubsub#roster_groups_allowed").is_some();
    let counts = changes && matches!(model, Some(AccessModel::Presence | AccessModel::Roster));
    node.subscriptions.values().filter(|_| counts).map(|subscription| subscription.jid.to_bare()).collect()
}

/// What has to be known of those whom an owner subscribes.
fn subscribers(node: &Node, changes: &[SubscriptionChange]) -> Wants {
    let mut wants = Wants::default();
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
    wants
}
