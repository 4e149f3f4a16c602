//! Which mailboxes without a connection have overflowed: told by the mailbox, heard by the task that ends their sessions.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::session::SessionId;

/// A mailbox tells once, so there are at most as many as sessions that hibernate.
#[derive(Debug, Default)]
pub struct Overflows {
    full: Mutex<Vec<SessionId>>,
    told: Notify,
}

impl Overflows {
    /// The mailbox of this session is full.
    pub(super) fn tell(&self, session: SessionId) {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        self.told.notify_one();
    }

    /// Resolves to those that were told of since. Cancel-safe; for one listener.
    pub async fn next(&self) -> Vec<SessionId> {
        loop {
            let full = std::mem::take(&mut *self.full.lock().unwrap_or_else(PoisonError::into_inner));
            if !full.is_empty() {
                return full;
            }
            self.told.notified().await;
        }
    }
}
