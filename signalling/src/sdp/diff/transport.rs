//! transport-info, and where that does not do, transport-replace or the answer to one: XEP-0176 §5.8 and §5.9, XEP-0320.

use std::collections::HashMap;

use super::{Change, named};
use crate::jingle::candidate::Candidate;
use crate::jingle::content::{Action, Content};
use crate::jingle::transport::{Dtls, Method, Transport};
use crate::sdp::apply::key;

impl Change<'_> {
    pub(super) fn transports(&mut self) {
        let mut accept = self.stanza(Action::TransportAccept);
        let mut replace = self.stanza(Action::TransportReplace);
        let mut info = self.stanza(Action::TransportInfo);
        for (now, next) in self.active() {
            let Some(to) = &next.content.transport else { continue };
            let asked = now.pending.replace.as_ref().is_some_and(|replace| replace.by != self.next.party);
            let with = |transport: Transport| Content { transport: Some(transport), ..named(&now.content) };
            match &now.content.transport {
                Some(from) if !is_redefined(from, to) => info.contents.extend(news(from, to).map(with)),
                _ if asked => accept.contents.push(with(to.clone())),
                _ => replace.contents.push(with(to.clone())),
            }
        }
        self.say(accept);
        self.say(replace);
        self.say(info);
    }
}

/// Whether it is another transport, which the other party has to accept: of another method, with other keys (RFC 8842 §4: another association)
/// or without any, at another address where there is no ICE to find it.
fn is_redefined(from: &Transport, to: &Transport) -> bool {
    let has_other_keys = match (&from.dtls, &to.dtls) {
        (Some(from), Some(to)) => !from.fingerprints.iter().all(|fingerprint| to.fingerprints.contains(fingerprint)),
        (Some(_), None) => true,
        (None, _) => false,
    };
    let takes_back = || {
        let mut before: HashMap<_, _> = from.candidates.iter().map(|candidate| (key(candidate), candidate)).collect();
        for candidate in &to.candidates {
            before.remove(&key(candidate));
        }
        let empties_list =
            (to.options.is_empty() && !from.options.is_empty()) || (to.remote_candidates.is_empty() && !from.remote_candidates.is_empty());
        !before.is_empty() || empties_list || (from.gathering_complete && !to.gathering_complete)
    };
    from.method != to.method
        || has_other_keys
        || (from.sctp.is_some() && from.sctp != to.sctp)
        || (from.ufrag.is_some() && to.ufrag.is_none())
        || (to.method == Method::RawUdp && takes_back())
}

/// What transport-info says of it, if there is something. It names ufrag and password always, as the examples of XEP-0176 do.
fn news(from: &Transport, to: &Transport) -> Option<Transport> {
    let is_restart = to.ufrag != from.ufrag || to.pwd != from.pwd;
    let void;
    let before = if is_restart && from.ufrag.is_some() {
        void = Transport { candidates: Vec::new(), remote_candidates: Vec::new(), gathering_complete: false, ..from.clone() };
        &void
    } else {
        from
    };
    let info = Transport {
        method: to.method.clone(),
        ufrag: to.ufrag.clone(),
        pwd: to.pwd.clone(),
        options: if to.options == from.options { Vec::new() } else { to.options.clone() },
        candidates: new_candidates(before, to, least_generation(from, to, is_restart)),
        candidates_left_out: 0,
        remote_candidates: if to.remote_candidates == before.remote_candidates { Vec::new() } else { to.remote_candidates.clone() },
        gathering_complete: to.gathering_complete && !before.gathering_complete,
        dtls: to.dtls.clone().filter(|_| to.dtls != from.dtls),
        sctp: to.sctp.clone().filter(|_| to.sctp != from.sctp),
    };
    let is_empty = info.options.is_empty()
        && info.candidates.is_empty()
        && info.remote_candidates.is_empty()
        && !info.gathering_complete
        && info.dtls.as_ref().is_none_or(|dtls| *dtls == Dtls::default())
        && info.sctp.is_none();
    (is_restart || !is_empty).then_some(info)
}

/// XEP-0176 §5.9: it grows with a restart, though not every SDP has it, and does not fall back afterwards.
fn least_generation(from: &Transport, to: &Transport, is_restart: bool) -> u8 {
    let last = |transport: &Transport| transport.candidates.iter().map(|candidate| candidate.generation).max();
    match last(from) {
        Some(before) if is_restart && last(to).is_some_and(|generation| generation <= before) => before.saturating_add(1),
        Some(before) if !is_restart => before,
        _ => 0,
    }
}

/// Those that are new or say another thing than before.
fn new_candidates(before: &Transport, to: &Transport, generation: u8) -> Vec<Candidate> {
    let known: HashMap<_, _> = before.candidates.iter().map(|candidate| (key(candidate), candidate)).collect();
    let is_new = |candidate: &&Candidate| known.get(&key(candidate)).is_none_or(|known| !is_alike(known, candidate));
    let new = to
        .candidates
        .iter()
        .filter(is_new)
        .map(|candidate| Candidate { generation: candidate.generation.max(generation), ..candidate.clone() });
    let mut new: Vec<Candidate> = new.collect();
    // The place gives the id, and in the list as it will be each has another.
    for (index, candidate) in new.iter_mut().enumerate() {
        candidate.id = match known.get(&key(candidate)) {
            Some(known) => known.id.clone(),
            None => Some(smol_str::format_smolstr!("c{}", before.candidates.len() + index + 1)),
        };
    }
    new
}

/// Whether two candidates of one address say the same; ids are not in SDP, and generations are not those of SDP.
pub(super) fn is_alike(one: &Candidate, other: &Candidate) -> bool {
    one.foundation == other.foundation
        && one.priority == other.priority
        && one.network == other.network
        && one.extensions == other.extensions
        && key(one) == key(other)
}
