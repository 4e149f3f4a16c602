//! Deletes what is too old: once at the start and then every hour, one account and one room after the other
//! (`store/archive/retention.rs`), and what rooms have left that were destroyed (`store/rooms/removal.rs`).

use std::time::{Duration, SystemTime};

use crate::router::Router;
use crate::store::{ArchiveId, StoreError};

const EVERY: Duration = Duration::from_secs(3600);

/// How long messages are kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// In archives.
    pub archive: Duration,
    /// While nobody logs in to get them.
    pub offline: Duration,
}

/// Runs for as long as it is polled.
pub async fn run(router: Router, keep: Keep) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = expire(&router, keep, SystemTime::now()).await {
            tracing::error!(%error, "old messages were not deleted, the next attempt is in an hour");
        }
    }
}

/// Goes through all accounts and rooms once.
///
/// # Errors
/// The database's; what was deleted by then stays deleted.
pub async fn expire(router: &Router, keep: Keep, now: SystemTime) -> Result<(), StoreError> {
    let before = |keep: Duration| now.checked_sub(keep).unwrap_or(SystemTime::UNIX_EPOCH);
    let (archive, offline) = (before(keep.archive), before(keep.offline));
    let mut last = None;
    while let Some(expired) = router.store().archive().expire(last.as_ref(), archive, offline).await? {
        tracing::debug!(account = %expired.account, archived = expired.archived, undelivered = expired.undelivered, "old messages deleted");
        if let Some(home) = router.home_in_memory(&expired.account) {
            home.with(|account| account.messages.expired(ArchiveId::at(offline)));
        }
        last = Some(expired.account);
    }
    let mut last = None;
    while let Some(expired) = router.store().archive().expire_in_room(last.as_ref(), archive).await? {
        tracing::debug!(room = %expired.room, archived = expired.archived, "old messages deleted");
        last = Some(expired.room);
    }
    router.store().rooms().sweep().await.map(drop)
}
