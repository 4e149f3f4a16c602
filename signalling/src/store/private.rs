//! What clients keep for themselves: XEP-0049, one row for each element by its expanded name.

use bytes::Bytes;

use super::StoreError;
use super::database::Database;
use crate::jid::BareJid;

/// Elements of one account; more are refused.
pub const PRIVATE_ELEMENTS_MAX: usize = 256;

/// An element that a client keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateElement {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The element whole; `None` takes away what is kept under that name.
    pub content: Option<Bytes>,
}

/// The private XML of all accounts.
#[derive(Clone)]
pub struct PrivateXml {
    database: Database,
}

impl PrivateXml {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The element of this name, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, account: &BareJid, namespace: &str, name: &str) -> Result<Option<Bytes>, StoreError> {
        const SQL: &str = "SELECT content FROM private_xml WHERE account = $1 AND namespace = $2 AND name = $3";
        let values = [account.as_str().into(), namespace.into(), name.into()];
        let row = self.database.fetch_optional("load private XML", SQL, &values).await?;
        row.map(|row| Ok(row.bytes(0)?.into())).transpose()
    }

    /// Puts these elements in the place of those of the same names, all or none; false where the account would then keep more than
    /// [`PRIVATE_ELEMENTS_MAX`] elements or `bytes_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn set(&self, account: &BareJid, elements: Vec<PrivateElement>, bytes_max: usize) -> Result<bool, StoreError> {
        let account = account.clone();
        let stored = self
            .database
            .write("store private XML", move |tx| {
                Box::pin(async move {
                    tx.require_account(&account).await?;
                    for element in &elements {
                        let key = [account.as_str().into(), element.namespace.as_str().into(), element.name.as_str().into()];
                        const DELETE: &str = "DELETE FROM private_xml WHERE account = $1 AND namespace = $2 AND name = $3";
                        tx.execute(DELETE, &key).await?;
                        if let Some(content) = &element.content {
                            const INSERT: &str = "INSERT INTO private_xml (account, namespace, name, content) VALUES ($1, $2, $3, $4)";
                            let [account, namespace, name] = key;
                            tx.execute(INSERT, &[account, namespace, name, content.as_ref().into()]).await?;
                        }
                    }
                    const KEPT: &str =
                        "SELECT COUNT(*), CAST(COALESCE(SUM(LENGTH(content)), 0) AS BIGINT) FROM private_xml WHERE account = $1";
                    let kept = tx.fetch_optional(KEPT, &[account.as_str().into()]).await?;
                    let (count, bytes) = kept.map(|row| Ok::<_, StoreError>((row.int(0)?, row.int(1)?))).transpose()?.unwrap_or_default();
                    let fits = |number: i64, max: usize| usize::try_from(number).is_ok_and(|number| number <= max);
                    match fits(count, PRIVATE_ELEMENTS_MAX) && fits(bytes, bytes_max) {
                        true => Ok(()),
                        false => Err(StoreError::Full), // which undoes the job
                    }
                })
            })
            .await;
        match stored {
            Ok(()) => Ok(true),
            Err(StoreError::Full) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
