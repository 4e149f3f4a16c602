//! Lines that Jingle has no element for: they are carried as they are, and come back at the same level.

use smol_str::{SmolStr, SmolStrBuilder};

use super::names;
use super::words::{is_line, is_word};
use crate::jingle::content::Carried;
use crate::jingle::rtp::Bandwidth;
use crate::sdp::line::{Attribute, Numbered, OtherLine};
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
    kept.push(Carried { kind: 'a', value });
}

/// Carries `i=`, `u=` and so on.
pub(super) fn keep_lines(lines: Vec<OtherLine>, kept: &mut Vec<Carried>, warnings: &mut Warnings) {
    for OtherLine { line, kind, value } in lines {
        if kind == 'k' {
            // RFC 8866 §5.12: out of use, and a key that nobody should see.
            warnings.at(line, format_args!("k= is left out: RFC 8866 §5.12"));
        } else {
            kept.push(Carried { kind, value });
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

/// The attribute again.
pub(super) fn to_attribute(line: &Carried, warnings: &mut Warnings) -> Option<Numbered> {
    let (name, value) = match line.value.split_once(':') {
        Some((name, value)) => (name, Some(value.into())),
        None => (&*line.value, None),
    };
    if is_word(name) && is_line(&line.value) && !is_ours(name) {
        return Some(Attribute::Other { name: name.into(), value }.into());
    }
    unknown(line, warnings);
    None
}

/// The `b=` again.
pub(super) fn to_bandwidth(line: &Carried) -> Option<Bandwidth> {
    let (kind, value) = line.value.split_once(':').filter(|(kind, value)| is_word(kind) && is_word(value))?;
    Some(Bandwidth { kind: kind.into(), value: value.into() })
}

/// Another line again.
pub(super) fn to_other(line: &Carried, warnings: &mut Warnings) -> Option<OtherLine> {
    if is_line(&line.value) {
        return Some(OtherLine { line: 0, kind: line.kind, value: line.value.clone() });
    }
    unknown(line, warnings);
    None
}

/// Says that a line is not written.
pub(super) fn unknown(line: &Carried, warnings: &mut Warnings) {
    warnings.add(format_args!("the carried line {}={} is left out: SDP has no such line here", line.kind, Quoted(&line.value)));
}

/// The attributes that carry what SDP does not have: they are never carried in Jingle, or they would name other contents on the way back.
fn is_ours(name: &str) -> bool {
    matches!(name, names::NAME | names::CREATOR | names::DISPOSITION)
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
        let lines = ["x\r\na=mid:1", "x:y\nz", "", ":x", "a b:c", "jingle-name:x", "jingle-creator:responder", "x\0"];
        for line in lines {
            let mut warnings = Warnings::default();
            assert_eq!(to_attribute(&carried('a', line), &mut warnings), None, "{line:?}");
            assert_eq!(warnings.into_vec().len(), 1, "{line:?}");
        }
        assert_eq!(to_bandwidth(&carried('b', "AS:1 2")), None);
        assert_eq!(to_other(&carried('i', "x\ny"), &mut Warnings::default()), None);
    }
}
