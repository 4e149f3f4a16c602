//! Payload types: the formats of `m=` (RFC 8866 §5.14), `a=rtpmap` (§6.6), `a=fmtp` (§6.15), `a=ptime` and `a=maxptime` (§6.4, §6.5) against
//! `<payload-type/>` (XEP-0167 §4).

use smol_str::SmolStr;

use super::words::{cut, is_digits, is_rest, is_token, push, trimmed};
use super::{feedback, static_types};
use crate::jingle::rtp::{PARAMETERS_MAX, Parameter, PayloadType, Rtp};
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
    /// Of each id a bit: whether a line has named it that m= does not have.
    strangers: u128,
}

impl Codecs {
    pub fn new(media: &MediaDescription, warnings: &mut Warnings) -> Self {
        let mut codecs = Self {
            line: media.line,
            types: Vec::with_capacity(media.formats.len().min(usize::from(ID_MAX) + 1)),
            places: [None; ID_MAX as usize + 1],
            ptime: None,
            maxptime: None,
            strangers: 0,
        };
        for format in &media.formats {
            codecs.format(format, warnings);
        }
        codecs
    }

    fn format(&mut self, format: &SmolStr, warnings: &mut Warnings) {
        let Some(id) = payload_type(format) else {
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

    /// What is known of a payload type. Of one that m= does not have nothing is kept, since nobody can choose it: Firefox leaves `rtcp-fb` and
    /// `fmtp` behind when a page takes codecs away. Said once.
    pub fn find(&mut self, line: u32, id: u8, warnings: &mut Warnings) -> Option<&mut PayloadType> {
        let place = self.places.get(usize::from(id)).copied().flatten();
        let bit = if id > ID_MAX { 0 } else { 1 << id };
        if place.is_none() && self.strangers & bit == 0 {
            self.strangers |= bit;
            warnings.at(line, format_args!("payload type {id} is not in m=: its lines are left out"));
        }
        self.types.get_mut(usize::from(place?))
    }

    /// `a=rtpmap`: §6.6, up to one for each format.
    pub fn rtpmap(&mut self, line: u32, map: PayloadType, warnings: &mut Warnings) {
        let Some(payload) = self.find(line, map.id, warnings) else { return };
        if payload.name.is_none() {
            (payload.name, payload.clockrate, payload.channels) = (map.name, map.clockrate, map.channels);
        } else if (&payload.name, payload.clockrate, payload.channels) != (&map.name, map.clockrate, map.channels) {
            warnings.at(line, format_args!("payload type {} has an rtpmap already; only the first counts", map.id));
        }
    }

    /// `a=fmtp`: what several lines say of one format adds up.
    pub fn fmtp(&mut self, line: u32, id: u8, parameters: Vec<Parameter>, warnings: &mut Warnings) {
        let Some(payload) = self.find(line, id, warnings) else { return };
        if parameters.is_empty() {
            return warnings.at(line, format_args!("fmtp of payload type {id} says nothing; left out"));
        }
        if payload.parameters.is_empty() && parameters.len() <= PARAMETERS_MAX {
            payload.parameters = parameters;
            return;
        }
        for parameter in parameters {
            push(&mut payload.parameters, parameter, PARAMETERS_MAX, line, "fmtp parameters of a payload type", warnings);
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

/// The payload type that a format is.
pub(super) fn payload_type(format: &str) -> Option<u8> {
    format.parse().ok().filter(|id| *id <= ID_MAX && is_digits(format))
}

/// The formats of `m=`.
pub(super) fn formats(types: &[PayloadType]) -> Vec<SmolStr> {
    let mut formats = Vec::with_capacity(types.len());
    formats.extend(distinct(types).map(|payload| decimal(payload.id)));
    formats
}

fn decimal(id: u8) -> SmolStr {
    let digits = [b'0' + id / 100, b'0' + id / 10 % 10, b'0' + id % 10];
    let start = match id {
        0..10 => 2,
        10..100 => 1,
        100.. => 0,
    };
    SmolStr::new(str::from_utf8(&digits[start..]).unwrap_or_default())
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
    let id = payload.id;
    let name = payload.name.as_ref().filter(|name| !name.is_empty());
    if let Some(name) = name.filter(|name| !is_token(name)) {
        warnings.add(format_args!("name {} of payload type {id} is no token; left out", Quoted(name)));
    }
    let mut full = PayloadType {
        id,
        name: name.filter(|name| is_token(name)).cloned(),
        // No codec has 0 of them: not said.
        clockrate: payload.clockrate.filter(|rate| *rate > 0),
        channels: payload.channels.filter(|channels| *channels > 0),
        ..PayloadType::default()
    };
    complete(&mut full, media);
    if let Some(name) = full.name {
        out.push(Attribute::Rtpmap { payload: id, name, clockrate: full.clockrate, channels: full.channels }.into());
    } else if name.is_none() {
        warnings.add(format_args!("payload type {id} has no name and is not static: SDP has its number only"));
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
    // One text may be many.
    cut(&mut parameters, PARAMETERS_MAX, 0, "fmtp parameters of a payload type", warnings);
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

#[cfg(test)]
mod tests {
    use super::super::testing::{audio, check, parameters, payload, reads, rtp, writes};
    use super::*;

    #[test]
    fn xep_0167_s6_static() {
        let section = "m=audio 9 RTP/AVP 13
            a=rtpmap:13 CN/8000";
        let full = rtp("audio", vec![payload(13, "CN", 8000)]);
        check(section, &full);
        reads("m=audio 9999 RTP/AVP 13", &full, &[]);
        writes(&rtp("audio", vec![PayloadType { clockrate: None, ..payload(13, "CN", 0) }]), section, &[]);
        writes(&rtp("audio", vec![PayloadType { id: 13, ..PayloadType::default() }]), section, &[]);
    }

    #[test]
    fn xep_0167_s6_dynamic() {
        check("m=audio 9 RTP/AVP 96\na=rtpmap:96 speex/16000", &rtp("audio", vec![payload(96, "speex", 16000)]));
    }

    #[test]
    fn xep_0167_s6_parameters() {
        let speex = PayloadType { ptime: Some(40), parameters: parameters(&["vbr=on", "cng=on"]), ..payload(96, "speex", 16000) };
        let rtp = rtp("audio", vec![speex]);
        let section = "m=audio 9 RTP/AVP 96
            a=rtpmap:96 speex/16000
            a=fmtp:96 vbr=on;cng=on
            a=ptime:40";
        check(section, &rtp);
        let print = "m=audio 9999 RTP/AVP 96
            a=rtpmap:96 speex/16000
            a=ptime:40
            a=fmtp:96 vbr=on;cng=on";
        reads(print, &rtp, &[]);
    }

    #[test]
    fn xep_0167_s6_video() {
        let texts = ["sampling=YCbCr-4:2:2", "width=800", "height=600", "delivery-method=inline", "configuration=somebase16string"];
        let rtp = rtp("video", vec![PayloadType { parameters: parameters(&texts), ..payload(98, "theora", 90000) }]);
        let print = "m=video 49170 RTP/AVP 98
            a=rtpmap:98 theora/90000
            a=fmtp:98 sampling=YCbCr-4:2:2; width=800; height=600; delivery-method=inline; configuration=somebase16string;";
        reads(print, &rtp, &[]);
        let section = "m=video 9 RTP/AVP 98
            a=rtpmap:98 theora/90000
            a=fmtp:98 sampling=YCbCr-4:2:2;width=800;height=600;delivery-method=inline;configuration=somebase16string";
        check(section, &rtp);
    }

    #[test]
    fn xep_0167_s4_types_without_clock_rate() {
        let bare = |id, name: &str| PayloadType { id, name: Some(name.into()), ..PayloadType::default() };
        let types = vec![
            payload(96, "speex", 16000),
            bare(18, "G729"),
            PayloadType { channels: Some(2), ..payload(103, "L16", 16000) },
            bare(102, "iLBC"),
            payload(0, "PCMU", 16000),
            bare(6, "dvi4"),
            bare(10, "L16"),
            bare(11, "other"),
            PayloadType { clockrate: Some(0), channels: Some(0), ..bare(104, "zero") },
        ];
        let section = "m=audio 9 RTP/AVP 96 18 103 102 0 6 10 11 104
            a=rtpmap:96 speex/16000
            a=rtpmap:18 G729/8000
            a=rtpmap:103 L16/16000/2
            a=rtpmap:102 iLBC/8000
            a=rtpmap:0 PCMU/16000
            a=rtpmap:6 dvi4/16000
            a=rtpmap:10 L16/44100/2
            a=rtpmap:11 other/8000
            a=rtpmap:104 zero/8000";
        writes(&rtp("audio", types), section, &[]);
        // XEP-0293's example 5.
        writes(&rtp("video", vec![bare(99, "H264")]), "m=video 9 RTP/AVP 99\na=rtpmap:99 H264/90000", &[]);
        // RFC 4475's bodies.
        reads("m=video 9 RTP/AVP 31\na=rtpmap:31 LPC", &rtp("video", vec![payload(31, "LPC", 90000)]), &[]);
    }

    #[test]
    fn rfc_3551_s6_static_types() {
        let types = vec![
            payload(0, "PCMU", 8000),
            payload(8, "PCMA", 8000),
            PayloadType { channels: Some(2), ..payload(10, "L16", 44100) },
            payload(14, "MPA", 90000),
            payload(9, "G722", 8000),
        ];
        reads("m=audio 9 RTP/AVP 0 8 10 14 9", &rtp("audio", types), &[]);
        reads("m=video 9 RTP/AVP 34", &rtp("video", vec![payload(34, "H263", 90000)]), &[]);
        // What rtpmap says counts, also of a static number.
        reads("m=audio 9 RTP/AVP 10\na=rtpmap:10 L16/44100", &rtp("audio", vec![payload(10, "L16", 44100)]), &[]);
        reads("m=audio 9 RTP/AVP 0\na=rtpmap:0 opus/48000", &rtp("audio", vec![payload(0, "opus", 48000)]), &[]);
    }

    #[test]
    fn rfc_8866_s5_14_numbers_without_meaning() {
        let bare = |id| PayloadType { id, ..PayloadType::default() };
        let types = rtp("audio", vec![bare(96), bare(2), bare(34)]);
        let warnings = [
            "1: payload type 96 has no rtpmap and is not static for 'audio'",
            "1: payload type 2 has no rtpmap and is not static for 'audio'",
            "1: payload type 34 has no rtpmap and is not static for 'audio'",
        ];
        reads("m=audio 9 RTP/AVP 96 2 34", &types, &warnings);
        let warnings = [
            "payload type 96 has no name and is not static: SDP has its number only",
            "payload type 2 has no name and is not static: SDP has its number only",
            "payload type 34 has no name and is not static: SDP has its number only",
        ];
        writes(&types, "m=audio 9 RTP/AVP 96 2 34", &warnings);
        let warnings = [
            "1: format '128' is no payload type from 0 to 127; left out",
            "1: format '+8' is no payload type from 0 to 127; left out",
            "1: payload type 0 stands twice in m=; only the first counts",
        ];
        reads("m=audio 9 RTP/AVP 128 0 +8 0", &audio(), &warnings);
    }

    #[test]
    fn rfc_8866_s6_6_one_rtpmap_for_each_format() {
        let section = "m=audio 9 RTP/AVP 96 97
            a=rtpmap:96 opus/48000/2
            a=rtpmap:97 opus/48000/2
            a=rtpmap:96 opus/48000/2
            a=rtpmap:96 opus/48000
            a=rtpmap:98 speex/8000
            a=fmtp:98 a=b
            a=rtcp-fb:98 nack
            a=rtcp-fb:98 trr-int 1";
        let opus = |id| PayloadType { channels: Some(2), ..payload(id, "opus", 48000) };
        let warnings =
            ["5: payload type 96 has an rtpmap already; only the first counts", "6: payload type 98 is not in m=: its lines are left out"];
        reads(section, &rtp("audio", vec![opus(96), opus(97)]), &warnings);
        let twice = rtp("audio", vec![opus(96), payload(96, "speex", 8000), PayloadType { id: 128, ..opus(96) }]);
        let warnings = ["of payload types with the same id only the first counts: 2 left out"];
        writes(&twice, "m=audio 9 RTP/AVP 96\na=rtpmap:96 opus/48000/2", &warnings);
    }

    #[test]
    fn rfc_8866_s6_15_fmtp() {
        let with = |texts: &[&str]| rtp("audio", vec![PayloadType { parameters: parameters(texts), ..payload(96, "a", 8000) }]);
        let section = |lines: &str| format!("m=audio 9 RTP/AVP 96\na=rtpmap:96 a/8000\n{lines}");
        let same: [(&str, &[&str]); 4] = [
            ("a=fmtp:96 0-15", &["=0-15"]),
            ("a=fmtp:96 111/111/111", &["=111/111/111"]),
            ("a=fmtp:96 a=b;c;d=e=f;a=g", &["a=b", "=c", "d=e=f", "a=g"]),
            ("a=fmtp:96 a=", &["a="]),
        ];
        for (line, texts) in same {
            check(&section(line), &with(texts));
        }
        let read: [(&str, &[&str]); 3] = [
            ("a=fmtp:96 a=b\na=fmtp:96 c=d;a=e", &["a=b", "c=d", "a=e"]),
            ("a=fmtp:96  a = b ; c ;; d=e;", &["a=b", "=c", "d=e"]),
            ("a=fmtp:96 a=b c", &["a=b c"]),
        ];
        for (lines, texts) in read {
            reads(&section(lines), &with(texts), &[]);
        }
        reads(&section("a=fmtp:96"), &with(&[]), &["3: fmtp of payload type 96 says nothing; left out"]);
        // The whole text as one value, as a name, with spaces.
        let written: [(&[&str], &str); 4] = [
            (&["=a=b; c=d;e"], "a=fmtp:96 a=b;c=d;e"),
            (&["0-15"], "a=fmtp:96 0-15"),
            (&[" a = b "], "a=fmtp:96 a=b"),
            (&["=;; 1 ;"], "a=fmtp:96 1"),
        ];
        for (texts, line) in written {
            writes(&with(texts), &section(line), &[]);
        }
        let unsayable: [(Parameter, &str); 5] = [
            (Parameter { name: "a;b".into(), value: Some("c".into()) }, "'a;b'"),
            (Parameter { name: "a=b".into(), value: Some("c".into()) }, "'a=b'"),
            (Parameter { name: "a".into(), value: Some("b;c".into()) }, "'a'"),
            (Parameter { name: "a".into(), value: Some("b\nc".into()) }, "'a'"),
            (Parameter { name: SmolStr::default(), value: Some(" ; ".into()) }, "''"),
        ];
        for (parameter, shown) in unsayable {
            let mut rtp = with(&["x=y"]);
            rtp.payload_types[0].parameters.push(parameter);
            let warning = format!("parameter {shown} of payload type 96 cannot stand in fmtp; left out");
            writes(&rtp, &section("a=fmtp:96 x=y"), &[&warning]);
        }
    }

    #[test]
    fn rfc_8866_s6_4_s6_5_ptime_is_the_sections() {
        let types = |times: [(Option<u32>, Option<u32>); 2]| {
            let [(first, first_max), (second, second_max)] = times;
            let pcmu = PayloadType { ptime: first, maxptime: first_max, ..payload(0, "PCMU", 8000) };
            let pcma = PayloadType { ptime: second, maxptime: second_max, ..payload(8, "PCMA", 8000) };
            rtp("audio", vec![pcmu, pcma])
        };
        let section = |lines: &str| format!("m=audio 9 RTP/AVP 0 8\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n{lines}");
        check(&section("a=ptime:20\na=maxptime:120"), &types([(Some(20), Some(120)); 2]));
        check(&section("a=maxptime:60"), &types([(None, Some(60)); 2]));
        let twice = section("a=ptime:20\na=ptime:30\na=ptime:20\na=maxptime:60\na=maxptime:40");
        let warnings = ["5: ptime 30 after ptime 20; only the first counts", "8: maxptime 40 after maxptime 60; only the first counts"];
        reads(&twice, &types([(Some(20), Some(60)); 2]), &warnings);
        reads(
            "m=audio 9 RTP/AVP x\na=ptime:20",
            &rtp("audio", vec![]),
            &["1: format 'x' is no payload type from 0 to 127; left out", "2: ptime in a section without payload types; left out"],
        );
        let differ = ["payload types differ in ptime; in SDP all have 20", "payload types differ in maxptime; in SDP all have 60"];
        writes(&types([(None, Some(60)), (Some(20), Some(40))]), &section("a=ptime:20\na=maxptime:60"), &differ);
        writes(&types([(Some(20), None), (Some(30), None)]), &section("a=ptime:20"), &differ[..1]);
        writes(&types([(Some(0), None); 2]), section("").trim(), &[]);
    }

    #[test]
    fn rfc_8866_s9_names_are_tokens() {
        for name in ["a b", "a/8000\r\na=b", "é"] {
            let warning = format!("name {} of payload type 96 is no token; left out", Quoted(name));
            writes(&rtp("audio", vec![payload(96, name, 8000)]), "m=audio 9 RTP/AVP 96", &[&warning]);
        }
        let empty = ["payload type 96 has no name and is not static: SDP has its number only"];
        writes(&rtp("audio", vec![payload(96, "", 8000)]), "m=audio 9 RTP/AVP 96", &empty);
    }
}
