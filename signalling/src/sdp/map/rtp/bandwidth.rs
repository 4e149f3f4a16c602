//! `b=` of a section (RFC 8866 §5.8) against `<bandwidth/>` (XEP-0167 §6): one element for each line, though its schema has at most one.

use super::words::{is_digits, is_token, push};
use crate::jingle::rtp::{BANDWIDTHS_MAX, Bandwidth};
use crate::sdp::warning::{Quoted, Warnings};

/// The `b=` lines, which stand behind the `m=` of this line.
pub(super) fn take(line: u32, lines: &[Bandwidth], warnings: &mut Warnings) -> Vec<Bandwidth> {
    let mut kept = Vec::with_capacity(lines.len().min(BANDWIDTHS_MAX));
    for bandwidth in lines {
        push(&mut kept, bandwidth.clone(), BANDWIDTHS_MAX, line, "bandwidths", warnings);
    }
    kept
}

/// The `b=` lines.
pub(super) fn write(bandwidths: &[Bandwidth], warnings: &mut Warnings) -> Vec<Bandwidth> {
    let mut lines = Vec::with_capacity(bandwidths.len());
    for bandwidth in bandwidths {
        if is_token(&bandwidth.kind) && is_digits(&bandwidth.value) {
            lines.push(bandwidth.clone());
        } else {
            warnings.add(format_args!("bandwidth {} of type {} is no number; left out", Quoted(&bandwidth.value), Quoted(&bandwidth.kind)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::testing::{audio, check, reads, writes};
    use super::*;
    use crate::jingle::rtp::Rtp;

    fn with(bandwidths: &[(&str, &str)]) -> Rtp {
        let bandwidth = |(kind, value): &(&str, &str)| Bandwidth { kind: (*kind).into(), value: (*value).into() };
        Rtp { bandwidths: bandwidths.iter().map(bandwidth).collect(), ..audio() }
    }

    fn section(lines: &str) -> String {
        format!("m=audio 9 RTP/AVP 0\n{lines}\na=rtpmap:0 PCMU/8000").replace("\n\n", "\n")
    }

    #[test]
    fn rfc_8866_s5_8() {
        let lines = "b=AS:128
            b=TIAS:128000
            b=RR:0
            b=RS:0
            b=X-YZ:128
            b=AS:64";
        check(&section(lines), &with(&[("AS", "128"), ("TIAS", "128000"), ("RR", "0"), ("RS", "0"), ("X-YZ", "128"), ("AS", "64")]));
    }

    #[test]
    fn what_no_line_can_hold() {
        let table =
            [("AS", "", "bandwidth '' of type 'AS'"), ("AS", "1.5", "bandwidth '1.5' of type 'AS'"), ("", "1", "bandwidth '1' of type ''")];
        for (kind, value, shown) in table {
            let warning = format!("{shown} is no number; left out");
            writes(&with(&[(kind, value), ("CT", "1")]), &section("b=CT:1"), &[&warning]);
        }
        let lines = "b=AS:1\n".repeat(BANDWIDTHS_MAX + 1);
        reads(&section(&lines), &with(&[("AS", "1"); BANDWIDTHS_MAX]), &["1: more than 16 bandwidths; left out"]);
    }
}
