//! Attributes of keys: RFC 8122 §5, RFC 4145 §4, RFC 4568 §9, RFC 6189 §8.

use super::ice::lower;
use super::words::{Words, Wrong, is_digits, is_hex, is_token};
use crate::jingle::rtp::{Crypto, ZrtpHash};
use crate::jingle::transport::{Fingerprint, Setup};
use crate::sdp::line::Attribute;

/// RFC 4145 §4.
pub(super) fn setup(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let expected = "active, passive, actpass or holdconn";
    let word = words.any(expected)?;
    let setup = Setup::parse(&lower(word)).ok_or(Wrong::new(expected, word))?;
    words.end()?;
    Ok(Attribute::Setup(setup))
}

/// RFC 8122 §5: the hash function's name in either case, the digits too; how many they are is for TLS to judge.
pub(super) fn fingerprint(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let hash = lower(words.token("a hash function")?);
    let value = words.word("pairs of hexadecimal digits with colons between", is_octets)?;
    words.end()?;
    let value = if value.bytes().any(|byte| byte.is_ascii_lowercase()) { value.to_ascii_uppercase().into() } else { value.into() };
    Ok(Attribute::Fingerprint(Fingerprint { hash, value }))
}

pub(in crate::sdp) fn is_octets(word: &str) -> bool {
    let digits = |pair: &[u8]| pair.len() >= 2 && pair[0].is_ascii_hexdigit() && pair[1].is_ascii_hexdigit();
    word.len() % 3 == 2 && word.as_bytes().chunks(3).all(|pair| digits(pair) && pair.get(2).is_none_or(|byte| *byte == b':'))
}

/// RFC 4568 §9.1. What it holds is secret: errors do not show it.
pub(super) fn crypto(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let tag = words.word("a tag of one to nine digits", |word| word.len() <= 9 && is_digits(word))?.into();
    let suite = words.token("a crypto suite")?.into();
    let key_params = words.word("keys: inline:…", |word| word.split(';').all(is_key))?.into();
    let session_params = Some(words.rest()).filter(|rest| !rest.is_empty()).map(Into::into);
    Ok(Attribute::Crypto(Crypto { tag, suite, key_params, session_params }))
}

/// `method:info`.
pub(in crate::sdp) fn is_key(text: &str) -> bool {
    text.split_once(':').is_some_and(|(method, info)| is_token(method) && !info.is_empty())
}

/// RFC 6189 §8.
pub(super) fn zrtp_hash(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let version = words.token("a version of ZRTP")?.into();
    let hash = words.word("a hash in hexadecimal digits", is_hex)?.into();
    words.end()?;
    Ok(Attribute::ZrtpHash(ZrtpHash { version, hash }))
}
