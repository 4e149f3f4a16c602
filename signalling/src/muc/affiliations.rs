//! XEP-0045 §5.2: the affiliations of a room. Copies share one table until one of them changes, so that a room is copied as cheaply as it is looked at.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::model::Affiliated;
use crate::jid::BareJid;

/// Who is what, by bare JIDs; read as the map that it is.
#[derive(Debug, Clone, Default)]
pub struct Affiliations {
    table: Arc<Table>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    by_jid: BTreeMap<BareJid, Affiliated>,
    /// Bytes of all entries.
    bytes: usize,
}

/// What an entry takes besides what it says, in a list.
const ENTRY_BYTES: usize = 40;

impl Affiliated {
    /// What it takes, with the address whose entry it is.
    #[must_use]
    pub fn bytes(&self, jid: &BareJid) -> usize {
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        ENTRY_BYTES + jid.as_str().len() + of(&self.nick) + of(&self.reason)
    }
}

impl Table {
    fn insert(&mut self, jid: BareJid, entry: Affiliated) {
        self.remove(jid.as_str());
        self.bytes += entry.bytes(&jid);
        self.by_jid.insert(jid, entry);
    }

    fn remove(&mut self, jid: &str) {
        let Some((jid, entry)) = self.by_jid.remove_entry(jid) else { return };
        self.bytes -= entry.bytes(&jid);
    }
}

impl Affiliations {
    /// An entry is this one from now on.
    pub fn insert(&mut self, jid: BareJid, entry: Affiliated) {
        Arc::make_mut(&mut self.table).insert(jid, entry);
    }

    /// An entry is there no more.
    pub fn remove(&mut self, jid: &str) {
        if self.table.by_jid.contains_key(jid) {
            Arc::make_mut(&mut self.table).remove(jid);
        }
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.bytes
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
        &self.table.by_jid
    }
}

impl PartialEq for Affiliations {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table) || self.table.by_jid == other.table.by_jid
    }
}

impl Eq for Affiliations {}

impl FromIterator<(BareJid, Affiliated)> for Affiliations {
    fn from_iter<I: IntoIterator<Item = (BareJid, Affiliated)>>(entries: I) -> Self {
        let mut table = Table::default();
        entries.into_iter().for_each(|(jid, entry)| table.insert(jid, entry));
        Self { table: Arc::new(table) }
    }
}

impl<const N: usize> From<[(BareJid, Affiliated); N]> for Affiliations {
    fn from(entries: [(BareJid, Affiliated); N]) -> Self {
        entries.into_iter().collect()
    }
}
