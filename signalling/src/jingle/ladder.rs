//! What the parties of one call said to each other, in order, for `campanile calls show`: bounded, the beginning and the end are kept.

use std::collections::VecDeque;
use std::time::Instant;

use super::content::{Action, Description, Jingle, Party};
use super::propose::CallMessage;
use super::reason::Reason;
use super::session::CandidateCounts;
use crate::jid::Jid;

/// Rungs kept from the beginning of a call.
pub const HEAD_MAX: usize = 48;
/// Rungs kept from its end.
pub const TAIL_MAX: usize = 16;
/// Longest detail of a rung, in bytes.
pub const DETAIL_BYTES_MAX: usize = 160;

/// One stanza of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Counts from 0 over all stanzas of the call, also those left out.
    pub number: u32,
    /// When it was routed.
    pub at: Instant,
    /// Who sent it.
    pub from: Party,
    /// Jingle action or element of XEP-0353.
    pub what: &'static str,
    /// Media, candidates, reason; at most [`DETAIL_BYTES_MAX`] bytes.
    pub detail: Box<str>,
    /// Whether it moved nothing because it cannot occur in that state (XEP-0166 §10, `out-of-order`).
    pub out_of_order: bool,
    /// The other party's IQ result or error.
    pub reply: Option<Reply>,
}

/// The answer to one stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// When it was routed.
    pub at: Instant,
    /// Condition of an error; `None` for a result.
    pub error: Option<&'static str>,
}

/// The rungs of one call.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    head: Vec<Rung>,
    tail: VecDeque<Rung>,
    next: u32,
}

impl Ladder {
    /// Adds a stanza and gives its number.
    pub fn push(&mut self, at: Instant, from: Party, what: &'static str, detail: &str) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let detail = super::cut(detail, DETAIL_BYTES_MAX).into();
        let rung = Rung { number, at, from, what, detail, out_of_order: false, reply: None };
        if self.head.len() < HEAD_MAX {
            self.head.push(rung);
        } else {
            if self.tail.len() == TAIL_MAX {
                self.tail.pop_front();
            }
            self.tail.push_back(rung);
        }
        number
    }

    /// The rung with this number, unless it was left out.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Rung> {
        let Some(in_tail) = usize::try_from(number).ok()?.checked_sub(HEAD_MAX) else {
            return self.head.get_mut(number as usize);
        };
        let left_out = self.left_out() as usize;
        self.tail.get_mut(in_tail.checked_sub(left_out)?)
    }

    /// The rungs in order; [`Rung::number`] shows the gap.
    pub fn rungs(&self) -> impl Iterator<Item = &Rung> {
        self.head.iter().chain(&self.tail)
    }

    /// How many stanzas between beginning and end are not kept.
    #[must_use]
    pub fn left_out(&self) -> u32 {
        // At most 64 rungs are kept.
        self.next - (self.head.len() + self.tail.len()) as u32
    }
}

/// A `<jingle/>` in a line: contents with codecs, candidates by type, reason.
pub(super) fn describe(jingle: &Jingle) -> String {
    let mut words = Vec::new();
    let mut counts = CandidateCounts::default();
    let mut left_out = 0;
    for content in &jingle.contents {
        match (&content.description, jingle.action) {
            (Some(Description::Rtp(rtp)), _) => {
                let codecs: Vec<&str> = rtp.payload_types.iter().filter_map(|payload| payload.name.as_deref()).take(CODECS_MAX).collect();
                words.push(format!("{}({})", content.media(), codecs.join(" ")));
            }
            (Some(_), _) => words.push(content.media().to_owned()),
            (None, Action::TransportInfo | Action::TransportAccept | Action::TransportReplace) => {}
            (None, _) => words.push(content.name.to_string()),
        }
        if let (Some(senders), Action::ContentModify) = (content.senders, jingle.action) {
            words.push(format!("senders {}", senders.as_str()));
        }
        if let Some(transport) = &content.transport {
            if !words.iter().any(|word| word == transport.method.name()) {
                words.push(transport.method.name().to_owned());
            }
            transport.candidates.iter().for_each(|candidate| counts.add(candidate.kind));
            left_out += transport.candidates_left_out;
            if transport.gathering_complete {
                words.push("gathering complete".to_owned());
            }
        }
    }
    let counts = [(counts.host, "host"), (counts.reflexive, "reflexive"), (counts.relay, "relay"), (counts.untyped, "raw")];
    words.extend(counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")));
    if left_out > 0 {
        words.push(format!("{left_out} candidates too many"));
    }
    words.extend(jingle.info_name().map(str::to_owned));
    words.extend(jingle.reason.as_ref().map(describe_reason));
    words.join(", ")
}

/// Codecs named per content.
const CODECS_MAX: usize = 4;

/// A message of XEP-0353 in a line: device, media, reason.
pub(super) fn describe_message(message: &CallMessage, from: &Jid) -> String {
    let mut words: Vec<String> = from.resource().map(|device| format!("on {}", super::cut(device, 40))).into_iter().collect();
    words.extend(message.media.iter().map(ToString::to_string));
    words.extend(message.reason.as_ref().map(describe_reason));
    if message.tie_break {
        words.push("tie-break".to_owned());
    }
    words.extend(message.migrated.as_deref().map(|sid| format!("continued by {sid}")));
    words.join(", ")
}

fn describe_reason(reason: &Reason) -> String {
    let condition = reason.condition.map_or("no known reason", |condition| condition.as_str());
    match &reason.text {
        Some(text) => format!("{condition} ({text})"),
        None => condition.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_are_kept_and_found_by_number() {
        let now = Instant::now();
        let mut ladder = Ladder::default();
        for number in 0..200 {
            assert_eq!(ladder.push(now, Party::Initiator, "transport-info", &number.to_string()), number);
        }
        assert_eq!(ladder.rungs().count(), HEAD_MAX + TAIL_MAX);
        assert_eq!(ladder.left_out(), 200 - 64);
        for number in 0..200 {
            let kept = !(48..184).contains(&number);
            let rung = ladder.get_mut(number);
            assert_eq!(rung.is_some(), kept, "{number}");
            assert!(rung.is_none_or(|rung| rung.number == number && *rung.detail == *number.to_string()));
        }
        assert_eq!(ladder.get_mut(200), None);
    }

    #[test]
    fn long_details_are_cut_between_characters() {
        let mut ladder = Ladder::default();
        ladder.push(Instant::now(), Party::Responder, "session-info", &"ü".repeat(200));
        assert_eq!(ladder.rungs().next().map(|rung| rung.detail.len()), Some(DETAIL_BYTES_MAX));
    }
}
