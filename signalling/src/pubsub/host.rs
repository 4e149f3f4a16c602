//! XEP-0060 at a domain of its own: what the host says it can do, and who creates nodes there.

use campanile_config as config;

use crate::hosts::Hosts;
use crate::iq::{Identity, IqTable, To};
use crate::jid::BareJid;
use crate::ns;

/// §10, what hosts and accounts have in common, and of XEP-0248 §4 and §8.
const FEATURES: &[&str] = &[
    ns::PUBSUB,
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#collections",
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#instant-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#leased-subscription",
    "http://jabber.org/protocol/pubsub#manage-subscriptions",
    "http://jabber.org/protocol/pubsub#member-affiliation",
    "http://jabber.org/protocol/pubsub#meta-data",
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-collections",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#multi-subscribe",
    "http://jabber.org/protocol/pubsub#outcast-affiliation",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#presence-notifications",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-node-full",
    "http://jabber.org/protocol/pubsub#publish-only-affiliation",
    "http://jabber.org/protocol/pubsub#publish-options",
    "http://jabber.org/protocol/pubsub#publisher-affiliation",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-default-sub",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
    "http://jabber.org/protocol/pubsub#rsm",
    "http://jabber.org/protocol/pubsub#subscribe",
    "http://jabber.org/protocol/pubsub#subscription-notifications",
    "http://jabber.org/protocol/pubsub#subscription-options",
    ns::RSM,
];

/// What only hosts do, and their default access model.
const HOST_FEATURES: &[&str] =
    &["http://jabber.org/protocol/pubsub#access-open", "http://jabber.org/protocol/pubsub#get-pending", ns::COMMANDS];

/// Announces hosts.
pub(super) fn announce(table: &mut IqTable) {
    table.identity(To::PubSub, Identity { category: "pubsub", kind: "service", name: "" });
    for feature in FEATURES.iter().chain(HOST_FEATURES) {
        table.feature(To::PubSub, feature);
    }
}

/// What hosts and accounts have in common.
pub(super) fn features() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().copied()
}

/// Bounds, from `[limits]`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nodes of one account, and nodes that one entity owns at a host.
    pub nodes: usize,
    /// What `max` means of items.
    pub items: usize,
    /// Bytes of one payload.
    pub payload_bytes: usize,
    /// Bytes of configurations and items in the nodes of one account, and in those that one entity has made at hosts.
    pub bytes: usize,
    /// Subscriptions to one node.
    pub subscriptions: usize,
    /// Subscriptions of one account.
    pub subscriptions_per_account: usize,
    /// Nodes kept in memory.
    pub nodes_cached: usize,
    /// About how many bytes of items one answer has.
    pub page_bytes: usize,
}

/// Those of the documented configuration.
impl Default for Limits {
    fn default() -> Self {
        Self::new(&config::Limits::default())
    }
}

impl Limits {
    /// Those of `[limits]`.
    #[must_use]
    pub fn new(limits: &config::Limits) -> Self {
        Self {
            nodes: limits.pubsub_nodes,
            items: limits.pubsub_items,
            payload_bytes: limits.pubsub_payload_bytes,
            bytes: limits.pubsub_bytes,
            subscriptions: limits.pubsub_subscriptions,
            subscriptions_per_account: limits.pubsub_subscriptions_per_account,
            nodes_cached: limits.connections as usize,
            page_bytes: limits.mailbox_bytes / 8,
        }
    }
}

/// What the operator has said about hosts and accounts.
#[derive(Debug)]
pub struct Settings {
    /// Where hosts are, and who creates nodes there.
    pub hosts: Hosts,
    /// Bounds.
    pub limits: Limits,
}

impl Settings {
    /// The hosts of these domains.
    #[must_use]
    pub fn new(pubsub: &config::Pubsub, domains: &[String], admins: Vec<BareJid>, limits: Limits) -> Self {
        Self { hosts: Hosts::new(&pubsub.host, domains, pubsub.create, admins), limits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_stands_once_and_is_in_order() {
        for features in [FEATURES, HOST_FEATURES] {
            let names: Vec<_> = features.iter().filter(|feature| feature.contains("pubsub")).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        }
    }
}
