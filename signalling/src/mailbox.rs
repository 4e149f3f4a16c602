//! The queue in front of one session: what the router puts in, the connection's task takes out.
//!
//! Putting in never waits. The queue is bounded in bytes; what does not fit ends the stream, since a client that does not
//! read must not hold up those who write to it (RFC 6120 §4.9.3.17, `resource-constraint`). The reader learns of that end at once, however
//! little it can write, since until then the session is taken for one that can be reached.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::stanza::Stanza;
use crate::store::ArchiveId;
use crate::stream::error::{self, StreamError};

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
    /// Send this stream error and end the stream; nothing follows it.
    Close(StreamError),
}

/// A bounded queue with one reader.
#[derive(Debug)]
pub struct Mailbox {
    queue: Mutex<Queue>,
    filled: Notify,
    closed: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    closed: bool,
}

impl Mailbox {
    /// An empty mailbox that holds at most `bytes_max` bytes of stanzas.
    pub fn new(bytes_max: usize) -> Self {
        Self { queue: Mutex::default(), filled: Notify::new(), closed: Notify::new(), bytes_max }
    }

    /// Queues one item. Returns false when the stream has ended or ends now because the queue is full.
    pub fn push(&self, item: Outgoing) -> bool {
        let (accepted, closed) = {
            let mut queue = self.locked();
            (queue.push(item, self.bytes_max), queue.closed)
        };
        self.filled.notify_one();
        if closed {
            self.closed.notify_one();
        }
        accepted
    }

    /// Moves everything that waits into `into`, in order.
    pub fn drain(&self, into: &mut Vec<Outgoing>) {
        let mut queue = self.locked();
        queue.bytes = 0;
        into.extend(queue.waiting.drain(..));
    }

    /// Throws away the stanzas that wait, for a client that takes none; the order to close stays. Returns how many they were.
    pub fn give_up(&self) -> usize {
        let mut queue = self.locked();
        let before = queue.waiting.len();
        queue.waiting.retain(|item| matches!(item, Outgoing::Close(_)));
        queue.bytes = 0;
        before - queue.waiting.len()
    }

    /// Resolves once something may be waiting. Cancel-safe; for the one reader.
    pub async fn ready(&self) {
        loop {
            if !self.locked().waiting.is_empty() {
                return;
            }
            self.filled.notified().await;
        }
    }

    /// Resolves once nothing more is taken: the queue overflowed, or was told to close. Cancel-safe; for the one reader.
    pub async fn closed(&self) {
        while !self.locked().closed {
            self.closed.notified().await;
        }
    }

    /// Bytes of stanzas waiting now.
    pub fn bytes(&self) -> usize {
        self.locked().bytes
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Queue> {
        // Every change of the queue is complete before anything can panic, so a poisoned one is still right.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
                self.waiting.push_back(Outgoing::Stanza(delivery));
            }
            Outgoing::Close(error) => self.close(error),
        }
        true
    }

    /// The error comes after what already waits: the client still gets what it was promised, if it reads.
    fn close(&mut self, error: StreamError) {
        self.closed = true;
        self.waiting.push_back(Outgoing::Close(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;

    fn delivery(body: &str) -> Delivery {
        let xml = format!("<message to='a@localhost'><body>{body}</body></message>");
        Stanza::parse(xml.into_bytes().into(), &crate::xml::Bindings::client()).expect("well-formed").into()
    }

    #[test]
    fn what_was_pushed_comes_out_in_order() {
        let mailbox = Mailbox::new(10_000);
        assert!(mailbox.push(Outgoing::Stanza(delivery("1"))) && mailbox.push(Outgoing::Stanza(delivery("2"))));
        let mut out = Vec::new();
        mailbox.drain(&mut out);
        assert_eq!(out.len(), 2);
        assert_eq!(mailbox.bytes(), 0);
    }

    #[test]
    fn a_full_mailbox_ends_the_stream_and_takes_nothing_more() {
        let mailbox = Mailbox::new(200);
        assert!(mailbox.push(Outgoing::Stanza(delivery(&"x".repeat(100)))));
        assert!(!mailbox.push(Outgoing::Stanza(delivery(&"x".repeat(100)))));
        assert!(!mailbox.push(Outgoing::Stanza(delivery("y"))));
        let mut out = Vec::new();
        mailbox.drain(&mut out);
        assert!(matches!(&out[..], [Outgoing::Stanza(_), Outgoing::Close(_)]));
    }

    #[tokio::test]
    async fn the_end_is_told_apart_from_mail() {
        let mailbox = Mailbox::new(200);
        assert!(mailbox.push(Outgoing::Stanza(delivery("1"))));
        mailbox.ready().await;
        let closed = mailbox.closed();
        tokio::pin!(closed);
        assert!(futures_util::poll!(&mut closed).is_pending());
        assert!(!mailbox.push(Outgoing::Stanza(delivery(&"x".repeat(200)))));
        closed.await;
        mailbox.closed().await;
        assert_eq!(mailbox.give_up(), 1);
        assert_eq!(mailbox.bytes(), 0);
        let mut out = Vec::new();
        mailbox.drain(&mut out);
        assert!(matches!(&out[..], [Outgoing::Close(_)]));
    }
}
