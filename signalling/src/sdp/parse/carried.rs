//! Attributes that are known and only carried: each is checked by its own grammar. All others are any text.

use super::words::{Words, Wrong, is_digits, is_token};

/// Whether the value of a known attribute is right.
pub(super) fn check<'a>(name: &str, mut words: Words<'a>) -> Result<(), Wrong<'a>> {
    match name {
        // RFC 9143 §6, RFC 8839 §5.3, RFC 8858 §3.
        "bundle-only" | "ice-lite" | "ice-mismatch" | "rtcp-mux-only" => {
            return words.end().map_err(|wrong| Wrong { expected: "no value", ..wrong });
        }
        // RFC 8851 §10.
        "rid" => {
            words.word("an identifier of a stream", is_rid)?;
            words.word("send or recv", is_send_or_recv)?;
            words.next();
        }
        "simulcast" => simulcast(&mut words)?,
        // RFC 8842 §5.
        "tls-id" => {
            let is_id = |word: &str| {
                (20..=255).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte))
            };
            words.word("20 to 255 letters, digits, +, /, - and _", is_id)?;
        }
        // RFC 8841 §6; RFC 8839 §5.7.
        "max-message-size" => drop(words.word("a size in bytes", is_digits)?),
        "ice-pacing" => drop(words.word("a number of milliseconds", is_digits)?),
        // Of drafts before RFC 8830; the identifiers have no form.
        "msid-semantic" => return words.token("semantics").map(drop),
        // RFC 8827 §5: base64, then extensions.
        "identity" => {
            let is_base64 = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            return words.word("an assertion in base64", is_base64).map(drop);
        }
        // RFC 4796 §4, RFC 4574 §4, RFC 8866 §6.10, RFC 4145 §5.
        "content" => drop(words.word("kinds of content", |word| word.split(',').all(is_token))?),
        "label" => drop(words.token("a label")?),
        "framerate" => drop(words.word("a number of frames a second", is_decimal)?),
        "connection" => drop(words.word("new or existing", |word| matches!(word, "new" | "existing"))?),
        _ => return Ok(()),
    }
    words.end()
}

/// RFC 8851 §10: letters, digits, `-` and `_`.
fn is_rid(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_send_or_recv(word: &str) -> bool {
    matches!(word, "send" | "recv")
}

/// RFC 8853 §5.1: one or two directions, each with streams divided by `;`, each of alternatives divided by `,`, those that pause behind `~`.
fn simulcast<'a>(words: &mut Words<'a>) -> Result<(), Wrong<'a>> {
    let is_alternative = |word: &str| is_rid(word.strip_prefix('~').unwrap_or(word));
    let is_list = |word: &str| word.split([';', ',']).all(is_alternative);
    let first = words.word("send or recv", is_send_or_recv)?;
    words.word("identifiers of streams", is_list)?;
    if words.rest().is_empty() {
        return Ok(());
    }
    words.word("the other direction", |word| is_send_or_recv(word) && word != first)?;
    words.word("identifiers of streams", is_list).map(drop)
}

/// `25` or `29.97`.
fn is_decimal(word: &str) -> bool {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    is_digits(whole) && is_digits(fraction)
}
