//! The lines that are no attributes: RFC 8866 §5.

use super::words::{Words, Wrong, is_address, is_digits, is_ipv6, is_token, number, short, split};
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
    Ok(Bandwidth { kind: short(kind)?.into(), value: short(value)?.into() })
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
    let mut formats = Vec::with_capacity(words.rest().split(' ').count().min(PAYLOAD_TYPES_MAX));
    while let Some(format) = words.next_short()? {
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
    // About four lines for each of a browser's.
    let attributes = Vec::with_capacity(4 * formats.len());
    Ok(MediaDescription { media, port, ports, protocol, formats, attributes, ..MediaDescription::default() })
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_fragment};
    use crate::sdp::write;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

    /// As line 5 of a description, at the session level, and as it is written again.
    fn becomes(table: &[(&str, &str)]) {
        for (line, expected) in table {
            let read = parse(&format!("{HEAD}{line}\r\n")).unwrap_or_else(|error| panic!("{line}: {error}"));
            let written = write(&read);
            assert!(written.lines().any(|line| line == *expected), "{line}: {written}");
        }
    }

    fn stays(lines: &[&str]) {
        becomes(&lines.iter().map(|line| (*line, *line)).collect::<Vec<_>>());
    }

    /// As line 5 of a description: its error behind `line 5: x=: expected `.
    fn wrong(kind: char, table: &[(&str, &str)]) {
        for (value, expected) in table {
            let error = parse(&format!("{HEAD}{kind}={value}\r\n")).unwrap_err();
            assert_eq!(error.to_string(), format!("line 5: {kind}=: expected {expected}"), "{value}");
        }
    }

    #[test]
    fn s5_1_version() {
        for (line, expected) in [
            ("v=1", "v=: expected version 0, found \"1\""),
            ("v=", "v=: expected version 0, found nothing"),
            ("v=0 0", "v=: expected the end of the line, found \"0\""),
            ("V=0", "expected a letter and =, found \"V=0\""),
            ("o=- 1 1 IN IP4 192.0.2.1", "o=: expected v=0 in the first line"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), format!("line 1: {expected}"));
        }
        wrong('v', &[("0", "in the first line only")]);
    }

    #[test]
    fn s5_2_origin() {
        let origin = |line: &str| parse(&format!("v=0\no={line}\n"));
        for line in [
            "- 20518 0 IN IP4 203.0.113.1",
            "jdoe 3724394400 3724394405 IN IP6 2001:db8::1",
            "é 99999999999999999999999999 18446744073709551615 IN IP4 host.example.com",
            "root 1 1 IN IP4 ::1",
        ] {
            assert!(write(&origin(line).unwrap()).contains(&format!("o={line}\r\n")), "{line}");
        }
        for (line, expected) in [
            ("", "a username or -, found nothing"),
            ("-", "a session's number, found nothing"),
            ("- a 1 IN IP4 h", "a session's number, found \"a\""),
            ("- 1", "a version's number below 2^64, found nothing"),
            ("- 1 18446744073709551616 IN IP4 h", "a version's number below 2^64, found \"18446744073709551616\""),
            ("- 1 1 TN RFC2543 h", "IN, found \"TN\""),
            ("- 1 1 IN IP5 h", "IP4 or IP6, found \"IP5\""),
            ("- 1 1 IN IP4", "an address, found nothing"),
            ("- 1 1 IN IP4 h h", "the end of the line, found \"h\""),
        ] {
            assert_eq!(origin(line).unwrap_err().to_string(), format!("line 2: o=: expected {expected}"));
        }
        wrong('o', &[("- 1 1 IN IP4 h", "only once")]);
        assert_eq!(parse("v=0\ns=-\n").unwrap_err().to_string(), "line 2: expected an o= above, found none");
        assert_eq!(parse("").unwrap_err().to_string(), "line 1: expected v=0 in the first line, found nothing");
        assert_eq!(parse("\r\n \n").unwrap_err().to_string(), "line 1: expected v=0 in the first line, found nothing");
    }

    #[test]
    fn s5_3_name() {
        let name = |line: &str| parse(&format!("v=0\no=- 1 1 IN IP4 h\n{line}")).map(|read| read.name.to_string());
        for (line, expected) in [("", "-"), ("s=\n", "-"), ("s= \n", "-"), ("s=-\n", "-"), ("s=Call to Ü \n", "Call to Ü ")] {
            assert_eq!(name(line).as_deref(), Ok(expected), "{line:?}");
        }
        wrong('s', &[("again", "only once")]);
    }

    #[test]
    fn s5_4_to_s5_6_and_s5_12_are_for_people() {
        stays(&[
            "i=A Seminar on SDP",
            "u=http://www.example.com/a.pdf",
            "e=j.doe@example.com (Jane Doe)",
            "p=+1 617 555-6011",
            "k=prompt",
            "i=",
        ]);
    }

    #[test]
    fn s5_7_connection() {
        stays(&["c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1", "c=IN IP4 host.example.com", "c=IN IP6 host.example.com"]);
        stays(&["c=IN IP4 233.252.0.1/127", "c=IN IP4 233.252.0.1/127/3", "c=IN IP6 ff00::db8:0:101/3", "c=IN IP4 0.0.0.0"]);
        becomes(&[("c=in  ip6\t:: ", "c=IN IP6 ::")]);
        wrong(
            'c',
            &[
                ("", "IN, found nothing"),
                ("TN RFC2543 5551212", "IN, found \"TN\""),
                ("IN IP 192.0.2.1", "IP4 or IP6, found \"IP\""),
                ("IN IP4", "an IPv4 address or a name, found nothing"),
                ("IN IP4 2001:db8::1", "an IPv4 address or a name, found \"2001:db8::1\""),
                ("IN IP4 192.0.2", "an IPv4 address or a name, found \"192.0.2\""),
                ("IN IP6 192.0.2.1", "an IPv6 address or a name, found \"192.0.2.1\""),
                ("IN IP4 233.252.0.1/", "an IPv4 address or a name, found \"233.252.0.1/\""),
                ("IN IP4 233.252.0.1/a", "an IPv4 address or a name, found \"233.252.0.1/a\""),
                ("IN IP4 192.0.2.1 192.0.2.2", "the end of the line, found \"192.0.2.2\""),
            ],
        );
        let twice = "c=IN IP4 192.0.2.1\r\n".repeat(2);
        assert_eq!(parse(&format!("{HEAD}{twice}")).unwrap_err().to_string(), "line 6: c=: expected only once above the first m=");
        assert_eq!(parse(&format!("{HEAD}m=audio 9 RTP/AVP 0\r\n{twice}")).unwrap().media[0].connections.len(), 2);
    }

    #[test]
    fn s5_8_bandwidth() {
        stays(&["b=AS:128", "b=TIAS:64000", "b=RR:0", "b=X-YZ:99999999999999999999999"]);
        becomes(&[("b=AS: 128 ", "b=AS:128")]);
        wrong(
            'b',
            &[
                ("128", "a kind, a colon and a number, found \"128\""),
                (":128", "a kind of bandwidth, found nothing"),
                ("A S:128", "a kind of bandwidth, found \"A S\""),
                ("AS:", "a bandwidth in digits, found nothing"),
                ("AS:12k", "a bandwidth in digits, found \"12k\""),
                ("AS:-1", "a bandwidth in digits, found \"-1\""),
            ],
        );
    }

    #[test]
    fn s5_9_to_s5_11_times() {
        stays(&["t=3724394400 3724398000", "r=604800 3600 0 90000", "r=7d 1h 0 25h", "z=3730928400 -1h 3749680800 0"]);
        becomes(&[("t=00 18446744073709551615", "t=0 18446744073709551615")]);
        wrong(
            't',
            &[
                ("", "a start time in seconds, found nothing"),
                ("0", "a stop time in seconds, found nothing"),
                ("a 0", "a start time in seconds, found \"a\""),
                ("0 0 0", "the end of the line, found \"0\""),
                ("0 18446744073709551616", "a stop time in seconds, found \"18446744073709551616\""),
            ],
        );
        let expected = "an interval, a duration and offsets";
        wrong(
            'r',
            &[
                ("7d 1h", &format!("{expected}, found nothing")),
                ("7D 1h 0", &format!("{expected}, found \"7D\"")),
                ("7d 1h 0 x", "an offset, found \"x\""),
            ],
        );
        wrong(
            'z',
            &[
                ("", "a time in seconds, found nothing"),
                ("0", "an adjustment of the time zone, found nothing"),
                ("0 --1h", "an adjustment of the time zone, found \"--1h\""),
                ("0 1h 5", "an adjustment of the time zone, found nothing"),
            ],
        );
    }

    #[test]
    fn s5_14_media() {
        stays(&[
            "m=audio 49170 RTP/AVP 0 8 97",
            "m=video 49170/2 RTP/AVP 31",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "m=image 54111 TCP/TLS t38",
            "m=application 32416 udp wb",
            "m=message 65535 TCP/MSRP *",
            "m=audio 0 RTP/AVP 0",
            "m=video 0 RTP/AVP",
        ]);
        becomes(&[("m=audio  9 \tRTP/AVP  0 ", "m=audio 9 RTP/AVP 0")]);
        wrong(
            'm',
            &[
                ("", "a kind of media, found nothing"),
                ("a/b 9 RTP/AVP 0", "a kind of media, found \"a/b\""),
                ("audio", "a port from 0 to 65535, found nothing"),
                ("audio 65536 RTP/AVP 0", "a port from 0 to 65535, found \"65536\""),
                ("audio $ RTP/AVP 0", "a port from 0 to 65535, found \"$\""),
                ("audio /2 RTP/AVP 0", "a port from 0 to 65535, found nothing"),
                ("audio 9/0 RTP/AVP 0", "a number of ports, found \"0\""),
                ("audio 9/2/2 RTP/AVP 0", "a number of ports, found \"2/2\""),
                ("audio 9", "a protocol such as UDP/TLS/RTP/SAVPF, found nothing"),
                ("audio 9 RTP//AVP 0", "a protocol such as UDP/TLS/RTP/SAVPF, found \"RTP//AVP\""),
                ("audio 9 RTP/AVP", "at least one format, found nothing"),
                ("audio 9 RTP/AVP 0 a/b", "formats, found \"a/b\""),
            ],
        );
        let formats = |count: usize| format!("audio 9 RTP/AVP{}", " 0".repeat(count));
        stays(&[&format!("m={}", formats(128))]);
        wrong('m', &[(&formats(129), "at most 128 formats, found \"0\"")]);
    }

    #[test]
    fn s5_lines_have_their_level() {
        for kind in ["o=- 1 1 IN IP4 h", "s=-", "t=0 0", "u=x", "e=x", "p=x", "r=1 1 1", "z=0 1"] {
            let text = format!("{HEAD}m=audio 9 RTP/AVP 0\r\n{kind}\r\n");
            assert_eq!(parse(&text).unwrap_err().to_string(), format!("line 6: {}=: expected above the first m= only", &kind[..1]));
            let error = parse_fragment(kind).unwrap_err().to_string();
            assert_eq!(error, format!("line 1: {}=: expected attributes and media, of which a fragment consists", &kind[..1]));
        }
        wrong('x', &[("y", "one of v o s i u e p c b t r z k a m, found \"y\"")]);
        let media = format!("{HEAD}m=audio 9 RTP/AVP 0\r\ni=x\r\nc=IN IP4 192.0.2.1\r\nb=AS:1\r\nk=prompt\r\na=mid:0\r\n");
        assert_eq!(write(&parse(&media).unwrap()), media);
    }
}
