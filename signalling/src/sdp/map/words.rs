//! What a text from one side may be on the other: a text with a blank in it would become two words of a line, and one without characters none.

use smol_str::SmolStr;

use crate::sdp::warning::{Quoted, Warnings};

/// RFC 8866 §9, `token`.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'~'))
}

/// RFC 8866 §9, `non-ws-string`: one word of a line, whatever its characters.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}

/// Whether a text can be the rest of a line.
pub(super) fn is_line(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// A name that an element or attribute can have without a prefix: Namespaces in XML §3, in ASCII.
pub(super) fn is_ncname(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(first) && text.bytes().all(|byte| first(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

/// The text if it is one word, else a warning that names what it is.
pub(super) fn word(text: &SmolStr, what: &str, warnings: &mut Warnings) -> Option<SmolStr> {
    if is_word(text) {
        return Some(text.clone());
    }
    warnings.add(format_args!("{what} {} is left out: SDP has one word here", Quoted(text)));
    None
}

/// Keeps the first value of what a section says once; says that a second one is left out.
pub(super) fn once<T>(slot: &mut Option<T>, value: T, line: u32, what: &str, warnings: &mut Warnings) {
    if slot.is_none() {
        *slot = Some(value);
    } else {
        warnings.at(line, format_args!("a second {what} is left out"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_tokens_and_words() {
        let table = [
            ("audio", true, true, true),
            ("0", true, true, false),
            ("a-b.c_d", true, true, true),
            ("{1f}~", true, true, false),
            ("a@b", false, true, false),
            ("a:b", false, true, false),
            ("a/b", false, true, false),
            ("ä", false, true, false),
            ("", false, false, false),
            ("a b", false, false, false),
            ("a\tb", false, false, false),
            ("a\r\nb", false, false, false),
            ("a\u{7f}", false, false, false),
        ];
        for (text, token, word, ncname) in table {
            assert_eq!((is_token(text), is_word(text), is_ncname(text)), (token, word, ncname), "{text:?}");
        }
    }
}
