//! The group commit: changes that wait in memory, and the one task that writes all of them in one transaction.
//!
//! There is no timer: the task takes what is there, commits, and what came meanwhile is the next batch. A commit that fails is tried again until
//! it succeeds; meanwhile the queue fills up to [`QUEUE_BYTES_MAX`], and messages are refused where they would be stored. A change that the database
//! refuses for what it is must not hold up all others: it is found by halving the batch, logged and left out.
//! While the database works and is only slower than those who send, they wait: [`Queue::room`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::database::Database;
use super::super::durable::Durability;
use super::rows::{self, Care};
use super::{ArchiveId, Record, RoomRecord};
use crate::jid::BareJid;

/// Bytes of changes that wait or are being written.
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// From here on, whoever brings messages waits for the database.
const QUEUE_BYTES_HIGH: usize = QUEUE_BYTES_MAX / 4;
/// How long one message waits before it takes its chance: the queue may be full by then.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(2);
/// About what a change takes in memory besides its stanza.
const CHANGE_BYTES: usize = 160;
/// Changes in one transaction: it bounds how long the first of a batch waits for the last.
const BATCH_MAX: usize = 4096;
/// Bytes of changes in one transaction, about: the database's client holds them twice more while it writes.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Between attempts to write a batch that failed.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Attempts after the server was told to stop.
const LAST_ATTEMPTS: u32 = 5;

/// One change of the messages of an account or a room.
#[derive(Debug)]
pub(super) enum Change {
    Keep(Record),
    Undelivered(ArchiveId),
    Delivered(ArchiveId),
    Forget(ArchiveId),
    KeepInRoom(RoomRecord),
    ReplaceInRoom(ArchiveId, Bytes),
}

impl Change {
    fn name(&self) -> &'static str {
        match self {
            Self::Keep(_) => "keep",
            Self::Undelivered(_) => "undelivered",
            Self::Delivered(_) => "delivered",
            Self::Forget(_) => "forget",
            Self::KeepInRoom(_) => "keep in a room",
            Self::ReplaceInRoom(..) => "replace in a room",
        }
    }

    /// Whether it is one of a room.
    pub(super) fn is_of_room(&self) -> bool {
        match self {
            Self::KeepInRoom(_) | Self::ReplaceInRoom(..) => true,
            Self::Keep(_) | Self::Undelivered(_) | Self::Delivered(_) | Self::Forget(_) => false,
        }
    }
}

/// A change in the queue.
#[derive(Debug)]
pub(super) struct Entry {
    /// An account, or a room.
    pub(super) owner: BareJid,
    pub(super) change: Change,
}

impl Entry {
    fn bytes(&self) -> usize {
        CHANGE_BYTES
            + match &self.change {
                Change::Keep(record) => record.stanza.len(),
                Change::KeepInRoom(record) => record.stanza.len() + record.nick.len(),
                Change::ReplaceInRoom(_, stanza) => stanza.len(),
                Change::Undelivered(_) | Change::Delivered(_) | Change::Forget(_) => 0,
            }
    }
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    /// A batch was written, or failed.
    moved: Notify,
    durability: Durability,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// Of what waits and of what is being written.
    bytes: usize,
    /// The last attempt to write failed: nobody is made to wait for the next.
    failing: bool,
    /// The number of the last change of each account and room that has one which waits or is being written.
    last: HashMap<BareJid, u64>,
}

impl Queue {
    pub(super) fn start(database: Database) -> Arc<Self> {
        let queue = Arc::new(Self::default());
        let task = tokio::spawn(run(Arc::clone(&queue), database));
        *queue.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        queue
    }

    pub(super) fn durability(&self) -> &Durability {
        &self.durability
    }

    pub(super) fn has_room(&self) -> bool {
        self.state().bytes < QUEUE_BYTES_MAX
    }

    /// Whether there is reason to wait for [`Queue::room`].
    pub(super) fn is_behind(&self) -> bool {
        let state = self.state();
        state.bytes >= QUEUE_BYTES_HIGH && !state.failing
    }

    /// Resolves once the database has caught up so far that a message need not wait, or cannot: so a sender that is faster than the disk is
    /// slowed down, and is refused only when the database fails.
    pub(super) async fn room(&self) {
        let caught_up = async {
            loop {
                let moved = self.moved.notified();
                if !self.is_behind() {
                    return;
                }
                moved.await;
            }
        };
        // That it takes too long is for whoever stores the message to say.
        let _ = tokio::time::timeout(ROOM_WAIT_MAX, caught_up).await;
    }

    /// The number of the account's or room's last change that may not be written yet.
    pub(super) fn last_of(&self, owner: &BareJid) -> Option<u64> {
        self.state().last.get(owner).copied()
    }

    pub(super) fn push(&self, owner: &BareJid, changes: impl IntoIterator<Item = Change>) {
        let mut state = self.state();
        let before = state.waiting.len();
        let mut last = None;
        for change in changes {
            let entry = Entry { owner: owner.clone(), change };
            state.bytes += entry.bytes();
            state.waiting.push_back(entry);
            last = Some(self.durability.next());
        }
        if let Some(last) = last {
            state.last.insert(owner.clone(), last);
        }
        // Who finds the queue empty wakes the task; it looks again before it sleeps.
        let wake = before == 0 && !state.waiting.is_empty();
        drop(state);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Writes what is queued, then ends the task.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(task).await {
            tracing::error!(%error, "the task that writes messages ended badly");
        }
    }

    /// The next batch with its number of bytes.
    fn take(&self) -> (Vec<Entry>, usize) {
        let mut state = self.state();
        let mut bytes = 0;
        let mut count = 0;
        for entry in state.waiting.iter().take(BATCH_MAX) {
            if count > 0 && bytes >= BATCH_BYTES_MAX {
                break;
            }
            bytes += entry.bytes();
            count += 1;
        }
        let batch: Vec<Entry> = state.waiting.drain(..count).collect();
        (batch, bytes)
    }

    fn written(&self, bytes: usize, number: u64) {
        {
            let mut state = self.state();
            state.bytes -= bytes;
            state.last.retain(|_, last| *last > number);
            state.failing = false;
        }
        self.durability.publish(number);
        self.moved.notify_waiters();
    }

    fn failed(&self) {
        self.state().failing = true;
        self.moved.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the queue is complete before anything can panic, so a poisoned one is still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(queue: Arc<Queue>, database: Database) {
    let mut number = 0;
    loop {
        let (batch, bytes) = queue.take();
        if batch.is_empty() {
            if queue.stop.is_cancelled() {
                return;
            }
            tokio::select! { () = queue.filled.notified() => {}, () = queue.stop.cancelled() => {} }
            continue;
        }
        number += batch.len() as u64;
        if !write(&queue, &database, batch).await {
            return;
        }
        queue.written(bytes, number);
    }
}

/// Writes a batch, however many attempts it takes. False: the server stops and it could not be written.
async fn write(queue: &Queue, database: &Database, batch: Vec<Entry>) -> bool {
    let batch = Arc::new(batch);
    let (mut pause, mut attempts_left) = (RETRY_FIRST, LAST_ATTEMPTS);
    // An account that was deleted meanwhile makes the whole batch fail: only then is each looked up.
    let mut care = Care::Trust;
    // What is left, the next part last.
    let whole = 0..batch.len();
    let mut parts = Vec::from([whole]);
    while let Some(part) = parts.pop() {
        let (rows, range) = (Arc::clone(&batch), part.clone());
        let job = database.write("store messages", move |tx| Box::pin(async move { rows::write(tx, &rows[range], care).await }));
        let Err(error) = job.await else { continue };
        if matches!(care, Care::Trust) {
            care = Care::LookUp;
            tracing::debug!(%error, changes = part.len(), "messages were not stored, trying again without deleted accounts");
            parts.push(part);
            continue;
        }
        if error.is_refusal() {
            if let [entry] = &batch[part.clone()] {
                tracing::error!(%error, of = %entry.owner, change = entry.change.name(), "the database refuses a message: it is lost");
            } else {
                let middle = part.start + part.len() / 2;
                parts.extend([middle..part.end, part.start..middle]);
            }
            continue;
        }
        if queue.stop.is_cancelled() {
            attempts_left -= 1;
            if attempts_left == 0 {
                tracing::error!(%error, changes = part.len(), "messages are lost: the database did not take them before the server's end");
                return false;
            }
        }
        queue.failed();
        tracing::error!(%error, changes = part.len(), "messages were not stored, trying again");
        parts.push(part);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sender_waits_while_the_database_is_behind_and_not_when_it_fails() {
        let queue = Queue::default();
        queue.room().await;
        queue.state().bytes = QUEUE_BYTES_HIGH;
        for caught_up in [|queue: &Queue| queue.written(1, 1), |queue: &Queue| queue.failed()] {
            queue.state().bytes = QUEUE_BYTES_HIGH;
            let room = queue.room();
            tokio::pin!(room);
            assert!(futures_util::poll!(&mut room).is_pending());
            assert!(queue.has_room());
            caught_up(&queue);
            room.await;
        }
    }
}
