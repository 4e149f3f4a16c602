//! What one party of a session has offered of itself: how many candidates, and which relayed addresses.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use smol_str::SmolStr;

use crate::jingle::candidate::CandidateType;
use crate::jingle::content::Jingle;

/// Addresses per party that are remembered, so as not to be reported twice; the oldest is forgotten.
pub const ADDRESSES_MAX: usize = 64;

/// What one party has offered of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Candidates by type.
    pub candidates: CandidateCounts,
    /// How often ICE was started again (XEP-0176 §5.9).
    pub ice_restarts: u8,
    pub(super) relayed: VecDeque<SocketAddr>,
    addresses: VecDeque<IpAddr>,
    ufrags: VecDeque<SmolStr>,
}

/// How many candidates of each type were offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CandidateCounts {
    /// Own addresses.
    pub host: u16,
    /// Reflexive addresses of both kinds.
    pub reflexive: u16,
    /// Relayed addresses.
    pub relay: u16,
    /// Raw UDP without a type.
    pub untyped: u16,
}

impl CandidateCounts {
    /// Counts one.
    pub fn add(&mut self, kind: Option<CandidateType>) {
        let count = match kind {
            Some(CandidateType::Host) => &mut self.host,
            Some(CandidateType::ServerReflexive | CandidateType::PeerReflexive) => &mut self.reflexive,
            Some(CandidateType::Relay) => &mut self.relay,
            None => &mut self.untyped,
        };
        *count = count.saturating_add(1);
    }
}

/// What a stanza offers that was not offered before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offered {
    /// Addresses that may be relayed ones.
    pub relayed: Vec<SocketAddr>,
    /// Where the party may be reached: IP addresses of candidates of any type.
    pub addresses: Vec<IpAddr>,
    /// User fragments and passwords of ICE.
    pub credentials: Vec<(Box<str>, Box<str>)>,
}

impl Offer {
    /// Counts the candidates of a stanza and gives what is new in it.
    pub(super) fn take(&mut self, jingle: &Jingle) -> Offered {
        let mut new = Offered::default();
        let transports = jingle.contents.iter().filter_map(|content| content.transport.as_ref());
        for transport in transports {
            for candidate in &transport.candidates {
                self.candidates.add(candidate.kind);
                // §5.9 of XEP-0176: a greater generation is a restart.
                self.ice_restarts = self.ice_restarts.max(candidate.generation);
                if let Some(ip) = candidate.address().map(|address| address.ip())
                    && remember(&mut self.addresses, ip)
                {
                    new.addresses.push(ip);
                }
            }
            if let (Some(ufrag), Some(pwd)) = (&transport.ufrag, &transport.pwd)
                && remember(&mut self.ufrags, ufrag.clone())
            {
                new.credentials.push((ufrag.as_str().into(), (**pwd).into()));
            }
            for address in transport.relayed() {
                if remember(&mut self.relayed, address) {
                    new.relayed.push(address);
                }
            }
        }
        new
    }

    /// The session is over: nobody asks for its addresses any more.
    pub(super) fn forget_addresses(&mut self) {
        (self.relayed, self.addresses, self.ufrags) = Default::default();
    }
}

/// Whether this is new; the oldest is forgotten.
fn remember<T: PartialEq>(known: &mut VecDeque<T>, new: T) -> bool {
    if known.contains(&new) {
        return false;
    }
    if known.len() == ADDRESSES_MAX {
        known.pop_front();
    }
    known.push_back(new);
    true
}
