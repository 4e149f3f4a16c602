//! What a mailbox holds: plain values, under its lock. What waits, what is not acknowledged (XEP-0198 §4), and what supersedes what (XEP-0352).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::Waker;

use super::{Acknowledged, Delivery, Outgoing, Outlet, Overflows};
use crate::features::csi::{self, Subject, Weight};
use crate::session::SessionId;
use crate::stanza::{Kind, PresenceType};
use crate::stream::error::{self, StreamError};
use crate::stream::sm::{self, TooHigh};

/// From so many waiting items on, presence is looked through for what is superseded.
pub(super) const SUPERSEDE_FROM: usize = 32;
/// So many items wait for an inactive client, …
pub(super) const HELD_ITEMS_MAX: usize = 256;
/// … or a part of what the mailbox holds.
const HELD_PART: usize = 8;
/// So many items …
pub(super) const AT_ONCE_ITEMS_MAX: usize = 16;
/// … of so many bytes are written by who brings the last of them: some microseconds' work.
pub(super) const AT_ONCE_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// `None`: superseded by a later one.
    pub(super) waiting: VecDeque<Option<Outgoing>>,
    /// Of stanzas that wait or are not acknowledged.
    pub(super) bytes: usize,
    pub(super) closed: bool,
    /// Which connection is the present one.
    pub(super) epoch: u64,
    pub(super) management: Option<Box<Management>>,
    /// Whom to tell that it is full, and of which session, while there is no connection.
    pub(super) without_connection: Option<(Arc<Overflows>, SessionId)>,
    /// The task of the present connection, while it waits.
    pub(super) reader: Option<Reader>,
    /// Where others may write while it does.
    pub(super) outlet: Option<Weak<dyn Outlet>>,
    /// XEP-0352: nobody looks at the client.
    pub(super) inactive: bool,
    /// Something in it must not wait.
    pub(super) urgent: bool,
    /// Where in `waiting` the last of each subject stands, once that is of interest.
    pub(super) last: Option<Box<Last>>,
}

/// Who waits for something to be in the queue.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) waker: Waker,
    /// Or only for the end: it is at work, or what it has taken already waits to be written.
    pub(super) takes_mail: bool,
}

#[derive(Debug, Default)]
pub(super) struct Last {
    places: HashMap<Subject, usize>,
    /// Places in `waiting` that are empty.
    superseded: usize,
}

/// XEP-0198 §4: the two counters, and what may have to be sent again.
#[derive(Debug, Default)]
pub(super) struct Management {
    /// Stanzas that the client has acknowledged, modulo 2^32.
    pub(super) acknowledged: u32,
    /// Those sent after them, in order.
    pub(super) outstanding: VecDeque<Delivery>,
    /// The client's stanzas that have been handled, modulo 2^32.
    pub(super) handled: u32,
    /// Another one is being handled now.
    pub(super) handling: bool,
    /// What was queued to be written when the last of them had been handled.
    pub(super) queued: u64,
}

impl Queue {
    pub(super) fn push(&mut self, item: Outgoing, bytes_max: usize) -> bool {
        if self.closed {
            return false;
        }
        match item {
            Outgoing::Stanza(delivery) => {
                let size = delivery.stanza.size_bytes();
                if self.bytes + size > bytes_max {
                    self.close(
                        StreamError::new(error::Condition::ResourceConstraint).with_text("the client does not read what is sent to it"),
                    );
                    return false;
                }
                self.bytes += size;
                if self.inactive || self.waiting.len() >= SUPERSEDE_FROM || self.without_connection.is_some() {
                    self.weigh(&delivery);
                }
                self.waiting.push_back(Some(Outgoing::Stanza(delivery)));
            }
            Outgoing::Owed => {
                // Messages may be among it.
                self.urgent = true;
                if !self.waiting.iter().any(|item| matches!(item, Some(Outgoing::Owed))) {
                    self.waiting.push_back(Some(Outgoing::Owed));
                }
            }
            Outgoing::Close(error) => self.close(error),
        }
        true
    }

    /// The error comes after what already waits: the client still gets what it was promised, if it reads.
    fn close(&mut self, error: StreamError) {
        self.closed = true;
        self.waiting.push_back(Some(Outgoing::Close(error)));
        if let Some((overflows, session)) = self.without_connection.take() {
            overflows.tell(session);
        }
    }

    /// All that waits.
    pub(super) fn take(&mut self) -> VecDeque<Option<Outgoing>> {
        match self.management.as_deref_mut() {
            None => self.bytes = 0,
            Some(own) => {
                let sent = self.waiting.iter().flatten().filter_map(|item| match item {
                    Outgoing::Stanza(delivery) => Some(delivery.clone()),
                    _ => None,
                });
                own.outstanding.extend(sent);
            }
        }
        self.urgent = false;
        self.last = None;
        // What has been read holds no memory: most mailboxes are empty most of the time.
        std::mem::take(&mut self.waiting)
    }

    /// Whether the reader has to come: for an inactive client, when something is urgent or much waits.
    pub(super) fn is_due(&self, bytes_max: usize) -> bool {
        let held = self.inactive && !self.urgent && !self.closed;
        !self.waiting.is_empty() && (!held || self.waiting.len() >= HELD_ITEMS_MAX || self.bytes > bytes_max / HELD_PART)
    }

    /// The reader, if it has to come now.
    pub(super) fn reader_to_wake(&mut self, bytes_max: usize) -> Option<Reader> {
        self.has_to_come(bytes_max).then(|| self.reader.take()).flatten()
    }

    /// Whether there is a reader that has to come now.
    pub(super) fn has_to_come(&self, bytes_max: usize) -> bool {
        self.reader.as_ref().is_some_and(|reader| self.closed || (reader.takes_mail && self.is_due(bytes_max)))
    }

    /// What waits, if it is little, of so many stanzas at most, whose reader has nothing else to do about them than to write them.
    pub(super) fn take_at_once(&mut self, max: u32, bytes_max: usize) -> Option<VecDeque<Option<Outgoing>>> {
        let items_max = AT_ONCE_ITEMS_MAX.min(max as usize);
        if self.closed || self.waiting.len() > items_max || !self.has_to_come(bytes_max) {
            return None;
        }
        let managed = self.management.is_some();
        let mut bytes = 0;
        let plain = self.waiting.iter().flatten().all(|item| match item {
            Outgoing::Stanza(delivery) => {
                bytes += delivery.stanza.size_bytes();
                managed || delivery.stored.is_none()
            }
            Outgoing::Owed | Outgoing::Close(_) => false,
        });
        (plain && bytes <= AT_ONCE_BYTES_MAX).then(|| self.take())
    }

    /// A stanza is about to join the others: whether it is urgent, and what it supersedes.
    fn weigh(&mut self, delivery: &Delivery) {
        let quiet = self.inactive || self.without_connection.is_some();
        let weight = match delivery.stanza.kind() {
            Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => csi::presence(&delivery.stanza),
            _ if quiet => csi::weight(&delivery.stanza),
            _ => return,
        };
        self.urgent |= weight == Weight::Urgent;
        match weight {
            // What has a row in the store is never dropped.
            Weight::Supersedes(subject) if delivery.stored.is_none() => self.supersede(subject, true),
            // Whoever has written has done so.
            Weight::Urgent => {
                let addresses = delivery.stanza.from().map(|from| (from.clone(), delivery.stanza.to().cloned()));
                if let (Kind::Message(_), Some((from, to))) = (delivery.stanza.kind(), addresses) {
                    self.supersede(Subject::ChatState(from, to), false);
                }
            }
            Weight::Supersedes(_) | Weight::Waits => {}
        }
    }

    /// The places in `waiting` have moved.
    pub(super) fn moved(&mut self) {
        self.last = None;
    }

    /// Drops the last stanza of this subject; the next one is about to join, if it `joins`.
    fn supersede(&mut self, subject: Subject, joins: bool) {
        let last = self.last.get_or_insert_with(|| Last::of(&self.waiting));
        let before = last.places.remove(&subject).and_then(|place| self.waiting.get_mut(place)).and_then(Option::take);
        if let Some(Outgoing::Stanza(delivery)) = before {
            self.bytes = self.bytes.saturating_sub(delivery.stanza.size_bytes());
            last.superseded += 1;
        }
        if last.superseded > SUPERSEDE_FROM && last.superseded > self.waiting.len() / 2 {
            self.waiting.retain(Option::is_some);
            *last = Last::of(&self.waiting);
        }
        if joins {
            last.places.insert(subject, self.waiting.len());
        }
    }

    pub(super) fn acknowledge(&mut self, h: u32) -> Result<Acknowledged, TooHigh> {
        let Some(own) = self.management.as_deref_mut() else { return Ok(Acknowledged::default()) };
        if self.closed && own.outstanding.is_empty() {
            // What was sent has been given back: nobody can say any more how much there was.
            return Ok(Acknowledged::default());
        }
        let count = sm::newly_acknowledged(own.acknowledged, own.outstanding.len(), h)?;
        let mut stored = Vec::new();
        for delivery in own.outstanding.drain(..count) {
            self.bytes = self.bytes.saturating_sub(delivery.stanza.size_bytes());
            stored.extend(delivery.stored);
        }
        if own.outstanding.is_empty() {
            own.outstanding = VecDeque::new();
        }
        own.acknowledged = own.acknowledged.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Acknowledged { stored, count, outstanding: own.outstanding.len() })
    }
}

impl Last {
    /// Looks through what waits.
    fn of(waiting: &VecDeque<Option<Outgoing>>) -> Box<Self> {
        let mut last = Self::default();
        for (place, item) in waiting.iter().enumerate() {
            match item {
                Some(Outgoing::Stanza(Delivery { stanza, stored: None })) => {
                    if let Weight::Supersedes(subject) = csi::weight(stanza) {
                        last.places.insert(subject, place);
                    }
                }
                Some(_) => {}
                None => last.superseded += 1,
            }
        }
        Box::new(last)
    }
}
