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
