//! Which namespace declarations are in force where, during the validating pass: Namespaces in XML 1.0.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::XmlError;
use super::bindings::Bindings;
use super::validate::Attribute;
use crate::ns;

/// Most declarations of prefixes in force at once, those of the stream header counted. What is written again (`Node::write`) stays within it.
pub const PREFIXES_MAX: usize = 64;

/// Where a namespace name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A declaration inside the text.
    Inside,
    /// The surrounding binding of the default or of the prefix at this position.
    Around(Option<usize>),
    /// Nowhere: no namespace, or the fixed one of `xml`.
    Fixed,
}

/// A declaration inside the text.
struct Declared<'a> {
    prefix: &'a str,
    /// References resolved.
    uri: Cow<'a, str>,
}

/// The declarations in force at one place of the text.
pub(super) struct Scope<'a> {
    bindings: &'a Bindings,
    declared: SmallVec<[Declared<'a>; 6]>,
    /// As bits, the positions of the surrounding prefixes that were used.
    outer_used: u64,
}

impl<'a> Scope<'a> {
    /// What is in force around the text.
    pub(super) fn new(bindings: &'a Bindings) -> Self {
        Self { bindings, declared: SmallVec::new(), outer_used: 0 }
    }

    /// How many declarations inside the text are in force.
    pub(super) fn len(&self) -> usize {
        self.declared.len()
    }

    /// Forgets all but the first `len` declarations, at the end of the element that made them.
    pub(super) fn truncate(&mut self, len: usize) {
        self.declared.truncate(len);
    }

    /// As bits, the positions of the surrounding prefixes that were used.
    pub(super) fn outer_used(&self) -> u64 {
        self.outer_used
    }

    /// The namespaces declared inside the text, outermost first: prefix (empty for the default) and value.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        self.declared.iter().map(|declared| (declared.prefix, &*declared.uri))
    }

    /// Namespaces in XML 1.0 §2.2, §3 and the constraints of its §5.
    pub(super) fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>) -> Result<(), XmlError> {
        let reserved = |fixed: &str| uri == fixed;
        if prefix == "xmlns" {
            return Err(XmlError::NotWellFormed("the prefix `xmlns` must not be declared"));
        }
        if (prefix == "xml") != reserved(ns::XML) {
            return Err(XmlError::NotWellFormed("the prefix `xml` and its namespace belong to each other"));
        }
        if reserved(ns::XMLNS) {
            return Err(XmlError::NotWellFormed("the namespace of `xmlns` must not be declared"));
        }
        if uri.is_empty() && !prefix.is_empty() {
            return Err(XmlError::NotWellFormed("a prefix cannot be undeclared"));
        }
        // Default namespaces are bounded by the depth.
        let prefixes = || self.declared.iter().filter(|declared| !declared.prefix.is_empty()).count();
        if !prefix.is_empty() && self.bindings.prefixes().count() + prefixes() >= PREFIXES_MAX {
            return Err(XmlError::TooMany(PREFIXES_MAX, "declarations of prefixes"));
        }
        self.declared.push(Declared { prefix, uri });
        Ok(())
    }

    /// Namespaces in XML 1.0 §4 to §6.3: the prefixes of a start tag are declared, and no two attributes have the same expanded name.
    pub(super) fn check(&mut self, element: Option<&str>, attributes: &[Attribute<'a>]) -> Result<(), XmlError> {
        if let Some(prefix) = element {
            self.require(prefix)?;
        }
        let prefixed = || {
            let prefix = |attribute: &Attribute<'a>| attribute.prefix().filter(|prefix| *prefix != "xmlns");
            attributes.iter().filter_map(move |attribute| Some((prefix(attribute)?, attribute.local())))
        };
        for (prefix, _) in prefixed() {
            self.require(prefix)?;
        }
        // Each prefix is looked up once: an element of 64 attributes that share one local part costs 64 look-ups, not 64 times 64.
        let mut names: SmallVec<[(&str, &str); 8]> = SmallVec::new();
        for (prefix, local) in prefixed() {
            let name = (local, self.find(prefix).map_or("", |(uri, _)| uri));
            if names.contains(&name) {
                return Err(XmlError::NotWellFormed("two attributes have the same expanded name"));
            }
            names.push(name);
        }
        Ok(())
    }

    /// The default namespace, empty for none.
    pub(super) fn default(&self) -> (&str, Origin) {
        match self.declared.iter().rev().find(|declared| declared.prefix.is_empty()) {
            Some(declared) => (&declared.uri, Origin::Inside),
            None => (self.bindings.default_ns(), Origin::Around(None)),
        }
    }

    /// The namespace of a prefix.
    pub(super) fn find(&self, prefix: &str) -> Option<(&str, Origin)> {
        if let Some(declared) = self.declared.iter().rev().find(|declared| declared.prefix == prefix) {
            return Some((&declared.uri, Origin::Inside));
        }
        if prefix == "xml" {
            return Some((ns::XML, Origin::Fixed));
        }
        let position = self.bindings.position(prefix)?;
        Some((self.bindings.uri(position), Origin::Around(Some(position))))
    }

    /// Looks a prefix up where it is used, and notes the use of a surrounding declaration.
    fn require(&mut self, prefix: &str) -> Result<(), XmlError> {
        let (_, origin) = self.find(prefix).ok_or(XmlError::NotWellFormed("a prefix is not declared"))?;
        if let Origin::Around(Some(position)) = origin {
            self.outer_used |= 1u64.checked_shl(position as u32).unwrap_or(0);
        }
        Ok(())
    }
}
