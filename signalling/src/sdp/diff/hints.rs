//! description-info: everything about a content that is neither transport nor senders, and what is said of the session.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Change, named};
use crate::jingle::content::{Action, Content, Description, Jingle};
use crate::jingle::rtp::{Feedbacks, Rtp};
use crate::sdp::apply::{Mark, learn};

impl Change<'_> {
    pub(super) fn hints(&mut self) {
        let contents = self.active().filter_map(|(now, next)| hint(&now.content, &next.content)).collect();
        let mut stanza = Jingle { contents, ..self.stanza(Action::DescriptionInfo) };
        if self.now.groups != self.next.groups {
            stanza.groups = self.groups_to_say();
        }
        if self.now.carried != self.next.carried {
            stanza.carried = self.carried_to_say();
        }
        self.say(stanza);
    }
}

/// Only what is modified, if that says it (XEP-0167 §9); else the whole, marked as such.
fn hint(now: &Content, next: &Content) -> Option<Content> {
    let is_same_frame = now.protocol == next.protocol && now.disposition == next.disposition && now.carried == next.carried;
    if is_same_frame && now.description == next.description {
        return None;
    }
    let content = named(now);
    match (&now.description, &next.description) {
        (Some(Description::Rtp(from)), Some(Description::Rtp(to))) if is_same_frame => {
            let part = part(from, to);
            let mut learned = (**from).clone();
            learn(&mut learned, &part);
            if learned == **to {
                return Some(Content { description: Some(Description::Rtp(Box::new(part))), ..content });
            }
        }
        _ => {}
    }
    let mut carried = next.carried.clone();
    carried.push(Mark::Whole.carried());
    Some(Content {
        description: next.description.clone(),
        disposition: next.disposition.clone(),
        protocol: next.protocol.clone(),
        carried,
        ..content
    })
}

/// What is in `to` and not in `from`.
fn part(from: &Rtp, to: &Rtp) -> Rtp {
    Rtp {
        media: to.media.clone(),
        ssrc: to.ssrc.filter(|_| to.ssrc != from.ssrc),
        payload_types: changed_in(&from.payload_types, &to.payload_types, |payload| payload.id),
        feedback: if to.feedback == from.feedback { Feedbacks::default() } else { to.feedback.clone() },
        encryption: to.encryption.clone().filter(|_| to.encryption != from.encryption),
        zrtp_hashes: changed(&from.zrtp_hashes, &to.zrtp_hashes),
        bandwidths: changed(&from.bandwidths, &to.bandwidths),
        rtcp_mux: to.rtcp_mux && !from.rtcp_mux,
        rtcp_reduced_size: to.rtcp_reduced_size && !from.rtcp_reduced_size,
        header_extensions: changed_in(&from.header_extensions, &to.header_extensions, |extension| extension.id),
        extmap_allow_mixed: to.extmap_allow_mixed && !from.extmap_allow_mixed,
        sources: changed_in(&from.sources, &to.sources, |source| source.ssrc),
        source_groups: changed(&from.source_groups, &to.source_groups),
        streams: changed(&from.streams, &to.streams),
    }
}

/// A list, if it has changed.
fn changed<T: PartialEq + Clone>(from: &[T], to: &[T]) -> Vec<T> {
    if from == to { Vec::new() } else { to.to_vec() }
}

/// Those of a list that are new or differ from what was under their key.
fn changed_in<T: PartialEq + Clone, K: Hash + Eq>(from: &[T], to: &[T], key: impl Fn(&T) -> K) -> Vec<T> {
    if from == to {
        return Vec::new();
    }
    let known: HashMap<K, &T> = from.iter().map(|item| (key(item), item)).collect();
    to.iter().filter(|item| known.get(&key(item)).is_none_or(|known| known != item)).cloned().collect()
}
