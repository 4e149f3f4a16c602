//! Forward-only migrations, embedded in the program. A migration that was released is never changed.

#[cfg(test)]
mod released;

use std::sync::Arc;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgPool, SqlitePool};

use super::StoreError;

static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// All missing migrations in one transaction under the write lock: two processes that start together take turns.
pub(super) async fn migrate_sqlite(writer: &SqlitePool) -> Result<(), StoreError> {
    let doing = "bring its schema up to date";
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(|cause| StoreError::database(doing, cause))?;
    SQLITE.run(&mut *tx).await.map_err(|error| explain(error, &SQLITE))?;
    tx.commit().await.map_err(|cause| StoreError::database(doing, cause))
}

/// PostgreSQL's advisory lock does the same.
pub(super) async fn migrate_postgres(pool: &PgPool) -> Result<(), StoreError> {
    match POSTGRES.run(pool).await {
        Ok(()) => Ok(()),
        Err(error) => {
            pool.close().await; // gives the lock back
            Err(explain(error, &POSTGRES))
        }
    }
}

/// A migration that this program does not have was made by a later one.
fn explain(error: MigrateError, migrator: &Migrator) -> StoreError {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    match error {
        MigrateError::VersionMissing(found) if found > known => StoreError::NewerSchema { found, known },
        other => StoreError::Migration(Arc::new(other)),
    }
}
