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

#[cfg(test)]
mod tests {
    use crate::sdp::parse::testing::{carried, wrong};

    #[test]
    fn flags_have_no_value() {
        for name in ["bundle-only", "ice-lite", "ice-mismatch", "rtcp-mux-only"] {
            carried(name, &["", " "]);
            wrong(name, &[("x", "no value, found \"x\"")]);
        }
    }

    #[test]
    fn rfc_8851_s10_rid() {
        carried("rid", &["1 send", "hi-res_2 recv", "1 send pt=97,98;max-width=1280;max-height=720", "6 recv max-br=64000"]);
        wrong(
            "rid",
            &[
                ("", "an identifier of a stream, found nothing"),
                ("1~ send", "an identifier of a stream, found \"1~\""),
                ("1", "send or recv, found nothing"),
                ("1 both", "send or recv, found \"both\""),
                ("1 send pt=97 98", "the end of the line, found \"98\""),
            ],
        );
    }

    #[test]
    fn rfc_8853_s5_1_simulcast() {
        carried("simulcast", &["send 1,2,3;~4,~5 recv 6;~7,~8", "recv 1;4,5 send 6;7", "send 1", " send 1;~2"]);
        wrong(
            "simulcast",
            &[
                ("", "send or recv, found nothing"),
                ("1;2", "send or recv, found \"1;2\""),
                ("send", "identifiers of streams, found nothing"),
                ("send 1;;2", "identifiers of streams, found \"1;;2\""),
                ("send ~", "identifiers of streams, found \"~\""),
                ("send 1 send 2", "the other direction, found \"send\""),
                ("send 1 recv", "identifiers of streams, found nothing"),
                ("send 1 recv 2 x", "the end of the line, found \"x\""),
            ],
        );
    }

    #[test]
    fn numbers_and_words() {
        carried("tls-id", &["abc3dl-1_/+abcdefghijklmn"]);
        carried("max-message-size", &["262144", "0", "99999999999999999999999"]);
        carried("ice-pacing", &["50"]);
        carried("msid-semantic", &["WMS *", " WMS", " WMS a b"]);
        carried("identity", &["eyJpZHAiOnsiZG9tYWluIjoi= ;foo=1"]);
        carried("content", &["main", "slides,alt"]);
        carried("label", &["1"]);
        carried("framerate", &["25", "29.97"]);
        carried("connection", &["new", "existing"]);
        wrong("tls-id", &[("short", "20 to 255 letters, digits, +, /, - and _, found \"short\"")]);
        wrong("max-message-size", &[("-1", "a size in bytes, found \"-1\""), ("1 2", "the end of the line, found \"2\"")]);
        wrong("ice-pacing", &[("", "a number of milliseconds, found nothing")]);
        wrong("msid-semantic", &[("", "semantics, found nothing")]);
        wrong("identity", &[("{}", "an assertion in base64, found \"{}\"")]);
        wrong("content", &[("main,", "kinds of content, found \"main,\"")]);
        wrong("label", &[("a b", "the end of the line, found \"b\"")]);
        wrong("framerate", &[("fast", "a number of frames a second, found \"fast\"")]);
        wrong("connection", &[("old", "new or existing, found \"old\"")]);
    }
}
