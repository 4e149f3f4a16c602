//! RTP and data channels in the normal form.

use smol_str::SmolStr;

use crate::jingle::rtp::{Msid, Parameter};
use crate::sdp::line::{Attribute, MediaDescription};

/// The attributes of an RTP section, in their order.
pub(super) struct Lines {
    /// Before the direction.
    pub extensions: Vec<Attribute>,
    /// Behind it.
    pub rest: Vec<Attribute>,
}

/// The order: `msid`, `rtcp-mux`, `rtcp-rsize`, `crypto`, `zrtp-hash`; of each payload type `rtpmap`, `rtcp-fb`, `fmtp`; `rtcp-fb` of all, `ptime`,
/// `maxptime`, `ssrc-group`, `ssrc`. Payload types are in the order of `m=`, all else in the order in which it stood.
pub(super) fn lines(section: &mut MediaDescription, own: &[Attribute], session: &[Attribute]) -> Lines {
    let formats = formats(section);
    let media = section.media.clone();
    section.formats = formats.iter().map(|id| id.to_string().into()).collect();
    let some = |is: fn(&Attribute) -> bool| own.iter().filter(move |attribute| is(attribute)).cloned();
    let (msids, sources) = sources(own);
    let mut rest: Vec<Attribute> = msids.into_iter().map(Attribute::Msid).collect();
    rest.extend(some(|attribute| *attribute == Attribute::RtcpMux).take(1));
    rest.extend(some(|attribute| *attribute == Attribute::RtcpRsize).take(1));
    rest.extend(some(|attribute| matches!(attribute, Attribute::Crypto(_))));
    rest.extend(some(|attribute| matches!(attribute, Attribute::ZrtpHash(_))));
    for id in &formats {
        rest.extend(rtpmap(own, *id, &media));
        rest.extend(feedback(own, Some(*id)));
        rest.extend(fmtp(own, *id));
    }
    rest.extend(feedback(own, None));
    if !formats.is_empty() {
        rest.extend(some(|attribute| matches!(attribute, Attribute::Ptime(_))).take(1).filter(|ptime| *ptime != Attribute::Ptime(0)));
        rest.extend(some(|attribute| matches!(attribute, Attribute::Maxptime(_))).take(1).filter(|ptime| *ptime != Attribute::Maxptime(0)));
    }
    rest.extend(some(|attribute| matches!(attribute, Attribute::SsrcGroup { .. })));
    rest.extend(sources);
    Lines { extensions: extensions(own, session), rest }
}

/// Formats that are no payload types from 0 to 127 are left out, and those that are there twice.
fn formats(section: &MediaDescription) -> Vec<u8> {
    let mut formats = Vec::new();
    for format in &section.formats {
        match format.parse::<u8>() {
            Ok(id) if id < 128 && !formats.contains(&id) => formats.push(id),
            _ => {}
        }
    }
    formats
}

/// The session's `extmap`s go to every section that has none, its `extmap-allow-mixed` to all.
fn extensions(own: &[Attribute], session: &[Attribute]) -> Vec<Attribute> {
    let is_extmap = |attribute: &&Attribute| matches!(attribute, Attribute::Extmap { .. });
    let from = if own.iter().any(|attribute| is_extmap(&attribute)) { own } else { session };
    let mut extensions: Vec<Attribute> = from.iter().filter(is_extmap).cloned().collect();
    for extension in &mut extensions {
        if let Attribute::Extmap { parameters, .. } = extension {
            without_empty(parameters);
        }
    }
    let is_mixed = own.iter().chain(session).any(|attribute| *attribute == Attribute::ExtmapAllowMixed);
    extensions.extend(is_mixed.then_some(Attribute::ExtmapAllowMixed));
    extensions
}

/// An empty value of a word is none.
fn without_empty(parameters: &mut [Parameter]) {
    parameters.iter_mut().for_each(|parameter| parameter.value = parameter.value.take().filter(|value| !value.is_empty()));
}

/// RFC 3551 §6: name, clock rate and channels of what the tables give to one encoding alone. All video is of 90 kHz.
pub(super) fn static_type(id: u8, media: &str) -> Option<(&'static str, u32, Option<u8>)> {
    const AUDIO: [(u8, &str, u32); 17] = [
        (0, "PCMU", 8000),
        (3, "GSM", 8000),
        (4, "G723", 8000),
        (5, "DVI4", 8000),
        (6, "DVI4", 16000),
        (7, "LPC", 8000),
        (8, "PCMA", 8000),
        (9, "G722", 8000),
        (10, "L16", 44100),
        (11, "L16", 44100),
        (12, "QCELP", 8000),
        (13, "CN", 8000),
        (14, "MPA", 90000),
        (15, "G728", 8000),
        (16, "DVI4", 11025),
        (17, "DVI4", 22050),
        (18, "G729", 8000),
    ];
    const VIDEO: [(u8, &str); 6] = [(25, "CelB"), (26, "JPEG"), (28, "nv"), (31, "H261"), (32, "MPV"), (34, "H263")];
    match media {
        // MPEG's transport streams are both.
        "audio" | "video" if id == 33 => Some(("MP2T", 90000, None)),
        "audio" => {
            let (_, name, clockrate) = AUDIO.into_iter().find(|(known, ..)| *known == id)?;
            Some((name, clockrate, (id == 10).then_some(2)))
        }
        "video" => VIDEO.into_iter().find(|(known, _)| *known == id).map(|(_, name)| (name, 90000, None)),
        _ => None,
    }
}

/// The first one counts. A static payload type needs none and gets one (RFC 3551 §6); a missing clock rate is the static type's, or 90000 for
/// video and 8000 for all else.
fn rtpmap(own: &[Attribute], id: u8, media: &str) -> Option<Attribute> {
    let known = static_type(id, media);
    let said = own.iter().find_map(|attribute| match attribute {
        Attribute::Rtpmap { payload, name, clockrate, channels } if *payload == id => Some((name.clone(), *clockrate, *channels)),
        _ => None,
    });
    let (name, clockrate, channels) = match (said, known) {
        (None, None) => return None,
        (None, Some((name, clockrate, channels))) => (name.into(), clockrate, channels),
        (Some((name, clockrate, channels)), known) => {
            let channels = channels.filter(|channels| *channels > 0);
            match (clockrate.filter(|rate| *rate > 0), known) {
                (Some(clockrate), _) => (name, clockrate, channels),
                (None, Some((known, clockrate, of_known))) if name.eq_ignore_ascii_case(known) => (name, clockrate, channels.or(of_known)),
                (None, _) => (name, if media == "video" { 90_000 } else { 8_000 }, channels),
            }
        }
    };
    Some(Attribute::Rtpmap { payload: id, name, clockrate: Some(clockrate), channels })
}

/// All lines of a payload type are one.
fn fmtp(own: &[Attribute], id: u8) -> Option<Attribute> {
    let of = |attribute: &Attribute| match attribute {
        Attribute::Fmtp { payload, parameters } if *payload == id => parameters.clone(),
        _ => Vec::new(),
    };
    let parameters: Vec<Parameter> = own.iter().flat_map(of).collect();
    (!parameters.is_empty()).then_some(Attribute::Fmtp { payload: id, parameters })
}

/// `trr-int` is the last one, and there is one.
fn feedback(own: &[Attribute], id: Option<u8>) -> Vec<Attribute> {
    let is_of = |attribute: &&Attribute| matches!(attribute, Attribute::RtcpFb { payload, .. } if *payload == id);
    let is_interval = |attribute: &&Attribute| matches!(attribute, Attribute::RtcpFbTrrInt { payload, .. } if *payload == id);
    let mut lines: Vec<Attribute> = own.iter().filter(is_of).chain(own.iter().filter(is_interval).take(1)).cloned().collect();
    for line in &mut lines {
        if let Attribute::RtcpFb { feedback, .. } = line {
            without_empty(&mut feedback.parameters);
        }
    }
    lines
}

/// - What is said of one source stands together; a source without attributes is one line.
/// - `a=msid` of the section goes to each source that has none (of several, the first four), and those of sources stand in the section too, if it is one track (RFC 8830 §2). Where
///   there are several, as in Plan B, the section has those that no source has.
fn sources(own: &[Attribute]) -> (Vec<Msid>, Vec<Attribute>) {
    let mut sources: Vec<(u32, Vec<Parameter>)> = Vec::new();
    let mut of_section: Vec<Msid> = Vec::new();
    for attribute in own {
        match attribute {
            Attribute::Ssrc { ssrc, parameter } => {
                let place = sources.iter().position(|(known, _)| known == ssrc).unwrap_or(sources.len());
                if place == sources.len() {
                    sources.push((*ssrc, Vec::new()));
                }
                sources[place].1.extend(Some(parameter.clone()).filter(|parameter| !parameter.name.is_empty()));
            }
            Attribute::Msid(msid) if !of_section.contains(msid) => of_section.push(msid.clone()),
            _ => {}
        }
    }
    let text = |msid: &Msid| msid.track.as_ref().map_or_else(|| msid.stream.to_string(), |track| format!("{} {track}", msid.stream));
    let is_msid = |parameter: &&Parameter| parameter.name == "msid" && parameter.value.is_some();
    let fill = |sources: &mut [(u32, Vec<Parameter>)], msids: &[Msid]| {
        for (_, parameters) in sources {
            if !parameters.iter().any(|parameter| is_msid(&parameter)) {
                parameters.extend(msids.iter().take(4).map(|msid| Parameter { name: "msid".into(), value: Some(text(msid).into()) }));
            }
        }
    };
    fill(&mut sources, &of_section);
    let said: Vec<SmolStr> =
        sources.iter().flat_map(|(_, parameters)| parameters).filter(is_msid).filter_map(|parameter| parameter.value.clone()).collect();
    let mut msids: Vec<Msid> = Vec::new();
    for said in &said {
        let words: Vec<&str> = said.split(' ').collect();
        let msid = match words[..] {
            [stream] if !stream.is_empty() => Msid { stream: stream.into(), track: None },
            [stream, track] if !stream.is_empty() && !track.is_empty() => Msid { stream: stream.into(), track: Some(track.into()) },
            _ => continue,
        };
        if !msids.contains(&msid) {
            msids.push(msid);
        }
    }
    let rest: Vec<Msid> = of_section.into_iter().filter(|msid| !said.iter().any(|said| **said == *text(msid))).collect();
    msids.extend(rest.iter().cloned());
    if msids.iter().any(|msid| msid.track != msids[0].track) {
        msids = rest;
    } else {
        // What the section has is that of all its sources.
        fill(&mut sources, &msids);
    }
    let lines = sources.into_iter().flat_map(|(ssrc, mut parameters)| {
        if parameters.is_empty() {
            parameters.push(Parameter::default());
        }
        parameters.into_iter().map(move |parameter| Attribute::Ssrc { ssrc, parameter })
    });
    (msids, lines.collect())
}

/// - `UDP/DTLS/SCTP` has `sctp-port` and the protocol as format (RFC 8841), the drafts' `DTLS/SCTP` has `sctpmap` and the port. A missing port is
///   5000, a missing protocol `webrtc-datachannel`.
/// - `b=` comes back as it was, though Jingle has no description for it: it is carried.
pub(super) fn data(section: &mut MediaDescription, own: &[Attribute]) -> Attribute {
    let map = own.iter().find_map(|attribute| match attribute {
        Attribute::Sctpmap { port, protocol, streams } => Some((*port, protocol.clone(), *streams)),
        _ => None,
    });
    let port = own.iter().find_map(|attribute| if let Attribute::SctpPort(port) = attribute { Some(*port) } else { None });
    let format = section.formats.first().cloned().unwrap_or_default();
    let number = format.parse::<u16>().ok();
    let port = port.or(map.as_ref().map(|(port, ..)| *port)).or(number).unwrap_or(5000);
    let named = Some(format).filter(|_| number.is_none()).filter(|format| !format.is_empty());
    let protocol = named.or(map.as_ref().map(|(_, protocol, _)| protocol.clone())).filter(|protocol| protocol.parse::<u16>().is_err());
    let protocol = protocol.unwrap_or_else(|| "webrtc-datachannel".into());
    if section.protocol == "DTLS/SCTP" {
        section.formats = vec![port.to_string().into()];
        Attribute::Sctpmap { port, protocol, streams: map.and_then(|(.., streams)| streams) }
    } else {
        section.formats = vec![protocol];
        Attribute::SctpPort(port)
    }
}
