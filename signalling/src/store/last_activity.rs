//! When each account was last there, and what it said as it left: XEP-0012 §4, RFC 6121 §4.3.2.

use std::time::SystemTime;

use bytes::Bytes;

use super::database::Database;
use super::{StoreError, from_millis, to_millis};
use crate::jid::BareJid;

/// How an account left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastActivity {
    /// When its last available resource became unavailable.
    pub left_at: SystemTime,
    /// The unavailable presence of that resource, whole.
    pub presence: Bytes,
}

/// The last activity of all accounts that have left once.
#[derive(Clone)]
pub struct LastActivities {
    database: Database,
}

impl LastActivities {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// How an account left last; `None` if it never did.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, account: &BareJid) -> Result<Option<LastActivity>, StoreError> {
        const SQL: &str = "SELECT left_at, presence FROM last_activity WHERE account = $1";
        let row = self.database.fetch_optional("load a last activity", SQL, &[account.as_str().into()]).await?;
        row.map(|row| Ok(LastActivity { left_at: from_millis(row.int(0)?), presence: row.bytes(1)?.into() })).transpose()
    }

    /// Keeps how an account left; nothing is kept of an account that is gone.
    ///
    /// # Errors
    /// The database's.
    pub async fn set(&self, account: &BareJid, activity: LastActivity) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("store a last activity", move |tx| {
                Box::pin(async move {
                    const SQL: &str = "INSERT INTO last_activity (account, left_at, presence)
                                           SELECT jid, $2, $3 FROM accounts WHERE jid = $1
                                       ON CONFLICT (account) DO UPDATE SET left_at = excluded.left_at, presence = excluded.presence";
                    let values = [account.as_str().into(), to_millis(activity.left_at).into(), activity.presence.as_ref().into()];
                    tx.execute(SQL, &values).await.map(drop)
                })
            })
            .await
    }
}
