//! `a=rtcp-fb` (RFC 4585 §4.2) against `<rtcp-fb/>` and `<rtcp-fb-trr-int/>` (XEP-0293 §5), of a payload type or, with `*`, of the description.

use super::limits::{self, cut, push};
use super::words::{is_word, without_empty_values, words};
use crate::jingle::rtp::{Feedback, Feedbacks, Parameter};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// `a=rtcp-fb` but for `trr-int`.
pub(super) fn take(line: u32, mut feedback: Feedback, of: &mut Feedbacks, warnings: &mut Warnings) {
    cut(&mut feedback.parameters, limits::PARAMETERS_MAX, line, "words of rtcp-fb", warnings);
    without_empty_values(&mut feedback.parameters);
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
    let kind = Some(&feedback.kind).filter(|kind| is_word(kind))?.clone();
    let mut parameters = words(&feedback.parameters)?;
    let subtype = match &feedback.subtype {
        Some(subtype) => Some(Some(subtype).filter(|subtype| is_word(subtype))?.clone()),
        None if parameters.is_empty() => None,
        None => Some(match parameters.remove(0) {
            Parameter { name, value: Some(value) } => smol_str::format_smolstr!("{name}={value}"),
            Parameter { name, value: None } => name,
        }),
    };
    Some(Feedback { kind, subtype, parameters })
}
