//! What can go wrong with the storage: which operation, on what, and what the operator can do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::jid::BareJid;

/// An error of ours, never of the peer. Each message is one complete line, cause included.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// `storage.url` names no database that this program can open.
    #[error("storage.url is not usable: {0}")]
    Url(String),
    /// A file or folder of the data directory.
    #[error("cannot {doing} {}: {cause}", path.display())]
    File {
        /// The verb, such as `create`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// A line of the secrets file that this program cannot have written.
    #[error("{} line {line} is not `name = base64`: restore the file from a backup, or delete that line to have a new secret made", path.display())]
    Secret {
        /// The secrets file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// No connection to the database.
    #[error("cannot open the database {database}: {cause}")]
    Open {
        /// The file, or the kind of the server; never its password.
        database: String,
        /// What the driver said.
        cause: Arc<sqlx::Error>,
    },
    /// The database was last opened by a later version of this program.
    #[error(
        "the database has schema version {found}, made by a newer campanile; this one knows versions up to {known}. \
         Run the newer program again, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// The version found in the database.
        found: i64,
        /// The last version that this program can make.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the database's schema up to date: {0}")]
    Migration(Arc<sqlx::migrate::MigrateError>),
    /// A statement failed.
    #[error("the database failed to {doing}: {cause}")]
    Database {
        /// The operation, such as `load a roster`.
        doing: &'static str,
        /// What the driver said.
        cause: Arc<sqlx::Error>,
    },
    /// PostgreSQL's indexes hold values of up to about 2,700 bytes; an account with a contact may have more (RFC 7622 §3.1).
    #[error("a name or address is too long for the database to {doing}")]
    TooLong {
        /// The operation.
        doing: &'static str,
    },
    /// A row that this program cannot have written.
    #[error("the database holds something unreadable in {place}: {cause}")]
    Corrupt {
        /// Table and column.
        place: &'static str,
        /// Why it is unreadable.
        cause: String,
    },
    /// The account is there already.
    #[error("the account {0} exists already")]
    AccountExists(BareJid),
    /// The account is not there (any more).
    #[error("there is no account {0}")]
    NoSuchAccount(BareJid),
    /// The node is there already.
    #[error("the node `{node}` at {service} exists already")]
    NodeExists {
        /// The service.
        service: BareJid,
        /// Its name.
        node: String,
    },
    /// The node is not there (any more).
    #[error("there is no node `{node}` at {service}")]
    NoSuchNode {
        /// The service.
        service: BareJid,
        /// Its name.
        node: String,
    },
    /// The room is there already.
    #[error("the room {0} exists already")]
    RoomExists(BareJid),
    /// The room is not there (any more).
    #[error("there is no room {0}")]
    NoSuchRoom(BareJid),
    /// A bound on what one account may keep; answered where it is set and never logged.
    #[error("the account keeps as much as it may")]
    Full,
    /// The write queue stayed full for [`super::QUEUE_WAIT_MAX`], or the database did not answer in time.
    #[error("the database is too slow to {doing}")]
    Busy {
        /// The operation.
        doing: &'static str,
    },
    /// The store was closed, or a bug ended the operation.
    #[error("the storage has stopped and did not {doing}")]
    Stopped {
        /// The operation.
        doing: &'static str,
    },
}

impl StoreError {
    /// Whether SQLite could not write at all: SQLITE_IOERR and SQLITE_FULL, with any extended code.
    pub(super) fn is_of_the_disk(&self) -> bool {
        let Self::Database { cause, .. } = self else { return false };
        let code = cause.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
        code.is_some_and(|code| matches!(code & 0xff, 10 | 13))
    }

    pub(super) fn database(doing: &'static str, cause: sqlx::Error) -> Self {
        match cause {
            sqlx::Error::PoolTimedOut => Self::Busy { doing },
            sqlx::Error::PoolClosed => Self::Stopped { doing },
            // program_limit_exceeded
            sqlx::Error::Database(error) if error.code().as_deref() == Some("54000") => Self::TooLong { doing },
            cause => Self::Database { doing, cause: Arc::new(cause) },
        }
    }

    /// Whether the database refuses what it was given, and would refuse it again: another attempt changes nothing.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::TooLong { .. } => true,
            Self::Database { cause, .. } => match &**cause {
                sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                    match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                        // TOOBIG, CONSTRAINT, MISMATCH, RANGE
                        Some(_) => code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 18 | 19 | 20 | 25)),
                        // data exception, integrity constraint violation, program limit exceeded
                        None => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
                    }
                }),
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Self::File { doing, path: path.into(), cause: Arc::new(cause) }
    }
}
