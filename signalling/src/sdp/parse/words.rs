//! Words of a line and what they are made of: RFC 8866 §9, "generic sub-rules". Words stand between any number of spaces and tabs.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::jingle::shown::Shown;

/// Longest word, in bytes: what an element takes as a name. Keys are longer.
pub(in crate::sdp) const WORD_BYTES_MAX: usize = crate::jingle::content::NAME_BYTES_MAX;
const SHORT: &str = "at most 256 bytes in a word";

/// What was expected in a line, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong<'a> {
    /// Completes "expected …".
    pub expected: &'static str,
    /// `None`: a secret, which no error shows.
    pub found: Option<&'a str>,
}

impl<'a> Wrong<'a> {
    pub fn new(expected: &'static str, found: &'a str) -> Self {
        Self { expected, found: Some(found) }
    }

    /// The same without what was found.
    pub fn secret(self) -> Self {
        Self { found: None, ..self }
    }
}

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found ", self.expected)?;
        match self.found {
            None => f.write_str("something else, which is secret"),
            Some("") => f.write_str("nothing"),
            Some(found) => f.write_str(&shown(found)),
        }
    }
}

/// The beginning of a text in quotation marks, on one line.
pub(super) fn shown(text: &str) -> String {
    format!("\"{}\"", Shown(text))
}

/// The words of a text that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Blanks at the end are cut here, once, and not with each look at what follows.
    pub fn of(text: &'a str) -> Self {
        Self(trim_end(text))
    }

    pub fn next(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        let start = bytes.iter().position(|byte| !is_blank(*byte))?;
        let end = memchr::memchr2(b' ', b'\t', &bytes[start..]).map_or(bytes.len(), |len| start + len);
        let word = &self.0[start..end];
        self.0 = &self.0[end..];
        Some(word)
    }

    /// The next word, of which there is no more than an element takes.
    pub fn next_short(&mut self) -> Result<Option<&'a str>, Wrong<'a>> {
        self.next().map(short).transpose()
    }

    /// The next word, which `is` says to be right.
    pub fn word(&mut self, expected: &'static str, is: impl FnOnce(&str) -> bool) -> Result<&'a str, Wrong<'a>> {
        self.long_word(expected, is).and_then(short)
    }

    /// The same of any length.
    pub fn long_word(&mut self, expected: &'static str, is: impl FnOnce(&str) -> bool) -> Result<&'a str, Wrong<'a>> {
        match self.next() {
            Some(word) if is(word) => Ok(word),
            found => Err(Wrong::new(expected, found.unwrap_or_default())),
        }
    }

    pub fn token(&mut self, expected: &'static str) -> Result<&'a str, Wrong<'a>> {
        self.word(expected, is_token)
    }

    /// Any word.
    pub fn any(&mut self, expected: &'static str) -> Result<&'a str, Wrong<'a>> {
        self.word(expected, |_| true)
    }

    pub fn number<N: TryFrom<u64>>(&mut self, expected: &'static str) -> Result<N, Wrong<'a>> {
        let word = self.any(expected)?;
        number(word).ok_or(Wrong::new(expected, word))
    }

    /// What follows, without blanks around it.
    pub fn rest(self) -> &'a str {
        trim_start(self.0)
    }

    pub fn end(self) -> Result<(), Wrong<'a>> {
        match self.rest() {
            "" => Ok(()),
            found => Err(Wrong::new("the end of the line", found)),
        }
    }
}

/// The word, unless it is too long.
pub(super) fn short(word: &str) -> Result<&str, Wrong<'_>> {
    if word.len() > WORD_BYTES_MAX { Err(Wrong::new(SHORT, word)) } else { Ok(word) }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without spaces and tabs around it.
pub(super) fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}

fn trim_start(text: &str) -> &str {
    &text[text.bytes().position(|byte| !is_blank(byte)).unwrap_or(text.len())..]
}

fn trim_end(text: &str) -> &str {
    &text[..text.bytes().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1)]
}

/// At the first `separator`, without blanks around the halves.
pub(super) fn split(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(separator, text.as_bytes())?;
    Some((trim(&text[..at]), trim(&text[at + 1..])))
}

/// Decimal digits and nothing else, of a number that fits.
pub(super) fn number<N: TryFrom<u64>>(word: &str) -> Option<N> {
    if word.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for byte in word.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    N::try_from(number).ok()
}

const TOKEN: u8 = 1;
const ICE: u8 = 2;
const NAME: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character.is_ascii_alphanumeric() {
            classes[byte] = TOKEN | ICE | NAME;
        } else {
            classes[byte] = match character {
                b'-' | b'_' => TOKEN | ICE | NAME,
                b'.' => TOKEN | NAME,
                b'+' | b'#' => TOKEN | ICE,
                b'!' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'^' | b'`' | b'{' | b'|' | b'}' | b'~' => TOKEN,
                b'/' | b'=' => ICE,
                _ => 0,
            };
        }
        byte += 1;
    }
    classes
};

fn is_all(word: &str, class: u8) -> bool {
    !word.is_empty() && word.bytes().all(|byte| CLASSES[usize::from(byte)] & class != 0)
}

/// `token`.
pub(in crate::sdp) fn is_token(word: &str) -> bool {
    is_all(word, TOKEN)
}

/// `ice-char` of RFC 8839 §5.4, with `-`, `_`, `#` and `=`, which browsers let through since there are programs that write them.
pub(in crate::sdp) fn is_ice(word: &str) -> bool {
    is_all(word, ICE)
}

/// `1*DIGIT`.
pub(in crate::sdp) fn is_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Hexadecimal digits.
pub(in crate::sdp) fn is_hex(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `unicast-address`: an IPv4 or IPv6 address, the latter perhaps with a zone (RFC 4007 §11), or a name.
pub(in crate::sdp) fn is_address(word: &str) -> bool {
    if is_ipv6(word) {
        let (address, zone) = word.split_once('%').unwrap_or((word, "0"));
        return address.parse::<Ipv6Addr>().is_ok() && is_all(zone, NAME);
    }
    if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return word.parse::<Ipv4Addr>().is_ok();
    }
    word.len() <= 255 && is_all(word, NAME)
}

/// Whether an address, if it is one, is of IPv6.
pub(in crate::sdp) fn is_ipv6(address: &str) -> bool {
    memchr::memchr(b':', address.as_bytes()).is_some()
}

/// A control character that no text of SDP has: byte-string forbids NUL, CR and LF, no program writes the others, and XML cannot say them.
pub(super) fn control(line: &str) -> Option<&str> {
    let at = control_at(line)?;
    line[at..].chars().next().map(|character| &line[at..at + character.len_utf8()])
}

/// Where it stands.
pub(in crate::sdp) fn control_at(line: &str) -> Option<usize> {
    // Without an early end the compiler does many at once. 0xc2 begins the first character beyond ASCII.
    if !line.bytes().fold(false, |found, byte| found | (byte < b' ' && byte != b'\t') | (byte >= 0xc2)) {
        return None;
    }
    line.find(is_control)
}

/// The controls of ASCII but for the tab, what Unicode has as ends of lines beside them (programs that cut a text into lines by Unicode's rules would
/// see two), and what is no character of XML.
pub(in crate::sdp) fn is_control(character: char) -> bool {
    matches!(character, '\0'..='\x08' | '\n'..='\x1f' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text can stand in a line.
pub(in crate::sdp) fn is_in_line(text: &str) -> bool {
    control(text).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8866_s9_token_char() {
        let tokens: String = (0..=0x10ff).filter_map(char::from_u32).filter(|character| is_token(&character.to_string())).collect();
        assert_eq!(tokens, "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~");
        assert!(!is_token(""));
    }

    #[test]
    fn rfc_8866_s9_addresses() {
        let good = [
            "192.0.2.1",
            "0.0.0.0",
            "::",
            "2001:db8::1",
            "::ffff:192.0.2.1",
            "fe80::1%eth0.1",
            "a",
            "host.example.com",
            "4fd2b1a0.local",
            "a_b",
        ];
        for address in good {
            assert!(is_address(address), "{address}");
        }
        let long = "a".repeat(256);
        for address in
            ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1", ":", ":::", "fe80::1%", "%eth0", "[::1]", "a b", "a/1", "é.example", &long]
        {
            assert!(!is_address(address), "{address}");
        }
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(number::<u8>("255"), Some(255));
        assert_eq!(number::<u64>("18446744073709551615"), Some(u64::MAX));
        assert_eq!(number::<u8>("000000000000000000000000000001"), Some(1));
        for word in ["", "256", "-1", "+1", " 1", "1.0", "0x1", "١"] {
            assert_eq!(number::<u8>(word), None, "{word}");
        }
        assert_eq!(number::<u64>("18446744073709551616"), None);
    }

    #[test]
    fn errors_show_the_beginning_of_what_stands_there_on_one_line() {
        let table = [
            ("", "expected x, found nothing"),
            ("a\tb \"é\" \\", "expected x, found \"a\\tb \\\"é\\\" \\\\\""),
            ("\u{202e}\u{7f}", "expected x, found \"\\u{202e}\\u{7f}\""),
        ];
        for (found, expected) in table {
            assert_eq!(Wrong::new("x", found).to_string(), expected);
        }
        assert_eq!(Wrong::new("x", &"ä".repeat(65)).to_string(), format!("expected x, found \"{}…\"", "ä".repeat(64)));
        assert_eq!(Wrong::new("x", "key").secret().to_string(), "expected x, found something else, which is secret");
    }
}
