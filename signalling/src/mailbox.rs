//! The queue in front of one session: what the router puts in, the present connection's task takes out. With stream management
//! (XEP-0198) it also keeps what the client has not acknowledged, and outlives the connection.
//!
//! Putting in never waits. What waits and what is not acknowledged is bounded in bytes together; what does not fit ends the stream, since a
//! client that does not read must not hold up those who write to it (RFC 6120 §4.9.3.17, `resource-constraint`). The reader learns of that
//! end at once, however little it can write, since until then the session is taken for one that can be reached. Nothing is lost: what the
//! mailbox holds when the session is over is given back whole.
//!
//! What is put in wakes the reader. Whoever brings the same to many may write in the reader's place instead, as long as that has nothing else to do (ADR 12).
//!
//! Presence that waits is superseded by the next one of the same full JID, once much waits. For an inactive client (XEP-0352) what is not
//! urgent waits, up to a bound, and chat states are superseded too.

mod overflows;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use crate::session::SessionId;
use crate::stanza::{IqType, Kind, Stanza};
use crate::store::ArchiveId;
use crate::stream::error::StreamError;
use crate::stream::sm::TooHigh;

pub use overflows::Overflows;

use queue::{Management, Queue, Reader};

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
    /// The stanza that was being handled is handled.
    settled: Notify,
    bytes_max: usize,
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
        Self { queue: Mutex::default(), settled: Notify::new(), bytes_max }
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

    /// A restored one has no connection yet: an overflow is told to `overflows`, as after [`Attachment::detach`].
    pub fn tell_overflow(&self, overflows: &Arc<Overflows>, session: SessionId) {
        self.locked().without_connection = Some((overflows.clone(), session));
    }

    /// Queues one item. Returns false when the stream has ended or ends now because the queue is full.
    pub fn push(&self, item: Outgoing) -> bool {
        let (accepted, reader) = {
            let mut queue = self.locked();
            (queue.push(item, self.bytes_max), queue.reader_to_wake(self.bytes_max))
        };
        wake(reader);
        accepted
    }

    /// The same, and if the reader has to come, it is not woken: whoever has pushed may write in its place once no lock is held that others wait for.
    pub fn push_unread(self: &Arc<Self>, item: Outgoing) -> (bool, Option<Unread>) {
        let mut queue = self.locked();
        let accepted = queue.push(item, self.bytes_max);
        let comes = queue.has_to_come(self.bytes_max);
        (accepted, comes.then(|| Unread(Some(Attachment { mailbox: self.clone(), epoch: queue.epoch }))))
    }

    /// Moves everything that waits into `into`, in order. For a mailbox that never had but one reader; connections use [`Attachment::drain`].
    pub fn drain(&self, into: &mut Vec<Outgoing>) {
        into.extend(self.locked().take().into_iter().flatten());
    }

    /// Makes the caller the one who reads; whoever did before learns of it. `None` once the mailbox is closed.
    pub fn attach(self: &Arc<Self>) -> Option<Attachment> {
        let (epoch, before) = {
            let mut queue = self.locked();
            if queue.closed {
                return None;
            }
            queue.epoch += 1;
            queue.without_connection = None;
            queue.inactive = false; // XEP-0352 §5.2
            queue.outlet = None;
            (queue.epoch, queue.reader.take())
        };
        wake(before);
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
        let reader = {
            let mut queue = self.locked();
            queue.closed = true;
            queue.reader.take()
        };
        wake(reader);
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
        let (left, reader) = {
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
            (left, queue.reader.take())
        };
        wake(reader);
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

    /// Whether another stanza of this size is no burden to a client that reads: it fits, and what was not sent yet stays below half of what the
    /// mailbox holds. What is only not acknowledged has been sent. A closed one takes nothing, so nothing burdens it.
    pub fn has_room_for(&self, size_bytes: usize) -> bool {
        let queue = self.locked();
        let outstanding = queue.management.iter().flat_map(|own| &own.outstanding);
        let unsent = queue.bytes.saturating_sub(outstanding.map(|delivery| delivery.stanza.size_bytes()).sum());
        queue.closed || (queue.bytes + size_bytes <= self.bytes_max && unsent <= self.bytes_max / 2)
    }

    /// Nothing waits, and the reader waits for it.
    #[cfg(test)]
    pub(crate) fn rests(&self) -> bool {
        let queue = self.locked();
        queue.waiting.is_empty() && queue.reader.as_ref().is_some_and(|reader| reader.takes_mail)
    }

    fn locked(&self) -> MutexGuard<'_, Queue> {
        // Every change of the queue is complete before anything can panic, so a poisoned one is still right.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the reader of a mailbox has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Something waits.
    Mail,
    /// Nothing more comes: the queue overflowed, was told to close, or another connection has taken over.
    Ended,
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

    /// Takes everything that waits, in order. Nothing once another connection has taken over.
    pub fn take(&self) -> impl Iterator<Item = Outgoing> + use<> {
        let mut queue = self.mailbox.locked();
        let taken = if queue.epoch == self.epoch { queue.take() } else { VecDeque::new() };
        taken.into_iter().flatten()
    }

    /// XEP-0352 §4.2: whether somebody looks at the client. If nobody does, what is not urgent waits.
    pub fn set_active(&self, active: bool) {
        let reader = {
            let mut queue = self.mailbox.locked();
            if queue.epoch != self.epoch {
                return;
            }
            queue.inactive = !active;
            // What waits now was to be sent at once.
            queue.urgent = !queue.waiting.is_empty();
            queue.reader_to_wake(self.mailbox.bytes_max)
        };
        wake(reader);
    }

    /// From now on others may write to the client by this, while the reader waits for mail.
    pub fn lend(&self, outlet: Weak<dyn Outlet>) {
        if let Some(mut queue) = self.queue() {
            queue.outlet = Some(outlet);
        }
    }

    /// For the outlet: takes what waits if the reader waits for it, and it is little, of so many stanzas at most, about which there is nothing else to do than
    /// to write them. `None` if it is left to the reader.
    pub fn take_at_once(&self, max: u32) -> Option<impl Iterator<Item = Delivery> + use<>> {
        let taken = self.queue()?.take_at_once(max, self.mailbox.bytes_max)?;
        Some(taken.into_iter().flatten().filter_map(|item| match item {
            Outgoing::Stanza(delivery) => Some(delivery),
            Outgoing::Owed | Outgoing::Close(_) => None,
        }))
    }

    /// The reader is at work. Until it polls again it need not be woken for mail, and nobody writes in its place.
    pub fn pause(&self) {
        if let Some(reader) = self.queue().as_mut().and_then(|queue| queue.reader.as_mut()) {
            reader.takes_mail = false;
        }
    }

    /// The queue, unless another connection has taken over.
    fn queue(&self) -> Option<MutexGuard<'_, Queue>> {
        Some(self.mailbox.locked()).filter(|queue| queue.epoch == self.epoch)
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

    /// What there is to do for the reader; if nothing, its task is woken once there is. Mail counts while it `takes_mail`. Nothing is lost when
    /// the reader is woken for another reason.
    pub fn poll(&self, takes_mail: bool, cx: &mut Context<'_>) -> Poll<Due> {
        let mut queue = self.mailbox.locked();
        if queue.epoch != self.epoch {
            return Poll::Ready(Due::Ended);
        }
        if takes_mail && queue.is_due(self.mailbox.bytes_max) {
            return Poll::Ready(Due::Mail);
        }
        if queue.closed {
            return Poll::Ready(Due::Ended);
        }
        match &mut queue.reader {
            Some(reader) if reader.waker.will_wake(cx.waker()) => reader.takes_mail = takes_mail,
            reader => *reader = Some(Reader { waker: cx.waker().clone(), takes_mail }),
        }
        Poll::Pending
    }

    /// The connection is gone and the session goes on without: an overflow is now told to `overflows`. False if another connection has
    /// taken over, or the mailbox is closed.
    pub fn detach(&self, overflows: &Arc<Overflows>, session: SessionId) -> bool {
        let mut queue = self.mailbox.locked();
        let stays = queue.epoch == self.epoch && !queue.closed;
        if stays {
            queue.without_connection = Some((overflows.clone(), session));
            // The reader is who calls. It holds the memory of a task that ends now.
            (queue.reader, queue.outlet) = (None, None);
        }
        stays
    }

    /// The session ends with this connection: nothing more is taken, and nobody can take over. False if somebody has.
    pub fn retire(&self) -> bool {
        let mut queue = self.mailbox.locked();
        let current = queue.epoch == self.epoch;
        if current {
            queue.closed = true;
            // The reader is who calls: nobody else waits.
            (queue.reader, queue.outlet) = (None, None);
        }
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
        queue.moved();
        Ok(acknowledged)
    }
}

/// Where whoever has pushed something may write it to the client: a connection's line, while its task rests.
pub trait Outlet: fmt::Debug + Send + Sync {
    /// Writes what waits in the mailbox ([`Attachment::take_at_once`]), as far as the client takes it now.
    fn write(&self, mail: &Attachment) -> Wrote;
}

/// How much of what waited was written by somebody else than the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// All of it.
    All,
    /// It is taken, and the reader has to write the rest.
    Part,
    /// Nothing was taken: it is the reader's.
    Nothing,
}

/// Something waits in a mailbox, and its reader has to come: it is woken when this is dropped, unless somebody has written in its place.
#[derive(Debug)]
#[must_use]
pub struct Unread(Option<Attachment>);

impl Unread {
    /// Writes what waits, without waiting. To be called without any lock.
    pub fn write(mut self) {
        let Some(mail) = self.0.take() else { return };
        let outlet = mail.queue().and_then(|queue| queue.outlet.as_ref().and_then(Weak::upgrade));
        match outlet.map_or(Wrote::Nothing, |outlet| outlet.write(&mail)) {
            Wrote::All => {}
            Wrote::Part => wake(mail.queue().and_then(|mut queue| queue.reader.take())),
            Wrote::Nothing => self.0 = Some(mail),
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(mail) = &self.0 {
            wake(mail.queue().and_then(|mut queue| queue.reader_to_wake(mail.mailbox.bytes_max)));
        }
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

/// Outside of the lock, which the woken task takes at once.
fn wake(reader: Option<Reader>) {
    if let Some(reader) = reader {
        reader.waker.wake();
    }
}

/// Presence and answers: nobody else waits for them.
fn is_this_clients(stanza: &Stanza) -> bool {
    matches!(stanza.kind(), Kind::Presence(_) | Kind::Iq(IqType::Result | IqType::Error))
}
