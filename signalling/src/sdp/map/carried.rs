//! Lines that Jingle has no element for: they are carried as they are, and come back at the same level.

use smol_str::{SmolStr, SmolStrBuilder};

use super::words::push;
use crate::jingle::content::{CARRIED_MAX, Carried};
use crate::jingle::rtp::Bandwidth;
use crate::sdp::line::{Attribute, Numbered, OtherLine};
use crate::sdp::parse::{self, parse_attribute};
use crate::sdp::warning::{Quoted, Warnings};

/// Carries an attribute; those of ours are not carried but read.
pub(super) fn keep_attribute(name: &SmolStr, value: Option<&str>, line: u32, kept: &mut Vec<Carried>, warnings: &mut Warnings) {
    if is_ours(name) {
        warnings.at(line, format_args!("a={name} is left out: it has no place here, or no value that it could have"));
        return;
    }
    let value = match value {
        None => name.clone(),
        Some(value) => join(name, ':', value),
    };
    push(kept, Carried { kind: 'a', value }, CARRIED_MAX, line, "carried lines", warnings);
}

/// Carries `i=`, `u=` and so on.
pub(super) fn keep_lines(lines: Vec<OtherLine>, kept: &mut Vec<Carried>, warnings: &mut Warnings) {
    for OtherLine { line, kind, value } in lines {
        if kind == 'k' {
            // RFC 8866 §5.12: out of use, and a key that nobody should see.
            warnings.at(line, format_args!("k= is left out: RFC 8866 §5.12"));
        } else {
            push(kept, Carried { kind, value }, CARRIED_MAX, line, "carried lines", warnings);
        }
    }
}

/// A `b=` that is no content's own.
pub(super) fn bandwidth(bandwidth: &Bandwidth) -> Carried {
    Carried { kind: 'b', value: join(&bandwidth.kind, ':', &bandwidth.value) }
}

fn join(before: &str, between: char, after: &str) -> SmolStr {
    let mut joined = SmolStrBuilder::new();
    joined.push_str(before);
    joined.push(between);
    joined.push_str(after);
    joined.finish()
}

/// The attribute again, if it is one that has no element: the line could be any text.
pub(super) fn to_attribute(line: &Carried, warnings: &mut Warnings) -> Option<Numbered> {
    match parse_attribute(&line.value) {
        Ok(attribute @ Attribute::Other { .. }) if !is_ours(name(&attribute)) => Some(attribute.into()),
        _ => {
            unknown(line, warnings);
            None
        }
    }
}

/// The `b=` again.
pub(super) fn to_bandwidth(line: &Carried, warnings: &mut Warnings) -> Option<Bandwidth> {
    to_other(line, warnings)?;
    let (kind, value) = line.value.split_once(':')?;
    Some(Bandwidth { kind: kind.trim().into(), value: value.trim().into() })
}

/// Another line again.
pub(super) fn to_other(line: &Carried, warnings: &mut Warnings) -> Option<OtherLine> {
    if parse::is_field(line.kind, &line.value) {
        return Some(OtherLine { line: 0, kind: line.kind, value: line.value.clone() });
    }
    unknown(line, warnings);
    None
}

/// Says that a line is not written.
pub(super) fn unknown(line: &Carried, warnings: &mut Warnings) {
    warnings.add(format_args!("the carried line {}={} is left out: SDP has no such line here", line.kind, Quoted(&line.value)));
}

/// Without the marks and names of ours, which are no lines of SDP: they are for one stanza.
pub(super) fn without_ours(lines: &mut Vec<Carried>) {
    lines.retain(|line| line.kind != 'a' || !is_ours(&line.value));
}

/// The attributes that carry what SDP does not have: they are never carried in Jingle, or they would name other contents on the way back.
fn is_ours(name: &str) -> bool {
    name.starts_with("jingle-")
}

/// What a line calls an attribute.
pub(super) fn name(attribute: &Attribute) -> &str {
    match attribute {
        Attribute::Mid(_) => "mid",
        Attribute::Group { .. } => "group",
        Attribute::Direction(direction) => direction.as_str(),
        Attribute::Rtpmap { .. } => "rtpmap",
        Attribute::Fmtp { .. } => "fmtp",
        Attribute::Ptime(_) => "ptime",
        Attribute::Maxptime(_) => "maxptime",
        Attribute::RtcpFb { .. } | Attribute::RtcpFbTrrInt { .. } => "rtcp-fb",
        Attribute::Rtcp { .. } => "rtcp",
        Attribute::RtcpMux => "rtcp-mux",
        Attribute::RtcpRsize => "rtcp-rsize",
        Attribute::Extmap { .. } => "extmap",
        Attribute::ExtmapAllowMixed => "extmap-allow-mixed",
        Attribute::Ssrc { .. } => "ssrc",
        Attribute::SsrcGroup { .. } => "ssrc-group",
        Attribute::Msid(_) => "msid",
        Attribute::Setup(_) => "setup",
        Attribute::Fingerprint(_) => "fingerprint",
        Attribute::IceUfrag(_) => "ice-ufrag",
        Attribute::IcePwd(_) => "ice-pwd",
        Attribute::IceOptions(_) => "ice-options",
        Attribute::Candidate(_) => "candidate",
        Attribute::RemoteCandidates(_) => "remote-candidates",
        Attribute::EndOfCandidates => "end-of-candidates",
        Attribute::Crypto(_) => "crypto",
        Attribute::ZrtpHash(_) => "zrtp-hash",
        Attribute::SctpPort(_) => "sctp-port",
        Attribute::Sctpmap { .. } => "sctpmap",
        Attribute::Other { name, .. } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(kind: char, value: &str) -> Carried {
        Carried { kind, value: value.into() }
    }

    #[test]
    fn attributes_come_back() {
        let table =
            [("ice-lite", None, "ice-lite"), ("label", Some("main"), "label:main"), ("x", Some(""), "x:"), ("x", Some("a:b c"), "x:a:b c")];
        for (name, value, expected) in table {
            let (mut kept, mut warnings) = (Vec::new(), Warnings::default());
            keep_attribute(&name.into(), value, 1, &mut kept, &mut warnings);
            assert_eq!(kept, [carried('a', expected)]);
            let attribute = Attribute::Other { name: name.into(), value: value.map(SmolStr::from) };
            assert_eq!(to_attribute(&kept[0], &mut warnings), Some(attribute.into()));
            assert_eq!(warnings.into_vec(), []);
        }
    }

    #[test]
    fn what_is_no_line_is_not_written() {
        let lines = [
            "x\r\na=mid:1",
            "x:y\nz",
            "",
            ":x",
            "a b:c",
            "jingle-name:x",
            "jingle-place:1",
            "x\0",
            "mid:x",
            "rtcp-mux",
            "rtcp-mux x",
            "tls-id:x",
        ];
        for line in lines {
            let mut warnings = Warnings::default();
            assert_eq!(to_attribute(&carried('a', line), &mut warnings), None, "{line:?}");
            assert_eq!(warnings.into_vec().len(), 1, "{line:?}");
        }
        let mut warnings = Warnings::default();
        for line in ["AS:1 2", "AS", "AS:x\r\n", ""] {
            assert_eq!(to_bandwidth(&carried('b', line), &mut warnings), None, "{line:?}");
        }
        for (kind, line) in [('i', "x\ny"), ('e', "\0"), ('r', "soon"), ('z', ""), ('v', "1"), ('m', "audio"), ('é', "x")] {
            assert_eq!(to_other(&carried(kind, line), &mut warnings), None, "{kind} {line:?}");
        }
    }
}
