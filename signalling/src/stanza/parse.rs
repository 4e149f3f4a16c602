//! A framed element to a stanza, in one pass: validated, its head typed, its children indexed.

use bytes::Bytes;

use super::child::Indexer;
use super::error::StanzaError;
use super::head::{Head, IqType, Kind, MessageType, PresenceType, Rest, Text};
use super::{ID_BYTES_MAX, Stanza};
use crate::jid::Jid;
use crate::ns;
use crate::stream::error::{Condition, StreamError};
use crate::xml::escape::unescape_attr;
use crate::xml::validate::{Sink, StartTag, walk};
use crate::xml::{Bindings, XmlError};

/// Why an element is no stanza that can be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// The stream must end with this error.
    Stream(StreamError),
    /// The stanza is refused with this error, and the stream goes on. The head says to whom and about what;
    /// [`Stanza::error_for`](super::Stanza::error_for) makes the reply, or finds that there must be none.
    Stanza(StanzaError, Box<Head>),
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
    prefixed: bool,
    ns: String,
    to: Option<&'a str>,
    from: Option<&'a str>,
    id: Option<&'a str>,
    type_: Option<&'a str>,
    lang: Option<&'a str>,
    /// Other attributes and prefix declarations, as they are written.
    others: String,
    /// Prefixes declared by the head.
    prefixes: Vec<(String, String)>,
    body: std::ops::Range<usize>,
    indexer: Indexer<'a>,
}

impl<'a> Sink<'a> for Collector<'a> {
    fn start(&mut self, depth: usize, tag: &StartTag<'_, 'a>) -> Result<(), XmlError> {
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
                "to" => self.to = Some(attribute.value),
                "from" => self.from = Some(attribute.value),
                "id" => self.id = Some(attribute.value),
                "type" => self.type_ = Some(attribute.value),
                "xml:lang" => self.lang = Some(attribute.value),
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
                        self.prefixes.push((prefix.to_owned(), unescape_attr(attribute.value).into_owned()));
                    }
                }
            }
        }
    }
}

/// See [`Stanza::parse`].
pub(crate) fn parse(frame: &Bytes, bindings: &Bindings) -> Result<Stanza, ParseError> {
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
        indexer: Indexer::new(frame, ""),
    };
    let outer_used = walk(frame, bindings, &mut collector)?;
    check_namespace(&collector, bindings)?;
    let (kind, kind_error) = kind(collector.name, collector.type_)?;

    let text = |raw: &'_ str| match unescape_attr(raw) {
        std::borrow::Cow::Borrowed(part) => Text::shared(frame.slice_ref(part.as_bytes())),
        std::borrow::Cow::Owned(resolved) => Text::from(resolved),
    };
    let address = |raw: &str| Jid::parse(&unescape_attr(raw));
    let mut head = Head::new(kind);
    head.id = collector.id.map(text);
    head.lang = collector.lang.map(text);
    head.rest = rest(&mut collector, bindings, outer_used);
    head.from = match collector.from.map(address).transpose() {
        Ok(from) => from,
        Err(error) => return Err(StreamError::new(Condition::InvalidFrom).with_text(error.to_string()).into()),
    };
    match collector.to.map(address).transpose() {
        Ok(to) => head.to = to,
        Err(error) => return Err(ParseError::Stanza(StanzaError::jid_malformed().with_text(error.to_string()), Box::new(head))),
    }
    let stanza = Stanza { head, body: frame.slice(collector.body), children: collector.indexer.children.into_vec().into() };
    match kind_error.or_else(|| check(&stanza)) {
        Some(error) => Err(ParseError::Stanza(error, Box::new(stanza.head))),
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
    // The default namespace inside would be something else, and the body could not be passed on as it is.
    if collector.prefixed {
        return Err(StreamError::new(Condition::BadNamespacePrefix).with_text("a stanza's element must have no prefix"));
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
    match (type_, stanza.children.len()) {
        (IqType::Get | IqType::Set, 1) | (IqType::Result, 0 | 1) | (IqType::Error, _) => None,
        (IqType::Get | IqType::Set, _) => Some(StanzaError::bad_request("a request must have exactly one payload")),
        (IqType::Result, _) => Some(StanzaError::bad_request("a result must have at most one payload")),
    }
}

/// Attributes that are not common ones, declarations of the head, and those of the stream that the stanza uses.
fn rest(collector: &mut Collector<'_>, bindings: &Bindings, outer_used: u64) -> Option<Box<Rest>> {
    if collector.others.is_empty() && outer_used == 0 {
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
    Some(Box::new(Rest { attributes: attributes.into(), bindings }))
}
