//! What an account wants archived: XEP-0441.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::super::database::Row;
use super::{Archive, StoreError};
use crate::jid::{BareJid, Jid};

/// §2.1.1: what happens with whoever is on neither list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Policy {
    /// All messages are archived.
    #[default]
    Always,
    /// Those from and to contacts of the roster.
    Roster,
    /// None.
    Never,
}

impl Policy {
    /// The attribute's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Roster => "roster",
            Self::Never => "never",
        }
    }

    /// Reads the attribute's value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    const ALL: [Self; 3] = [Self::Always, Self::Roster, Self::Never];
}

/// §2.1: an account's preferences.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preferences {
    /// For everyone else; `None` where the account has not said anything and the server's default counts.
    pub policy: Option<Policy>,
    /// §2.1.2.
    pub always: BTreeSet<Jid>,
    /// §2.1.3. An address on both lists is not archived: what somebody wants forgotten weighs more.
    pub never: BTreeSet<Jid>,
}

impl Preferences {
    /// Whether messages from or to `peer` are archived: §2.1.1 and §2.3. `default` is the server's.
    pub fn archives(&self, peer: &Jid, default: Policy, in_roster: impl FnOnce(&str) -> bool) -> bool {
        // §2.3.1: an address with a resource is compared as it is, one without with the bare address.
        let listed = |list: &BTreeSet<Jid>| !list.is_empty() && (list.contains(peer.as_str()) || list.contains(peer.bare_str()));
        if listed(&self.never) {
            return false;
        }
        if listed(&self.always) {
            return true;
        }
        match self.policy.unwrap_or(default) {
            Policy::Always => true,
            Policy::Roster => in_roster(peer.bare_str()),
            Policy::Never => false,
        }
    }
}

impl Archive {
    /// What is archived for accounts that have not said otherwise.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let policy = self.policy.load(Ordering::Relaxed);
        Policy::ALL.into_iter().find(|known| *known as u8 == policy).unwrap_or_default()
    }

    /// Says what is archived for accounts that have not said otherwise.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(policy as u8, Ordering::Relaxed);
    }

    /// Replaces what the account wants archived. A policy that is not set becomes the server's.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], or the database's.
    pub async fn set_preferences(&self, account: &BareJid, preferences: &Preferences) -> Result<(), StoreError> {
        let account = account.clone();
        let policy = preferences.policy.unwrap_or(self.policy());
        let [always, never] = [&preferences.always, &preferences.never].map(list);
        self.database
            .write("change archive preferences", move |tx| {
                Box::pin(async move {
                    const SQL: &str = "INSERT INTO archive_preferences (account, policy, always, never)
                                       SELECT jid, $2, $3, $4 FROM accounts WHERE jid = $1
                                       ON CONFLICT (account) DO UPDATE SET policy = excluded.policy, always = excluded.always,
                                           never = excluded.never";
                    let values = [account.as_str().into(), policy.name().into(), always.as_str().into(), never.as_str().into()];
                    match tx.execute(SQL, &values).await? {
                        0 => Err(StoreError::NoSuchAccount(account)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

fn list(addresses: &BTreeSet<Jid>) -> String {
    let texts: Vec<&str> = addresses.iter().map(Jid::as_str).collect();
    serde_json::to_string(&texts).expect("a list of strings is always JSON")
}

/// Reads the three columns from `first` on.
pub(super) fn read(row: &Row, first: usize) -> Result<Preferences, StoreError> {
    let corrupt = |place, cause| StoreError::Corrupt { place, cause };
    let addresses = |column: usize, place: &'static str| {
        let texts: Vec<String> = serde_json::from_str(&row.text(column)?).map_err(|error| corrupt(place, error.to_string()))?;
        texts.iter().map(|text| Jid::parse(text)).collect::<Result<BTreeSet<_>, _>>().map_err(|error| corrupt(place, error.to_string()))
    };
    let policy = row.text(first)?;
    Ok(Preferences {
        policy: Some(Policy::from_name(&policy).ok_or_else(|| corrupt("archive_preferences.policy", policy))?),
        always: addresses(first + 1, "archive_preferences.always")?,
        never: addresses(first + 2, "archive_preferences.never")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(addresses: &[&str]) -> BTreeSet<Jid> {
        addresses.iter().map(|text| Jid::parse(text).unwrap()).collect()
    }

    #[test]
    fn s2_3_1_lists_and_policy() {
        let contacts = ["friend@x"];
        let check = |policy, always: &[&str], never: &[&str], peer: &str, expected| {
            let preferences = Preferences { policy, always: set(always), never: set(never) };
            let found = preferences.archives(&Jid::parse(peer).unwrap(), Policy::Roster, |bare| contacts.contains(&bare));
            assert_eq!(found, expected, "{policy:?} {always:?} {never:?} {peer}");
        };
        for (policy, friend, stranger) in [
            (Some(Policy::Always), true, true),
            (Some(Policy::Roster), true, false),
            (Some(Policy::Never), false, false),
            (None, true, false),
        ] {
            check(policy, &[], &[], "friend@x/phone", friend);
            check(policy, &[], &[], "stranger@x", stranger);
        }
        // A bare address matches every resource, a full one itself only.
        check(Some(Policy::Never), &["a@x"], &[], "a@x/r", true);
        check(Some(Policy::Never), &["a@x"], &[], "a@x", true);
        check(Some(Policy::Never), &["a@x/r"], &[], "a@x/r", true);
        check(Some(Policy::Never), &["a@x/r"], &[], "a@x", false);
        check(Some(Policy::Always), &[], &["A@X"], "a@x/r", false);
        check(Some(Policy::Always), &["a@x/r"], &["a@x"], "a@x/r", false);
    }
}
