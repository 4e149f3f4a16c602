//! Lines to text: in the order of RFC 8866 §5, with CRLF. A line that a value with CR, LF or NUL would break ends there: it is cut, so that no
//! value ever makes a line of its own.
//!
//! `parse(write(x)) == x` but for line numbers, if no word of `x` is empty or has a blank in it. `write(parse(text))` is `text`, but for what has
//! more than one spelling: line ends, blanks, the order of the kinds of lines (`r=` follows all `t=`) and of a candidate's extensions,
//! `generation 0`, letter case of a transport protocol, a hash function and its digits, `;` with blanks around it in `a=fmtp`, leading zeros,
//! `s=` and `t=` where they were missing.

mod attribute;
mod candidate;

use super::line::{Connection, MediaDescription, Numbered, OtherLine, SessionDescription};
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
    if let Some(at) = memchr::memchr3(b'\r', b'\n', 0, &out.as_bytes()[from..]) {
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
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push_str(str::from_utf8(&digits[at..]).unwrap_or_default());
}
