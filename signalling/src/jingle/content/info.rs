//! What a session-info says: XEP-0167 §8, XEP-0181.

use smol_str::SmolStr;

use crate::jingle::names;
use crate::jingle::reading::Reading;
use crate::jingle::rtp::{PARAMETERS_MAX, Parameter};
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// The payload of a session-info.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its name: `ringing`, `hold`, `mute`, `dtmf`…
    pub name: SmolStr,
    /// XEP-0166's own example has another for `ringing` than XEP-0167 does: the name decides.
    pub namespace: SmolStr,
    /// Attributes: the content that is muted, the digit. An outline has none.
    pub attributes: Vec<Parameter>,
}

impl Info {
    /// One of XEP-0167 §8, or XEP-0181's `dtmf`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let namespace = if name == "dtmf" { ns::JINGLE_DTMF } else { ns::JINGLE_RTP_INFO };
        Self { name: name.into(), namespace: namespace.into(), attributes: Vec::new() }
    }

    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        if !names::is_name(node.name()) || !names::is_namespace(node.ns()) {
            return None;
        }
        let mut info = Self {
            name: reading.word(node, "name", node.name())?,
            namespace: reading.word(node, "xmlns", node.ns())?,
            attributes: Vec::new(),
        };
        if !reading.is_whole() {
            return Some(info);
        }
        for (namespace, name, value) in node.attrs() {
            if namespace.is_empty() && info.attributes.len() < PARAMETERS_MAX && names::is_name(name) {
                let value = reading.value(node, name, value);
                info.attributes.extend(value.map(|value| Parameter { name: name.into(), value: Some(value) }));
            } else {
                reading.unknown_attribute(node, namespace, name);
            }
        }
        node.children().for_each(|child| reading.unknown_child(child, node));
        Some(info)
    }

    /// What XML cannot say is left out.
    pub(super) fn write(&self, out: &mut XmlWriter) {
        if !names::is_name(&self.name) || !names::is_namespace(&self.namespace) || self.namespace == ns::JINGLE {
            return;
        }
        out.open(&self.name).ns(&self.namespace);
        for (at, attribute) in self.attributes.iter().take(PARAMETERS_MAX).enumerate() {
            let twice = self.attributes[..at].iter().any(|before| before.name == attribute.name);
            if names::is_name(&attribute.name) && !twice {
                out.attr(&attribute.name, attribute.value.as_deref().unwrap_or_default());
            }
        }
        out.close();
    }
}
