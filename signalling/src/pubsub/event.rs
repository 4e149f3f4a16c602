//! What a node tells: events as values, and as messages without `to`, one for each variant of what its recipients see. Pure.

use std::time::SystemTime;

use bytes::Bytes;

use super::config::NotificationType;
use super::model::{Affiliation, Item, SubscriptionState};
use super::options::ShowValue;
use crate::jid::{BareJid, Jid};
use crate::stanza::Stanza;

/// An event and who hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What happened.
    pub event: Event,
    /// Who hears of it.
    pub audience: Audience,
}

/// Who hears of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Subscribers of the node, those of collections above it as their options say, and at an account whoever takes an interest.
    Subscribers,
    /// Only subscribers of collections that the node is in.
    Collections,
    /// These: a subscriber, owners.
    These(Vec<Jid>),
}

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The service, which is `from` of the messages.
    pub service: BareJid,
    /// The node.
    pub node: String,
    /// Type of the messages.
    pub type_: NotificationType,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// §7.1.2: items were published, by one publisher.
    Published {
        /// The items, as they are shown: without payload where the node leaves it out. None: a transient node without payloads (§7.1.2.2?).
        items: Vec<ShownItem>,
        /// Whom replies go to (`pubsub#itemreply`; XEP-0163 §4.3.1.3), with the resource.
        publisher: Jid,
    },
    /// §6.1.7 and §6.5.7: the last item, for a new subscriber or one who comes online.
    Last {
        /// The item.
        item: ShownItem,
        /// When it was published: a delay (XEP-0203).
        published_at: SystemTime,
        /// As above.
        publisher: Jid,
    },
    /// §7.2.2: items are gone.
    Retracted {
        /// ItemIDs.
        ids: Vec<String>,
    },
    /// §8.5.2.
    Purged,
    /// §8.4.2.
    Deleted {
        /// Where to look instead.
        redirect: Option<String>,
    },
    /// §8.2.5: another configuration; the form if payloads are delivered.
    Configured {
        /// `<x/>` of type `result`.
        form: Option<Bytes>,
    },
    /// XEP-0248 §5.3.1.2.
    Created,
    /// XEP-0248 §5.3.2: another node is in this collection now.
    Associated {
        /// The other one.
        child: String,
        /// Its meta-data: `<x/>`.
        form: Option<Bytes>,
    },
    /// XEP-0248 §5.3.2: another node is not in this collection any more.
    Dissociated {
        /// The other one.
        child: String,
    },
    /// §8.6, §8.8.4, §12.14: a subscription has another state; for its subscriber and, with `pubsub#notify_sub`, for owners.
    Subscription {
        /// Whose.
        jid: Jid,
        /// Which of them.
        subid: String,
        /// The state.
        state: SubscriptionState,
        /// When it will end.
        expiry: Option<SystemTime>,
    },
    /// §8.9.4: an affiliation has changed.
    Affiliation {
        /// Whose.
        jid: BareJid,
        /// The affiliation.
        affiliation: Affiliation,
    },
    /// §8.6: an owner is to approve a subscription.
    AuthorizationRequest {
        /// Who wants to subscribe.
        jid: Jid,
        /// Which of the subscriptions.
        subid: String,
    },
}

/// An item as subscribers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownItem {
    /// ItemID; a transient item may have none.
    pub id: Option<String>,
    /// Shown where the node says who published.
    pub publisher: Option<Jid>,
    /// The payload element.
    pub payload: Option<Bytes>,
}

/// What one recipient sees beside the event itself. Recipients with equal ones share a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// SubIDs of the subscriptions by which it is told, where it has several (§12.20?).
    pub subids: Vec<String>,
    /// The collection by which it is told (XEP-0248 §5.3.1).
    pub collection: Option<String>,
    /// A body for people (`pubsub#include_body`).
    pub include_body: bool,
    /// `<addresses/>` with the publisher's full JID: recipients who see the publisher's presence (XEP-0163 §4.3.1.3).
    pub replyto: bool,
}

/// Under which presence of its subscriber a notification is delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    /// It must be available (`pubsub#presence_based_delivery`).
    pub available: bool,
    /// With one of these; empty: any (`pubsub#show-values`).
    pub show_values: Vec<ShowValue>,
}

impl Condition {
    /// Whether nothing need be known of the subscriber.
    #[must_use]
    pub fn is_always_met(&self) -> bool {
        !self.available && self.show_values.is_empty()
    }

    /// Whether a subscriber with these available resources is told; `shows` is empty for one who is unavailable or of whom nothing is known.
    #[must_use]
    pub fn is_met(&self, shows: &[ShowValue]) -> bool {
        self.is_always_met() || shows.iter().any(|show| self.show_values.is_empty() || self.show_values.contains(show))
    }
}

/// Subscribers who see the same under the same condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients {
    /// What they see.
    pub variant: Variant,
    /// When they are told.
    pub condition: Condition,
    /// Bare or full JIDs as they subscribed, in order, each once.
    pub to: Vec<Jid>,
}

/// What subscribers may be interested in separately: XEP-0248 §6.1. Recipients depend on nothing else of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Items published, retracted, purged.
    Items,
    /// Nodes created, deleted, configured, associated.
    Nodes,
}

impl Event {
    /// Which of the two it is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self.kind {
            EventKind::Published { .. } | EventKind::Last { .. } | EventKind::Retracted { .. } | EventKind::Purged => Topic::Items,
            _ => Topic::Nodes,
        }
    }

    /// The message for one variant, with `from` and without `to`.
    #[must_use]
    pub fn template(&self, variant: &Variant) -> Stanza {
        let _ = variant;
        Stanza::message(crate::stanza::MessageType::Headline)
    }
}

impl ShownItem {
    /// The item as a node shows it.
    #[must_use]
    pub fn of(item: &Item, with_payload: bool, with_publisher: bool) -> Self {
        Self {
            id: Some(item.id.clone()),
            publisher: with_publisher.then(|| item.publisher.clone()),
            payload: item.payload.clone().filter(|_| with_payload),
        }
    }
}
