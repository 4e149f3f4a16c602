//! What a request of `muc#admin` names: XEP-0045 §19.3.

use crate::jid::{Jid, JidError};
use crate::muc::model::{Affiliation, Role};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::Node;

/// Bytes of what is said to people.
const REASON_BYTES_MAX: usize = 4096;

/// Most items of one request: each can be a message to somebody who is not there and a notice to everybody who is.
const ITEMS_MAX: usize = 200;

/// An `<item/>` as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub jid: Option<Jid>,
    /// May be empty: a nickname that is nobody's any more.
    pub nick: Option<String>,
    pub wanted: Wanted,
    pub reason: Option<String>,
}

/// An item is about one of these, never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Affiliation(Affiliation),
    Role(Role),
}

impl Item {
    /// Reads an item.
    ///
    /// # Errors
    /// `bad-request`, `jid-malformed`, `policy-violation` for an over-long reason.
    pub fn read(node: Node<'_>) -> Result<Self, StanzaError> {
        let wanted = match (node.attr("affiliation"), node.attr("role")) {
            (Some(affiliation), None) => Affiliation::parse(affiliation).map(Wanted::Affiliation),
            (None, Some(role)) => Role::parse(role).map(Wanted::Role),
            _ => return Err(StanzaError::bad_request("an item is about an affiliation or about a role")),
        };
        let wanted = wanted.ok_or_else(|| StanzaError::bad_request("there is no such affiliation or role"))?;
        let malformed = |error: JidError| StanzaError::jid_malformed().with_text(error.to_string());
        let jid = node.attr("jid").map(Jid::parse).transpose().map_err(malformed)?;
        let reason = reason(node)?;
        Ok(Self { jid, nick: node.attr("nick").map(str::to_owned), wanted, reason })
    }
}

/// `<reason/>` of an element; an empty one is none.
///
/// # Errors
/// `policy-violation` for an over-long one.
pub(in crate::muc::room) fn reason(node: Node<'_>) -> Result<Option<String>, StanzaError> {
    let reason = node.child(node.ns(), "reason").map(|reason| reason.text().into_owned()).filter(|reason| !reason.is_empty());
    match reason {
        Some(reason) if reason.len() > REASON_BYTES_MAX => Err(StanzaError::policy_violation().with_text("the reason is too long")),
        reason => Ok(reason),
    }
}

/// All items of a request, at least one.
///
/// # Errors
/// As [`Item::read`], and `policy-violation` for too many.
pub(super) fn items(query: Node<'_>) -> Result<Vec<Item>, StanzaError> {
    if query.children_named(ns::MUC_ADMIN, "item").count() > ITEMS_MAX {
        return Err(StanzaError::policy_violation().with_text("too many items at once"));
    }
    let items = query.children_named(ns::MUC_ADMIN, "item").map(Item::read).collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() { Err(StanzaError::bad_request("there is no <item/>")) } else { Ok(items) }
}
