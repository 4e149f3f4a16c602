//! What a section says of itself, read before the sections are: names and groups belong to all of them, and a bundled section may have no
//! transport of its own (RFC 8843 §7).

use smol_str::SmolStr;

use super::protocol::Kind;
use super::session::Level;
use super::words::is_token;
use super::{MapError, Quoted, data, names, protocol, rtp};
use crate::jingle::content::{NAME_BYTES_MAX, Party};
use crate::sdp::line::{Attribute, MediaDescription};

/// One section.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Of its `m=`.
    pub line: u32,
    /// First word of `m=`.
    pub media: SmolStr,
    /// `a=mid`.
    pub mid: Option<SmolStr>,
    /// `a=jingle-name`.
    pub name: Option<SmolStr>,
    /// `a=jingle-creator`.
    pub creator: Option<Party>,
    /// What it is about.
    pub kind: Kind,
    /// Port 0 that means it (not bundled, and not to be bundled only), or media that Jingle has no content for.
    pub refused: bool,
    /// It has a destination of its own.
    pub has_port: bool,
    /// ICE of its own or of the session, or credentials of [`Self::tagged`].
    pub is_ice: bool,
    /// `a=ice-ufrag` or `a=ice-pwd`.
    has_credentials: bool,
    /// The section whose transport this one shares: RFC 8843 §7, the first of the group.
    pub tagged: Option<usize>,
}

/// # Errors
/// RFC 5888 §4: a `mid` is a token and is there once.
pub(super) fn of(media: &[MediaDescription], session: &Level) -> Result<Vec<Outline>, MapError> {
    let mut outlines: Vec<Outline> = Vec::with_capacity(media.len());
    for media in media {
        let mut outline = Outline {
            line: media.line,
            media: media.media.clone(),
            has_port: media.port != 0,
            is_ice: session.is_ice(),
            ..Outline::default()
        };
        let mut bundle_only = false;
        for numbered in &media.attributes {
            match &numbered.attribute {
                Attribute::Mid(mid) => {
                    if !is_token(mid) || mid.len() > NAME_BYTES_MAX {
                        return Err(MapError::line(numbered.line, format_args!("a=mid:{} is no token", Quoted(mid))));
                    }
                    if outline.mid.is_some() || outlines.iter().any(|other| other.mid.as_ref() == Some(mid)) {
                        return Err(MapError::line(
                            numbered.line,
                            format_args!("a second a=mid, or one that another section has: {}", Quoted(mid)),
                        ));
                    }
                    outline.mid = Some(mid.clone());
                }
                Attribute::IceUfrag(_) | Attribute::IcePwd(_) => (outline.is_ice, outline.has_credentials) = (true, true),
                Attribute::Candidate(_) | Attribute::RemoteCandidates(_) => outline.is_ice = true,
                Attribute::Other { name, value } => match &**name {
                    "bundle-only" => bundle_only = true,
                    names::NAME if outline.name.is_none() => outline.name = names::decode(value.as_deref().unwrap_or_default()),
                    names::CREATOR if outline.creator.is_none() => outline.creator = value.as_deref().and_then(Party::parse),
                    _ => {}
                },
                _ => {}
            }
        }
        outline.refused = media.port == 0 && !bundle_only;
        outlines.push(outline);
    }
    bundle(&mut outlines, session);
    for (outline, media) in outlines.iter_mut().zip(media) {
        outline.kind = kind(media, outline.is_ice);
        outline.refused |= outline.kind == Kind::Other;
    }
    Ok(outlines)
}

fn kind(media: &MediaDescription, is_ice: bool) -> Kind {
    let has_payload_type = || media.formats.iter().any(|format| rtp::is_payload_type(format));
    if !protocol::is_said(&media.protocol, is_ice) {
        Kind::Other
    } else if protocol::is_rtp(&media.protocol) && is_token(&media.media) && has_payload_type() {
        Kind::Rtp
    } else if data::is_data(media) {
        Kind::Data
    } else {
        Kind::Other
    }
}

/// Who is bundled with whom: RFC 8843 §7. What is bundled has its port from the tagged section, so that its own 0 does not refuse it.
fn bundle(outlines: &mut [Outline], session: &Level) {
    for group in session.groups.iter().filter(|group| group.semantics == "BUNDLE") {
        let mut tagged = None;
        for mid in &group.mids {
            let Some(index) = outlines.iter().position(|outline| outline.mid.as_ref() == Some(mid)) else { continue };
            outlines[index].refused = false;
            let tagged = *tagged.get_or_insert(index);
            // RFC 8843 §7: a section is in one group at most; the first one counts.
            if tagged != index && outlines[index].tagged.is_none() {
                outlines[index].tagged = Some(tagged);
                outlines[index].is_ice |= outlines[tagged].has_credentials;
            }
        }
    }
}
