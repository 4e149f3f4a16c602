//! XEP-0045 §5.2: the affiliations of a room. Copies share one table until one of them changes, so that a room is copied as cheaply as it is looked at.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::model::Affiliated;
use crate::jid::BareJid;

/// Who is what, by bare JIDs; read as the map that it is.
#[derive(Debug, Clone, Default)]
pub struct Affiliations {
    table: Arc<BTreeMap<BareJid, Affiliated>>,
}

impl Affiliations {
    /// An entry is this one from now on.
    pub fn insert(&mut self, jid: BareJid, entry: Affiliated) {
        Arc::make_mut(&mut self.table).insert(jid, entry);
    }

    /// An entry is there no more.
    pub fn remove(&mut self, jid: &str) {
        if self.table.contains_key(jid) {
            Arc::make_mut(&mut self.table).remove(jid);
        }
    }

    /// Whether these are in memory once: nothing was copied.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }
}

impl Deref for Affiliations {
    type Target = BTreeMap<BareJid, Affiliated>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl PartialEq for Affiliations {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table) || self.table == other.table
    }
}

impl Eq for Affiliations {}

impl FromIterator<(BareJid, Affiliated)> for Affiliations {
    fn from_iter<I: IntoIterator<Item = (BareJid, Affiliated)>>(entries: I) -> Self {
        Self { table: Arc::new(entries.into_iter().collect()) }
    }
}

impl<const N: usize> From<[(BareJid, Affiliated); N]> for Affiliations {
    fn from(entries: [(BareJid, Affiliated); N]) -> Self {
        entries.into_iter().collect()
    }
}
