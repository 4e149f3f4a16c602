//! Attributes that name sections, sources, streams and channels: RFC 5888, RFC 5576 §4, RFC 8830 §2, RFC 8841.

use smol_str::SmolStr;

use super::words::{Words, Wrong, is_token, number, split};
use crate::jingle::rtp::{Msid, Parameter};
use crate::sdp::line::Attribute;

/// RFC 5888 §4.
pub(super) fn mid(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let mid = words.token("a name of the section")?.into();
    words.end()?;
    Ok(Attribute::Mid(mid))
}

/// RFC 5888 §5. A group of nothing is one: an answer that refuses all has it.
pub(super) fn group(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let semantics = words.token("semantics of a group")?.into();
    let mut mids = Vec::new();
    while let Some(mid) = words.next_short()? {
        if !is_token(mid) {
            return Err(Wrong::new("names of sections", mid));
        }
        mids.push(mid.into());
    }
    Ok(Attribute::Group { semantics, mids })
}

/// RFC 5576 §4.1: `ssrc attribute[:value]`, the value with its spaces.
pub(super) fn ssrc(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let ssrc = words.number("a source, a number of 32 bits")?;
    let text = words.rest();
    let (name, value) = match split(text, b':') {
        Some((name, value)) => (name, Some(SmolStr::new(value))),
        None => (text, None),
    };
    if !(is_token(name) || text.is_empty()) {
        return Err(Wrong::new("an attribute of the source", text));
    }
    Ok(Attribute::Ssrc { ssrc, parameter: Parameter { name: name.into(), value } })
}

/// RFC 5576 §4.2.
pub(super) fn ssrc_group(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let semantics = words.token("semantics of a group")?.into();
    let mut sources = Vec::new();
    while let Some(source) = words.next() {
        sources.push(number(source).ok_or(Wrong::new("sources, numbers of 32 bits", source))?);
    }
    Ok(Attribute::SsrcGroup { semantics, sources })
}

/// RFC 8830 §2: an identifier has 64 characters at most; programs do not keep to those of a token.
pub(in crate::sdp) fn is_msid(word: &str) -> bool {
    !word.is_empty() && word.chars().count() <= 64
}

/// RFC 8830 §2.
pub(super) fn msid(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let stream = words.word("an identifier of a stream, at most 64 characters", is_msid)?.into();
    let track = match words.rest() {
        "" => None,
        _ => Some(words.word("an identifier of a track, at most 64 characters", is_msid)?.into()),
    };
    words.end()?;
    Ok(Attribute::Msid(Msid { stream, track }))
}

/// RFC 8841 §5.
pub(super) fn sctp_port(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let port = words.number("a port from 0 to 65535")?;
    words.end()?;
    Ok(Attribute::SctpPort(port))
}

/// Drafts before RFC 8841; XEP-0343.
pub(super) fn sctpmap(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let port = words.number("a port from 0 to 65535")?;
    let protocol = words.token("a protocol such as webrtc-datachannel")?.into();
    let expected = "a number of streams from 0 to 65535";
    let streams = match words.next() {
        None => None,
        Some(streams) => Some(number(streams).ok_or(Wrong::new(expected, streams))?),
    };
    words.end()?;
    Ok(Attribute::Sctpmap { port, protocol, streams })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse::testing::{becomes, read, stays, wrong};

    #[test]
    fn rfc_5888_s4_mid() {
        stays("mid", &["0", "audio", "{a-b_c.d}", "!#$%&'*+-.^_`{|}~"]);
        wrong(
            "mid",
            &[
                ("", "a name of the section, found nothing"),
                ("a/b", "a name of the section, found \"a/b\""),
                ("é", "a name of the section, found \"é\""),
                ("a b", "the end of the line, found \"b\""),
            ],
        );
    }

    #[test]
    fn rfc_5888_s5_group() {
        stays("group", &["BUNDLE 0 1 2", "LS a v", "FID 1", "BUNDLE"]);
        becomes("group", &[("BUNDLE  0\t1 ", "BUNDLE 0 1")]);
        wrong("group", &[("", "semantics of a group, found nothing"), ("BUNDLE a (b)", "names of sections, found \"(b)\"")]);
    }

    #[test]
    fn rfc_5576_s4_1_ssrc() {
        stays(
            "ssrc",
            &[
                "11111 cname:user@example.com",
                "4294967295 msid:a b",
                "0 x",
                "7",
                "7 cname:",
                "314159 cname:sip:a@b:5060",
                "1 fmtp:96 a=1;b",
            ],
        );
        becomes("ssrc", &[("1  label : x  y ", "1 label:x  y")]);
        let parameter = Parameter { name: "msid".into(), value: Some("stream track".into()) };
        assert_eq!(read("ssrc", "1 msid:stream track"), Attribute::Ssrc { ssrc: 1, parameter });
        assert_eq!(read("ssrc", "1"), Attribute::Ssrc { ssrc: 1, parameter: Parameter::default() });
        wrong(
            "ssrc",
            &[
                ("", "a source, a number of 32 bits, found nothing"),
                ("4294967296 cname:a", "a source, a number of 32 bits, found \"4294967296\""),
                ("-1 cname:a", "a source, a number of 32 bits, found \"-1\""),
                ("0x1f cname:a", "a source, a number of 32 bits, found \"0x1f\""),
                ("1 :a", "an attribute of the source, found \":a\""),
                ("1 a b", "an attribute of the source, found \"a b\""),
                ("1 a b:c", "an attribute of the source, found \"a b:c\""),
            ],
        );
    }

    #[test]
    fn rfc_5576_s4_2_ssrc_group() {
        stays("ssrc-group", &["FID 1 2", "FEC-FR 4294967295 0 7", "SIM"]);
        wrong(
            "ssrc-group",
            &[
                ("", "semantics of a group, found nothing"),
                ("FID 1 a", "sources, numbers of 32 bits, found \"a\""),
                ("FID 4294967296", "sources, numbers of 32 bits, found \"4294967296\""),
            ],
        );
    }

    #[test]
    fn rfc_8830_s2_msid() {
        stays("msid", &["examplefoo examplebar", "- track", "{9d8-4b} {a/b=}", "stream"]);
        wrong(
            "msid",
            &[("", "an identifier of a stream, at most 64 characters, found nothing"), ("a b c", "the end of the line, found \"c\"")],
        );
    }

    #[test]
    fn rfc_8841_s5_sctp_port_and_drafts_before_sctpmap() {
        stays("sctp-port", &["5000", "0", "65535"]);
        stays("sctpmap", &["5000 webrtc-datachannel 1024", "5000 webrtc-datachannel", "0 x 65535"]);
        wrong(
            "sctp-port",
            &[
                ("", "a port from 0 to 65535, found nothing"),
                ("65536", "a port from 0 to 65535, found \"65536\""),
                ("5000 1", "the end of the line, found \"1\""),
            ],
        );
        wrong(
            "sctpmap",
            &[
                ("webrtc-datachannel 5000", "a port from 0 to 65535, found \"webrtc-datachannel\""),
                ("5000", "a protocol such as webrtc-datachannel, found nothing"),
                ("5000 a/b", "a protocol such as webrtc-datachannel, found \"a/b\""),
                ("5000 a many", "a number of streams from 0 to 65535, found \"many\""),
                ("5000 a 65536", "a number of streams from 0 to 65535, found \"65536\""),
                ("5000 a 1 2", "the end of the line, found \"2\""),
            ],
        );
    }
}
