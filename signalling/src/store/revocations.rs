//! Until when issued TURN credentials of an account are void. The relay opens and judges them without asking anybody (ADR 3), so what it has
//! to refuse is kept here over restarts. A row is written with the change of the account that causes it, and dropped when
//! whatever it voids has expired.

use std::time::{Duration, SystemTime};

use super::database::{Database, Tx};
use super::{StoreError, from_millis, to_millis};
use crate::jid::BareJid;

/// Rows given out at once, the newest ones: more than any installation changes within the life of credentials.
const LOADED_MAX: i64 = 65_536;

/// The revocations of all accounts.
#[derive(Clone)]
pub struct Revocations {
    database: Database,
}

impl Revocations {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Voids what was issued to the account until `now`; `life` is that of credentials.
    ///
    /// # Errors
    /// The database's.
    pub async fn add(&self, account: &BareJid, now: SystemTime, life: Duration) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("void an account's TURN credentials", move |tx| {
                Box::pin(async move {
                    prune(tx, now, life).await?;
                    insert(tx, &account, to_millis(now)).await
                })
            })
            .await
    }

    /// Accounts and the times until which what was issued to them is void, oldest first: for the start.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, now: SystemTime, life: Duration) -> Result<Vec<(BareJid, SystemTime)>, StoreError> {
        const SQL: &str = "SELECT account, revoked_at FROM turn_revocations ORDER BY revoked_at DESC LIMIT $1";
        self.database.write("forget old revocations", move |tx| Box::pin(prune(tx, now, life))).await?;
        let rows = self.database.fetch_all("load revocations", SQL, &[LOADED_MAX.into()]).await?;
        let read = rows.iter().rev().map(|row| {
            let account = BareJid::parse(&row.text(0)?);
            let account = account.map_err(|cause| StoreError::Corrupt { place: "turn_revocations.account", cause: cause.to_string() })?;
            Ok((account, from_millis(row.int(1)?)))
        });
        read.collect()
    }
}

/// Part of the transaction that deletes an account or changes its password.
pub(super) async fn insert(tx: &mut Tx, account: &BareJid, at_ms: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO turn_revocations (account, revoked_at) VALUES ($1, $2)
                       ON CONFLICT (account) DO UPDATE SET revoked_at = excluded.revoked_at
                       WHERE turn_revocations.revoked_at < excluded.revoked_at";
    tx.execute(SQL, &[account.as_str().into(), at_ms.into()]).await?;
    Ok(())
}

async fn prune(tx: &mut Tx, now: SystemTime, life: Duration) -> Result<(), StoreError> {
    let oldest_ms = to_millis(now).saturating_sub(i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
    tx.execute("DELETE FROM turn_revocations WHERE revoked_at < $1", &[oldest_ms.into()]).await?;
    Ok(())
}
