//! m= lines that are no part of the session: refused, removed, not yet answered, or of media that Jingle has no content for. The line keeps its
//! place with port 0 (RFC 3264 §6 and §8.2), and no stanza has it.

use smol_str::{SmolStr, SmolStrBuilder};

use super::names::Name;
use super::words::is_token;
use super::{data, destination, names, protocol, rtp};
use crate::jingle::content::{Carried, Content, Description};
use crate::sdp::line::MediaDescription;
use crate::sdp::warning::Warnings;

/// The `kind` of the line that a refused content carries: its m= line without the port.
const KIND: char = 'm';

/// A content that only remembers the line.
pub(super) fn read(media: &MediaDescription, name: Name) -> Content {
    let mut line = SmolStrBuilder::new();
    line.push_str(&media.media);
    for word in std::iter::once(&media.protocol).chain(&media.formats) {
        line.push(' ');
        line.push_str(word);
    }
    Content {
        creator: name.creator,
        name: name.name,
        senders: None,
        disposition: None,
        description: None,
        transport: None,
        protocol: None,
        carried: vec![Carried { kind: KIND, value: line.finish() }],
    }
}

/// The section: port 0, and nothing that could be answered.
pub(super) fn write(content: &Content, mid: SmolStr, warnings: &mut Warnings) -> MediaDescription {
    let mut section = line(content, warnings);
    section.connections.push(destination::no_address());
    names::write(content, mid, &mut section.attributes);
    section
}

/// The m= line of a content, with port 0.
pub(super) fn line(content: &Content, warnings: &mut Warnings) -> MediaDescription {
    remembered(content).unwrap_or_else(|| described(content, warnings))
}

fn remembered(content: &Content) -> Option<MediaDescription> {
    let line = content.carried.iter().find(|line| line.kind == KIND)?;
    let mut words = line.value.split(' ').map(SmolStr::new);
    let (media, protocol) = (words.next()?, words.next()?);
    Some(MediaDescription { media, protocol, formats: words.collect(), ..MediaDescription::default() })
}

fn described(content: &Content, warnings: &mut Warnings) -> MediaDescription {
    let protocol = protocol::of(content, warnings);
    let formats = match (&content.description, &content.transport) {
        (Some(Description::Rtp(rtp)), _) if !data::is_content(content) => rtp::formats(rtp),
        (_, Some(transport)) => transport.sctp.as_ref().map_or_else(|| vec![data::WEBRTC], |sctp| data::formats(sctp, &protocol)),
        _ => vec![data::WEBRTC],
    };
    MediaDescription { media: media(content), protocol, formats, ..MediaDescription::default() }
}

/// The first word of a content's m= line.
pub(super) fn media(content: &Content) -> SmolStr {
    let remembered = content.carried.iter().find(|line| line.kind == KIND).and_then(|line| line.value.split(' ').next());
    match &content.description {
        _ if remembered.is_some_and(is_token) => remembered.map(SmolStr::from).unwrap_or_default(),
        Some(Description::Rtp(rtp)) if !data::is_content(content) && is_token(&rtp.media) => rtp.media.clone(),
        _ => SmolStr::new_static("application"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, read, written};
    use crate::jingle::content::{Action, Party};
    use crate::sdp::description::State;

    #[test]
    fn rfc_3264_s6_the_line_keeps_its_place() {
        let table = [
            ("m=audio 0 RTP/AVP 0 8", "m=audio 0 RTP/AVP 0 8", 1),
            ("m=video 0 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000\na=inactive", "m=video 0 UDP/TLS/RTP/SAVPF 96", 1),
            ("m=audio 0 RTP/AVP", "m=audio 0 RTP/AVP", 1),
            // Media that Jingle has no content for.
            ("m=image 4000 udptl t38\na=T38FaxVersion:0", "m=image 0 udptl t38", 1),
            ("m=message 7654 TCP/MSRP *", "m=message 0 TCP/MSRP *", 1),
            ("m=audio 5 TCP/RTP/AVP 0\nc=IN IP4 192.0.2.1", "m=audio 0 TCP/RTP/AVP 0", 1),
            ("m=audio 5 RTP/AVP x\nc=IN IP4 192.0.2.1", "m=audio 0 RTP/AVP x", 1),
        ];
        for (section, line, count) in table {
            let (description, warnings) = read(Party::Initiator, &format!("{AUDIO}\na=mid:0\n{section}\na=mid:1"));
            assert_eq!((description.sections[1].state, warnings.len()), (State::Refused, count), "{warnings:?}");
            assert_eq!(description.to_jingle(Action::SessionInitiate).contents.len(), 1, "{section}");
            let (body, warnings) = written(&description);
            assert!(body.ends_with(&format!("\n{line}\nc=IN IP4 0.0.0.0\na=mid:1")) && warnings.is_empty(), "{body}");
        }
    }

    #[test]
    fn an_answer_that_refuses_has_nothing_to_warn_of() {
        let (_, warnings) = read(Party::Responder, &format!("{AUDIO}\nm=video 0 RTP/AVP 31"));
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}
