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

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, content, read, through};
    use super::*;
    use crate::jingle::content::Party;

    #[test]
    fn rfc_8839_s5_1_every_form_comes_back() {
        let candidates = [
            "1 1 udp 2130706431 10.0.1.1 8998 typ host generation 0",
            "2 2 udp 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 generation 3",
            "Hc0a8 1 tcp 1518149375 192.0.2.3 9 typ host tcptype active generation 0 network-cost 10 network-id 2",
            "1 1 udp 2122260223 3f3b2c6a.local 50000 typ host generation 0 ufrag 8hhY network-id 1",
            "1 1 udp 1 2001:db8::7 50000 typ prflx raddr :: rport 0 generation 0 network-id 0",
            "1 1 udp 1 host.example.com 50000 typ relay generation 0",
        ];
        for candidate in candidates {
            let body = through(&format!("{AUDIO}\na=candidate:{candidate}"));
            assert!(body.contains(&format!("\na=candidate:{candidate}\n")), "{candidate} in {body}");
        }
        let body = through(&format!("{AUDIO}\na=candidate:1 1 UDP 1 192.0.2.3 5 typ host"));
        assert!(body.contains("\na=candidate:1 1 udp 1 192.0.2.3 5 typ host generation 0\n"), "{body}");
    }

    #[test]
    fn ids_are_given_by_place() {
        let lines = "\na=candidate:1 1 udp 1 192.0.2.3 5 typ host\na=candidate:1 2 udp 1 192.0.2.3 6 typ host";
        let candidates = content(&format!("{AUDIO}{lines}")).transport.unwrap().candidates;
        let ids: Vec<_> = candidates.iter().map(|candidate| candidate.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["c1", "c2"]);
    }

    #[test]
    fn extensions_that_no_attribute_can_be_are_left_out() {
        let line = "a=candidate:1 1 udp 1 192.0.2.3 5 typ host a b a c id d 1x e network f xmlns g svn 1";
        let (description, warnings) = read(Party::Initiator, &format!("{AUDIO}\n{line}"));
        let names: Vec<_> = description.sections[0].content.transport.as_ref().unwrap().candidates[0]
            .extensions
            .iter()
            .map(|extension| &*extension.name)
            .collect();
        assert_eq!(names, ["a", "svn"]);
        assert_eq!(warnings.len(), 5, "{warnings:?}");
        assert_eq!(warnings[0], "line 9: the candidate's extension 'a' is left out: an element has no such attribute, or has it already");
    }

    #[test]
    fn rfc_8445_s5_1_2_1_priority_and_foundation_of_who_says_none() {
        let table = [
            (CandidateType::Host, 1, 2_130_706_431),
            (CandidateType::PeerReflexive, 1, 1_862_270_975),
            (CandidateType::ServerReflexive, 2, 1_694_498_814),
            (CandidateType::Relay, 1, 16_777_215),
        ];
        for (kind, component, expected) in table {
            let bare =
                Candidate { component, ip: "192.0.2.3".into(), port: 5, protocol: "udp".into(), kind: Some(kind), ..Candidate::default() };
            let Some(Attribute::Candidate(line)) = write(&bare, &mut Warnings::default()) else { panic!("{kind:?}") };
            assert_eq!((line.priority, line.foundation.as_deref()), (Some(expected), Some("0")), "{kind:?}");
        }
    }

    #[test]
    fn what_no_line_can_hold() {
        let good = Candidate {
            component: 1,
            ip: "192.0.2.3".into(),
            port: 5,
            protocol: "udp".into(),
            kind: Some(CandidateType::Host),
            ..Candidate::default()
        };
        let bad = [
            Candidate { ip: "192.0.2.3 9 typ relay".into(), ..good.clone() },
            Candidate { ip: "x\r\na=mid:y".into(), ..good.clone() },
            Candidate { component: 0, ..good.clone() },
            Candidate { protocol: "".into(), ..good.clone() },
            Candidate { foundation: Some("a b".into()), ..good.clone() },
            Candidate { priority: Some(10_000_000_000), ..good.clone() },
            Candidate { related: Some(("".into(), 1)), ..good.clone() },
            Candidate { tcp_type: Some("none".into()), ..good.clone() },
            Candidate { network: Some("1 2".into()), ..good.clone() },
        ];
        for candidate in bad {
            let mut warnings = Warnings::default();
            assert_eq!(write(&candidate, &mut warnings), None, "{candidate:?}");
            assert_eq!(warnings.into_vec().len(), 1, "{candidate:?}");
        }
        let extension = |name: &str, value: &str| Parameter { name: name.into(), value: Some(value.into()) };
        let extensions =
            vec![extension("ok", "1"), extension("typ", "relay"), extension("a b", "c"), extension("a", "b c"), extension("a", "")];
        let mut warnings = Warnings::default();
        let Some(Attribute::Candidate(line)) = write(&Candidate { extensions, ..good }, &mut warnings) else { panic!() };
        assert_eq!((line.extensions, warnings.into_vec().len()), (vec![extension("ok", "1")], 4));
    }
}
