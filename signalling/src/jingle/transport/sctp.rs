//! SCTP of data channels: XEP-0343.

use smol_str::SmolStr;

use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// A `<sctpmap/>`: XEP-0343; RFC 8841.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sctp {
    /// Port of SCTP inside DTLS.
    pub port: u16,
    /// `webrtc-datachannel`.
    pub protocol: SmolStr,
    /// How many streams, from `a=sctpmap`.
    pub streams: Option<u16>,
}

impl Sctp {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut port, mut protocol, mut streams) = (None, None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                // §4.2 has the one name, the examples and the schema the other.
                "number" | "port" => port = Some(reading.number(node, name, value)?),
                "protocol" => protocol = reading.word(node, name, value),
                "streams" => streams = reading.number(node, name, value),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        Some(Self {
            port: reading.required(node, "number", port)?,
            protocol: reading.required(node, "protocol", protocol).unwrap_or_else(|| "webrtc-datachannel".into()),
            streams,
        })
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("sctpmap").ns(ns::JINGLE_SCTP).attr_number("number", self.port.into()).attr("protocol", &self.protocol);
        if let Some(streams) = self.streams {
            out.attr_number("streams", streams.into());
        }
        out.close();
    }
}
