//! Lines to text: in the order of RFC 8866 §5, with CRLF. A line that a value with CR, LF or NUL would break ends there: it is cut, so that no
//! value ever makes a line of its own.
//!
//! `parse(write(x)) == x` but for line numbers, if no word of `x` is empty or has a blank in it. `write(parse(text))` is `text`, but for what has
//! more than one spelling: line ends, blanks, the order of the kinds of lines (`r=` follows all `t=`) and of a candidate's extensions,
//! `generation 0`, letter case of a transport protocol, a hash function and its digits, `;` with blanks around it in `a=fmtp`, leading zeros,
//! `s=` and `t=` where they were missing.

mod attribute;
mod codec;
mod ice;
mod security;
mod stream;

use super::line::{Connection, MediaDescription, Numbered, OtherLine, SessionDescription};
use super::parse::words::control_at;
use crate::jingle::rtp::Bandwidth;

pub use self::attribute::write_attribute;

/// The text, with CRLF at the end of each line. Without an origin it is a fragment (RFC 8840 §9).
#[must_use]
pub fn write(description: &SessionDescription) -> String {
    let lines = description.attributes.len() + description.media.iter().map(|media| media.attributes.len() + 3).sum::<usize>();
    let mut text = String::with_capacity(128 + 48 * lines);
    let out = &mut text;
    if let Some(origin) = &description.origin {
        line(out, "v=", |out| out.push('0'));
        line(out, "o=", |out| {
            pieces(out, &[&origin.username, " ", &origin.session_id, " "]);
            number(out, origin.version);
            out.push(' ');
            connection(out, &origin.address);
        });
        line(out, "s=", |out| out.push_str(if description.name.is_empty() { "-" } else { &description.name }));
    }
    others(out, &description.others, "iuep");
    if let Some(address) = &description.connection {
        line(out, "c=", |out| connection(out, address));
    }
    bandwidths(out, &description.bandwidths);
    if description.origin.is_some() {
        let unbounded = [(0, 0)];
        let timing = if description.timing.is_empty() { &unbounded[..] } else { &description.timing };
        for (start, stop) in timing {
            line(out, "t=", |out| {
                number(out, *start);
                out.push(' ');
                number(out, *stop);
            });
        }
    }
    others(out, &description.others, "r");
    others(out, &description.others, "z");
    others(out, &description.others, "k");
    attributes(out, &description.attributes);
    for description in &description.media {
        media(out, description);
    }
    text
}

fn media(out: &mut String, media: &MediaDescription) {
    line(out, "m=", |out| {
        out.push_str(&media.media);
        out.push(' ');
        number(out, media.port.into());
        if let Some(ports) = media.ports {
            out.push('/');
            number(out, ports.into());
        }
        out.push(' ');
        out.push_str(&media.protocol);
        for format in &media.formats {
            out.push(' ');
            out.push_str(format);
        }
    });
    others(out, &media.others, "i");
    for address in &media.connections {
        line(out, "c=", |out| connection(out, address));
    }
    bandwidths(out, &media.bandwidths);
    others(out, &media.others, "k");
    attributes(out, &media.attributes);
}

/// Those of these kinds, in this order of kinds.
fn others(out: &mut String, lines: &[OtherLine], kinds: &str) {
    for kind in kinds.chars() {
        for other in lines.iter().filter(|other| other.kind == kind) {
            line(out, "", |out| {
                out.push(kind);
                out.push('=');
                out.push_str(&other.value);
            });
        }
    }
}

fn bandwidths(out: &mut String, bandwidths: &[Bandwidth]) {
    for bandwidth in bandwidths {
        line(out, "b=", |out| pieces(out, &[&bandwidth.kind, ":", &bandwidth.value]));
    }
}

fn attributes(out: &mut String, attributes: &[Numbered]) {
    for numbered in attributes {
        line(out, "a=", |out| attribute::write(&numbered.attribute, out));
    }
}

/// One line; the only place that ends one.
fn line(out: &mut String, start: &str, write: impl FnOnce(&mut String)) {
    let from = out.len();
    out.push_str(start);
    write(out);
    cut(out, from);
    out.push_str("\r\n");
}

/// Cuts what was written since `from` at the first character that no line has.
fn cut(out: &mut String, from: usize) {
    if let Some(at) = control_at(&out[from..]) {
        out.truncate(from + at);
    }
}

/// `IN IP4 192.0.2.1`.
fn connection(out: &mut String, connection: &Connection) {
    out.push_str(if connection.is_ipv6 { "IN IP6 " } else { "IN IP4 " });
    out.push_str(&connection.address);
}

/// One after the other.
fn pieces(out: &mut String, pieces: &[&str]) {
    for piece in pieces {
        out.push_str(piece);
    }
}

/// In decimal digits.
fn number(out: &mut String, number: u64) {
    if number >= 10 {
        self::number(out, number / 10);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jingle::rtp::Parameter;
    use crate::sdp::line::{Attribute, Origin};

    /// RFC 8866 §5: all kinds of lines.
    const WHOLE: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=x\r\ni=i\r\nu=u\r\ne=e\r\ne=f\r\np=p\r\nc=IN IP4 192.0.2.1\r\nb=AS:1\r\nt=1 2\r\nt=3 4\r\n\
        r=1 1 1\r\nz=0 1\r\nk=k\r\na=a\r\nm=audio 9/2 RTP/AVP 0 1\r\ni=i\r\nc=IN IP6 ::\r\nc=IN IP4 192.0.2.2\r\nb=RR:0\r\nb=RS:1\r\nk=k\r\na=b:c\r\n";

    #[test]
    fn s5_lines_have_an_order() {
        let read = crate::sdp::parse(WHOLE).unwrap();
        assert_eq!(write(&read), WHOLE);
        let (session, media) = WHOLE.split_at(WHOLE.find("m=").unwrap());
        let reversed = |text: &str| {
            let (first, rest) = text.split_once("\r\n").unwrap();
            let mut rest: Vec<_> = rest.lines().collect();
            rest.sort_by_key(|line| std::cmp::Reverse("vosiuepcbtrzka".find(&line[..1])));
            format!("{first}\n{}\n", rest.join("\n"))
        };
        let read = crate::sdp::parse(&(reversed(session) + &reversed(media))).unwrap();
        assert_eq!(write(&read), WHOLE);
    }

    #[test]
    fn what_must_be_there_is_written_with_a_default() {
        let description = SessionDescription { origin: Some(Origin::default()), ..SessionDescription::default() };
        assert_eq!(write(&description), "v=0\r\no=  0 IN IP4 \r\ns=-\r\nt=0 0\r\n");
    }

    #[test]
    fn a_line_is_cut_where_a_value_would_break_it() {
        let other = |value: &str| Attribute::Other { name: "x".into(), value: Some(value.into()) };
        let table = [
            (other("a\r\na=evil:1"), "x:a"),
            (other("a\na=evil:1"), "x:a"),
            (other("a\ra=evil:1"), "x:a"),
            (other("a\0b"), "x:a"),
            (other("\n"), "x:"),
            (Attribute::Other { name: "\nm=audio 9 RTP/AVP 0".into(), value: None }, ""),
            (Attribute::Mid("0\r\n".into()), "mid:0"),
            (Attribute::IceOptions(vec!["a\n".into(), "b".into()]), "ice-options:a"),
            (
                Attribute::Fmtp { payload: 96, parameters: vec![Parameter { name: "a".into(), value: Some("1\r\n\r\nv=0".into()) }] },
                "fmtp:96 a=1",
            ),
            // Breaks to who reads lines as Unicode has them.
            (other("a\u{85}b"), "x:a"),
            (other("é\u{2028}b"), "x:é"),
            (other("a\u{b}b"), "x:a"),
            (other("a\tb"), "x:a\tb"),
        ];
        for (attribute, expected) in table {
            let mut out = String::from("kept\r\n");
            write_attribute(&attribute, &mut out);
            assert_eq!(out, format!("kept\r\n{expected}"));
            let description = SessionDescription { attributes: vec![attribute.into()], ..SessionDescription::default() };
            assert_eq!(write(&description), format!("a={expected}\r\n"));
        }
    }

    #[test]
    fn numbers() {
        for value in [0, 1, 9, 10, 65535, u64::from(u32::MAX), u64::MAX] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string());
        }
    }

    #[test]
    fn what_only_jingle_leaves_open_has_a_default_in_a_candidate() {
        let candidate = crate::jingle::candidate::Candidate { ip: "192.0.2.1".into(), protocol: "udp".into(), ..Default::default() };
        let mut out = String::new();
        write_attribute(&Attribute::Candidate(Box::new(candidate)), &mut out);
        assert_eq!(out, "candidate:0 0 udp 0 192.0.2.1 0 typ host generation 0");
    }
}
