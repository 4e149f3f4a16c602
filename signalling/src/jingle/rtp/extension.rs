//! RTP header extensions: XEP-0294.

use smol_str::SmolStr;

use super::parameter::{PARAMETERS_MAX, Parameter};
use crate::jingle::content::{Party, Senders};
use crate::jingle::reading::Reading;
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// Header extensions read from one description: more than a packet can tell apart.
pub const HEADER_EXTENSIONS_MAX: usize = 256;

/// Extensions that almost every offer of a browser has.
const KNOWN: [&str; 13] = [
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
    "urn:3gpp:video-orientation",
    "urn:ietf:params:rtp-hdrext:csrc-audio-level",
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "urn:ietf:params:rtp-hdrext:toffset",
];

/// The URI of an extension, which is only copied if few others have it.
pub(crate) fn uri(text: &str) -> SmolStr {
    KNOWN.iter().find(|known| **known == text).map_or_else(|| text.into(), |known| SmolStr::new_static(known))
}

/// `<rtp-hdrext/>`: XEP-0294; RFC 8285 §5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderExtension {
    /// 1 to 255, or 4096 and above where there are too many (RFC 8285 §5).
    pub id: u16,
    /// Which extension.
    pub uri: SmolStr,
    /// By the roles of the parties, as with contents. `None`: not said, which means both.
    pub senders: Option<Senders>,
    /// What SDP writes behind the URI.
    pub parameters: Vec<Parameter>,
}

impl HeaderExtension {
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (mut id, mut uri, mut senders, mut direction) = (None, None, None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                _ if !namespace.is_empty() => reading.unknown_attribute(node, namespace, name),
                "id" => {
                    // Conversations writes what SDP has: `2/recvonly`.
                    let digits = value.split_once('/').map_or(value, |(digits, word)| {
                        direction = Some((word, value));
                        digits
                    });
                    id = Some(reading.number_within(node, name, digits, 1, u16::MAX.into())?);
                }
                "uri" => uri = Some(reading.long(node, name, value)?),
                "senders" => {
                    senders = Senders::parse(value);
                    if senders.is_none() {
                        reading.unexpected(node, name, value, "'both', 'initiator', 'none' or 'responder'");
                    }
                }
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        let id = reading.required(node, "id", id)?;
        let uri = reading.required(node, "uri", uri.filter(|uri| !uri.is_empty()))?;
        if let (None, Some((word, value))) = (senders, direction) {
            senders = senders_of(word, reading.speaker());
            if senders.is_none() {
                reading.unexpected(node, "id", value, "a direction of SDP behind the slash");
            }
        }
        let mut parameters = Vec::new();
        for child in node.children() {
            if child.name() == "parameter" && child.ns() == node.ns() {
                if reading.has_room(child, parameters.len(), PARAMETERS_MAX) {
                    parameters.extend(Parameter::read_word(child, reading));
                }
            } else {
                reading.unknown_child(child, node);
            }
        }
        Some(Self { id, uri: self::uri(uri), senders, parameters })
    }

    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("rtp-hdrext").ns(ns::JINGLE_RTP_HDREXT).attr_number("id", self.id.into()).attr("uri", &self.uri);
        out.attr_opt("senders", self.senders.map(Senders::as_str));
        self.parameters.iter().for_each(|parameter| parameter.write_word(out));
        out.close();
    }
}

/// Who sends by a word of SDP, if it is known who speaks.
fn senders_of(direction: &str, speaker: Option<Party>) -> Option<Senders> {
    let sender = match direction {
        "sendrecv" => return Some(Senders::Both),
        "inactive" => return Some(Senders::None),
        "sendonly" => speaker?,
        "recvonly" => speaker?.other(),
        _ => return None,
    };
    Some(match sender {
        Party::Initiator => Senders::Initiator,
        Party::Responder => Senders::Responder,
    })
}
