//! Payload types: the formats of `m=` (RFC 8866 §5.14), `a=rtpmap` (§6.6), `a=fmtp` (§6.15), `a=ptime` and `a=maxptime` (§6.4, §6.5) against
//! `<payload-type/>` (XEP-0167 §4).

use smol_str::{SmolStr, ToSmolStr};

use super::limits::{self, push};
use super::words::{is_rest, is_token, trimmed};
use super::{feedback, static_types};
use crate::jingle::rtp::{Parameter, PayloadType, Rtp};
use crate::sdp::line::{Attribute, MediaDescription, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// Highest payload type: RFC 3550 §5.1, seven bits.
const ID_MAX: u8 = 127;

/// The payload types of a section as its lines come.
#[derive(Debug)]
pub(super) struct Codecs {
    /// The line of `m=`.
    line: u32,
    types: Vec<PayloadType>,
    /// Of each id its place in `types`.
    places: [Option<u8>; ID_MAX as usize + 1],
    ptime: Option<u32>,
    maxptime: Option<u32>,
}

impl Codecs {
    pub fn new(media: &MediaDescription, warnings: &mut Warnings) -> Self {
        let mut codecs = Self {
            line: media.line,
            types: Vec::with_capacity(media.formats.len().min(usize::from(ID_MAX) + 1)),
            places: [None; ID_MAX as usize + 1],
            ptime: None,
            maxptime: None,
        };
        for format in &media.formats {
            codecs.format(format, warnings);
        }
        codecs
    }

    fn format(&mut self, format: &SmolStr, warnings: &mut Warnings) {
        let Some(id) = format.parse().ok().filter(|id| *id <= ID_MAX) else {
            return warnings.at(self.line, format_args!("format {} is no payload type from 0 to 127; left out", Quoted(format)));
        };
        let place = &mut self.places[usize::from(id)];
        if place.is_some() {
            return warnings.at(self.line, format_args!("payload type {id} stands twice in m=; only the first counts"));
        }
        // Each id is there once, so that there are never more than 128.
        *place = u8::try_from(self.types.len()).ok();
        self.types.push(PayloadType { id, ..PayloadType::default() });
    }

    /// What is known of a payload type; of one that m= does not have, nothing is kept: there is no codec to choose.
    pub fn find(&mut self, line: u32, id: u8, attribute: &str, warnings: &mut Warnings) -> Option<&mut PayloadType> {
        let place = self.places.get(usize::from(id)).copied().flatten();
        if place.is_none() {
            warnings.at(line, format_args!("{attribute} of payload type {id}, which m= does not have; left out"));
        }
        self.types.get_mut(usize::from(place?))
    }

    /// `a=rtpmap`: §6.6, up to one for each format.
    pub fn rtpmap(&mut self, line: u32, map: PayloadType, warnings: &mut Warnings) {
        let Some(payload) = self.find(line, map.id, "rtpmap", warnings) else { return };
        if payload.name.is_none() {
            (payload.name, payload.clockrate, payload.channels) = (map.name, map.clockrate, map.channels);
        } else if (&payload.name, payload.clockrate, payload.channels) != (&map.name, map.clockrate, map.channels) {
            warnings.at(line, format_args!("payload type {} has an rtpmap already; only the first counts", map.id));
        }
    }

    /// `a=fmtp`: what several lines say of one format adds up.
    pub fn fmtp(&mut self, line: u32, id: u8, parameters: Vec<Parameter>, warnings: &mut Warnings) {
        let Some(payload) = self.find(line, id, "fmtp", warnings) else { return };
        if parameters.is_empty() {
            return warnings.at(line, format_args!("fmtp of payload type {id} says nothing; left out"));
        }
        if payload.parameters.is_empty() && parameters.len() <= limits::PARAMETERS_MAX {
            payload.parameters = parameters;
            return;
        }
        for parameter in parameters {
            push(&mut payload.parameters, parameter, limits::PARAMETERS_MAX, line, "fmtp parameters of a payload type", warnings);
        }
    }

    pub fn ptime(&mut self, line: u32, ms: u32, warnings: &mut Warnings) {
        self.once(line, ms, "ptime", |codecs| &mut codecs.ptime, warnings);
    }

    pub fn maxptime(&mut self, line: u32, ms: u32, warnings: &mut Warnings) {
        self.once(line, ms, "maxptime", |codecs| &mut codecs.maxptime, warnings);
    }

    fn once(&mut self, line: u32, ms: u32, name: &str, slot: fn(&mut Self) -> &mut Option<u32>, warnings: &mut Warnings) {
        if self.types.is_empty() {
            return warnings.at(line, format_args!("{name} in a section without payload types; left out"));
        }
        let first = *slot(self).get_or_insert(ms);
        if first != ms {
            warnings.at(line, format_args!("{name} {ms} after {name} {first}; only the first counts"));
        }
    }

    /// A static type needs no rtpmap; another one that has none is kept by its number alone.
    pub fn finish(mut self, media: &str, warnings: &mut Warnings) -> Vec<PayloadType> {
        for payload in &mut self.types {
            complete(payload, media);
            if payload.name.is_none() {
                warnings.at(self.line, format_args!("payload type {} has no rtpmap and is not static for {}", payload.id, Quoted(media)));
            }
            payload.ptime = self.ptime;
            payload.maxptime = self.maxptime;
        }
        self.types
    }
}

/// Says what the number alone means, and the clock rate that SDP needs.
fn complete(payload: &mut PayloadType, media: &str) {
    if payload.name.is_some() && payload.clockrate.is_some() {
        return;
    }
    let known = static_types::find(payload.id, media);
    match (&payload.name, known) {
        (None, Some(known)) => {
            payload.name = Some(SmolStr::new_static(known.name));
            payload.clockrate.get_or_insert(known.clockrate);
            payload.channels = payload.channels.or(known.channels);
        }
        (None, None) => {}
        (Some(name), Some(known)) if name.eq_ignore_ascii_case(known.name) => {
            payload.clockrate = Some(known.clockrate);
            payload.channels = payload.channels.or(known.channels);
        }
        // XEP-0293's own example leaves the clock rate of dynamic types out.
        (Some(_), _) => payload.clockrate = Some(if media == "video" { 90_000 } else { 8_000 }),
    }
}

/// Those that SDP can say, each once.
fn distinct(types: &[PayloadType]) -> impl Iterator<Item = &PayloadType> {
    let mut seen = 0_u128;
    types.iter().filter(move |payload| {
        let bit = if payload.id > ID_MAX { 0 } else { 1 << payload.id };
        let is_new = bit & !seen != 0;
        seen |= bit;
        is_new
    })
}

/// The formats of `m=`.
pub(super) fn formats(types: &[PayloadType]) -> Vec<SmolStr> {
    distinct(types).map(|payload| payload.id.to_smolstr()).collect()
}

/// `a=rtpmap`, `a=rtcp-fb`, `a=fmtp` of each.
pub(super) fn write(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let types = &rtp.payload_types;
    let mut count = 0;
    for payload in distinct(types) {
        count += 1;
        write_rtpmap(payload, &rtp.media, out, warnings);
        feedback::write(Some(payload.id), &payload.feedback, out, warnings);
        write_fmtp(payload, out, warnings);
    }
    if count < types.len() {
        warnings.add(format_args!("of payload types with the same id only the first counts: {} left out", types.len() - count));
    }
}

fn write_rtpmap(payload: &PayloadType, media: &str, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let mut full = PayloadType {
        id: payload.id,
        name: payload.name.clone(),
        // No codec has 0 of them: not said.
        clockrate: payload.clockrate.filter(|rate| *rate > 0),
        channels: payload.channels.filter(|channels| *channels > 0),
        ..PayloadType::default()
    };
    complete(&mut full, media);
    let PayloadType { id, name, clockrate, channels, .. } = full;
    match name {
        Some(name) if is_token(&name) => out.push(Attribute::Rtpmap { payload: id, name, clockrate, channels }.into()),
        Some(name) => warnings.add(format_args!("name {} of payload type {id} is no token; left out", Quoted(&name))),
        None => warnings.add(format_args!("payload type {id} has no name and is not static: SDP has its number only")),
    }
}

fn write_fmtp(payload: &PayloadType, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    if payload.parameters.is_empty() {
        return;
    }
    let mut parameters = Vec::with_capacity(payload.parameters.len());
    for parameter in &payload.parameters {
        if !add_fmtp(parameter, &mut parameters) {
            warnings.add(format_args!(
                "parameter {} of payload type {} cannot stand in fmtp; left out",
                Quoted(&parameter.name),
                payload.id
            ));
        }
    }
    if !parameters.is_empty() {
        out.push(Attribute::Fmtp { payload: payload.id, parameters }.into());
    }
}

/// Adds a parameter as it will come back; false if none does.
fn add_fmtp(parameter: &Parameter, out: &mut Vec<Parameter>) -> bool {
    match (&parameter.name, &parameter.value) {
        (name, Some(value)) if !name.is_empty() => {
            let (name, value) = (trimmed(name), trimmed(value));
            let fits = !name.is_empty() && is_rest(&name, b";=") && is_rest(&value, b";");
            if fits {
                out.push(Parameter { name, value: Some(value) });
            }
            fits
        }
        // Without a name it is SDP's text, of which some clients put all into one value.
        (_, Some(text)) | (text, None) => {
            let before = out.len();
            if is_rest(text, b"") {
                out.extend(text.split(';').filter_map(fmtp_text));
            }
            out.len() > before
        }
    }
}

/// One piece of SDP's text.
fn fmtp_text(piece: &str) -> Option<Parameter> {
    const BLANKS: [char; 2] = [' ', '\t'];
    let piece = piece.trim_matches(BLANKS);
    Some(match piece.split_once('=') {
        _ if piece.is_empty() => return None,
        Some((name, value)) if !name.is_empty() => {
            Parameter { name: name.trim_matches(BLANKS).into(), value: Some(value.trim_matches(BLANKS).into()) }
        }
        _ => Parameter { name: SmolStr::default(), value: Some(piece.into()) },
    })
}

/// `a=ptime` and `a=maxptime`: SDP has one for the section, Jingle one for each payload type.
pub(super) fn write_times(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let types = &rtp.payload_types;
    if let Some(ms) = time(types, "ptime", |payload| payload.ptime, warnings) {
        out.push(Attribute::Ptime(ms).into());
    }
    if let Some(ms) = time(types, "maxptime", |payload| payload.maxptime, warnings) {
        out.push(Attribute::Maxptime(ms).into());
    }
}

fn time(types: &[PayloadType], name: &str, of: fn(&PayloadType) -> Option<u32>, warnings: &mut Warnings) -> Option<u32> {
    let first = distinct(types).filter_map(of).find(|ms| *ms > 0)?;
    if distinct(types).any(|payload| of(payload) != Some(first)) {
        warnings.add(format_args!("payload types differ in {name}; in SDP all have {first}"));
    }
    Some(first)
}
