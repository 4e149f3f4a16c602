//! The configuration of a node: XEP-0060 §8.2 and §16.4.4, XEP-0248 §6; as a form in `config/form.rs`. Pure.

mod form;

pub(super) use form::CHILDREN_MAX;
pub use form::Submitted;

use super::context::Limits;
use super::model::{NodeKind, ServiceKind};
use crate::jid::{BareJid, Jid};
use crate::named::named;

named! {
    /// `pubsub#access_model`: who may subscribe and retrieve items (§4.5).
    AccessModel {
        /// Whom an owner approves.
        Authorize "authorize",
        /// Anyone.
        Open "open",
        /// Whoever sees the owner's presence.
        Presence "presence",
        /// Whoever is in one of `roster_groups_allowed`.
        Roster "roster",
        /// Members.
        Whitelist "whitelist",
    }
}

named! {
    /// `pubsub#publish_model`: who may publish besides owners and publishers.
    PublishModel {
        /// Nobody.
        Publishers "publishers",
        /// Subscribers.
        Subscribers "subscribers",
        /// Anyone.
        Open "open",
    }
}

named! {
    /// `pubsub#send_last_published_item`.
    SendLast {
        /// Never.
        Never "never",
        /// To a new subscriber.
        OnSub "on_sub",
        /// And whenever a subscriber comes online.
        OnSubAndPresence "on_sub_and_presence",
    }
}

named! {
    /// `pubsub#publish_node_full`: what becomes of a publication at a full node.
    NodeFull {
        /// The oldest item is retracted, with a notification.
        RetractOldest "retract-oldest",
        /// The oldest item is gone without a word.
        DiscardOldest "discard-oldest",
        /// The publication is refused.
        Reject "reject",
    }
}

named! {
    /// `pubsub#itemreply`: who gets the replies to items.
    ItemReply {
        /// The node's owner.
        Owner "owner",
        /// The item's publisher.
        Publisher "publisher",
    }
}

named! {
    /// `pubsub#notification_type`.
    NotificationType {
        /// Messages that may wait for a subscriber who is offline.
        Normal "normal",
        /// Messages that do not.
        Headline "headline",
    }
}

named! {
    /// `pubsub#children_association_policy` (XEP-0248 §6): who may associate nodes with a collection.
    ChildrenPolicy {
        /// Anyone.
        All "all",
        /// Owners of the collection.
        Owners "owners",
        /// Those of `children_association_whitelist`.
        Whitelist "whitelist",
    }
}

/// A bound that may be as high as the server allows: `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpTo {
    /// So many.
    Number(u64),
    /// As many as the server allows.
    Max,
}

/// All that can be configured. Fields are named as on the wire, without `pubsub#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// A name for people.
    pub title: String,
    /// For people.
    pub description: String,
    /// RFC 5646 tag of its contents.
    pub language: String,
    /// `pubsub#type`: the namespace of payloads, usually.
    pub type_: String,
    /// Whom to ask.
    pub contact: Vec<Jid>,
    /// Who may subscribe and retrieve items.
    pub access_model: AccessModel,
    /// Groups of the owner's roster, for [`AccessModel::Roster`].
    pub roster_groups_allowed: Vec<String>,
    /// Who may publish.
    pub publish_model: PublishModel,
    /// What happens at `max_items`.
    pub publish_node_full: NodeFull,
    /// Items are kept.
    pub persist_items: bool,
    /// How many are kept.
    pub max_items: UpTo,
    /// Seconds; `None`: never.
    pub item_expire: Option<UpTo>,
    /// Bytes; `u64::MAX` for as many as the server allows.
    pub max_payload_size: u64,
    /// Events are told at all.
    pub deliver_notifications: bool,
    /// With payloads.
    pub deliver_payloads: bool,
    /// Subscribers are told of another configuration.
    pub notify_config: bool,
    /// Subscribers are told that the node is deleted.
    pub notify_delete: bool,
    /// Subscribers are told of items that are gone.
    pub notify_retract: bool,
    /// Owners are told of subscribers that come and go.
    pub notify_sub: bool,
    /// Type of the messages.
    pub notification_type: NotificationType,
    /// Only available subscribers are told.
    pub presence_based_delivery: bool,
    /// A publisher's items go when the publisher goes offline.
    pub purge_offline: bool,
    /// Who gets the last item besides those it was published to.
    pub send_last_published_item: SendLast,
    /// Every subscription ends when its subscriber goes offline (§12.5).
    pub tempsub: bool,
    /// Subscribing is allowed.
    pub subscribe: bool,
    /// Who gets replies, if it is said.
    pub itemreply: Option<ItemReply>,
    /// Kept for those who ask.
    pub body_xslt: String,
    /// Kept for those who ask.
    pub dataform_xslt: String,
    /// `pubsub#node_type`; it does not change.
    pub node_type: NodeKind,
    /// `pubsub#collection`: the collections that the node is associated with (XEP-0248).
    pub collection: Vec<String>,
    /// Of a collection: who may associate nodes with it.
    pub children_association_policy: ChildrenPolicy,
    /// Of a collection, for [`ChildrenPolicy::Whitelist`].
    pub children_association_whitelist: Vec<BareJid>,
    /// Of a collection: `None` for as many as the server allows.
    pub children_max: Option<u64>,
}

impl NodeConfig {
    /// §8.3: what a node is configured with unless its creator says otherwise.
    #[must_use]
    pub fn default_for(service: ServiceKind, node: NodeKind) -> Self {
        let host = service == ServiceKind::Host;
        Self {
            title: String::new(),
            description: String::new(),
            language: String::new(),
            type_: String::new(),
            contact: Vec::new(),
            access_model: if host { AccessModel::Open } else { AccessModel::Presence },
            roster_groups_allowed: Vec::new(),
            publish_model: PublishModel::Publishers,
            // §7.1.2.5 has `retract-oldest` as the default. At an account, where a node has one item by default, that would be a word about
            // the old tune after each new one, which clients take for the end of the new one.
            publish_node_full: if host { NodeFull::RetractOldest } else { NodeFull::DiscardOldest },
            persist_items: true,
            max_items: if host { UpTo::Max } else { UpTo::Number(1) },
            item_expire: None,
            max_payload_size: u64::MAX,
            deliver_notifications: true,
            deliver_payloads: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            notification_type: NotificationType::Headline,
            presence_based_delivery: false,
            purge_offline: false,
            send_last_published_item: if host { SendLast::OnSub } else { SendLast::OnSubAndPresence },
            tempsub: false,
            subscribe: true,
            itemreply: None,
            body_xslt: String::new(),
            dataform_xslt: String::new(),
            node_type: node,
            collection: Vec::new(),
            children_association_policy: ChildrenPolicy::Owners,
            children_association_whitelist: Vec::new(),
            children_max: None,
        }
    }

    /// The same within what the server allows: what exceeds it is the most that it allows, so that who asks for more gets that.
    #[must_use]
    pub fn within(mut self, limits: &Limits) -> Self {
        if self.max_payload_size >= limits.payload_bytes {
            self.max_payload_size = u64::MAX;
        }
        if let UpTo::Number(number) = self.max_items
            && number >= limits.items
        {
            self.max_items = UpTo::Max;
        }
        // Nothing forces items to expire, so the longest time is for ever.
        if self.item_expire == Some(UpTo::Max) {
            self.item_expire = None;
        }
        self
    }

    /// The same as it is shown, with numbers instead of what only means the most.
    pub(super) fn shown(&self, limits: &Limits) -> Self {
        let config = self.clone().within(limits);
        Self { max_payload_size: config.max_payload_size.min(limits.payload_bytes), ..config }
    }

    /// How many items are kept.
    #[must_use]
    pub fn max_items(&self, limits: &Limits) -> u64 {
        match self.max_items {
            UpTo::Number(number) => number.min(limits.items),
            UpTo::Max => limits.items,
        }
    }

    /// Seconds until an item expires.
    #[must_use]
    pub fn item_expire_s(&self) -> Option<u64> {
        match self.item_expire {
            Some(UpTo::Number(seconds)) => Some(seconds),
            Some(UpTo::Max) | None => None,
        }
    }
}
