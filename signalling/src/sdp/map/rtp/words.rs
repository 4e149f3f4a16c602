//! What of the texts of Jingle can stand in a line of codecs, streams and keys, and comes back as it was: its attributes may hold spaces, separators and line
//! breaks. What a word is, `parse/words.rs` says; words of all other lines are judged by `map/words.rs`.

use smol_str::SmolStr;

use crate::jingle::rtp::Parameter;
pub(super) use crate::sdp::map::words::{is_long_word, is_token, is_word, push};
use crate::sdp::parse::words::{WORD_BYTES_MAX, is_in_line};
pub(super) use crate::sdp::parse::words::{is_digits, is_hex};
use crate::sdp::warning::Warnings;

/// The rest of a line, or what reaches to one of `separators`.
pub(super) fn is_rest(text: &str, separators: &[u8]) -> bool {
    let bytes = text.as_bytes();
    is_in_line(text) && separators.iter().all(|separator| memchr::memchr(*separator, bytes).is_none())
}

/// Cuts a list that came with one line.
pub(super) fn cut<T>(list: &mut Vec<T>, max: usize, line: u32, what: &str, warnings: &mut Warnings) {
    if list.len() > max {
        warnings.at(line, format_args!("more than {max} {what}; the rest is left out"));
        list.truncate(max);
    }
}

/// Without spaces at both ends, which no line keeps.
pub(super) fn trimmed(text: &SmolStr) -> SmolStr {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    if is_blank(bytes.first()) || is_blank(bytes.last()) { text.trim_matches([' ', '\t']).into() } else { text.clone() }
}

/// A word behind `a=rtcp-fb` or `a=extmap` as it comes back, if it can be one. XEP-0293 §3, XEP-0294 §3: `a=b` is a name and a value, any other
/// word a name; an empty value is none.
pub(super) fn word(parameter: &Parameter) -> Option<Parameter> {
    let Parameter { name, value } = parameter;
    match value.as_deref() {
        Some(value) if !value.is_empty() => {
            let is_short = name.len() + value.len() < WORD_BYTES_MAX;
            (is_short && is_word(name) && !name.contains('=') && is_word(value)).then(|| parameter.clone())
        }
        _ if !is_word(name) => None,
        _ => Some(match name.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Parameter { name: name.into(), value: Some(value.into()).filter(|value: &SmolStr| !value.is_empty()) }
            }
            _ => Parameter { name: name.clone(), value: None },
        }),
    }
}

/// Some of them; `None` if one cannot be a word.
pub(super) fn words(parameters: &[Parameter]) -> Option<Vec<Parameter>> {
    parameters.iter().map(word).collect()
}

/// Of words that came in a line: an empty value is none.
pub(super) fn without_empty_values(parameters: &mut [Parameter]) {
    for parameter in parameters {
        parameter.value.take_if(|value| value.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_of_lines() {
        let table = [("", true), ("a b\t=é\u{7f}", true), ("a;b", false), ("a\r", false), ("a\nb", false), ("a\0", false)];
        for (text, expected) in table {
            assert_eq!(is_rest(text, b";"), expected, "{text:?}");
        }
    }

    #[test]
    fn xep_0293_s3_a_parameter_is_one_word() {
        let parameter = |name: &str, value: Option<&str>| Parameter { name: name.into(), value: value.map(SmolStr::new) };
        let table = [
            (("a", None), Some(("a", None))),
            (("a", Some("")), Some(("a", None))),
            (("a", Some("b=c")), Some(("a", Some("b=c")))),
            (("a=b", None), Some(("a", Some("b")))),
            (("a=", None), Some(("a", None))),
            (("=a", None), Some(("=a", None))),
            (("a=b", Some("c")), None),
            (("", None), None),
            (("", Some("a")), None),
            (("a b", None), None),
            (("a", Some("b c")), None),
            (("a", Some("b\r\na=c")), None),
        ];
        for ((name, value), expected) in table {
            assert_eq!(word(&parameter(name, value)), expected.map(|(name, value)| parameter(name, value)), "{name:?} {value:?}");
        }
    }

    #[test]
    fn spaces_at_the_ends_are_not_kept() {
        for (text, expected) in [("a", "a"), (" a b\t", "a b"), (" ", "")] {
            assert_eq!(trimmed(&text.into()), expected);
        }
    }
}
