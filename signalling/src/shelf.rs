//! Homes by address: each address has one, which alone holds in memory what is there. They are kept while there is room, least recently used first
//! out. One that somebody holds stays: two homes of one address must never be. Anybody may ask for what is not there, so homes of nothing have little
//! room of their own.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

const SHARDS: usize = 64;
/// Homes of nothing have this part of the room.
const NOTHINGS_PART: usize = 4;

/// What is at an address, as far as its home knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Nothing, or nobody has looked yet.
    Nothing,
    /// What can be loaded again.
    Something,
    /// What lives in memory alone: it stays, whoever holds it.
    Someone,
}

/// The home of an address.
pub trait Place {
    /// What is there.
    fn holds(&self) -> Holds;
}

/// All homes of one kind.
pub struct Shelf<K, H> {
    shards: Box<[Mutex<Shard<K, H>>]>,
    hasher: RandomState,
    /// How many homes one shard keeps before it lets idle ones go.
    idle_max: usize,
}

struct Shard<K, H> {
    homes: HashMap<K, Entry<H>>,
    clock: u64,
    /// Those made last, in order.
    new: VecDeque<(K, Weak<H>)>,
}

struct Entry<H> {
    home: Arc<H>,
    used: u64,
}

/// A home, and those that have made room for it.
pub struct Found<H> {
    /// The one wanted.
    pub home: Arc<H>,
    /// Idle ones that are not there any more.
    pub gone: Vec<Arc<H>>,
}

impl<K: Hash + Eq + Clone, H: Place> Shelf<K, H> {
    /// No homes yet; about so many are kept in memory.
    pub fn new(kept: usize) -> Self {
        let shard = || Mutex::new(Shard { homes: HashMap::new(), clock: 0, new: VecDeque::new() });
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), hasher: RandomState::new(), idle_max: kept.div_ceil(SHARDS).max(1) }
    }

    /// The home of an address, made if it is not in memory.
    pub fn entry(&self, key: &K, make: impl FnOnce() -> H) -> Found<H> {
        let mut shard = self.shard(key);
        shard.clock += 1;
        let used = shard.clock;
        if let Some(entry) = shard.homes.get_mut(key) {
            entry.used = used;
            return Found { home: entry.home.clone(), gone: Vec::new() };
        }
        let mut gone = Vec::new();
        if shard.homes.len() >= self.idle_max {
            gone = shard.let_go_of_idle(self.idle_max / 2);
        }
        let home = Arc::new(make());
        shard.homes.insert(key.clone(), Entry { home: home.clone(), used });
        shard.new.push_back((key.clone(), Arc::downgrade(&home)));
        shard.let_go_of_nothing(self.idle_max.div_ceil(NOTHINGS_PART));
        Found { home, gone }
    }

    /// The home of an address, if it is in memory.
    pub fn peek<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<H>>
    where
        K: Borrow<Q>,
    {
        self.shard(key).homes.get(key).map(|entry| entry.home.clone())
    }

    /// All homes, as of now.
    pub fn in_memory(&self) -> Vec<Arc<H>> {
        let of = |shard: &Mutex<Shard<K, H>>| -> Vec<_> {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.homes.values().map(|entry| entry.home.clone()).collect()
        };
        self.shards.iter().flat_map(of).collect()
    }

    /// How many are in memory.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).homes.len()).sum()
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> MutexGuard<'_, Shard<K, H>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, H: Place> Shard<K, H> {
    /// Homes of nothing, but for those made last.
    fn let_go_of_nothing(&mut self, keep: usize) {
        while self.new.len() > keep {
            let Some((key, home)) = self.new.pop_front() else { return };
            // A home that only the shard knows may go, as below.
            let oldest = Some(home).filter(|home| home.strong_count() == 1).and_then(|home| home.upgrade());
            if oldest.is_some_and(|home| home.holds() == Holds::Nothing) {
                self.homes.remove(&key);
            }
        }
    }

    /// Nobody can take a new reference while the shard is locked, so a home that only the shard knows may go.
    fn let_go_of_idle(&mut self, keep: usize) -> Vec<Arc<H>> {
        let is_idle = |entry: &Entry<H>| Arc::strong_count(&entry.home) == 1 && entry.home.holds() != Holds::Someone;
        let idle = self.homes.iter().filter(|(_, entry)| is_idle(entry));
        let mut idle: Vec<(u64, K)> = idle.map(|(key, entry)| (entry.used, key.clone())).collect();
        idle.sort_unstable_by_key(|(used, _)| *used);
        let surplus = idle.len().saturating_sub(keep).max(1);
        idle.into_iter().take(surplus).filter_map(|(_, key)| self.homes.remove(&key)).map(|entry| entry.home).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Of(Holds);

    impl Place for Of {
        fn holds(&self) -> Holds {
            self.0
        }
    }

    #[test]
    fn homes_that_nobody_holds_make_room() {
        let homes = Shelf::new(SHARDS * 4);
        let held = homes.entry(&0, || Of(Holds::Something)).home;
        let mut gone = 0;
        for number in 1..2_000 {
            gone += homes.entry(&number, || Of(Holds::Something)).gone.len();
        }
        assert!(homes.count() <= SHARDS * 4 && homes.count() + gone == 2_000, "{} {gone}", homes.count());
        assert!(Arc::ptr_eq(&held, &homes.entry(&0, || Of(Holds::Something)).home), "one address, one home");
    }

    #[test]
    fn homes_of_nothing_have_a_small_part_of_the_room_and_who_lives_there_stays() {
        let homes = Shelf::new(SHARDS * 100);
        homes.entry(&0, || Of(Holds::Someone));
        homes.entry(&1, || Of(Holds::Something));
        for number in 2..10_000 {
            homes.entry(&number, || Of(Holds::Nothing));
        }
        assert!(homes.count() <= SHARDS * 25 + 2, "{}", homes.count());
        assert!(homes.peek(&0).is_some() && homes.peek(&1).is_some());
        for number in 10_000..50_000 {
            homes.entry(&number, || Of(Holds::Something));
        }
        assert!(homes.peek(&0).is_some() && homes.peek(&1).is_none());
    }
}
