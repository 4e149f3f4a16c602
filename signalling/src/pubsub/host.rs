//! XEP-0060 at a domain of its own: what the host says it can do, and who creates nodes there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};

use campanile_config::{self as config, MayCreate};

use crate::iq::{Identity, IqTable, To};
use crate::jid::{BareJid, Jid};
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
    /// Domains of hosts, each with the domains of accounts that it serves.
    hosts: BTreeMap<String, BTreeSet<String>>,
    /// `MayCreate`, which a reload may change.
    create: AtomicU8,
    admins: Vec<BareJid>,
    /// Bounds.
    pub limits: Limits,
}

impl Settings {
    /// The hosts of these domains.
    #[must_use]
    pub fn new(pubsub: &config::Pubsub, domains: &[String], admins: Vec<BareJid>, limits: Limits) -> Self {
        let mut hosts: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for domain in domains {
            hosts.entry(pubsub.host.host(domain)).or_default().insert(domain.clone());
        }
        let settings = Self { hosts, create: AtomicU8::default(), admins, limits };
        settings.set_create(pubsub.create);
        settings
    }

    /// The domains of hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// Those that serve a domain of accounts.
    pub fn hosts_of<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a str> {
        self.hosts.iter().filter(move |(_, domains)| domains.contains(domain)).map(|(host, _)| host.as_str())
    }

    /// Whether this is the domain of a host.
    #[must_use]
    pub fn is_host(&self, domain: &str) -> bool {
        self.hosts.contains_key(domain)
    }

    /// Another policy, from now on.
    pub fn set_create(&self, create: MayCreate) {
        self.create.store(create as u8, Ordering::Relaxed);
    }

    /// Whether a host is asked by one of the server's administrators.
    #[must_use]
    pub fn is_admin(&self, jid: &Jid) -> bool {
        self.admins.iter().any(|admin| admin.as_str() == jid.bare_str())
    }

    /// Whether an entity may create nodes at a host. `local` says that it is an account of this server, and not an anonymous one.
    #[must_use]
    pub fn may_create(&self, jid: &Jid, local: bool) -> bool {
        let create = self.create.load(Ordering::Relaxed);
        self.is_admin(jid) || create == MayCreate::Anyone as u8 || (create == MayCreate::Local as u8 && local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    #[test]
    fn each_host_serves_the_domains_whose_template_makes_it() {
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        let settings = Settings::new(&config::Pubsub::default(), &domains, Vec::new(), Limits::default());
        assert_eq!(settings.hosts().collect::<Vec<_>>(), ["pubsub.a.example", "pubsub.b.example"]);
        assert_eq!(settings.hosts_of("b.example").collect::<Vec<_>>(), ["pubsub.b.example"]);
        assert!(settings.is_host("pubsub.a.example") && !settings.is_host("a.example"));
    }

    #[test]
    fn who_creates_nodes() {
        let admins = vec![BareJid::parse("root@a.example").unwrap()];
        let settings = Settings::new(&config::Pubsub::default(), &["a.example".to_owned()], admins, Limits::default());
        for (create, expected) in
            [(MayCreate::Anyone, [true, true, true]), (MayCreate::Local, [true, true, false]), (MayCreate::Admins, [true, false, false])]
        {
            settings.set_create(create);
            let may = [("root@a.example/x", true), ("b@a.example", true), ("c@elsewhere", false)];
            assert_eq!(may.map(|(from, local)| settings.may_create(&jid(from), local)), expected, "{create:?}");
        }
    }

    #[test]
    fn each_feature_stands_once_and_is_in_order() {
        for features in [FEATURES, HOST_FEATURES] {
            let names: Vec<_> = features.iter().filter(|feature| feature.contains("pubsub")).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        }
    }
}
