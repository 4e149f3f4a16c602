//! What can stand in a line and comes back as it was. Only Jingle can say more: its attributes may hold spaces, separators and line breaks.

use smol_str::SmolStr;

use crate::jingle::rtp::Parameter;

/// A word of a line that goes on behind it: neither space nor control character, nor one of `separators`.
pub(super) fn is_word(text: &str, separators: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte > b' ' && byte != 0x7f && !separators.contains(&byte))
}

/// The rest of a line, or what reaches to one of `separators`.
pub(super) fn is_rest(text: &str, separators: &[u8]) -> bool {
    text.bytes().all(|byte| (byte >= b' ' || byte == b'\t') && byte != 0x7f && !separators.contains(&byte))
}

/// Without spaces at both ends, which no line keeps.
pub(super) fn trimmed(text: &SmolStr) -> SmolStr {
    let inner = text.trim_matches([' ', '\t']);
    if inner.len() == text.len() { text.clone() } else { inner.into() }
}

/// XEP-0293 §3, XEP-0294 §3: `a=b` is a name and a value, any other word a name, and an empty value is none.
pub(super) fn word(parameter: Parameter) -> Parameter {
    Parameter { value: parameter.value.filter(|value| !value.is_empty()), ..parameter }
}

/// Whether a parameter can be such a word.
pub(super) fn is_parameter_word(parameter: &Parameter) -> bool {
    match parameter.value.as_deref() {
        None | Some("") => is_word(&parameter.name, b""),
        Some(value) => is_word(&parameter.name, b"=") && is_word(value, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_rests() {
        let table = [
            ("opus", true, true),
            ("", false, true),
            ("a b", false, true),
            ("a\tb", false, true),
            ("a/b", false, false),
            ("é", true, true),
            ("a\r", false, false),
            ("a\nb", false, false),
            ("a\0", false, false),
            ("\u{7f}", false, false),
        ];
        for (text, word, rest) in table {
            assert_eq!((is_word(text, b"/"), is_rest(text, b"/")), (word, rest), "{text:?}");
        }
    }

    #[test]
    fn xep_0293_s3_a_parameter_is_one_word() {
        let table = [("a", None, true), ("a", Some(""), true), ("a", Some("b=c"), true), ("a=b", None, true), ("a=b", Some("c"), false)];
        for (name, value, expected) in table {
            let parameter = Parameter { name: name.into(), value: value.map(SmolStr::new) };
            assert_eq!(is_parameter_word(&parameter), expected, "{parameter:?}");
        }
    }

    #[test]
    fn spaces_at_the_ends_are_not_kept() {
        for (text, expected) in [("a", "a"), (" a b\t", "a b"), (" ", "")] {
            assert_eq!(trimmed(&text.into()), expected);
        }
    }
}
