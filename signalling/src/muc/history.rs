//! XEP-0045 §7.2.13, §7.2.14: what was said, as newcomers see it, and how much of it they want.

use std::time::{Duration, SystemTime};

use super::context::Context;
use super::model::{Affiliation, History, Room, Said};
use crate::jid::FullJid;
use crate::ns;
use crate::stanza::{Framing, Stanza};
use crate::time;
use crate::xml::XmlWriter;

impl History {
    /// One more message, and the oldest ones beyond `max` are forgotten.
    pub fn push(&mut self, said: Said, max: usize) {
        if max > 0 {
            self.limit(max - 1);
            self.messages.push_back(said);
        }
    }

    /// Forgets the oldest messages beyond `max`.
    pub fn limit(&mut self, max: usize) {
        let excess = self.messages.len().saturating_sub(max);
        drop(self.messages.drain(..excess));
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
    /// How many messages are remembered.
    #[must_use]
    pub fn history_max(&self, context: &Context<'_>) -> usize {
        usize::try_from(self.lasting.config.history).unwrap_or(usize::MAX).min(context.limits.history)
    }

    /// The last messages that meet all of what is wanted, from the oldest to the newest, with `to`.
    pub(super) fn history_for(&self, wanted: &Wanted, to: &FullJid, context: &Context<'_>) -> Vec<Stanza> {
        // Who says how much it wants may have more than who does not.
        let usual = usize::try_from(self.lasting.config.history_default).unwrap_or(usize::MAX);
        let default = if *wanted == Wanted::default() { usual } else { usize::MAX };
        let max = wanted.maxstanzas.unwrap_or(default).min(self.history_max(context));
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
