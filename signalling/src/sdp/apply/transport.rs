//! transport-info, transport-replace and its answers: XEP-0166 §7.2.12 to §7.2.15, XEP-0176 §5.8 and §5.9, XEP-0320, XEP-0371 §5.7.

use std::collections::HashMap;

use super::{Step, Whose, condition, refusal};
use crate::jingle::candidate::{Candidate, CandidateType};
use crate::jingle::content::{Content, Party};
use crate::jingle::transport::{CANDIDATES_MAX, Dtls, Method, Transport};
use crate::sdp::description::{Replace, Section, State};
use crate::sdp::map::MapError;
use crate::sdp::warning::{Quoted, Warnings};

impl Step<'_> {
    /// More of what the sender has said of its transport.
    pub(super) fn transport_info(&mut self) -> Result<(), MapError> {
        let whose = self.whose();
        for content in self.contents()? {
            let Some(index) = self.find(content)? else { continue };
            let said = self.transport_of(content)?;
            let Step { description, warnings, .. } = self;
            let section = &mut description.sections[index];
            match known(section, whose) {
                None => {}
                Some(known @ None) => *known = Some(said.clone()),
                Some(Some(known)) if is_same_kind(&known.method, &said.method) => learn(known, said, warnings),
                Some(Some(known)) => {
                    let reason = format!("it has {}, and transport-replace changes that", known.method.name());
                    return Err(self.bad_request(&content.name, &reason));
                }
            }
        }
        Ok(())
    }

    /// The sender wants another transport. It is what it says of itself from now on; if the other party refuses, the one before holds again.
    pub(super) fn transport_replace(&mut self) -> Result<(), MapError> {
        let whose = self.whose();
        for content in self.contents()? {
            let Some(index) = self.find(content)? else { continue };
            let said = self.transport_of(content)?.clone();
            let by = self.from;
            let waiting = self.section(index).pending.replace.take();
            if let Some(other) = waiting.as_ref().filter(|other| other.by != by) {
                if by == Party::Responder {
                    return Err(refusal(
                        condition::TIE_BREAK,
                        format_args!("transport-replace of content {}: the initiator's waits for an answer", Quoted(&content.name)),
                    ));
                }
                // XEP-0166 §7.2.16: the initiator's overrules the responder's.
                self.warnings.add(format_args!("transport-replace: the responder's is overruled"));
                let whose = self.whose_is(other.by);
                restore(self.section(index), whose, other.before.clone());
            }
            let section = self.section(index);
            let replaced = known(section, whose).and_then(|known| known.replace(said));
            // Who asks twice goes back to what was before the first time.
            let before = waiting.filter(|own| own.by == by).map_or(replaced, |own| own.before);
            section.pending.replace = Some(Box::new(Replace { by, before }));
        }
        Ok(())
    }

    /// The sender takes the other method, and says its own part of it.
    pub(super) fn transport_accept(&mut self) -> Result<(), MapError> {
        let whose = self.whose();
        for content in self.contents()? {
            let Some((index, _)) = self.answered(content)? else { continue };
            let said = self.transport_of(content)?;
            if let Some(known) = known(self.section(index), whose) {
                *known = Some(said.clone());
            }
        }
        Ok(())
    }

    pub(super) fn transport_reject(&mut self) -> Result<(), MapError> {
        for content in self.contents()? {
            if let Some((index, replace)) = self.answered(content)? {
                let whose = self.whose_is(replace.by);
                restore(self.section(index), whose, replace.before);
            }
        }
        Ok(())
    }

    /// The transport-replace that this answers, which waits no more.
    fn answered(&mut self, content: &Content) -> Result<Option<(usize, Replace)>, MapError> {
        let Some(index) = self.find(content)? else { return Ok(None) };
        let from = self.from;
        match self.section(index).pending.replace.take_if(|replace| replace.by != from) {
            Some(replace) => Ok(Some((index, *replace))),
            None => Err(self.out_of_order(&content.name, "nobody has asked for that")),
        }
    }

    fn transport_of<'c>(&self, content: &'c Content) -> Result<&'c Transport, MapError> {
        content.transport.as_ref().ok_or_else(|| self.bad_request(&content.name, "expected a transport"))
    }

    fn whose_is(&self, party: Party) -> Whose {
        if party == self.description.party { Whose::Own } else { Whose::Others }
    }
}

/// What this description knows of a party's transport: the other's only as long as its content waits for an answer.
fn known(section: &mut Section, whose: Whose) -> Option<&mut Option<Transport>> {
    match (section.state, whose) {
        (State::Active, Whose::Own) | (State::Offered, Whose::Others) => Some(&mut section.content.transport),
        (State::Offered, Whose::Own) => Some(&mut section.pending.early),
        (State::Active, Whose::Others) | (State::Refused, _) => None,
    }
}

fn restore(section: &mut Section, whose: Whose, before: Option<Transport>) {
    if let (Some(known), Some(before)) = (known(section, whose), before) {
        *known = Some(before);
    }
}

/// XEP-0371 has another namespace for the same: from SDP it is not known which of the two a party uses.
fn is_same_kind(one: &Method, other: &Method) -> bool {
    let is_ice = |method: &Method| matches!(method, Method::IceUdp | Method::Ice);
    one == other || is_ice(one) && is_ice(other)
}

/// The transport of an answer: what was said early, and what the answer says.
pub(super) fn merge(early: Option<&Transport>, said: Option<&Transport>, warnings: &mut Warnings) -> Option<Transport> {
    match (early, said) {
        (Some(early), Some(said)) if is_same_kind(&early.method, &said.method) => {
            let mut transport = Transport { method: said.method.clone(), ..early.clone() };
            learn(&mut transport, said, warnings);
            Some(transport)
        }
        (early, said) => said.or(early).cloned(),
    }
}

/// What is not said stays. Another ufrag or password is a restart of ICE: the candidates before it are void (XEP-0176 §5.9, RFC 8445 §9), with
/// or without a greater generation, which XEP-0371 §5.10 calls not necessary.
fn learn(known: &mut Transport, said: &Transport, warnings: &mut Warnings) {
    if is_changed(known.ufrag.as_ref(), said.ufrag.as_ref()) || is_changed(known.pwd.as_ref(), said.pwd.as_ref()) {
        known.candidates.clear();
        known.candidates_left_out = 0;
        known.remote_candidates.clear();
        known.gathering_complete = false;
    }
    known.ufrag = said.ufrag.clone().or(known.ufrag.take());
    known.pwd = said.pwd.clone().or(known.pwd.take());
    if !said.options.is_empty() {
        known.options.clone_from(&said.options);
    }
    add_candidates(known, said, warnings);
    known.gathering_complete |= said.gathering_complete;
    if !said.remote_candidates.is_empty() {
        known.remote_candidates.clone_from(&said.remote_candidates);
    }
    if let Some(dtls) = &said.dtls {
        let known = known.dtls.get_or_insert_default();
        let Dtls { fingerprints, setup } = dtls.clone();
        if !fingerprints.is_empty() {
            known.fingerprints = fingerprints;
        }
        known.setup = setup.or(known.setup);
    }
    known.sctp = said.sctp.clone().or(known.sctp.take());
}

fn is_changed<T: PartialEq>(known: Option<&T>, said: Option<&T>) -> bool {
    known.zip(said).is_some_and(|(known, said)| known != said)
}

/// A candidate of the same address takes the place of the one before: it may have another priority.
fn add_candidates(known: &mut Transport, said: &Transport, warnings: &mut Warnings) {
    let mut places: HashMap<CandidateKey<'_>, usize> =
        known.candidates.iter().enumerate().map(|(index, candidate)| (key(candidate), index)).collect();
    let mut next = known.candidates.len();
    let mut placed = Vec::with_capacity(said.candidates.len());
    for candidate in &said.candidates {
        let place = *places.entry(key(candidate)).or_insert(next);
        next = next.max(place + 1);
        placed.push(place);
    }
    drop(places);
    let left_out = known.candidates_left_out;
    for (candidate, place) in said.candidates.iter().zip(placed) {
        match known.candidates.get_mut(place) {
            Some(same) => *same = candidate.clone(),
            None if place < CANDIDATES_MAX => known.candidates.push(candidate.clone()),
            None => known.candidates_left_out += 1,
        }
    }
    if known.candidates_left_out > left_out {
        warnings.add(format_args!("more than {CANDIDATES_MAX} candidates, the others are left out"));
    }
}

/// Component, protocol, address, type, related address: what makes a candidate another one.
pub(in crate::sdp) type CandidateKey<'a> = (u8, &'a str, &'a str, u16, Option<CandidateType>, Option<(&'a str, u16)>, Option<&'a str>);

pub(in crate::sdp) fn key(candidate: &Candidate) -> CandidateKey<'_> {
    let related = candidate.related.as_ref().map(|(ip, port)| (&**ip, *port));
    (candidate.component, &candidate.protocol, &candidate.ip, candidate.port, candidate.kind, related, candidate.tcp_type.as_deref())
}
