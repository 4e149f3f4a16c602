//! What RTCP feedback is understood: XEP-0293.

use smol_str::SmolStr;

use super::parameter::{PARAMETERS_MAX, Parameter};
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Kinds of feedback read from one payload type or description.
pub const FEEDBACKS_MAX: usize = 64;

/// XEP-0293: what RTCP feedback is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedbacks {
    /// `<rtcp-fb/>`.
    pub messages: Vec<Feedback>,
    /// `<rtcp-fb-trr-int/>`, in ms; `a=rtcp-fb:… trr-int`.
    pub trr_int: Option<u32>,
}

/// One kind of feedback: RFC 4585 §4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack`, `ccm`, `goog-remb`…
    pub kind: SmolStr,
    /// `pli`, `fir`…
    pub subtype: Option<SmolStr>,
    /// Further words.
    pub parameters: Vec<Parameter>,
}

impl Feedbacks {
    /// Reads a child of a `<payload-type/>` or `<description/>` if it is one of XEP-0293; Movim writes some in the namespace of their parent.
    pub(super) fn read_child(&mut self, child: Node<'_>, reading: &mut Reading) -> bool {
        if !matches!(child.ns(), ns::JINGLE_RTCP_FB | ns::JINGLE_RTP) {
            return false;
        }
        match child.name() {
            "rtcp-fb" => {
                if reading.has_room(child, self.messages.len(), FEEDBACKS_MAX) {
                    self.messages.extend(Feedback::read(child, reading));
                }
            }
            "rtcp-fb-trr-int" if !reading.has_room(child, self.trr_int.iter().len(), 1) => {}
            "rtcp-fb-trr-int" => {
                let mut interval = None;
                for (namespace, name, value) in child.attrs() {
                    match name {
                        "value" if namespace.is_empty() => interval = Some(reading.number(child, name, value)),
                        _ => reading.unknown_attribute(child, namespace, name),
                    }
                }
                // §3: 0 is the default.
                self.trr_int = interval.unwrap_or(Some(0));
            }
            _ => return false,
        }
        true
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        if let Some(interval) = self.trr_int {
            out.open("rtcp-fb-trr-int").ns(ns::JINGLE_RTCP_FB).attr_number("value", interval.into()).close();
        }
        for message in &self.messages {
            out.open("rtcp-fb").ns(ns::JINGLE_RTCP_FB).attr("type", &message.kind).attr_opt("subtype", message.subtype.as_deref());
            message.parameters.iter().for_each(|parameter| parameter.write_word(out));
            out.close();
        }
    }
}

impl Feedback {
    fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut kind, mut words) = (None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "type" => kind = Some(reading.short(node, name, value)?),
                "subtype" => words = Some(reading.short(node, name, value)?),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let kind = reading.required(node, "type", kind.filter(|kind| !kind.is_empty()))?;
        // stanza.js puts all words into the subtype.
        let mut words = words.unwrap_or_default().split(' ').filter(|word| !word.is_empty());
        let subtype = words.next();
        let mut parameters: Vec<_> = words.take(PARAMETERS_MAX).map(Parameter::word).collect();
        for child in node.children() {
            if child.name() == "parameter" && child.ns() == node.ns() {
                if reading.has_room(child, parameters.len(), PARAMETERS_MAX) {
                    parameters.extend(Parameter::read_word(child, reading));
                }
            } else {
                reading.unknown_child(child, node);
            }
        }
        Some(Self { kind: kind.into(), subtype: subtype.map(SmolStr::new), parameters })
    }
}
