//! `a=ssrc`, `a=ssrc-group` (RFC 5576 §4) and `a=msid` (RFC 8830 §2) against `<source/>` and `<ssrc-group/>` (XEP-0339).
//!
//! Jingle has `msid` as a parameter of a source only: a section's becomes one of each source that has none, and stands in a `<stream/>` where
//! no source has it. Back, a section has both forms.

use smol_str::SmolStr;

use super::limits::{self, cut, push};
use super::words::{is_rest, is_token, is_word, trimmed};
use crate::jingle::rtp::{Msid, Parameter, Rtp, Source, SourceGroup};
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
            push(&mut self.sources, Source { ssrc, parameters: Vec::new() }, limits::SOURCES_MAX, line, "sources", warnings);
            self.sources.len() - 1
        });
        let source = &mut self.sources[place];
        if source.ssrc == ssrc && !parameter.name.is_empty() {
            push(&mut source.parameters, parameter, limits::PARAMETERS_MAX, line, "attributes of a source", warnings);
        }
    }

    /// `a=ssrc-group`, also of sources that no other line names.
    pub fn group(&mut self, line: u32, mut group: SourceGroup, warnings: &mut Warnings) {
        cut(&mut group.sources, limits::GROUP_SOURCES_MAX, line, "sources in a group", warnings);
        push(&mut self.groups, group, limits::SOURCE_GROUPS_MAX, line, "ssrc-group", warnings);
    }

    /// `a=msid`: several are one track in several streams.
    pub fn msid(&mut self, line: u32, msid: Msid, warnings: &mut Warnings) {
        if self.msids.contains(&msid) {
            return;
        }
        if self.msids.is_empty() {
            self.msid_line = line;
        }
        push(&mut self.msids, msid, limits::STREAMS_MAX, line, "msid", warnings);
    }

    pub fn finish(self, rtp: &mut Rtp, warnings: &mut Warnings) {
        let Self { mut sources, groups, msids, msid_line } = self;
        if !msids.is_empty() {
            let texts: Vec<SmolStr> = msids.iter().map(text).collect();
            for source in sources.iter_mut().filter(|source| msids_of(source).next().is_none()) {
                for text in &texts {
                    let parameter = Parameter { name: SmolStr::new_static(MSID), value: Some(text.clone()) };
                    push(&mut source.parameters, parameter, limits::PARAMETERS_MAX, msid_line, "attributes of a source", warnings);
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
    let (stream, track) = match text.split_once(' ') {
        Some((stream, track)) => (stream, Some(track)),
        None => (text, None),
    };
    let fits = is_word(stream) && track.is_none_or(|track| is_word(track));
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
        if msids.len() < limits::STREAMS_MAX && !msids.contains(&msid) {
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
