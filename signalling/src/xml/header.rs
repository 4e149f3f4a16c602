//! The stream header: RFC 6120 §4.7, with the XML declaration before it (§11.5).

use super::bindings::Bindings;
use super::name::is_space;
use super::validate::{self, Sink, StartTag};
use super::{XmlError, name};
use crate::ns;
use crate::stream::error::{Condition, StreamError};

/// Most prefixes a stream header may declare.
pub const PREFIXES_MAX: usize = 64;

/// A received stream header, its values with references resolved and otherwise unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// The local name; `stream` in a real one.
    pub name: String,
    /// The element's namespace.
    pub ns: String,
    /// §4.7.2.
    pub to: Option<String>,
    /// §4.7.1.
    pub from: Option<String>,
    /// §4.7.3.
    pub id: Option<String>,
    /// §4.7.5.
    pub version: Option<String>,
    /// `xml:lang`: §4.7.4.
    pub lang: Option<String>,
    /// What is declared for the whole stream.
    pub bindings: Bindings,
}

impl StreamHeader {
    /// Whether it is a `<stream/>` of the stream namespace with this content namespace as default: RFC 6120 §4.8.1 to §4.8.3.
    ///
    /// Without a default namespace (§4.8.2, "prefix-free canonicalization") stanzas carry their own, which is as good.
    ///
    /// # Errors
    /// The stream error to answer with.
    pub fn check(&self, content: &str) -> Result<(), StreamError> {
        if self.ns != ns::STREAM {
            return Err(StreamError::new(Condition::InvalidNamespace).with_text("the stream header is not in the stream namespace"));
        }
        if self.name != "stream" {
            return Err(StreamError::new(Condition::BadFormat).with_text("the stream header is not a <stream/>"));
        }
        match self.bindings.default_ns() {
            default if default == content || default.is_empty() || default == ns::STREAM => Ok(()),
            _ => Err(StreamError::new(Condition::InvalidNamespace).with_text(format!("the content namespace here is {content}"))),
        }
    }
}

/// Reads the header's start tag, which is all of `tag`. Gives its qualified name too.
pub(crate) fn parse(tag: &[u8]) -> Result<(StreamHeader, String), XmlError> {
    #[derive(Default)]
    struct Reader {
        header: Option<(StreamHeader, String)>,
    }
    impl<'a> Sink<'a> for Reader {
        fn start(&mut self, _: usize, tag: &StartTag<'_, 'a>) -> Result<(), XmlError> {
            let value = |name: &str| tag.attributes.iter().find(|attribute| attribute.name == name).map(|a| a.unescaped().into_owned());
            let prefixes = || tag.declared().filter(|(prefix, _)| !prefix.is_empty());
            if prefixes().count() > PREFIXES_MAX {
                return Err(XmlError::TooMany(PREFIXES_MAX, "namespace declarations"));
            }
            let default = tag.declared().find(|(prefix, _)| prefix.is_empty()).map_or("", |(_, uri)| uri);
            let header = StreamHeader {
                name: tag.local().to_owned(),
                ns: tag.ns().0.to_owned(),
                to: value("to"),
                from: value("from"),
                id: value("id"),
                version: value("version"),
                lang: value("xml:lang"),
                // `xml` may be declared, to no effect; it is never looked up here.
                bindings: Bindings::new(default, prefixes().filter(|(prefix, _)| *prefix != "xml")),
            };
            self.header = Some((header, tag.name.to_owned()));
            Ok(())
        }
    }
    let mut reader = Reader::default();
    let end = validate::walk_start_tag(tag, &Bindings::empty(), &mut reader)?;
    match reader.header {
        Some(header) if end == tag.len() => Ok(header),
        _ => Err(XmlError::NotWellFormed("a malformed stream header")),
    }
}

/// Checks an XML declaration, from `<?xml` to `?>`: XML 1.0 §2.8. `standalone` is ignored, as RFC 6120 §11.5 allows.
pub(crate) fn check_declaration(declaration: &[u8]) -> Result<(), XmlError> {
    const MALFORMED: XmlError = XmlError::NotWellFormed("a malformed XML declaration");
    let text = str::from_utf8(declaration).map_err(|_| XmlError::UnsupportedEncoding("not UTF-8"))?;
    let content = text.strip_prefix("<?xml").filter(|content| content.bytes().next().is_some_and(is_space));
    let content = content.ok_or(XmlError::Restricted("a processing instruction"))?;
    let mut rest = content.strip_suffix("?>").ok_or(MALFORMED)?;
    // Pseudo-attributes come in this order, the first is required.
    let mut expected = ["version", "encoding", "standalone"].iter();
    let mut first = true;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
        if trimmed.is_empty() {
            return if first { Err(MALFORMED) } else { Ok(()) };
        }
        if trimmed.len() == rest.len() {
            return Err(MALFORMED);
        }
        let (key, behind) = trimmed.split_once('=').ok_or(MALFORMED)?;
        let key = key.trim_end_matches(|c: char| c.is_ascii() && is_space(c as u8));
        let behind = behind.trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
        let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(MALFORMED)?;
        let (value, behind) = behind[1..].split_once(quote).ok_or(MALFORMED)?;
        if !name::is_ncname(key) || !expected.any(|name| *name == key) || (first && key != "version") {
            return Err(MALFORMED);
        }
        match key {
            "version" => {
                let minor = value.strip_prefix("1.").ok_or(MALFORMED)?;
                if minor.is_empty() || !minor.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(MALFORMED);
                }
            }
            "encoding" if !value.eq_ignore_ascii_case("utf-8") => {
                return Err(XmlError::UnsupportedEncoding("declared as other than UTF-8"));
            }
            "standalone" if !matches!(value, "yes" | "no") => return Err(MALFORMED),
            _ => {}
        }
        first = false;
        rest = behind;
    }
}
