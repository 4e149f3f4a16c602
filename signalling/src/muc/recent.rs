//! What is remembered for a while: so much in all and of each owner, then the oldest is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The last entries, by their keys.
#[derive(Debug)]
pub(super) struct Recent<K, O, V> {
    /// Entries.
    max: usize,
    /// Entries of one owner.
    each: usize,
    next: u64,
    ages: HashMap<K, u64>,
    entries: BTreeMap<u64, (K, O, V)>,
    owners: HashMap<O, usize>,
}

impl<K: Clone + Eq + Hash, O: Clone + Eq + Hash, V> Recent<K, O, V> {
    pub fn new(max: usize, each: usize) -> Self {
        Self { max, each, next: 0, ages: HashMap::new(), entries: BTreeMap::new(), owners: HashMap::new() }
    }

    /// Adds an entry, in place of the one with the same key. Whoever has too many loses its own oldest, whatever others have.
    pub fn insert(&mut self, key: K, owner: O, value: V) {
        self.remove(&key);
        if self.owners.get(&owner).is_some_and(|count| *count >= self.each) {
            let oldest = self.entries.iter().find(|(_, (_, of, _))| *of == owner).map(|(age, _)| *age);
            oldest.map(|age| self.forget(age));
        } else if self.entries.len() >= self.max {
            let oldest = self.entries.keys().next().copied();
            oldest.map(|age| self.forget(age));
        }
        self.ages.insert(key.clone(), self.next);
        *self.owners.entry(owner.clone()).or_default() += 1;
        self.entries.insert(self.next, (key, owner, value));
        self.next += 1;
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(self.ages.get(key)?).map(|(_, _, value)| value)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let age = *self.ages.get(key)?;
        self.forget(age)
    }

    fn forget(&mut self, age: u64) -> Option<V> {
        let (key, owner, value) = self.entries.remove(&age)?;
        self.ages.remove(&key);
        if let Some(count) = self.owners.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&owner);
            }
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_nobody_loses_by_what_another_has() {
        let mut recent = Recent::new(5, 3);
        recent.insert("1", 'a', 1);
        for number in 0..100 {
            recent.insert(["x", "y", "z", "w"][number % 4], 'b', number);
        }
        assert_eq!((recent.get(&"1"), recent.entries.len(), recent.owners.len()), (Some(&1), 4, 2));
        assert_eq!(["x", "y", "z", "w"].map(|key| recent.get(&key).copied()), [None, Some(97), Some(98), Some(99)]);
        recent.insert("2", 'c', 2);
        recent.insert("3", 'd', 3);
        assert_eq!((recent.get(&"1").copied(), recent.remove(&"2"), recent.remove(&"2")), (None, Some(2), None));
        // Who says the same again has it once.
        recent.insert("3", 'd', 4);
        recent.insert("3", 'e', 5);
        assert_eq!((recent.get(&"3"), recent.owners.get(&'d'), recent.entries.len(), recent.ages.len()), (Some(&5), None, 4, 4));
    }
}
