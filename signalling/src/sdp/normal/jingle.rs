//! Stanzas in the normal form.

use smol_str::SmolStr;

use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::content::{Content, Description, Jingle, Party, Senders};
use crate::jingle::rtp::Rtp;
use crate::jingle::transport::{Method, Setup, Transport};
use crate::sdp::line::MediaDescription;

/// What is left for the normal form of a stanza to say, see [`normal_jingle`].
#[must_use]
pub fn said(jingle: &Jingle) -> bool {
    !jingle.contents.is_empty()
}

/// What Jingle → SDP → Jingle gives, of a stanza whose words SDP can say (else they are left out, with warnings).
#[must_use]
pub fn normal_jingle(mut jingle: Jingle, party: Party) -> Jingle {
    jingle.sid = number(&jingle.sid);
    jingle.contents.iter_mut().for_each(|content| self::content(content, party));
    let _ = party;
    jingle
}

/// A session's id is a number in SDP: a text of up to 19 digits is its own, any other has 63 bits of its FNV-1a.
pub(super) fn number(sid: &str) -> SmolStr {
    if sid.len() < 20 && !sid.is_empty() && sid.chars().all(|char| char.is_ascii_digit()) {
        return sid.into();
    }
    let mut hash: u64 = 14_695_981_039_346_656_037;
    for byte in sid.as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(1_099_511_628_211);
    }
    (hash / 2).to_string().into()
}

fn content(content: &mut Content, party: Party) {
    let _ = (content, party);
}
