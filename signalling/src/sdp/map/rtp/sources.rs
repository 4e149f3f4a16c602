//! `a=ssrc`, `a=ssrc-group` (RFC 5576 §4) and `a=msid` (RFC 8830 §2) against `<source/>` and `<ssrc-group/>` (XEP-0339).
//!
//! Jingle has `msid` as a parameter of a source only: a section's becomes one of each source that has none, and stands in a `<stream/>` where
//! no source has it. Back, a section has both forms.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::words::{cut, is_rest, is_token, is_word, push, trimmed};
use crate::jingle::rtp::{Msid, PARAMETERS_MAX, Parameter, Rtp, SOURCE_GROUPS_MAX, SOURCES_MAX, STREAMS_MAX, Source, SourceGroup};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::parse::is_msid;
use crate::sdp::warning::{Quoted, Warnings};

const MSID: &str = "msid";
/// What is copied to each source of a section; browsers have one stream, seldom two. More would be as many times as many.
const COPIES_MAX: usize = 4;

/// The sources of a section as its lines come.
#[derive(Debug, Default)]
pub(super) struct Sources {
    sources: Vec<Source>,
    groups: Vec<SourceGroup>,
    msids: Vec<Msid>,
    /// The line of the first `a=msid`.
    msid_line: u32,
}

impl Sources {
    /// `a=ssrc`: those of one source usually follow each other.
    pub fn ssrc(&mut self, line: u32, ssrc: u32, parameter: Parameter, warnings: &mut Warnings) {
        // At most a few hundred: a search from the end costs less than a table.
        let place = self.sources.iter().rposition(|source| source.ssrc == ssrc).unwrap_or_else(|| {
            push(&mut self.sources, Source { ssrc, parameters: Vec::new() }, SOURCES_MAX, line, "sources", warnings);
            self.sources.len() - 1
        });
        let source = &mut self.sources[place];
        if source.ssrc == ssrc && !parameter.name.is_empty() {
            push(&mut source.parameters, parameter, PARAMETERS_MAX, line, "attributes of a source", warnings);
        }
    }

    /// `a=ssrc-group`, also of sources that no other line names.
    pub fn group(&mut self, line: u32, mut group: SourceGroup, warnings: &mut Warnings) {
        cut(&mut group.sources, SOURCES_MAX, line, "sources in a group", warnings);
        push(&mut self.groups, group, SOURCE_GROUPS_MAX, line, "ssrc-group", warnings);
    }

    /// `a=msid`: several are one track in several streams.
    pub fn msid(&mut self, line: u32, msid: Msid, warnings: &mut Warnings) {
        if self.msids.contains(&msid) {
            return;
        }
        if self.msids.is_empty() {
            self.msid_line = line;
        }
        push(&mut self.msids, msid, STREAMS_MAX, line, "msid", warnings);
    }

    pub fn finish(self, rtp: &mut Rtp, warnings: &mut Warnings) {
        let Self { mut sources, groups, msids, msid_line } = self;
        if !msids.is_empty() {
            for source in sources.iter_mut().filter(|source| msids_of(source).next().is_none()) {
                for msid in msids.iter().take(COPIES_MAX) {
                    let parameter = Parameter { name: SmolStr::new_static(MSID), value: Some(text(msid)) };
                    push(&mut source.parameters, parameter, PARAMETERS_MAX, msid_line, "attributes of a source", warnings);
                }
            }
            let is_free = |msid: &Msid| !sources.iter().any(|source| msids_of(source).any(|value| is_text(value, msid)));
            rtp.streams = msids.into_iter().filter(is_free).collect();
        }
        rtp.sources = sources;
        rtp.source_groups = groups;
    }
}

fn msids_of(source: &Source) -> impl Iterator<Item = &SmolStr> {
    source.parameters.iter().filter(|parameter| parameter.name == MSID).filter_map(|parameter| parameter.value.as_ref())
}

/// Whether it can be an identifier in `a=msid`.
fn is_said(word: &str) -> bool {
    is_word(word) && is_msid(word)
}

/// As a parameter's value.
fn text(msid: &Msid) -> SmolStr {
    match &msid.track {
        Some(track) => smol_str::format_smolstr!("{} {track}", msid.stream),
        None => msid.stream.clone(),
    }
}

/// Whether a parameter's value is [`text`].
fn is_text(value: &str, msid: &Msid) -> bool {
    match &msid.track {
        Some(track) => value.strip_prefix(&*msid.stream).and_then(|rest| rest.strip_prefix(' ')) == Some(track),
        None => value == msid.stream,
    }
}

/// A parameter's value as a line of its own, if it can be one.
fn parse(text: &str) -> Option<Msid> {
    let text = text.trim_matches([' ', '\t']);
    let (stream, track) = text.split_once(' ').map_or((text, None), |(stream, track)| (stream, Some(track)));
    let fits = is_said(stream) && track.is_none_or(is_said);
    fits.then(|| Msid { stream: stream.into(), track: track.map(SmolStr::new) })
}

/// What a section says of its sources: the normal form at once, so that reading it changes nothing.
pub(super) struct Written<'a> {
    groups: &'a [SourceGroup],
    /// None twice.
    sources: Cow<'a, [Source]>,
    /// The `a=msid` of the section.
    msids: Vec<Msid>,
    /// The `msid` of a source that has none.
    missing: Vec<SmolStr>,
}

impl<'a> Written<'a> {
    pub fn new(rtp: &'a Rtp, warnings: &mut Warnings) -> Self {
        let sources = distinct(rtp, warnings);
        let mut streams = Vec::new();
        for stream in &rtp.streams {
            if !is_said(&stream.stream) || stream.track.as_ref().is_some_and(|track| !is_said(track)) {
                warnings.add(format_args!("the names of stream {} are no words of SDP; left out", Quoted(&stream.stream)));
            } else if !streams.contains(stream) {
                push(&mut streams, stream.clone(), STREAMS_MAX, 0, "streams", warnings);
            }
        }
        let (msids, missing) = match of_one_track(&sources, &streams) {
            Some(msids) => {
                let is_said = sources.iter().all(has_msid);
                let missing = if is_said { Vec::new() } else { msids.iter().take(COPIES_MAX).map(text).collect() };
                (msids, missing)
            }
            // Plan B: the tracks stay with their sources, and what a source has or gets is no stream of its own.
            None => {
                let missing: Vec<SmolStr> = streams.iter().take(COPIES_MAX).map(text).collect();
                let is_copied = sources.iter().any(|source| !has_msid(source));
                let is_free = |msid: &Msid| {
                    !(is_copied && missing.iter().any(|value| is_text(value, msid)))
                        && sources.iter().flat_map(msids_of).all(|value| !is_text(&trimmed(value), msid))
                };
                streams.retain(is_free);
                (streams, missing)
            }
        };
        Self { groups: &rtp.source_groups, sources, msids, missing }
    }

    /// `a=msid`.
    pub fn write_msids(&self, out: &mut Vec<Numbered>) {
        out.extend(self.msids.iter().map(|msid| Attribute::Msid(msid.clone()).into()));
    }

    /// `a=ssrc-group` and `a=ssrc`.
    pub fn write(&self, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
        for SourceGroup { semantics, sources } in self.groups {
            if is_token(semantics) {
                out.push(Attribute::SsrcGroup { semantics: semantics.clone(), sources: sources.clone() }.into());
            } else {
                warnings.add(format_args!("semantics {} of a group of sources are no token; left out", Quoted(semantics)));
            }
        }
        for source in self.sources.iter() {
            self.write_source(source, &mut Lines { ssrc: source.ssrc, count: 0, out, warnings });
        }
    }

    fn write_source(&self, source: &Source, lines: &mut Lines<'_>) {
        for Parameter { name, value } in &source.parameters {
            if is_token(name) && value.as_ref().is_none_or(|value| is_rest(value, b"")) {
                lines.push(name.clone(), value.as_ref().map(trimmed));
            } else {
                lines.warnings.add(format_args!("attribute {} of source {} cannot stand in SDP; left out", Quoted(name), source.ssrc));
            }
        }
        if !has_msid(source) {
            self.missing.iter().for_each(|msid| lines.push(SmolStr::new_static(MSID), Some(msid.clone())));
        }
        if lines.count == 0 {
            lines.push(SmolStr::default(), None);
        }
    }
}

/// What several elements say of one source is one source's, and XEP-0167 §4 has one without parameters as an attribute.
fn distinct<'a>(rtp: &'a Rtp, warnings: &mut Warnings) -> Cow<'a, [Source]> {
    let sources = &rtp.sources;
    let is_known = |ssrc: u32, sources: &[Source]| sources.iter().any(|source| source.ssrc == ssrc);
    let new = rtp.ssrc.filter(|ssrc| !is_known(*ssrc, sources));
    if new.is_none() && !sources.iter().enumerate().any(|(place, source)| is_known(source.ssrc, &sources[..place])) {
        return Cow::Borrowed(sources);
    }
    let mut distinct: Vec<Source> = Vec::with_capacity(sources.len() + 1);
    for source in sources {
        match distinct.iter_mut().find(|before| before.ssrc == source.ssrc) {
            Some(before) => before.parameters.extend_from_slice(&source.parameters),
            None => distinct.push(source.clone()),
        }
    }
    if let Some(ssrc) = new {
        push(&mut distinct, Source { ssrc, parameters: Vec::new() }, SOURCES_MAX, 0, "sources", warnings);
    }
    Cow::Owned(distinct)
}

/// Whether one will stand in its lines.
fn has_msid(source: &Source) -> bool {
    msids_of(source).any(|value| is_rest(value, b""))
}

/// All that sources and streams have, if it is one track's: RFC 8830 §2 allows no other in a section, and browsers refuse it.
fn of_one_track(sources: &[Source], streams: &[Msid]) -> Option<Vec<Msid>> {
    let (mut msids, mut last) = (Vec::<Msid>::new(), None);
    for value in sources.iter().flat_map(msids_of) {
        // Sources of one track repeat it.
        if last == Some(value) {
            continue;
        }
        last = Some(value);
        if let Some(msid) = parse(value) {
            add(&mut msids, msid)?;
        }
    }
    streams.iter().try_for_each(|stream| add(&mut msids, stream.clone()))?;
    Some(msids)
}

fn add(msids: &mut Vec<Msid>, msid: Msid) -> Option<()> {
    if msids.first().is_some_and(|first| first.track != msid.track) {
        return None;
    }
    if msids.len() < STREAMS_MAX && !msids.contains(&msid) {
        msids.push(msid);
    }
    Some(())
}

/// Those of one source.
struct Lines<'a> {
    ssrc: u32,
    count: usize,
    out: &'a mut Vec<Numbered>,
    warnings: &'a mut Warnings,
}

impl Lines<'_> {
    fn push(&mut self, name: SmolStr, value: Option<SmolStr>) {
        if self.count < PARAMETERS_MAX {
            self.count += 1;
            self.out.push(Attribute::Ssrc { ssrc: self.ssrc, parameter: Parameter { name, value } }.into());
        } else {
            self.warnings.add(format_args!("more than {PARAMETERS_MAX} attributes of source {}; left out", self.ssrc));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{audio, check, reads, source, writes};
    use super::*;

    fn with(sources: Vec<Source>) -> Rtp {
        Rtp { sources, ..audio() }
    }

    fn msid(stream: &str, track: &str) -> Msid {
        Msid { stream: stream.into(), track: Some(track).filter(|track| !track.is_empty()).map(SmolStr::new) }
    }

    fn group(semantics: &str, sources: &[u32]) -> SourceGroup {
        SourceGroup { semantics: semantics.into(), sources: sources.to_vec() }
    }

    /// `msid` before and the others behind the payload type, as they are written.
    fn section(msids: &str, lines: &str) -> String {
        format!("m=audio 9 RTP/AVP 0\n{msids}\na=rtpmap:0 PCMU/8000\n{lines}").replace("\n\n", "\n")
    }

    #[test]
    fn xep_0339_s2_1() {
        let stream = "MLTJKIHilGn71fNQoszkQ4jlPTuS5vJyKVIv";
        let lines = format!("a=ssrc:1656081975 cname:Yv/wvbCdsDW2Prgd\na=ssrc:1656081975 msid:{stream} {stream}a0");
        let rtp = with(vec![source(1656081975, &["cname=Yv/wvbCdsDW2Prgd", &format!("msid={stream} {stream}a0")])]);
        reads(&section("", &lines), &rtp, &[]);
        check(&section(&format!("a=msid:{stream} {stream}a0"), &lines), &rtp);
    }

    #[test]
    fn xep_0339_s3() {
        let lines = "a=ssrc-group:FID 2301230316 386328120
            a=ssrc-group:FID 3139499595 2613715171
            a=ssrc:2301230316 cname:T5qvrIZj42v//eYQ
            a=ssrc:386328120 cname:uEYgNtStZyTF74sM
            a=ssrc:3139499595 cname:re8jhxkly9bxzuxr
            a=ssrc:2613715171 cname:f83avsiw6n1m7vi";
        let sources = [
            (2301230316, "cname=T5qvrIZj42v//eYQ"),
            (386328120, "cname=uEYgNtStZyTF74sM"),
            (3139499595, "cname=re8jhxkly9bxzuxr"),
            (2613715171, "cname=f83avsiw6n1m7vi"),
        ];
        let rtp = Rtp {
            source_groups: vec![group("FID", &[2301230316, 386328120]), group("FID", &[3139499595, 2613715171])],
            ..with(sources.iter().map(|(ssrc, cname)| source(*ssrc, &[cname])).collect())
        };
        check(&section("", lines), &rtp);
    }

    #[test]
    fn rfc_5576_s4_1_attributes() {
        let table = [
            // Without a value, with an empty one, with spaces and colons, twice, none at all.
            ("a=ssrc:1 foo", source(1, &["foo"])),
            ("a=ssrc:1 foo:", source(1, &["foo="])),
            ("a=ssrc:1 fmtp:96 a:b c=d", source(1, &["fmtp=96 a:b c=d"])),
            ("a=ssrc:1 previous-ssrc:2\na=ssrc:1 previous-ssrc:3", source(1, &["previous-ssrc=2", "previous-ssrc=3"])),
            ("a=ssrc:4294967295", source(4294967295, &[])),
        ];
        for (lines, source) in table {
            check(&section("", lines), &with(vec![source]));
        }
        // Lines of one source need not follow each other, and one without attributes says nothing more.
        let mixed = "a=ssrc:1 a:b\na=ssrc:2\na=ssrc:1\na=ssrc:1 c:d";
        reads(&section("", mixed), &with(vec![source(1, &["a=b", "c=d"]), source(2, &[])]), &[]);
    }

    #[test]
    fn rfc_5576_s4_2_groups() {
        let lines = "a=ssrc-group:SIM 1 2 3
            a=ssrc-group:FEC-FR 1 9
            a=ssrc-group:FID
            a=ssrc:1 cname:a";
        let rtp = Rtp {
            source_groups: vec![group("SIM", &[1, 2, 3]), group("FEC-FR", &[1, 9]), group("FID", &[])],
            ..with(vec![source(1, &["cname=a"])])
        };
        check(&section("", lines), &rtp);
    }

    #[test]
    fn xep_0167_s4_ssrc_is_a_source_without_attributes() {
        let rtp = Rtp { ssrc: Some(7), ..audio() };
        writes(&rtp, &section("", "a=ssrc:7"), &[]);
        reads(&section("", "a=ssrc:7"), &with(vec![source(7, &[])]), &[]);
        let rtp = Rtp { ssrc: Some(7), ..with(vec![source(7, &["a=b"])]) };
        writes(&rtp, &section("", "a=ssrc:7 a:b"), &[]);
    }

    #[test]
    fn rfc_8830_s2_msid_of_the_section() {
        // A section without sources.
        let rtp = Rtp { streams: vec![msid("s", "t"), msid("r", "t")], ..audio() };
        check(&section("a=msid:s t\na=msid:r t", ""), &rtp);
        let rtp = Rtp { streams: vec![msid("-", "")], ..audio() };
        check(&section("a=msid:-", ""), &rtp);
        reads(&section("a=msid:-\na=msid:-", ""), &rtp, &[]);
        // Sources without one get all; one that has its own keeps it.
        let lines = "a=ssrc:1 cname:c\na=ssrc:2 msid:s t\na=ssrc:3";
        let sources = vec![source(1, &["cname=c", "msid=s t", "msid=r t"]), source(2, &["msid=s t"]), source(3, &["msid=s t", "msid=r t"])];
        reads(&section("a=msid:s t\na=msid:r t", lines), &with(sources.clone()), &[]);
        let full = "a=ssrc:1 cname:c
            a=ssrc:1 msid:s t
            a=ssrc:1 msid:r t
            a=ssrc:2 msid:s t
            a=ssrc:3 msid:s t
            a=ssrc:3 msid:r t";
        check(&section("a=msid:s t\na=msid:r t", full), &with(sources));
    }

    #[test]
    fn rfc_8830_s2_streams_beside_sources() {
        // One that no source has.
        let rtp = Rtp { streams: vec![msid("r", "t")], ..with(vec![source(1, &["msid=s t"])]) };
        check(&section("a=msid:s t\na=msid:r t", "a=ssrc:1 msid:s t"), &rtp);
        // stanza.js has both, the stream for all sources.
        let rtp = Rtp { streams: vec![msid("s", "t")], ssrc: Some(2), ..with(vec![source(1, &["cname=c"])]) };
        let lines = section("a=msid:s t", "a=ssrc:1 cname:c\na=ssrc:1 msid:s t\na=ssrc:2 msid:s t");
        writes(&rtp, &lines, &[]);
        // One source has it, the other gets it.
        writes(&with(vec![source(1, &["msid=s t"]), source(2, &[])]), &section("a=msid:s t", "a=ssrc:1 msid:s t\na=ssrc:2 msid:s t"), &[]);
    }

    #[test]
    fn rfc_5576_s4_1_elements_of_one_source() {
        let rtp = with(vec![source(1, &["a=b"]), source(2, &["a"]), source(1, &["c=d"])]);
        writes(&rtp, &section("", "a=ssrc:1 a:b\na=ssrc:1 c:d\na=ssrc:2 a"), &[]);
    }

    #[test]
    fn rfc_8830_s2_one_track_for_a_section() {
        // Plan B has several tracks in a section, which RFC 8830 does not: they stay with their sources.
        let sources = vec![source(1, &["msid=s t"]), source(2, &["msid=s u"])];
        check(&section("", "a=ssrc:1 msid:s t\na=ssrc:2 msid:s u"), &with(sources.clone()));
        // Another stream beside them, one that a source has already, and a source that gets it.
        let rtp = Rtp { streams: vec![msid("r", "v")], ..with(sources.clone()) };
        let lines = section("a=msid:r v", "a=ssrc:1 msid:s t\na=ssrc:2 msid:s u");
        check(&lines, &rtp);
        writes(&Rtp { streams: vec![msid("r", "v"), msid("s", "t")], ..rtp }, &lines, &[]);
        let rtp = Rtp { streams: vec![msid("r", "v")], ..with([&sources[..], &[source(3, &[])]].concat()) };
        writes(&rtp, &section("", "a=ssrc:1 msid:s t\na=ssrc:2 msid:s u\na=ssrc:3 msid:r v"), &[]);
        // What is no msid is only the source's.
        for value in ["", "a b c"] {
            let rtp = with(vec![source(1, &[&format!("msid={value}"), "x"])]);
            check(&section("", &format!("a=ssrc:1 msid:{value}\na=ssrc:1 x")), &rtp);
        }
    }

    #[test]
    fn what_no_line_can_hold() {
        let rtp = Rtp {
            source_groups: vec![group("", &[1]), group("a b", &[1])],
            streams: vec![msid("", ""), msid("a b", ""), msid("a", "b c")],
            ..with(vec![source(1, &["=a", "a b=c", "a:b=c", "ok=d", "é=f"])])
        };
        let warnings = [
            "the names of stream '' are no words of SDP; left out",
            "the names of stream 'a b' are no words of SDP; left out",
            "the names of stream 'a' are no words of SDP; left out",
            "semantics '' of a group of sources are no token; left out",
            "semantics 'a b' of a group of sources are no token; left out",
            "attribute '' of source 1 cannot stand in SDP; left out",
            "attribute 'a b' of source 1 cannot stand in SDP; left out",
            "attribute 'a:b' of source 1 cannot stand in SDP; left out",
            "attribute 'é' of source 1 cannot stand in SDP; left out",
        ];
        writes(&rtp, &section("", "a=ssrc:1 ok:d"), &warnings);
    }

    #[test]
    fn bounds() {
        let ssrcs = 1..=u32::try_from(SOURCES_MAX).unwrap();
        let mut lines: String = ssrcs.clone().map(|ssrc| format!("a=ssrc:{ssrc} a:b\n")).collect();
        lines.push_str("a=ssrc:0 a:b\na=ssrc:0 c:d\na=ssrc:1 c:d");
        let mut sources: Vec<_> = ssrcs.map(|ssrc| source(ssrc, &["a=b"])).collect();
        sources[0] = source(1, &["a=b", "c=d"]);
        let warnings = ["259: more than 256 sources; left out", "260: more than 256 sources; left out"];
        reads(&section("", &lines), &with(sources), &warnings);
        let lines = "a=ssrc:1 a:b\n".repeat(PARAMETERS_MAX + 1);
        // A stream that its source has no room for stays one.
        let rtp = Rtp { streams: vec![msid("s", "")], ..with(vec![source(1, &["a=b"; PARAMETERS_MAX])]) };
        reads(
            &section("a=msid:s", &lines),
            &rtp,
            &["68: more than 64 attributes of a source; left out", "2: more than 64 attributes of a source; left out"],
        );
    }
}
