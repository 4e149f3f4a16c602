//! Attributes of payload types: RFC 8866 §6, RFC 4585 §4.2, RFC 8285 §5.

use smol_str::SmolStr;

use super::attribute::other;
use super::words::{Words, Wrong, is_digits, is_token, number, short, split, trim};
use crate::jingle::rtp::{self, Feedback, Parameter};
use crate::sdp::line::{Attribute, Direction};

/// RTP's are numbers of seven bits: RFC 3550 §5.1.
const PAYLOAD_TYPE: &str = "a payload type from 0 to 127";

fn payload_type<'a>(words: &mut Words<'a>, expected: &'static str) -> Result<u8, Wrong<'a>> {
    let word = words.any(expected)?;
    number(word).filter(|payload| *payload < 128).ok_or(Wrong::new(expected, word))
}

/// RFC 8866 §6.6. The clock rate may be missing, as in RFC 4475.
pub(super) fn rtpmap(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let payload = payload_type(&mut words, PAYLOAD_TYPE)?;
    let mut parts = words.long_word("an encoding: name/rate", |_| true)?.split('/');
    let name = parts.next().unwrap_or_default();
    if !is_token(name) {
        return Err(Wrong::new("a name of an encoding", name));
    }
    let clockrate = match parts.next() {
        None => None,
        Some(rate) => Some(number(rate).filter(|rate| *rate > 0).ok_or(Wrong::new("a clock rate in Hz", rate))?),
    };
    let channels = match parts.next() {
        None => None,
        Some(channels) => {
            Some(number(channels).filter(|channels| *channels > 0).ok_or(Wrong::new("a number of channels from 1 to 255", channels))?)
        }
    };
    if let Some(more) = parts.next() {
        return Err(Wrong::new("nothing after the number of channels", more));
    }
    words.end()?;
    Ok(Attribute::Rtpmap { payload, name: short(name)?.into(), clockrate, channels })
}

/// RFC 8866 §6.15. Formats of other protocols than RTP are words: such a line is only carried.
pub(super) fn fmtp(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let whole = words.rest();
    let mut ahead = words;
    if let Some(format) = ahead.next().filter(|format| !is_digits(format) && is_token(format)) {
        return if ahead.rest().is_empty() { Err(Wrong::new("parameters of the format", format)) } else { Ok(other("fmtp", Some(whole))) };
    }
    let payload = payload_type(&mut words, PAYLOAD_TYPE)?;
    let parameters = words.rest().split(';').map(trim).filter(|text| !text.is_empty()).map(format_parameter).collect();
    Ok(Attribute::Fmtp { payload, parameters })
}

/// `name=value`, or something without a name such as `0-15`.
fn format_parameter(text: &str) -> Parameter {
    match split(text, b'=') {
        Some((name, value)) if !name.is_empty() => Parameter { name: name.into(), value: Some(value.into()) },
        _ => Parameter { name: SmolStr::default(), value: Some(text.into()) },
    }
}

/// The words that are left: `name` or `name=value`.
fn parameters(mut words: Words<'_>) -> Result<Vec<Parameter>, Wrong<'_>> {
    let mut parameters = Vec::new();
    while let Some(word) = words.next_short()? {
        parameters.push(match split(word, b'=') {
            Some((name, value)) if !name.is_empty() => Parameter { name: name.into(), value: Some(value.into()) },
            _ => Parameter { name: word.into(), value: None },
        });
    }
    Ok(parameters)
}

/// RFC 8866 §6.4 and §6.5. The grammar allows fractions, XEP-0167 does not: such a line is only carried.
pub(super) fn milliseconds<'a>(name: &str, mut words: Words<'a>, attribute: fn(u32) -> Attribute) -> Result<Attribute, Wrong<'a>> {
    let expected = "a number of milliseconds";
    let word = words.any(expected)?;
    words.end()?;
    if let Some(value) = number(word).filter(|value| *value > 0) {
        return Ok(attribute(value));
    }
    match word.split_once('.') {
        Some((whole, fraction)) if is_digits(whole) && is_digits(fraction) => Ok(other(name, Some(word))),
        _ => Err(Wrong::new(expected, word)),
    }
}

/// RFC 4585 §4.2.
pub(super) fn rtcp_fb(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let mut ahead = words;
    let payload = if ahead.next() == Some("*") {
        words = ahead;
        None
    } else {
        Some(payload_type(&mut words, "a payload type from 0 to 127 or *")?)
    };
    let kind = words.any("a kind of feedback")?;
    if kind == "trr-int" {
        let value = words.number("a number of milliseconds")?;
        words.end()?;
        return Ok(Attribute::RtcpFbTrrInt { payload, value });
    }
    let subtype = words.next_short()?.map(SmolStr::new);
    Ok(Attribute::RtcpFb { payload, feedback: Feedback { kind: kind.into(), subtype, parameters: parameters(words)? } })
}

/// RFC 8285 §8. Of the five digits that the grammar allows, §5 uses 1 to 255 and, for more than packets can say, 4096 to 4351; XEP-0294 shows others.
pub(super) fn extmap(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let expected = "an identifier from 1 to 65535";
    let word = words.any(expected)?;
    let (id, direction) = match word.split_once('/') {
        Some((id, direction)) => (id, Some(Direction::parse(direction).ok_or(Wrong::new("a direction after the slash", direction))?)),
        None => (word, None),
    };
    let id = number(id).filter(|id| *id > 0).ok_or(Wrong::new(expected, id))?;
    let uri = words.any("a URI of an extension")?;
    let parameters = parameters(words)?;
    Ok(Attribute::Extmap { id, direction, uri: rtp::uri(uri), parameters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse::testing::{becomes, carried, read, stays, wrong};

    fn flag(text: &str) -> Parameter {
        Parameter { name: SmolStr::default(), value: Some(text.into()) }
    }

    fn pair(name: &str, value: &str) -> Parameter {
        Parameter { name: name.into(), value: Some(value.into()) }
    }

    fn word(name: &str) -> Parameter {
        Parameter { name: name.into(), value: None }
    }

    #[test]
    fn rfc_8866_s6_6_rtpmap() {
        stays("rtpmap", &["98 L16/16000/2", "99 h263-1998/90000", "0 PCMU/8000", "127 X/4294967295/255", "63 red/48000/2", "31 LPC"]);
        becomes("rtpmap", &[("  007\tx/08000/02 ", "7 x/8000/2")]);
        let expected = Attribute::Rtpmap { payload: 111, name: "opus".into(), clockrate: Some(48000), channels: Some(2) };
        assert_eq!(read("rtpmap", "111 opus/48000/2"), expected);
        wrong(
            "rtpmap",
            &[
                ("", "a payload type from 0 to 127, found nothing"),
                ("opus/48000", "a payload type from 0 to 127, found \"opus/48000\""),
                ("128 opus/48000", "a payload type from 0 to 127, found \"128\""),
                ("-1 opus/48000", "a payload type from 0 to 127, found \"-1\""),
                ("+1 opus/48000", "a payload type from 0 to 127, found \"+1\""),
                ("18446744073709551617 opus/48000", "a payload type from 0 to 127, found \"18446744073709551617\""),
                ("96", "an encoding: name/rate, found nothing"),
                ("96 /8000", "a name of an encoding, found nothing"),
                ("96 öpus/8000", "a name of an encoding, found \"öpus\""),
                ("96 opus/", "a clock rate in Hz, found nothing"),
                ("96 opus/0", "a clock rate in Hz, found \"0\""),
                ("96 opus/48k", "a clock rate in Hz, found \"48k\""),
                ("96 opus/4294967296", "a clock rate in Hz, found \"4294967296\""),
                ("96 opus/48000/", "a number of channels from 1 to 255, found nothing"),
                ("96 opus/48000/0", "a number of channels from 1 to 255, found \"0\""),
                ("96 opus/48000/256", "a number of channels from 1 to 255, found \"256\""),
                ("96 opus/48000/2/1", "nothing after the number of channels, found \"1\""),
                ("96 opus/48000 2", "the end of the line, found \"2\""),
            ],
        );
    }

    #[test]
    fn rfc_8866_s6_15_fmtp() {
        stays(
            "fmtp",
            &["111 minptime=10;useinbandfec=1", "101 0-15,66,70", "63 111/111", "34 CIF=1;CIF4=1", "96", "98 sprop=Z0L=,aM4=", "0 =;=x"],
        );
        becomes(
            "fmtp",
            &[
                // RFC 4588, RFC 3267: blanks; a semicolon at the end.
                (
                    "97 mode-set=0,2,5,7; mode-change-period=2; mode-change-neighbor; maxframes=1",
                    "97 mode-set=0,2,5,7;mode-change-period=2;mode-change-neighbor;maxframes=1",
                ),
                ("98 width=800 ; height = 600;", "98 width=800;height=600"),
                ("98 ;;a=1;;", "98 a=1"),
            ],
        );
        let parameters = vec![pair("a", ""), pair("b", "x=y"), flag("annexb"), flag("=z"), pair("CIF", "1 QCIF=2")];
        assert_eq!(read("fmtp", "96 a=;b=x=y;annexb;=z;CIF=1 QCIF=2"), Attribute::Fmtp { payload: 96, parameters });
        // Formats of other protocols.
        carried("fmtp", &["wb format=1", "webrtc-datachannel max-message-size=100000"]);
        wrong(
            "fmtp",
            &[
                ("", "a payload type from 0 to 127, found nothing"),
                ("128 a=1", "a payload type from 0 to 127, found \"128\""),
                ("a=1", "a payload type from 0 to 127, found \"a=1\""),
                ("wb", "parameters of the format, found \"wb\""),
            ],
        );
    }

    #[test]
    fn rfc_8866_s6_4_ptime_and_s6_5_maxptime() {
        for name in ["ptime", "maxptime"] {
            stays(name, &["20", "4294967295"]);
            becomes(name, &[(" 020 ", "20")]);
            carried(name, &["2.5", "20.0"]);
            let expected = "a number of milliseconds";
            for value in ["0", "-20", "20ms", "4294967296", ".5", "2.", "2,5"] {
                wrong(name, &[(value, &format!("{expected}, found \"{value}\""))]);
            }
            wrong(name, &[("", &format!("{expected}, found nothing")), ("20 40", "the end of the line, found \"40\"")]);
        }
    }

    #[test]
    fn rfc_4585_s4_2_rtcp_fb() {
        stays(
            "rtcp-fb",
            &[
                "96 nack",
                "* nack pli",
                "127 ccm fir",
                "96 goog-remb",
                "98 ack app x",
                "* ccm tmmbr smaxpr=120",
                "100 ccm vbcm 1 2",
                "0 x y =z",
            ],
        );
        becomes("rtcp-fb", &[("  *   nack\trpsi ", "* nack rpsi")]);
        let feedback = Feedback {
            kind: "ccm".into(),
            subtype: Some("tmmbr".into()),
            parameters: vec![pair("smaxpr", "120"), word("x"), pair("y", "")],
        };
        assert_eq!(read("rtcp-fb", "* ccm tmmbr smaxpr=120 x y="), Attribute::RtcpFb { payload: None, feedback });
        assert_eq!(read("rtcp-fb", "98 trr-int 100"), Attribute::RtcpFbTrrInt { payload: Some(98), value: 100 });
        stays("rtcp-fb", &["* trr-int 0", "98 trr-int 4294967295"]);
        wrong(
            "rtcp-fb",
            &[
                ("", "a payload type from 0 to 127 or *, found nothing"),
                ("nack", "a payload type from 0 to 127 or *, found \"nack\""),
                ("128 nack", "a payload type from 0 to 127 or *, found \"128\""),
                ("** nack", "a payload type from 0 to 127 or *, found \"**\""),
                ("*", "a kind of feedback, found nothing"),
                ("96 trr-int", "a number of milliseconds, found nothing"),
                ("96 trr-int 1s", "a number of milliseconds, found \"1s\""),
                ("96 trr-int 100 200", "the end of the line, found \"200\""),
            ],
        );
    }

    #[test]
    fn rfc_8285_s5_extmap() {
        stays(
            "extmap",
            &[
                "1 URI-toffset",
                "2/recvonly http://example.com/082005/ext.htm#ttime",
                "4/recvonly URI-gps-string short",
                "4906 URI",
                "3/sendrecv urn:x a=1 b",
                "65535/inactive u",
            ],
        );
        let parameters = vec![word("short"), pair("vad", "on")];
        let expected = Attribute::Extmap { id: 1, direction: Some(Direction::SendOnly), uri: "urn:x".into(), parameters };
        assert_eq!(read("extmap", "1/sendonly urn:x  short vad=on"), expected);
        wrong(
            "extmap",
            &[
                ("", "an identifier from 1 to 65535, found nothing"),
                ("0 urn:x", "an identifier from 1 to 65535, found \"0\""),
                ("65536 urn:x", "an identifier from 1 to 65535, found \"65536\""),
                ("a urn:x", "an identifier from 1 to 65535, found \"a\""),
                ("/sendonly urn:x", "an identifier from 1 to 65535, found nothing"),
                ("1/ urn:x", "a direction after the slash, found nothing"),
                ("1/both urn:x", "a direction after the slash, found \"both\""),
                ("1", "a URI of an extension, found nothing"),
            ],
        );
    }
}
