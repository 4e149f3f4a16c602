//! What outlives the process: accounts, rosters, secrets. SQLite or PostgreSQL through sqlx; one SQL text for both.
//!
//! SQLite runs in WAL mode with `synchronous=FULL`: what was answered is on the disk. One task writes ([`writer`]), a pool reads, and another
//! process (the command line) may use the same file meanwhile: each waits for the other's write lock up to [`BUSY_WAIT_MAX`]. The schema only moves
//! forward; a database of a newer program is refused. Not supported: databases in memory.

mod accounts;
mod archive;
mod blocks;
mod columns;
mod database;
mod durable;
mod error;
mod farewells;
mod folder;
mod last_activity;
mod listing;
mod private;
mod pubsub;
mod push;
mod revocations;
mod rooms;
mod rosters;
mod schema;
mod secrets;
mod sessions;
mod vcards;
mod writer;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection};

pub use accounts::{Account, Accounts, Credentials, Disabled};
pub use archive::{Archive, ArchiveId, Expired, ExpiredRoom, Page, Policy, Preferences, Range, Record, RoomRecord, Stored, Summary, Whose};
pub use blocks::Blocks;
pub use durable::Durability;
pub use error::StoreError;
pub use farewells::{Farewell, Farewells};
pub use last_activity::{LastActivities, LastActivity};
pub use private::{PRIVATE_ELEMENTS_MAX, PrivateElement, PrivateXml};
pub use pubsub::{
    Committed, Cursor, Due, DueItems, DueSubscriptions, ItemFact, ItemsPage, ItemsQuery, LastItem, LastItems, NodeEntry, NodesPage,
    PubSubStore, REDIRECTS_MAX,
};
pub use push::{PushService, PushServices};
pub use revocations::Revocations;
pub use rooms::{LoadedRoom, RoomEntry, Rooms, RoomsPage, SavedMessage, SavedPlace, SavedRoom};
pub use rosters::{
    REMOVALS_MAX, REQUESTS_MAX, RosterChange, RosterItem, RosterUpdate, RosterVersion, Rosters, Subscription, SubscriptionRequest,
};
pub use secrets::Secrets;
pub use sessions::{ServicesInterest, SessionState, Sessions, StoredSession, StoredStanza};
pub use vcards::VCards;

use database::Database;
use writer::Writer;

#[cfg(test)]
pub(crate) use folder::Temporary as TemporaryFolder;

/// How long a write may wait for a place in the queue.
pub const QUEUE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long SQLite waits for another process's lock.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a statement may wait for a connection.
const ACQUIRE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pages that SQLite's writer keeps: messages of many accounts touch a page of each, and a page that is not there is read again.
const WRITER_CACHE_KB: u32 = 32 * 1024;
/// Pages in the log ahead of the file: the more, the more commits share the writing of a page back into it.
const CHECKPOINT_PAGES: u32 = 8192;
/// How long PostgreSQL works at one statement, or lets a transaction wait for the next one, before it gives up.
const STATEMENT_MAX: Duration = Duration::from_secs(30);
/// How long PostgreSQL may take altogether. [`STATEMENT_MAX`] is shorter: as long as its host lives, it gives up by itself.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(40);
/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS_MAX: u32 = 16;

/// The storage. A clone is another handle on the same one.
#[derive(Clone)]
pub struct Store {
    database: Database,
    archive: Archive,
    secrets: Secrets,
}

impl Store {
    /// Opens the database that `url` names (`sqlite:PATH`, `postgres://…`), makes it when it is a missing SQLite file, and brings its schema up to date.
    ///
    /// A relative path counts from the working directory. Folders are made with mode 0700, the database file with 0600. Must be called within
    /// a tokio runtime, which then runs the tasks that write.
    ///
    /// # Errors
    /// See [`StoreError`]: an unusable URL, a file or server that cannot be opened, a schema newer than this program's.
    pub async fn open(url: &str, data_dir: &Path) -> Result<Self, StoreError> {
        let secrets = Secrets::open(data_dir)?;
        let database = match Place::parse(url)? {
            Place::Sqlite(path) => open_sqlite(&path).await?,
            Place::Postgres(options) => open_postgres(*options).await?,
        };
        let archive = Archive::start(database.clone());
        Ok(Self { database, archive, secrets })
    }

    /// Accounts and their keys.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        Accounts::new(self.database.clone())
    }

    /// Rosters and pending subscription requests.
    #[must_use]
    pub fn rosters(&self) -> Rosters {
        Rosters::new(self.database.clone())
    }

    /// What clients keep for themselves.
    #[must_use]
    pub fn private_xml(&self) -> PrivateXml {
        PrivateXml::new(self.database.clone())
    }

    /// vCards and the hashes of their photos.
    #[must_use]
    pub fn vcards(&self) -> VCards {
        VCards::new(self.database.clone())
    }

    /// Messages: the archive and what waits for delivery.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// How far messages that were queued are on the disk.
    #[must_use]
    pub fn durability(&self) -> &Durability {
        self.archive.durability()
    }

    /// When accounts were last there.
    #[must_use]
    pub fn last_activities(&self) -> LastActivities {
        LastActivities::new(self.database.clone())
    }

    /// Nodes of PubSub services and accounts.
    #[must_use]
    pub fn pubsub(&self) -> PubSubStore {
        PubSubStore::new(self.database.clone())
    }

    /// Rooms of multi-user chat.
    #[must_use]
    pub fn rooms(&self) -> Rooms {
        Rooms::new(self.database.clone(), self.archive.clone())
    }

    /// Push services that clients have enabled.
    #[must_use]
    pub fn push_services(&self) -> PushServices {
        PushServices::new(self.database.clone())
    }

    /// Contacts of removed accounts that are still to be told.
    #[must_use]
    pub fn farewells(&self) -> Farewells {
        Farewells::new(self.database.clone())
    }

    /// Who is blocked by whom.
    #[must_use]
    pub fn blocks(&self) -> Blocks {
        Blocks::new(self.database.clone())
    }

    /// TURN credentials that are void.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        Revocations::new(self.database.clone())
    }

    /// Sessions that an orderly stop leaves to be resumed.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.database.clone())
    }

    /// The server's own secrets, in `data_dir/secret.key`.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Whether the database answers and takes writes: for `/ready`. Returns within two seconds.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn healthy(&self) -> Result<(), StoreError> {
        self.database.healthy().await
    }

    /// Writes what is queued and closes all connections; later calls fail with [`StoreError::Stopped`].
    pub async fn close(&self) {
        self.archive.close().await;
        self.database.close().await;
    }
}

/// Where the database is.
#[derive(Debug)]
enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Place {
    fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return match path {
                "" => Err(StoreError::Url("write the file's path after `sqlite:`".to_owned())),
                ":memory:" => Err(StoreError::Url("a database in memory is not supported, give a file".to_owned())),
                path if path.contains('?') => Err(StoreError::Url("`sqlite:` takes a path without parameters".to_owned())),
                // Absolute, so that neither a later `chdir` nor a name such as `file:x` means something else to SQLite.
                path => std::path::absolute(path).map(Self::Sqlite).map_err(|error| StoreError::file("find", path, error)),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Url(error.to_string()))?;
            return Ok(Self::Postgres(Box::new(options.application_name("campanile"))));
        }
        Err(StoreError::Url("it must begin with `sqlite:` or `postgres://`".to_owned()))
    }
}

async fn open_sqlite(path: &Path) -> Result<Database, StoreError> {
    if let Some(parent) = path.parent() {
        folder::create(parent)?;
    }
    create_file(path)?;
    let failed = |cause| StoreError::Open { database: path.display().to_string(), cause: Arc::new(cause) };

    let common = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_WAIT_MAX);
    // The writer's connection stays open for good, and with it the WAL that the readers share.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(BUSY_WAIT_MAX + ACQUIRE_WAIT_MAX);
    let writing = common
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", format!("-{WRITER_CACHE_KB}"))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
    // Switching to WAL needs the file alone and does not wait for a lock by itself.
    let deadline = Instant::now() + BUSY_WAIT_MAX;
    let writer = loop {
        match pool.clone().connect_with(writing.clone()).await {
            Ok(pool) => break pool,
            Err(sqlx::Error::Database(error)) if is_busy(&*error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(failed(error)),
        }
    };
    schema::migrate_sqlite(&writer).await?;

    let connections = u32::try_from(thread::available_parallelism().map_or(2, usize::from)).unwrap_or(u32::MAX).clamp(2, 8);
    let readers = SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .acquire_timeout(ACQUIRE_WAIT_MAX)
        .connect_with(common.pragma("query_only", "ON"))
        .await
        .map_err(failed)?;
    Ok(Database::Sqlite { readers, writer: Arc::new(Writer::start(writer)) })
}

/// SQLITE_BUSY, with any extended code.
fn is_busy(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// Makes the empty file with its mode; SQLite gives the WAL's files the same. A file that is there is not touched: closing it would drop the
/// locks that this process may hold on it.
fn create_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::file("create", path, error)),
    }
}

async fn open_postgres(options: PgConnectOptions) -> Result<Database, StoreError> {
    let database = format!("on PostgreSQL at {}", options.get_host());
    let failed = |cause| StoreError::Open { database, cause: Arc::new(cause) };
    // One connection beforehand: the pool would go on trying, and then say that it took too long instead of why.
    let first = async { PgConnection::connect_with(&options).await?.close().await };
    tokio::time::timeout(ACQUIRE_WAIT_MAX, first).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)?;
    let pool = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS_MAX).acquire_timeout(ACQUIRE_WAIT_MAX);
    // Without the limit on statements: a migration may take long.
    let migrating = pool.clone().max_connections(1).connect_lazy_with(options.clone());
    let migrated = schema::migrate_postgres(&migrating).await;
    migrating.close().await;
    migrated?;
    let bounds = ["statement_timeout", "idle_in_transaction_session_timeout"].map(|name| (name, STATEMENT_MAX.as_millis().to_string()));
    Ok(Database::Postgres { pool: pool.connect_lazy_with(options.options(bounds)), answer_wait: ANSWER_WAIT_MAX })
}

/// Milliseconds since 1970, as the tables hold times.
fn to_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests;
