//! `b=` of a section (RFC 8866 §5.8) against `<bandwidth/>` (XEP-0167 §6): one element for each line, though its schema has at most one.

use super::limits::{self, push};
use super::words::is_token;
use crate::jingle::rtp::Bandwidth;
use crate::sdp::warning::{Quoted, Warnings};

/// The `b=` lines, which stand behind the `m=` of this line.
pub(super) fn take(line: u32, lines: &[Bandwidth], warnings: &mut Warnings) -> Vec<Bandwidth> {
    let mut kept = Vec::with_capacity(lines.len().min(limits::BANDWIDTHS_MAX));
    for bandwidth in lines {
        push(&mut kept, bandwidth.clone(), limits::BANDWIDTHS_MAX, line, "bandwidths", warnings);
    }
    kept
}

/// The `b=` lines.
pub(super) fn write(bandwidths: &[Bandwidth], warnings: &mut Warnings) -> Vec<Bandwidth> {
    let mut lines = Vec::with_capacity(bandwidths.len());
    for bandwidth in bandwidths {
        if is_token(&bandwidth.kind) && !bandwidth.value.is_empty() && bandwidth.value.bytes().all(|byte| byte.is_ascii_digit()) {
            lines.push(bandwidth.clone());
        } else {
            warnings.add(format_args!("bandwidth {} of type {} is no number; left out", Quoted(&bandwidth.value), Quoted(&bandwidth.kind)));
        }
    }
    lines
}
