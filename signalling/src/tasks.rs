//! How many tasks of a service are under way, which bring something out or follow what has happened, so that one can wait until there are none.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Tasks under way.
#[derive(Debug, Default)]
pub struct Tasks {
    busy: AtomicUsize,
    idle: Notify,
}

impl Tasks {
    /// A task has begun.
    pub fn begin(&self) {
        self.busy.fetch_add(1, Ordering::AcqRel);
    }

    /// A task has ended.
    pub fn end(&self) {
        if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.busy.load(Ordering::Acquire)
    }

    /// Waits until no task is under way.
    pub async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.busy.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}
