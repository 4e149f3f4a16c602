//! What a node consists of: XEP-0060 §4. Plain values.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::config::NodeConfig;
use super::options::SubscribeOptions;
use crate::jid::{BareJid, Jid};
use crate::named::named;

/// Which kind of service a node is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// `pubsub.{domain}`: anybody's nodes.
    Host,
    /// An account: its owner's nodes (XEP-0163).
    Pep,
}

/// Bytes of a NodeID, as of a resourcepart, which it is to look like (§4.6.2).
pub const NODE_BYTES_MAX: usize = 1023;

/// The address of a node: §4.6.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeAddress {
    /// The service: a domain of its own, or the bare JID of an account.
    pub service: BareJid,
    /// The NodeID.
    pub node: String,
}

named! {
    /// §4.1.
    Affiliation {
        /// Everything is allowed.
        Owner "owner",
        /// Publishes, and removes what it published.
        Publisher "publisher",
        /// Publishes, and neither subscribes nor reads.
        PublishOnly "publish-only",
        /// On the whitelist.
        Member "member",
        /// No affiliation.
        None "none",
        /// Banned.
        Outcast "outcast",
    }
}

named! {
    /// §4.2.
    SubscriptionState {
        /// Not subscribed.
        None "none",
        /// Waits for an owner's approval.
        Pending "pending",
        /// Waits for its subscriber to configure it.
        Unconfigured "unconfigured",
        /// Subscribed.
        Subscribed "subscribed",
    }
}

named! {
    /// What a node holds: §4.4, XEP-0248 §4.1.
    NodeKind {
        /// Items.
        Leaf "leaf",
        /// Other nodes.
        Collection "collection",
    }
}

/// A subscription: §6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where notifications go: a bare or a full JID.
    pub jid: Jid,
    /// Tells it from others of the same JID (§6.1.6); unique within its node.
    pub subid: String,
    /// How far it has come; never `None`.
    pub state: SubscriptionState,
    /// §6.3.
    pub options: SubscribeOptions,
}

/// An item as it is kept: §7.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The ItemID.
    pub id: String,
    /// Who published it, with the resource.
    pub publisher: Jid,
    /// When.
    pub published_at: SystemTime,
    /// The payload element, self-contained as to namespaces; `None` for an item without one.
    pub payload: Option<Bytes>,
}

/// All of a node but its items, which stay in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its address.
    pub address: NodeAddress,
    /// What kind of service it is at.
    pub service: ServiceKind,
    /// What it holds.
    pub kind: NodeKind,
    /// Who created it.
    pub creator: BareJid,
    /// When.
    pub created_at: SystemTime,
    /// §8.2.
    pub config: NodeConfig,
    /// §8.9, without those who have none. There is an owner at least.
    pub affiliations: BTreeMap<BareJid, Affiliation>,
    /// §8.8, by JID and subid.
    pub subscriptions: BTreeMap<(Jid, String), Subscription>,
    /// Its last item, whether persistent or not; what is not persistent is lost when the node leaves memory (§4.3).
    pub last_item: Option<Item>,
}
