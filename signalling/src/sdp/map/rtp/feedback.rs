//! `a=rtcp-fb` (RFC 4585 §4.2) against `<rtcp-fb/>` and `<rtcp-fb-trr-int/>` (XEP-0293 §5), of a payload type or, with `*`, of the description.

use super::limits::{self, cut, push};
use super::words::{is_parameter_word, is_word, word};
use crate::jingle::rtp::{Feedback, Feedbacks};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// `a=rtcp-fb` but for `trr-int`.
pub(super) fn take(line: u32, mut feedback: Feedback, of: &mut Feedbacks, warnings: &mut Warnings) {
    cut(&mut feedback.parameters, limits::PARAMETERS_MAX, line, "words of rtcp-fb", warnings);
    for parameter in &mut feedback.parameters {
        *parameter = word(std::mem::take(parameter));
    }
    push(&mut of.messages, feedback, limits::FEEDBACKS_MAX, line, "rtcp-fb of a payload type", warnings);
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
        } else if is_line(feedback) {
            out.push(Attribute::RtcpFb { payload, feedback: normal(feedback) }.into());
        } else {
            warnings.add(format_args!("rtcp-fb of type {} holds what is no word of SDP; left out", Quoted(&feedback.kind)));
        }
    }
    if let Some(value) = trr_int {
        out.push(Attribute::RtcpFbTrrInt { payload, value }.into());
    }
}

fn is_line(feedback: &Feedback) -> bool {
    is_word(&feedback.kind, b"")
        && feedback.subtype.as_ref().is_none_or(|subtype| is_word(subtype, b""))
        && feedback.parameters.iter().all(is_parameter_word)
}

/// As it comes back: the first word behind the type is the subtype.
fn normal(feedback: &Feedback) -> Feedback {
    let mut feedback = feedback.clone();
    for parameter in &mut feedback.parameters {
        *parameter = word(std::mem::take(parameter));
    }
    if feedback.subtype.is_none() && !feedback.parameters.is_empty() {
        let first = feedback.parameters.remove(0);
        feedback.subtype = Some(match first.value {
            Some(value) => smol_str::format_smolstr!("{}={value}", first.name),
            None => first.name,
        });
    }
    feedback
}
