//! `a=extmap` (RFC 8285 §5) against `<rtp-hdrext/>` (XEP-0294 §5).
//!
//! Directions go by the role of the party, as contents' do. XEP-0294's example 5 turns an offer's `recvonly` into `initiator`, against that.

use super::words::{cut, is_word, push, without_empty_values, words};
use crate::jingle::content::Party;
use crate::jingle::rtp::{HEADER_EXTENSIONS_MAX, HeaderExtension, PARAMETERS_MAX, Rtp};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::map::senders;
use crate::sdp::warning::{Quoted, Warnings};

/// `a=extmap`, with the senders instead of the direction.
pub(super) fn take(line: u32, mut extension: HeaderExtension, of: &mut Vec<HeaderExtension>, warnings: &mut Warnings) {
    cut(&mut extension.parameters, PARAMETERS_MAX, line, "words of extmap", warnings);
    without_empty_values(&mut extension.parameters);
    push(of, extension, HEADER_EXTENSIONS_MAX, line, "extmap", warnings);
}

/// `a=extmap` and `a=extmap-allow-mixed`.
pub(super) fn write(rtp: &Rtp, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    for HeaderExtension { id, uri, senders, parameters } in &rtp.header_extensions {
        let parameters = words(parameters).filter(|_| *id > 0 && is_word(uri));
        let Some(parameters) = parameters else {
            warnings.add(format_args!("header extension {id}, {}, holds what is no word of extmap; left out", Quoted(uri)));
            continue;
        };
        let direction = senders.map(|senders| senders::to_direction(senders, party));
        out.push(Attribute::Extmap { id: *id, direction, uri: uri.clone(), parameters }.into());
    }
    if rtp.extmap_allow_mixed {
        out.push(Attribute::ExtmapAllowMixed.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{audio, check, parameter, parameters, read, reads, write, writes};
    use super::*;
    use crate::jingle::content::Senders;

    fn with(extensions: &[(u16, &str, Option<Senders>, &[&str])]) -> Rtp {
        let extension = |(id, uri, senders, texts): &(u16, &str, Option<Senders>, &[&str])| HeaderExtension {
            id: *id,
            uri: (*uri).into(),
            senders: *senders,
            parameters: parameters(texts),
        };
        Rtp { header_extensions: extensions.iter().map(extension).collect(), ..audio() }
    }

    fn section(lines: &str) -> String {
        format!("m=audio 9 RTP/AVP 0\n{lines}\na=rtpmap:0 PCMU/8000")
    }

    #[test]
    fn xep_0294_s5_example_4() {
        let lines = "a=extmap:1 URI-toffset
            a=extmap:2/recvonly URI-gps-string
            a=extmap:3 URI-frametype
            a=extmap-allow-mixed";
        // The XEP has `initiator` for the second.
        let extensions =
            with(&[(1, "URI-toffset", None, &[]), (2, "URI-gps-string", Some(Senders::Responder), &[]), (3, "URI-frametype", None, &[])]);
        check(&section(lines), &Rtp { extmap_allow_mixed: true, ..extensions });
    }

    #[test]
    fn xep_0294_s4_example_1() {
        // Of two that exclude each other both have one identifier, beyond those of RFC 8285 §5.
        let lines = "a=extmap:1 urn:ietf:params:rtp-hdrext:toffset
            a=extmap:4907 urn:ietf:params:rtp-hdrext:ntp-64
            a=extmap:4907 urn:ietf:params:rtp-hdrext:ntp-56";
        let extensions = [(1, "toffset"), (4907, "ntp-64"), (4907, "ntp-56")].map(|(id, name)| HeaderExtension {
            id,
            uri: format!("urn:ietf:params:rtp-hdrext:{name}").into(),
            ..HeaderExtension::default()
        });
        check(&section(lines), &Rtp { header_extensions: extensions.into(), ..audio() });
    }

    #[test]
    fn rfc_8285_s5_parameters_and_encryption() {
        // RFC 6904 §4 puts the URI that is encrypted behind its own.
        let lines = "a=extmap:3/sendrecv urn:ietf:params:rtp-hdrext:encrypt urn:ietf:params:rtp-hdrext:smpte-tc 25@600/24
            a=extmap:4 u a=b c
            a=extmap:5/inactive u";
        let extensions = with(&[
            (3, "urn:ietf:params:rtp-hdrext:encrypt", Some(Senders::Both), &["urn:ietf:params:rtp-hdrext:smpte-tc", "25@600/24"]),
            (4, "u", None, &["a=b", "c"]),
            (5, "u", Some(Senders::None), &[]),
        ]);
        check(&section(lines), &extensions);
    }

    #[test]
    fn directions_go_by_the_role() {
        let lines = section("a=extmap:1/sendonly u\na=extmap:2/recvonly u");
        for (party, first, second) in
            [(Party::Initiator, Senders::Initiator, Senders::Responder), (Party::Responder, Senders::Responder, Senders::Initiator)]
        {
            let rtp = with(&[(1, "u", Some(first), &[]), (2, "u", Some(second), &[])]);
            assert_eq!(read(party, &lines), (rtp.clone(), Vec::new()));
            assert_eq!(write(party, &rtp), (format!("{lines}\n"), Vec::new()));
        }
    }

    #[test]
    fn what_no_line_can_hold() {
        let table = [(0, "u", "a"), (1, "", "a"), (1, "a b", "a"), (1, "u", ""), (1, "u", "a b"), (1, "u\r\na=b", "a")];
        for (id, uri, word) in table {
            let warning = format!("header extension {id}, {}, holds what is no word of extmap; left out", Quoted(uri));
            writes(&with(&[(id, uri, None, &[word]), (7, "v", None, &["a="])]), &section("a=extmap:7 v a"), &[&warning]);
        }
        let mut many = with(&[]);
        many.header_extensions.resize(HEADER_EXTENSIONS_MAX, HeaderExtension { id: 1, uri: "u".into(), ..HeaderExtension::default() });
        let lines = "a=extmap:1 u\n".repeat(HEADER_EXTENSIONS_MAX);
        reads(&section(&format!("{lines}a=extmap:2 v")), &many, &["258: more than 256 extmap; left out"]);
        let words = " a".repeat(PARAMETERS_MAX + 1);
        let mut cut = with(&[(1, "u", None, &[])]);
        cut.header_extensions[0].parameters.resize(PARAMETERS_MAX, parameter("a"));
        reads(&section(&format!("a=extmap:1 u{words}")), &cut, &["2: more than 64 words of extmap; the rest is left out"]);
    }
}
