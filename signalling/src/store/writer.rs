//! SQLite's one writer: a bounded queue of jobs, and a task that commits all that waits as one transaction.
//!
//! There is no timer: the task takes what is there, commits, and what came meanwhile is the next batch. So an idle server commits at once and
//! a busy one pays one `fsync` for many jobs. Of several, each has its own savepoint: one that fails is undone alone. Callers are answered after the
//! commit. Policy when the queue is full: callers wait, [`QUEUE_WAIT_MAX`] at most. A batch that fails takes its connection along
//! ([`Writing`]); the pool opens another one for the next. Between batches the task keeps it: given back, the pool would test it each time.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::SqlitePool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::database::{Connection, Tx, Writing};
use super::{QUEUE_WAIT_MAX, StoreError};

/// Jobs that may wait.
const QUEUE_JOBS_MAX: usize = 1024;
/// Jobs in one transaction: it bounds how long the first of a batch waits for the last.
const BATCH_JOBS_MAX: usize = 256;

pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
    /// The last batch was not stored.
    failing: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the task; `pool` holds the one connection that writes.
    pub(super) fn start(pool: SqlitePool) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let stop = CancellationToken::new();
        let failing = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run(pool, queue, stop.clone(), Arc::clone(&failing)));
        Self { jobs, stop, task: Mutex::new(Some(task)), failing }
    }

    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let place = match tokio::time::timeout(QUEUE_WAIT_MAX, self.jobs.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(StoreError::Stopped { doing }),
            Err(_) => return Err(StoreError::Busy { doing }),
        };
        place.send(Box::new(Pending { doing, work: Some(work), result: None, reply }));
        answer.await.unwrap_or(Err(StoreError::Stopped { doing }))
    }

    /// Whether writes are stored. After a failure it tries one, since nothing else may be written while the server is not said to be ready.
    pub(super) async fn healthy(&self, doing: &'static str) -> Result<(), StoreError> {
        if self.jobs.is_closed() {
            return Err(StoreError::Stopped { doing });
        }
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A number that nothing else uses, and that is written whether it changes or not.
        self.write(doing, |tx| Box::pin(async move { tx.execute("PRAGMA user_version = 0", &[]).await.map(|_| ()) })).await
    }

    /// Commits what is queued, then ends the task and closes its connection.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(task).await {
            tracing::error!(%error, "the storage's writer ended badly");
        }
    }
}

/// A job in the queue, whatever it yields.
trait Job: Send {
    fn doing(&self) -> &'static str;
    /// Runs the job and keeps its result; whether it succeeded.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool>;
    /// Why it failed, once it ran.
    fn failure(&self) -> Option<&StoreError>;
    /// Answers the caller: with the job's own result when the batch was committed.
    fn finish(self: Box<Self>, batch: Result<(), StoreError>);
}

struct Pending<T, F> {
    doing: &'static str,
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send,
{
    fn doing(&self) -> &'static str {
        self.doing
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            tx.doing = self.doing;
            // A panic is a bug of one job; the writer lives on, and the caller sees `Stopped`.
            let outcome = AssertUnwindSafe(async { work(tx).await }).catch_unwind().await;
            let result = outcome.unwrap_or(Err(StoreError::Stopped { doing: self.doing }));
            let succeeded = result.is_ok();
            self.result = Some(result);
            succeeded
        })
    }

    fn failure(&self) -> Option<&StoreError> {
        self.result.as_ref()?.as_ref().err()
    }

    fn finish(self: Box<Self>, batch: Result<(), StoreError>) {
        let doing = self.doing;
        let result = match batch {
            Ok(()) => self.result.unwrap_or(Err(StoreError::Stopped { doing })),
            // A job that failed by itself reports its own reason.
            Err(error) => match self.result {
                Some(Err(own)) => Err(own),
                _ => Err(error),
            },
        };
        // The caller may be gone; the job is done all the same.
        drop(self.reply.send(result));
    }
}

async fn run(pool: SqlitePool, mut queue: mpsc::Receiver<Box<dyn Job>>, stop: CancellationToken, failing: Arc<AtomicBool>) {
    let mut batch = Vec::with_capacity(BATCH_JOBS_MAX);
    let mut held = None;
    loop {
        let waiting = tokio::select! {
            biased;
            count = queue.recv_many(&mut batch, BATCH_JOBS_MAX) => count,
            () = stop.cancelled() => {
                queue.close(); // what is queued is still written
                queue.recv_many(&mut batch, BATCH_JOBS_MAX).await
            }
        };
        if waiting == 0 {
            break;
        }
        let outcome = commit(&pool, &mut held, &mut batch).await;
        failing.store(outcome.is_err(), Ordering::Relaxed);
        if let Err(error) = &outcome {
            tracing::error!(%error, jobs = batch.len(), "a batch of writes was not stored");
            held = None;
        }
        for job in batch.drain(..) {
            job.finish(outcome.clone());
        }
    }
    drop(held);
    pool.close().await;
}

/// One transaction.
async fn commit(pool: &SqlitePool, held: &mut Option<Writing>, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let doing = batch.first().map_or("write", |job| job.doing());
    let writing = match held {
        Some(writing) => writing,
        None => held.insert(Writing::new(Connection::Sqlite(pool.acquire().await.map_err(|cause| StoreError::database(doing, cause))?))),
    };
    let tx = writing.begin(doing).await?;
    if let [job] = batch {
        // Nobody to be spared when it fails: the transaction is its own.
        if job.run(tx).await {
            return writing.commit().await;
        }
        writing.roll_back().await?;
        // Its own mistake is nobody else's, a disk that takes nothing is.
        return job.failure().filter(|error| error.is_of_the_disk()).map_or(Ok(()), |error| Err(error.clone()));
    }
    for job in batch {
        tx.execute("SAVEPOINT job", &[]).await?;
        if !job.run(tx).await {
            tx.execute("ROLLBACK TO job", &[]).await?;
        }
        tx.execute("RELEASE job", &[]).await?;
    }
    writing.commit().await
}
