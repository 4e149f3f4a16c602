//! `a=extmap` (RFC 8285 §5) against `<rtp-hdrext/>` (XEP-0294 §5).
//!
//! Directions go by the role of the party, as contents' do. XEP-0294's example 5 turns an offer's `recvonly` into `initiator`, against that.

use super::limits::{self, cut, push};
use super::words::{is_parameter_word, is_word, word};
use crate::jingle::content::Party;
use crate::jingle::rtp::{HeaderExtension, Rtp};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::map::senders;
use crate::sdp::warning::{Quoted, Warnings};

/// `a=extmap`, with the senders instead of the direction.
pub(super) fn take(line: u32, mut extension: HeaderExtension, of: &mut Vec<HeaderExtension>, warnings: &mut Warnings) {
    cut(&mut extension.parameters, limits::PARAMETERS_MAX, line, "words of extmap", warnings);
    for parameter in &mut extension.parameters {
        *parameter = word(std::mem::take(parameter));
    }
    push(of, extension, limits::HEADER_EXTENSIONS_MAX, line, "extmap", warnings);
}

/// `a=extmap` and `a=extmap-allow-mixed`.
pub(super) fn write(rtp: &Rtp, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    for extension in &rtp.header_extensions {
        if !is_word(&extension.uri, b"") || !extension.parameters.iter().all(is_parameter_word) {
            warnings.add(format_args!("header extension {} holds what is no word of SDP; left out", Quoted(&extension.uri)));
            continue;
        }
        out.push(
            Attribute::Extmap {
                id: extension.id,
                direction: extension.senders.map(|senders| senders::to_direction(senders, party)),
                uri: extension.uri.clone(),
                parameters: extension.parameters.iter().cloned().map(word).collect(),
            }
            .into(),
        );
    }
    if rtp.extmap_allow_mixed {
        out.push(Attribute::ExtmapAllowMixed.into());
    }
}
