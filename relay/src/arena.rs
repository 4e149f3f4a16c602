//! A table of numbered records that grows by chunks: no record is ever moved, and growth leaves no half as large hole behind.

use std::ops::{Index, IndexMut};

const CHUNK: usize = 32;

/// Records by number. The numbers of removed ones are used again.
#[derive(Debug)]
pub struct Arena<T> {
    chunks: Vec<Box<[Place<T>]>>,
    /// The first free place; `chunks` is full where there is none.
    free: Option<u32>,
    len: usize,
}

#[derive(Debug)]
enum Place<T> {
    Taken(T),
    /// The next free place.
    Free(Option<u32>),
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: None, len: 0 }
    }
}

impl<T> Arena<T> {
    /// Records that there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of the next record.
    pub fn vacant_key(&self) -> usize {
        self.free.map_or(self.chunks.len() * CHUNK, |free| free as usize)
    }

    /// Adds a record; returns its number.
    pub fn insert(&mut self, record: T) -> usize {
        let number = self.vacant_key();
        if self.free.is_none() {
            let next = |place: usize| (place + 1 < CHUNK).then_some((number + place + 1) as u32);
            self.chunks.push((0..CHUNK).map(|place| Place::Free(next(place))).collect());
            self.free = Some(number as u32);
        }
        let place = &mut self.chunks[number / CHUNK][number % CHUNK];
        if let Place::Free(next) = *place {
            self.free = next;
        }
        *place = Place::Taken(record);
        self.len += 1;
        number
    }

    /// A record, if there is one of this number.
    pub fn get(&self, number: usize) -> Option<&T> {
        match self.chunks.get(number / CHUNK)?.get(number % CHUNK)? {
            Place::Taken(record) => Some(record),
            Place::Free(_) => None,
        }
    }

    /// A record, if there is one of this number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        match self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)? {
            Place::Taken(record) => Some(record),
            Place::Free(_) => None,
        }
    }

    /// Removes a record, if there is one of this number.
    pub fn try_remove(&mut self, number: usize) -> Option<T> {
        let place = self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let Place::Taken(record) = std::mem::replace(place, Place::Free(self.free)) else { return None };
        self.free = Some(number as u32);
        self.len -= 1;
        Some(record)
    }

    /// Removes a record that is there.
    pub fn remove(&mut self, number: usize) -> T {
        self.try_remove(number).expect("a record of this number")
    }

    /// All records with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.chunks.iter().flatten().enumerate().filter_map(|(number, place)| match place {
            Place::Taken(record) => Some((number, record)),
            Place::Free(_) => None,
        })
    }
}

impl<T> Index<usize> for Arena<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        self.get(number).expect("a record of this number")
    }
}

impl<T> IndexMut<usize> for Arena<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        self.get_mut(number).expect("a record of this number")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It agrees with a map over random insertions and removals, and gives no number twice.
        #[test]
        fn a_map_agrees(steps in proptest::collection::vec((any::<bool>(), 0..100usize), 0..300)) {
            let (mut arena, mut map) = (Arena::default(), HashMap::new());
            for (value, (insert, number)) in steps.into_iter().enumerate() {
                if insert {
                    let next = arena.vacant_key();
                    let number = arena.insert(value);
                    prop_assert_eq!(number, next);
                    prop_assert_eq!(map.insert(number, value), None);
                } else {
                    prop_assert_eq!(arena.try_remove(number), map.remove(&number));
                }
                prop_assert_eq!((arena.len(), arena.is_empty()), (map.len(), map.is_empty()));
                let found: HashMap<usize, usize> = arena.iter().map(|(number, value)| (number, *value)).collect();
                prop_assert_eq!(&found, &map);
                prop_assert!((0..200).all(|number| arena.get(number) == map.get(&number)));
            }
        }
    }
}
