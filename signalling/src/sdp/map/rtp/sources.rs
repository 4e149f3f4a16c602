//! `a=ssrc`, `a=ssrc-group` (RFC 5576 §4) and `a=msid` (RFC 8830 §2) against `<source/>` and `<ssrc-group/>` (XEP-0339).
//!
//! Jingle has `msid` as a parameter of a source only: a section's becomes one of each source that has none, and stands in a `<stream/>` where
//! no source has it. Back, a section has both forms.

use smol_str::SmolStr;

use super::words::{cut, is_rest, is_token, is_word, push, trimmed};
use crate::jingle::rtp::{Msid, PARAMETERS_MAX, Parameter, Rtp, SOURCE_GROUPS_MAX, SOURCES_MAX, STREAMS_MAX, Source, SourceGroup};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

const MSID: &str = "msid";

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
            let texts: Vec<SmolStr> = msids.iter().map(text).collect();
            for source in sources.iter_mut().filter(|source| msids_of(source).next().is_none()) {
                for text in &texts {
                    let parameter = Parameter { name: SmolStr::new_static(MSID), value: Some(text.clone()) };
                    push(&mut source.parameters, parameter, PARAMETERS_MAX, msid_line, "attributes of a source", warnings);
                }
            }
            let is_free = |text: &SmolStr| !sources.iter().any(|source| msids_of(source).any(|msid| msid == text));
            rtp.streams = msids.into_iter().zip(&texts).filter(|(_, text)| is_free(text)).map(|(msid, _)| msid).collect();
        }
        rtp.sources = sources;
        rtp.source_groups = groups;
    }
}

fn msids_of(source: &Source) -> impl Iterator<Item = &SmolStr> {
    source.parameters.iter().filter(|parameter| parameter.name == MSID).filter_map(|parameter| parameter.value.as_ref())
}

/// As a parameter's value.
fn text(msid: &Msid) -> SmolStr {
    match &msid.track {
        Some(track) => smol_str::format_smolstr!("{} {track}", msid.stream),
        None => msid.stream.clone(),
    }
}

/// A parameter's value as a line of its own, if it can be one.
fn parse(text: &str) -> Option<Msid> {
    let text = text.trim_matches([' ', '\t']);
    let (stream, track) = text.split_once(' ').map_or((text, None), |(stream, track)| (stream, Some(track)));
    let fits = is_word(stream) && track.is_none_or(is_word);
    fits.then(|| Msid { stream: stream.into(), track: track.map(SmolStr::new) })
}

/// `a=msid`: of sources if all are one track's (RFC 8830 §2), so that browsers take what was meant for Plan B; of streams always.
pub(super) fn write_msids(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let mut msids = of_sources(&rtp.sources);
    for stream in &rtp.streams {
        if !is_word(&stream.stream) || stream.track.as_ref().is_some_and(|track| !is_word(track)) {
            warnings.add(format_args!("the names of stream {} are no words of SDP; left out", Quoted(&stream.stream)));
        } else if !msids.contains(stream) {
            msids.push(stream.clone());
        }
    }
    out.extend(msids.into_iter().map(|msid| Attribute::Msid(msid).into()));
}

fn of_sources(sources: &[Source]) -> Vec<Msid> {
    let (mut msids, mut last) = (Vec::<Msid>::new(), None);
    for text in sources.iter().flat_map(msids_of) {
        // Sources of one track repeat it.
        if last == Some(text) {
            continue;
        }
        last = Some(text);
        let Some(msid) = parse(text) else { continue };
        if msids.first().is_some_and(|first| first.track != msid.track) {
            return Vec::new();
        }
        if msids.len() < STREAMS_MAX && !msids.contains(&msid) {
            msids.push(msid);
        }
    }
    msids
}

/// `a=ssrc-group` and `a=ssrc`.
pub(super) fn write(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    for group in &rtp.source_groups {
        if is_token(&group.semantics) {
            out.push(Attribute::SsrcGroup { semantics: group.semantics.clone(), sources: group.sources.clone() }.into());
        } else {
            warnings.add(format_args!("semantics {} of a group of sources are no token; left out", Quoted(&group.semantics)));
        }
    }
    for source in &rtp.sources {
        write_source(source, out, warnings);
    }
    // XEP-0167 §4 has one without parameters as an attribute.
    if let Some(ssrc) = rtp.ssrc.filter(|ssrc| !rtp.sources.iter().any(|source| source.ssrc == *ssrc)) {
        out.push(Attribute::Ssrc { ssrc, parameter: Parameter::default() }.into());
    }
}

fn write_source(source: &Source, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let ssrc = source.ssrc;
    let before = out.len();
    for Parameter { name, value } in &source.parameters {
        if is_token(name) && value.as_ref().is_none_or(|value| is_rest(value, b"")) {
            let parameter = Parameter { name: name.clone(), value: value.as_ref().map(trimmed) };
            out.push(Attribute::Ssrc { ssrc, parameter }.into());
        } else {
            warnings.add(format_args!("attribute {} of source {ssrc} cannot stand in SDP; left out", Quoted(name)));
        }
    }
    if out.len() == before {
        out.push(Attribute::Ssrc { ssrc, parameter: Parameter::default() }.into());
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
        let rtp = Rtp { streams: vec![msid("s", "t")], ..with(vec![source(1, &["cname=c"])]) };
        let lines = section("a=msid:s t", "a=ssrc:1 cname:c");
        writes(&rtp, &lines, &[]);
        reads(&lines, &with(vec![source(1, &["cname=c", "msid=s t"])]), &[]);
    }

    #[test]
    fn rfc_8830_s2_one_track_for_a_section() {
        // Plan B has several tracks in a section, which RFC 8830 does not: they stay with their sources.
        let sources = vec![source(1, &["msid=s t"]), source(2, &["msid=s u"])];
        check(&section("", "a=ssrc:1 msid:s t\na=ssrc:2 msid:s u"), &with(sources));
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
