//! A database of every schema that was ever given out is brought up to date with all that is in it. Each `released/NNNN.sql` is what such a database
//! may hold, NNNN being its last migration; bytes are written `{hex}`. A release adds its file, with something in every table, and never
//! changes an older one.

use std::path::Path;

use sqlx::{Connection as _, PgConnection, PgPool, SqlitePool};

use super::{POSTGRES, SQLITE};
use crate::auth::ScramHash;
use crate::jid::BareJid;
use crate::store::{Store, Subscription, TemporaryFolder};

/// The last migration, and the rows.
const RELEASED: [(i64, &str); 1] = [(2, include_str!("released/0002.sql"))];

/// The rows as this database writes bytes.
fn script(rows: &str, bytes: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = rows;
    while let Some((before, after)) = rest.split_once('{') {
        let (hex, after) = after.split_once('}').unwrap();
        out.push_str(before);
        out.push_str(&bytes(hex));
        rest = after;
    }
    out + rest
}

async fn run(rows: String, executor: impl sqlx::Executor<'_, Database = impl sqlx::Database>) {
    executor.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(rows))).await.unwrap();
}

async fn check(url: &str, folder: &Path) {
    let store = Store::open(url, folder).await.unwrap();
    let account = |name: &str| BareJid::new(name, "example.org").unwrap();
    let (alice, bob) = (account("alice"), account("bob"));
    let keys = store.accounts().credentials(&alice).await.unwrap().unwrap();
    assert!(keys.disabled.is_none() && keys.keys.get(ScramHash::Sha256).is_some());
    assert!(store.accounts().credentials(&bob).await.unwrap().unwrap().disabled.is_some());
    let roster = store.rosters().load(&alice).await.unwrap();
    assert_eq!(roster.len(), 2);
    assert_eq!(
        (roster[0].subscription, roster[0].name.as_deref(), &roster[0].groups[..]),
        (Subscription::Both, Some("Bob"), &["Friends".to_owned()][..])
    );
    assert_eq!((roster[1].subscription, roster[1].ask), (Subscription::None, true));
    let requests = store.rosters().requests(&bob).await.unwrap();
    assert_eq!((requests.len(), requests[0].from.as_str(), requests[0].stanza.as_ref()), (1, "carol@example.org", &b"<presence/>"[..]));
    assert!(store.accounts().delete(&alice).await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn sqlite_databases_of_every_released_schema_are_brought_up_to_date() {
    for (version, rows) in RELEASED {
        let folder = TemporaryFolder::new();
        let path = folder.path().join("old.db");
        let pool = SqlitePool::connect(&format!("sqlite:{}?mode=rwc", path.display())).await.unwrap();
        SQLITE.run_to(version, &pool).await.unwrap();
        run(script(rows, |hex| format!("x'{hex}'")), &pool).await;
        pool.close().await;
        check(&format!("sqlite:{}", path.display()), folder.path()).await;
    }
}

#[tokio::test]
async fn postgres_databases_of_every_released_schema_are_brought_up_to_date() {
    let Ok(base) = std::env::var("CAMPANILE_TEST_POSTGRES") else {
        eprintln!("left out: CAMPANILE_TEST_POSTGRES is not set");
        return;
    };
    for (version, rows) in RELEASED {
        let folder = TemporaryFolder::new();
        let schema = format!("test_released_{version}_{}", std::process::id());
        let mut connection = PgConnection::connect(&base).await.unwrap();
        run(format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"), &mut connection).await;
        let separator = if base.contains('?') { '&' } else { '?' };
        let url = format!("{base}{separator}options=-c%20search_path%3D{schema}");
        let pool = PgPool::connect(&url).await.unwrap();
        POSTGRES.run_to(version, &pool).await.unwrap();
        run(script(rows, |hex| format!("'\\x{hex}'::bytea")), &pool).await;
        pool.close().await;
        check(&url, folder.path()).await;
    }
}
