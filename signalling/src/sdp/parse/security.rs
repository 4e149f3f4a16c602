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

/// Digits and colons of the longest hash of TLS, SHA-512.
const FINGERPRINT_BYTES_MAX: usize = 3 * 64 - 1;

/// RFC 8122 §5: the hash function's name in either case, the digits too; how many belong to which function is for TLS to judge.
pub(super) fn fingerprint(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let hash = lower(words.token("a hash function")?);
    let value = words.word("at most 64 pairs of hexadecimal digits with colons between", is_octets)?;
    words.end()?;
    let value = if value.bytes().any(|byte| byte.is_ascii_lowercase()) { value.to_ascii_uppercase().into() } else { value.into() };
    Ok(Attribute::Fingerprint(Fingerprint { hash, value }))
}

pub(in crate::sdp) fn is_octets(word: &str) -> bool {
    let digits = |pair: &[u8]| pair.len() >= 2 && pair[0].is_ascii_hexdigit() && pair[1].is_ascii_hexdigit();
    word.len() <= FINGERPRINT_BYTES_MAX
        && word.len() % 3 == 2
        && word.as_bytes().chunks(3).all(|pair| digits(pair) && pair.get(2).is_none_or(|byte| *byte == b':'))
}

/// RFC 4568 §9.1. What it holds is secret: errors do not show it.
pub(super) fn crypto(mut words: Words<'_>) -> Result<Attribute, Wrong<'_>> {
    let tag = words.word("a tag of one to nine digits", |word| word.len() <= 9 && is_digits(word))?.into();
    let suite = words.token("a crypto suite")?.into();
    let key_params = words.long_word("keys: inline:…", |word| word.split(';').all(is_key))?.into();
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
    let hash = words.long_word("a hash in hexadecimal digits", is_hex)?.into();
    words.end()?;
    Ok(Attribute::ZrtpHash(ZrtpHash { version, hash }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse::testing::{becomes, read, stays, wrong};

    #[test]
    fn rfc_4145_s4_setup() {
        stays("setup", &["active", "passive", "actpass", "holdconn"]);
        becomes("setup", &[("ActPass ", "actpass")]);
        let expected = "active, passive, actpass or holdconn";
        wrong(
            "setup",
            &[
                ("", &format!("{expected}, found nothing")),
                ("both", &format!("{expected}, found \"both\"")),
                ("active passive", "the end of the line, found \"passive\""),
            ],
        );
    }

    #[test]
    fn rfc_8122_s5_fingerprint() {
        stays("fingerprint", &["sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB", "sha-256 00"]);
        becomes(
            "fingerprint",
            &[
                // RFC 5763 §7.1 has the blank.
                (" SHA-1 4A:AD:B9", "sha-1 4A:AD:B9"),
                ("SHA-256 4a:Ad:b9", "sha-256 4A:AD:B9"),
            ],
        );
        let expected = "at most 64 pairs of hexadecimal digits with colons between";
        for value in ["4A:", "4", "4A:A", "4A-AD", "4A:AD:", ":4A", "4G", "4A::AD", "4AAD", "é"] {
            wrong("fingerprint", &[(&format!("sha-1 {value}"), &format!("{expected}, found \"{value}\""))]);
        }
        wrong(
            "fingerprint",
            &[
                ("", "a hash function, found nothing"),
                ("sha/1 4A", "a hash function, found \"sha/1\""),
                ("sha-1", &format!("{expected}, found nothing")),
                ("sha-1 4A AD", "the end of the line, found \"AD\""),
            ],
        );
    }

    #[test]
    fn rfc_4568_s9_1_crypto() {
        stays(
            "crypto",
            &[
                "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
                "2 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP",
                "999999999 AEAD_AES_256_GCM inline:x KDR=1 UNENCRYPTED_SRTCP",
            ],
        );
        let expected = Crypto { tag: "1".into(), suite: "S".into(), key_params: "inline:k".into(), session_params: Some("A=1 B".into()) };
        assert_eq!(read("crypto", " 1\tS  inline:k  A=1 B "), Attribute::Crypto(expected));
        for (value, expected) in [
            ("", "a tag of one to nine digits"),
            ("1234567890 S inline:k", "a tag of one to nine digits"),
            ("a S inline:k", "a tag of one to nine digits"),
            ("1", "a crypto suite"),
            ("1 S", "keys: inline:…"),
            ("1 S k", "keys: inline:…"),
            ("1 S inline:", "keys: inline:…"),
            ("1 S inline:k;", "keys: inline:…"),
        ] {
            wrong("crypto", &[(value, &format!("{expected}, found something else, which is secret"))]);
        }
    }

    #[test]
    fn rfc_6189_s8_zrtp_hash() {
        stays("zrtp-hash", &["1.10 fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df"]);
        wrong(
            "zrtp-hash",
            &[
                ("", "a version of ZRTP, found nothing"),
                ("1.10", "a hash in hexadecimal digits, found nothing"),
                ("1.10 fe3g", "a hash in hexadecimal digits, found \"fe3g\""),
                ("1.10 fe a", "the end of the line, found \"a\""),
            ],
        );
    }
}
