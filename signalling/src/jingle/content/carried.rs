//! What SDP says and Jingle has no element for: elements of our own, `docs/sdp-mapping.md`.

use smol_str::SmolStr;

use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Lines carried by one content, and by the session.
pub const CARRIED_MAX: usize = 256;

/// The types of lines that are carried.
const KINDS: &str = "abeiprstuz";

/// A line of SDP that no specification of Jingle has an element for, carried as it is: `<line xmlns='urn:campanile:sdp:0' type='a'/>` with the
/// rest as text. Attributes that have an element are never carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// `a`, `b`, `e`, `i`, `p`, `r`, `s`, `t`, `u` or `z`.
    pub kind: char,
    /// What comes behind the `=`; no line break is in it.
    pub value: SmolStr,
}

impl Carried {
    /// Whether it is one line, and of a type that can be carried. Some programs (aiortc) end a line of SDP where Unicode ends one.
    #[must_use]
    pub fn is_line(kind: char, value: &str) -> bool {
        KINDS.contains(kind) && !value.contains(['\r', '\n', '\0', '\u{85}', '\u{2028}', '\u{2029}'])
    }

    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let mut kind = None;
        for (namespace, name, value) in node.attrs() {
            match name {
                "type" if namespace.is_empty() => kind = Some(value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let word = reading.required(node, "type", kind)?;
        let value = reading.value(node, "text", &node.text())?;
        let mut chars = word.chars();
        match (chars.next(), chars.next()) {
            (Some(kind), None) if Self::is_line(kind, &value) => Some(Self { kind, value }),
            (Some(kind), None) if KINDS.contains(kind) => {
                reading.malformed(node, &"text with a line break or NUL, expected one line");
                None
            }
            // Without the text: it may be a key.
            _ => {
                reading.unexpected(node, "type", word, &format!("a letter among {KINDS}"));
                None
            }
        }
    }

    /// What is not one line is left out.
    pub(super) fn write(&self, out: &mut XmlWriter) {
        if Self::is_line(self.kind, &self.value) {
            out.open("line").ns(ns::SDP).attr("type", self.kind.encode_utf8(&mut [0; 4])).text(&self.value).close();
        }
    }
}

/// Reads a `<protocol/>`, that of an m= line.
pub(super) fn read_protocol(node: Node<'_>, reading: &mut Reading) -> Option<SmolStr> {
    let text = node.text();
    let protocol = text.trim();
    // RFC 8866 §9: tokens with slashes between.
    if protocol.is_empty() || !protocol.bytes().all(|byte| byte.is_ascii_graphic()) {
        reading.unexpected_text(node, protocol, "a protocol of SDP's m= line");
        return None;
    }
    reading.word(node, "text", protocol)
}
