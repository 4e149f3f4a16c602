//! One strict pass over a framed element: XML 1.0 and Namespaces in XML 1.0 as far as RFC 6120 §11.1 lets XMPP use them.
//!
//! Accepted is exactly one element: UTF-8 of allowed characters, tags that match, the five predefined entities, character references and CDATA
//! sections. Refused as restricted: comments, processing instructions, document type declarations, other entities. Refused as bad format, since
//! parsers of others stumble over them and nobody writes them: a lone carriage return in an attribute value, a character reference of more than
//! eight digits, a name of characters that only the fifth edition allows. The pass tells a [`Sink`] of
//! each start and end, so that a stanza's head and its index of children are read on the way.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::bindings::Bindings;
use super::escape::{REFERENCE_DIGITS_MAX, resolve, unescape_attr};
use super::name::{CLASS, NAME, START, continues_name, continues_name_since_fifth, is_space, starts_name, starts_name_since_fifth};
pub(crate) use super::scope::Origin;
pub use super::scope::PREFIXES_MAX;
use super::scope::Scope;
use super::{XmlError, name};

/// Most attributes of one element, namespace declarations not counted.
pub const ATTRIBUTES_MAX: usize = 64;
/// Deepest nesting, whatever a stream's limits allow; parsers of others end at some 250, the stream counted.
pub const DEPTH_MAX: usize = 128;

const MALFORMED_NAME: XmlError = XmlError::NotWellFormed("a malformed name");

/// Checks that `bytes` is one well-formed element inside an element with these bindings.
///
/// # Errors
/// The rule that is broken first.
pub fn validate(bytes: &[u8], bindings: &Bindings) -> Result<(), XmlError> {
    validate_within(bytes, bindings, DEPTH_MAX)
}

/// The same for an element that may be nested at most `depth_max` deep, itself being 1.
///
/// # Errors
/// As [`validate`].
pub fn validate_within(bytes: &[u8], bindings: &Bindings, depth_max: usize) -> Result<(), XmlError> {
    struct Ignore;
    impl Sink<'_> for Ignore {}
    let text = str::from_utf8(bytes).map_err(|_| XmlError::UnsupportedEncoding("not UTF-8"))?;
    walk(text, bindings, depth_max, &mut Ignore).map(|_| ())
}

/// Where [`validate`] stops: how many bytes were in order, for whoever tells a person.
#[must_use]
pub fn valid_up_to(text: &str, bindings: &Bindings) -> usize {
    struct Ignore;
    impl Sink<'_> for Ignore {}
    let Ok(mut walker) = Walker::new(text, bindings, DEPTH_MAX) else {
        return text.char_indices().find(|(_, c)| check_chars(c.encode_utf8(&mut [0; 4]).as_bytes()).is_err()).map_or(0, |(at, _)| at);
    };
    // what is wrong is known already
    let _ = walker.run(&mut Ignore);
    walker.at.min(text.len())
}

/// Who is told of the elements on the way. Positions are byte offsets into the text.
pub(crate) trait Sink<'a> {
    /// A start tag or an empty-element tag has been read and checked. `depth` is 0 for the outermost element.
    fn start(&mut self, _depth: usize, _tag: &StartTag<'_, 'a>) -> Result<(), XmlError> {
        Ok(())
    }

    /// An element of this depth ended before `position`; an empty element ends right after its `start`.
    fn end(&mut self, _depth: usize, _end_tag_start: usize, _position: usize) {}
}

/// One attribute as it stands in the text; its names are still qualified and its value still has its references.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// The qualified name.
    pub(crate) name: &'a str,
    /// Where the local part begins in `name`: behind the colon, else 0.
    pub(crate) local_start: usize,
    /// The value between its quotes, as received.
    pub(crate) value: &'a str,
    /// The value stands for itself: no references and no white space but spaces.
    pub(crate) plain: bool,
}

impl<'a> Attribute<'a> {
    /// The prefix, without its colon.
    pub(crate) fn prefix(&self) -> Option<&'a str> {
        self.local_start.checked_sub(1).map(|colon| &self.name[..colon])
    }

    pub(crate) fn local(&self) -> &'a str {
        &self.name[self.local_start..]
    }

    /// The value that it stands for.
    pub(crate) fn unescaped(&self) -> Cow<'a, str> {
        if self.plain { Cow::Borrowed(self.value) } else { unescape_attr(self.value) }
    }

    /// Whether it declares a namespace: the prefix declared, empty for the default.
    pub(crate) fn declares(&self) -> Option<&'a str> {
        match self.prefix() {
            None if self.name == "xmlns" => Some(""),
            Some("xmlns") => Some(self.local()),
            _ => None,
        }
    }
}

/// A start tag.
pub(crate) struct StartTag<'t, 'a> {
    /// The qualified name.
    pub(crate) name: &'a str,
    /// Where the local part begins in `name`.
    pub(crate) local_start: usize,
    pub(crate) attributes: &'t [Attribute<'a>],
    /// Offset of `<`.
    pub(crate) start: usize,
    /// Offset behind `>`.
    pub(crate) end: usize,
    /// The declarations in force, this tag's own included.
    scope: &'t Scope<'a>,
}

impl<'a> StartTag<'_, 'a> {
    pub(crate) fn local(&self) -> &'a str {
        &self.name[self.local_start..]
    }

    /// The namespace of the element.
    pub(crate) fn ns(&self) -> (&str, Origin) {
        match self.local_start {
            0 => self.scope.default(),
            // The prefix was looked up before.
            start => self.scope.find(&self.name[..start - 1]).unwrap_or(("", Origin::Fixed)),
        }
    }

    /// The namespaces declared inside the walked text, outermost first: prefix (empty for the default) and value.
    pub(crate) fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        self.scope.declared()
    }
}

/// An element that has not ended yet.
struct Open<'a> {
    name: &'a str,
    /// How many declarations were in force around it.
    declared: usize,
}

/// Walks over one element and nothing else. Gives, as bits, the positions of the surrounding prefixes that it uses.
pub(crate) fn walk<'a, S: Sink<'a>>(text: &'a str, bindings: &'a Bindings, depth_max: usize, sink: &mut S) -> Result<u64, XmlError> {
    let mut walker = Walker::new(text, bindings, depth_max)?;
    walker.run(sink)?;
    Ok(walker.scope.outer_used())
}

/// Walks over the content of an element: child elements and text, or nothing. Child elements have depth 1.
pub(crate) fn walk_content<'a, S: Sink<'a>>(text: &'a str, bindings: &'a Bindings, sink: &mut S) -> Result<(), XmlError> {
    let mut walker = Walker::new(text, bindings, DEPTH_MAX)?;
    // An element around it that no end tag can match.
    walker.open.push(Open { name: "/", declared: 0 });
    while walker.at < text.len() {
        walker.char_data(true)?;
        if walker.at < text.len() {
            walker.markup(sink)?;
        }
    }
    if walker.open.len() == 1 { Ok(()) } else { Err(XmlError::NotWellFormed("an element is not closed")) }
}

/// Reads the one start tag at the beginning, as a stream header's is read: checked like any other, and left open. Gives the offset behind it.
pub(crate) fn walk_start_tag<'a, S: Sink<'a>>(bytes: &'a [u8], bindings: &'a Bindings, sink: &mut S) -> Result<usize, XmlError> {
    let text = str::from_utf8(bytes).map_err(|_| XmlError::UnsupportedEncoding("not UTF-8"))?;
    let mut walker = Walker::new(text, bindings, DEPTH_MAX)?;
    if bytes.first() != Some(&b'<') {
        return Err(XmlError::NotWellFormed("an element must begin with `<`"));
    }
    walker.start_tag(sink)?;
    Ok(walker.at)
}

/// XML 1.0 §2.2: no control characters but tab, line feed and carriage return, no U+FFFE, no U+FFFF. UTF-8 has no surrogates already.
/// Tells whether there are any of these three.
fn check_chars(bytes: &[u8]) -> Result<bool, XmlError> {
    const FORBIDDEN: XmlError = XmlError::NotWellFormed("a character that XML does not allow");
    // Without branches, so that it is done for many bytes at once.
    let (mut control, mut line_end) = (false, false);
    for byte in bytes {
        line_end |= *byte < 0x20;
        control |= *byte < 0x20 && !matches!(*byte, b'\t' | b'\n' | b'\r');
    }
    if control {
        return Err(FORBIDDEN);
    }
    for at in memchr::memchr_iter(0xEF, bytes) {
        if let Some([0xBF, 0xBE | 0xBF]) = bytes.get(at + 1..at + 3) {
            return Err(FORBIDDEN);
        }
    }
    Ok(line_end)
}

struct Walker<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// There are tabs, line feeds or carriage returns somewhere.
    line_ends: bool,
    depth_max: usize,
    scope: Scope<'a>,
    open: SmallVec<[Open<'a>; 12]>,
}

impl<'a> Walker<'a> {
    /// At the start of `text`, whose characters are checked here as a whole.
    fn new(text: &'a str, bindings: &'a Bindings, depth_max: usize) -> Result<Self, XmlError> {
        let bytes = text.as_bytes();
        let line_ends = check_chars(bytes)?;
        Ok(Self { text, bytes, at: 0, line_ends, depth_max: depth_max.min(DEPTH_MAX), scope: Scope::new(bindings), open: SmallVec::new() })
    }

    fn run<S: Sink<'a>>(&mut self, sink: &mut S) -> Result<(), XmlError> {
        if self.bytes.first() != Some(&b'<') {
            return Err(XmlError::NotWellFormed("an element must begin with `<`"));
        }
        loop {
            self.markup(sink)?;
            if self.open.is_empty() {
                break;
            }
            self.char_data(false)?;
        }
        if self.at == self.bytes.len() { Ok(()) } else { Err(XmlError::NotWellFormed("something follows the element")) }
    }

    /// What begins with the `<` at `at`.
    fn markup<S: Sink<'a>>(&mut self, sink: &mut S) -> Result<(), XmlError> {
        match self.bytes.get(self.at + 1) {
            Some(b'/') => self.end_tag(sink),
            Some(b'!') => self.declaration(),
            Some(b'?') => Err(XmlError::Restricted("a processing instruction")),
            Some(_) => self.start_tag(sink),
            None => Err(XmlError::NotWellFormed("the text ends inside a tag")),
        }
    }

    /// Character data up to the next `<`, or to the end where there may be one: §2.4.
    fn char_data(&mut self, may_end: bool) -> Result<(), XmlError> {
        loop {
            let rest = &self.bytes[self.at..];
            let Some(found) = memchr::memchr3(b'<', b'&', b']', rest) else {
                self.at = self.bytes.len();
                return if may_end { Ok(()) } else { Err(XmlError::NotWellFormed("an element is not closed")) };
            };
            self.at += found;
            match rest[found] {
                b'<' => return Ok(()),
                b'&' => self.reference()?,
                _ if rest[found..].starts_with(b"]]>") => return Err(XmlError::NotWellFormed("`]]>` in character data")),
                _ => self.at += 1,
            }
        }
    }

    /// A reference, at its `&`: §4.1, §4.6.
    fn reference(&mut self) -> Result<(), XmlError> {
        // The longest known name and the longest number are short; a flood of name characters is not looked through.
        let rest = &self.text[self.at + 1..];
        let len = rest.bytes().take(64).position(|byte| !(byte == b'#' || CLASS[byte as usize] & NAME != 0 || byte >= 0x80));
        let Some(len) = len.filter(|len| rest.as_bytes()[*len] == b';') else {
            return Err(XmlError::NotWellFormed("`&` without a reference"));
        };
        let name = &rest[..len];
        if resolve(name).is_none() {
            let digits = |name: &str| name.bytes().filter(u8::is_ascii_hexdigit).count();
            return Err(if name.starts_with('#') && digits(name) > REFERENCE_DIGITS_MAX {
                XmlError::BadFormat("a character reference of more than eight digits")
            } else if name::is_ncname(name) {
                XmlError::Restricted("a reference to an entity that is not predefined")
            } else {
                XmlError::NotWellFormed("a malformed reference, or one to a character that XML does not allow")
            });
        }
        self.at += 1 + len + 1;
        Ok(())
    }

    /// `<!` inside the element: a CDATA section (§2.7), or something restricted.
    fn declaration(&mut self) -> Result<(), XmlError> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(b"<![CDATA[") && !self.open.is_empty() {
            let content = self.at + b"<![CDATA[".len();
            let Some(len) = find_cdata_end(&self.bytes[content..]) else {
                return Err(XmlError::NotWellFormed("a CDATA section is not closed"));
            };
            self.at = content + len + 3;
            return Ok(());
        }
        Err(restricted_declaration(rest))
    }

    /// `</name>`: production 42.
    fn end_tag<S: Sink<'a>>(&mut self, sink: &mut S) -> Result<(), XmlError> {
        let start = self.at;
        let Some(open) = self.open.pop() else {
            return Err(XmlError::NotWellFormed("an end tag without a start tag"));
        };
        let name = open.name.as_bytes();
        self.at += 2;
        if !self.bytes[self.at..].starts_with(name) {
            return Err(XmlError::NotWellFormed("an end tag does not match its start tag"));
        }
        self.at += name.len();
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b'>') {
            return Err(XmlError::NotWellFormed("an end tag does not match its start tag"));
        }
        self.at += 1;
        self.scope.truncate(open.declared);
        sink.end(self.open.len(), start, self.at);
        Ok(())
    }

    /// `<name attributes>` or `<name attributes/>`: productions 40 and 44.
    fn start_tag<S: Sink<'a>>(&mut self, sink: &mut S) -> Result<(), XmlError> {
        let start = self.at;
        self.at += 1;
        let (name, local_start) = self.qualified_name()?;
        let around = self.scope.len();
        let mut attributes: SmallVec<[Attribute<'a>; 10]> = SmallVec::new();
        let mut prefixed = local_start > 0;
        let mut marks = 0;
        let mut others = 0;
        let empty = loop {
            let spaced = self.skip_space();
            match self.bytes.get(self.at) {
                Some(b'>') => {
                    self.at += 1;
                    break false;
                }
                Some(b'/') => {
                    if self.bytes.get(self.at + 1) != Some(&b'>') {
                        return Err(XmlError::NotWellFormed("`/` in a start tag"));
                    }
                    self.at += 2;
                    break true;
                }
                Some(_) if spaced => {
                    let attribute = self.attribute()?;
                    // Names of another length or with another first byte are told apart without a look at the others.
                    let mark = 1u64 << (attribute.name.as_bytes()[0].wrapping_mul(5).wrapping_add(attribute.name.len() as u8) & 63);
                    if marks & mark != 0 && attributes.iter().any(|other| other.name == attribute.name) {
                        return Err(XmlError::NotWellFormed("an attribute appears twice"));
                    }
                    marks |= mark;
                    match attribute.declares() {
                        Some(prefix) => self.scope.declare(prefix, attribute.unescaped())?,
                        None if others == ATTRIBUTES_MAX => return Err(XmlError::TooMany(ATTRIBUTES_MAX, "attributes")),
                        None => {
                            others += 1;
                            prefixed |= attribute.local_start > 0;
                        }
                    }
                    attributes.push(attribute);
                }
                Some(_) => return Err(XmlError::NotWellFormed("white space is missing before an attribute")),
                None => return Err(XmlError::NotWellFormed("the text ends inside a tag")),
            }
        };
        if prefixed {
            let prefix = local_start.checked_sub(1).map(|colon| &name[..colon]);
            self.scope.check(prefix, &attributes)?;
        }
        let depth = self.open.len();
        if depth >= self.depth_max {
            return Err(XmlError::TooDeep(self.depth_max));
        }
        sink.start(depth, &StartTag { name, local_start, attributes: &attributes, start, end: self.at, scope: &self.scope })?;
        if empty {
            self.scope.truncate(around);
            sink.end(depth, self.at, self.at);
        } else {
            self.open.push(Open { name, declared: around });
        }
        Ok(())
    }

    /// `name='value'`: productions 10, 25 and 41.
    fn attribute(&mut self) -> Result<Attribute<'a>, XmlError> {
        let (name, local_start) = self.qualified_name()?;
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b'=') {
            return Err(XmlError::NotWellFormed("an attribute without a value"));
        }
        self.at += 1;
        self.skip_space();
        let quote = match self.bytes.get(self.at) {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return Err(XmlError::NotWellFormed("an attribute value without quotes")),
        };
        self.at += 1;
        let value = self.at;
        let mut plain = true;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(found) = memchr::memchr3(quote, b'<', b'&', rest) else {
                return Err(XmlError::NotWellFormed("an attribute value is not closed"));
            };
            self.at += found;
            match rest[found] {
                b'<' => return Err(XmlError::NotWellFormed("`<` in an attribute value")),
                b'&' => {
                    plain = false;
                    self.reference()?;
                }
                _ => break,
            }
        }
        let value = &self.text[value..self.at];
        self.at += 1;
        if self.line_ends && value.bytes().any(|byte| byte < 0x20) {
            plain = false;
            check_carriage_returns(value)?;
        }
        Ok(Attribute { name, local_start, value, plain })
    }

    /// A QName: Namespaces in XML 1.0 §4. Gives the name and where its local part begins.
    #[inline]
    fn qualified_name(&mut self) -> Result<(&'a str, usize), XmlError> {
        let start = self.at;
        self.ncname()?;
        let mut local_start = 0;
        if self.bytes.get(self.at) == Some(&b':') {
            self.at += 1;
            local_start = self.at - start;
            self.ncname()?;
        }
        if self.bytes.get(self.at) == Some(&b':') {
            return Err(XmlError::NotWellFormed("a name with two colons"));
        }
        Ok((&self.text[start..self.at], local_start))
    }

    #[inline]
    fn ncname(&mut self) -> Result<(), XmlError> {
        match self.bytes.get(self.at) {
            Some(byte) if CLASS[*byte as usize] & START != 0 => self.at += 1,
            Some(0x80..) => self.name_char(starts_name, starts_name_since_fifth)?,
            _ => return Err(MALFORMED_NAME),
        }
        loop {
            let rest = &self.bytes[self.at..];
            self.at += rest.iter().position(|byte| CLASS[*byte as usize] & NAME == 0).unwrap_or(rest.len());
            match self.bytes.get(self.at) {
                Some(0x80..) => self.name_char(continues_name, continues_name_since_fifth)?,
                _ => return Ok(()),
            }
        }
    }

    /// One character beyond ASCII, of this class; `fifth` is the class of the fifth edition.
    fn name_char(&mut self, class: fn(char) -> bool, fifth: fn(char) -> bool) -> Result<(), XmlError> {
        match self.text[self.at..].chars().next() {
            Some(c) if class(c) => {
                self.at += c.len_utf8();
                Ok(())
            }
            Some(c) if fifth(c) => Err(XmlError::BadFormat("a name of characters that only the fifth edition of XML 1.0 allows")),
            _ => Err(MALFORMED_NAME),
        }
    }

    /// Whether there was any.
    #[inline]
    fn skip_space(&mut self) -> bool {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
        self.at > start
    }
}

/// See the top of this file.
fn check_carriage_returns(value: &str) -> Result<(), XmlError> {
    let lone = |at: usize| value.as_bytes().get(at + 1) != Some(&b'\n');
    match memchr::memchr_iter(b'\r', value.as_bytes()).any(lone) {
        true => Err(XmlError::BadFormat("a lone carriage return in an attribute value")),
        false => Ok(()),
    }
}

/// How many bytes precede `]]>`.
pub(crate) fn find_cdata_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = from + memchr::memchr(b'>', &bytes[from..])?;
        if bytes[..found].ends_with(b"]]") {
            return Some(found - 2);
        }
        from = found + 1;
    }
}

/// What a `<!` that does not begin a CDATA section is.
pub(crate) fn restricted_declaration(rest: &[u8]) -> XmlError {
    if rest.starts_with(b"<!--") {
        XmlError::Restricted("a comment")
    } else if rest.starts_with(b"<!DOCTYPE") {
        XmlError::Restricted("a document type declaration")
    } else {
        XmlError::NotWellFormed("`<!` begins neither a CDATA section nor a declaration")
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle;
    use super::*;
    use crate::stream::error::Condition;

    /// What is malformed or restricted, kind by kind, and the stream error that answers it.
    const MALFORMED: &[(&str, &[u8], Condition)] = &[
        ("control character in text", b"<a>\x01</a>", Condition::NotWellFormed),
        ("control character in an attribute value", b"<a b='\x1f'/>", Condition::NotWellFormed),
        ("U+FFFE in text", b"<a>\xEF\xBF\xBE</a>", Condition::NotWellFormed),
        ("U+FFFF in an attribute value", b"<a b='\xEF\xBF\xBF'/>", Condition::NotWellFormed),
        ("reference to a control character", b"<a>&#1;</a>", Condition::NotWellFormed),
        ("reference to a surrogate", b"<a>&#xD800;</a>", Condition::NotWellFormed),
        ("reference beyond Unicode", b"<a b='&#x110000;'/>", Condition::NotWellFormed),
        ("`]]>` in text", b"<a>]]></a>", Condition::NotWellFormed),
        ("`<` in an attribute value", b"<a b='<'/>", Condition::NotWellFormed),
        ("bad character in a name", b"<a$b/>", Condition::NotWellFormed),
        ("bad first character of a name", b"<1a/>", Condition::NotWellFormed),
        ("two colons in a name", b"<a:b:c xmlns:a='u'/>", Condition::NotWellFormed),
        ("empty prefix", b"<:a/>", Condition::NotWellFormed),
        ("empty local part", b"<p: xmlns:p='u'/>", Condition::NotWellFormed),
        ("prefix undeclared again", b"<a xmlns:p=''/>", Condition::NotWellFormed),
        ("prefix not declared", b"<p:a/>", Condition::NotWellFormed),
        ("prefix of an attribute not declared", b"<a p:b=''/>", Condition::NotWellFormed),
        ("prefix out of scope", b"<a><b xmlns:p='u'/><p:c/></a>", Condition::NotWellFormed),
        ("prefix `xmlns` declared", b"<a xmlns:xmlns='u'/>", Condition::NotWellFormed),
        ("prefix `xml` bound to another namespace", b"<a xmlns:xml='u'/>", Condition::NotWellFormed),
        (
            "another prefix bound to the namespace of `xml`",
            b"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            Condition::NotWellFormed,
        ),
        ("white space missing between attributes", b"<a b=''c=''/>", Condition::NotWellFormed),
        ("attribute twice", b"<a b='1' b='2'/>", Condition::NotWellFormed),
        ("attribute twice by expanded name", b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", Condition::NotWellFormed),
        (
            "attribute twice by a namespace written with a reference",
            b"<a xmlns:p='u' xmlns:q='&#117;' p:b='' q:b=''/>",
            Condition::NotWellFormed,
        ),
        ("attribute without value", b"<a b/>", Condition::NotWellFormed),
        ("attribute value without quotes", b"<a b=c/>", Condition::NotWellFormed),
        ("attribute value not closed", b"<a b='c/>", Condition::NotWellFormed),
        ("lone `&`", b"<a>a & b</a>", Condition::NotWellFormed),
        ("reference without end", b"<a>&amp</a>", Condition::NotWellFormed),
        ("entity that is not predefined", b"<a>&nbsp;</a>", Condition::RestrictedXml),
        ("text before the element", b"x<a/>", Condition::NotWellFormed),
        ("text behind the element", b"<a/>x", Condition::NotWellFormed),
        ("two elements", b"<a/><b/>", Condition::NotWellFormed),
        ("element not closed", b"<a><b></b>", Condition::NotWellFormed),
        ("end tag of another name", b"<a></b>", Condition::NotWellFormed),
        ("end tags crossed", b"<a><b></a></b>", Condition::NotWellFormed),
        ("end tag alone", b"</a>", Condition::NotWellFormed),
        ("attribute in an end tag", b"<a></a b=''>", Condition::NotWellFormed),
        ("white space before a name", b"< a/>", Condition::NotWellFormed),
        ("white space inside `/>`", b"<a/ >", Condition::NotWellFormed),
        ("tag not closed", b"<a", Condition::NotWellFormed),
        ("CDATA not closed", b"<a><![CDATA[x]]</a>", Condition::NotWellFormed),
        ("CDATA around the element", b"<![CDATA[x]]>", Condition::NotWellFormed),
        ("document type declaration", b"<!DOCTYPE a><a/>", Condition::RestrictedXml),
        ("document type declaration with entities", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", Condition::RestrictedXml),
        ("comment", b"<a><!-- b --></a>", Condition::RestrictedXml),
        ("processing instruction", b"<a><?b c?></a>", Condition::RestrictedXml),
        ("not UTF-8", b"<a>\xFF</a>", Condition::UnsupportedEncoding),
        ("overlong UTF-8", b"<a>\xC0\xBC</a>", Condition::UnsupportedEncoding),
        ("surrogates as UTF-8", b"<a>\xED\xA0\x80</a>", Condition::UnsupportedEncoding),
        ("nothing", b"", Condition::NotWellFormed),
    ];

    #[test]
    fn each_kind_of_malformed_document_is_refused_with_its_condition() {
        for (kind, document, expected) in MALFORMED {
            let error = validate(document, &Bindings::empty()).expect_err(kind);
            // Out of place, a CDATA section or an end tag is reported by another name; the rest is exact.
            assert_eq!(error.condition(), *expected, "{kind}: {error}");
            assert!(oracle::oracle(document).is_none(), "{kind}: the oracle accepts it");
        }
    }

    #[test]
    fn refused_though_a_parser_may_accept_it() {
        for (document, expected) in [
            (&b"<a xmlns='u' xmlns='u'/>"[..], Condition::NotWellFormed),
            (b"<a xmlns='http://www.w3.org/2000/xmlns/'/>", Condition::NotWellFormed),
            (b"<a b='c\rd'/>", Condition::BadFormat),
            (b"<a>&#000000065;</a>", Condition::BadFormat),
            ("<a😀/>".as_bytes(), Condition::BadFormat),
            ("<\u{37f}/>".as_bytes(), Condition::BadFormat),
        ] {
            assert_eq!(validate(document, &Bindings::empty()).map_err(|error| error.condition()), Err(expected), "{document:?}");
        }
    }

    #[test]
    fn well_formed_documents_are_accepted() {
        for document in [
            "<a/>",
            "<a></a >",
            "<a\n\tb = 'c'\r\n/>",
            "<é ü='€'>😀</é>",
            "<a b=\"'\" c='\"'>&lt;&gt;&amp;&quot;&apos;&#x10FFFF;&#9;</a>",
            "<a><![CDATA[<b>&]]]]><![CDATA[>]]></a>",
            "<a>]] > ]&gt; ></a>",
            "<p:a xmlns:p='u'><p:a xmlns:p='v' p:b='' b=''/></p:a>",
            "<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>",
            "<a xmlns='u'><b xmlns=''/></a>",
            "<a xml:lang='en' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
            "<a b='c\r\nd'>\u{7f}\u{85}\u{fffd}\u{feff}</a>",
        ] {
            oracle::compare(document.as_bytes());
            assert_eq!(validate(document.as_bytes(), &Bindings::empty()), Ok(()), "{document}");
        }
    }

    #[test]
    fn prefixes_of_the_stream_count() {
        let bindings = Bindings::client();
        assert_eq!(validate(b"<stream:features/>", &bindings), Ok(()));
        assert_eq!(walk("<a><stream:b/></a>", &bindings, DEPTH_MAX, &mut Ignore), Ok(1));
        assert_eq!(walk("<a xmlns:stream='u'><stream:b/></a>", &bindings, DEPTH_MAX, &mut Ignore), Ok(0));
        assert_eq!(
            validate(b"<a xmlns:s='http://etherx.jabber.org/streams' s:b='' stream:b=''/>", &bindings),
            Err(XmlError::NotWellFormed("two attributes have the same expanded name"))
        );
    }

    struct Ignore;
    impl Sink<'_> for Ignore {}

    #[test]
    fn attributes_declarations_and_depth_are_bounded() {
        let attributes = |count: usize| (0..count).map(|n| format!(" a{n}=''")).collect::<String>();
        let validate = |document: String| validate(document.as_bytes(), &Bindings::empty());
        assert_eq!(validate(format!("<a{}/>", attributes(ATTRIBUTES_MAX))), Ok(()));
        assert_eq!(validate(format!("<a{}/>", attributes(ATTRIBUTES_MAX + 1))), Err(XmlError::TooMany(ATTRIBUTES_MAX, "attributes")));

        let nested = |depth: usize, tag: &str| format!("{}{}", format!("<a{tag}>").repeat(depth), "</a>".repeat(depth));
        assert_eq!(validate(nested(DEPTH_MAX, "")), Ok(()));
        assert_eq!(validate(nested(DEPTH_MAX + 1, "")), Err(XmlError::TooDeep(DEPTH_MAX)));
        let within = |depth, max| validate_within(nested(depth, "").as_bytes(), &Bindings::empty(), max);
        assert_eq!(within(4, 4), Ok(()));
        assert_eq!(within(5, 4), Err(XmlError::TooDeep(4)));
        assert_eq!(within(DEPTH_MAX + 1, usize::MAX), Err(XmlError::TooDeep(DEPTH_MAX)));
        assert_eq!(validate(nested(PREFIXES_MAX, " xmlns:p='u'")), Ok(()));
        let expected = Err(XmlError::TooMany(PREFIXES_MAX, "declarations of prefixes"));
        assert_eq!(validate(nested(PREFIXES_MAX + 1, " xmlns:p='u'")), expected);
        // Those of elements that have ended do not count.
        assert_eq!(validate(format!("<a>{}</a>", "<b xmlns:p='u'/>".repeat(2 * PREFIXES_MAX))), Ok(()));
        assert_eq!(validate(nested(DEPTH_MAX, " xmlns='u'")), Ok(()));
    }
}
