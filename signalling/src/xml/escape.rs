//! Escaping for output, and its inverse for text that the validator has passed: XML 1.0 §2.4, §2.11, §3.3.3, §4.6.

use std::borrow::Cow;

use bytes::BufMut;

use super::name::is_char;

/// Appends text as character data: `&`, `<`, `>` and carriage returns as references. Characters that XML cannot carry become U+FFFD.
pub fn write_text(out: &mut impl BufMut, text: &str) {
    write(out, text, replacement_in_text);
}

/// Appends text as an attribute value for either kind of quote: also `"`, `'`, tabs and line feeds as references.
pub fn write_attr(out: &mut impl BufMut, text: &str) {
    write(out, text, replacement_in_attr);
}

/// What [`write_attr`] appends.
#[must_use]
pub fn escape_attr(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| replacement_in_attr(byte).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 16);
    write_attr(&mut out, text);
    // Only whole characters were replaced, by whole characters.
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Appends `text` with each byte for which there is one replaced. U+FFFE and U+FFFF, both EF BF BE/BF, are looked at as a whole.
fn write(out: &mut impl BufMut, text: &str, replacement: fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !REPLACED[usize::from(*byte)] {
            continue;
        }
        let Some(mut with) = replacement(*byte) else { continue };
        let mut width = 1;
        if *byte == 0xEF {
            match bytes.get(at + 1..at + 3) {
                Some([0xBF, 0xBE | 0xBF]) => (with, width) = ("\u{FFFD}", 3),
                _ => continue,
            }
        }
        out.put_slice(&bytes[start..at]);
        out.put_slice(with.as_bytes());
        start = at + width;
    }
    out.put_slice(&bytes[start..]);
}

/// The bytes for which there may be a replacement: few texts have one.
static REPLACED: [bool; 256] = {
    let mut replaced = [false; 256];
    let mut byte = 0;
    while byte < replaced.len() {
        replaced[byte] = replacement_in_attr(byte as u8).is_some();
        byte += 1;
    }
    replaced
};

const fn replacement_in_text(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        b'\t' | b'\n' => None,
        // The second is the first byte of U+FFFE and U+FFFF; `write` looks closer.
        0x00..0x20 | 0xEF => Some("\u{FFFD}"),
        _ => None,
    }
}

const fn replacement_in_attr(byte: u8) -> Option<&'static str> {
    match byte {
        b'"' => Some("&quot;"),
        b'\'' => Some("&apos;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        _ => replacement_in_text(byte),
    }
}

/// The text that validated character data stands for: references resolved, line ends as line feeds (§2.11).
#[must_use]
pub fn unescape_text(raw: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'&', b'\r', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    push_unescaped(&mut out, raw, '\n');
    Cow::Owned(out)
}

/// The value that a validated attribute stands for: references resolved, literal white space as spaces (§3.3.3).
#[must_use]
pub fn unescape_attr(raw: &str) -> Cow<'_, str> {
    if !raw.bytes().any(|byte| byte < 0x20 || byte == b'&') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    push_unescaped(&mut out, raw, ' ');
    Cow::Owned(out)
}

/// Appends the text of a CDATA section: only line ends change.
pub(crate) fn push_cdata(out: &mut String, raw: &str) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        out.push('\n');
        rest = &rest[at + 1..];
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    out.push_str(rest);
}

/// `line_feed` is what a literal line end becomes; with a space, tabs become spaces too.
fn push_unescaped(out: &mut String, raw: &str, line_feed: char) {
    let mut rest = raw;
    let special = |byte: &u8| matches!(byte, b'&' | b'\r') || (line_feed == ' ' && matches!(byte, b'\n' | b'\t'));
    while let Some(at) = rest.bytes().position(|byte| special(&byte)) {
        out.push_str(&rest[..at]);
        let byte = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if byte != b'&' {
            out.push(line_feed);
            if byte == b'\r' {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
            }
            continue;
        }
        let Some((name, behind)) = rest.split_once(';') else {
            // Not validated after all: kept as it stands.
            out.push('&');
            continue;
        };
        match resolve(name) {
            Some(c) => out.push(c),
            None => {
                out.push('&');
                out.push_str(name);
                out.push(';');
            }
        }
        rest = behind;
    }
    out.push_str(rest);
}

/// Most digits of a character reference. XML allows any number of leading zeros; parsers of others do not, and nobody writes them.
pub(crate) const REFERENCE_DIGITS_MAX: usize = 8;

/// The character of a reference, between `&` and `;`: the five entities of §4.6 and character references to what §2.2 allows.
pub(crate) fn resolve(name: &str) -> Option<char> {
    match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || digits.len() > REFERENCE_DIGITS_MAX {
        return None;
    }
    let mut code = 0u32;
    for c in digits.chars() {
        code = code.checked_mul(radix)?.checked_add(c.to_digit(radix)?)?;
    }
    char::from_u32(code).filter(|c| is_char(*c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xml::{Bindings, Element};

    fn escape_text(text: &str) -> String {
        let mut out = Vec::new();
        write_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escaping_table() {
        for (text, in_text, in_attr) in [
            ("plain é😀\u{fffd}", "plain é😀\u{fffd}", "plain é😀\u{fffd}"),
            ("<a> & \"b\" 'c'", "&lt;a&gt; &amp; \"b\" 'c'", "&lt;a&gt; &amp; &quot;b&quot; &apos;c&apos;"),
            ("\t\n\r", "\t\n&#13;", "&#9;&#10;&#13;"),
            ("]]>", "]]&gt;", "]]&gt;"),
            // What XML cannot carry.
            ("\0\u{1f}\u{fffe}x\u{ffff}", "\u{fffd}\u{fffd}\u{fffd}x\u{fffd}", "\u{fffd}\u{fffd}\u{fffd}x\u{fffd}"),
            ("\u{ffbe}\u{f000}", "\u{ffbe}\u{f000}", "\u{ffbe}\u{f000}"),
        ] {
            assert_eq!(escape_text(text), in_text);
            assert_eq!(escape_attr(text), in_attr);
        }
    }

    #[test]
    fn unescaping_table() {
        for (raw, in_text, in_attr) in [
            ("a", "a", "a"),
            ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'", "<>&\"'"),
            ("&#65;&#x42;&#x1F600;", "AB😀", "AB😀"),
            ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te", "a b c d e"),
            ("&#13;&#10;&#9;", "\r\n\t", "\r\n\t"),
            ("&amp;lt;", "&lt;", "&lt;"),
        ] {
            assert_eq!(unescape_text(raw), in_text, "{raw}");
            assert_eq!(unescape_attr(raw), in_attr, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in any::<String>()) {
            let xml = format!("<a b='{}'>{}</a>", escape_attr(&text), escape_text(&text));
            let element = Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap();
            let allowed: String = text.chars().map(|c| if is_char(c) { c } else { '\u{fffd}' }).collect();
            prop_assert_eq!(element.root().attr("b"), Some(allowed.as_str()));
            prop_assert_eq!(element.root().text(), allowed);
        }
    }
}
