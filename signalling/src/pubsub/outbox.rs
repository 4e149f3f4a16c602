//! Notifications of one node on their way, in order. A task of its own brings them out, so that a publisher waits for nobody's delivery; what waits is
//! bounded, and a publisher whose node has more than that waits until some of it is gone. Other nodes have outboxes of their own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::event::{Event, EventKind, ShownItem};
use super::homes::Group;

/// Messages that may wait, whatever their number of recipients.
const COUNT_MAX: usize = 256;
/// Bytes of theirs.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// One event and those who see it in the same form.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Shared by all forms of it.
    pub event: Arc<Event>,
    /// Of the messages.
    pub id: String,
    /// Who.
    pub group: Group,
}

impl Delivery {
    pub fn new(event: &Arc<Event>, id: String, group: Group) -> Self {
        Self { event: event.clone(), id, group }
    }

    /// About what it holds: the event counts for each of its forms, as it is written for each.
    fn bytes(&self) -> usize {
        const HEAD: usize = 200;
        HEAD + match &self.event.kind {
            EventKind::Published { items, .. } => items.iter().map(size).sum(),
            EventKind::Last { item, .. } => size(item),
            EventKind::Retracted { ids } => ids.iter().map(String::len).sum(),
            EventKind::Configured { form } | EventKind::Associated { form, .. } => form.as_ref().map_or(0, Bytes::len),
            _ => 0,
        }
    }
}

fn size(item: &ShownItem) -> usize {
    item.id.len() + item.payload.as_ref().map_or(0, Bytes::len)
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    /// A task brings them out.
    running: bool,
}

impl Queue {
    fn is_full(&self) -> bool {
        self.waiting.len() >= COUNT_MAX || self.bytes >= BYTES_MAX
    }
}

impl Outbox {
    /// Adds a message. Whether a task has to be started that brings them out.
    pub fn push(&self, delivery: Delivery) -> bool {
        let mut queue = self.locked();
        queue.bytes += delivery.bytes();
        queue.waiting.push_back(delivery);
        !std::mem::replace(&mut queue.running, true)
    }

    /// The next message; `None` when there is none, and the task ends.
    pub fn pop(&self) -> Option<Delivery> {
        let mut queue = self.locked();
        let was_full = queue.is_full();
        let next = queue.waiting.pop_front();
        match &next {
            Some(delivery) => queue.bytes -= delivery.bytes(),
            None => queue.running = false,
        }
        if was_full && !queue.is_full() {
            drop(queue);
            self.room.notify_waiters();
        }
        next
    }

    /// The task has ended before its time.
    pub fn stopped(&self) {
        self.locked().running = false;
    }

    /// Whether there is no room for another command's messages.
    pub fn is_full(&self) -> bool {
        self.locked().is_full()
    }

    /// Waits for room.
    pub async fn room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Before the look at the queue, so that nothing is missed.
            room.as_mut().enable();
            if !self.is_full() {
                return;
            }
            room.await;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::BareJid;
    use crate::pubsub::config::NotificationType;
    use crate::pubsub::event::{Condition, Variant};

    fn delivery() -> Delivery {
        let service = BareJid::parse("pubsub.localhost").unwrap();
        let event = Event { service, node: "n".to_owned(), type_: NotificationType::Headline, kind: EventKind::Purged };
        let group = Group { variant: Variant::default(), condition: Condition::default(), to: Arc::default() };
        Delivery::new(&Arc::new(event), "1".to_owned(), group)
    }

    #[tokio::test]
    async fn one_task_at_a_time_and_no_more_than_there_is_room_for() {
        let outbox = Outbox::default();
        assert!(outbox.push(delivery()), "the first one starts the task");
        while !outbox.is_full() {
            assert!(!outbox.push(delivery()));
        }
        let waiting = futures_util::future::poll_immediate(outbox.room()).await;
        assert!(waiting.is_none(), "no room");
        let (room, _) = tokio::join!(outbox.room(), async { outbox.pop() });
        let () = room;
        while outbox.pop().is_some() {}
        assert_eq!(outbox.locked().bytes, 0);
        assert!(outbox.push(delivery()), "the task has ended");
    }
}
