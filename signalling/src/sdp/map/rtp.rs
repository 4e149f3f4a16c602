//! An RTP section: RFC 8866 and what hangs into it, against XEP-0167's `<description/>`.

use smol_str::SmolStr;

use crate::jingle::content::Party;
use crate::jingle::rtp::{Bandwidth, Rtp};
use crate::sdp::line::{Attribute, MediaDescription, Numbered};
use crate::sdp::warning::Warnings;

/// Gathers the lines of one section.
#[derive(Debug)]
pub(in crate::sdp) struct RtpBuilder {}

impl RtpBuilder {
    /// Begins with the `m=` and `b=` lines, the payload types in the order of preference.
    pub fn new(party: Party, media: &MediaDescription, warnings: &mut Warnings) -> Self {
        todo!()
    }

    /// Takes an attribute of the section; gives back what is not RTP's.
    pub fn take(&mut self, line: u32, attribute: Attribute, warnings: &mut Warnings) -> Option<Attribute> {
        todo!()
    }

    /// Whether the section has an `a=extmap` of its own, so that those of the session are not for it (they go through [`Self::take`] too).
    pub fn has_extensions(&self) -> bool {
        todo!()
    }

    /// The section's description.
    pub fn finish(self, warnings: &mut Warnings) -> Rtp {
        todo!()
    }
}

/// The formats of the `m=` line.
pub(in crate::sdp) fn formats(rtp: &Rtp) -> Vec<SmolStr> {
    todo!()
}

/// The `b=` lines.
pub(in crate::sdp) fn bandwidths(rtp: &Rtp, warnings: &mut Warnings) -> Vec<Bandwidth> {
    todo!()
}

/// The attributes that stand before the direction: `extmap`, `extmap-allow-mixed`.
pub(in crate::sdp) fn write_extensions(rtp: &Rtp, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    todo!()
}

/// Those that stand behind it, from `msid` to `ssrc`.
pub(in crate::sdp) fn write_media(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    todo!()
}
