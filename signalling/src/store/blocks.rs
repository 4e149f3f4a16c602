//! Whom each account has blocked: XEP-0191.

use super::StoreError;
use super::database::Database;
use crate::jid::{BareJid, Jid};

/// The block lists of all accounts.
#[derive(Clone)]
pub struct Blocks {
    database: Database,
}

impl Blocks {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The addresses that an account has blocked, in their order; none for an unknown account.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, account: &BareJid) -> Result<Vec<Jid>, StoreError> {
        const SQL: &str = "SELECT jid FROM blocked_jids WHERE account = $1 ORDER BY jid";
        let rows = self.database.fetch_all("load a block list", SQL, &[account.as_str().into()]).await?;
        let mut blocked = Vec::with_capacity(rows.len());
        for row in &rows {
            match Jid::parse(&row.text(0)?) {
                Ok(jid) => blocked.push(jid),
                Err(error) => tracing::error!(%account, %error, "a blocked address cannot be read and is left out"),
            }
        }
        Ok(blocked)
    }

    /// Blocks these addresses as well.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn add(&self, account: &BareJid, jids: Vec<Jid>) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("block addresses", move |tx| {
                Box::pin(async move {
                    tx.require_account(&account).await?;
                    for jid in &jids {
                        const SQL: &str = "INSERT INTO blocked_jids (account, jid) VALUES ($1, $2) ON CONFLICT (account, jid) DO NOTHING";
                        tx.execute(SQL, &[account.as_str().into(), jid.as_str().into()]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Blocks these addresses no longer.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(&self, account: &BareJid, jids: Vec<Jid>) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("unblock addresses", move |tx| {
                Box::pin(async move {
                    for jid in &jids {
                        const SQL: &str = "DELETE FROM blocked_jids WHERE account = $1 AND jid = $2";
                        tx.execute(SQL, &[account.as_str().into(), jid.as_str().into()]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Blocks nobody any longer.
    ///
    /// # Errors
    /// The database's.
    pub async fn clear(&self, account: &BareJid) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("clear a block list", move |tx| {
                Box::pin(
                    async move { tx.execute("DELETE FROM blocked_jids WHERE account = $1", &[account.as_str().into()]).await.map(drop) },
                )
            })
            .await
    }
}
