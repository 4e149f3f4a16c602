//! Payload types: XEP-0167 §4.

use smol_str::SmolStr;

use super::feedback::Feedbacks;
use super::parameter::{PARAMETERS_MAX, Parameter};
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Payload types read from one description.
pub const PAYLOAD_TYPES_MAX: usize = 128;

/// A `<payload-type/>`: XEP-0167 §4; `a=rtpmap` and `a=fmtp`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadType {
    /// RTP payload type number, 0 to 127.
    pub id: u8,
    /// Subtype of the MIME type; may be missing for static types.
    pub name: Option<SmolStr>,
    /// In Hz.
    pub clockrate: Option<u32>,
    /// `None`: not said, which means 1.
    pub channels: Option<u8>,
    /// In ms.
    pub ptime: Option<u32>,
    /// In ms.
    pub maxptime: Option<u32>,
    /// In their order; `a=fmtp`.
    pub parameters: Vec<Parameter>,
    /// XEP-0293 §3 for this payload type; `a=rtcp-fb`.
    pub feedback: Feedbacks,
}

impl PayloadType {
    /// `None`: without a usable id it is none.
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut id, mut read) = (None, Self::default());
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "id" => id = Some(reading.number_within(node, name, value, 0, 127)?),
                "name" => read.name = reading.word(node, name, value),
                "clockrate" => read.clockrate = reading.number(node, name, value),
                "channels" => read.channels = reading.number(node, name, value),
                "ptime" => read.ptime = reading.number(node, name, value),
                "maxptime" => read.maxptime = reading.number(node, name, value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        read.id = reading.required(node, "id", id)?;
        if !reading.is_whole() {
            return Some(read);
        }
        for child in node.children() {
            if (ns::JINGLE_RTP, "parameter") == (child.ns(), child.name()) {
                if reading.has_room(child, read.parameters.len(), PARAMETERS_MAX) {
                    read.parameters.extend(Parameter::read_fmtp(child, reading));
                }
            } else if !read.feedback.read_child(child, reading) {
                reading.unknown_child(child, node);
            }
        }
        Some(read)
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("payload-type").attr_number("id", self.id.into()).attr_opt("name", self.name.as_deref());
        let numbers =
            [("clockrate", self.clockrate), ("channels", self.channels.map(u32::from)), ("ptime", self.ptime), ("maxptime", self.maxptime)];
        for (name, number) in numbers {
            if let Some(number) = number {
                out.attr_number(name, number.into());
            }
        }
        self.parameters.iter().for_each(|parameter| parameter.write_fmtp(out));
        self.feedback.write(out);
        out.close();
    }
}
