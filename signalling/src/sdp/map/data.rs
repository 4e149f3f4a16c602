//! Data channels: XEP-0343 against RFC 8841 (`a=sctp-port`), and against its drafts (`a=sctpmap`).

use smol_str::{SmolStr, ToSmolStr};

use super::words::{is_token, once};
use crate::jingle::content::{Content, Description};
use crate::jingle::transport::Sctp;
use crate::sdp::line::{Attribute, MediaDescription, Numbered};
use crate::sdp::warning::Warnings;

/// RFC 8831 §6.1, the only protocol there is.
pub(super) const WEBRTC: SmolStr = SmolStr::new_static("webrtc-datachannel");
/// What the drafts wrote, with the port as format.
pub(super) const DRAFT: &str = "DTLS/SCTP";
/// Port of who does not say one: the drafts' default.
const PORT: u16 = 5000;

/// Whether an m= line is one of a data channel.
pub(super) fn is_data(media: &MediaDescription) -> bool {
    media.media == "application" && is_protocol(&media.protocol)
}

/// RFC 8841 §4.2, and the drafts.
pub(super) fn is_protocol(protocol: &str) -> bool {
    matches!(protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | DRAFT)
}

/// Whether a content is a data channel. Movim puts a `<description media='application'/>` into it.
pub(in crate::sdp) fn is_content(content: &Content) -> bool {
    let has_payload = matches!(&content.description, Some(Description::Rtp(rtp)) if !rtp.payload_types.is_empty());
    !has_payload && content.transport.as_ref().is_some_and(|transport| transport.sctp.is_some())
}

/// Gathers the lines of a section.
#[derive(Debug, Default)]
pub(super) struct DataBuilder {
    port: Option<u16>,
    map: Option<Sctp>,
}

impl DataBuilder {
    /// Takes an attribute; gives back what is not its own.
    pub fn take(&mut self, line: u32, attribute: Attribute, warnings: &mut Warnings) -> Option<Attribute> {
        match attribute {
            Attribute::SctpPort(port) => once(&mut self.port, port, line, "a=sctp-port", warnings),
            Attribute::Sctpmap { port, protocol, streams } => {
                once(&mut self.map, Sctp { port, protocol, streams }, line, "a=sctpmap", warnings)
            }
            other => return Some(other),
        }
        None
    }

    /// `formats` are those of the m= line: the protocol, or the port in the drafts.
    pub fn finish(self, line: u32, formats: Vec<SmolStr>, warnings: &mut Warnings) -> Sctp {
        if formats.len() > 1 {
            warnings.at(line, format_args!("all formats but the first are left out: a data channel has one"));
        }
        let format = formats.into_iter().next().unwrap_or_default();
        let number = format.parse().ok();
        let (mapped_port, mapped_protocol, streams) = match self.map {
            Some(Sctp { port, protocol, streams }) => (Some(port), Some(protocol), streams),
            None => (None, None, None),
        };
        let port = self.port.or(mapped_port).or(number).unwrap_or_else(|| {
            warnings.at(line, format_args!("there is no a=sctp-port (RFC 8841 §5): port {PORT} is meant"));
            PORT
        });
        let named = Some(format).filter(|format| number.is_none() && is_token(format));
        let protocol = named.or_else(|| mapped_protocol.filter(|protocol| is_token(protocol))).unwrap_or(WEBRTC);
        Sctp { port, protocol, streams }
    }
}

/// The formats of the m= line.
pub(super) fn formats(sctp: &Sctp, protocol: &str) -> Vec<SmolStr> {
    vec![if protocol == DRAFT { sctp.port.to_smolstr() } else { named(sctp) }]
}

/// The attribute.
pub(super) fn write(sctp: &Sctp, protocol: &str, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    if protocol == DRAFT {
        out.push(Attribute::Sctpmap { port: sctp.port, protocol: named(sctp), streams: sctp.streams }.into());
        return;
    }
    if sctp.streams.is_some() {
        warnings.add(format_args!("the number of streams is left out: RFC 8841 has no place for it"));
    }
    out.push(Attribute::SctpPort(sctp.port).into());
}

fn named(sctp: &Sctp) -> SmolStr {
    if is_token(&sctp.protocol) && sctp.protocol.parse::<u16>().is_err() { sctp.protocol.clone() } else { WEBRTC }
}
