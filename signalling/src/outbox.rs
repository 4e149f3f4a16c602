//! What goes out from one place, a node or a room, on its way and in order. A task of its own brings it out, so that whoever has caused it waits for
//! nobody's delivery. What waits is bounded: all together, and for each sender alone where parcels say whose they are, so that who sends too fast waits
//! for what it has sent itself, and nobody else does. Other places have outboxes of their own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::jid::Jid;

/// What goes out at once.
pub trait Parcel {
    /// About what it holds.
    fn bytes(&self) -> usize;

    /// Whose it is, where each has a bound of its own.
    fn sender(&self) -> Option<&Jid> {
        None
    }
}

/// What may wait.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Parcels, whatever their number of recipients.
    pub count: usize,
    /// Bytes of theirs.
    pub bytes: usize,
    /// Parcels of one sender.
    pub each: usize,
}

/// What waits behind something that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing: there is no reason to wait with it.
    Nothing,
    /// More of the same place, mostly for the same recipients.
    More,
}

/// What waits.
#[derive(Debug)]
pub struct Outbox<T> {
    bounds: Bounds,
    queue: Mutex<Queue<T>>,
    room: Notify,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    bytes: usize,
    /// How many of whom.
    senders: HashMap<Jid, usize>,
    /// A task brings them out.
    running: bool,
}

struct Emptying<'a, T> {
    outbox: &'a Outbox<T>,
    ended: bool,
}

impl<T> Drop for Emptying<'_, T> {
    fn drop(&mut self) {
        if !self.ended {
            self.outbox.locked().running = false;
        }
    }
}

impl<T> Outbox<T> {
    fn locked(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Parcel> Outbox<T> {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        let queue = Queue { waiting: VecDeque::new(), bytes: 0, senders: HashMap::new(), running: false };
        Self { bounds, queue: Mutex::new(queue), room: Notify::new() }
    }

    /// Adds a parcel. Whether a task has to be started that brings them out.
    pub fn push(&self, parcel: T) -> bool {
        let mut queue = self.locked();
        queue.bytes += parcel.bytes();
        if let Some(sender) = parcel.sender() {
            match queue.senders.get_mut(sender) {
                Some(count) => *count += 1,
                None => drop(queue.senders.insert(sender.clone(), 1)),
            }
        }
        queue.waiting.push_back(parcel);
        !std::mem::replace(&mut queue.running, true)
    }

    /// Brings out what waits, one after the other, until nothing does: the task that [`Outbox::push`] has asked for. `bring` is told whether more waits
    /// behind it. Dropped before its end, it lets the next one begin.
    pub async fn empty<F: Future<Output = ()>>(&self, bring: impl Fn(T, Behind) -> F) {
        let mut emptying = Emptying { outbox: self, ended: false };
        while let Some((parcel, behind)) = self.pop() {
            bring(parcel, behind).await;
        }
        emptying.ended = true;
    }

    /// The next parcel; `None` when there is none, and the task ends.
    fn pop(&self) -> Option<(T, Behind)> {
        let mut queue = self.locked();
        let mut was_full = self.is_over(&queue);
        let Some(parcel) = queue.waiting.pop_front() else {
            queue.running = false;
            return None;
        };
        let behind = if queue.waiting.is_empty() { Behind::Nothing } else { Behind::More };
        queue.bytes -= parcel.bytes();
        if let Some(sender) = parcel.sender()
            && let Some(count) = queue.senders.get_mut(sender)
        {
            was_full |= *count >= self.bounds.each;
            *count -= 1;
            if *count == 0 {
                queue.senders.remove(sender);
            }
        }
        if was_full && !self.is_over(&queue) {
            drop(queue);
            self.room.notify_waiters();
        }
        Some((parcel, behind))
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.is_over(&self.locked())
    }

    /// Whether there is no room for more of this sender's.
    pub fn is_full_for(&self, sender: &Jid) -> bool {
        let queue = self.locked();
        self.is_over(&queue) || queue.senders.get(sender).is_some_and(|count| *count >= self.bounds.each)
    }

    /// Waits for room.
    pub async fn room(&self) {
        self.until(|| !self.is_full()).await;
    }

    /// Waits for room for this sender's.
    pub async fn room_for(&self, sender: &Jid) {
        self.until(|| !self.is_full_for(sender)).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Before the look at the queue, so that nothing is missed.
            room.as_mut().enable();
            if holds() {
                return;
            }
            room.await;
        }
    }

    fn is_over(&self, queue: &Queue<T>) -> bool {
        queue.waiting.len() >= self.bounds.count || queue.bytes >= self.bounds.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Of(Option<Jid>);

    impl Parcel for Of {
        fn bytes(&self) -> usize {
            10
        }

        fn sender(&self) -> Option<&Jid> {
            self.0.as_ref()
        }
    }

    fn outbox() -> Outbox<Of> {
        Outbox::new(Bounds { count: 5, bytes: 1_000, each: 2 })
    }

    #[tokio::test]
    async fn one_task_at_a_time_and_no_more_than_there_is_room_for() {
        let outbox = outbox();
        assert!(outbox.push(Of(None)), "the first one starts the task");
        while !outbox.is_full() {
            assert!(!outbox.push(Of(None)));
        }
        let waiting = futures_util::future::poll_immediate(outbox.room()).await;
        assert!(waiting.is_none(), "no room");
        let (room, _) = tokio::join!(outbox.room(), async { outbox.pop() });
        let () = room;
        outbox.empty(|_, _| async {}).await;
        assert_eq!(outbox.locked().bytes, 0);
        assert!(outbox.push(Of(None)), "the task has ended");
        assert_eq!(futures_util::future::poll_immediate(outbox.empty(|_, _| std::future::pending())).await, None);
        assert!(outbox.push(Of(None)), "dropped, it lets the next one begin");
    }

    #[tokio::test]
    async fn each_parcel_is_told_whether_more_waits_behind_it() {
        let outbox = outbox();
        for _ in 0..3 {
            outbox.push(Of(None));
        }
        let told: Mutex<Vec<Behind>> = Mutex::default();
        let bring = |_, behind| {
            let mut told = told.lock().unwrap();
            told.push(behind);
            // What comes while the last one is brought out is behind that no more.
            if told.len() == 3 {
                outbox.push(Of(None));
            }
            async {}
        };
        outbox.empty(bring).await;
        assert_eq!(*told.lock().unwrap(), [Behind::More, Behind::More, Behind::Nothing, Behind::Nothing]);
    }

    #[tokio::test]
    async fn who_sends_too_fast_waits_for_its_own() {
        let outbox = outbox();
        let jid = |text: &str| Jid::parse(text).unwrap();
        let (fast, slow) = (jid("a@b/fast"), jid("a@b/slow"));
        outbox.push(Of(Some(fast.clone())));
        assert!(!outbox.is_full_for(&fast));
        outbox.push(Of(Some(fast.clone())));
        assert!(outbox.is_full_for(&fast) && !outbox.is_full_for(&slow) && !outbox.is_full());
        outbox.push(Of(Some(slow.clone())));
        let (room, _) = tokio::join!(outbox.room_for(&fast), async { outbox.pop() });
        let () = room;
        outbox.empty(|_, _| async {}).await;
        assert!(outbox.locked().senders.is_empty(), "whoever has nothing there is not remembered");
    }
}
