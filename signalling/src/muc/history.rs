//! XEP-0045 §7.2.13, §7.2.14: what was said, as newcomers see it, and how much of it they want.

use std::time::{Duration, SystemTime};

use super::context::Context;
use super::model::{Affiliation, History, Room, Said};
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::{Framing, Stanza};
use crate::store::ArchiveId;
use crate::time;
use crate::xml::XmlWriter;

/// What the room adds to a message that a newcomer is shown, about.
const ADDED_BYTES: usize = 256;

/// How much a room remembers. A newcomer may get all of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryMax {
    /// Messages.
    pub count: usize,
    /// Bytes of theirs, about.
    pub bytes: usize,
}

impl History {
    /// One more message, and the oldest ones beyond `max` are forgotten. A message for which there is no room at all is not remembered.
    pub fn push(&mut self, said: Said, max: HistoryMax) {
        let bytes = said.bytes();
        if max.count > 0 && bytes <= max.bytes {
            self.limit(HistoryMax { count: max.count - 1, bytes: max.bytes - bytes });
            self.bytes += bytes;
            self.messages.push_back(said);
        }
    }

    /// Forgets the oldest messages beyond `max`.
    pub fn limit(&mut self, max: HistoryMax) {
        while (self.messages.len() > max.count || self.bytes > max.bytes)
            && let Some(oldest) = self.messages.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// Forgets one message.
    pub fn forget(&mut self, id: ArchiveId) {
        if let Some(at) = self.messages.iter().position(|said| said.id == id)
            && let Some(said) = self.messages.remove(at)
        {
            self.bytes -= said.bytes();
        }
    }
}

impl Said {
    /// What a newcomer gets who is shown it.
    fn bytes(&self) -> usize {
        self.stanza.size_bytes() + ADDED_BYTES
    }
}

/// §7.2.14: how much a newcomer wants; what is no number or time is as if it were not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Characters of whole stanzas.
    pub maxchars: Option<usize>,
    /// Messages.
    pub maxstanzas: Option<usize>,
    /// Of the last seconds.
    pub seconds: Option<u64>,
    /// Not before.
    pub since: Option<SystemTime>,
}

impl Wanted {
    /// Reads `<history/>` of the presence with which somebody enters.
    pub fn read(stanza: &Stanza) -> Self {
        let x = stanza.child(ns::MUC, "x").and_then(|x| x.element().ok());
        let Some(history) = x.as_ref().and_then(|x| x.root().child(ns::MUC, "history")) else { return Self::default() };
        let attr = |name| history.attr(name).map(str::trim);
        Self {
            maxchars: attr("maxchars").and_then(|text| text.parse().ok()),
            maxstanzas: attr("maxstanzas").and_then(|text| text.parse().ok()),
            seconds: attr("seconds").and_then(|text| text.parse().ok()),
            since: attr("since").and_then(time::parse_xep0082),
        }
    }

    /// Not before this time, whichever way it was said.
    fn start(&self, now: SystemTime) -> Option<SystemTime> {
        let ago = self.seconds.map(|seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH));
        ago.max(self.since)
    }
}

impl Room {
    /// How much is remembered.
    #[must_use]
    pub fn history_max(&self, context: &Context<'_>) -> HistoryMax {
        let HistoryMax { count, bytes } = context.limits.history;
        HistoryMax { count: usize::try_from(self.lasting.config.history).unwrap_or(usize::MAX).min(count), bytes }
    }

    /// The last messages that meet all of what is wanted, from the oldest to the newest, with `to`.
    pub(super) fn history_for(&self, wanted: &Wanted, to: &FullJid, context: &Context<'_>) -> Vec<Stanza> {
        // Who says how much it wants may have more than who does not.
        let usual = usize::try_from(self.lasting.config.history_default).unwrap_or(usize::MAX);
        let default = if *wanted == Wanted::default() { usual } else { usize::MAX };
        let max = wanted.maxstanzas.unwrap_or(default).min(self.history_max(context).count);
        let start = wanted.start(context.now);
        let mut chars_left = wanted.maxchars;
        let mut messages = Vec::new();
        for said in self.history.messages.iter().rev().take(max) {
            if start.is_some_and(|start| said.id.time() < start) {
                break;
            }
            let message = self.delayed(said, to);
            if let Some(left) = &mut chars_left {
                let written = message.to_bytes(Framing::Stream);
                let chars = std::str::from_utf8(&written).map_or(written.len(), |text| text.chars().count());
                let Some(rest) = left.checked_sub(chars) else { break };
                *left = rest;
            }
            messages.push(message);
        }
        messages.reverse();
        messages
    }

    /// XEP-0203: when the room got it. The sender's real JID is not added (§7.2.13 allows that for non-anonymous rooms): when it was said, the room
    /// may have been semi-anonymous.
    fn delayed(&self, said: &Said, to: &FullJid) -> Stanza {
        // §7.9: what an owner has brought along from a conversation says itself when it was said.
        if said.stanza.child(ns::DELAY, "delay").is_some() && self.affiliation_of(&said.real) == Affiliation::Owner {
            return said.stanza.clone().with_to(to);
        }
        let mut xml = XmlWriter::with_capacity(128);
        let stamp = time::xep0082_ms(said.id.time());
        xml.open("delay").ns(ns::DELAY).attr("from", self.lasting.jid.as_str()).attr("stamp", &stamp).close();
        said.stanza.clone().with_child(&xml.finish()).with_to(to)
    }
}
