//! `<reason/>`: what is said to people about what is done to them.

use crate::stanza::error::StanzaError;
use crate::xml::{Node, XmlWriter};

/// Longest reason in bytes: many get it, and some are stored.
const BYTES_MAX: usize = 4096;

/// The reason in an element; an empty one is none.
///
/// # Errors
/// `policy-violation` for an over-long one.
pub(super) fn read_reason(node: Node<'_>) -> Result<Option<String>, StanzaError> {
    let reason = node.child(node.ns(), "reason").map(|reason| reason.text().into_owned()).filter(|reason| !reason.is_empty());
    match reason {
        Some(reason) if reason.len() > BYTES_MAX => Err(StanzaError::policy_violation().with_text("the reason is too long")),
        reason => Ok(reason),
    }
}

/// Writes it, if there is one.
pub(in crate::muc) fn write_reason(xml: &mut XmlWriter, reason: Option<&str>) {
    if let Some(reason) = reason {
        xml.open("reason").text(reason).close();
    }
}
