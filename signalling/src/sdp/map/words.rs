//! What a text from one side may be on the other: a text with a blank in it would become two words of a line, and one without characters none.

use smol_str::SmolStr;

use crate::sdp::parse::words::{WORD_BYTES_MAX, is_in_line};
pub(super) use crate::sdp::parse::words::{is_address, is_ice, is_ipv6, is_token};
use crate::sdp::warning::{Quoted, Warnings};

/// RFC 8866 §9, `non-ws-string`: one word of a line, whatever its characters.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX && is_long_word(text)
}

/// The same of any length, as keys are.
pub(super) fn is_long_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte > b' ') && (text.is_ascii() || is_in_line(text))
}

/// The text if it is what a line has in this place, else a warning that names what it is.
pub(super) fn fitting(text: &SmolStr, is: fn(&str) -> bool, what: &str, warnings: &mut Warnings) -> Option<SmolStr> {
    if is(text) {
        return Some(text.clone());
    }
    warnings.add(format_args!("{what} {} is left out: SDP has no such word here", Quoted(text)));
    None
}

/// Adds to a list; what is too much is left out and said.
pub(super) fn push<T>(list: &mut Vec<T>, item: T, max: usize, line: u32, what: &str, warnings: &mut Warnings) {
    if list.len() < max {
        list.push(item);
    } else {
        warnings.at(line, format_args!("more than {max} {what}; left out"));
    }
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
            ("audio", true, true),
            ("{1f}~", true, true),
            ("a@b", false, true),
            ("a:b", false, true),
            ("a/b", false, true),
            ("ä", false, true),
            ("", false, false),
            ("a b", false, false),
            ("a\tb", false, false),
            ("a\r\nb", false, false),
        ];
        for (text, token, word) in table {
            assert_eq!((is_token(text), is_word(text)), (token, word), "{text:?}");
        }
    }
}
