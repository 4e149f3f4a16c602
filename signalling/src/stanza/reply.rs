//! Answers: RFC 6120 §8.2.3 and §8.3.1.

use bytes::Bytes;

use super::{Head, IqType, Kind, MessageType, PresenceType, Stanza, StanzaError};
use crate::xml::XmlWriter;

/// An error carries the original content (RFC 6120 §8.3.1, rule 6) up to this size in bytes.
pub const ORIGINAL_BYTES_MAX: usize = 1024;

impl Stanza {
    /// The result of a request: addresses swapped, same `id`, this payload or none (empty bytes).
    #[must_use]
    pub fn iq_result(request: &Self, payload: impl Into<Bytes>) -> Self {
        let mut result = swapped(&request.head, Kind::Iq(IqType::Result));
        let payload = payload.into();
        if !payload.is_empty() {
            result.set_content(payload);
        }
        result
    }

    /// The error that answers a stanza: same kind, type `error`, addresses swapped, same `id`, the original content if it is small.
    /// `None` for a stanza that must not be answered by an error: an error itself (§8.3.1, rule 8) or the result of an iq.
    #[must_use]
    pub fn error_reply(original: &Self, error: &StanzaError) -> Option<Self> {
        // Prefixes declared by the head would have to come along.
        let small = original.body.len() <= ORIGINAL_BYTES_MAX && original.head.rest.is_none();
        error_with(&original.head, if small { &original.body } else { &[] }, error)
    }

    /// The error that answers a stanza of which only the head could be read, as from [`ParseError::Stanza`](super::ParseError).
    #[must_use]
    pub fn error_for(head: &Head, error: &StanzaError) -> Option<Self> {
        error_with(head, &[], error)
    }
}

fn error_with(head: &Head, original: &[u8], error: &StanzaError) -> Option<Stanza> {
    let kind = match head.kind {
        Kind::Iq(IqType::Result | IqType::Error) | Kind::Message(MessageType::Error) | Kind::Presence(PresenceType::Error) => return None,
        kind => kind.to_error(),
    };
    let mut content = XmlWriter::with_capacity(original.len() + 256);
    content.raw(original);
    error.write(&mut content);
    let mut reply = swapped(head, kind);
    // §8.3.1, rule 3: an iq always has an `id`, empty if there was none.
    if reply.id().is_none() && matches!(kind, Kind::Iq(_)) {
        reply.set_id("");
    }
    reply.set_content(content.finish());
    Some(reply)
}

/// An empty stanza that goes back to where this head came from.
fn swapped(head: &Head, kind: Kind) -> Stanza {
    let mut stanza = Stanza::new(kind);
    stanza.head.from.clone_from(&head.to);
    stanza.head.to.clone_from(&head.from);
    stanza.head.id.clone_from(&head.id);
    stanza
}
