//! The direct children of a stanza, found by an index and read in place: the head is typed, the body stays as received.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use smallvec::SmallVec;

use super::Stanza;
use crate::ns;
use crate::xml::escape::{unescape_attr, unescape_text};
use crate::xml::validate::{Origin, Sink, StartTag};
use crate::xml::{Bindings, Element, XmlError};

/// Most children of one stanza.
pub const CHILDREN_MAX: usize = 1000;

/// What surrounds the children of a stanza whose head declares no prefixes.
pub(crate) static CONTENT: LazyLock<Bindings> = LazyLock::new(|| Bindings::new(ns::CLIENT, []));

/// The index of a body; most have no more children than this holds in place.
pub(crate) type Children = SmallVec<[ChildIndex; 3]>;

/// Where a child stands in the body, and its expanded name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildIndex {
    ns: ChildNs,
    /// The local name.
    name: Part,
    /// From `<` to behind the last `>`.
    whole: Part,
    /// From behind the start tag to before the end tag.
    content: Part,
}

#[derive(Debug, Clone, Copy)]
enum ChildNs {
    /// The stanza's own, called `jabber:client` here whatever the stream calls it.
    Content,
    /// As written in the child's start tag.
    Body(Part),
    /// From a declaration outside the child, or written with references: one of the head's `Rest::namespaces`.
    Other(u32),
}

/// A part of the body, from one offset to another.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: u32,
    end: u32,
}

impl Part {
    fn new(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl ChildIndex {
    /// Where the child stands in the body.
    pub(crate) fn range(&self) -> Range<usize> {
        self.whole.range()
    }

    /// The index of the same child `by` bytes further on, in a stanza that knew `known` other namespaces before those of this index.
    pub(crate) fn moved(&self, by: usize, known: usize) -> Self {
        let ns = match self.ns {
            ChildNs::Other(number) => ChildNs::Other(number + known as u32),
            ns => ns,
        };
        Self { ns, ..*self }.map(|part| Part { start: part.start + by as u32, end: part.end + by as u32 })
    }

    /// The index of the same child when `by` bytes before it are gone.
    pub(crate) fn moved_back(&self, by: usize) -> Self {
        self.map(|part| Part { start: part.start - by as u32, end: part.end - by as u32 })
    }

    fn map(&self, part: impl Fn(Part) -> Part) -> Self {
        let ns = match self.ns {
            ChildNs::Body(at) => ChildNs::Body(part(at)),
            ns => ns,
        };
        Self { ns, name: part(self.name), whole: part(self.whole), content: part(self.content) }
    }
}

/// Collects the index during the validating pass.
pub(crate) struct Indexer<'a> {
    text: &'a str,
    /// Where the body begins in the text.
    pub(crate) body: usize,
    /// The namespace that counts as the content namespace.
    pub(crate) content_ns: &'static str,
    pub(crate) children: Children,
    /// What `ChildNs::Other` counts, for the head.
    pub(crate) namespaces: Vec<Arc<str>>,
}

impl<'a> Indexer<'a> {
    pub(crate) fn new(text: &'a str, content_ns: &'static str) -> Self {
        Self { text, body: 0, content_ns, children: SmallVec::new(), namespaces: Vec::new() }
    }

    /// Where a part of the text stands in the body.
    fn part(&self, part: &str) -> Part {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize - self.body;
        Part::new(start..start + part.len())
    }

    pub(crate) fn child_start(&mut self, tag: &StartTag<'_, 'a>) -> Result<(), XmlError> {
        if self.children.len() == CHILDREN_MAX {
            return Err(XmlError::TooMany(CHILDREN_MAX, "children of a stanza"));
        }
        let (uri, origin) = tag.ns();
        // Only the tag's own declaration is part of the child.
        let own = || tag.attributes.iter().find(|attribute| attribute.name == "xmlns" && attribute.plain);
        let ns = if uri == self.content_ns {
            ChildNs::Content
        } else if let (Origin::Inside, 0, Some(own)) = (origin, tag.local_start, own()) {
            ChildNs::Body(self.part(own.value))
        } else {
            let known = self.namespaces.iter().position(|known| **known == *uri).unwrap_or_else(|| {
                self.namespaces.push(Arc::from(uri));
                self.namespaces.len() - 1
            });
            ChildNs::Other(known as u32)
        };
        let (start, end) = (tag.start - self.body, tag.end - self.body);
        self.children.push(ChildIndex { ns, name: self.part(tag.local()), whole: Part::new(start..end), content: Part::new(end..end) });
        Ok(())
    }

    pub(crate) fn child_end(&mut self, end_tag_start: usize, position: usize) {
        let body = self.body;
        if let Some(child) = self.children.last_mut() {
            child.whole.end = (position - body) as u32;
            child.content.end = (end_tag_start - body) as u32;
        }
    }
}

/// The sink for content that stands alone, without the stanza's head.
impl<'a> Sink<'a> for Indexer<'a> {
    fn start(&mut self, depth: usize, tag: &StartTag<'_, 'a>) -> Result<(), XmlError> {
        if depth == 1 { self.child_start(tag) } else { Ok(()) }
    }

    fn end(&mut self, depth: usize, end_tag_start: usize, position: usize) {
        if depth == 1 {
            self.child_end(end_tag_start, position);
        }
    }
}

/// A direct child of a stanza.
#[derive(Clone, Copy)]
pub struct Child<'s> {
    pub(crate) stanza: &'s Stanza,
    pub(crate) index: &'s ChildIndex,
}

impl<'s> Child<'s> {
    fn str(&self, part: Part) -> &'s str {
        &self.stanza.shared.body[part.range()]
    }

    /// The namespace; that of the stanza itself is `jabber:client`, whatever kind of stream it came from.
    #[must_use]
    pub fn ns(&self) -> &'s str {
        match self.index.ns {
            ChildNs::Content => ns::CLIENT,
            ChildNs::Body(part) => self.str(part),
            ChildNs::Other(number) => self.other_ns(number),
        }
    }

    fn other_ns(&self, number: u32) -> &'s str {
        self.stanza.rest().and_then(|rest| rest.namespaces.get(number as usize)).map_or("", |uri| uri)
    }

    /// The local name.
    #[must_use]
    pub fn name(&self) -> &'s str {
        self.str(self.index.name)
    }

    /// Whether it has this namespace and name.
    #[must_use]
    pub fn is(&self, ns: &str, name: &str) -> bool {
        let body = self.stanza.shared.body.as_bytes();
        body[self.index.name.range()] == *name.as_bytes()
            && match self.index.ns {
                ChildNs::Content => ns == ns::CLIENT,
                ChildNs::Body(part) => body[part.range()] == *ns.as_bytes(),
                ChildNs::Other(number) => self.other_ns(number) == ns,
            }
    }

    /// The child as received. Prefixes and a default namespace declared outside are not part of it.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.stanza.shared.body.as_bytes().slice(self.index.whole.range())
    }

    /// The value of an attribute without prefix (or with the prefix as written, as in `xml:lang`), read from the start tag in place.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<Cow<'s, str>> {
        let tag = self.str(Part { start: self.index.whole.start, end: self.index.content.start });
        find_attribute(tag, name).map(unescape_attr)
    }

    /// The child's own text, that of elements in it left out.
    #[must_use]
    pub fn text(&self) -> Cow<'s, str> {
        let content = self.str(self.index.content);
        if !content.contains('<') {
            return unescape_text(content);
        }
        self.element().map(|element| Cow::Owned(element.root().text().into_owned())).unwrap_or_default()
    }

    /// The child as a tree.
    ///
    /// # Errors
    /// Never in practice: the child has been validated.
    pub fn element(&self) -> Result<Element, XmlError> {
        let bindings = self.stanza.rest().map_or(&*CONTENT, |rest| &rest.bindings);
        Element::build(&self.stanza.shared.body[self.index.whole.range()], bindings)
    }
}

impl std::fmt::Debug for Child<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.str(self.index.whole))
    }
}

/// The raw value of an attribute in a validated start tag.
fn find_attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    // Behind the element's name; each turn is at the white space before an attribute or before the end.
    let mut rest = &tag[tag.find(|c: char| space(c) || matches!(c, '/' | '>'))?..];
    loop {
        rest = rest.trim_start_matches(space);
        let (key, behind) = rest.split_once('=')?;
        let behind = behind.trim_start_matches(space);
        let quote = behind.chars().next()?;
        let (value, behind) = behind.get(1..)?.split_once(quote)?;
        if key.trim_end_matches(space) == name {
            return Some(value);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(xml: &str) -> Stanza {
        Stanza::parse(Bytes::copy_from_slice(xml.as_bytes()), &Bindings::client()).unwrap()
    }

    #[test]
    fn children_are_found_by_expanded_name() {
        let stanza = stanza(
            "<message xmlns:p='urn:p'><body>a &amp; b</body><p:x/><q:y xmlns:q='urn:q'/><z xmlns=\"urn:z?&amp;\"/>\
             <z xmlns='urn:z'>deep<z><z xmlns='urn:other'/></z></z><n xmlns=''/></message>",
        );
        let found: Vec<_> = stanza.children().map(|child| (child.ns(), child.name())).collect();
        let expected = [(ns::CLIENT, "body"), ("urn:p", "x"), ("urn:q", "y"), ("urn:z?&", "z"), ("urn:z", "z"), ("", "n")];
        assert_eq!(found, expected);
        for (ns, name) in expected {
            let child = stanza.child(ns, name).unwrap();
            let element = child.element().unwrap();
            assert_eq!((element.root().ns(), element.root().name()), (ns, name));
            assert!(!child.is(ns, "other") && !child.is("other", name));
        }
        assert_eq!(stanza.child("urn:z", "z").unwrap().bytes(), "<z xmlns='urn:z'>deep<z><z xmlns='urn:other'/></z></z>");
        assert!(stanza.child(ns::CLIENT, "x").is_none());
    }

    #[test]
    fn attributes_are_read_in_place() {
        let stanza = stanza("<message><a b = 'x>y' cc=\"it's &lt;\"\n b.c='&#10;z\tz' xml:lang='de' e=''/><f/><g></g></message>");
        let child = stanza.child(ns::CLIENT, "a").unwrap();
        for (name, expected) in [
            ("b", Some("x>y")),
            ("cc", Some("it's <")),
            ("b.c", Some("\nz z")),
            ("xml:lang", Some("de")),
            ("e", Some("")),
            ("c", None),
            ("a", None),
            ("x", None),
        ] {
            assert_eq!(child.attr(name).as_deref(), expected, "{name}");
        }
        for name in ["f", "g"] {
            assert_eq!(stanza.child(ns::CLIENT, name).unwrap().attr("b"), None);
        }
    }

    #[test]
    fn text_is_the_childs_own() {
        let stanza = stanza("<message><a>1 &lt; <b>no</b>2<![CDATA[ & 3\r\n]]></a><c/><d>x\r\ny</d></message>");
        let text = |name| stanza.child(ns::CLIENT, name).unwrap().text().into_owned();
        assert_eq!(text("a"), "1 < 2 & 3\n");
        assert_eq!(text("c"), "");
        assert_eq!(text("d"), "x\ny");
    }

    #[test]
    fn standalone_children_declare_their_namespaces() {
        let stanza =
            stanza("<message xmlns:p='urn:p'><p:x p:a='1' b='&lt;' xml:lang='en'><y xmlns='urn:y'/><body>&amp;</body></p:x></message>");
        let standalone = stanza.child("urn:p", "x").unwrap().element().unwrap().root().to_bytes();
        assert_eq!(
            standalone,
            "<x xmlns='urn:p' xmlns:ns0='urn:p' ns0:a='1' b='&lt;' xml:lang='en'><y xmlns='urn:y'/><body xmlns='jabber:client'>&amp;</body></x>"
        );
    }
}
