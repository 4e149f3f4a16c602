//! Whom a stanza for many is for: addresses, worked out once for many stanzas, with the homes in which they were found.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::homes::{Home, Remembered};
use crate::jid::Jid;

/// Addresses whose homes are looked up together.
const BLOCK: usize = 1024;
/// When more than one in so many of a block has moved, the block is looked up anew.
const MOVED_PART: usize = 8;

/// A list of addresses. A clone counts one reference. Of homes that are gone it keeps the memory ([`Remembered`]) of an eighth, and of more until it is
/// next used.
#[derive(Clone, Default)]
pub struct Addressees(Arc<List>);

#[derive(Default)]
struct List {
    jids: Box<[Jid]>,
    /// Of each block of addresses.
    known: Box<[Mutex<Found>]>,
}

/// What is known of a block, once it has been looked up.
type Found = Option<Arc<[Known]>>;

/// An address and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Which address of the block.
    at: u32,
    home: Remembered,
}

/// Some of the addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    jids: &'a [Jid],
    known: &'a Mutex<Found>,
}

impl Addressees {
    /// The addresses, some at a time.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        self.0.jids.chunks(BLOCK).zip(&self.0.known).map(|(jids, known)| Block { jids, known })
    }
}

impl Block<'_> {
    /// The addresses with their homes, in the order in which these lie in memory: sessions and connections, which came to be with them, mostly lie in
    /// that order too, and the processor expects the next where the last one was.
    pub(crate) fn known(&self, find: impl Fn(&Jid) -> Option<Arc<Home>>) -> Arc<[Known]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get_or_insert_with(|| {
                let home = |jid: &Jid| find(jid).as_ref().map(Remembered::from).unwrap_or_default();
                let mut found: Vec<_> = (0..).zip(self.jids).map(|(at, jid)| Known { at, home: home(jid) }).collect();
                found.sort_by_key(|known| known.home.place());
                found.into()
            })
            .clone()
    }

    /// So many are not where they were known to be.
    pub(crate) fn note_moved(&self, count: usize) {
        if count > self.jids.len() / MOVED_PART {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Known {
    pub(crate) fn jid<'a>(&self, of: &Block<'a>) -> &'a Jid {
        &of.jids[self.at as usize]
    }

    /// Its home, looked for if it is not known, and whether that is another than was known.
    pub(crate) fn home(&self, find: impl FnOnce() -> Option<Arc<Home>>) -> (Option<Arc<Home>>, bool) {
        if let Some(home) = self.home.home() {
            return (Some(home), false);
        }
        let found = find();
        let moved = found.is_some() || self.home.was_somewhere();
        (found, moved)
    }
}

impl From<Vec<Jid>> for Addressees {
    fn from(jids: Vec<Jid>) -> Self {
        let known = jids.chunks(BLOCK).map(|_| Mutex::default()).collect();
        Self(Arc::new(List { jids: jids.into(), known }))
    }
}

impl FromIterator<Jid> for Addressees {
    fn from_iter<T: IntoIterator<Item = Jid>>(jids: T) -> Self {
        jids.into_iter().collect::<Vec<_>>().into()
    }
}

impl Deref for Addressees {
    type Target = [Jid];

    fn deref(&self) -> &[Jid] {
        &self.0.jids
    }
}

/// Equal if the addresses are.
impl PartialEq for Addressees {
    fn eq(&self, other: &Self) -> bool {
        self.0.jids == other.0.jids
    }
}

impl fmt::Debug for Addressees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.jids.fmt(f)
    }
}
