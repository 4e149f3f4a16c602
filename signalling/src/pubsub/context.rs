//! What a request is decided by besides the node: who asks, when, within which limits, and what was looked up for it. Plain values.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::model::{Node, ServiceKind};
use crate::jid::{BareJid, Jid};

/// What an entity is to a node's owners: XEP-0060 §4.5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relation {
    /// It is subscribed to an owner's presence.
    pub sees_presence: bool,
    /// Groups of that owner's roster that it is in; only of those whose presence it sees.
    pub groups: Vec<String>,
    /// It administers the service: what an owner may, it may at every node.
    pub administers: bool,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes of one owner at a host, and of one account.
    pub nodes: u64,
    /// Items of a node: what `max` means.
    pub items: u64,
    /// Bytes of a payload.
    pub payload_bytes: u64,
    /// Subscriptions to one node.
    pub subscriptions: u64,
    /// Subscriptions of one account, at all services.
    pub subscriptions_per_account: u64,
}

/// Who asks whom for something, and what is known.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The service asked.
    pub service: &'a BareJid,
    /// Which kind it is.
    pub kind: ServiceKind,
    /// Who asks: `from` of the request.
    pub requester: &'a Jid,
    /// What the requester is to the owners of the node; at an account, to its owner.
    pub relation: &'a Relation,
    /// The requester may create nodes here, their number aside.
    pub may_create: bool,
    /// When.
    pub now: SystemTime,
    /// `[limits]`.
    pub limits: &'a Limits,
    /// Yields a new random identifier each time.
    pub fresh_id: &'a (dyn Fn() -> String + Sync),
    /// What [`wants`](super::node::wants) asked for.
    pub facts: &'a Facts<'a>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("service", self.service)
            .field("requester", self.requester)
            .field("facts", self.facts)
            .finish_non_exhaustive()
    }
}

/// Who asks, as far as it decides what is worth a look.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Who asks.
    pub requester: &'a Jid,
    /// It administers the service.
    pub administers: bool,
    /// It may create nodes here, their number aside.
    pub may_create: bool,
}

/// What is to be looked up before a request can be decided; usually nothing, and nothing for one that will be refused anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Which nodes there are, or how they hang together, may change: nobody else may change that meanwhile.
    pub structure: bool,
    /// Publishers of those of these items that exist.
    pub publishers_of: Vec<String>,
    /// How many items the node has.
    pub count: bool,
    /// How many nodes the requester owns at a host; at an account, how many it has.
    pub owned: bool,
    /// How many subscriptions each of these accounts has, at all services.
    pub subscriptions_of: Vec<BareJid>,
    /// The relation of each of these to the node's owners.
    pub relations_of: Vec<BareJid>,
    /// These other nodes, whose turns are taken, too; those that do not exist are left out.
    pub nodes: Vec<String>,
    /// The node's own children likewise.
    pub own_children: bool,
    /// Names of the children of each of these nodes; the node itself may be among them.
    pub children_of: Vec<String>,
    /// Collections of these nodes, of those collections, and so on up.
    pub ancestors_of: Vec<String>,
}

/// What was looked up.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// By ItemID.
    pub publishers: BTreeMap<String, Jid>,
    /// How many items the node has.
    pub count: u64,
    /// How many nodes the requester owns.
    pub owned: u64,
    /// How many subscriptions each account asked about has.
    pub subscriptions: BTreeMap<BareJid, u64>,
    /// By account.
    pub relations: BTreeMap<BareJid, Relation>,
    /// By NodeID.
    pub nodes: BTreeMap<String, &'a Node>,
    /// Children by NodeID.
    pub children: BTreeMap<String, Vec<String>>,
    /// Collections by NodeID.
    pub parents: BTreeMap<String, Vec<String>>,
}
