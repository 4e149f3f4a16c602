//! An account's messages in memory: their numbers, how many wait in the store, and which are on their way to which session.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::SystemTime;

use crate::store::{ArchiveId, Preferences, Summary};

/// What is known of the messages of one account. Rows themselves are in the store (`store/archive.rs`).
#[derive(Debug, Default)]
pub struct Messages {
    /// The highest number given out. A stage takes the next one while it sees the account unchanged.
    last: Cell<Option<ArchiveId>>,
    /// XEP-0441.
    pub preferences: Preferences,
    /// Messages that no client has acknowledged, those in flight left out: each of them has a row in the store, or one in its queue.
    waiting: BTreeSet<ArchiveId>,
    in_flight: HashMap<ArchiveId, Flight>,
}

/// A kept message on its way.
#[derive(Debug)]
struct Flight {
    /// How many sessions have it in their mailbox or have not acknowledged it.
    sessions: usize,
    /// The store knows that it is not acknowledged.
    noted: bool,
    archived: bool,
}

/// Messages that a client now has and of which the store knew that none had them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// They are in the archive.
    pub delivered: Vec<ArchiveId>,
    /// They were kept for delivery only.
    pub forgotten: Vec<ArchiveId>,
}

/// What a session's end means for a message that it had not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Another session has it, or may get it yet.
    Elsewhere,
    /// It waits in the store again.
    Waits,
    /// The same, and the store does not know yet that it was not acknowledged.
    WaitsUnnoted,
}

impl Messages {
    /// As the store has them; nothing is in flight.
    pub fn new(summary: Summary) -> Self {
        Self { last: Cell::new(summary.last), preferences: summary.preferences, waiting: summary.undelivered, in_flight: HashMap::new() }
    }

    /// The number for the next message.
    pub fn next_id(&self, now: SystemTime, random: u32) -> ArchiveId {
        let id = ArchiveId::after(self.last.get(), now, random);
        self.last.set(Some(id));
        id
    }

    /// How many messages wait in the store for a session.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The first message behind this one that waits in the store for a session.
    pub fn next_waiting(&self, after: Option<ArchiveId>) -> Option<ArchiveId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.waiting.range((from, Bound::Unbounded)).next().copied()
    }

    /// Whether this message waits. What was read from the store just now may have been acknowledged since.
    pub fn waits(&self, id: ArchiveId) -> bool {
        self.waiting.contains(&id)
    }

    /// A message was kept for which there was no session.
    pub fn stored(&mut self, id: ArchiveId) {
        self.waiting.insert(id);
    }

    /// A kept message went to so many sessions. `noted`: the store knows that it is not acknowledged.
    pub fn sent(&mut self, id: ArchiveId, sessions: usize, noted: bool, archived: bool) {
        self.in_flight.insert(id, Flight { sessions, noted, archived });
    }

    /// A message that waited went to a session.
    pub fn taken(&mut self, id: ArchiveId, archived: bool) {
        self.waiting.remove(&id);
        self.sent(id, 1, true, archived);
    }

    /// A session that was stored comes back with these messages, which it may acknowledge or lose yet; of `noted`, which are in order, the store knows that
    /// they are not acknowledged. Whether the archive shows these is not known: the store sees to it that they stay.
    pub fn carried(&mut self, ids: &[ArchiveId], noted: &[ArchiveId]) {
        for id in ids {
            match self.in_flight.get_mut(id) {
                Some(flight) => flight.sessions += 1,
                None if noted.binary_search(id).is_ok() => self.taken(*id, false),
                None => self.sent(*id, 1, false, true),
            }
        }
    }

    /// A client has these messages. Those that another one acknowledged before are not among the result.
    pub fn acknowledged(&mut self, ids: &[ArchiveId]) -> Received {
        let mut received = Received::default();
        for id in ids {
            match self.in_flight.remove(id) {
                Some(Flight { noted: true, archived: true, .. }) => received.delivered.push(*id),
                Some(Flight { noted: true, archived: false, .. }) => received.forgotten.push(*id),
                _ => {}
            }
        }
        received
    }

    /// A client was shown these messages of the archive, which waited. Returns those that still did.
    pub fn seen(&mut self, mut ids: Vec<ArchiveId>) -> Vec<ArchiveId> {
        ids.retain(|id| self.waiting.remove(id));
        ids
    }

    /// A session is over and had not acknowledged this message.
    pub fn lost(&mut self, id: ArchiveId) -> Lost {
        let Some(flight) = self.in_flight.get_mut(&id) else { return Lost::Elsewhere };
        flight.sessions -= 1;
        if flight.sessions > 0 {
            return Lost::Elsewhere;
        }
        let noted = flight.noted;
        self.in_flight.remove(&id);
        self.waiting.insert(id);
        if noted { Lost::Waits } else { Lost::WaitsUnnoted }
    }

    /// Messages before this one waited too long and are gone.
    pub fn expired(&mut self, before: ArchiveId) {
        self.waiting = self.waiting.split_off(&before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const N: usize>(messages: &Messages) -> [ArchiveId; N] {
        std::array::from_fn(|_| messages.next_id(SystemTime::now(), 0))
    }

    #[test]
    fn the_first_client_that_has_a_message_counts() {
        let mut messages = Messages::default();
        let [noted, unnoted, unarchived] = ids(&messages);
        messages.sent(noted, 2, true, true);
        messages.sent(unnoted, 1, false, true);
        messages.sent(unarchived, 1, true, false);
        let received = messages.acknowledged(&[noted, unnoted, unarchived]);
        assert_eq!(received, Received { delivered: vec![noted], forgotten: vec![unarchived] });
        assert_eq!(messages.acknowledged(&[noted]), Received::default());
        assert_eq!(messages.lost(noted), Lost::Elsewhere, "another has it");
        assert_eq!(messages.waiting(), 0);
    }

    #[test]
    fn a_message_waits_when_the_last_session_that_had_it_is_over() {
        let mut messages = Messages::default();
        let [noted, unnoted] = ids(&messages);
        messages.sent(noted, 2, true, true);
        messages.sent(unnoted, 1, false, true);
        assert_eq!(messages.lost(noted), Lost::Elsewhere);
        assert_eq!(messages.lost(unnoted), Lost::WaitsUnnoted);
        assert_eq!(messages.lost(noted), Lost::Waits);
        assert_eq!(messages.waiting(), 2);
        messages.taken(noted, true);
        assert_eq!(messages.seen(vec![noted, unnoted]), [unnoted], "what is in flight does not wait");
        assert_eq!(messages.waiting(), 0);
    }

    #[test]
    fn a_stored_session_comes_back_with_what_it_had() {
        let [first, second, third, unnoted] = ids(&Messages::default());
        let mut messages = Messages::new(Summary { undelivered: [first, second, third].into(), ..Summary::default() });
        messages.carried(&[first, second, unnoted], &[first, second]);
        messages.carried(&[first], &[first]);
        assert_eq!((messages.waiting(), messages.next_waiting(None)), (1, Some(third)), "what the store did not count is not taken off");
        assert_eq!(messages.lost(unnoted), Lost::WaitsUnnoted);
        assert_eq!(messages.lost(first), Lost::Elsewhere);
        assert_eq!(messages.acknowledged(&[second]).forgotten, [second]);
    }

    #[test]
    fn what_waits_is_known_message_by_message() {
        let mut messages = Messages::default();
        let [first, second, third] = ids(&messages);
        for id in [first, second, third] {
            messages.stored(id);
        }
        messages.taken(first, true);
        messages.acknowledged(&[first]);
        assert!(!messages.waits(first) && messages.waits(second), "a page that was read before the acknowledgement delivers nothing twice");
        assert_eq!((messages.next_waiting(None), messages.next_waiting(Some(second))), (Some(second), Some(third)));
        messages.taken(second, true);
        messages.expired(third);
        assert_eq!(messages.waiting(), 1, "what is in flight does not wait, however old it is");
        assert_eq!(messages.seen(vec![first, second, third]), [third]);
        assert_eq!((messages.waiting(), messages.next_waiting(Some(third))), (0, None));
    }
}
