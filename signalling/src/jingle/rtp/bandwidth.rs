//! `<bandwidth/>`: XEP-0167 §4.

use smol_str::SmolStr;

use crate::jingle::reading::Reading;
use crate::xml::{Node, XmlWriter};

/// Bandwidths read from one description. The schema has one; SDP has several kinds side by side.
pub const BANDWIDTHS_MAX: usize = 16;

/// RFC 8866 §5.8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// `AS`, `TIAS`, `RR`, `RS`, `CT`, `X-…`.
    pub kind: SmolStr,
    /// A number, in kbit/s for `AS` and `CT`, else in bit/s.
    pub value: SmolStr,
}

impl Bandwidth {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut kind, mut attribute) = (None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "type" => kind = Some(reading.word(node, name, value)?),
                // As Movim has it.
                "value" => attribute = Some(value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let kind = reading.required(node, "type", kind.filter(|kind| !kind.is_empty()))?;
        let text = node.text();
        let value = Some(text.trim()).filter(|text| !text.is_empty()).or(attribute.map(str::trim)).unwrap_or_default();
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            reading.unexpected_text(node, value, "a number");
            return None;
        }
        Some(Self { kind, value: reading.word(node, "text", value)? })
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("bandwidth").attr("type", &self.kind).text(&self.value).close();
    }
}
