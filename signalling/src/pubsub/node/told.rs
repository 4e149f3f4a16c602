//! Events of a node, and who of its subscribers hears of them.

use std::time::{Duration, SystemTime};

use super::{graph, these};
use crate::jid::{BareJid, Jid};
use crate::pubsub::config::{ItemReply, NotificationType, SendLast};
use crate::pubsub::event::{Audience, Condition, Event, EventKind, Notification, Recipients, ShownItem, Told, Topic, Variant, group};
use crate::pubsub::model::{Item, Node, NodeKind, ServiceKind, Subscription, SubscriptionState};
use crate::pubsub::options::{Expire, SubscriptionType};

impl Node {
    /// An event of this node. What concerns one entity alone may wait for it, whatever the node's notifications do.
    #[must_use]
    pub fn event(&self, kind: EventKind) -> Event {
        let personal =
            matches!(kind, EventKind::Subscription { .. } | EventKind::Affiliation { .. } | EventKind::AuthorizationRequest { .. });
        let type_ = if personal { NotificationType::Normal } else { self.config.notification_type };
        Event { service: self.address.service.clone(), node: self.address.node.clone(), type_, kind }
    }

    /// An item as subscribers see it (§4.3, §12.17).
    #[must_use]
    pub fn shown(&self, item: &Item) -> ShownItem {
        let mut shown = self.retrieved(item);
        if !self.config.deliver_payloads {
            shown.payload = None;
        }
        shown
    }

    /// An item as one who retrieves it sees it.
    #[must_use]
    pub fn retrieved(&self, item: &Item) -> ShownItem {
        ShownItem { id: item.id.clone(), publisher: self.shown_publisher(&item.publisher), payload: item.payload.clone() }
    }

    /// §7.1.2.3: the bare JID, since which client it was is nobody's business here.
    fn shown_publisher(&self, publisher: &Jid) -> Option<BareJid> {
        match self.config.itemreply? {
            ItemReply::Publisher => Some(publisher.to_bare()),
            ItemReply::Owner if self.service == ServiceKind::Pep => Some(self.address.service.clone()),
            ItemReply::Owner => self.owners().next().cloned(),
        }
    }

    /// The last item, unless it has expired.
    #[must_use]
    pub fn last_item_at(&self, now: SystemTime) -> Option<&Item> {
        self.last_item.as_ref().filter(|last| {
            let lifetime = self.config.item_expire_s().map(Duration::from_secs);
            let end = lifetime.and_then(|lifetime| last.published_at.checked_add(lifetime));
            end.is_none_or(|end| now < end)
        })
    }

    /// The last item as an event for somebody who has come just now, if there is one to be told of.
    #[must_use]
    pub fn last_item_event(&self, now: SystemTime) -> Option<Event> {
        if self.kind == NodeKind::Collection || !self.config.deliver_notifications {
            return None;
        }
        let last = self.last_item_at(now)?;
        Some(self.event(EventKind::Last { item: self.shown(last), published_at: last.published_at, publisher: last.publisher.clone() }))
    }

    /// §6.1.7: the last item, for a subscriber who is new.
    pub(super) fn tell_last(&self, subscription: &Subscription, now: SystemTime) -> Option<Notification> {
        if subscription.state != SubscriptionState::Subscribed
            || !subscription.options.deliver
            || self.config.send_last_published_item == SendLast::Never
        {
            return None;
        }
        let event = self.last_item_event(now)?;
        let variant = Variant { include_body: subscription.options.include_body, ..Variant::default() };
        Some(Notification { event, audience: Audience::These(Recipients { variant, ..these(vec![subscription.jid.clone()]) }) })
    }

    /// §12.14: a subscriber's own state.
    pub(super) fn tell_subscriber(&self, subscription: &Subscription, state: SubscriptionState) -> Notification {
        self.told_of(subscription, state, vec![subscription.jid.clone()])
    }

    /// `pubsub#notify_sub`: the state of a subscription, to owners but the one who brought it about.
    pub(super) fn tell_owners(&self, subscription: &Subscription, state: SubscriptionState, except: Option<&Jid>) -> Option<Notification> {
        let owners = self.owners().filter(|owner| except.is_none_or(|except| except.bare_str() != owner.as_str()));
        let owners: Vec<Jid> = owners.map(Jid::from).collect();
        (self.config.notify_sub && !owners.is_empty()).then(|| self.told_of(subscription, state, owners))
    }

    fn told_of(&self, subscription: &Subscription, state: SubscriptionState, to: Vec<Jid>) -> Notification {
        let expiry = match subscription.options.expire {
            Expire::At(end) if state != SubscriptionState::None => Some(end),
            _ => None,
        };
        let kind = EventKind::Subscription { jid: subscription.jid.clone(), subid: subscription.subid.clone(), state, expiry };
        Notification { event: self.event(kind), audience: Audience::These(these(to)) }
    }

    /// §8.6.
    pub(super) fn ask_owners(&self, subscription: &Subscription) -> Notification {
        let kind = EventKind::AuthorizationRequest { jid: subscription.jid.clone(), subid: subscription.subid.clone() };
        let owners = self.owners().map(Jid::from).collect();
        Notification { event: self.event(kind), audience: Audience::These(these(owners)) }
    }

    /// Explicit subscribers who hear of an event of this node, grouped by what they see.
    #[must_use]
    pub fn recipients(&self, topic: Topic) -> Vec<Recipients> {
        let told = self.subscriptions.values().filter(move |subscription| match topic {
            // §8.4.2: whether their subscription holds or not.
            Topic::Deletion => true,
            // What happens to a collection itself is about nodes (XEP-0248 §6.1).
            _ => hears(subscription) && (self.kind == NodeKind::Leaf || subscription.options.subscription_type != SubscriptionType::Items),
        });
        group(told.map(|subscription| told_by(subscription, topic, self)), None)
    }

    /// Subscribers of this collection who hear of what happens to a node `steps` below it (XEP-0248 §5.3.1, §6.1). How notifications are delivered
    /// is that node's business.
    pub(in crate::pubsub) fn recipients_by_collection(&self, origin: &Self, steps: u64, topic: Topic) -> Vec<Recipients> {
        let told = self.subscriptions.values().filter(move |subscription| {
            let options = &subscription.options;
            let wanted = match topic {
                Topic::Items => options.subscription_type != SubscriptionType::Nodes,
                Topic::Nodes | Topic::Deletion => options.subscription_type != SubscriptionType::Items,
            };
            hears(subscription) && wanted && options.subscription_depth.is_none_or(|depth| steps <= depth)
        });
        let header = if self.address.node == graph::ROOT { "" } else { &self.address.node };
        group(told.map(|subscription| told_by(subscription, topic, origin)), Some(header))
    }
}

fn hears(subscription: &Subscription) -> bool {
    subscription.state == SubscriptionState::Subscribed && subscription.options.deliver
}

fn told_by<'a>(subscription: &'a Subscription, topic: Topic, origin: &Node) -> Told<'a> {
    let options = &subscription.options;
    Told {
        jid: &subscription.jid,
        // §12.16: what is the same for all subscriptions does not name them.
        subid: (topic == Topic::Items).then_some(&*subscription.subid),
        include_body: topic == Topic::Items && options.include_body,
        condition: Condition { available: origin.config.presence_based_delivery, show_values: options.show_values.clone() },
    }
}
