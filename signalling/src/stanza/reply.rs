//! Answers: RFC 6120 §8.2.3 and §8.3.1.

use bytes::Bytes;

use super::{IqType, Kind, MessageType, PresenceType, Stanza, StanzaError};
use crate::xml::XmlWriter;

/// An error carries the original content (RFC 6120 §8.3.1, rule 6) up to this size in bytes.
pub const ORIGINAL_BYTES_MAX: usize = 1024;

impl Stanza {
    /// The result of a request: addresses swapped, same `id`, this payload or none (empty bytes).
    #[must_use]
    pub fn iq_result(request: &Self, payload: impl Into<Bytes>) -> Self {
        let mut result = swapped(request, Kind::Iq(IqType::Result));
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
        Self::error_reply_by(original, error, None)
    }

    /// The same with who says so (§8.3.2), where that is not the addressee.
    #[must_use]
    pub fn error_reply_by(original: &Self, error: &StanzaError, by: Option<&str>) -> Option<Self> {
        if let Some(payload) = &error.payload {
            return error_with(original, payload, error, by);
        }
        // Prefixes declared by the head would have to come along.
        let body = &original.shared.body;
        let small = body.len() <= ORIGINAL_BYTES_MAX && original.rest().is_none();
        error_with(original, if small { body.as_bytes() } else { &[] }, error, by)
    }

    /// The same without what is in the original: it is not to be repeated, or could not be read, as in [`ParseError::Stanza`](super::ParseError).
    #[must_use]
    pub fn error_for(original: &Self, error: &StanzaError) -> Option<Self> {
        error_with(original, &[], error, None)
    }
}

fn error_with(stanza: &Stanza, original: &[u8], error: &StanzaError, by: Option<&str>) -> Option<Stanza> {
    let kind = match stanza.kind() {
        Kind::Iq(IqType::Result | IqType::Error) | Kind::Message(MessageType::Error) | Kind::Presence(PresenceType::Error) => return None,
        kind => kind.to_error(),
    };
    let mut content = XmlWriter::with_capacity(original.len() + 256);
    content.raw(original);
    error.write_by(&mut content, by);
    let mut reply = swapped(stanza, kind);
    // §8.3.1, rule 3: an iq always has an `id`, empty if there was none.
    if reply.id().is_none() && matches!(kind, Kind::Iq(_)) {
        reply.set_id("");
    }
    reply.set_content(content.finish());
    Some(reply)
}

/// An empty stanza that goes back to where this one came from.
fn swapped(original: &Stanza, kind: Kind) -> Stanza {
    let mut stanza = Stanza::new(kind);
    stanza.to.clone_from(&original.shared.head.from);
    let head = &mut stanza.own().head;
    head.from.clone_from(&original.to);
    head.id.clone_from(&original.shared.head.id);
    stanza
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;
    use crate::stanza::Condition;
    use crate::xml::Bindings;

    fn stanza(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap()
    }

    const ERROR: &str = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";

    #[test]
    fn s8_2_3_a_result_swaps_addresses_and_keeps_the_id() {
        let request = stanza("<iq from='a@b/c' to='d.example' id='1' type='get' xml:lang='en'><ping xmlns='urn:xmpp:ping'/></iq>");
        assert_eq!(format!("{:?}", Stanza::iq_result(&request, "")), "<iq from='d.example' to='a@b/c' id='1' type='result'/>");
        let result = Stanza::iq_result(&request, "<query xmlns='jabber:iq:roster'><item/></query>");
        assert_eq!(result.payload().unwrap().name(), "query");
        assert_eq!(
            format!("{result:?}"),
            "<iq from='d.example' to='a@b/c' id='1' type='result'><query xmlns='jabber:iq:roster'><item/></query></iq>"
        );
    }

    #[test]
    fn s8_3_1_an_error_swaps_addresses_keeps_the_id_and_shows_the_original() {
        for (original, expected) in [
            (
                "<message from='a@b/c' to='d@e' id='1' type='chat'><body>hi</body></message>",
                Some(format!("<message from='d@e' to='a@b/c' id='1' type='error'><body>hi</body>{ERROR}</message>")),
            ),
            ("<presence from='a@b' to='d@e'/>", Some(format!("<presence from='d@e' to='a@b' type='error'>{ERROR}</presence>"))),
            ("<iq type='set' id='1'><q xmlns='u'/></iq>", Some(format!("<iq id='1' type='error'><q xmlns='u'/>{ERROR}</iq>"))),
            // A body whose prefixes are declared by the head does not come along.
            ("<message xmlns:p='u'><p:a/></message>", Some(format!("<message type='error'>{ERROR}</message>"))),
            // Rule 8.
            ("<message type='error'/>", None),
            ("<presence type='error'/>", None),
            ("<iq type='error' id='1'/>", None),
            ("<iq type='result' id='1'/>", None),
        ] {
            let reply = Stanza::error_reply(&stanza(original), &StanzaError::service_unavailable());
            assert_eq!(reply.map(|reply| format!("{reply:?}")), expected, "{original}");
        }
        let large = format!("<message><body>{}</body></message>", "x".repeat(ORIGINAL_BYTES_MAX));
        let reply = Stanza::error_reply(&stanza(&large), &StanzaError::service_unavailable()).unwrap();
        assert_eq!(format!("{reply:?}"), format!("<message type='error'>{ERROR}</message>"));
    }

    #[test]
    fn s8_3_2_errors_are_read_back() {
        let request = stanza("<iq from='a@b/c' to='d.example' id='1' type='get'><q xmlns='u'/></iq>");
        for condition in Condition::ALL {
            for error in [
                StanzaError::from(*condition),
                StanzaError {
                    extra: Some(Bytes::from_static(b"<too-many xmlns='urn:x' by='2'/>")),
                    ..StanzaError::from(*condition).with_text("a < b & c")
                },
            ] {
                let reply = Stanza::error_reply(&request, &error).unwrap();
                assert_eq!(StanzaError::of(&reply), Some(error));
            }
        }
        assert_eq!(StanzaError::of(&request), None);
        // Unknown conditions are undefined ones.
        let unknown = stanza("<message type='error'><error><too-new xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
        assert_eq!(StanzaError::of(&unknown), Some(StanzaError::undefined_condition()));
        assert_eq!(unknown.child(ns::CLIENT, "error").map(|error| error.name()), Some("error"));
    }
}
