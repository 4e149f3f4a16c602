//! Keys of DTLS: XEP-0320 against `a=fingerprint` (RFC 8122 §5) and `a=setup` (RFC 4145 §4).

use super::session::Level;
use super::words::{fitting, is_token, once, push};
use crate::jingle::content::Party;
use crate::jingle::transport::{Dtls, FINGERPRINTS_MAX, Fingerprint, Setup};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::parse::security::is_octets;
use crate::sdp::warning::Warnings;

/// Gathers those of a section.
#[derive(Debug, Default)]
pub(super) struct DtlsBuilder {
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    setup_line: u32,
}

impl DtlsBuilder {
    pub fn fingerprint(&mut self, line: u32, fingerprint: Fingerprint, warnings: &mut Warnings) {
        push(&mut self.fingerprints, fingerprint, FINGERPRINTS_MAX, line, "fingerprints", warnings);
    }

    pub fn setup(&mut self, line: u32, setup: Setup, warnings: &mut Warnings) {
        once(&mut self.setup, setup, line, "a=setup", warnings);
        self.setup_line = line;
    }

    /// With the session's where the section has none (RFC 8122 §5), and what a missing role means.
    pub fn finish(self, party: Party, session: &Level, warnings: &mut Warnings) -> Option<Dtls> {
        let fingerprints = if self.fingerprints.is_empty() { session.fingerprints.clone() } else { self.fingerprints };
        if fingerprints.is_empty() {
            if self.setup.is_some() {
                warnings.at(self.setup_line, format_args!("a=setup is left out: there is no fingerprint for it"));
            }
            return None;
        }
        let setup = self.setup.or(session.setup.map(|(_, setup)| setup)).unwrap_or(default_setup(party));
        Some(Dtls { fingerprints, setup: Some(setup) })
    }
}

/// The role of who does not say it. RFC 4145 §4 has "active" for an offer and "passive" for an answer; nobody means that, and clients end the
/// call where an offer is not `actpass`.
pub(super) const fn default_setup(party: Party) -> Setup {
    match party {
        Party::Initiator => Setup::Actpass,
        Party::Responder => Setup::Active,
    }
}

/// The lines.
pub(super) fn write(dtls: &Dtls, party: Party, out: &mut Vec<Numbered>, warnings: &mut Warnings) {
    let before = out.len();
    for Fingerprint { hash, value } in &dtls.fingerprints {
        let hash = fitting(hash, is_token, "the fingerprint's hash function", warnings);
        let value = fitting(value, is_octets, "the fingerprint", warnings);
        out.extend(hash.zip(value).map(|(hash, value)| Attribute::Fingerprint(Fingerprint { hash, value }).into()));
    }
    if out.len() > before {
        out.push(Attribute::Setup(dtls.setup.unwrap_or(default_setup(party))).into());
    }
}
