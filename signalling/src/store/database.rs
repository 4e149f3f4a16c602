//! One face for two databases: statements with `$1` that both accept, values to bind, rows to read, a transaction.
//!
//! Repositories see only [`Database`]: `fetch_all` for one reading statement, `write` for a job of writing statements that is applied whole or
//! not at all. SQLite's writes go through [`Writer`], PostgreSQL's are a transaction each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgPool, Postgres, Row as _, Sqlite, SqlitePool};

use super::StoreError;
use super::writer::Writer;
use crate::jid::BareJid;

/// How long [`Database::healthy`] waits for an answer.
const HEALTH_WAIT_MAX: Duration = Duration::from_secs(2);

/// A value bound to `$n`.
pub(super) enum Value<'a> {
    Text(Option<&'a str>),
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

/// A row of either database; columns are counted from 0.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Reads one column as the type wanted.
macro_rules! column {
    ($row:expr, $index:expr, $doing:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($index),
            Row::Postgres(row) => row.try_get($index),
        }
        .map_err(|cause| StoreError::database($doing, cause))
    };
}

impl Row {
    pub(super) fn text(&self, index: usize) -> Result<String, StoreError> {
        column!(self, index, "read a text")
    }

    pub(super) fn optional_text(&self, index: usize) -> Result<Option<String>, StoreError> {
        column!(self, index, "read a text")
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, StoreError> {
        column!(self, index, "read a number")
    }

    pub(super) fn flag(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.int(index)? != 0)
    }

    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        column!(self, index, "read bytes")
    }

    /// Whether the column is NULL, as those of an outer join without a match are.
    pub(super) fn is_null(&self, index: usize) -> Result<bool, StoreError> {
        use sqlx::ValueRef as _;
        match self {
            Self::Sqlite(row) => row.try_get_raw(index).map(|value| value.is_null()),
            Self::Postgres(row) => row.try_get_raw(index).map(|value| value.is_null()),
        }
        .map_err(|cause| StoreError::database("read a column", cause))
    }
}

/// A statement with its values, for whichever database the match arm is in.
macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(*text),
                Value::Int(number) => query.bind(*number),
                Value::Bytes(bytes) => query.bind(*bytes),
            };
        }
        query
    }};
}

/// The transaction that a write job runs in.
pub(super) struct Tx {
    connection: Connection,
    /// What the job is about, for its errors.
    pub(super) doing: &'static str,
}

/// A connection that writes, one transaction after another. One that is dropped within a transaction, or whose end failed, takes the connection along:
/// nobody knows in which state that is.
pub(super) struct Writing {
    tx: Tx,
    open: bool,
}

pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Writing {
    pub(super) fn new(connection: Connection) -> Self {
        Self { tx: Tx { connection, doing: "write" }, open: false }
    }

    pub(super) async fn begin(&mut self, doing: &'static str) -> Result<&mut Tx, StoreError> {
        // SQLite's write lock is taken at the start, so no statement inside can find it taken by another process.
        let sql = match self.tx.connection {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE",
            Connection::Postgres(_) => "BEGIN",
        };
        (self.open, self.tx.doing) = (true, doing);
        self.tx.execute(sql, &[]).await?;
        Ok(&mut self.tx)
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    pub(super) async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.tx.execute(sql, &[]).await?;
        self.open = false;
        Ok(())
    }
}

impl Tx {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        match &mut self.connection {
            Connection::Sqlite(own) => bound!(sql, values).execute(&mut **own).await.map(|done| done.rows_affected()),
            Connection::Postgres(own) => bound!(sql, values).execute(&mut **own).await.map(|done| done.rows_affected()),
        }
        .map_err(|cause| StoreError::database(self.doing, cause))
    }

    /// Runs a statement that yields at most one row (`RETURNING`, or a look-up before a change).
    pub(super) async fn fetch_optional(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        match &mut self.connection {
            Connection::Sqlite(own) => bound!(sql, values).fetch_optional(&mut **own).await.map(|row| row.map(Row::Sqlite)),
            Connection::Postgres(own) => bound!(sql, values).fetch_optional(&mut **own).await.map(|row| row.map(Row::Postgres)),
        }
        .map_err(|cause| StoreError::database(self.doing, cause))
    }

    /// Runs a statement that yields rows.
    pub(super) async fn fetch_all(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        match &mut self.connection {
            Connection::Sqlite(own) => {
                bound!(sql, values).fetch_all(&mut **own).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Connection::Postgres(own) => {
                bound!(sql, values).fetch_all(&mut **own).await.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        }
        .map_err(|cause| StoreError::database(self.doing, cause))
    }

    /// Finds out whether the account is there, before rows that belong to it are written.
    pub(super) async fn require_account(&mut self, account: &BareJid) -> Result<(), StoreError> {
        match self.fetch_optional("SELECT jid FROM accounts WHERE jid = $1", &[account.as_str().into()]).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::NoSuchAccount(account.clone())),
        }
    }

    /// Runs statements that remove what an account has somewhere; each has its address as `$1`.
    pub(super) async fn remove_of(&mut self, account: &BareJid, statements: &[&'static str]) -> Result<(), StoreError> {
        for sql in statements {
            self.execute(sql, &[account.as_str().into()]).await?;
        }
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.open {
            match &mut self.tx.connection {
                Connection::Sqlite(own) => own.close_on_drop(),
                Connection::Postgres(own) => own.close_on_drop(),
            }
        }
    }
}

/// The database in use. A clone is another handle on the same connections.
#[derive(Clone)]
pub(super) enum Database {
    Sqlite {
        readers: SqlitePool,
        writer: Arc<Writer>,
    },
    Postgres {
        pool: PgPool,
        /// How long it may take for a job or a reading statement: its host may be gone without a word.
        answer_wait: Duration,
    },
}

impl Database {
    /// Runs one reading statement; it sees one consistent state.
    pub(super) async fn fetch_all(&self, doing: &'static str, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => {
                bound!(sql, values).fetch_all(readers).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres { pool, answer_wait } => {
                let rows = tokio::time::timeout(*answer_wait, bound!(sql, values).fetch_all(pool)).await;
                let rows = rows.map_err(|_| StoreError::Busy { doing })?;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        }
        .map_err(|cause| StoreError::database(doing, cause))
    }

    /// Runs one reading statement and hands over its rows one by one, until there are no more or `take` says that it wants none.
    pub(super) async fn fetch_each(
        &self,
        doing: &'static str,
        sql: &'static str,
        values: &[Value<'_>],
        mut take: impl FnMut(Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        macro_rules! each {
            ($pool:expr, $kind:expr) => {{
                let mut rows = bound!(sql, values).fetch($pool);
                while let Some(row) = rows.try_next().await.map_err(|cause| StoreError::database(doing, cause))? {
                    if !take($kind(row))? {
                        break;
                    }
                }
            }};
        }
        match self {
            Self::Sqlite { readers, .. } => {
                each!(readers, Row::Sqlite);
                Ok(())
            }
            Self::Postgres { pool, answer_wait } => {
                let read = async {
                    each!(pool, Row::Postgres);
                    Ok(())
                };
                in_time(doing, *answer_wait, read).await
            }
        }
    }

    /// Like [`Self::fetch_all`] for a statement that yields at most one row.
    pub(super) async fn fetch_optional(
        &self,
        doing: &'static str,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(doing, sql, values).await?.into_iter().next())
    }

    /// Removes once more what an account that is gone has somewhere ([`Tx::remove_of`]): what was stored while its sessions ended. The next one of that name keeps what it has.
    pub(super) async fn remove_again(
        &self,
        doing: &'static str,
        account: &BareJid,
        statements: &'static [&'static str],
    ) -> Result<(), StoreError> {
        let account = account.clone();
        self.write(doing, move |tx| {
            Box::pin(async move {
                match tx.require_account(&account).await {
                    Ok(()) => Ok(()),
                    Err(StoreError::NoSuchAccount(_)) => tx.remove_of(&account, statements).await,
                    Err(error) => Err(error),
                }
            })
        })
        .await
    }

    /// Applies a job whole or not at all, and returns when it is durable. A caller that is dropped while it waits does not undo the job.
    pub(super) async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        match self {
            Self::Sqlite { writer, .. } => writer.write(doing, work).await,
            Self::Postgres { pool, answer_wait } => {
                let job = async {
                    let connection = pool.acquire().await.map_err(|cause| StoreError::database(doing, cause))?;
                    let mut writing = Writing::new(Connection::Postgres(connection));
                    match work(writing.begin(doing).await?).await {
                        Ok(result) => writing.commit().await.map(|()| result),
                        Err(error) => {
                            if let Err(failed) = writing.roll_back().await {
                                tracing::debug!(error = %failed, "a failed transaction could not be rolled back: its connection is closed");
                            }
                            Err(error)
                        }
                    }
                };
                // Boxed: its kilobytes would be part of every future that may write, hence of every stanza's.
                in_time(doing, *answer_wait, Box::pin(job)).await
            }
        }
    }

    pub(super) async fn healthy(&self) -> Result<(), StoreError> {
        let doing = "answer a health check";
        let answer = async {
            match self {
                Self::Sqlite { readers, writer } => {
                    sqlx::query("SELECT 1").execute(readers).await.map_err(|cause| StoreError::database(doing, cause))?;
                    writer.healthy(doing).await
                }
                Self::Postgres { pool, .. } => {
                    sqlx::query("SELECT 1").execute(pool).await.map(|_| ()).map_err(|cause| StoreError::database(doing, cause))
                }
            }
        };
        tokio::time::timeout(HEALTH_WAIT_MAX, answer).await.unwrap_or(Err(StoreError::Busy { doing }))
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                // Readers first: the last connection to close is the one that can fold the WAL into the database file.
                readers.close().await;
                writer.close().await;
            }
            // It waits for connections that are in use, and so for a host that does not answer.
            Self::Postgres { pool, answer_wait } => {
                if tokio::time::timeout(*answer_wait, pool.close()).await.is_err() {
                    tracing::warn!("PostgreSQL did not let its connections go");
                }
            }
        }
    }
}

async fn in_time<T>(doing: &'static str, wait: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(wait, work).await.unwrap_or(Err(StoreError::Busy { doing }))
}
