//! Stanzas: a typed head that is ours to rewrite, and the body as received, shared by all recipients: RFC 6120 §8.
//!
//! The body is everything between the start and the end tag. An index finds each direct child by namespace and name, so that routing and most
//! rules need no tree; [`Child::element`] reads one child where a handler wants more.

mod child;
mod edit;
pub mod error;
mod head;
mod parse;
mod reply;

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

pub use child::{CHILDREN_MAX, Child};
pub use error::{Condition, ErrorType, StanzaError};
pub use head::{IqType, Kind, MessageType, PresenceType};
pub use parse::ParseError;
pub use reply::ORIGINAL_BYTES_MAX;

use child::{CONTENT, Children, Indexer};
use head::{Head, Rest};

use crate::jid::Jid;
use crate::ns;
use crate::xml::validate::{DEPTH_MAX, walk_content};
use crate::xml::{Bindings, XmlError};

/// Longest `id` of a stanza in bytes: identifiers are kept in tables (requests under way, calls, archives), so they have a bound, the one of a
/// part of an address. A longer one is refused with `<policy-violation/>`.
pub const ID_BYTES_MAX: usize = 1023;

/// How a stanza is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Into a stream whose header declares the content namespace as default.
    Stream,
    /// With `xmlns='jabber:client'`: a WebSocket frame (RFC 7395 §3.3.3), the content of `<forwarded/>` (XEP-0297), a stored stanza.
    Alone,
}

/// A message, presence or iq. A clone shares all but the addressee, the one thing in which a stanza for many differs.
#[derive(Clone)]
pub struct Stanza {
    to: Option<Jid>,
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    head: Head,
    body: ByteString,
    children: Children,
}

impl Stanza {
    /// Validates a framed top-level element and reads it as a stanza; `bindings` are those of the stream header.
    ///
    /// # Errors
    /// [`ParseError::Stream`] for broken XML, wrong namespaces, elements that are no stanza and a `from` that is no address;
    /// [`ParseError::Stanza`] for a `to` that is no address, unknown types of iq and presence, an iq without `id` or with the wrong number of
    /// payloads, and an over-long `id`.
    pub fn parse(frame: Bytes, bindings: &Bindings) -> Result<Self, ParseError> {
        Self::parse_within(frame, bindings, DEPTH_MAX)
    }

    /// The same for a stanza that may be nested at most `depth_max` deep, itself being 1: what comes from a stream.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_within(frame: Bytes, bindings: &Bindings, depth_max: usize) -> Result<Self, ParseError> {
        parse::parse(frame, bindings, depth_max)
    }

    /// A stanza of this kind with nothing in it.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { to: None, shared: Arc::new(Shared { head: Head::new(kind), body: ByteString::new(), children: Children::new() }) }
    }

    /// An empty message.
    #[must_use]
    pub fn message(type_: MessageType) -> Self {
        Self::new(Kind::Message(type_))
    }

    /// An empty presence.
    #[must_use]
    pub fn presence(type_: PresenceType) -> Self {
        Self::new(Kind::Presence(type_))
    }

    /// An empty iq with the identifier that RFC 6120 §8.2.3 demands.
    #[must_use]
    pub fn iq(type_: IqType, id: impl Into<String>) -> Self {
        Self::new(Kind::Iq(type_)).with_id(id)
    }

    /// The same stanza from this address.
    #[must_use]
    pub fn with_from(mut self, from: impl Into<Jid>) -> Self {
        self.set_from(from);
        self
    }

    /// The same stanza to this address.
    #[must_use]
    pub fn with_to(mut self, to: impl Into<Jid>) -> Self {
        self.set_to(to);
        self
    }

    /// The same stanza with this `id`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.set_id(id);
        self
    }

    /// The same stanza with this content in place of its own: whole elements and text of our own making, such as an
    /// [`XmlWriter`](crate::xml::XmlWriter) yields, the default namespace around it being `jabber:client`.
    ///
    /// Content that is not well-formed would break the streams of others: it is a bug, logged, and left out.
    #[must_use]
    pub fn with_content(mut self, content: impl Into<Bytes>) -> Self {
        self.set_content(content.into());
        self
    }

    /// Head and type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.shared.head.kind
    }

    /// The sender: RFC 6120 §8.1.2.
    #[must_use]
    pub fn from(&self) -> Option<&Jid> {
        self.shared.head.from.as_ref()
    }

    /// The addressee: RFC 6120 §8.1.1.
    #[must_use]
    pub fn to(&self) -> Option<&Jid> {
        self.to.as_ref()
    }

    /// RFC 6120 §8.1.3.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.shared.head.id.as_deref()
    }

    /// `xml:lang`: RFC 6120 §8.1.5.
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        self.shared.head.lang.as_deref()
    }

    /// Another sender: the server stamps it on what its clients send (RFC 6120 §8.1.2.1).
    pub fn set_from(&mut self, from: impl Into<Jid>) {
        self.own().head.from = Some(from.into());
    }

    /// Another addressee.
    pub fn set_to(&mut self, to: impl Into<Jid>) {
        self.to = Some(to.into());
    }

    /// Another `id`.
    pub fn set_id(&mut self, id: impl Into<String>) {
        self.own().head.id = Some(ByteString::from(id.into()));
    }

    /// The language of the stream, unless the stanza has one of its own: RFC 6120 §8.1.5.
    pub fn set_lang_default(&mut self, lang: &str) {
        if self.shared.head.lang.is_none() {
            self.own().head.lang = Some(ByteString::from(lang));
        }
    }

    /// The direct children, in order.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        self.shared.children.iter().map(|index| Child { stanza: self, index })
    }

    /// The first child of this namespace and name; that of the stanza itself is `ns::CLIENT` on every kind of stream.
    #[must_use]
    pub fn child(&self, ns: &str, name: &str) -> Option<Child<'_>> {
        self.children().find(|child| child.is(ns, name))
    }

    /// The payload of an iq: its first child that is not the `<error/>`.
    #[must_use]
    pub fn payload(&self) -> Option<Child<'_>> {
        self.children().find(|child| !child.is(ns::CLIENT, "error"))
    }

    /// About how many bytes [`write`](Self::write) yields; what queues count.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.shared.head.size_bytes(self.to.as_ref()) + self.shared.body.len()
    }

    /// For a change: whoever shares the stanza keeps it as it was.
    fn own(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.shared)
    }

    fn rest(&self) -> Option<&Rest> {
        self.shared.head.rest.as_deref()
    }

    fn set_content(&mut self, content: Bytes) {
        let Some((content, children, namespaces)) = self.index(content) else { return };
        let own = self.own();
        if !namespaces.is_empty() {
            own.head.rest.get_or_insert_default().namespaces = namespaces;
        }
        own.children = children;
        own.body = content;
    }

    /// Content of our own making and its children. `None`: it is not well-formed, which is a bug.
    fn index(&self, content: Bytes) -> Option<(ByteString, Children, Vec<Arc<str>>)> {
        let bindings = self.rest().map_or(&*CONTENT, |rest| &rest.bindings);
        let checked = ByteString::try_from(content).map_err(|_| XmlError::UnsupportedEncoding("not UTF-8")).and_then(|content| {
            let mut indexer = Indexer::new(&content, ns::CLIENT);
            walk_content(&content, bindings, &mut indexer)?;
            let Indexer { children, namespaces, .. } = indexer;
            Ok((content, children, namespaces))
        });
        checked
            .inspect_err(|error| {
                debug_assert!(false, "content of our own making: {error}");
                tracing::error!(%error, "content of our own making is not well-formed and was left out");
            })
            .ok()
    }

    /// Appends the stanza as XML.
    pub fn write(&self, out: &mut impl BufMut, framing: Framing) {
        let ns = match framing {
            Framing::Stream => None,
            Framing::Alone => Some(ns::CLIENT),
        };
        self.shared.head.write(out, ns, self.to.as_ref());
        if self.shared.body.is_empty() {
            out.put_slice(b"/>");
            return;
        }
        out.put_u8(b'>');
        out.put_slice(self.shared.body.as_bytes());
        out.put_slice(b"</");
        out.put_slice(self.kind().name().as_bytes());
        out.put_u8(b'>');
    }

    /// The stanza as XML.
    #[must_use]
    pub fn to_bytes(&self, framing: Framing) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_bytes() + 64);
        self.write(&mut out, framing);
        out.freeze()
    }
}

impl fmt::Debug for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes(Framing::Stream)))
    }
}

/// Equal heads and equal bytes between the tags.
impl PartialEq for Stanza {
    fn eq(&self, other: &Self) -> bool {
        self.to == other.to && self.shared.head == other.shared.head && self.shared.body == other.shared.body
    }
}

impl Eq for Stanza {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlWriter;

    fn parse(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap()
    }

    fn names(stanza: &Stanza) -> Vec<(&str, &str)> {
        stanza.children().map(|child| (child.ns(), child.name())).collect()
    }

    #[test]
    fn a_clone_shares_the_body_and_has_its_own_head() {
        let first = parse("<message id='1'><body>hi</body></message>");
        let mut second = first.clone();
        second.set_to(Jid::parse("a@b").unwrap());
        second.set_id("2");
        assert_eq!(format!("{first:?}"), "<message id='1'><body>hi</body></message>");
        assert_eq!(format!("{second:?}"), "<message to='a@b' id='2'><body>hi</body></message>");
        assert_eq!(first.shared.body.as_ptr(), second.shared.body.as_ptr());
    }

    #[test]
    fn built_stanzas_are_read_like_received_ones() {
        let mut content = XmlWriter::new();
        content.open("body").text("a < b").close().open("x").ns("urn:x").attr("y", "'").close();
        let built = Stanza::message(MessageType::Chat)
            .with_from(Jid::parse("a@b/'").unwrap())
            .with_to(Jid::parse("c@d").unwrap())
            .with_id("&")
            .with_content(content.finish());
        let written = built.to_bytes(Framing::Stream);
        assert_eq!(
            written,
            "<message from='a@b/&apos;' to='c@d' id='&amp;' type='chat'><body>a &lt; b</body><x xmlns='urn:x' y='&apos;'/></message>"
        );
        assert_eq!(Stanza::parse(written, &Bindings::client()).unwrap(), built);
        assert_eq!(names(&built), [(ns::CLIENT, "body"), ("urn:x", "x")]);
        assert_eq!(Stanza::iq(IqType::Result, "1").to_bytes(Framing::Stream), "<iq id='1' type='result'/>");
        assert_eq!(Stanza::presence(PresenceType::Unavailable).to_bytes(Framing::Stream), "<presence type='unavailable'/>");
        assert!(built.size_bytes() >= built.to_bytes(Framing::Stream).len());
    }

    #[test]
    fn s8_1_5_the_streams_language_is_only_a_default() {
        let mut stanza = parse("<message/>");
        stanza.set_lang_default("de");
        stanza.set_lang_default("en");
        assert_eq!(stanza.lang(), Some("de"));
    }

    #[test]
    fn s8_2_3_the_payload_is_not_the_error() {
        assert_eq!(parse("<iq type='error' id='1'><error type='cancel'/><q xmlns='u'/></iq>").payload().unwrap().name(), "q");
        assert!(parse("<iq type='error' id='1'><error type='cancel'/></iq>").payload().is_none());
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "content of our own making"))]
    fn broken_content_of_our_own_never_leaves() {
        assert_eq!(Stanza::message(MessageType::Normal).with_content("<a>").to_bytes(Framing::Stream), "<message/>");
    }
}
