//! The lines that are no attributes: RFC 8866 §5.

use super::words::{Words, Wrong, is_address, is_digits, is_ipv6, is_token, number, split};
use crate::jingle::rtp::{Bandwidth, PAYLOAD_TYPES_MAX};
use crate::sdp::line::{Connection, MediaDescription, Origin};

/// §5.2. The address is nobody's business but its writer's: any word will do.
pub(super) fn origin(text: &str) -> Result<Origin, Wrong<'_>> {
    let mut words = Words::of(text);
    let username = words.any("a username or -")?.into();
    let session_id = words.word("a session's number", is_digits)?.into();
    let version = words.number("a version's number below 2^64")?;
    let is_ipv6 = address_type(&mut words)?;
    let address = words.any("an address")?.into();
    words.end()?;
    Ok(Origin { username, session_id, version, address: Connection { is_ipv6, address } })
}

/// §5.7 behind `c=`.
pub(super) fn connection(mut words: Words<'_>) -> Result<Connection, Wrong<'_>> {
    let is_ipv6_type = address_type(&mut words)?;
    let address = words.word(if is_ipv6_type { "an IPv6 address or a name" } else { "an IPv4 address or a name" }, |word| {
        let (address, multicast) = word.split_once('/').unwrap_or((word, "0"));
        let literal_of_other = if is_ipv6_type { address.parse::<std::net::Ipv4Addr>().is_ok() } else { is_ipv6(address) };
        is_address(address) && !literal_of_other && multicast.split('/').all(is_digits)
    })?;
    words.end()?;
    Ok(Connection { is_ipv6: is_ipv6_type, address: address.into() })
}

/// `IN IP4` or `IN IP6`: whether it is the latter.
fn address_type<'a>(words: &mut Words<'a>) -> Result<bool, Wrong<'a>> {
    words.word("IN", |word| word.eq_ignore_ascii_case("IN"))?;
    let word = words.word("IP4 or IP6", |word| word.eq_ignore_ascii_case("IP4") || word.eq_ignore_ascii_case("IP6"))?;
    Ok(word.ends_with('6'))
}

/// §5.8.
pub(super) fn bandwidth(text: &str) -> Result<Bandwidth, Wrong<'_>> {
    let (kind, value) = split(text, b':').ok_or(Wrong::new("a kind, a colon and a number", text))?;
    if !is_token(kind) {
        return Err(Wrong::new("a kind of bandwidth", kind));
    }
    if !is_digits(value) {
        return Err(Wrong::new("a bandwidth in digits", value));
    }
    Ok(Bandwidth { kind: kind.into(), value: value.into() })
}

/// §5.9.
pub(super) fn timing(text: &str) -> Result<(u64, u64), Wrong<'_>> {
    let mut words = Words::of(text);
    let start = words.number("a start time in seconds")?;
    let stop = words.number("a stop time in seconds")?;
    words.end()?;
    Ok((start, stop))
}

/// §5.10: at least three times with units.
pub(super) fn repeat(text: &str) -> Result<(), Wrong<'_>> {
    let mut words = Words::of(text);
    for _ in 0..3 {
        words.word("an interval, a duration and offsets", is_time)?;
    }
    while let Some(word) = words.next() {
        if !is_time(word) {
            return Err(Wrong::new("an offset", word));
        }
    }
    Ok(())
}

/// §5.11: pairs of a time and an adjustment.
pub(super) fn zone(text: &str) -> Result<(), Wrong<'_>> {
    let mut words = Words::of(text);
    loop {
        words.word("a time in seconds", is_digits)?;
        words.word("an adjustment of the time zone", |word| is_time(word.strip_prefix('-').unwrap_or(word)))?;
        if words.rest().is_empty() {
            return Ok(());
        }
    }
}

/// `typed-time`.
fn is_time(word: &str) -> bool {
    is_digits(word.strip_suffix(['d', 'h', 'm', 's']).unwrap_or(word))
}

/// §5.14. A refused line may come without formats.
pub(super) fn media(text: &str) -> Result<MediaDescription, Wrong<'_>> {
    let mut words = Words::of(text);
    let media = words.token("a kind of media")?.into();
    let expected = "a port from 0 to 65535";
    let word = words.any(expected)?;
    let (port, ports) = match word.split_once('/') {
        Some((port, ports)) => (port, Some(number(ports).filter(|ports| *ports > 0).ok_or(Wrong::new("a number of ports", ports))?)),
        None => (word, None),
    };
    let port = number(port).ok_or(Wrong::new(expected, port))?;
    let protocol = words.word("a protocol such as UDP/TLS/RTP/SAVPF", |word| word.split('/').all(is_token))?.into();
    let mut formats = Vec::new();
    while let Some(format) = words.next() {
        if !is_token(format) {
            return Err(Wrong::new("formats", format));
        }
        if formats.len() == PAYLOAD_TYPES_MAX {
            return Err(Wrong::new("at most 128 formats", format));
        }
        formats.push(format.into());
    }
    if formats.is_empty() && port != 0 {
        return Err(Wrong::new("at least one format", ""));
    }
    Ok(MediaDescription { media, port, ports, protocol, formats, ..MediaDescription::default() })
}
