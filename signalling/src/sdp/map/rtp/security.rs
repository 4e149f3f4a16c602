//! `a=crypto` (RFC 4568 §4) against `<crypto/>` (XEP-0167 §7), `a=zrtp-hash` (RFC 6189 §8) against `<zrtp-hash/>` (XEP-0262). Keys are secret: no
//! warning has a part of one.

use super::words::{is_digits, is_hex, is_long_word, is_rest, is_token, push, trimmed};
use crate::jingle::rtp::{CRYPTOS_MAX, Crypto, Encryption, Rtp, ZRTP_HASHES_MAX, ZrtpHash};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::parse::security::is_key;
use crate::sdp::warning::{Quoted, Warnings};

/// XEP-0167 §4, RFC 4568 §5.1.2: with RTP/SAVP nothing goes without; with RTP/AVP encryption is only offered.
pub(super) fn is_required(protocol: &str) -> bool {
    protocol.contains("SAVP")
}

/// `a=crypto`: their order is that of preference.
pub(super) fn take_crypto(line: u32, crypto: Crypto, required: bool, of: &mut Option<Encryption>, warnings: &mut Warnings) {
    let encryption = of.get_or_insert_with(|| Encryption { required, cryptos: Vec::new() });
    push(&mut encryption.cryptos, crypto, CRYPTOS_MAX, line, "crypto", warnings);
}

/// `a=zrtp-hash`: one for each version.
pub(super) fn take_zrtp_hash(line: u32, hash: ZrtpHash, of: &mut Vec<ZrtpHash>, warnings: &mut Warnings) {
    push(of, hash, ZRTP_HASHES_MAX, line, "zrtp-hash", warnings);
}

/// `a=crypto` and `a=zrtp-hash`.
pub(super) fn write(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    if let Some(encryption) = &rtp.encryption {
        if encryption.required && encryption.cryptos.is_empty() {
            warnings.add(format_args!("encryption is required, but there is no <crypto/>: SDP cannot say it"));
        }
        for crypto in &encryption.cryptos {
            write_crypto(crypto, out, warnings);
        }
    }
    for hash in &rtp.zrtp_hashes {
        if is_token(&hash.version) && is_hex(&hash.hash) {
            out.push(Attribute::ZrtpHash(hash.clone()).into());
        } else {
            warnings.add(format_args!("the zrtp-hash of version {} has no token and hexadecimal digits; left out", Quoted(&hash.version)));
        }
    }
}

fn write_crypto(crypto: &Crypto, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let session_params = crypto.session_params.as_ref().map(trimmed).filter(|params| !params.is_empty());
    let fits = is_tag(&crypto.tag) && is_token(&crypto.suite) && is_keys(&crypto.key_params);
    if fits && session_params.as_ref().is_none_or(|params| is_rest(params, b"")) {
        out.push(Attribute::Crypto(Crypto { session_params, ..crypto.clone() }).into());
    } else {
        warnings.add(format_args!("<crypto/> with tag {} holds what cannot stand in SDP; left out", Quoted(&crypto.tag)));
    }
}

/// `1*9DIGIT`: RFC 4568 §9.1.
fn is_tag(text: &str) -> bool {
    text.len() <= 9 && is_digits(text)
}

/// Several with `;` between: RFC 4568 §9.1.
fn is_keys(text: &str) -> bool {
    is_long_word(text) && text.split(';').all(is_key)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{audio, check, read, reads, write, writes};
    use super::*;
    use crate::jingle::content::Party;

    const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:32";

    fn crypto(tag: &str, suite: &str, key_params: &str, session_params: Option<&str>) -> Crypto {
        Crypto { tag: tag.into(), suite: suite.into(), key_params: key_params.into(), session_params: session_params.map(Into::into) }
    }

    fn with(required: bool, cryptos: Vec<Crypto>) -> Rtp {
        Rtp { encryption: Some(Encryption { required, cryptos }), ..audio() }
    }

    fn section(protocol: &str, lines: &str) -> String {
        format!("m=audio 9 {protocol} 0\n{lines}\na=rtpmap:0 PCMU/8000").replace("\n\n", "\n")
    }

    #[test]
    fn xep_0167_s7() {
        let lines = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY} KDR=1 UNENCRYPTED_SRTCP");
        let cryptos = vec![crypto("1", "AES_CM_128_HMAC_SHA1_80", KEY, Some("KDR=1 UNENCRYPTED_SRTCP"))];
        check(&section("RTP/SAVP", &lines), &with(true, cryptos));
    }

    #[test]
    fn rfc_4568_s6_their_order_is_that_of_preference() {
        let lines = "a=crypto:2 AEAD_AES_256_GCM inline:YQ==;inline:Yg==
            a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:YQ==
            a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:YQ==";
        let last = crypto("1", "AES_CM_128_HMAC_SHA1_32", "inline:YQ==", None);
        let cryptos = vec![crypto("2", "AEAD_AES_256_GCM", "inline:YQ==;inline:Yg==", None), last.clone(), last];
        check(&section("RTP/AVP", lines), &with(false, cryptos));
    }

    #[test]
    fn xep_0167_s4_required_with_savp() {
        let line = "a=crypto:1 s inline:YQ==";
        let cryptos = vec![crypto("1", "s", "inline:YQ==", None)];
        for (protocol, required) in
            [("RTP/SAVP", true), ("RTP/SAVPF", true), ("UDP/TLS/RTP/SAVPF", true), ("RTP/AVP", false), ("RTP/AVPF", false)]
        {
            reads(&section(protocol, line), &with(required, cryptos.clone()), &[]);
            reads(&section(protocol, ""), &audio(), &[]);
        }
    }

    #[test]
    fn xep_0262_s1() {
        let hash = "fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df";
        let hashes = ["1.10", "2.00"].map(|version| ZrtpHash { version: version.into(), hash: hash.into() });
        let lines = format!("a=zrtp-hash:1.10 {hash}\na=zrtp-hash:2.00 {hash}");
        check(&section("RTP/AVP", &lines), &Rtp { zrtp_hashes: hashes.into(), ..audio() });
    }

    #[test]
    fn no_warning_has_a_key() {
        let table = [
            ("x", "s", "inline:SECRET", None),
            ("1234567890", "s", "inline:SECRET", None),
            ("1", "s s", "inline:SECRET", None),
            ("1", "s", "inline:SECRET SECRET", None),
            ("1", "s", "SECRET", None),
            ("1", "s", "inline:SECRET;", None),
            ("1", "s", "inline:SECRET\r\na=b", None),
            ("1", "s", "inline:SECRET", Some("a\nb")),
        ];
        for (tag, suite, key_params, session_params) in table {
            let rtp = with(false, vec![crypto(tag, suite, key_params, session_params)]);
            let (written, warnings) = write(Party::Initiator, &rtp);
            assert_eq!(written, "m=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n");
            assert_eq!(warnings, [format!("<crypto/> with tag '{tag}' holds what cannot stand in SDP; left out")]);
            assert!(!format!("{rtp:?}").contains("SECRET"));
        }
        let many = "a=crypto:1 s inline:SECRET\n".repeat(CRYPTOS_MAX + 1);
        let (rtp, warnings) = read(Party::Initiator, &section("RTP/SAVP", &many));
        assert_eq!(rtp.encryption.unwrap().cryptos.len(), CRYPTOS_MAX);
        assert_eq!(warnings, ["66: more than 64 crypto; left out"]);
    }

    #[test]
    fn what_sdp_cannot_say() {
        let warning = "encryption is required, but there is no <crypto/>: SDP cannot say it";
        writes(&with(true, Vec::new()), &section("RTP/AVP", ""), &[warning]);
        writes(&with(false, Vec::new()), &section("RTP/AVP", ""), &[]);
        // Nothing but spaces is nothing.
        writes(&with(false, vec![crypto("1", "s", "inline:a", Some(" "))]), &section("RTP/AVP", "a=crypto:1 s inline:a"), &[]);
        let table = [("", "ab", "''"), ("1.10", "", "'1.10'"), ("1.10", "xy", "'1.10'"), ("1 1", "ab", "'1 1'")];
        for (version, hash, shown) in table {
            let rtp = Rtp { zrtp_hashes: vec![ZrtpHash { version: version.into(), hash: hash.into() }], ..audio() };
            let warning = format!("the zrtp-hash of version {shown} has no token and hexadecimal digits; left out");
            writes(&rtp, &section("RTP/AVP", ""), &[&warning]);
        }
    }
}
