//! `a=crypto` (RFC 4568 §4) against `<crypto/>` (XEP-0167 §7), `a=zrtp-hash` (RFC 6189 §8) against `<zrtp-hash/>` (XEP-0262). Keys are secret: no
//! warning has a part of one.

use super::limits::{self, push};
use super::words::{is_rest, is_token, is_word, trimmed};
use crate::jingle::rtp::{Crypto, Encryption, Rtp, ZrtpHash};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// XEP-0167 §4, RFC 4568 §5.1.2: with RTP/SAVP nothing goes without; with RTP/AVP encryption is only offered.
pub(super) fn is_required(protocol: &str) -> bool {
    protocol.contains("SAVP")
}

/// `a=crypto`: their order is that of preference.
pub(super) fn take_crypto(line: u32, crypto: Crypto, required: bool, of: &mut Option<Encryption>, warnings: &mut Warnings) {
    let encryption = of.get_or_insert_with(|| Encryption { required, cryptos: Vec::new() });
    push(&mut encryption.cryptos, crypto, limits::CRYPTOS_MAX, line, "crypto", warnings);
}

/// `a=zrtp-hash`: one for each version.
pub(super) fn take_zrtp_hash(line: u32, hash: ZrtpHash, of: &mut Vec<ZrtpHash>, warnings: &mut Warnings) {
    push(of, hash, limits::ZRTP_HASHES_MAX, line, "zrtp-hash", warnings);
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
    (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `method:info`, several with `;` between: RFC 4568 §9.1.
fn is_keys(text: &str) -> bool {
    is_word(text) && text.split(';').all(|key| key.split_once(':').is_some_and(|(method, info)| is_token(method) && !info.is_empty()))
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
