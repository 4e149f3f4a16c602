//! Rosters and pending subscription requests: RFC 6121 §2 and §3.1.3.
//!
//! Each account has a version counter; it grows with every change of an item, and each item keeps the version of its last change (§2.6).

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

use super::database::{Database, Row, Tx};
use super::{StoreError, from_millis, to_millis};
use crate::jid::BareJid;

/// Pending subscription requests of one account; more are refused, since strangers fill this table.
pub const REQUESTS_MAX: u32 = 256;

/// Removed items of one account that are remembered, so that devices which were away hear of them (§2.6.3).
pub const REMOVALS_MAX: u32 = 500;

/// Which state of which roster (RFC 6121 §2.6): the counter, and the birth of the account, since a later account of the same name counts
/// from 0 again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RosterVersion {
    /// When the account was made, milliseconds since 1970.
    pub epoch: i64,
    /// Changes of items since.
    pub number: u64,
}

impl RosterVersion {
    /// Reads the attribute `ver`; `None` for what no server of ours has written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.split_once('-')?;
        Some(Self { epoch: i64::from_str_radix(epoch, 36).ok()?, number: number.parse().ok()? })
    }
}

/// The attribute `ver`.
impl fmt::Display for RosterVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let (mut rest, mut digits) = (self.epoch.unsigned_abs(), Vec::with_capacity(13));
        loop {
            digits.push(char::from(DIGITS[(rest % 36) as usize]));
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        write!(f, "{}-{}", digits.iter().rev().collect::<String>(), self.number)
    }
}

/// RFC 6121 §2.1.2.5, as the account's owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subscription {
    /// Neither side sees the other's presence.
    #[default]
    None,
    /// The owner sees the contact's presence.
    To,
    /// The contact sees the owner's presence.
    From,
    /// Both.
    Both,
}

impl Subscription {
    /// The attribute's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    /// Reads the attribute's value; `remove` is none of these.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "to" => Self::To,
            "from" => Self::From,
            "both" => Self::Both,
            _ => return None,
        })
    }

    /// Whether the owner sees the contact's presence.
    #[must_use]
    pub fn is_to(self) -> bool {
        matches!(self, Self::To | Self::Both)
    }

    /// Whether the contact sees the owner's presence.
    #[must_use]
    pub fn is_from(self) -> bool {
        matches!(self, Self::From | Self::Both)
    }

    /// The state with these two halves.
    #[must_use]
    pub fn of(to: bool, from: bool) -> Self {
        match (to, from) {
            (false, false) => Self::None,
            (true, false) => Self::To,
            (false, true) => Self::From,
            (true, true) => Self::Both,
        }
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A roster item: RFC 6121 §2.1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterItem {
    /// The contact.
    pub jid: BareJid,
    /// The owner's name for the contact (§2.1.2.4).
    pub name: Option<String>,
    /// §2.1.2.5.
    pub subscription: Subscription,
    /// A subscription was asked for and not yet answered: `ask='subscribe'` (§2.1.2.2).
    pub ask: bool,
    /// The contact's request is approved beforehand (§2.1.2.1, §3.4).
    pub approved: bool,
    /// §2.1.2.6, in the order the client gave them.
    pub groups: Vec<String>,
}

impl RosterItem {
    /// An item without name, groups and subscription.
    #[must_use]
    pub fn new(jid: BareJid) -> Self {
        Self { jid, name: None, subscription: Subscription::None, ask: false, approved: false, groups: Vec::new() }
    }
}

/// A request that waits for the owner's answer: RFC 6121 §3.1.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRequest {
    /// Who asks.
    pub from: BareJid,
    /// The presence stanza as it was given to [`Rosters::add_request`].
    pub stanza: Bytes,
    /// When it came first.
    pub received_at: SystemTime,
}

/// What became of one item since an older version of the roster: RFC 6121 §2.6.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterUpdate {
    /// It is like this now.
    Set(RosterItem),
    /// It is gone.
    Removed(BareJid),
}

/// One step of [`Rosters::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterChange {
    /// Adds or replaces an item.
    Set(RosterItem),
    /// Removes the contact's item, if there is one.
    Remove(BareJid),
    /// Keeps a request; a second one of the same contact replaces the first. Beyond [`REQUESTS_MAX`] it is left out.
    AddRequest {
        /// Who asks.
        from: BareJid,
        /// The presence stanza, whole.
        stanza: Bytes,
    },
    /// Forgets the contact's request, if there is one.
    RemoveRequest(BareJid),
}

/// The rosters of all accounts.
#[derive(Clone)]
pub struct Rosters {
    database: Database,
}

impl Rosters {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The account's items in the order of their addresses; empty for an unknown account.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, account: &BareJid) -> Result<Vec<RosterItem>, StoreError> {
        Ok(self.load_versioned(account).await?.1)
    }

    /// The account's roster version and its items, as of one moment.
    ///
    /// # Errors
    /// The database's.
    pub async fn load_versioned(&self, account: &BareJid) -> Result<(RosterVersion, Vec<RosterItem>), StoreError> {
        const SQL: &str = "SELECT a.roster_version, r.contact, r.name, r.subscription, r.ask, r.approved, r.group_names, a.created_at
                           FROM accounts a LEFT JOIN roster_items r ON r.account = a.jid WHERE a.jid = $1 ORDER BY r.contact";
        let rows = self.database.fetch_all("load a roster", SQL, &[account.as_str().into()]).await?;
        let version = rows.first().map(|row| Ok::<_, StoreError>(RosterVersion { epoch: row.int(7)?, number: to_version(row.int(0)?) }));
        let version = version.transpose()?.unwrap_or_default();
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.is_null(1)? {
                continue; // an empty roster
            }
            match read_item(row) {
                Ok(item) => items.push(item),
                // One bad row must not take the whole roster away from its owner.
                Err(error) => tracing::error!(%account, %error, "a roster item is left out"),
            }
        }
        Ok((version, items))
    }

    /// What has changed since a version, in order, each with the version of its change; `None` where that is no longer known.
    ///
    /// # Errors
    /// The database's.
    pub async fn changes_since(&self, account: &BareJid, since: u64) -> Result<Option<Vec<(u64, RosterUpdate)>>, StoreError> {
        const KNOWN: &str = "SELECT roster_complete_from FROM accounts WHERE jid = $1";
        // The place of each column is that of `read_item`.
        const SQL: &str = "SELECT version, contact, name, subscription, ask, approved, group_names FROM roster_items
                               WHERE account = $1 AND version > $2
                           UNION ALL SELECT version, contact, CAST(NULL AS TEXT), 'remove', 0, 0, '[]' FROM roster_removals
                               WHERE account = $1 AND version > $2
                           ORDER BY version";
        let doing = "load the changes of a roster";
        let Some(known) = self.database.fetch_optional(doing, KNOWN, &[account.as_str().into()]).await? else { return Ok(None) };
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        if since < known.int(0)? {
            return Ok(None);
        }
        let rows = self.database.fetch_all(doing, SQL, &[account.as_str().into(), since.into()]).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let update = match row.text(3)?.as_str() {
                "remove" => RosterUpdate::Removed(read_jid(row, 1, "roster_removals.contact")?),
                _ => RosterUpdate::Set(read_item(row)?),
            };
            changes.push((to_version(row.int(0)?), update));
        }
        Ok(Some(changes))
    }

    /// Adds or replaces an item; the roster's new version.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn set(&self, account: &BareJid, item: &RosterItem) -> Result<u64, StoreError> {
        self.apply(account, vec![RosterChange::Set(item.clone())]).await
    }

    /// Removes an item, if it is there; the roster's version after it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn remove(&self, account: &BareJid, contact: &BareJid) -> Result<u64, StoreError> {
        self.apply(account, vec![RosterChange::Remove(contact.clone())]).await
    }

    /// Keeps a subscription request whole. See [`RosterChange::AddRequest`].
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn add_request(&self, account: &BareJid, from: &BareJid, stanza: Bytes) -> Result<(), StoreError> {
        self.apply(account, vec![RosterChange::AddRequest { from: from.clone(), stanza }]).await.map(drop)
    }

    /// Forgets a subscription request, if it is there.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn remove_request(&self, account: &BareJid, from: &BareJid) -> Result<(), StoreError> {
        self.apply(account, vec![RosterChange::RemoveRequest(from.clone())]).await.map(drop)
    }

    /// Applies several changes together or not at all; the roster's version after them.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn apply(&self, account: &BareJid, changes: Vec<RosterChange>) -> Result<u64, StoreError> {
        let account = account.clone();
        let now = to_millis(SystemTime::now());
        self.database
            .write("change a roster", move |tx| {
                Box::pin(async move {
                    // The counter first: it finds out whether the account is there, and its row lock puts concurrent changes in a row.
                    let touched = changes.iter().any(|change| matches!(change, RosterChange::Set(_) | RosterChange::Remove(_)));
                    const SQL: &str = "UPDATE accounts SET roster_version = roster_version + $2 WHERE jid = $1 RETURNING roster_version";
                    let Some(row) = tx.fetch_optional(SQL, &[account.as_str().into(), touched.into()]).await? else {
                        return Err(StoreError::NoSuchAccount(account));
                    };
                    let version = row.int(0)?;
                    for change in &changes {
                        apply_one(tx, &account, change, version, now).await?;
                    }
                    Ok(to_version(version))
                })
            })
            .await
    }

    /// The requests that wait for an answer, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn requests(&self, account: &BareJid) -> Result<Vec<SubscriptionRequest>, StoreError> {
        const SQL: &str = "SELECT contact, stanza, received_at FROM subscription_requests WHERE account = $1 ORDER BY received_at, contact";
        let rows = self.database.fetch_all("load subscription requests", SQL, &[account.as_str().into()]).await?;
        let mut requests = Vec::with_capacity(rows.len());
        for row in &rows {
            match read_jid(row, 0, "subscription_requests.contact") {
                Ok(from) => {
                    let stanza = Bytes::from(row.bytes(1)?);
                    requests.push(SubscriptionRequest { from, stanza, received_at: from_millis(row.int(2)?) });
                }
                Err(error) => tracing::error!(%account, %error, "a subscription request is left out"),
            }
        }
        Ok(requests)
    }
}

async fn apply_one(tx: &mut Tx, account: &BareJid, change: &RosterChange, version: i64, now: i64) -> Result<(), StoreError> {
    match change {
        RosterChange::Set(item) => {
            const SQL: &str = "INSERT INTO roster_items (account, contact, name, subscription, ask, approved, group_names, version)
                               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                               ON CONFLICT (account, contact) DO UPDATE SET name = excluded.name, subscription = excluded.subscription,
                                   ask = excluded.ask, approved = excluded.approved, group_names = excluded.group_names,
                                   version = excluded.version";
            let groups = serde_json::to_string(&item.groups).expect("a list of strings is always JSON");
            let values = [
                account.as_str().into(),
                item.jid.as_str().into(),
                item.name.as_deref().into(),
                item.subscription.name().into(),
                item.ask.into(),
                item.approved.into(),
                groups.as_str().into(),
                version.into(),
            ];
            tx.execute(SQL, &values).await?;
            const BACK: &str = "DELETE FROM roster_removals WHERE account = $1 AND contact = $2";
            tx.execute(BACK, &[account.as_str().into(), item.jid.as_str().into()]).await?;
        }
        RosterChange::Remove(contact) => {
            const SQL: &str = "DELETE FROM roster_items WHERE account = $1 AND contact = $2";
            if tx.execute(SQL, &[account.as_str().into(), contact.as_str().into()]).await? > 0 {
                remember_removal(tx, account, contact, version).await?;
            }
        }
        RosterChange::AddRequest { from, stanza } => {
            const COUNT: &str = "SELECT COUNT(*) FROM subscription_requests WHERE account = $1 AND contact <> $2";
            let others = tx.fetch_optional(COUNT, &[account.as_str().into(), from.as_str().into()]).await?;
            if others.map(|row| row.int(0)).transpose()?.unwrap_or_default() >= i64::from(REQUESTS_MAX) {
                tracing::warn!(%account, %from, "too many subscription requests wait for an answer, one is not kept");
                return Ok(());
            }
            const SQL: &str = "INSERT INTO subscription_requests (account, contact, stanza, received_at) VALUES ($1, $2, $3, $4)
                               ON CONFLICT (account, contact) DO UPDATE SET stanza = excluded.stanza";
            tx.execute(SQL, &[account.as_str().into(), from.as_str().into(), stanza.as_ref().into(), now.into()]).await?;
        }
        RosterChange::RemoveRequest(from) => {
            const SQL: &str = "DELETE FROM subscription_requests WHERE account = $1 AND contact = $2";
            tx.execute(SQL, &[account.as_str().into(), from.as_str().into()]).await?;
        }
    }
    Ok(())
}

/// §2.6.3: the newest removals are kept; versions before those that are dropped can no longer be brought up to date.
async fn remember_removal(tx: &mut Tx, account: &BareJid, contact: &BareJid, version: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO roster_removals (account, contact, version) VALUES ($1, $2, $3)
                       ON CONFLICT (account, contact) DO UPDATE SET version = excluded.version";
    const SURPLUS: &str = "SELECT version FROM roster_removals WHERE account = $1 ORDER BY version DESC LIMIT 1 OFFSET $2";
    const DROP: &str = "DELETE FROM roster_removals WHERE account = $1 AND version <= $2";
    const INCOMPLETE: &str = "UPDATE accounts SET roster_complete_from = $2 WHERE jid = $1";
    tx.execute(SQL, &[account.as_str().into(), contact.as_str().into(), version.into()]).await?;
    if let Some(surplus) = tx.fetch_optional(SURPLUS, &[account.as_str().into(), i64::from(REMOVALS_MAX).into()]).await? {
        let values = [account.as_str().into(), surplus.int(0)?.into()];
        tx.execute(DROP, &values).await?;
        tx.execute(INCOMPLETE, &values).await?;
    }
    Ok(())
}

fn read_item(row: &Row) -> Result<RosterItem, StoreError> {
    let subscription = row.text(3)?;
    let groups = row.text(6)?;
    Ok(RosterItem {
        jid: read_jid(row, 1, "roster_items.contact")?,
        name: row.optional_text(2)?,
        subscription: Subscription::from_name(&subscription)
            .ok_or(StoreError::Corrupt { place: "roster_items.subscription", cause: subscription })?,
        ask: row.flag(4)?,
        approved: row.flag(5)?,
        groups: serde_json::from_str(&groups)
            .map_err(|error| StoreError::Corrupt { place: "roster_items.group_names", cause: error.to_string() })?,
    })
}

fn read_jid(row: &Row, column: usize, place: &'static str) -> Result<BareJid, StoreError> {
    BareJid::parse(&row.text(column)?).map_err(|error| StoreError::Corrupt { place, cause: error.to_string() })
}

fn to_version(version: i64) -> u64 {
    u64::try_from(version).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_6_versions_are_read_back_and_others_are_unknown() {
        for (epoch, number) in [(0, 0), (1_795_644_352_123, 42), (i64::MAX, u64::MAX)] {
            let version = RosterVersion { epoch, number };
            assert_eq!(RosterVersion::parse(&version.to_string()), Some(version), "{version}");
        }
        assert_eq!(RosterVersion { epoch: 36, number: 7 }.to_string(), "10-7");
        for unknown in ["", "7", "-", "10-", "10-x", "!-1", "10--1"] {
            assert_eq!(RosterVersion::parse(unknown), None, "{unknown}");
        }
    }
}
