//! The vCards of accounts, and the hashes of their photos: XEP-0054, XEP-0153.

use bytes::Bytes;

use super::StoreError;
use super::database::Database;
use crate::jid::BareJid;

/// The vCards of all accounts.
#[derive(Clone)]
pub struct VCards {
    database: Database,
}

impl VCards {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The account's element `<vCard/>`, as it was stored.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, account: &BareJid) -> Result<Option<Bytes>, StoreError> {
        const SQL: &str = "SELECT vcard FROM vcards WHERE account = $1";
        let row = self.database.fetch_optional("load a vCard", SQL, &[account.as_str().into()]).await?;
        row.map(|row| Ok(row.bytes(0)?.into())).transpose()
    }

    /// The hash of its photo; none for an account without one, and for one that does not exist.
    ///
    /// # Errors
    /// The database's.
    pub async fn photo_hash(&self, account: &BareJid) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT photo_hash FROM vcards WHERE account = $1";
        let row = self.database.fetch_optional("load the hash of a photo", SQL, &[account.as_str().into()]).await?;
        Ok(row.map(|row| row.optional_text(0)).transpose()?.flatten())
    }

    /// Replaces the account's vCard.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn set(&self, account: &BareJid, vcard: Bytes, photo_hash: Option<String>) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("store a vCard", move |tx| {
                Box::pin(async move {
                    tx.require_account(&account).await?;
                    const SQL: &str = "INSERT INTO vcards (account, vcard, photo_hash) VALUES ($1, $2, $3)
                                       ON CONFLICT (account) DO UPDATE SET vcard = excluded.vcard, photo_hash = excluded.photo_hash";
                    tx.execute(SQL, &[account.as_str().into(), vcard.as_ref().into(), photo_hash.as_deref().into()]).await.map(drop)
                })
            })
            .await
    }
}
