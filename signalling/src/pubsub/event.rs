//! What a node tells: events as values, and as messages without `to`, one for each variant of what its recipients see. Pure.

mod message;

use std::collections::HashMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::config::NotificationType;
use super::model::{Affiliation, SubscriptionState};
use super::options::ShowValue;
use crate::jid::{BareJid, Jid};

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
    /// These, whatever they have subscribed to: a subscriber, owners.
    These(Recipients),
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
    /// §7.1.2: items were published.
    Published {
        /// The items as subscribers see them; none of a transient node that leaves out payloads (§4.3).
        items: Vec<ShownItem>,
        /// Who published, with the resource (XEP-0163 §4.3.1, point 3).
        publisher: Jid,
    },
    /// §6.1.7: the last item, for a new subscriber or one who comes online.
    Last {
        /// The item.
        item: ShownItem,
        /// When it was published: a delay (XEP-0203).
        published_at: SystemTime,
        /// Who published.
        publisher: Jid,
    },
    /// §7.2.2.1: items are gone.
    Retracted {
        /// ItemIDs.
        ids: Vec<String>,
    },
    /// §8.5.2.
    Purged,
    /// §8.4.2.
    Deleted {
        /// Where to look instead: a URI.
        redirect: Option<String>,
    },
    /// §8.2.5.3: another configuration; the form if payloads are delivered.
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
        /// When it will end (§12.19).
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
    /// ItemID.
    pub id: String,
    /// Shown where the node says to whom replies go (§12.17).
    pub publisher: Option<BareJid>,
    /// The payload element.
    pub payload: Option<Bytes>,
}

/// What one recipient sees beside the event itself. Recipients with equal ones share a template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// SubIDs of the subscriptions by which it is told, where it has several (§7.1.2.4).
    pub subids: Vec<String>,
    /// The collection by which it is told (XEP-0248 §5.3.1).
    pub collection: Option<String>,
    /// A body for people (`pubsub#include_body`).
    pub include_body: bool,
    /// `<addresses/>` with the publisher's full JID: recipients who see the publisher's presence (XEP-0163 §4.3.1, point 3).
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

    /// The condition of one who is told when either is met.
    fn or(mut self, other: Self) -> Self {
        if self.is_always_met() || other.is_always_met() {
            return Self::default();
        }
        if self.show_values.is_empty() || other.show_values.is_empty() {
            return Self { available: true, show_values: Vec::new() };
        }
        self.show_values.extend(other.show_values);
        self.show_values.sort_unstable();
        self.show_values.dedup();
        self
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

/// What subscribers may be interested in separately. Recipients depend on nothing else of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// XEP-0248 §6.1, `items`: items published, retracted, purged.
    Items,
    /// XEP-0248 §6.1, `nodes`: nodes created, configured, associated.
    Nodes,
    /// §8.4.2: the node is gone, which concerns those, too, whose subscription does not hold yet.
    Deletion,
}

impl Event {
    /// What it is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self.kind {
            EventKind::Published { .. } | EventKind::Last { .. } | EventKind::Retracted { .. } | EventKind::Purged => Topic::Items,
            EventKind::Deleted { .. } => Topic::Deletion,
            _ => Topic::Nodes,
        }
    }
}

/// One subscription's share in the recipients.
pub(super) struct Told<'a> {
    pub jid: &'a Jid,
    /// Shown if there are several of one JID.
    pub subid: Option<&'a str>,
    pub include_body: bool,
    pub condition: Condition,
}

/// Recipients by what they see. Those of one JID stand together; it gets one message (§6.1.6).
pub(super) fn group<'a>(told: impl Iterator<Item = Told<'a>>, collection: Option<&str>) -> Vec<Recipients> {
    let mut groups: Vec<Recipients> = Vec::new();
    let mut index: HashMap<(Variant, Condition), usize> = HashMap::new();
    let mut add = |jid: &Jid, mut variant: Variant, condition: Condition| {
        if variant.subids.len() == 1 {
            variant.subids.clear();
        }
        let key = (variant, condition);
        let at = index.get(&key).copied().unwrap_or_else(|| {
            let (variant, condition) = key.clone();
            groups.push(Recipients { variant, condition, to: Vec::new() });
            index.insert(key, groups.len() - 1);
            groups.len() - 1
        });
        groups[at].to.push(jid.clone());
    };
    let mut current: Option<(&Jid, Variant, Condition)> = None;
    for told in told {
        match &mut current {
            Some((jid, variant, condition)) if *jid == told.jid => {
                variant.subids.extend(told.subid.map(str::to_owned));
                variant.include_body |= told.include_body;
                *condition = std::mem::take(condition).or(told.condition);
            }
            _ => {
                if let Some((jid, variant, condition)) = current.take() {
                    add(jid, variant, condition);
                }
                let variant = Variant {
                    subids: told.subid.map(str::to_owned).into_iter().collect(),
                    collection: collection.map(str::to_owned),
                    include_body: told.include_body,
                    replyto: false,
                };
                current = Some((told.jid, variant, told.condition));
            }
        }
    }
    if let Some((jid, variant, condition)) = current {
        add(jid, variant, condition);
    }
    groups
}

#[cfg(test)]
mod tests;
