//! An element as a flat tree, for the parts of a stanza that a handler reads. quick-xml splits the validated text; nodes hold offsets into it,
//! so that a tree of any size is four allocations and not one for each node.

use std::borrow::Cow;

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::XmlError;
use super::bindings::Bindings;
use super::escape::{push_cdata, unescape_attr, unescape_text};
use super::name::is_space;
use super::namespaces::{Interner, NO_NS, Name};
use super::validate::{DEPTH_MAX, validate_within};
use super::writer::XmlWriter;
use crate::ns;

/// A parsed element with everything below it.
#[derive(Debug, Clone)]
pub struct Element {
    /// A copy, since what the parts of it are is then known to be text for good.
    source: Box<str>,
    /// In document order.
    nodes: Vec<NodeData>,
    attributes: Vec<AttributeData>,
    namespaces: Vec<Name>,
    /// Attribute values that had references in them, resolved.
    resolved: String,
}

/// Offsets into the source.
type Span = std::ops::Range<u32>;

#[derive(Debug, Clone)]
struct NodeData {
    kind: Kind,
    /// An element's local name, or the text as received.
    text: Span,
    attributes: Span,
    /// The node behind this one and all below it.
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An element of the namespace with this index.
    Element(u32),
    Text,
    Cdata,
}

#[derive(Debug, Clone)]
struct AttributeData {
    ns: u32,
    name: Span,
    value: Span,
    /// `value` is a range of `Element::resolved` and not of the source.
    resolved: bool,
}

/// A span as indexes.
fn span(span: &Span) -> std::ops::Range<usize> {
    span.start as usize..span.end as usize
}

#[cfg(test)]
thread_local! {
    /// How many trees this thread has built: tests see by it where a stanza is read.
    pub(crate) static BUILT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Element {
    /// Validates and parses one element inside these bindings; white space around it is ignored.
    ///
    /// # Errors
    /// As [`validate`](super::validate()).
    pub fn parse(bytes: &[u8], bindings: &Bindings) -> Result<Self, XmlError> {
        Self::parse_within(bytes, bindings, DEPTH_MAX)
    }

    /// The same for an element that may be nested at most `depth_max` deep, itself being 1: what comes from a stream.
    ///
    /// # Errors
    /// As [`validate`](super::validate()).
    pub fn parse_within(bytes: &[u8], bindings: &Bindings, depth_max: usize) -> Result<Self, XmlError> {
        let start = bytes.iter().take_while(|byte| is_space(**byte)).count();
        let end = bytes.iter().rev().take_while(|byte| is_space(**byte)).count();
        // All white space is counted twice, hence the saturation.
        let bytes = bytes.get(start..bytes.len().saturating_sub(end)).unwrap_or_default();
        validate_within(bytes, bindings, depth_max)?;
        Self::build(str::from_utf8(bytes).map_err(|_| XmlError::UnsupportedEncoding("not UTF-8"))?, bindings)
    }

    /// Builds the tree of an element that is known to be valid inside these bindings.
    pub(crate) fn build(text: &str, bindings: &Bindings) -> Result<Self, XmlError> {
        #[cfg(test)]
        BUILT.set(BUILT.get() + 1);
        u32::try_from(text.len()).map_err(|_| XmlError::TooBig(u32::MAX as usize))?;
        let mut builder = Builder {
            base: text.as_ptr() as usize,
            bindings,
            scope: Vec::new(),
            open: Vec::new(),
            // About as many as there will be.
            nodes: Vec::with_capacity(4 + text.len() / 64),
            attributes: Vec::with_capacity(4 + text.len() / 32),
            namespaces: Interner::new(),
            resolved: String::new(),
        };
        builder.read(text)?;
        let Builder { nodes, attributes, namespaces, resolved, .. } = builder;
        let namespaces = namespaces.into_names();
        Ok(Self { source: text.into(), nodes, attributes, namespaces, resolved })
    }

    /// The element itself.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node { element: self, index: 0 }
    }

    fn str(&self, range: &Span) -> &str {
        // All offsets come from parts of it.
        &self.source[span(range)]
    }
}

struct Builder<'a> {
    base: usize,
    bindings: &'a Bindings,
    /// Declarations in force: depth of the element that made it, prefix, index of the namespace.
    scope: Vec<(usize, &'a str, u32)>,
    /// Indexes of the elements that have not ended.
    open: Vec<u32>,
    nodes: Vec<NodeData>,
    attributes: Vec<AttributeData>,
    namespaces: Interner<'a>,
    resolved: String,
}

impl<'a> Builder<'a> {
    fn read(&mut self, text: &'a str) -> Result<(), XmlError> {
        let mut reader = Reader::from_str(text);
        // The validator has seen to it.
        reader.config_mut().check_end_names = false;
        loop {
            match reader.read_event().map_err(|_| XmlError::NotWellFormed("the tokenizer refuses it"))? {
                Event::Start(tag) => {
                    let index = self.element(text, &tag)?;
                    self.open.push(index);
                }
                Event::Empty(tag) => {
                    let depth = self.open.len();
                    self.element(text, &tag)?;
                    self.leave(depth);
                }
                Event::End(_) => {
                    let Some(index) = self.open.pop() else { return Err(XmlError::NotWellFormed("an end tag without a start tag")) };
                    self.nodes[index as usize].next = self.nodes.len() as u32;
                    self.leave(self.open.len());
                }
                Event::Text(content) => self.text(Kind::Text, self.span(&content)),
                Event::GeneralRef(name) => {
                    let inner = self.span(&name);
                    self.text(Kind::Text, inner.start - 1..inner.end + 1);
                }
                Event::CData(content) => self.text(Kind::Cdata, self.span(&content)),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                    return Err(XmlError::Restricted("more than elements and text"));
                }
            }
        }
        if self.nodes.is_empty() || !self.open.is_empty() { Err(XmlError::NotWellFormed("an element is missing")) } else { Ok(()) }
    }

    /// Where a part of the source stands.
    fn span(&self, part: &str) -> Span {
        let start = part.as_ptr() as usize - self.base;
        start as u32..(start + part.len()) as u32
    }

    fn element(&mut self, text: &'a str, tag: &BytesStart<'_>) -> Result<u32, XmlError> {
        let depth = self.open.len();
        let attributes_start = self.attributes.len() as u32;
        let mut prefixed = false;
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| XmlError::NotWellFormed("the tokenizer refuses an attribute"))?;
            let (key, value) = (attribute.key.into_inner(), self.span(&attribute.value));
            let declared = match key.strip_prefix("xmlns") {
                // A part of the source, as the prefix is.
                Some(empty @ "") => Some(empty),
                Some(prefix) => prefix.strip_prefix(':'),
                None => None,
            };
            if let Some(prefix) = declared {
                let prefix = &text[span(&self.span(prefix))];
                let index = self.namespaces.intern(unescape_attr(&text[span(&value)]));
                self.scope.push((depth, prefix, index));
                continue;
            }
            prefixed |= key.contains(':');
            let (value, resolved) = match unescape_attr(&text[span(&value)]) {
                Cow::Borrowed(_) => (value, false),
                Cow::Owned(owned) => {
                    let start = self.resolved.len() as u32;
                    self.resolved.push_str(&owned);
                    (start..self.resolved.len() as u32, true)
                }
            };
            self.attributes.push(AttributeData { ns: NO_NS, name: self.span(key), value, resolved });
        }
        if prefixed {
            for at in attributes_start as usize..self.attributes.len() {
                let name = self.attributes[at].name.clone();
                if let Some((prefix, local)) = text[span(&name)].split_once(':') {
                    self.attributes[at].ns = self.resolve(prefix)?;
                    self.attributes[at].name = self.span(local);
                }
            }
        }
        let name = tag.name();
        let (local, ns) = match name.into_inner().split_once(':') {
            Some((prefix, local)) => (local, self.resolve(prefix)?),
            None => (name.into_inner(), self.default_ns()),
        };
        let index = self.nodes.len() as u32;
        self.nodes.push(NodeData {
            kind: Kind::Element(ns),
            text: self.span(local),
            attributes: attributes_start..self.attributes.len() as u32,
            next: index + 1,
        });
        Ok(index)
    }

    /// Adds text, to the node before it where the text only goes on behind a reference.
    fn text(&mut self, kind: Kind, range: Span) {
        if range.is_empty() {
            return;
        }
        if let Some(last) = self.nodes.last_mut()
            && last.kind == Kind::Text
            && kind == Kind::Text
            && last.text.end == range.start
        {
            last.text.end = range.end;
            return;
        }
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(NodeData { kind, text: range, attributes: 0..0, next });
    }

    /// Forgets what elements of this depth and below declared.
    fn leave(&mut self, depth: usize) {
        while self.scope.last().is_some_and(|(at, ..)| *at >= depth) {
            self.scope.pop();
        }
    }

    fn default_ns(&mut self) -> u32 {
        match self.scope.iter().rev().find(|(_, prefix, _)| prefix.is_empty()) {
            Some((.., ns)) => *ns,
            None => self.namespaces.intern(Cow::Borrowed(self.bindings.default_ns())),
        }
    }

    fn resolve(&mut self, prefix: &str) -> Result<u32, XmlError> {
        if let Some((.., ns)) = self.scope.iter().rev().find(|(_, declared, _)| *declared == prefix) {
            return Ok(*ns);
        }
        let bindings = self.bindings;
        match bindings.prefix(prefix) {
            _ if prefix == "xml" => Ok(self.namespaces.intern(Cow::Borrowed(ns::XML))),
            Some(uri) => Ok(self.namespaces.intern(Cow::Borrowed(uri))),
            None => Err(XmlError::NotWellFormed("a prefix is not declared")),
        }
    }
}

/// One element of a tree. Copies are free.
#[derive(Clone, Copy)]
pub struct Node<'e> {
    element: &'e Element,
    index: u32,
}

impl<'e> Node<'e> {
    fn data(&self) -> &'e NodeData {
        &self.element.nodes[self.index as usize]
    }

    /// The local name.
    #[must_use]
    pub fn name(&self) -> &'e str {
        self.element.str(&self.data().text)
    }

    /// The namespace; empty for none.
    #[must_use]
    pub fn ns(&self) -> &'e str {
        match self.data().kind {
            Kind::Element(ns) => self.element.namespaces[ns as usize].as_str(),
            Kind::Text | Kind::Cdata => "",
        }
    }

    /// Whether it has this namespace and name.
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.name() == name && self.ns() == ns
    }

    /// The value of an attribute without namespace.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&'e str> {
        self.attr_ns("", name)
    }

    /// The value of an attribute of this namespace.
    #[must_use]
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<&'e str> {
        self.attrs().find(|(its_ns, its_name, _)| *its_name == name && *its_ns == ns).map(|(.., value)| value)
    }

    /// All attributes but namespace declarations: namespace, name, value.
    pub fn attrs(&self) -> impl Iterator<Item = (&'e str, &'e str, &'e str)> + use<'e> {
        let element = self.element;
        element.attributes[span(&self.data().attributes)].iter().map(move |attribute| {
            let value = if attribute.resolved { &element.resolved[span(&attribute.value)] } else { element.str(&attribute.value) };
            (element.namespaces[attribute.ns as usize].as_str(), element.str(&attribute.name), value)
        })
    }

    /// Child nodes of any kind.
    fn content(&self) -> impl Iterator<Item = Node<'e>> + use<'e> {
        let element = self.element;
        let end = self.data().next;
        let mut index = self.index + 1;
        std::iter::from_fn(move || {
            let node = (index < end).then_some(Node { element, index })?;
            index = node.data().next;
            Some(node)
        })
    }

    /// Child elements.
    pub fn children(&self) -> impl Iterator<Item = Node<'e>> + use<'e> {
        self.content().filter(|node| matches!(node.data().kind, Kind::Element(_)))
    }

    /// The first child element of this namespace and name.
    #[must_use]
    pub fn child(&self, ns: &str, name: &str) -> Option<Node<'e>> {
        self.children().find(|child| child.is(ns, name))
    }

    /// Child elements of this namespace and name.
    pub fn children_named<'n>(&self, ns: &'n str, name: &'n str) -> impl Iterator<Item = Node<'e>> + use<'e, 'n> {
        self.children().filter(move |child| child.is(ns, name))
    }

    /// The element's own text, that of its children left out.
    #[must_use]
    pub fn text(&self) -> Cow<'e, str> {
        let mut content = self.content().filter(|node| !matches!(node.data().kind, Kind::Element(_)));
        let Some(first) = content.next() else { return Cow::Borrowed("") };
        let Some(second) = content.next() else { return first.own_text() };
        let mut text = first.own_text().into_owned();
        for node in std::iter::once(second).chain(content) {
            text.push_str(&node.own_text());
        }
        Cow::Owned(text)
    }

    /// What a text node stands for.
    fn own_text(&self) -> Cow<'e, str> {
        let raw = self.element.str(&self.data().text);
        match self.data().kind {
            Kind::Cdata if raw.contains('\r') => {
                let mut text = String::with_capacity(raw.len());
                push_cdata(&mut text, raw);
                Cow::Owned(text)
            }
            Kind::Cdata => Cow::Borrowed(raw),
            Kind::Text | Kind::Element(_) => unescape_text(raw),
        }
    }

    /// Writes the element with all its namespaces declared, so that it means the same wherever the surrounding default namespace is `default`.
    pub fn write(&self, out: &mut XmlWriter, default: &str) {
        self.write_inside(out, default, &mut Vec::new());
    }

    /// `prefixes`: the namespaces of `ns0`, `ns1` and so on, which only attributes need.
    fn write_inside(&self, out: &mut XmlWriter, default: &str, prefixes: &mut Vec<&'e str>) {
        let default = if self.ns() == ns::XML {
            // That namespace is never the default one.
            out.open(&format!("xml:{}", self.name()));
            default
        } else {
            out.open(self.name());
            if self.ns() != default {
                out.ns(self.ns());
            }
            self.ns()
        };
        let around = prefixes.len();
        for (ns, name, value) in self.attrs() {
            match ns {
                "" => out.attr(name, value),
                ns::XML => out.attr(&format!("xml:{name}"), value),
                _ => {
                    let number = prefixes.iter().position(|known| *known == ns).unwrap_or_else(|| {
                        out.attr(&format!("xmlns:ns{}", prefixes.len()), ns);
                        prefixes.push(ns);
                        prefixes.len() - 1
                    });
                    out.attr(&format!("ns{number}:{name}"), value)
                }
            };
        }
        for node in self.content() {
            match node.data().kind {
                Kind::Element(_) => node.write_inside(out, default, prefixes),
                Kind::Text | Kind::Cdata => {
                    out.text(&node.own_text());
                }
            }
        }
        prefixes.truncate(around);
        out.close();
    }

    /// The element with all its namespaces declared: good to be stored, or put into another stanza.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = XmlWriter::new();
        self.write(&mut out, "");
        out.finish()
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JINGLE: &str = "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='a&amp;b'>\n\
        <content creator='initiator' name='voice'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
        <payload-type id='96' name='speex'/><payload-type id='97'/></description>\
        <t:transport xmlns:t='urn:xmpp:jingle:transports:ice-udp:1' t:x='1' xml:lang='en'/></content></jingle>";

    fn parse(xml: &str) -> Element {
        Element::parse(xml.as_bytes(), &Bindings::new(ns::CLIENT, [("s", "urn:s")])).unwrap()
    }

    #[test]
    fn children_and_attributes_are_found_by_expanded_name() {
        let element = parse(JINGLE);
        let jingle = element.root();
        assert!(jingle.is(ns::JINGLE, "jingle"));
        assert_eq!((jingle.attr("action"), jingle.attr("sid"), jingle.attr("x")), (Some("session-initiate"), Some("a&b"), None));
        let content = jingle.child(ns::JINGLE, "content").unwrap();
        let description = content.child(ns::JINGLE_RTP, "description").unwrap();
        let ids: Vec<_> = description.children_named(ns::JINGLE_RTP, "payload-type").filter_map(|payload| payload.attr("id")).collect();
        assert_eq!(ids, ["96", "97"]);
        let transport = content.child(ns::JINGLE_ICE_UDP, "transport").unwrap();
        assert_eq!((transport.attr("x"), transport.attr_ns(ns::JINGLE_ICE_UDP, "x")), (None, Some("1")));
        assert_eq!(transport.attr_ns(ns::XML, "lang"), Some("en"));
        assert_eq!(content.child(ns::JINGLE, "transport").map(|node| node.name()), None);
    }

    #[test]
    fn surrounding_bindings_count() {
        let element = parse("<a s:b='1'><s:c/><d xmlns=''/></a>");
        assert_eq!(element.root().ns(), ns::CLIENT);
        assert_eq!(element.root().attr_ns("urn:s", "b"), Some("1"));
        let children: Vec<_> = element.root().children().map(|child| (child.ns(), child.name())).collect();
        assert_eq!(children, [("urn:s", "c"), ("", "d")]);
    }

    #[test]
    fn as_many_namespaces_as_elements() {
        let xml: String = (0..100).map(|n| format!("<b xmlns='urn:{}' xmlns:p='urn:p{n}' p:c=''/>", n % 50)).collect();
        let element = parse(&format!("<a>{xml}</a>"));
        for (n, child) in element.root().children().enumerate() {
            assert_eq!((child.ns(), child.attr_ns(&format!("urn:p{n}"), "c")), (&*format!("urn:{}", n % 50), Some("")));
        }
        assert_eq!(element.namespaces.len(), 2 + 50 + 100);
    }

    #[test]
    fn text_is_joined_from_its_pieces() {
        for (xml, expected) in [
            ("<a/>", ""),
            ("<a>b</a>", "b"),
            ("<a>b &lt;&amp; c</a>", "b <& c"),
            ("<a><![CDATA[<b>\r\n]]></a>", "<b>\n"),
            ("<a>1<b>2</b>3<![CDATA[4]]>&#53;\r6</a>", "1345\n6"),
        ] {
            assert_eq!(parse(xml).root().text(), expected, "{xml}");
        }
    }

    #[test]
    fn white_space_around_is_ignored_and_nothing_else() {
        assert!(Element::parse(b" \r\n<a/>\t", &Bindings::empty()).is_ok());
        assert!(Element::parse(b"", &Bindings::empty()).is_err());
        assert!(Element::parse(b"  ", &Bindings::empty()).is_err());
        assert!(Element::parse(b"<a/>x", &Bindings::empty()).is_err());
        assert!(Element::parse(b"<?xml version='1.0'?><a/>", &Bindings::empty()).is_err());
    }
}
