//! description-info: XEP-0166 §7.2.6, XEP-0167 §9.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Mark, Step};
use crate::jingle::content::{Content, Description};
use crate::jingle::rtp::{Feedbacks, HEADER_EXTENSIONS_MAX, PARAMETERS_MAX, PAYLOAD_TYPES_MAX, PayloadType, Rtp, SOURCES_MAX};
use crate::sdp::description::State;
use crate::sdp::map::MapError;

impl Step<'_> {
    /// The sender describes its contents anew; without contents it is about the session alone.
    pub(super) fn description_info(&mut self) -> Result<(), MapError> {
        let is_own = self.is_own();
        let says_nothing = self.stanza.groups.is_empty() && self.stanza.carried.is_empty();
        let contents = if says_nothing { self.contents()? } else { &self.stanza.contents[..] };
        for content in contents {
            let Some(index) = self.find(content)? else { continue };
            if content.transport.is_some() || content.senders.is_some() {
                self.warnings.add(format_args!("description-info: transport and senders are left out"));
            }
            let section = &self.description.sections[index];
            match (section.state, is_own) {
                (State::Active, true) | (State::Offered, false) => {
                    let mut known = section.content.clone();
                    let left_out = self.describe_anew(&mut known, content)?;
                    if left_out > 0 {
                        self.warnings.add(format_args!("description-info: {left_out} elements more than there may be, left out"));
                    }
                    self.section(index).content = known;
                }
                (State::Offered, true) => {
                    self.warnings.add(format_args!("description-info: the content is not accepted yet, left out"));
                }
                (State::Active, false) | (State::Refused, _) => {}
            }
        }
        self.session_level();
        Ok(())
    }

    fn describe_anew(&self, known: &mut Content, content: &Content) -> Result<usize, MapError> {
        let mut left_out = 0;
        let (carried, marks) = Mark::take(&content.carried);
        match (&mut known.description, &content.description) {
            (Some(Description::Rtp(known)), Some(Description::Rtp(rtp))) if rtp.media.is_empty() || rtp.media == known.media => {
                if marks.whole {
                    let media = known.media.clone();
                    **known = Rtp { media, ..(**rtp).clone() };
                } else {
                    left_out = learn(known, rtp);
                }
            }
            (Some(Description::Rtp(_)), Some(_)) | (_, Some(Description::Rtp(_))) => {
                return Err(self.bad_request(&content.name, "expected a description of the kind that it has"));
            }
            (Some(Description::Rtp(_)), None) if !marks.whole && carried.is_empty() && content.protocol.is_none() => {
                return Err(self.bad_request(&content.name, "expected a description"));
            }
            _ => {}
        }
        if marks.whole {
            known.disposition.clone_from(&content.disposition);
            known.protocol.clone_from(&content.protocol);
            known.carried = carried;
        } else {
            known.protocol = content.protocol.clone().or(known.protocol.take());
            if !carried.is_empty() {
                known.carried = carried;
            }
        }
        Ok(left_out)
    }
}

/// XEP-0167 §9: only what is modified is said. What is in lists with names is replaced one by one, other lists as a whole if they are said.
/// Gives the number of elements for which there is no more room.
pub(in crate::sdp) fn learn(known: &mut Rtp, said: &Rtp) -> usize {
    known.ssrc = said.ssrc.or(known.ssrc);
    let mut left_out = 0;
    left_out += upsert(&mut known.payload_types, &said.payload_types, PAYLOAD_TYPES_MAX, |payload| payload.id, learn_payload_type);
    learn_feedback(&mut known.feedback, &said.feedback);
    if said.encryption.is_some() {
        known.encryption.clone_from(&said.encryption);
    }
    replace(&mut known.zrtp_hashes, &said.zrtp_hashes);
    replace(&mut known.bandwidths, &said.bandwidths);
    known.rtcp_mux |= said.rtcp_mux;
    known.rtcp_reduced_size |= said.rtcp_reduced_size;
    left_out += upsert(&mut known.header_extensions, &said.header_extensions, HEADER_EXTENSIONS_MAX, |extension| extension.id, anew);
    known.extmap_allow_mixed |= said.extmap_allow_mixed;
    left_out += upsert(&mut known.sources, &said.sources, SOURCES_MAX, |source| source.ssrc, anew);
    replace(&mut known.source_groups, &said.source_groups);
    replace(&mut known.streams, &said.streams);
    left_out
}

/// Example 14 gives two of theora's parameters: the others stay.
fn learn_payload_type(known: &mut PayloadType, said: &PayloadType) -> usize {
    known.name = said.name.clone().or(known.name.take());
    known.clockrate = said.clockrate.or(known.clockrate);
    known.channels = said.channels.or(known.channels);
    known.ptime = said.ptime.or(known.ptime);
    known.maxptime = said.maxptime.or(known.maxptime);
    learn_feedback(&mut known.feedback, &said.feedback);
    upsert(&mut known.parameters, &said.parameters, PARAMETERS_MAX, |parameter| parameter.name.clone(), anew)
}

/// It is said as a whole.
fn anew<T: Clone>(known: &mut T, said: &T) -> usize {
    known.clone_from(said);
    0
}

fn learn_feedback(known: &mut Feedbacks, said: &Feedbacks) {
    replace(&mut known.messages, &said.messages);
    known.trr_int = said.trr_int.or(known.trr_int);
}

fn replace<T: Clone>(known: &mut Vec<T>, said: &[T]) {
    if !said.is_empty() {
        known.clear();
        known.extend_from_slice(said);
    }
}

/// What is known under the same key learns; what is new is appended as far as there is room. Of two under one key the first one counts.
fn upsert<T: Clone, K: Hash + Eq>(
    known: &mut Vec<T>,
    said: &[T],
    max: usize,
    key: impl Fn(&T) -> K,
    learn: impl Fn(&mut T, &T) -> usize,
) -> usize {
    if said.is_empty() {
        return 0;
    }
    let mut places: HashMap<K, usize> = HashMap::with_capacity(known.len() + said.len());
    for (index, item) in known.iter().enumerate() {
        places.entry(key(item)).or_insert(index);
    }
    let mut left_out = 0;
    for item in said {
        let place = *places.entry(key(item)).or_insert(known.len());
        match known.get_mut(place) {
            Some(same) => left_out += learn(same, item),
            None if place < max => known.push(item.clone()),
            None => left_out += 1,
        }
    }
    left_out
}
