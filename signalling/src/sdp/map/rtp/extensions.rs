//! `a=extmap` (RFC 8285 §5) against `<rtp-hdrext/>` (XEP-0294 §5).
//!
//! Directions go by the role of the party, as contents' do. XEP-0294's example 5 turns an offer's `recvonly` into `initiator`, against that.

use super::limits::{self, cut, push};
use super::words::{is_word, without_empty_values, words};
use crate::jingle::content::Party;
use crate::jingle::rtp::{HeaderExtension, Rtp};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::map::senders;
use crate::sdp::warning::{Quoted, Warnings};

/// `a=extmap`, with the senders instead of the direction.
pub(super) fn take(line: u32, mut extension: HeaderExtension, of: &mut Vec<HeaderExtension>, warnings: &mut Warnings) {
    cut(&mut extension.parameters, limits::PARAMETERS_MAX, line, "words of extmap", warnings);
    without_empty_values(&mut extension.parameters);
    push(of, extension, limits::HEADER_EXTENSIONS_MAX, line, "extmap", warnings);
}

/// `a=extmap` and `a=extmap-allow-mixed`.
pub(super) fn write(rtp: &Rtp, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    for HeaderExtension { id, uri, senders, parameters } in &rtp.header_extensions {
        let parameters = words(parameters).filter(|_| *id > 0 && is_word(uri));
        let Some(parameters) = parameters else {
            warnings.add(format_args!("header extension {id}, {}, holds what is no word of extmap; left out", Quoted(uri)));
            continue;
        };
        let direction = senders.map(|senders| senders::to_direction(senders, party));
        out.push(Attribute::Extmap { id: *id, direction, uri: uri.clone(), parameters }.into());
    }
    if rtp.extmap_allow_mixed {
        out.push(Attribute::ExtmapAllowMixed.into());
    }
}
