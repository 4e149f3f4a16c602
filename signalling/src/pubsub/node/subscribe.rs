//! XEP-0060 §5.6, §6.1–6.4: an entity's own subscriptions.

use super::{Outcome, graph};
use crate::forms::{Form, FormType};
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::access::{self, Grant};
use crate::pubsub::change::Change;
use crate::pubsub::config::NodeConfig;
use crate::pubsub::context::Context;
use crate::pubsub::error;
use crate::pubsub::event::{EventKind, Notification};
use crate::pubsub::model::{Affiliation, Node, NodeAddress, NodeKind, ServiceKind, Subscription, SubscriptionState};
use crate::pubsub::options::{Offered, SubscribeOptions, SubscriptionType};
use crate::pubsub::reply::{self, Reply};
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Subscriptions of one JID to one node: each is looked at when it asks for another.
const PER_JID_MAX: usize = 16;

/// §5.6, of one node.
pub(super) fn own(node: &Node, context: &Context<'_>) -> Outcome {
    let name = &node.address.node;
    let own: Vec<_> = node.subscriptions_of(&context.requester.to_bare()).map(|own| (name.clone(), own.clone())).collect();
    Outcome::new(name, Reply::Payload(reply::subscriptions(Some(name), &own)))
}

/// §6.1.
pub(super) fn subscribe(
    node: Option<&Node>,
    name: Option<&str>,
    jid: &Jid,
    options: Option<&Form>,
    context: &Context<'_>,
) -> Result<Outcome, StanzaError> {
    // §6.1.3.1.
    if jid.bare_str() != context.requester.bare_str() && !context.relation.administers {
        return Err(error::invalid_jid());
    }
    let mut root = None;
    let node = match (node, name, context.kind) {
        (Some(node), ..) => node,
        (None, Some(_), _) => return Err(StanzaError::item_not_found()),
        (None, None, ServiceKind::Host) => &*root.insert(root_node(context)),
        (None, None, ServiceKind::Pep) => return Err(error::nodeid_required()),
    };
    let grant = grant(node, jid, context)?;
    // §6.1.3.7.
    if of_jid(node, jid).any(|subscription| subscription.state == SubscriptionState::Pending) {
        return Err(error::pending_subscription());
    }
    let wanted = options.map(|form| SubscribeOptions::new().submit(form, node.offered(), context.now)).transpose()?;
    // §6.1.6: several subscriptions are there for different options. Clients subscribe again at each log-in, so that who asks for what it has
    // gets that.
    if let Some(found) = of_jid(node, jid).find(|found| wanted.as_ref().is_none_or(|wanted| found.options == *wanted)) {
        let mut outcome = Outcome::new(&node.address.node, answer(node, found, options.is_some()));
        outcome.notifications.extend(node.tell_last(found, context.now));
        return Ok(outcome);
    }
    let wanted = wanted.unwrap_or_default();
    check_overlap(node, jid, None, &wanted)?;
    check_number(node, jid, context)?;
    let new = Subscription { jid: jid.clone(), subid: (context.fresh_id)(), state: grant, options: wanted };
    let mut outcome = Outcome::new(&node.address.node, answer(node, &new, options.is_some()));
    if grant == SubscriptionState::Pending {
        outcome.notifications.push(node.ask_owners(&new));
    } else {
        outcome.notifications.extend(node.tell_owners(&new, grant, Some(context.requester)));
        outcome.notifications.extend(node.tell_last(&new, context.now));
    }
    outcome.changes.extend(root.map(|root| Change::Create(Box::new(root))));
    outcome.changes.push(Change::Subscribe(Box::new(new)));
    Ok(outcome)
}

/// In which state a new subscription begins.
fn grant(node: &Node, jid: &Jid, context: &Context<'_>) -> Result<SubscriptionState, StanzaError> {
    let subscriber = jid.to_bare();
    let own = jid.bare_str() == context.requester.bare_str();
    let grant = if own {
        access::may_subscribe(node, &subscriber, context.relation)?
    } else {
        // An administrator's word stands for an owner's, but lets in nobody whom the access model keeps out.
        access::may_subscribe(node, &subscriber, &Node::relation(context, &subscriber))?;
        Grant::Subscribed
    };
    Ok(match grant {
        Grant::Subscribed => SubscriptionState::Subscribed,
        Grant::Pending => SubscriptionState::Pending,
    })
}

/// §6.1.3.9.
fn check_number(node: &Node, jid: &Jid, context: &Context<'_>) -> Result<(), StanzaError> {
    let has = context.facts.subscriptions.get(&jid.to_bare()).copied().unwrap_or_default();
    let too_many = of_jid(node, jid).count() >= PER_JID_MAX
        || node.subscriptions.len() as u64 >= context.limits.subscriptions
        || has >= context.limits.subscriptions_per_account;
    if too_many { Err(error::too_many_subscriptions()) } else { Ok(()) }
}

/// XEP-0248 §8.1: the root node comes to be with its first subscriber; the service owns it.
fn root_node(context: &Context<'_>) -> Node {
    Node {
        address: NodeAddress { service: context.service.clone(), node: graph::ROOT.to_owned() },
        service: context.kind,
        kind: NodeKind::Collection,
        creator: context.service.clone(),
        created_at: context.now,
        config: NodeConfig::default_for(context.kind, NodeKind::Collection),
        affiliations: [(context.service.clone(), Affiliation::Owner)].into(),
        subscriptions: std::collections::BTreeMap::new(),
        last_item: None,
    }
}

/// XEP-0248 §6.1.3: a JID has one subscription of each type to a collection.
fn check_overlap(node: &Node, jid: &Jid, except: Option<&str>, wanted: &SubscribeOptions) -> Result<(), StanzaError> {
    let overlaps = |type_: SubscriptionType| {
        type_ == wanted.subscription_type || type_ == SubscriptionType::All || wanted.subscription_type == SubscriptionType::All
    };
    let others = || of_jid(node, jid).filter(|other| Some(&*other.subid) != except);
    if node.kind == NodeKind::Collection && others().any(|other| overlaps(other.options.subscription_type)) {
        return Err(StanzaError::conflict());
    }
    Ok(())
}

/// §6.1.2, §6.3.7.
fn answer(node: &Node, subscription: &Subscription, with_options: bool) -> Reply {
    Reply::Payload(reply::pubsub(ns::PUBSUB, |out| {
        reply::write_subscription(out, named(node), subscription, subscription.state);
        if with_options {
            // Example 68 leaves out the attributes; the schema of §17.1 requires the JID.
            open_options(out, node, subscription);
            out.raw(&subscription.options.result(node.offered())).close();
        }
    }))
}

fn open_options(out: &mut XmlWriter, node: &Node, subscription: &Subscription) {
    out.open("options").attr_opt("node", named(node)).attr("jid", subscription.jid.as_str()).attr("subid", &subscription.subid);
}

/// The root node has no name.
fn named(node: &Node) -> Option<&str> {
    Some(&*node.address.node).filter(|name| *name != graph::ROOT)
}

/// Subscriptions of just this JID.
pub(super) fn of_jid<'n>(node: &'n Node, jid: &'n Jid) -> impl Iterator<Item = &'n Subscription> {
    let from = node.subscriptions.range((jid.clone(), String::new())..);
    from.take_while(move |((other, _), _)| other == jid).map(|(_, subscription)| subscription)
}

/// §6.2.3, §6.3.4: the subscription that a request means.
fn find<'n>(
    node: &'n Node,
    jid: &'n Jid,
    subid: Option<&str>,
    context: &Context<'_>,
    none: fn() -> StanzaError,
) -> Result<&'n Subscription, StanzaError> {
    if jid.bare_str() != context.requester.bare_str() && !context.relation.administers {
        return Err(StanzaError::forbidden());
    }
    let mut found = of_jid(node, jid);
    let (first, second) = (found.next().ok_or_else(none)?, found.next());
    match subid {
        Some(subid) => of_jid(node, jid).find(|found| found.subid == subid).ok_or_else(error::invalid_subid),
        None if second.is_some() => Err(error::subid_required()),
        None => Ok(first),
    }
}

/// §6.2.
pub(super) fn unsubscribe(node: &Node, jid: &Jid, subid: Option<&str>, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let subscription = find(node, jid, subid, context, error::not_subscribed)?;
    let reply = reply::pubsub(ns::PUBSUB, |out| reply::write_subscription(out, named(node), subscription, SubscriptionState::None));
    let mut outcome = Outcome::new(&node.address.node, Reply::Payload(reply));
    let (changes, notifications) = node.end_subscription(subscription);
    outcome.changes = changes;
    // §12.14: the subscriber is told, unless the answer tells it already; owners are not told of what they did themselves.
    outcome.notifications = notifications;
    outcome.notifications.retain(|notification| !(is_of_subscriber(notification, jid) && jid == context.requester));
    Ok(outcome)
}

fn is_of_subscriber(notification: &Notification, jid: &Jid) -> bool {
    matches!(&notification.event.kind, EventKind::Subscription { jid: of, .. } if of == jid)
        && matches!(&notification.audience, crate::pubsub::event::Audience::These(these) if these.to == [jid.clone()])
}

/// §6.3.2.
pub(super) fn options(node: &Node, jid: &Jid, subid: Option<&str>, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let subscription = find(node, jid, subid, context, error::no_subscription_to_configure)?;
    let reply = reply::pubsub(ns::PUBSUB, |out| {
        open_options(out, node, subscription);
        out.raw(&subscription.options.form(node.offered())).close();
    });
    Ok(Outcome::new(&node.address.node, Reply::Payload(reply)))
}

/// §6.3.5.
pub(super) fn set_options(node: &Node, jid: &Jid, subid: Option<&str>, form: &Form, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let subscription = find(node, jid, subid, context, error::no_subscription_to_configure)?;
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    if form.type_ == FormType::Cancel {
        return Ok(outcome);
    }
    let options = subscription.options.submit(form, node.offered(), context.now)?;
    check_overlap(node, jid, Some(&subscription.subid), &options)?;
    let state = match subscription.state {
        SubscriptionState::Unconfigured => SubscriptionState::Subscribed,
        state => state,
    };
    let changed = Subscription { options, state, ..subscription.clone() };
    if changed != *subscription {
        outcome.changes.push(Change::Subscribe(Box::new(changed)));
    }
    Ok(outcome)
}

/// §6.4; without a node, of all leaf nodes.
pub(super) fn default_options(node: Option<&Node>) -> Outcome {
    let offered = node.map_or(Offered { body: true, collection: false }, Node::offered);
    let name = node.map(|node| &*node.address.node);
    let reply = reply::pubsub(ns::PUBSUB, |out| {
        out.open("default").attr_opt("node", name).raw(&SubscribeOptions::new().result(offered)).close();
    });
    Outcome::new(name.unwrap_or_default(), Reply::Payload(reply))
}
