//! One candidate: XEP-0176 §5.3 and XEP-0371 §5.3 against `a=candidate` (RFC 8839 §5.1).

use smol_str::{SmolStr, ToSmolStr};

use super::words::{is_address, is_token, is_word};
use crate::jingle::candidate::{Candidate, CandidateType, EXTENSIONS_MAX};
use crate::jingle::rtp::Parameter;
use crate::sdp::line::Attribute;
use crate::sdp::warning::{Quoted, Warnings};

/// RFC 8839 §5.1: ten digits.
const PRIORITY_MAX: u64 = 9_999_999_999;

/// As an element has it: with an id, which SDP does not have, and extensions that are attributes.
pub(super) fn read(mut candidate: Candidate, before: usize, line: u32, warnings: &mut Warnings) -> Candidate {
    candidate.id = Some(smol_str::format_smolstr!("c{}", before + 1));
    lower(&mut candidate.protocol);
    let extensions = &mut candidate.extensions;
    let mut index = 0;
    while let Some(extension) = extensions.get(index) {
        let is_said = index < EXTENSIONS_MAX
            && Candidate::may_extend(&extension.name)
            && extensions[..index].iter().all(|other| other.name != extension.name);
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

/// Words that `a=candidate` has a meaning for: an extension of such a name would be read as another thing.
fn is_extension(name: &str) -> bool {
    is_word(name) && !matches!(name, "typ" | "raddr" | "rport" | "tcptype" | "generation" | "network-id")
}

/// The line, with what RFC 8839 requires and an element may leave out. `None`: SDP cannot say it.
pub(super) fn write(candidate: &Candidate, warnings: &mut Warnings) -> Option<Attribute> {
    if let Some(word) = unfit(candidate) {
        warnings.add(format_args!("a candidate is left out: {} has no place in SDP", Quoted(&word)));
        return None;
    }
    let mut line = candidate.clone();
    line.id = None;
    lower(&mut line.protocol);
    line.foundation.get_or_insert(SmolStr::new_static("0"));
    let kind = *line.kind.get_or_insert(CandidateType::Host);
    line.priority.get_or_insert_with(|| priority(kind, candidate.component));
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
    Some(Attribute::Candidate(Box::new(line)))
}

/// What of a candidate is not as RFC 8839 §5.1 has it.
fn unfit(candidate: &Candidate) -> Option<SmolStr> {
    let is_tcp_type = |text: &str| matches!(text, "active" | "passive" | "so");
    let unfit = |text: Option<&SmolStr>, is: fn(&str) -> bool| text.filter(|text| !is(text)).cloned();
    unfit(Some(&candidate.ip), is_address)
        .or_else(|| unfit(candidate.related.as_ref().map(|(address, _)| address), is_address))
        .or_else(|| unfit(Some(&candidate.protocol), is_token))
        .or_else(|| unfit(candidate.foundation.as_ref(), is_token))
        .or_else(|| unfit(candidate.tcp_type.as_ref(), is_tcp_type))
        .or_else(|| unfit(candidate.network.as_ref(), is_word))
        .or_else(|| candidate.priority.filter(|priority| *priority > PRIORITY_MAX).map(|priority| priority.to_smolstr()))
        .or_else(|| (candidate.component == 0).then(|| SmolStr::new_static("component 0")))
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
