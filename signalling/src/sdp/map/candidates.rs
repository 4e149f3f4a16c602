//! One candidate: XEP-0176 §5.3 and XEP-0371 §5.3 against `a=candidate` (RFC 8839 §5.1).

use smol_str::{SmolStr, ToSmolStr};

use super::words::{is_ncname, is_word};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::rtp::Parameter;
use crate::sdp::line::Attribute;
use crate::sdp::warning::{Quoted, Warnings};

/// As an element has it: with an id, which SDP does not have, and extensions that are attributes.
pub(super) fn read(mut candidate: Candidate, before: usize, line: u32, warnings: &mut Warnings) -> Candidate {
    candidate.id = Some(smol_str::format_smolstr!("c{}", before + 1));
    lower(&mut candidate.protocol);
    // 0 is what XEP-0176 makes of no network at all.
    candidate.network = candidate.network.filter(|network| network != "0");
    let extensions = &mut candidate.extensions;
    let mut index = 0;
    while let Some(extension) = extensions.get(index) {
        let is_said = is_attribute(&extension.name) && extensions[..index].iter().all(|other| other.name != extension.name);
        if is_said {
            index += 1;
            continue;
        }
        warnings.at(
            line,
            format_args!(
                "the candidate's extension {} is left out: an element has no such attribute, or has it already",
                Quoted(&extension.name)
            ),
        );
        extensions.remove(index);
    }
    candidate
}

/// Whether an extension can be an attribute of its name.
fn is_attribute(name: &str) -> bool {
    const DEFINED: [&str; 14] = [
        "component",
        "foundation",
        "generation",
        "id",
        "ip",
        "network",
        "port",
        "priority",
        "protocol",
        "rel-addr",
        "rel-port",
        "rel_port",
        "tcptype",
        "type",
    ];
    is_ncname(name) && name != "xmlns" && !DEFINED.contains(&name)
}

/// Words that `a=candidate` has a meaning for: an extension of such a name would be read as another thing.
fn is_extension(name: &str) -> bool {
    is_word(name) && !matches!(name, "typ" | "raddr" | "rport" | "tcptype" | "generation" | "network-id" | "network")
}

/// The line, with what RFC 8839 requires and an element may leave out. `None`: SDP cannot say it.
pub(super) fn write(candidate: &Candidate, warnings: &mut Warnings) -> Option<Attribute> {
    let words = [
        Some(&candidate.ip),
        Some(&candidate.protocol),
        candidate.foundation.as_ref(),
        candidate.tcp_type.as_ref(),
        candidate.network.as_ref(),
    ];
    let related = candidate.related.as_ref().map(|(address, _)| address);
    if let Some(word) = words.into_iter().chain([related]).flatten().find(|word| !is_word(word)) {
        warnings.add(format_args!("a candidate is left out: {} is not one word", Quoted(word)));
        return None;
    }
    let mut line = candidate.clone();
    line.id = None;
    lower(&mut line.protocol);
    line.foundation.get_or_insert(SmolStr::new_static("0"));
    let kind = *line.kind.get_or_insert(CandidateType::Host);
    line.priority.get_or_insert_with(|| priority(kind, candidate.component));
    line.network = line.network.filter(|network| network != "0");
    line.extensions.retain(|Parameter { name, value }| {
        let is_said = is_extension(name) && value.as_ref().is_some_and(|value| is_word(value));
        if !is_said {
            warnings.add(format_args!(
                "the candidate's extension {} is left out: SDP has two words for each, and none of its own",
                Quoted(name)
            ));
        }
        is_said
    });
    Some(Attribute::Candidate(line))
}

/// RFC 8445 §5.1.2.1 and §5.1.2.2, of the only network that there is.
fn priority(kind: CandidateType, component: u8) -> u64 {
    let preference = match kind {
        CandidateType::Host => 126,
        CandidateType::PeerReflexive => 110,
        CandidateType::ServerReflexive => 100,
        CandidateType::Relay => 0,
    };
    (preference << 24) + (65_535 << 8) + 256 - u64::from(component)
}

/// RFC 8839 §5.1 has `UDP` too, and compares without case; XEP-0176 has `udp`.
fn lower(protocol: &mut SmolStr) {
    if protocol.bytes().any(|byte| byte.is_ascii_uppercase()) {
        *protocol = protocol.to_ascii_lowercase().into();
    }
}
