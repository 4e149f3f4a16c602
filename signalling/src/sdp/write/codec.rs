//! Attributes of payload types: RFC 8866 §6, RFC 4585 §4.2, RFC 8285 §5.

use super::attribute::{numbered, parameter};
use super::{number, pieces};
use crate::jingle::rtp::{Feedback, Parameter};
use crate::sdp::line::Direction;

pub(super) fn rtpmap(out: &mut String, payload: u8, name: &str, clockrate: Option<u32>, channels: Option<u8>) {
    numbered(out, "rtpmap:", payload.into());
    pieces(out, &[" ", name]);
    if let Some(clockrate) = clockrate {
        numbered(out, "/", clockrate);
        if let Some(channels) = channels {
            numbered(out, "/", channels.into());
        }
    }
}

pub(super) fn fmtp(out: &mut String, payload: u8, parameters: &[Parameter]) {
    numbered(out, "fmtp:", payload.into());
    for (index, parameter) in parameters.iter().enumerate() {
        out.push(if index == 0 { ' ' } else { ';' });
        self::parameter(out, parameter, '=');
    }
}

pub(super) fn rtcp_fb(out: &mut String, payload: Option<u8>, feedback: &Feedback) {
    of_rtcp_fb(out, payload);
    pieces(out, &[" ", &feedback.kind]);
    if let Some(subtype) = &feedback.subtype {
        pieces(out, &[" ", subtype]);
    }
    parameters(out, &feedback.parameters);
}

pub(super) fn trr_int(out: &mut String, payload: Option<u8>, interval: u32) {
    of_rtcp_fb(out, payload);
    numbered(out, " trr-int ", interval);
}

/// `None` is `*`.
fn of_rtcp_fb(out: &mut String, payload: Option<u8>) {
    out.push_str("rtcp-fb:");
    match payload {
        Some(payload) => number(out, payload.into()),
        None => out.push('*'),
    }
}

pub(super) fn extmap(out: &mut String, id: u16, direction: Option<Direction>, uri: &str, parameters: &[Parameter]) {
    numbered(out, "extmap:", id.into());
    if let Some(direction) = direction {
        pieces(out, &["/", direction.as_str()]);
    }
    pieces(out, &[" ", uri]);
    self::parameters(out, parameters);
}

fn parameters(out: &mut String, parameters: &[Parameter]) {
    for parameter in parameters {
        out.push(' ');
        self::parameter(out, parameter, '=');
    }
}
