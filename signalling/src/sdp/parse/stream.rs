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
    while let Some(mid) = words.next() {
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

/// RFC 8830 §2; programs do not keep to 64 characters of a token.
pub(super) fn msid(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let stream = words.any("an identifier of a stream")?.into();
    let track = words.next().map(SmolStr::new);
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
