//! The normal form: what becomes of a description that goes to Jingle and comes back, and of a stanza that goes to SDP and comes back. Whatever is
//! not said here comes back as it was.
//!
//! It is written down a second time, apart from [`map`](super::map), so that tests can hold the one against the other. It is for what
//! [`from_sdp`](super::map::from_sdp) takes, without a description before it, and within the bounds of [`jingle`](crate::jingle).

mod destination;
mod jingle;
mod names;
mod rtp;
mod transport;

use self::names::Named;
use self::transport::Transport;
use super::line::{Attribute, Connection, Direction, MediaDescription, Numbered, OtherLine, SessionDescription};
use crate::jingle::content::Party;

pub use self::jingle::{is_whole, normal_jingle};

/// What SDP → contents → SDP gives.
///
/// - `s=` without text is `s=-`, `t=` is `t=0 0` (RFC 8866 §5.3, §5.9); `k=` is gone (§5.12: out of use, and secret).
/// - At the session level stand groups, then what only SDP has (`msid-semantic`, `ice-lite`…); all else belongs to the sections and is written there:
///   Jingle has no such level. `c=` too.
/// - Behind the groups stand the session's id, where it is none of `o=`, and JIDs, which SDP does not have (`a=jingle-sid` and so on).
/// - Numbers of lines are not part of it.
#[must_use]
pub fn normal(lines: SessionDescription, party: Party) -> SessionDescription {
    let names = names::of(&lines);
    let session: Vec<Attribute> = lines.attributes.into_iter().map(|numbered| numbered.attribute).collect();
    let transports = transport::of(&lines.media, &names, &session, party);
    let media = lines.media.into_iter().zip(&names).zip(transports);
    let level = Level { attributes: &session, connection: lines.connection.as_ref() };
    let media =
        media.map(|((media, name), transport)| if name.is_active { section(media, name, transport, &level) } else { refused(media, name) });
    let media: Vec<MediaDescription> = media.collect();
    let others = session.iter().filter(|attribute| matches!(attribute, Attribute::Other { name, .. } if !names::is_ours(name))).cloned();
    let is_unnamed = matches!(lines.name.trim(), "" | "-");
    let is_unbounded = lines.timing.iter().all(|times| *times == (0, 0));
    SessionDescription {
        name: if is_unnamed { "-".into() } else { lines.name },
        timing: if is_unbounded { vec![(0, 0)] } else { lines.timing },
        others: without_keys(lines.others),
        connection: None,
        attributes: names::groups(&session, &names)
            .chain(names::session(&session, lines.origin.as_ref()))
            .chain(others)
            .map(Numbered::from)
            .collect(),
        media,
        ..SessionDescription { origin: lines.origin, bandwidths: lines.bandwidths, ..SessionDescription::default() }
    }
}

/// What a stanza alone leaves of it: no section that is refused, since no content says it, and of `o=` only the session's number, since a
/// session has an id and nothing else of it (RFC 8829 §5.2.1 has the rest). An id that is no number of 19 digits or less gets another one there. Credentials without
/// candidates mean trickling.
#[must_use]
pub fn said_by_stanza(mut lines: SessionDescription) -> SessionDescription {
    lines.media.retain(|media| media.port != 0 || names::is_bundle_only(media));
    transport::trickle(&mut lines.media);
    if let Some(origin) = &mut lines.origin {
        let digits = names::session_id(&mut lines.attributes).unwrap_or_else(|| std::mem::take(&mut origin.session_id));
        let number = jingle::number(&digits);
        if digits != number {
            let place = lines.attributes.iter().take_while(|line| matches!(line.attribute, Attribute::Group { .. })).count();
            let sid = Attribute::Other { name: "jingle-sid".into(), value: Some(names::encode(&digits)) };
            lines.attributes.insert(place, sid.into());
        }
        *origin = super::line::Origin {
            username: "-".into(),
            session_id: number,
            version: 1,
            address: Connection { is_ipv6: false, address: "0.0.0.0".into() },
        };
    }
    lines
}

struct Level<'a> {
    attributes: &'a [Attribute],
    connection: Option<&'a Connection>,
}

/// A section that is refused, offered no more, or of media that Jingle has no content for: port 0, no address, its format and its names, and nothing
/// that could be answered (RFC 3264 §6).
fn refused(media: MediaDescription, name: &Named) -> MediaDescription {
    MediaDescription {
        line: 0,
        port: 0,
        ports: None,
        others: Vec::new(),
        bandwidths: Vec::new(),
        connections: vec![destination::nowhere()],
        attributes: name.lines().map(Numbered::from).collect(),
        ..media
    }
}

/// The attributes in this order, as Chromium has it: `rtcp`, candidates, `end-of-candidates`, `ice-ufrag`, `ice-pwd`, `ice-options`, fingerprints, `setup`,
/// `mid` (and our names), header extensions, direction, RTP's, SCTP's, `remote-candidates`, and what only SDP has.
///
/// - What Jingle has no place for is left out, with a warning: the number of ports, addresses of multicast, attributes that do not belong into a
///   section of its kind. Of what a section says once the first one counts.
/// - The direction is always written: a content always says its senders.
fn section(media: MediaDescription, name: &Named, transport: Transport, level: &Level<'_>) -> MediaDescription {
    let own: Vec<Attribute> = media.attributes.iter().map(|numbered| numbered.attribute.clone()).collect();
    let direction = |attributes: &[Attribute]| {
        attributes.iter().find_map(|attribute| if let Attribute::Direction(direction) = attribute { Some(*direction) } else { None })
    };
    let direction = direction(&own).or_else(|| direction(level.attributes)).unwrap_or(Direction::SendRecv);
    let mut section = MediaDescription { line: 0, ports: None, others: without_keys(media.others.clone()), ..media.clone() };
    let destination = destination::of(&media, &transport, level.connection);
    let direction = if transport.is_ice { direction } else { destination::held(direction, &destination) };
    section.port = if name.is_bundle_only { 0 } else { destination.port };
    section.connections = vec![if name.is_bundle_only { destination::nowhere() } else { destination.connection.clone() }];
    let mut out = Vec::new();
    let method = names::method(&own, transport.is_ice, destination == destination::none());
    if name.is_data {
        let data = rtp::data(&mut section, &own);
        out.extend(transport.lines());
        out.extend(name.lines().chain(method));
        out.extend([Attribute::Direction(direction), data]);
    } else {
        let lines = rtp::lines(&mut section, &own, level.attributes);
        out.extend((!name.is_bundle_only).then(|| destination::rtcp(&own, &transport, &destination)).flatten());
        out.extend(transport.lines());
        out.extend(name.lines().chain(method));
        out.extend(lines.extensions);
        out.push(Attribute::Direction(direction));
        out.extend(lines.rest);
    }
    out.extend(transport.remote_candidates());
    out.extend(own.into_iter().filter(|attribute| matches!(attribute, Attribute::Other { name, .. } if !names::is_ours(name))));
    section.attributes = out.into_iter().map(Numbered::from).collect();
    section
}

fn without_keys(lines: Vec<OtherLine>) -> Vec<OtherLine> {
    lines.into_iter().filter(|line| line.kind != 'k').map(|line| OtherLine { line: 0, ..line }).collect()
}
