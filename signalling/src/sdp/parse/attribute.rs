//! `a=`: which attribute it is, and whose file reads it.

use smol_str::SmolStr;

use super::words::{Words, Wrong, control, is_token, trim};
use super::{LINE_BYTES_MAX, carried, codec, ice, security, stream};
use crate::sdp::line::{Attribute, Direction};

/// Reads what stands behind `a=`. Carried lines are judged by it: what has a value of its own is not carried.
///
/// # Errors
/// What was expected, and what stands there instead.
pub fn parse_attribute(value: &str) -> Result<Attribute, String> {
    if value.len() > LINE_BYTES_MAX {
        return Err(format!("a=: expected at most {LINE_BYTES_MAX} bytes, found {}", value.len()));
    }
    if let Some(found) = control(value) {
        return Err(format!("a=: {}", Wrong::new("no control characters", found)));
    }
    read(value).map_err(|wrong| explain(value, wrong))
}

/// Which attribute is wrong, and how.
#[cold]
pub(super) fn explain(text: &str, wrong: Wrong<'_>) -> String {
    let name = split_name(text).0;
    if is_token(name) { format!("a={name}: {wrong}") } else { format!("a=: {wrong}") }
}

fn split_name(text: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b':', text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (trim(text), None),
    }
}

/// Reads what stands behind `a=`, which has no control characters.
pub(super) fn read(text: &str) -> Result<Attribute, Wrong<'_>> {
    let (name, value) = split_name(text);
    let words = Words::of(value.unwrap_or_default());
    let flag = |attribute| words.end().map(|()| attribute).map_err(|wrong| Wrong { expected: "no value", ..wrong });
    match name {
        "candidate" => ice::candidate(words),
        "rtpmap" => codec::rtpmap(words),
        "fmtp" => codec::fmtp(words),
        "rtcp-fb" => codec::rtcp_fb(words),
        "extmap" => codec::extmap(words),
        "ssrc" => stream::ssrc(words),
        "ssrc-group" => stream::ssrc_group(words),
        "msid" => stream::msid(words),
        "mid" => stream::mid(words),
        "group" => stream::group(words),
        "sendrecv" => flag(Attribute::Direction(Direction::SendRecv)),
        "sendonly" => flag(Attribute::Direction(Direction::SendOnly)),
        "recvonly" => flag(Attribute::Direction(Direction::RecvOnly)),
        "inactive" => flag(Attribute::Direction(Direction::Inactive)),
        "rtcp-mux" => flag(Attribute::RtcpMux),
        "rtcp-rsize" => flag(Attribute::RtcpRsize),
        "extmap-allow-mixed" => flag(Attribute::ExtmapAllowMixed),
        "ptime" => codec::milliseconds(name, words, Attribute::Ptime),
        "maxptime" => codec::milliseconds(name, words, Attribute::Maxptime),
        "rtcp" => ice::rtcp(words),
        "setup" => security::setup(words),
        "fingerprint" => security::fingerprint(words),
        "crypto" => security::crypto(words).map_err(Wrong::secret),
        "zrtp-hash" => security::zrtp_hash(words),
        "ice-ufrag" => ice::ufrag(words),
        "ice-pwd" => ice::pwd(words).map_err(Wrong::secret),
        "ice-options" => ice::options(words),
        "remote-candidates" => ice::remote_candidates(words),
        "end-of-candidates" => flag(Attribute::EndOfCandidates),
        "sctp-port" => stream::sctp_port(words),
        "sctpmap" => stream::sctpmap(words),
        _ => {
            if !is_token(name) {
                return Err(Wrong::new("a name of an attribute", name));
            }
            carried::check(name, words)?;
            Ok(other(name, value))
        }
    }
}

/// One that is only carried.
pub(super) fn other(name: &str, value: Option<&str>) -> Attribute {
    Attribute::Other { name: name.into(), value: value.map(SmolStr::new) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse::testing::{carried, stays, wrong};

    #[test]
    fn rfc_8866_s6_7_directions_and_other_flags() {
        for name in ["sendrecv", "sendonly", "recvonly", "inactive", "rtcp-mux", "rtcp-rsize", "extmap-allow-mixed", "end-of-candidates"] {
            stays(name, &[""]);
            wrong(name, &[("now", "no value, found \"now\"")]);
            assert!(matches!(parse_attribute(&format!("{name} ")), Ok(attribute) if !matches!(attribute, Attribute::Other { .. })));
        }
    }

    #[test]
    fn rfc_8866_s5_13_what_is_unknown_is_carried_byte_for_byte() {
        carried("x-google-flag", &["conference", "", " a  b\t", "a:b:c", "é\u{2027}\u{86}\u{fffd}"]);
        carried("SendRecv", &[""]);
        assert_eq!(parse_attribute("tool:"), Ok(other("tool", Some(""))));
    }

    #[test]
    fn rfc_8866_s5_13_names_are_tokens() {
        let table = [
            ("", "found nothing"),
            (":x", "found nothing"),
            ("a b:c", "found \"a b\""),
            (" mid:0", "found \" mid\""),
            ("é", "found \"é\""),
            ("<line/>", "found \"<line/>\""),
        ];
        for (text, found) in table {
            assert_eq!(parse_attribute(text), Err(format!("a=: expected a name of an attribute, {found}")));
        }
    }

    #[test]
    fn nothing_but_one_line_is_an_attribute() {
        for (text, found) in [
            ("mid:0\r\na=mid:1", "\\r"),
            ("x:\n", "\\n"),
            ("x\0", "\\0"),
            ("x:\u{1b}[2J", "\\u{1b}"),
            ("x:\u{2028}a=", "\\u{2028}"),
            ("x:é\u{85}", "\\u{85}"),
            ("x:\u{ffff}", "\\u{ffff}"),
        ] {
            assert_eq!(parse_attribute(text), Err(format!("a=: expected no control characters, found \"{found}\"")));
        }
        assert!(parse_attribute(&format!("x:{}", "y".repeat(LINE_BYTES_MAX))).is_err());
    }
}
