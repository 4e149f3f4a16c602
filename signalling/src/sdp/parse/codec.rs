//! Attributes of payload types: RFC 8866 §6, RFC 4585 §4.2, RFC 8285 §5.

use smol_str::SmolStr;

use super::attribute::other;
use super::words::{Words, Wrong, is_digits, is_token, number, split, trim};
use crate::jingle::rtp::{Feedback, Parameter};
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
    let mut parts = words.any("an encoding: name/rate")?.split('/');
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
    Ok(Attribute::Rtpmap { payload, name: name.into(), clockrate, channels })
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
fn parameters(mut words: Words<'_>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    while let Some(word) = words.next() {
        parameters.push(match split(word, b'=') {
            Some((name, value)) if !name.is_empty() => Parameter { name: name.into(), value: Some(value.into()) },
            _ => Parameter { name: word.into(), value: None },
        });
    }
    parameters
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
    let subtype = words.next().map(SmolStr::new);
    Ok(Attribute::RtcpFb { payload, feedback: Feedback { kind: kind.into(), subtype, parameters: parameters(words) } })
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
    let uri = words.any("a URI of an extension")?.into();
    Ok(Attribute::Extmap { id, direction, uri, parameters: parameters(words) })
}
