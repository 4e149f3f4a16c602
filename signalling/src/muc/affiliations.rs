//! XEP-0045 §5.2: the affiliations of a room. Copies share one table until one of them changes, so that a room is copied as cheaply as it is looked at.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use super::model::{Affiliated, Affiliation};
use crate::jid::BareJid;

/// Who is what, by bare JIDs; read as the map that it is.
#[derive(Debug, Clone, Default)]
pub struct Affiliations {
    table: Arc<Table>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    by_jid: BTreeMap<BareJid, Affiliated>,
    /// §7.10: whose which nickname is; the first one's, if several had it.
    by_nick: BTreeMap<String, BareJid>,
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

    /// The nickname that is nobody else's; outcasts have none.
    fn own_nick(&self) -> Option<&str> {
        self.nick.as_deref().filter(|_| self.affiliation != Affiliation::Outcast)
    }
}

impl Table {
    fn insert(&mut self, jid: BareJid, entry: Affiliated) {
        self.remove(jid.as_str());
        self.bytes += entry.bytes(&jid);
        if let Some(nick) = entry.own_nick()
            && self.by_nick.get(nick).is_none_or(|owner| jid < *owner)
        {
            self.by_nick.insert(nick.to_owned(), jid.clone());
        }
        self.by_jid.insert(jid, entry);
    }

    fn remove(&mut self, jid: &str) {
        let Some((jid, entry)) = self.by_jid.remove_entry(jid) else { return };
        self.bytes -= entry.bytes(&jid);
        let Some(nick) = entry.own_nick().filter(|nick| self.by_nick.get(*nick) == Some(&jid)) else { return };
        self.by_nick.remove(nick);
        if let Some((other, _)) = self.by_jid.iter().find(|(_, other)| other.own_nick() == Some(nick)) {
            self.by_nick.insert(nick.to_owned(), other.clone());
        }
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

    /// §7.10: whose nickname this is.
    #[must_use]
    pub fn owner_of(&self, nick: &str) -> Option<&BareJid> {
        self.table.by_nick.get(nick)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::fixtures::bare;

    #[test]
    fn a_nickname_leads_to_whose_it_is() {
        let mut affiliations = Affiliations::default();
        let entry = |affiliation, nick: &str| Affiliated { affiliation, nick: Some(nick.to_owned()), reason: None };
        let (hag, hecate, crone) = (bare("hag66"), bare("hecate"), bare("crone1"));
        affiliations.insert(hecate.clone(), entry(Affiliation::Member, "witch"));
        affiliations.insert(hag.clone(), entry(Affiliation::None, "witch"));
        affiliations.insert(crone.clone(), entry(Affiliation::Outcast, "witch"));
        assert_eq!(affiliations.owner_of("witch"), Some(&hag), "the first who is no outcast");
        affiliations.insert(hag.clone(), entry(Affiliation::None, "hag"));
        assert_eq!((affiliations.owner_of("witch"), affiliations.owner_of("hag")), (Some(&hecate), Some(&hag)));
        let copy = affiliations.clone();
        affiliations.remove(hecate.as_str());
        affiliations.insert(hag.clone(), entry(Affiliation::Outcast, "hag"));
        assert_eq!((affiliations.owner_of("witch"), affiliations.owner_of("hag")), (None, None));
        assert_eq!((copy.owner_of("witch"), copy.owner_of("hag")), (Some(&hecate), Some(&hag)), "a copy stays as it was");
        affiliations.remove(hag.as_str());
        affiliations.remove(crone.as_str());
        assert_eq!((affiliations.len(), affiliations.bytes()), (0, 0));
    }
}
