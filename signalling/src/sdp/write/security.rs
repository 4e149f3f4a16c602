//! Attributes of keys: RFC 8122 §5, RFC 4568 §9, RFC 6189 §8.

use super::pieces;
use crate::jingle::rtp::{Crypto, ZrtpHash};
use crate::jingle::transport::Fingerprint;

pub(super) fn fingerprint(out: &mut String, fingerprint: &Fingerprint) {
    pieces(out, &["fingerprint:", &fingerprint.hash, " ", &fingerprint.value]);
}

pub(super) fn crypto(out: &mut String, crypto: &Crypto) {
    pieces(out, &["crypto:", &crypto.tag, " ", &crypto.suite, " ", &crypto.key_params]);
    if let Some(parameters) = &crypto.session_params {
        pieces(out, &[" ", parameters]);
    }
}

pub(super) fn zrtp_hash(out: &mut String, hash: &ZrtpHash) {
    pieces(out, &["zrtp-hash:", &hash.version, " ", &hash.hash]);
}
