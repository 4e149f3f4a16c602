//! The queue in front of one session: what the router puts in, the present connection's task takes out. With stream management
//! (XEP-0198) it also keeps what the client has not acknowledged, and outlives the connection.
//!
//! Putting in never waits. What waits and what is not acknowledged is bounded in bytes together; what does not fit ends the stream, since a
//! client that does not read must not hold up those who write to it (RFC 6120 §4.9.3.17, `resource-constraint`). The reader learns of that
//! end at once, however little it can write, since until then the session is taken for one that can be reached. Nothing is lost: what the
//! mailbox holds when the session is over is given back whole.
//!
//! Presence that waits is superseded by the next one of the same full JID, once much waits. For an inactive client (XEP-0352) what is not
//! urgent waits, up to a bound, and chat states are superseded too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::features::csi::{self, Subject, Weight};
use crate::stanza::{IqType, Kind, PresenceType, Stanza};
use crate::store::ArchiveId;
use crate::stream::error::{self, StreamError};
use crate::stream::sm::{self, TooHigh};

/// From so many waiting items on, presence is looked through for what is superseded.
const SUPERSEDE_FROM: usize = 32;
/// So many items wait for an inactive client, …
const HELD_ITEMS_MAX: usize = 256;
/// … or a part of what the mailbox holds.
const HELD_PART: usize = 8;

/// A stanza on its way to a client.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What the client gets.
    pub stanza: Stanza,
    /// Its row among the account's messages, if it has to come back should the client not get it.
    pub stored: Option<ArchiveId>,
}

impl From<Stanza> for Delivery {
    fn from(stanza: Stanza) -> Self {
        Self { stanza, stored: None }
    }
}

/// What a session's connection is told to do, in order.
#[derive(Debug)]
pub enum Outgoing {
    /// Write this stanza to the client.
    Stanza(Delivery),
    /// More is owed to this session: ask [`Router::pay`](crate::router::Router::pay) for the next slice once what came before is written.
    Owed,
    /// Send this stream error and end the stream; nothing follows it.
    Close(StreamError),
}

/// A bounded queue with one reader at a time.
#[derive(Debug)]
pub struct Mailbox {
    queue: Mutex<Queue>,
    filled: Notify,
    /// Closed, or taken over by another connection.
    ended: Notify,
    /// The stanza that was being handled is handled.
    settled: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// `None`: superseded by a later one.
    waiting: VecDeque<Option<Outgoing>>,
    /// Of stanzas that wait or are not acknowledged.
    bytes: usize,
    closed: bool,
    /// Which connection is the present one.
    epoch: u64,
    management: Option<Box<Management>>,
    /// Told when a mailbox without a connection overflows.
    without_connection: Option<Arc<Notify>>,
    /// XEP-0352: nobody looks at the client.
    inactive: bool,
    /// Something in it must not wait.
    urgent: bool,
    /// Where in `waiting` the last of each subject stands, once that is of interest.
    last: Option<Box<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    places: HashMap<Subject, usize>,
    /// Places in `waiting` that are empty.
    superseded: usize,
}

/// XEP-0198 §4: the two counters, and what may have to be sent again.
#[derive(Debug, Default)]
struct Management {
    /// Stanzas that the client has acknowledged, modulo 2^32.
    acknowledged: u32,
    /// Those sent after them, in order.
    outstanding: VecDeque<Delivery>,
    /// The client's stanzas that have been handled, modulo 2^32.
    handled: u32,
    /// Another one is being handled now.
    handling: bool,
    /// What was queued to be written when the last of them had been handled.
    queued: u64,
}

/// How far the client's stanzas have been handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// XEP-0198's `h`, modulo 2^32.
    pub handled: u32,
    /// It may be told once this much is durable ([`Durability`](crate::store::Durability)).
    pub queued: u64,
}

/// What an acknowledgement of the client brought.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Rows that the client now has.
    pub stored: Vec<ArchiveId>,
    /// How many stanzas it acknowledged.
    pub count: usize,
    /// How many are still outstanding.
    pub outstanding: usize,
}

/// All that a mailbox knows, for a session that is stored.
#[derive(Debug)]
pub struct Contents {
    /// XEP-0198: stanzas acknowledged by the client.
    pub acknowledged: u32,
    /// XEP-0198: the client's stanzas handled.
    pub handled: u32,
    /// What was sent and is not acknowledged, in order.
    pub outstanding: Vec<Delivery>,
    /// What was not sent, in order.
    pub waiting: Vec<Delivery>,
    /// More is owed to the session.
    pub owed: bool,
}

impl Mailbox {
    /// An empty mailbox that holds at most `bytes_max` bytes of stanzas.
    pub fn new(bytes_max: usize) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), ended: Notify::new(), settled: Notify::new(), bytes_max }
    }

    /// The mailbox of a session that was stored.
    pub fn restored(bytes_max: usize, contents: Contents) -> Self {
        let Contents { acknowledged, handled, outstanding, waiting, owed } = contents;
        let bytes = outstanding.iter().chain(&waiting).map(|delivery| delivery.stanza.size_bytes()).sum();
        let management = Management { acknowledged, outstanding: outstanding.into(), handled, ..Management::default() };
        let mut waiting: VecDeque<_> = waiting.into_iter().map(|delivery| Some(Outgoing::Stanza(delivery))).collect();
        waiting.extend(owed.then_some(Some(Outgoing::Owed)));
        let mailbox = Self::new(bytes_max);
        *mailbox.locked() = Queue { waiting, bytes, management: Some(Box::new(management)), ..Queue::default() };
        mailbox
    }

    /// A restored one has no connection yet: an overflow is told to `overflowed`, as after [`Attachment::detach`].
    pub fn tell_overflow(&self, overflowed: &Arc<Notify>) {
        self.locked().without_connection = Some(overflowed.clone());
    }

    /// Queues one item. Returns false when the stream has ended or ends now because the queue is full.
    pub fn push(&self, item: Outgoing) -> bool {
        let (accepted, closed) = {
            let mut queue = self.locked();
            (queue.push(item, self.bytes_max), queue.closed)
        };
        self.filled.notify_one();
        if closed {
            self.ended.notify_waiters();
        }
        accepted
    }

    /// Moves everything that waits into `into`, in order. For a mailbox that never had but one reader; connections use [`Attachment::drain`].
    pub fn drain(&self, into: &mut Vec<Outgoing>) {
        self.locked().drain(into);
    }

    /// Makes the caller the one who reads; whoever did before learns of it. `None` once the mailbox is closed.
    pub fn attach(self: &Arc<Self>) -> Option<Attachment> {
        let epoch = {
            let mut queue = self.locked();
            if queue.closed {
                return None;
            }
            queue.epoch += 1;
            queue.without_connection = None;
            queue.inactive = false; // XEP-0352 §5.2
            queue.epoch
        };
        self.ended.notify_waiters();
        self.filled.notify_waiters();
        Some(Attachment { mailbox: self.clone(), epoch })
    }

    /// Starts stream management: from now on what is sent is kept until it is acknowledged, and what is handled is counted (XEP-0198 §4).
    /// False if it had started already.
    pub fn manage(&self) -> bool {
        let mut queue = self.locked();
        let fresh = queue.management.is_none();
        if fresh {
            queue.management = Some(Box::default());
        }
        fresh
    }

    /// Whether stream management has started.
    pub fn is_managed(&self) -> bool {
        self.locked().management.is_some()
    }

    /// Takes nothing more, and lets no connection attach.
    pub fn close(&self) {
        self.locked().closed = true;
        self.ended.notify_waiters();
    }

    /// Whether nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.locked().closed
    }

    /// How far the client's stanzas have been handled.
    pub fn progress(&self) -> Progress {
        let queue = self.locked();
        let management = queue.management.as_deref();
        management.map_or(Progress { handled: 0, queued: 0 }, |own| Progress { handled: own.handled, queued: own.queued })
    }

    /// Gives back all that the client may not have, in order, and takes nothing more. An order to close stays for the connection, and before it
    /// what is of use to this client only: the answer to the very request that ended the session, say.
    pub fn take_back(&self) -> Vec<Delivery> {
        let left = {
            let mut queue = self.locked();
            queue.closed = true;
            queue.bytes = 0;
            let mut left: Vec<_> = queue.management.as_deref_mut().map(|own| own.outstanding.drain(..).collect()).unwrap_or_default();
            let mut orders = VecDeque::new();
            let closing = queue.waiting.iter().flatten().any(|item| matches!(item, Outgoing::Close(_)));
            for item in queue.waiting.drain(..).flatten() {
                match item {
                    Outgoing::Stanza(delivery) if closing && is_this_clients(&delivery.stanza) => {
                        orders.push_back(Some(Outgoing::Stanza(delivery)));
                    }
                    Outgoing::Stanza(delivery) => left.push(delivery),
                    Outgoing::Owed => {}
                    close @ Outgoing::Close(_) => orders.push_back(Some(close)),
                }
            }
            queue.waiting = orders;
            left
        };
        self.ended.notify_waiters();
        left
    }

    /// All that it knows, and takes nothing more: the session goes to the database.
    pub fn into_contents(&self) -> Contents {
        let (acknowledged, handled, outstanding) = {
            let mut queue = self.locked();
            queue.closed = true;
            match queue.management.as_deref_mut() {
                Some(own) => (own.acknowledged, own.handled, own.outstanding.drain(..).collect()),
                None => (0, 0, Vec::new()),
            }
        };
        let owed = self.locked().waiting.iter().flatten().any(|item| matches!(item, Outgoing::Owed));
        Contents { acknowledged, handled, outstanding, waiting: self.take_back(), owed }
    }

    /// Shows all that the client may not have, in order.
    pub fn look(&self, mut show: impl FnMut(&Stanza)) {
        let queue = self.locked();
        let outstanding = queue.management.iter().flat_map(|own| &own.outstanding);
        let waiting = queue.waiting.iter().flatten().filter_map(|item| match item {
            Outgoing::Stanza(delivery) => Some(delivery),
            Outgoing::Owed | Outgoing::Close(_) => None,
        });
        outstanding.chain(waiting).for_each(|delivery| show(&delivery.stanza));
    }

    /// How many stanzas were sent and are not acknowledged; none without stream management.
    pub fn outstanding(&self) -> usize {
        self.locked().management.as_deref().map_or(0, |own| own.outstanding.len())
    }

    /// Bytes of stanzas that wait or are not acknowledged.
    pub fn bytes(&self) -> usize {
        self.locked().bytes
    }

    fn locked(&self) -> MutexGuard<'_, Queue> {
        // Every change of the queue is complete before anything can panic, so a poisoned one is still right.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's hold on a mailbox, until another connection takes over.
#[derive(Debug)]
pub struct Attachment {
    mailbox: Arc<Mailbox>,
    epoch: u64,
}

impl Attachment {
    /// The mailbox itself.
    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Whether this connection still is the present one.
    pub fn is_current(&self) -> bool {
        self.mailbox.locked().epoch == self.epoch
    }

    /// Moves everything that waits into `into`, in order; returns how many stanzas are outstanding then (none without stream management).
    /// Nothing once another connection has taken over.
    pub fn drain(&self, into: &mut Vec<Outgoing>) -> usize {
        let mut queue = self.mailbox.locked();
        if queue.epoch != self.epoch {
            return 0;
        }
        queue.drain(into);
        queue.management.as_deref().map_or(0, |own| own.outstanding.len())
    }

    /// XEP-0352 §4.2: whether somebody looks at the client. If nobody does, what is not urgent waits.
    pub fn set_active(&self, active: bool) {
        {
            let mut queue = self.mailbox.locked();
            if queue.epoch != self.epoch {
                return;
            }
            queue.inactive = !active;
            // What waits now was to be sent at once.
            queue.urgent = !queue.waiting.is_empty();
        }
        self.mailbox.filled.notify_one();
    }

    /// Takes the order to close, and no stanza: for a client that does not read. What waits is given back at the session's end.
    pub fn take_close(&self) -> Option<StreamError> {
        let mut queue = self.mailbox.locked();
        if queue.epoch != self.epoch {
            return None;
        }
        let at = queue.waiting.iter().position(|item| matches!(item, Some(Outgoing::Close(_))))?;
        match queue.waiting.remove(at) {
            Some(Some(Outgoing::Close(error))) => Some(error),
            _ => None,
        }
    }

    /// Resolves once something may be waiting. Cancel-safe.
    pub async fn ready(&self) {
        loop {
            let (current, waits) = {
                let queue = self.mailbox.locked();
                (queue.epoch == self.epoch, queue.is_due(self.mailbox.bytes_max))
            };
            if !current {
                // The wake-up may have been meant for who reads now.
                self.mailbox.filled.notify_one();
                return;
            }
            if waits {
                return;
            }
            self.mailbox.filled.notified().await;
        }
    }

    /// Resolves once nothing more comes: the queue overflowed, was told to close, or another connection has taken over. Cancel-safe.
    pub async fn ended(&self) {
        loop {
            let ended = self.mailbox.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            {
                let queue = self.mailbox.locked();
                if queue.closed || queue.epoch != self.epoch {
                    return;
                }
            }
            ended.await;
        }
    }

    /// The connection is gone and the session goes on without: an overflow is now told to `overflowed`. False if another connection has
    /// taken over, or the mailbox is closed.
    pub fn detach(&self, overflowed: &Arc<Notify>) -> bool {
        let mut queue = self.mailbox.locked();
        let stays = queue.epoch == self.epoch && !queue.closed;
        if stays {
            queue.without_connection = Some(overflowed.clone());
        }
        stays
    }

    /// The session ends with this connection: nothing more is taken, and nobody can take over. False if somebody has.
    pub fn retire(&self) -> bool {
        let current = {
            let mut queue = self.mailbox.locked();
            let current = queue.epoch == self.epoch;
            queue.closed |= current;
            current
        };
        self.mailbox.ended.notify_waiters();
        current
    }

    /// A stanza of the client is going to be handled. `None` once nothing more is taken or another connection has taken over: the client sends
    /// again what it was not told to be handled.
    pub fn begin(&self) -> Option<Handling<'_>> {
        let mut queue = self.mailbox.locked();
        let takes = queue.epoch == self.epoch && !queue.closed;
        let management = queue.management.as_deref_mut()?;
        if !takes {
            return None;
        }
        management.handling = true;
        Some(Handling { mailbox: &self.mailbox })
    }

    /// Waits until the stanza that an earlier connection was handling is handled.
    pub async fn settled(&self) {
        loop {
            let settled = self.mailbox.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if !self.mailbox.locked().management.as_deref().is_some_and(|own| own.handling) {
                return;
            }
            settled.await;
        }
    }

    /// XEP-0198 §4: the client has this many of what was sent to it.
    ///
    /// # Errors
    /// It was not sent so many.
    pub fn acknowledge(&self, h: u32) -> Result<Acknowledged, TooHigh> {
        let mut queue = self.mailbox.locked();
        if queue.epoch != self.epoch {
            return Ok(Acknowledged::default());
        }
        queue.acknowledge(h)
    }

    /// XEP-0198 §5: the client has this many of what was sent to it, and gets the rest again, before everything else.
    ///
    /// # Errors
    /// It was not sent so many.
    pub fn rewind(&self, h: u32) -> Result<Acknowledged, TooHigh> {
        let mut queue = self.mailbox.locked();
        if queue.epoch != self.epoch {
            return Ok(Acknowledged::default());
        }
        let acknowledged = queue.acknowledge(h)?;
        let Queue { waiting, management, .. } = &mut *queue;
        if let Some(own) = management {
            for delivery in own.outstanding.drain(..).rev() {
                waiting.push_front(Some(Outgoing::Stanza(delivery)));
            }
        }
        queue.last = None; // the places have moved
        Ok(acknowledged)
    }
}

/// A stanza of the client is being handled. Dropped before [`Handling::done`], it does not count as handled.
#[derive(Debug)]
pub struct Handling<'a> {
    mailbox: &'a Mailbox,
}

impl Handling<'_> {
    /// It is handled; what it caused to be written is among what was queued so far.
    pub fn done(self, queued: u64) {
        if let Some(management) = self.mailbox.locked().management.as_deref_mut() {
            management.handled = management.handled.wrapping_add(1);
            management.queued = management.queued.max(queued);
        }
    }
}

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        if let Some(management) = self.mailbox.locked().management.as_deref_mut() {
            management.handling = false;
        }
        self.mailbox.settled.notify_waiters();
    }
}

/// Presence and answers: nobody else waits for them.
fn is_this_clients(stanza: &Stanza) -> bool {
    matches!(stanza.kind(), Kind::Presence(_) | Kind::Iq(IqType::Result | IqType::Error))
}

impl Queue {
    fn push(&mut self, item: Outgoing, bytes_max: usize) -> bool {
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
        if let Some(overflowed) = self.without_connection.take() {
            overflowed.notify_one();
        }
    }

    fn drain(&mut self, into: &mut Vec<Outgoing>) {
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
        // What has been read holds no memory: most mailboxes are empty most of the time.
        into.extend(std::mem::take(&mut self.waiting).into_iter().flatten());
        self.urgent = false;
        self.last = None;
    }

    /// Whether the reader has to come: for an inactive client, when something is urgent or much waits.
    fn is_due(&self, bytes_max: usize) -> bool {
        let held = self.inactive && !self.urgent && !self.closed;
        !self.waiting.is_empty() && (!held || self.waiting.len() >= HELD_ITEMS_MAX || self.bytes > bytes_max / HELD_PART)
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

    fn acknowledge(&mut self, h: u32) -> Result<Acknowledged, TooHigh> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stanza::Stanza;

    fn delivery(body: &str) -> Delivery {
        let xml = format!("<message to='a@localhost'><body>{body}</body></message>");
        Stanza::parse(xml.into_bytes().into(), &crate::xml::Bindings::client()).expect("well-formed").into()
    }

    fn stanza(body: &str) -> Outgoing {
        Outgoing::Stanza(delivery(body))
    }

    fn bodies<'a>(items: impl IntoIterator<Item = &'a Delivery>) -> String {
        items.into_iter().filter_map(|delivery| Some(delivery.stanza.child(crate::ns::CLIENT, "body")?.text().into_owned())).collect()
    }

    fn drained(attachment: &Attachment) -> String {
        let mut out = Vec::new();
        attachment.drain(&mut out);
        bodies(out.iter().filter_map(|item| if let Outgoing::Stanza(delivery) = item { Some(delivery) } else { None }))
    }

    /// A mailbox with stream management and one connection.
    fn managed(bytes_max: usize) -> Attachment {
        let attachment = Arc::new(Mailbox::new(bytes_max)).attach().expect("open");
        assert!(attachment.mailbox.manage() && !attachment.mailbox.manage());
        attachment
    }

    #[test]
    fn what_was_pushed_comes_out_in_order() {
        let mailbox = Mailbox::new(10_000);
        assert!(mailbox.push(stanza("1")) && mailbox.push(stanza("2")));
        let mut out = Vec::new();
        mailbox.drain(&mut out);
        assert_eq!(out.len(), 2);
        assert_eq!(mailbox.bytes(), 0);
    }

    #[test]
    fn a_full_mailbox_ends_the_stream_and_takes_nothing_more() {
        let mailbox = Mailbox::new(200);
        assert!(mailbox.push(stanza(&"x".repeat(100))));
        assert!(!mailbox.push(stanza(&"x".repeat(100))));
        assert!(!mailbox.push(stanza("y")));
        let mut out = Vec::new();
        mailbox.drain(&mut out);
        assert!(matches!(&out[..], [Outgoing::Stanza(_), Outgoing::Close(_)]));
    }

    #[tokio::test]
    async fn the_end_is_told_apart_from_mail() {
        let mailbox = Arc::new(Mailbox::new(200));
        let attachment = mailbox.attach().expect("open");
        assert!(mailbox.push(stanza("1")));
        attachment.ready().await;
        let ended = attachment.ended();
        tokio::pin!(ended);
        assert!(futures_util::poll!(&mut ended).is_pending());
        assert!(!mailbox.push(stanza(&"x".repeat(200))));
        ended.await;
        attachment.ended().await;
        assert!(attachment.take_close().is_some() && attachment.take_close().is_none());
        assert_eq!(bodies(&mailbox.take_back()), "1");
        assert_eq!(mailbox.bytes(), 0);
        assert!(mailbox.attach().is_none());
    }

    #[test]
    fn xep0198_s4_what_is_sent_is_kept_until_it_is_acknowledged() {
        let attachment = managed(1000);
        let mailbox = &attachment.mailbox;
        for body in ["1", "2", "3"] {
            assert!(mailbox.push(stanza(body)));
        }
        let bytes = mailbox.bytes();
        assert_eq!(drained(&attachment), "123");
        assert_eq!(mailbox.bytes(), bytes, "what may have to be sent again counts");
        let acknowledged = attachment.acknowledge(2).expect("sent");
        assert_eq!((acknowledged.count, acknowledged.outstanding), (2, 1));
        assert_eq!(attachment.acknowledge(1).expect("old").count, 0);
        assert_eq!(attachment.acknowledge(4).expect_err("too high"), TooHigh { h: 4, sent: 3 });
        mailbox.push(stanza("4"));
        assert_eq!(bodies(&mailbox.take_back()), "34");
        assert_eq!(mailbox.bytes(), 0);
        assert_eq!(attachment.acknowledge(3).expect("it was sent").count, 0, "it was given back");
        assert!(!mailbox.push(stanza("5")));
    }

    #[test]
    fn xep0198_s5_what_was_not_acknowledged_is_sent_again_first() {
        let first = managed(1000);
        let mailbox = first.mailbox.clone();
        for body in ["1", "2", "3"] {
            mailbox.push(stanza(body));
        }
        drained(&first);
        mailbox.push(stanza("4"));
        let second = mailbox.attach().expect("open");
        assert!(!first.is_current() && !first.retire());
        assert_eq!(drained(&first), "");
        assert_eq!(second.rewind(4).expect_err("not sent"), TooHigh { h: 4, sent: 3 });
        assert_eq!(second.rewind(1).expect("sent").count, 1);
        assert_eq!(drained(&second), "234");
        assert_eq!(second.acknowledge(4).expect("sent").count, 3);
        assert_eq!(mailbox.bytes(), 0);
    }

    #[test]
    fn unacknowledged_stanzas_count_as_waiting_ones_do() {
        let attachment = managed(200);
        assert!(attachment.mailbox.push(stanza(&"x".repeat(100))));
        drained(&attachment);
        assert!(!attachment.mailbox.push(stanza(&"x".repeat(100))));
        assert_eq!(attachment.mailbox.take_back().len(), 1);
    }

    #[tokio::test]
    async fn a_takeover_waits_for_the_stanza_under_way() {
        let first = managed(1000);
        first.begin().expect("present").done(7);
        let handling = first.begin().expect("present");
        let second = first.mailbox.attach().expect("open");
        first.ended().await;
        first.ready().await;
        assert!(first.begin().is_none());
        {
            let settled = second.settled();
            tokio::pin!(settled);
            assert!(futures_util::poll!(&mut settled).is_pending());
            handling.done(9);
            settled.await;
        }
        assert_eq!(second.mailbox.progress(), Progress { handled: 2, queued: 9 });
        drop(second.begin());
        assert_eq!(second.mailbox.progress().handled, 2, "what was cut off is not handled");
        second.mailbox.close();
        assert!(second.begin().is_none(), "nobody is there to handle it");
    }

    #[tokio::test]
    async fn an_overflow_without_a_connection_is_told() {
        let attachment = managed(200);
        let overflowed = Arc::new(Notify::new());
        assert!(attachment.detach(&overflowed));
        assert!(!attachment.mailbox.push(stanza(&"x".repeat(200))));
        overflowed.notified().await;
        assert!(attachment.mailbox.attach().is_none());
        assert!(!attachment.detach(&overflowed));
        let contents = Contents { acknowledged: 0, handled: 0, outstanding: Vec::new(), waiting: Vec::new(), owed: false };
        let restored = Mailbox::restored(200, contents);
        restored.tell_overflow(&overflowed);
        assert!(!restored.push(stanza(&"x".repeat(200))));
        overflowed.notified().await;
    }

    #[test]
    fn contents_make_the_same_mailbox_again() {
        let attachment = managed(1000);
        for body in ["1", "2", "3"] {
            attachment.mailbox.push(stanza(body));
        }
        drained(&attachment);
        attachment.acknowledge(1).expect("sent");
        attachment.begin().expect("present").done(0);
        attachment.mailbox.push(stanza("4"));
        attachment.mailbox.push(Outgoing::Owed);
        attachment.mailbox.push(Outgoing::Owed);
        let contents = attachment.mailbox.into_contents();
        assert!(attachment.mailbox.is_closed() && contents.owed);
        let mailbox = Arc::new(Mailbox::restored(1000, contents));
        assert_eq!(mailbox.progress().handled, 1);
        let again = mailbox.attach().expect("open");
        again.rewind(2).expect("sent");
        let mut out = Vec::new();
        assert_eq!(again.drain(&mut out), 2);
        assert!(matches!(&out[..], [Outgoing::Stanza(_), Outgoing::Stanza(_), Outgoing::Owed]));
    }

    fn parsed(xml: &str) -> Outgoing {
        Outgoing::Stanza(Stanza::parse(xml.to_owned().into(), &crate::xml::Bindings::client()).expect("well-formed").into())
    }

    fn presence(from: &str, status: &str) -> Outgoing {
        parsed(&format!("<presence from='{from}'><status>{status}</status></presence>"))
    }

    fn composing(from: &str) -> Outgoing {
        parsed(&format!("<message from='{from}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"))
    }

    /// What comes out, shortened to what differs.
    fn taken(attachment: &Attachment) -> Vec<String> {
        let mut out = Vec::new();
        attachment.drain(&mut out);
        let short = |item: Outgoing| match item {
            Outgoing::Stanza(Delivery { stanza, .. }) => {
                let from = stanza.from().map_or("", |from| from.as_str()).to_owned();
                let child = stanza.children().next();
                from + " " + &child.map(|child| format!("{} {}", child.name(), child.text())).unwrap_or_default()
            }
            other => format!("{other:?}"),
        };
        out.into_iter().map(|item| short(item).trim_end().to_owned()).collect()
    }

    async fn is_due(attachment: &Attachment) -> bool {
        let ready = attachment.ready();
        tokio::pin!(ready);
        futures_util::poll!(&mut ready).is_ready()
    }

    #[tokio::test]
    async fn xep0352_s3_2_an_inactive_client_gets_what_is_urgent_and_what_waited_before_it() {
        let attachment = Arc::new(Mailbox::new(100_000)).attach().expect("open");
        let mailbox = attachment.mailbox().clone();
        attachment.set_active(false);
        for item in [
            presence("a@b/c", "1"),
            composing("a@b/c"),
            presence("d@e/f", "1"),
            presence("a@b/c", "2"),
            composing("d@e/f"),
            composing("a@b/c"),
        ] {
            assert!(mailbox.push(item));
        }
        assert!(!is_due(&attachment).await);
        mailbox.push(parsed("<message from='a@b/c'><body>now</body></message>"));
        assert!(is_due(&attachment).await);
        assert_eq!(taken(&attachment), ["d@e/f status 1", "a@b/c status 2", "d@e/f composing", "a@b/c body now"]);
        assert_eq!(mailbox.bytes(), 0);
        mailbox.push(presence("a@b/c", "3"));
        assert!(!is_due(&attachment).await, "what was urgent is gone");
        mailbox.push(Outgoing::Owed);
        assert!(is_due(&attachment).await, "messages may be owed");
        attachment.set_active(true);
        assert!(is_due(&attachment).await);
        assert_eq!(taken(&attachment), ["a@b/c status 3", "Owed"]);
        mailbox.push(presence("a@b/c", "4"));
        assert!(is_due(&attachment).await);
        attachment.set_active(false);
        assert!(is_due(&attachment).await, "it was to be sent at once");
        // §5.2: a new connection is active.
        let again = mailbox.attach().expect("open");
        taken(&again);
        mailbox.push(presence("a@b/c", "5"));
        assert!(is_due(&again).await);
    }

    #[tokio::test]
    async fn xep0352_s3_2_what_an_inactive_client_does_not_get_is_bounded() {
        let attachment = Arc::new(Mailbox::new(1_000_000)).attach().expect("open");
        attachment.set_active(false);
        for number in 0..10_000 {
            attachment.mailbox.push(presence("a@b/c", &number.to_string()));
        }
        assert!(!is_due(&attachment).await, "the last one only");
        assert!(attachment.mailbox.locked().waiting.len() <= 2 * SUPERSEDE_FROM + 2);
        for number in 0..HELD_ITEMS_MAX {
            attachment.mailbox.push(presence(&format!("a@b/{number}"), ""));
        }
        assert!(is_due(&attachment).await);
        assert_eq!(taken(&attachment)[0], "a@b/c status 9999");
        attachment.mailbox.push(presence("a@b/c", &"x".repeat(130_000)));
        assert!(is_due(&attachment).await, "it is large");
    }

    #[test]
    fn presence_that_waits_is_superseded_once_much_waits_and_order_is_kept() {
        let attachment = Arc::new(Mailbox::new(1_000_000)).attach().expect("open");
        let mailbox = attachment.mailbox();
        for number in 0..SUPERSEDE_FROM {
            mailbox.push(presence("a@b/c", &number.to_string()));
        }
        mailbox.push(parsed("<message from='a@b/c'><body>x</body></message>"));
        for number in 0..2_000 {
            mailbox.push(presence("a@b/c", &format!("late {number}")));
            mailbox.push(presence(&format!("n@b/{}", number % 100), &number.to_string()));
        }
        let out = taken(&attachment);
        // What waited before is left alone, but for the last.
        assert_eq!(out.len(), SUPERSEDE_FROM - 1 + 1 + 1 + 100, "{out:#?}");
        assert_eq!(out[SUPERSEDE_FROM - 1], "a@b/c body x");
        assert_eq!(out.iter().filter(|line| line.starts_with("a@b/c status late")).collect::<Vec<_>>(), ["a@b/c status late 1999"]);
        assert_eq!(out.last().map(String::as_str), Some("n@b/99 status 1999"));
        assert_eq!(mailbox.bytes(), 0);
    }

    #[test]
    fn what_is_stored_is_never_superseded() {
        let attachment = Arc::new(Mailbox::new(1_000_000)).attach().expect("open");
        attachment.set_active(false);
        let stored = |item: Outgoing| match item {
            Outgoing::Stanza(delivery) => Outgoing::Stanza(Delivery { stored: Some(ArchiveId::from_i64(1)), ..delivery }),
            other => other,
        };
        for _ in 0..3 {
            attachment.mailbox.push(stored(composing("a@b/c")));
        }
        assert_eq!(taken(&attachment).len(), 3);
    }

    /// One thing that happens between the two ends.
    #[derive(Debug, Clone)]
    enum Step {
        /// The router puts in so many stanzas.
        Push(usize),
        /// The connection writes all that waits.
        Write,
        /// The client reads so many of the stanzas under way.
        Read(usize),
        /// The client says how far it has come.
        Acknowledge,
        /// The connection breaks; what was under way is lost, and the client resumes.
        Cut,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..5_usize).prop_map(Step::Push),
            Just(Step::Write),
            (0..6_usize).prop_map(Step::Read),
            Just(Step::Acknowledge),
            Just(Step::Cut),
        ];
        proptest::collection::vec(step, 0..80)
    }

    proptest! {
        /// XEP-0198 §5: however often the connection breaks, and wherever the counters stand, the client sees each stanza once and in order, and what
        /// it has not acknowledged at the end is given back.
        #[test]
        fn xep0198_each_stanza_once_and_in_order_whatever_breaks(steps in steps(), start in prop_oneof![Just(0), Just(u32::MAX - 3), any::<u32>()]) {
            let contents = Contents { acknowledged: start, handled: 0, outstanding: Vec::new(), waiting: Vec::new(), owed: false };
            let mailbox = Arc::new(Mailbox::restored(usize::MAX, contents));
            let mut connection = mailbox.attach().expect("open");
            let (mut pushed, mut seen, mut acknowledged) = (0_usize, 0_usize, 0_usize);
            let mut under_way = VecDeque::new();
            let write = |connection: &Attachment, under_way: &mut VecDeque<String>| {
                let mut out = Vec::new();
                connection.drain(&mut out);
                under_way.extend(out.iter().filter_map(|item| match item {
                    Outgoing::Stanza(delivery) => Some(bodies([delivery])),
                    _ => None,
                }));
            };
            for step in steps {
                match step {
                    Step::Push(count) => {
                        for _ in 0..count {
                            prop_assert!(mailbox.push(stanza(&pushed.to_string())));
                            pushed += 1;
                        }
                    }
                    Step::Write => write(&connection, &mut under_way),
                    Step::Read(count) => {
                        for body in under_way.drain(..count.min(under_way.len())) {
                            prop_assert_eq!(body, seen.to_string());
                            seen += 1;
                        }
                    }
                    Step::Acknowledge => {
                        let result = connection.acknowledge(start.wrapping_add(seen as u32)).expect("it was sent");
                        acknowledged += result.count;
                        prop_assert_eq!(acknowledged, seen);
                    }
                    Step::Cut => {
                        under_way.clear();
                        let next = mailbox.attach().expect("open");
                        acknowledged += next.rewind(start.wrapping_add(seen as u32)).expect("it was sent").count;
                        prop_assert_eq!(acknowledged, seen);
                        connection = next;
                    }
                }
            }
            let left = mailbox.take_back();
            prop_assert_eq!(left.len(), pushed - acknowledged);
            for (delivery, number) in left.iter().zip(acknowledged..) {
                prop_assert_eq!(bodies([delivery]), number.to_string());
            }
        }
    }
}
