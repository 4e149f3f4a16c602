//! `/health`: the process lives. `/ready`: every listener serves and the database answers.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout;

/// How long the database may take to answer.
const DATABASE: Duration = Duration::from_secs(3);
/// How long its answer holds, so that asking often costs little.
const HOLDS: Duration = Duration::from_secs(1);

/// Asks the database; the error is a sentence.
pub type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What serves.
pub struct Readiness {
    parts: Mutex<Parts>,
    probe: Probe,
    /// See [`DATABASE`].
    patience: Duration,
    database: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

#[derive(Default)]
struct Parts {
    serving: BTreeSet<String>,
    /// Why nobody new should come.
    leaving: Option<&'static str>,
}

/// The body of `/ready`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Everything serves.
    pub ready: bool,
    /// Each part: `serving`, or what is the matter with it.
    pub parts: BTreeMap<String, String>,
}

impl Readiness {
    /// Nothing to wait for but the database, which `probe` asks.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self { parts: Mutex::default(), probe, patience: DATABASE, database: tokio::sync::Mutex::new(None) }
    }

    /// `part`, a listener such as `c2s [::]:5222`, serves: it is bound, and the system accepts for it. The operator's HTTP is the last to be
    /// bound, so whoever can ask sees all parts.
    pub fn serving(&self, part: &str) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).serving.insert(part.to_owned());
    }

    /// The server takes nobody new: not ready any more for those who ask whether to send somebody.
    pub fn draining(&self) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).leaving = Some("draining");
    }

    /// The server ends: not ready any more, whatever still serves.
    pub fn stopping(&self) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).leaving = Some("stopping");
    }

    /// How things stand now.
    pub async fn report(&self) -> Report {
        let database = self.database().await;
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = database.is_ok() && parts.leaving.is_none();
        let mut shown: BTreeMap<_, _> = parts.serving.iter().map(|part| (part.clone(), "serving".to_owned())).collect();
        shown.insert("database".to_owned(), database.map_or_else(|reason| format!("failed: {reason}"), |()| "serving".to_owned()));
        if let Some(leaving) = parts.leaving {
            shown.insert("server".to_owned(), leaving.to_owned());
        }
        Report { ready, parts: shown }
    }

    async fn database(&self) -> Result<(), String> {
        let mut last = self.database.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < HOLDS
        {
            return answer.clone();
        }
        let answer = timeout(self.patience, (self.probe)())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} seconds", self.patience.as_secs_f32())));
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// The body of `/health`.
pub fn alive() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "alive": true, "version": env!("CARGO_PKG_VERSION") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn answering(answer: Result<(), String>) -> Probe {
        Box::new(move || {
            let answer = answer.clone();
            Box::pin(async move { answer })
        })
    }

    #[tokio::test]
    async fn what_serves_is_shown_beside_the_database() {
        let readiness = Readiness::new(answering(Ok(())));
        readiness.serving("c2s");
        let report = readiness.report().await;
        assert!(report.ready);
        assert_eq!(report.parts.keys().collect::<Vec<_>>(), ["c2s", "database"]);
    }

    #[tokio::test]
    async fn not_ready_while_draining_and_stopping() {
        let readiness = Readiness::new(answering(Ok(())));
        assert!(readiness.report().await.ready);
        for (leave, shown) in [(Readiness::draining as fn(&Readiness), "draining"), (Readiness::stopping, "stopping")] {
            leave(&readiness);
            let report = readiness.report().await;
            assert!(!report.ready);
            assert_eq!(report.parts["server"], shown);
        }
    }

    #[tokio::test]
    async fn not_ready_without_the_database() {
        let report = Readiness::new(answering(Err("disk full".to_owned()))).report().await;
        assert!(!report.ready);
        assert_eq!(report.parts["database"], "failed: disk full");
    }

    #[tokio::test]
    async fn a_database_that_never_answers_is_not_waited_for() {
        let mut readiness = Readiness::new(Box::new(|| Box::pin(std::future::pending())));
        readiness.patience = Duration::from_millis(1);
        let report = readiness.report().await;
        assert_eq!(report.parts["database"], "failed: no answer within 0.001 seconds");
    }

    #[tokio::test]
    async fn asking_often_asks_the_database_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let readiness = Readiness::new(Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        }));
        for _ in 0..10 {
            readiness.report().await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
