//! Accounts and what is kept of their passwords: RFC 5802 §3, never the password itself.

use std::num::NonZeroU32;
use std::time::SystemTime;

use super::database::{Database, Row, Tx};
use super::{StoreError, farewells, from_millis, pubsub, revocations, rooms, sessions, to_millis};
use crate::auth::{ScramHash, ScramKeys, ScramSet};
use crate::jid::BareJid;

/// An account as the administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub jid: BareJid,
    /// When it was made.
    pub created_at: SystemTime,
    /// When its password was last set.
    pub password_changed_at: SystemTime,
    /// Whether log-ins are refused: RFC 6120 §6.5.2.
    pub disabled: Option<Disabled>,
    /// Whether it goes with its session: XEP-0175.
    pub anonymous: bool,
}

/// An account's log-ins are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disabled {
    /// What its owner is told of the reason.
    pub reason: Option<String>,
}

/// What a log-in needs to know.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The keys, one set per hash function.
    pub keys: ScramSet,
    /// Whether log-ins are refused.
    pub disabled: Option<Disabled>,
}

/// Columns that [`read_account`] reads.
macro_rules! select_accounts {
    ($rest:literal) => {
        concat!("SELECT jid, created_at, password_changed_at, disabled, disabled_reason, anonymous FROM accounts ", $rest)
    };
}

/// The accounts of all domains.
#[derive(Clone)]
pub struct Accounts {
    database: Database,
}

impl Accounts {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`StoreError::AccountExists`], or the database's.
    pub async fn create(&self, account: &BareJid, keys: &ScramSet) -> Result<(), StoreError> {
        self.insert(account, keys, false).await
    }

    /// Makes an account that nobody can log in to, for the one session of XEP-0175.
    ///
    /// # Errors
    /// As for [`Accounts::create`].
    pub async fn create_anonymous(&self, account: &BareJid) -> Result<(), StoreError> {
        self.insert(account, &ScramSet::default(), true).await
    }

    async fn insert(&self, account: &BareJid, keys: &ScramSet, anonymous: bool) -> Result<(), StoreError> {
        let (account, keys) = (account.clone(), keys.clone());
        let now = to_millis(SystemTime::now());
        self.database
            .write("create an account", move |tx| {
                Box::pin(async move {
                    const SQL: &str = "INSERT INTO accounts (jid, domain, created_at, password_changed_at, anonymous)
                                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (jid) DO NOTHING";
                    let values = [account.as_str().into(), account.domain().into(), now.into(), now.into(), anonymous.into()];
                    if tx.execute(SQL, &values).await? == 0 {
                        return Err(StoreError::AccountExists(account));
                    }
                    insert_keys(tx, &account, &keys).await
                })
            })
            .await
    }

    /// Removes an account and all that belongs to it, and voids its TURN credentials; whether it was there. What its contacts are to be told is
    /// left in [`super::Farewells`].
    ///
    /// # Errors
    /// The database's.
    pub async fn delete(&self, account: &BareJid) -> Result<bool, StoreError> {
        let account = account.clone();
        let now = to_millis(SystemTime::now());
        self.database
            .write("delete an account", move |tx| {
                Box::pin(async move {
                    farewells::insert(tx, &account).await?;
                    let deleted = tx.execute("DELETE FROM accounts WHERE jid = $1", &[account.as_str().into()]).await? > 0;
                    if deleted {
                        revocations::insert(tx, &account, now).await?;
                        pubsub::remove(tx, &account).await?;
                        rooms::remove(tx, &account).await?;
                    }
                    Ok(deleted)
                })
            })
            .await
    }

    /// Whether there is such an account.
    ///
    /// # Errors
    /// The database's.
    pub async fn exists(&self, account: &BareJid) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT jid FROM accounts WHERE jid = $1";
        Ok(self.database.fetch_optional("look up an account", SQL, &[account.as_str().into()]).await?.is_some())
    }

    /// The account's administrative data.
    ///
    /// # Errors
    /// The database's.
    pub async fn get(&self, account: &BareJid) -> Result<Option<Account>, StoreError> {
        const SQL: &str = select_accounts!("WHERE jid = $1");
        self.database.fetch_optional("look up an account", SQL, &[account.as_str().into()]).await?.map(|row| read_account(&row)).transpose()
    }

    /// The account's keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn keys(&self, account: &BareJid) -> Result<Option<ScramSet>, StoreError> {
        Ok(self.credentials(account).await?.map(|credentials| credentials.keys))
    }

    /// The account's keys and whether it may log in.
    ///
    /// # Errors
    /// The database's.
    pub async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>, StoreError> {
        const SQL: &str = "SELECT a.disabled, k.hash, k.salt, k.iterations, k.stored_key, k.server_key, a.disabled_reason
                           FROM accounts a LEFT JOIN account_keys k ON k.account = a.jid WHERE a.jid = $1";
        let mut found = None;
        for row in self.database.fetch_all("load an account's keys", SQL, &[account.as_str().into()]).await? {
            let credentials = found.get_or_insert(Credentials { keys: ScramSet::default(), disabled: read_disabled(&row, 0, 6)? });
            // No row of keys: an account that cannot log in by password. A hash this program does not know is left alone.
            if !row.is_null(1)?
                && let Some(hash) = ScramHash::from_name(&row.text(1)?)
            {
                credentials.keys.set(hash, read_keys(&row)?);
            }
        }
        Ok(found)
    }

    /// Replaces the account's keys, and voids its TURN credentials.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn set_keys(&self, account: &BareJid, keys: &ScramSet) -> Result<(), StoreError> {
        let (account, keys) = (account.clone(), keys.clone());
        let now = to_millis(SystemTime::now());
        self.database
            .write("change a password", move |tx| {
                Box::pin(async move {
                    // It grows, also within a millisecond: each change can be told from the one before.
                    const SQL: &str = "UPDATE accounts SET password_changed_at =
                                           CASE WHEN password_changed_at < $2 THEN $2 ELSE password_changed_at + 1 END
                                       WHERE jid = $1";
                    if tx.execute(SQL, &[account.as_str().into(), now.into()]).await? == 0 {
                        return Err(StoreError::NoSuchAccount(account));
                    }
                    replace_keys(tx, &account, &keys, now).await
                })
            })
            .await
    }

    /// The same if the password is still that of `since`; when the new one was set, or `None` if another change or a removal came first.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_keys_after(&self, account: &BareJid, keys: &ScramSet, since: SystemTime) -> Result<Option<SystemTime>, StoreError> {
        let (account, keys) = (account.clone(), keys.clone());
        let since = to_millis(since);
        let now = to_millis(SystemTime::now()).max(since.saturating_add(1));
        self.database
            .write("change a password", move |tx| {
                Box::pin(async move {
                    const SQL: &str = "UPDATE accounts SET password_changed_at = $2 WHERE jid = $1 AND password_changed_at = $3";
                    if tx.execute(SQL, &[account.as_str().into(), now.into(), since.into()]).await? == 0 {
                        return Ok(None);
                    }
                    replace_keys(tx, &account, &keys, now).await?;
                    Ok(Some(from_millis(now)))
                })
            })
            .await
    }

    /// Refuses the account's log-ins, and voids its TURN credentials.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn disable(&self, account: &BareJid, disabled: &Disabled) -> Result<(), StoreError> {
        let (account, disabled) = (account.clone(), disabled.clone());
        let now = to_millis(SystemTime::now());
        self.database
            .write("disable an account", move |tx| {
                Box::pin(async move {
                    const SQL: &str = "UPDATE accounts SET disabled = 1, disabled_reason = $2 WHERE jid = $1";
                    if tx.execute(SQL, &[account.as_str().into(), disabled.reason.as_deref().into()]).await? == 0 {
                        return Err(StoreError::NoSuchAccount(account));
                    }
                    sessions::forget(tx, &account).await?;
                    revocations::insert(tx, &account, now).await
                })
            })
            .await
    }

    /// Allows the account's log-ins again.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn enable(&self, account: &BareJid) -> Result<(), StoreError> {
        let account = account.clone();
        self.database
            .write("enable an account", move |tx| {
                Box::pin(async move {
                    const SQL: &str = "UPDATE accounts SET disabled = 0, disabled_reason = NULL WHERE jid = $1";
                    match tx.execute(SQL, &[account.as_str().into()]).await? {
                        0 => Err(StoreError::NoSuchAccount(account)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// Up to `count` anonymous accounts: at the start, those that a crash has left.
    ///
    /// # Errors
    /// The database's.
    pub async fn anonymous(&self, count: u32) -> Result<Vec<Account>, StoreError> {
        const SQL: &str = select_accounts!("WHERE anonymous = 1 ORDER BY jid LIMIT $1");
        let rows = self.database.fetch_all("list anonymous accounts", SQL, &[i64::from(count).into()]).await?;
        rows.iter().map(read_account).collect()
    }

    /// Up to `count` accounts in the order of their addresses, beginning behind `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(&self, after: Option<&BareJid>, count: u32) -> Result<Vec<Account>, StoreError> {
        const SQL: &str = select_accounts!("WHERE jid > $1 ORDER BY jid LIMIT $2");
        let after = after.map_or("", |jid| jid.as_str());
        let rows = self.database.fetch_all("list accounts", SQL, &[after.into(), i64::from(count).into()]).await?;
        rows.iter().map(read_account).collect()
    }

    /// All accounts in the order of their addresses: for the command line; [`Self::page`] is bounded.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self) -> Result<Vec<Account>, StoreError> {
        const PAGE: u32 = 1000;
        let mut all = Vec::new();
        loop {
            let page = self.page(all.last().map(|account: &Account| &account.jid), PAGE).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// How many accounts there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let row = self.database.fetch_optional("count the accounts", "SELECT COUNT(*) FROM accounts", &[]).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
    }
}

/// What else goes with a new password.
async fn replace_keys(tx: &mut Tx, account: &BareJid, keys: &ScramSet, now_ms: i64) -> Result<(), StoreError> {
    revocations::insert(tx, account, now_ms).await?;
    sessions::forget(tx, account).await?;
    tx.execute("DELETE FROM account_keys WHERE account = $1", &[account.as_str().into()]).await?;
    insert_keys(tx, account, keys).await
}

async fn insert_keys(tx: &mut Tx, account: &BareJid, keys: &ScramSet) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO account_keys (account, hash, salt, iterations, stored_key, server_key) VALUES ($1, $2, $3, $4, $5, $6)";
    for (hash, keys) in keys.iter() {
        let values = [
            account.as_str().into(),
            hash.name().into(),
            keys.salt().into(),
            i64::from(keys.iterations().get()).into(),
            keys.stored_key().into(),
            keys.server_key().into(),
        ];
        tx.execute(SQL, &values).await?;
    }
    Ok(())
}

fn read_account(row: &Row) -> Result<Account, StoreError> {
    let jid = BareJid::parse(&row.text(0)?).map_err(|cause| StoreError::Corrupt { place: "accounts.jid", cause: cause.to_string() })?;
    Ok(Account {
        jid,
        created_at: from_millis(row.int(1)?),
        password_changed_at: from_millis(row.int(2)?),
        disabled: read_disabled(row, 3, 4)?,
        anonymous: row.flag(5)?,
    })
}

fn read_disabled(row: &Row, flag: usize, reason: usize) -> Result<Option<Disabled>, StoreError> {
    Ok(if row.flag(flag)? { Some(Disabled { reason: row.optional_text(reason)? }) } else { None })
}

fn read_keys(row: &Row) -> Result<ScramKeys, StoreError> {
    let iterations = u32::try_from(row.int(3)?).ok().and_then(NonZeroU32::new);
    let iterations = iterations
        .ok_or_else(|| StoreError::Corrupt { place: "account_keys.iterations", cause: "not a positive 32-bit number".to_owned() })?;
    Ok(ScramKeys::new(row.bytes(2)?, iterations, row.bytes(4)?, row.bytes(5)?))
}
