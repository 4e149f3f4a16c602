//! How far the queue of messages that wait to be written has come. Each gets the next number as it joins; the highest number up to which all
//! is on the disk is published. A stream's `h` (XEP-0198 §4) waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Shared by the queue, which counts, and by streams, which wait. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Durability(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queued: AtomicU64,
    durable: watch::Sender<u64>,
}

impl Default for Durability {
    fn default() -> Self {
        Self(Arc::new(Inner { queued: AtomicU64::new(0), durable: watch::Sender::new(0) }))
    }
}

impl Durability {
    /// The number given out last; 0 before the first.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.0.queued.load(Ordering::Acquire)
    }

    /// Whether everything up to this number is on the disk.
    #[must_use]
    pub fn is_durable(&self, number: u64) -> bool {
        *self.0.durable.borrow() >= number
    }

    /// Waits until everything up to this number is on the disk. Cancel-safe.
    pub async fn reached(&self, number: u64) {
        // It fails only when the sender is gone, and this is a handle on it.
        drop(self.0.durable.subscribe().wait_for(|durable| *durable >= number).await);
    }

    /// Takes the next number. For the queue, which must be locked: numbers are given out in the order of the queue.
    pub(super) fn next(&self) -> u64 {
        self.0.queued.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Everything up to this number is on the disk.
    pub(super) fn publish(&self, number: u64) {
        self.0.durable.send_if_modified(|durable| {
            let grown = number > *durable;
            *durable = number.max(*durable);
            grown
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_when_the_number_is_reached() {
        let durability = Durability::default();
        assert!(durability.is_durable(durability.queued()));
        let (first, second) = (durability.next(), durability.next());
        assert_eq!((first, second, durability.queued()), (1, 2, 2));
        durability.publish(first);
        durability.reached(first).await;
        let second_reached = durability.reached(second);
        tokio::pin!(second_reached);
        assert!(futures_util::poll!(&mut second_reached).is_pending());
        durability.publish(second);
        durability.publish(first);
        second_reached.await;
        assert!(durability.is_durable(second));
    }
}
