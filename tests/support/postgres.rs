//! PostgreSQL under the server: a schema of its own on the database that `CAMPANILE_TEST_POSTGRES` names (`tests/run` starts one).

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

thread_local! {
    static WANTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a test whose servers keep their data in PostgreSQL.
pub fn run(test: fn()) {
    WANTED.set(true);
    test();
}

/// A schema that goes when the server does.
pub struct Schema {
    base: String,
    name: String,
}

impl Schema {
    /// One for the next server, if the test runs on PostgreSQL.
    pub fn if_wanted() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !WANTED.get() {
            return None;
        }
        let base = std::env::var("CAMPANILE_TEST_POSTGRES").expect("this test needs PostgreSQL: run tests/run, which starts one");
        let name = format!("promise_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        execute(&base, &format!("CREATE SCHEMA {name}")).unwrap();
        Some(Self { base, name })
    }

    /// The `[storage]` section for it.
    pub fn section(&self) -> String {
        let separator = if self.base.contains('?') { '&' } else { '?' };
        format!("[storage]\nurl = \"{}{separator}options=-c%20search_path%3D{}\"\n", self.base, self.name)
    }

    /// Whether the server has made this table in it.
    pub fn has(&self, table: &str) -> bool {
        execute(&self.base, &format!("SELECT FROM {}.{table} LIMIT 1", self.name)).is_ok()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Err(error) = execute(&self.base, &format!("DROP SCHEMA {} CASCADE", self.name)) {
            eprintln!("{} is left on the database: {error}", self.name);
        }
    }
}

fn execute(url: &str, statement: &str) -> Result<(), sqlx::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await
    })
}
