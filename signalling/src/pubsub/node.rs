//! What a node does: (node, request, context) → outcome, and what a change makes of it. Pure; each concern has its file.

mod affiliations;
mod apply;
mod authorize;
mod collection;
mod configure;
mod create;
mod delete;
#[cfg(test)]
pub(super) mod fixtures;
mod items;
mod meta_data;
mod publish;
mod retract;
mod subscribe;
mod subscriptions;
mod told;
mod wants;

pub use apply::Applied;
pub use wants::wants;

use super::access;
use super::change::Change;
use super::context::{Context, Relation};
use super::event::{Notification, Recipients};
use super::model::{Node, ServiceKind, Subscription, SubscriptionState};
use super::options::Offered;
use super::reply::{self, Reply};
use super::request::{Action, Request};
use super::{error, graph};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::error::StanzaError;

/// Affiliations or subscriptions in one page of an owner's list.
const PAGE_MAX: usize = 500;

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The node that it is about; a new one's name may be the service's choice.
    pub node: String,
    /// The answer, once the changes are stored.
    pub reply: Reply,
    /// What changes of the node; nothing for a mere question.
    pub changes: Vec<Change>,
    /// Who is told, in order, once the changes are stored. Recipients of a deletion are those before it.
    pub notifications: Vec<Notification>,
    /// Other nodes that change with it, or tell of it: those that were looked up.
    pub others: Vec<Other>,
}

/// Another node that changes with the one asked, or tells of what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub node: String,
    /// What changes.
    pub changes: Vec<Change>,
    /// Who is told.
    pub notifications: Vec<Notification>,
}

impl Outcome {
    fn new(node: &str, reply: Reply) -> Self {
        Self { node: node.to_owned(), reply, changes: Vec::new(), notifications: Vec::new(), others: Vec::new() }
    }
}

impl Request {
    /// The node to be loaded for it: the one that it names; the root node, for requests about subscriptions that name none (§6.3.4.1, XEP-0248
    /// §8.1). `None` for requests about the service and for a new node without a name.
    #[must_use]
    pub fn target(&self, kind: ServiceKind) -> Option<&str> {
        let subscription = matches!(
            self.action,
            Action::Subscribe { .. } | Action::Unsubscribe { .. } | Action::Options { .. } | Action::SetOptions { .. }
        );
        match &self.node {
            Some(node) => Some(node),
            None if subscription && kind == ServiceKind::Host => Some(graph::ROOT),
            None => None,
        }
    }
}

/// Decides a request. `node` is its [`target`](Request::target), if it exists: creation, publication to a node that is not there (§7.1.4), and the
/// defaults need none. [`Action::Subscriptions`] and [`Action::Affiliations`] of all nodes are the shell's, which writes them with
/// [`reply`](super::reply).
///
/// # Errors
/// The error that answers the request; then nothing changes.
pub fn handle(node: Option<&Node>, request: &Request, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let name = request.node.as_deref();
    // §6.1.3.12 and all sections like it. An account has no root node to subscribe to.
    let there = || {
        node.ok_or_else(|| {
            if name.is_none() && context.kind == ServiceKind::Pep { error::nodeid_required() } else { StanzaError::item_not_found() }
        })
    };
    match &request.action {
        Action::Subscriptions => Ok(subscribe::own(there()?, context)),
        Action::Affiliations => Ok(affiliations::own(there()?, context)),
        Action::Subscribe { jid, options } => subscribe::subscribe(node, name, jid, options.as_ref(), context),
        Action::Unsubscribe { jid, subid } => subscribe::unsubscribe(there()?, jid, subid.as_deref(), context),
        Action::Options { jid, subid } => subscribe::options(there()?, jid, subid.as_deref(), context),
        Action::SetOptions { jid, subid, form } => subscribe::set_options(there()?, jid, subid.as_deref(), form, context),
        Action::DefaultOptions if name.is_none() => Ok(subscribe::default_options(None)),
        Action::DefaultOptions => Ok(subscribe::default_options(Some(there()?))),
        Action::Items(request) => items::retrieve(there()?, request, context),
        Action::Publish { items, options } => publish::publish(node, name, items, options.as_ref(), context),
        Action::Retract { ids, notify } => retract::retract(there()?, ids, *notify, context),
        Action::Create { form } => create::create(node, name, form.as_ref(), context),
        Action::Configuration => configure::form(there()?, context),
        Action::Configure(form) => configure::configure(there()?, form, context),
        Action::DefaultConfiguration { collection } => Ok(configure::default(*collection, context)),
        Action::Delete { redirect } => delete::delete(there()?, redirect.as_ref(), context),
        Action::Purge => retract::purge(there()?, context),
        Action::Decide { jid, subid, allow } => authorize::decide(there()?, jid, subid.as_deref(), *allow, context),
        Action::Pending => authorize::pending(there()?, context),
        Action::AllSubscriptions(page) => subscriptions::list(there()?, page, context),
        Action::SetSubscriptions(changes) => subscriptions::set(there()?, changes, context),
        Action::AllAffiliations(page) => affiliations::list(there()?, page, context),
        Action::SetAffiliations(changes) => affiliations::set(there()?, changes, context),
        Action::Associate { child } => collection::associate(there()?, child, context),
        Action::Dissociate { child } => collection::dissociate(there()?, child, context),
    }
}

impl Node {
    /// Which options of subscriptions it has to offer besides the usual ones: a body can be made of Atom entries (§12.8).
    #[must_use]
    pub fn offered(&self) -> Offered {
        let collection = self.kind == super::model::NodeKind::Collection;
        Offered { body: collection || matches!(&*self.config.type_, "" | ns::ATOM), collection }
    }

    /// The end of a subscription that nobody asked for: its lease is over (§12.19), its subscriber went offline (§12.5), may not receive any more
    /// (§12.14) or is gone.
    #[must_use]
    pub fn end_subscription(&self, subscription: &Subscription) -> (Vec<Change>, Vec<Notification>) {
        let change = Change::Unsubscribe { jid: subscription.jid.clone(), subid: subscription.subid.clone() };
        let mut notifications = vec![self.tell_subscriber(subscription, SubscriptionState::None)];
        if subscription.state == SubscriptionState::Subscribed {
            notifications.extend(self.tell_owners(subscription, SubscriptionState::None, None));
        }
        (vec![change], notifications)
    }

    /// A subscription that is as it should be from now on, approved or let in by another rule: what changes and who is told.
    fn approve(&self, subscription: &Subscription, context: &Context<'_>) -> (Change, Vec<Notification>) {
        let approved = Subscription { state: SubscriptionState::Subscribed, ..subscription.clone() };
        let mut notifications = vec![self.tell_subscriber(&approved, SubscriptionState::Subscribed)];
        notifications.extend(self.tell_owners(&approved, SubscriptionState::Subscribed, Some(context.requester)));
        notifications.extend(self.tell_last(&approved, context.now));
        (Change::Subscribe(Box::new(approved)), notifications)
    }

    /// The relation of one of those that were asked for.
    fn relation<'c>(context: &'c Context<'_>, account: &BareJid) -> std::borrow::Cow<'c, Relation> {
        use std::borrow::Cow;
        if context.requester.bare_str() == account.as_str() {
            return Cow::Borrowed(context.relation);
        }
        context.facts.relations.get(account).map_or_else(|| Cow::Owned(Relation::default()), Cow::Borrowed)
    }
}

/// Those who are told whatever they have subscribed to.
fn these(to: Vec<crate::jid::Jid>) -> Recipients {
    Recipients { variant: super::event::Variant::default(), condition: super::event::Condition::default(), to }
}

/// A result with `<pubsub/>` of the owner's namespace.
fn owner_reply(content: impl FnOnce(&mut crate::xml::XmlWriter)) -> Reply {
    Reply::Payload(reply::pubsub(ns::PUBSUB_OWNER, content))
}

/// §8: only owners.
fn must_own(node: &Node, context: &Context<'_>) -> Result<(), StanzaError> {
    access::must_own(node, context.requester, context.relation)
}

#[cfg(test)]
mod tests;
