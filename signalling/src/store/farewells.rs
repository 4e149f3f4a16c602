//! Contacts of removed accounts that are still to be told. The rows are written with the removal, so that whoever removes an account, with the
//! server running or not, and whatever happens then, each contact is told once by the server.

use super::StoreError;
use super::database::{Database, Row, Tx};
use crate::jid::BareJid;

/// What one contact of a removed account is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The account that is gone.
    pub account: BareJid,
    /// Its contact.
    pub contact: BareJid,
    /// The account had subscribed, or asked to.
    pub unsubscribe: bool,
    /// The contact had subscribed, or asked to.
    pub unsubscribed: bool,
}

/// The farewells of all accounts.
#[derive(Clone)]
pub struct Farewells {
    database: Database,
}

impl Farewells {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Up to `count` of those that are still to be said.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(&self, count: u32) -> Result<Vec<Farewell>, StoreError> {
        const SQL: &str = "SELECT account, contact, unsubscribe, unsubscribed FROM farewells ORDER BY account, contact LIMIT $1";
        let rows = self.database.fetch_all("load farewells", SQL, &[i64::from(count).into()]).await?;
        rows.iter().map(read).collect()
    }

    /// They are said.
    ///
    /// # Errors
    /// The database's.
    pub async fn said(&self, farewells: Vec<Farewell>) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM farewells WHERE account = $1 AND contact = $2";
        self.database
            .write("forget farewells", move |tx| {
                Box::pin(async move {
                    for farewell in &farewells {
                        tx.execute(SQL, &[farewell.account.as_str().into(), farewell.contact.as_str().into()]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// Part of the transaction that removes an account, before its roster goes.
pub(super) async fn insert(tx: &mut Tx, account: &BareJid) -> Result<(), StoreError> {
    // What an account of the same name has left to say is said too.
    const CONTACTS: &str = "INSERT INTO farewells (account, contact, unsubscribe, unsubscribed)
        SELECT account, contact, CASE WHEN ask = 1 OR subscription IN ('to', 'both') THEN 1 ELSE 0 END,
               CASE WHEN subscription IN ('from', 'both') THEN 1 ELSE 0 END
        FROM roster_items WHERE account = $1 AND (ask = 1 OR subscription <> 'none')
        ON CONFLICT (account, contact) DO UPDATE SET
            unsubscribe = CASE WHEN excluded.unsubscribe = 1 THEN 1 ELSE farewells.unsubscribe END,
            unsubscribed = CASE WHEN excluded.unsubscribed = 1 THEN 1 ELSE farewells.unsubscribed END";
    const REQUESTS: &str = "INSERT INTO farewells (account, contact, unsubscribe, unsubscribed)
        SELECT account, contact, 0, 1 FROM subscription_requests WHERE account = $1
        ON CONFLICT (account, contact) DO UPDATE SET unsubscribed = 1";
    // RFC 6121 §3.4: whom the account's name was promised to see its contact's presence. Nobody is promised anything by name of an anonymous one.
    const APPROVALS: &str = "INSERT INTO farewells (account, contact, unsubscribe, unsubscribed)
        SELECT contact, account, 1, 0 FROM roster_items
        WHERE contact = $1 AND approved = 1 AND EXISTS (SELECT 1 FROM accounts WHERE jid = $1 AND anonymous = 0)
        ON CONFLICT (account, contact) DO UPDATE SET unsubscribe = 1";
    tx.execute(CONTACTS, &[account.as_str().into()]).await?;
    tx.execute(REQUESTS, &[account.as_str().into()]).await?;
    tx.execute(APPROVALS, &[account.as_str().into()]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Farewell, StoreError> {
    let jid = |column, place| {
        let text = row.text(column)?;
        BareJid::parse(&text).map_err(|cause| StoreError::Corrupt { place, cause: cause.to_string() })
    };
    Ok(Farewell {
        account: jid(0, "farewells.account")?,
        contact: jid(1, "farewells.contact")?,
        unsubscribe: row.flag(2)?,
        unsubscribed: row.flag(3)?,
    })
}
