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

#[cfg(test)]
mod tests {
    use super::super::testing::{content, only, read, through};
    use super::*;
    use crate::jingle::content::Party;

    const CREDENTIALS: &str = "c=IN IP4 0.0.0.0\na=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg";

    fn sctp(port: u16, protocol: &str, streams: Option<u16>) -> Sctp {
        Sctp { port, protocol: protocol.into(), streams }
    }

    #[test]
    fn rfc_8841_and_its_drafts() {
        let table = [
            ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:5001", sctp(5001, "webrtc-datachannel", None), None),
            (
                "m=application 9 TCP/DTLS/SCTP webrtc-datachannel",
                "a=sctp-port:5000",
                sctp(5000, "webrtc-datachannel", None),
                Some("TCP/DTLS/SCTP"),
            ),
            (
                "m=application 9 DTLS/SCTP 5000",
                "a=sctpmap:5000 webrtc-datachannel 1024",
                sctp(5000, "webrtc-datachannel", Some(1024)),
                Some("DTLS/SCTP"),
            ),
            ("m=application 9 DTLS/SCTP 5000", "a=sctpmap:5000 other", sctp(5000, "other", None), Some("DTLS/SCTP")),
        ];
        for (media, line, expected, protocol) in table {
            let body = format!("{media}\n{CREDENTIALS}\n{line}\na=max-message-size:262144");
            let content = content(&body);
            assert_eq!(content.transport.as_ref().unwrap().sctp.as_ref(), Some(&expected), "{body}");
            assert_eq!(
                (content.protocol.as_deref(), content.description.is_none(), is_content(&content)),
                (protocol, true, true),
                "{body}"
            );
            assert_eq!(only(&through(&body), &["m=", "a=sctp", "a=max"]), [media, line, "a=max-message-size:262144"]);
        }
    }

    #[test]
    fn what_is_missing_or_mixed() {
        let table = [
            ("UDP/DTLS/SCTP webrtc-datachannel", "", "a=sctp-port:5000", 1),
            ("UDP/DTLS/SCTP 5005", "a=sctpmap:5005 webrtc-datachannel", "a=sctp-port:5005", 0),
            ("UDP/DTLS/SCTP 5005 5006", "a=sctp-port:5005", "a=sctp-port:5005", 1),
            ("DTLS/SCTP 5005", "", "a=sctpmap:5005 webrtc-datachannel", 0),
            ("DTLS/SCTP webrtc-datachannel", "a=sctp-port:5005", "a=sctpmap:5005 webrtc-datachannel", 0),
            ("UDP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:1\na=sctp-port:2\na=rtcp-mux", "a=sctp-port:1", 2),
        ];
        for (media, lines, expected, count) in table {
            let (description, warnings) = read(Party::Initiator, format!("m=application 9 {media}\n{CREDENTIALS}\n{lines}").trim_end());
            assert_eq!(warnings.len(), count, "{warnings:?}");
            let (body, _) = super::super::testing::written(&description);
            assert_eq!(only(&body, &["a=sctp"]), [expected], "{media} {lines}");
        }
    }

    #[test]
    fn xep_0343_streams_have_no_place_in_rfc_8841() {
        let (mut out, mut warnings) = (Vec::new(), Warnings::default());
        write(&sctp(5000, "a b", Some(1024)), "UDP/DTLS/SCTP", &mut out, &mut warnings);
        assert_eq!((out, warnings.into_vec().len()), (vec![Attribute::SctpPort(5000).into()], 1));
        assert_eq!(formats(&sctp(5000, "a b", None), "UDP/DTLS/SCTP"), ["webrtc-datachannel"]);
    }

    #[test]
    fn bandwidth_is_carried() {
        let body = format!("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\nb=AS:30\n{CREDENTIALS}\na=sctp-port:5000");
        assert_eq!(only(&through(&body), &["b="]), ["b=AS:30"]);
    }
}
