//! A framed element to a stanza, in one pass: validated, its head typed, its children indexed.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use smallvec::SmallVec;

use super::child::Indexer;
use super::error::StanzaError;
use super::head::{Head, IqType, Kind, MessageType, PresenceType, Rest};
use super::{ID_BYTES_MAX, Shared, Stanza};
use crate::jid::Jid;
use crate::ns;
use crate::stream::error::{Condition, StreamError};
use crate::xml::validate::{Attribute, Sink, StartTag, walk};
use crate::xml::{Bindings, XmlError};

/// Why an element is no stanza that can be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// The stream must end with this error.
    Stream(StreamError),
    /// The stanza is refused with this error, and the stream goes on. What could be read of it says to whom and about what;
    /// [`Stanza::error_for`](super::Stanza::error_for) makes the reply, or finds that there must be none.
    Stanza(Box<StanzaError>, Stanza),
}

impl From<XmlError> for ParseError {
    fn from(error: XmlError) -> Self {
        Self::Stream(error.into())
    }
}

impl From<StreamError> for ParseError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

/// What the pass collects.
struct Collector<'a> {
    name: &'a str,
    /// The stanza, or an element of its content namespace inside, is written with a prefix.
    prefixed: bool,
    ns: String,
    to: Option<Attribute<'a>>,
    from: Option<Attribute<'a>>,
    id: Option<Attribute<'a>>,
    type_: Option<Attribute<'a>>,
    lang: Option<Attribute<'a>>,
    /// Other attributes and prefix declarations, as they are written.
    others: String,
    /// Prefixes declared by the head.
    prefixes: Vec<(String, String)>,
    body: std::ops::Range<usize>,
    indexer: Indexer<'a>,
}

impl<'a> Sink<'a> for Collector<'a> {
    fn start(&mut self, depth: usize, tag: &StartTag<'_, 'a>) -> Result<(), XmlError> {
        if tag.local_start > 0 && depth > 0 {
            self.prefixed |= tag.ns().0 == self.indexer.content_ns;
        }
        match depth {
            0 => self.head(tag),
            1 => return self.indexer.child_start(tag),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, depth: usize, end_tag_start: usize, position: usize) {
        match depth {
            0 => self.body.end = end_tag_start,
            1 => self.indexer.child_end(end_tag_start, position),
            _ => {}
        }
    }
}

impl<'a> Collector<'a> {
    fn head(&mut self, tag: &StartTag<'_, 'a>) {
        self.name = tag.local();
        self.prefixed = tag.local_start > 0;
        let (uri, _) = tag.ns();
        match uri {
            ns::CLIENT => self.indexer.content_ns = ns::CLIENT,
            ns::SERVER => self.indexer.content_ns = ns::SERVER,
            ns::COMPONENT => self.indexer.content_ns = ns::COMPONENT,
            _ => self.ns = uri.to_owned(),
        }
        self.body = tag.end..tag.end;
        self.indexer.body = tag.end;
        for attribute in tag.attributes {
            match attribute.name {
                "to" => self.to = Some(*attribute),
                "from" => self.from = Some(*attribute),
                "id" => self.id = Some(*attribute),
                "type" => self.type_ = Some(*attribute),
                "xml:lang" => self.lang = Some(*attribute),
                // Written anew, as the outgoing stream needs it.
                "xmlns" | "xmlns:xml" => {}
                _ => {
                    self.others.push(' ');
                    self.others.push_str(attribute.name);
                    self.others.push('=');
                    // The quotes are part of the attribute's range; the value cannot contain the one that it stands in.
                    let quote = if attribute.value.contains('\'') { '"' } else { '\'' };
                    self.others.push(quote);
                    self.others.push_str(attribute.value);
                    self.others.push(quote);
                    if let Some(prefix) = attribute.declares() {
                        self.prefixes.push((prefix.to_owned(), attribute.unescaped().into_owned()));
                    }
                }
            }
        }
    }
}

/// See [`Stanza::parse_within`].
pub(crate) fn parse(frame: Bytes, bindings: &Bindings, depth_max: usize) -> Result<Stanza, ParseError> {
    let frame = ByteString::try_from(frame).map_err(|_| XmlError::UnsupportedEncoding("not UTF-8"))?;
    let mut collector = Collector {
        name: "",
        prefixed: false,
        ns: String::new(),
        to: None,
        from: None,
        id: None,
        type_: None,
        lang: None,
        others: String::new(),
        prefixes: Vec::new(),
        body: 0..0,
        indexer: Indexer::new(&frame, ""),
    };
    let outer_used = walk(&frame, bindings, depth_max, &mut collector)?;
    check_namespace(&collector, bindings)?;
    let (kind, kind_error) = kind(collector.name, collector.type_.map(|type_| type_.value))?;

    let text = |attribute: Attribute<'_>| match attribute.unescaped() {
        Cow::Borrowed(part) => frame.slice_ref(part),
        Cow::Owned(resolved) => ByteString::from(resolved),
    };
    let address = |attribute: Attribute<'_>| Jid::parse(&attribute.unescaped());
    let mut head = Head::new(kind);
    head.id = collector.id.map(text);
    head.lang = collector.lang.map(text);
    head.rest = rest(&mut collector, bindings, outer_used);
    head.from = match collector.from.map(address).transpose() {
        Ok(from) => from,
        Err(error) => return Err(StreamError::new(Condition::InvalidFrom).with_text(error.to_string()).into()),
    };
    let to = match collector.to.map(address).transpose() {
        Ok(to) => to,
        Err(error) => {
            let read = Shared { head, body: ByteString::new(), children: SmallVec::new() };
            let error = StanzaError::jid_malformed().with_text(error.to_string());
            return Err(ParseError::Stanza(Box::new(error), Stanza { to: None, shared: Arc::new(read) }));
        }
    };
    // §8.1.3 wants an id. Old libraries (XMPP4R) ask their own account for the roster without one and know the answer by what is in it; towards
    // anybody else such a request stays wrong.
    if head.id.is_none() && to.is_none() && matches!(kind, Kind::Iq(IqType::Get | IqType::Set)) {
        head.id = Some(ByteString::new());
    }
    let body = frame.slice_ref(&frame[collector.body]);
    let stanza = Stanza { to, shared: Arc::new(Shared { head, body, children: collector.indexer.children }) };
    match kind_error.or_else(|| check(&stanza)) {
        Some(error) => Err(ParseError::Stanza(Box::new(error), stanza)),
        None => Ok(stanza),
    }
}

/// RFC 6120 §4.8.3 to §4.8.5, §4.9.3.24: the content namespace of the stream, as default namespace.
fn check_namespace(collector: &Collector<'_>, bindings: &Bindings) -> Result<(), StreamError> {
    if !collector.ns.is_empty() {
        let text = format!("<{}/> of namespace {} is not understood", collector.name, collector.ns);
        return Err(StreamError::new(Condition::UnsupportedStanzaType).with_text(text));
    }
    let content = match bindings.default_ns() {
        ns::SERVER => ns::SERVER,
        ns::COMPONENT => ns::COMPONENT,
        // Also where each element carries its own namespace: WebSocket frames and "prefix-free canonicalization" (§4.8.2).
        _ => ns::CLIENT,
    };
    if collector.indexer.content_ns != content {
        return Err(StreamError::new(Condition::InvalidNamespace).with_text(format!("stanzas of this stream are of {content}")));
    }
    // §4.8.5: not to be passed on; and the default namespace inside would be something else.
    if collector.prefixed {
        return Err(StreamError::new(Condition::BadNamespacePrefix).with_text("elements of the content namespace must have no prefix"));
    }
    Ok(())
}

/// Name and `type` to kind; with a type that is not allowed, the kind to answer about and the error.
fn kind(name: &str, type_: Option<&str>) -> Result<(Kind, Option<StanzaError>), StreamError> {
    Ok(match (name, type_) {
        // RFC 6121 §5.2.2: not understood is `normal`.
        ("message", type_) => (Kind::Message(type_.and_then(MessageType::parse).unwrap_or(MessageType::Normal)), None),
        ("presence", None) => (Kind::Presence(PresenceType::Available), None),
        ("presence", Some(type_)) => match PresenceType::parse(type_) {
            Some(type_) if type_ != PresenceType::Available => (Kind::Presence(type_), None),
            _ => (Kind::Presence(PresenceType::Available), Some(StanzaError::bad_request("unknown type of presence"))),
        },
        ("iq", type_) => match type_.and_then(IqType::parse) {
            Some(type_) => (Kind::Iq(type_), None),
            None => (Kind::Iq(IqType::Get), Some(StanzaError::bad_request("an iq must be of type get, set, result or error"))),
        },
        _ => return Err(StreamError::new(Condition::UnsupportedStanzaType).with_text(format!("<{name}/> is not understood"))),
    })
}

/// RFC 6120 §8.1.3 and §8.2.3, and our bound on identifiers.
fn check(stanza: &Stanza) -> Option<StanzaError> {
    if stanza.id().is_some_and(|id| id.len() > ID_BYTES_MAX) {
        return Some(StanzaError::policy_violation().with_text("the id is longer than 1023 bytes"));
    }
    let Kind::Iq(type_) = stanza.kind() else { return None };
    if stanza.id().is_none() {
        return Some(StanzaError::bad_request("an iq must have an id"));
    }
    match (type_, stanza.shared.children.len()) {
        (IqType::Get | IqType::Set, 1) | (IqType::Result, 0 | 1) | (IqType::Error, _) => None,
        (IqType::Get | IqType::Set, _) => Some(StanzaError::bad_request("a request must have exactly one payload")),
        (IqType::Result, _) => Some(StanzaError::bad_request("a result must have at most one payload")),
    }
}

/// Attributes that are not common ones, declarations of the head, and those of the stream that the stanza uses.
fn rest(collector: &mut Collector<'_>, bindings: &Bindings, outer_used: u64) -> Option<Box<Rest>> {
    let namespaces = std::mem::take(&mut collector.indexer.namespaces);
    if collector.others.is_empty() && outer_used == 0 && namespaces.is_empty() {
        return None;
    }
    let mut attributes = std::mem::take(&mut collector.others);
    let mut prefixes = std::mem::take(&mut collector.prefixes);
    for (position, (prefix, uri)) in bindings.prefixes().enumerate().take(64) {
        // A prefix declared again by the head means that one everywhere inside.
        let used = outer_used & (1 << position) != 0 && !prefixes.iter().any(|(declared, _)| declared == prefix);
        if used {
            attributes.push_str(" xmlns:");
            attributes.push_str(prefix);
            attributes.push_str("='");
            attributes.push_str(&crate::xml::escape::escape_attr(uri));
            attributes.push('\'');
            prefixes.push((prefix.to_owned(), uri.to_owned()));
        }
    }
    let bindings = Bindings::new(ns::CLIENT, prefixes.iter().map(|(prefix, uri)| (prefix.as_str(), uri.as_str())));
    Some(Box::new(Rest { attributes: attributes.into(), bindings, namespaces }))
}

#[cfg(test)]
mod tests {
    use super::super::{Condition as StanzaCondition, Framing};
    use super::*;
    use crate::stanza::Child;

    fn parse(xml: &str) -> Result<Stanza, ParseError> {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client())
    }

    /// The condition, and the reply that goes back if one does.
    fn refused(xml: &str) -> (StanzaCondition, Option<String>) {
        match parse(xml) {
            Err(ParseError::Stanza(error, read)) => {
                let reply = Stanza::error_for(&read, &error.clone().with_text("")).map(|reply| format!("{reply:?}"));
                (error.condition, reply)
            }
            other => panic!("{xml}: {other:?}"),
        }
    }

    fn stream_error(xml: &str, bindings: &Bindings) -> Condition {
        match Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), bindings) {
            Err(ParseError::Stream(error)) => error.condition,
            other => panic!("{xml}: {other:?}"),
        }
    }

    #[test]
    fn s8_1_common_attributes() {
        let stanza = parse("<message to='Juliet@example.com/Balcony &amp; More' from='romeo@example.net' id='a&lt;1' type='chat' xml:lang='en'><body>hi</body></message>").unwrap();
        assert_eq!(stanza.kind(), Kind::Message(MessageType::Chat));
        assert_eq!(stanza.to().unwrap().as_str(), "juliet@example.com/Balcony & More");
        assert_eq!(stanza.from().unwrap().as_str(), "romeo@example.net");
        assert_eq!((stanza.id(), stanza.lang()), (Some("a<1"), Some("en")));
        assert_eq!(stanza.child(ns::CLIENT, "body").unwrap().text(), "hi");
        assert_eq!(
            format!("{stanza:?}"),
            "<message from='romeo@example.net' to='juliet@example.com/Balcony &amp; More' id='a&lt;1' type='chat' xml:lang='en'><body>hi</body></message>"
        );
    }

    #[test]
    fn s8_2_kinds_and_types() {
        for (xml, expected) in [
            ("<message/>", Kind::Message(MessageType::Normal)),
            ("<message type='normal'/>", Kind::Message(MessageType::Normal)),
            // RFC 6121 §5.2.2.
            ("<message type='unheard-of'/>", Kind::Message(MessageType::Normal)),
            ("<message type='groupchat'/>", Kind::Message(MessageType::Groupchat)),
            ("<message type='headline'/>", Kind::Message(MessageType::Headline)),
            ("<message type='error'/>", Kind::Message(MessageType::Error)),
            ("<presence/>", Kind::Presence(PresenceType::Available)),
            ("<presence type='unavailable'/>", Kind::Presence(PresenceType::Unavailable)),
            ("<presence type='subscribe'/>", Kind::Presence(PresenceType::Subscribe)),
            ("<presence type='subscribed'/>", Kind::Presence(PresenceType::Subscribed)),
            ("<presence type='unsubscribe'/>", Kind::Presence(PresenceType::Unsubscribe)),
            ("<presence type='unsubscribed'/>", Kind::Presence(PresenceType::Unsubscribed)),
            ("<presence type='probe'/>", Kind::Presence(PresenceType::Probe)),
            ("<presence type='error'/>", Kind::Presence(PresenceType::Error)),
            ("<iq type='get' id=''><q xmlns='u'/></iq>", Kind::Iq(IqType::Get)),
            // to the own account
            ("<iq type='get'><q xmlns='u'/></iq>", Kind::Iq(IqType::Get)),
            ("<iq type='set' id='1'><q xmlns='u'/></iq>", Kind::Iq(IqType::Set)),
            ("<iq type='result' id='1'/>", Kind::Iq(IqType::Result)),
            ("<iq type='result' id='1'><q xmlns='u'/></iq>", Kind::Iq(IqType::Result)),
            ("<iq type='error' id='1'><q xmlns='u'/><error type='cancel'/></iq>", Kind::Iq(IqType::Error)),
        ] {
            assert_eq!(parse(xml).map(|stanza| stanza.kind()), Ok(expected), "{xml}");
        }
    }

    #[test]
    fn s8_2_3_and_s8_3_3_what_is_refused_and_how() {
        use StanzaCondition::{BadRequest, JidMalformed, PolicyViolation};
        let error = |condition: &str| {
            format!(
                "<error type='modify'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'></text></error>"
            )
        };
        let (bad, jid) = (error("bad-request"), error("jid-malformed"));
        for (xml, condition, reply) in [
            (
                "<iq type='get' to='a.example'><q xmlns='u'/></iq>",
                BadRequest,
                Some(format!("<iq from='a.example' id='' type='error'>{bad}</iq>")),
            ),
            ("<iq id='1'><q xmlns='u'/></iq>", BadRequest, Some(format!("<iq id='1' type='error'>{bad}</iq>"))),
            ("<iq id='1' type='put'><q xmlns='u'/></iq>", BadRequest, Some(format!("<iq id='1' type='error'>{bad}</iq>"))),
            ("<iq id='1' type='get' to='a.example'/>", BadRequest, Some(format!("<iq from='a.example' id='1' type='error'>{bad}</iq>"))),
            ("<iq id='1' type='set'><a xmlns='u'/><b xmlns='u'/></iq>", BadRequest, Some(format!("<iq id='1' type='error'>{bad}</iq>"))),
            ("<presence type='available' id='2'/>", BadRequest, Some(format!("<presence id='2' type='error'>{bad}</presence>"))),
            ("<presence type='away'/>", BadRequest, Some(format!("<presence type='error'>{bad}</presence>"))),
            ("<message to='@b' from='a@b'/>", JidMalformed, Some(format!("<message to='a@b' type='error'>{jid}</message>"))),
            ("<message to=''/>", JidMalformed, Some(format!("<message type='error'>{jid}</message>"))),
            // Rule 8 of §8.3.1, and what cannot be an error to a result.
            ("<message type='error' to='@b'/>", JidMalformed, None),
            ("<iq type='result' id='1'><a xmlns='u'/><b xmlns='u'/></iq>", BadRequest, None),
            ("<iq type='error'/>", BadRequest, None),
        ] {
            assert_eq!(refused(xml), (condition, reply), "{xml}");
        }
        let id = "i".repeat(ID_BYTES_MAX);
        assert!(parse(&format!("<message id='{id}'/>")).is_ok());
        let (condition, reply) = refused(&format!("<message id='{id}i'/>"));
        assert_eq!(condition, PolicyViolation);
        assert!(reply.unwrap().contains(&format!("id='{id}i'")));
    }

    #[test]
    fn s4_9_3_what_ends_the_stream() {
        let client = Bindings::client();
        for (xml, bindings, expected) in [
            ("<query xmlns='jabber:iq:roster'/>", &client, Condition::UnsupportedStanzaType),
            ("<query/>", &client, Condition::UnsupportedStanzaType),
            // §4.8.4: looks like a stanza and is none.
            ("<n:message xmlns:n='http://example.org/ns2'/>", &client, Condition::UnsupportedStanzaType),
            ("<message xmlns='jabber:server'/>", &client, Condition::InvalidNamespace),
            ("<message xmlns='jabber:client'/>", &Bindings::new(ns::SERVER, []), Condition::InvalidNamespace),
            ("<message xmlns=''/>", &client, Condition::InvalidNamespace),
            ("<message/>", &Bindings::empty(), Condition::InvalidNamespace),
            ("<c:message xmlns:c='jabber:client'/>", &client, Condition::BadNamespacePrefix),
            ("<message><c:body xmlns:c='jabber:client'>hi</c:body></message>", &client, Condition::BadNamespacePrefix),
            ("<message><x xmlns='u'><c:body xmlns:c='jabber:client'/></x></message>", &client, Condition::BadNamespacePrefix),
            ("<message from='@b'/>", &client, Condition::InvalidFrom),
            ("<message><body></message>", &client, Condition::NotWellFormed),
            ("<message><p:body/></message>", &client, Condition::NotWellFormed),
            ("<message><!-- --></message>", &client, Condition::RestrictedXml),
        ] {
            assert_eq!(stream_error(xml, bindings), expected, "{xml}");
        }
        let children = |count: usize| format!("<message>{}</message>", "<a/>".repeat(count));
        assert!(parse(&children(super::super::CHILDREN_MAX)).is_ok());
        assert_eq!(stream_error(&children(super::super::CHILDREN_MAX + 1), &client), Condition::PolicyViolation);
    }

    #[test]
    fn s4_8_3_the_content_namespace_is_that_of_the_stream() {
        for (content, xml) in [
            (ns::CLIENT, "<message><body/></message>"),
            (ns::SERVER, "<message><body/></message>"),
            (ns::COMPONENT, "<message><body/></message>"),
            ("", "<message xmlns='jabber:client'><body/></message>"),
            (ns::STREAM, "<message xmlns='jabber:client'><body/></message>"),
        ] {
            let stanza = Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::new(content, [])).unwrap();
            // Re-scoped: the same child by the same name, written without a namespace for the stream it goes to.
            assert!(stanza.child(ns::CLIENT, "body").is_some(), "{content}");
            assert_eq!(stanza.child(ns::CLIENT, "body").unwrap().element().unwrap().root().ns(), ns::CLIENT);
            assert_eq!(stanza.to_bytes(Framing::Stream), "<message><body/></message>");
            assert_eq!(stanza.to_bytes(Framing::Alone), "<message xmlns='jabber:client'><body/></message>");
        }
    }

    #[test]
    fn prefixes_from_outside_are_declared_again() {
        let bindings = Bindings::new(ns::CLIENT, [("stream", ns::STREAM), ("x", "urn:x?a&b"), ("unused", "urn:unused")]);
        for (xml, expected) in [
            ("<message><x:a x:b=''/></message>", "<message xmlns:x='urn:x?a&amp;b'><x:a x:b=''/></message>"),
            (
                "<message><a><stream:b/></a></message>",
                "<message xmlns:stream='http://etherx.jabber.org/streams'><a><stream:b/></a></message>",
            ),
            // The head's own declarations and foreign attributes stay; the nearer declaration counts.
            ("<message xmlns:x='urn:y' x:c='\"'><x:a/></message>", "<message xmlns:x='urn:y' x:c='\"'><x:a/></message>"),
            (
                "<message xmlns:y=\"it's\" y:c=\"&amp;'\" d='1' ><y:a/></message>",
                "<message xmlns:y=\"it's\" y:c=\"&amp;'\" d='1'><y:a/></message>",
            ),
            ("<message x:c=''/>", "<message x:c='' xmlns:x='urn:x?a&amp;b'/>"),
            ("<message><a xmlns:x='urn:z'><x:b/></a></message>", "<message><a xmlns:x='urn:z'><x:b/></a></message>"),
            ("<message xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", "<message/>"),
        ] {
            let stanza = Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &bindings).unwrap();
            let written = stanza.to_bytes(Framing::Stream);
            assert_eq!(written, expected, "{xml}");
            // It reads the same on a stream that declares nothing, and a child reads the same in place.
            let again = Stanza::parse(written, &Bindings::new(ns::CLIENT, [])).unwrap();
            for (child, other) in stanza.children().zip(again.children()) {
                assert_eq!((child.ns(), child.name()), (other.ns(), other.name()), "{xml}");
                let written = |child: Child<'_>| child.element().map(|element| element.root().to_bytes());
                assert_eq!(written(child), written(other), "{xml}");
            }
        }
    }

    #[test]
    fn text_and_cdata_between_children_stay() {
        let xml = "<message>\n  <body><![CDATA[</body><b>]]></body> text <x xmlns='u'/>\r\n</message>";
        let stanza = parse(xml).unwrap();
        assert_eq!(stanza.to_bytes(Framing::Stream), xml);
        assert_eq!(stanza.children().map(|child| child.name()).collect::<Vec<_>>(), ["body", "x"]);
        assert_eq!(stanza.child(ns::CLIENT, "body").unwrap().text(), "</body><b>");
    }
}
