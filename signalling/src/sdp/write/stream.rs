//! Attributes that name sections, sources, streams and channels: RFC 5888, RFC 5576 §4, RFC 8830 §2, RFC 8841.

use smol_str::SmolStr;

use super::attribute::{numbered, parameter};
use super::pieces;
use crate::jingle::rtp::{Msid, Parameter};

pub(super) fn group(out: &mut String, semantics: &str, mids: &[SmolStr]) {
    pieces(out, &["group:", semantics]);
    for mid in mids {
        pieces(out, &[" ", mid]);
    }
}

pub(super) fn ssrc(out: &mut String, ssrc: u32, parameter: &Parameter) {
    numbered(out, "ssrc:", ssrc);
    if !parameter.name.is_empty() {
        out.push(' ');
        self::parameter(out, parameter, ':');
    }
}

pub(super) fn ssrc_group(out: &mut String, semantics: &str, sources: &[u32]) {
    pieces(out, &["ssrc-group:", semantics]);
    for source in sources {
        numbered(out, " ", *source);
    }
}

pub(super) fn msid(out: &mut String, msid: &Msid) {
    pieces(out, &["msid:", &msid.stream]);
    if let Some(track) = &msid.track {
        pieces(out, &[" ", track]);
    }
}

pub(super) fn sctpmap(out: &mut String, port: u16, protocol: &str, streams: Option<u16>) {
    numbered(out, "sctpmap:", port.into());
    pieces(out, &[" ", protocol]);
    if let Some(streams) = streams {
        numbered(out, " ", streams.into());
    }
}
