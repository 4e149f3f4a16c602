//! How many tasks of a service are under way, which bring something out or follow what has happened, so that one can wait until there are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Tasks under way; a clone counts the same.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    busy: AtomicUsize,
    idle: Notify,
}

/// One of them, until it is dropped.
#[derive(Debug)]
#[must_use = "the task has ended when this is dropped"]
pub struct UnderWay(Tasks);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Counted { busy, idle } = &*self.0.0;
        if busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            idle.notify_waiters();
        }
    }
}

impl Tasks {
    /// A task begins.
    pub fn begin(&self) -> UnderWay {
        self.0.busy.fetch_add(1, Ordering::AcqRel);
        UnderWay(self.clone())
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.0.busy.load(Ordering::Acquire)
    }

    /// Waits until no task is under way.
    pub async fn idle(&self) {
        loop {
            let idle = self.0.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            idle.await;
        }
    }
}
