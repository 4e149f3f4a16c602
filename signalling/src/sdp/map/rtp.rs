//! An RTP section: RFC 8866 and what hangs into it, against XEP-0167's `<description/>`. Each file below has one subject, both ways.
//!
//! Nothing here fails: what contradicts itself or is too much is left out with a warning, and the first of two counts.
//!
//! What comes from SDP is in normal form, and written and read again it is the same:
//!
//! - each payload type stands once, in the order of `m=`; a name comes with a clock rate, a static type with both; without a name there is neither
//!   clock rate nor channels; none of the three is 0 or empty;
//! - all payload types have the same `ptime` and `maxptime`, none of them 0;
//! - a parameter of `fmtp` has a value; without a name it holds no `=` but at its beginning; neither has `;` or blanks around it;
//! - words of `rtcp-fb` and `extmap` are split at their first `=` and have no empty value; the first word behind the type of a feedback is its
//!   subtype; `trr-int` is none of the messages;
//! - there is an encryption if there is a `crypto`, and it is required if the protocol has SAVP;
//! - no source stands twice, and `ssrc` is one without parameters; where sources have `msid`s of one track only, or there are `streams`, all have
//!   one; `streams` are those that no source has;
//! - every word is one: without blanks, a token where the grammar has one; no text has a control character; no list is longer than its bound.

mod bandwidth;
mod codecs;
mod extensions;
mod feedback;
#[cfg(test)]
mod properties;
mod security;
mod sources;
pub(super) mod static_types;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod words;

use smol_str::SmolStr;

use self::codecs::Codecs;
use self::sources::Sources;
use super::senders;
use crate::jingle::content::Party;
use crate::jingle::rtp::{Bandwidth, Feedbacks, HeaderExtension, PayloadType, Rtp, SourceGroup};
use crate::sdp::line::{Attribute, MediaDescription, Numbered};
use crate::sdp::warning::Warnings;

/// Gathers the lines of one section.
#[derive(Debug)]
pub(in crate::sdp) struct RtpBuilder {
    party: Party,
    /// Whether the protocol leaves no choice but encryption.
    is_secure: bool,
    codecs: Codecs,
    sources: Sources,
    /// The rest.
    rtp: Rtp,
}

impl RtpBuilder {
    /// Begins with the `m=` and `b=` lines, the payload types in the order of preference.
    pub fn new(party: Party, media: &MediaDescription, warnings: &mut Warnings) -> Self {
        Self {
            party,
            is_secure: security::is_required(&media.protocol),
            codecs: Codecs::new(media, warnings),
            sources: Sources::default(),
            rtp: Rtp { media: media.media.clone(), bandwidths: bandwidth::take(media.line, &media.bandwidths, warnings), ..Rtp::default() },
        }
    }

    /// Takes an attribute of the section; gives back what is not RTP's.
    pub fn take(&mut self, line: u32, attribute: Attribute, warnings: &mut Warnings) -> Option<Attribute> {
        match attribute {
            Attribute::Rtpmap { payload, name, clockrate, channels } => {
                let map = PayloadType { id: payload, name: Some(name), clockrate, channels, ..PayloadType::default() };
                self.codecs.rtpmap(line, map, warnings);
            }
            Attribute::Fmtp { payload, parameters } => self.codecs.fmtp(line, payload, parameters, warnings),
            Attribute::Ptime(ms) => self.codecs.ptime(line, ms, warnings),
            Attribute::Maxptime(ms) => self.codecs.maxptime(line, ms, warnings),
            Attribute::RtcpFb { payload, feedback } => {
                if let Some(of) = self.feedbacks(line, payload, warnings) {
                    feedback::take(line, feedback, of, warnings);
                }
            }
            Attribute::RtcpFbTrrInt { payload, value } => {
                if let Some(of) = self.feedbacks(line, payload, warnings) {
                    feedback::take_trr_int(line, value, of, warnings);
                }
            }
            Attribute::RtcpMux => self.rtp.rtcp_mux = true,
            Attribute::RtcpRsize => self.rtp.rtcp_reduced_size = true,
            Attribute::Extmap { id, direction, uri, parameters } => {
                let senders = direction.map(|direction| senders::from_direction(direction, self.party));
                let extension = HeaderExtension { id, uri, senders, parameters };
                extensions::take(line, extension, &mut self.rtp.header_extensions, warnings);
            }
            Attribute::ExtmapAllowMixed => self.rtp.extmap_allow_mixed = true,
            Attribute::Ssrc { ssrc, parameter } => self.sources.ssrc(line, ssrc, parameter, warnings),
            Attribute::SsrcGroup { semantics, sources } => self.sources.group(line, SourceGroup { semantics, sources }, warnings),
            Attribute::Msid(msid) => self.sources.msid(line, msid, warnings),
            Attribute::Crypto(crypto) => security::take_crypto(line, crypto, self.is_secure, &mut self.rtp.encryption, warnings),
            Attribute::ZrtpHash(hash) => security::take_zrtp_hash(line, hash, &mut self.rtp.zrtp_hashes, warnings),
            other => return Some(other),
        }
        None
    }

    /// Those of a payload type, or of the description.
    fn feedbacks(&mut self, line: u32, payload: Option<u8>, warnings: &mut Warnings) -> Option<&mut Feedbacks> {
        match payload {
            Some(id) => self.codecs.find(line, id, warnings).map(|payload| &mut payload.feedback),
            None => Some(&mut self.rtp.feedback),
        }
    }

    /// Whether the section has an `a=extmap` of its own, so that those of the session are not for it (they go through [`Self::take`] too).
    pub fn has_extensions(&self) -> bool {
        !self.rtp.header_extensions.is_empty()
    }

    /// The section's description.
    pub fn finish(self, warnings: &mut Warnings) -> Rtp {
        let mut rtp = self.rtp;
        rtp.payload_types = self.codecs.finish(&rtp.media, warnings);
        self.sources.finish(&mut rtp, warnings);
        rtp
    }
}

/// Whether a format of the `m=` line is a payload type.
pub(in crate::sdp) fn is_payload_type(format: &str) -> bool {
    codecs::payload_type(format).is_some()
}

/// The formats of the `m=` line; none if there is no payload type, which SDP cannot say.
pub(in crate::sdp) fn formats(rtp: &Rtp) -> Vec<SmolStr> {
    codecs::formats(&rtp.payload_types)
}

/// The `b=` lines.
pub(in crate::sdp) fn bandwidths(rtp: &Rtp, warnings: &mut Warnings) -> Vec<Bandwidth> {
    bandwidth::write(&rtp.bandwidths, warnings)
}

/// The attributes that stand before the direction: `extmap`, `extmap-allow-mixed`.
pub(in crate::sdp) fn write_extensions(rtp: &Rtp, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    extensions::write(rtp, party, out, warnings);
}

/// Those that stand behind it, from `msid` to `ssrc`.
pub(in crate::sdp) fn write_media(rtp: &Rtp, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let sources = sources::Written::new(rtp, warnings);
    sources.write_msids(out);
    if rtp.rtcp_mux {
        out.push(Attribute::RtcpMux.into());
    }
    if rtp.rtcp_reduced_size {
        out.push(Attribute::RtcpRsize.into());
    }
    security::write(rtp, out, warnings);
    codecs::write(rtp, out, warnings);
    feedback::write(None, &rtp.feedback, out, warnings);
    codecs::write_times(rtp, out, warnings);
    sources.write(out, warnings);
}
