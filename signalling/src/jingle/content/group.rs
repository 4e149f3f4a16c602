//! XEP-0338: contents that belong together.

use smol_str::SmolStr;

use super::CONTENTS_MAX;
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Groups read from one stanza.
pub const GROUPS_MAX: usize = 16;

/// A `<group/>`: XEP-0338; `a=group` (RFC 5888, RFC 9143).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// `BUNDLE`, `LS`…
    pub semantics: SmolStr,
    /// Names of contents, in their order.
    pub contents: Vec<SmolStr>,
}

impl Group {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let mut semantics = None;
        for (namespace, name, value) in node.attrs() {
            match name {
                "semantics" if namespace.is_empty() => semantics = Some(reading.word(node, name, value)?),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let semantics = reading.required(node, "semantics", semantics.filter(|word| !word.is_empty()))?;
        let mut contents = Vec::new();
        for child in node.children() {
            if (ns::JINGLE_GROUPING, "content") != (child.ns(), child.name()) {
                reading.unknown_child(child, node);
            } else if reading.has_room(child, contents.len(), CONTENTS_MAX) {
                let name = child.attr("name").and_then(|name| reading.word(child, "name", name));
                contents.extend(reading.required(child, "name", name));
            }
        }
        Some(Self { semantics, contents })
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("group").ns(ns::JINGLE_GROUPING).attr("semantics", &self.semantics);
        for name in &self.contents {
            out.open("content").attr("name", name).close();
        }
        out.close();
    }
}
