//! What a node does: (node, request, context) → outcome, and what a change makes of it. Pure; each concern has its file.

use super::change::Change;
use super::context::{Context, Wants};
use super::event::{Event, Notification, Recipients, Topic};
use super::model::{Node, ServiceKind, Subscription, SubscriptionState};
use super::reply::Reply;
use super::request::Request;
use crate::jid::{BareJid, Jid};
use crate::stanza::error::StanzaError;

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The node that it is about; a new one's name may be the service's choice.
    pub node: String,
    /// The answer, once the changes are stored.
    pub reply: Reply,
    /// What changes of the node; nothing for a mere question.
    pub changes: Vec<Change>,
    /// Who is told, in order, once the changes are stored.
    pub notifications: Vec<Notification>,
    /// Other nodes that change with it: those that were looked up.
    pub others: Vec<Other>,
}

/// Another node that changes with the one asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub node: String,
    /// What changes.
    pub changes: Vec<Change>,
    /// Who is told.
    pub notifications: Vec<Notification>,
}

/// What must be looked up before [`handle`] can decide. `node` is the one that the request names, if it exists.
#[must_use]
pub fn wants(node: Option<&Node>, request: &Request, kind: ServiceKind, requester: &Jid) -> Wants {
    let _ = (node, request, kind, requester);
    Wants::default()
}

/// Decides a request. `node` is the one that the request names, if it exists: creation, publication to a node that is not there (§7.1.4), and the
/// defaults need none. [`Action::Subscriptions`](super::request::Action) and `Affiliations` of all nodes are the shell's, which writes them with `reply`.
///
/// # Errors
/// The error that answers the request; then nothing changes.
pub fn handle(node: Option<&Node>, request: &Request, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    let _ = (node, request, context);
    Err(StanzaError::feature_not_implemented())
}

/// What the shell does about a node in memory once a change is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// The last item is gone and the one before it is for the store to say.
    pub last_item_unknown: bool,
    /// Recipients computed before are not right any more.
    pub recipients_changed: bool,
}

impl Node {
    /// Takes over a change that was stored. Not for `Create` and `Delete`, which concern the whole of it.
    #[must_use]
    pub fn apply(&mut self, change: &Change) -> Applied {
        let _ = change;
        Applied::default()
    }

    /// Explicit subscribers who hear of an event of this node, grouped by what they see.
    #[must_use]
    pub fn recipients(&self, topic: Topic) -> Vec<Recipients> {
        let _ = topic;
        Vec::new()
    }

    /// What is told of items that had to go for newer ones, once the store has said which (`pubsub#publish_node_full`), and of those that expired.
    #[must_use]
    pub fn evicted(&self, ids: &[String]) -> Option<Notification> {
        let _ = ids;
        None
    }

    /// The last item as an event for somebody who has come just now, if there is one.
    #[must_use]
    pub fn last_item_event(&self) -> Option<Event> {
        None
    }

    /// The end of a subscription that nobody asked for: its lease is over (§12.19), its subscriber went offline (§12.5), may not receive any more
    /// (§12.14) or is gone.
    #[must_use]
    pub fn end_subscription(&self, subscription: &Subscription, state: SubscriptionState) -> (Vec<Change>, Vec<Notification>) {
        let _ = (subscription, state);
        (Vec::new(), Vec::new())
    }

    /// Subscriptions of an account, whichever resource.
    pub fn subscriptions_of(&self, account: &BareJid) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values().filter(move |subscription| subscription.jid.bare_str() == account.as_str())
    }
}
