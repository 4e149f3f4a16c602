//! `a=rtcp-fb` (RFC 4585 §4.2) against `<rtcp-fb/>` and `<rtcp-fb-trr-int/>` (XEP-0293 §5), of a payload type or, with `*`, of the description.

use super::words::{cut, is_word, push, without_empty_values, words};
use crate::jingle::rtp::{FEEDBACKS_MAX, Feedback, Feedbacks, PARAMETERS_MAX, Parameter};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// `a=rtcp-fb` but for `trr-int`.
pub(super) fn take(line: u32, mut feedback: Feedback, of: &mut Feedbacks, warnings: &mut Warnings) {
    cut(&mut feedback.parameters, PARAMETERS_MAX, line, "words of rtcp-fb", warnings);
    without_empty_values(&mut feedback.parameters);
    push(&mut of.messages, feedback, FEEDBACKS_MAX, line, "rtcp-fb of a payload type", warnings);
}

/// `a=rtcp-fb:… trr-int`.
pub(super) fn take_trr_int(line: u32, value: u32, of: &mut Feedbacks, warnings: &mut Warnings) {
    let first = *of.trr_int.get_or_insert(value);
    if first != value {
        warnings.at(line, format_args!("trr-int {value} after trr-int {first}; only the first counts"));
    }
}

/// The lines of a payload type, or of all.
pub(super) fn write(payload: Option<u8>, of: &Feedbacks, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let mut trr_int = of.trr_int;
    for feedback in &of.messages {
        if feedback.kind == "trr-int" {
            // Someone's own form of `<rtcp-fb-trr-int/>`.
            let value = feedback.subtype.as_deref().and_then(|word| word.parse().ok());
            if value.is_none() || trr_int.is_some_and(|first| Some(first) != value) {
                warnings.add(format_args!("a <rtcp-fb/> of type trr-int is left out: its value belongs into <rtcp-fb-trr-int/>"));
            }
            trr_int = trr_int.or(value);
        } else if let Some(feedback) = line(feedback) {
            out.push(Attribute::RtcpFb { payload, feedback }.into());
        } else {
            warnings.add(format_args!("rtcp-fb of type {} holds what is no word of SDP; left out", Quoted(&feedback.kind)));
        }
    }
    if let Some(value) = trr_int {
        out.push(Attribute::RtcpFbTrrInt { payload, value }.into());
    }
}

/// As it comes back, if it can be a line: the first word behind the type is the subtype.
fn line(feedback: &Feedback) -> Option<Feedback> {
    let Feedback { kind, subtype, parameters } = feedback;
    let fits = is_word(kind) && subtype.as_deref().is_none_or(is_word);
    let mut parameters = words(parameters).filter(|_| fits)?;
    let subtype = match subtype {
        Some(subtype) => Some(subtype.clone()),
        None if parameters.is_empty() => None,
        None => Some(match parameters.remove(0) {
            Parameter { name, value: Some(value) } => smol_str::format_smolstr!("{name}={value}"),
            Parameter { name, value: None } => name,
        }),
    };
    Some(Feedback { kind: kind.clone(), subtype, parameters })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{audio, check, feedbacks, payload, reads, rtp, writes};
    use super::*;
    use crate::jingle::rtp::{PayloadType, Rtp};

    fn with(of_payload: Feedbacks, of_all: Feedbacks) -> Rtp {
        let pcmu = PayloadType { feedback: of_payload, ..payload(0, "PCMU", 8000) };
        Rtp { feedback: of_all, ..rtp("audio", vec![pcmu]) }
    }

    fn section(lines: &str) -> String {
        format!("m=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n{lines}")
    }

    #[test]
    fn xep_0293_s5_example_4() {
        let h263 = PayloadType { feedback: feedbacks(&["nack rpsi"], Some(100)), ..payload(98, "H263-1998", 90000) };
        let rtp = Rtp { feedback: feedbacks(&["nack"], None), ..rtp("video", vec![h263, payload(99, "H261", 90000)]) };
        let print = "m=video 59172 RTP/AVPF 98 99
            a=rtpmap:98 H263-1998/90000
            a=rtpmap:99 H261/90000
            a=rtcp-fb:* nack
            a=rtcp-fb:98 nack rpsi
            a=rtcp-fb:98 trr-int 100";
        reads(print, &rtp, &[]);
        let section = "m=video 9 RTP/AVP 98 99
            a=rtpmap:98 H263-1998/90000
            a=rtcp-fb:98 nack rpsi
            a=rtcp-fb:98 trr-int 100
            a=rtpmap:99 H261/90000
            a=rtcp-fb:* nack";
        check(section, &rtp);
    }

    #[test]
    fn rfc_4585_s4_2_words() {
        let table: [(&str, Feedbacks); 5] = [
            ("a=rtcp-fb:0 ack rpsi", feedbacks(&["ack rpsi"], None)),
            // RFC 5104 §7.1.
            ("a=rtcp-fb:0 ccm tmmbr smaxpr=120", feedbacks(&["ccm tmmbr smaxpr=120"], None)),
            ("a=rtcp-fb:0 ccm vbcm 1 2", feedbacks(&["ccm vbcm 1 2"], None)),
            ("a=rtcp-fb:0 nack app a=b c", feedbacks(&["nack app a=b c"], None)),
            (
                "a=rtcp-fb:0 goog-remb\na=rtcp-fb:0 nack\na=rtcp-fb:0 nack pli\na=rtcp-fb:0 trr-int 0",
                feedbacks(&["goog-remb", "nack", "nack pli"], Some(0)),
            ),
        ];
        for (lines, expected) in table {
            check(&section(lines), &with(expected.clone(), Feedbacks::default()));
            check(&section(&lines.replace(":0 ", ":* ")), &with(Feedbacks::default(), expected));
        }
    }

    #[test]
    fn rfc_4585_s4_2_one_trr_int() {
        let lines = section("a=rtcp-fb:* trr-int 5\na=rtcp-fb:* trr-int 6\na=rtcp-fb:* trr-int 5");
        reads(&lines, &with(Feedbacks::default(), feedbacks(&[], Some(5))), &["4: trr-int 6 after trr-int 5; only the first counts"]);
        let warning = "a <rtcp-fb/> of type trr-int is left out: its value belongs into <rtcp-fb-trr-int/>";
        let table: [(Feedbacks, &str, &[&str]); 4] = [
            (feedbacks(&["trr-int 7"], None), "a=rtcp-fb:* trr-int 7", &[]),
            (feedbacks(&["trr-int 7"], Some(7)), "a=rtcp-fb:* trr-int 7", &[]),
            (feedbacks(&["trr-int 7"], Some(8)), "a=rtcp-fb:* trr-int 8", &[warning]),
            (feedbacks(&["trr-int", "nack"], None), "a=rtcp-fb:* nack", &[warning]),
        ];
        for (of_all, lines, warnings) in table {
            writes(&with(Feedbacks::default(), of_all), &section(lines), warnings);
        }
    }

    #[test]
    fn xep_0293_s3_forms_of_words() {
        let without_subtype = |texts: &[&str]| {
            let parameters = super::super::testing::parameters(texts);
            Feedbacks { messages: vec![Feedback { kind: "ccm".into(), subtype: None, parameters }], trr_int: None }
        };
        let table = [
            (without_subtype(&["fir", "x"]), "a=rtcp-fb:* ccm fir x"),
            (without_subtype(&["fir="]), "a=rtcp-fb:* ccm fir"),
            (without_subtype(&["a=b"]), "a=rtcp-fb:* ccm a=b"),
            (feedbacks(&["ccm fir x="], None), "a=rtcp-fb:* ccm fir x"),
        ];
        for (of_all, lines) in table {
            writes(&with(Feedbacks::default(), of_all), &section(lines), &[]);
        }
        for bad in ["", "a\nb", "a\tb"] {
            let warning = format!("rtcp-fb of type {} holds what is no word of SDP; left out", Quoted(bad));
            let messages = vec![Feedback { kind: bad.into(), ..Feedback::default() }];
            writes(&with(Feedbacks { messages, trr_int: None }, Feedbacks::default()), section("").trim(), &[&warning]);
        }
        assert_eq!(audio(), with(Feedbacks::default(), Feedbacks::default()));
    }
}
