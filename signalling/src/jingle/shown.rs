//! What a stranger has written, in a message to a person.

use std::fmt;

/// Characters that are shown.
const CHARACTERS_MAX: usize = 64;

/// The beginning of a text, on one line: nothing in it moves a cursor, and no key is in it.
pub(crate) struct Shown<'t>(pub &'t str);

/// The same between quotes.
pub(crate) struct Quoted<'t>(pub &'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if may_be_secret(self.0) {
            return f.write_str("(secret)");
        }
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(CHARACTERS_MAX) {
            write!(f, "{}", character.escape_debug())?;
        }
        f.write_str(if characters.next().is_some() { "…" } else { "" })
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", Shown(self.0))
    }
}

/// Whether a line of SDP, or a part of one, looks like one with a key: RFC 8839 §5.4, RFC 4568 §6.1, RFC 8866 §5.12. Where a line breaks its
/// grammar, nobody knows what it is.
fn may_be_secret(text: &str) -> bool {
    text.contains("ice-pwd") || text.contains("inline:") || text.starts_with("k=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_text_is_short_and_on_one_line() {
        let table: &[(&str, &str)] = &[
            ("opus", "'opus'"),
            ("", "''"),
            ("a\r\na=b", "'a\\r\\na=b'"),
            ("it's \u{9b}31m\u{2028}", "'it\\'s \\u{9b}31m\\u{2028}'"),
            (&"ä".repeat(64), &format!("'{}'", "ä".repeat(64))),
            (&"ä".repeat(65), &format!("'{}…'", "ä".repeat(64))),
            ("ice-pwd:dc0qlqmJng4+2npJQilnA8D4", "'(secret)'"),
            ("crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x", "'(secret)'"),
            ("k=clear:x", "'(secret)'"),
        ];
        for (text, expected) in table {
            assert_eq!(Quoted(text).to_string(), *expected);
        }
    }
}
