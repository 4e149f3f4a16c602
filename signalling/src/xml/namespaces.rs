//! The namespace names of one tree, each kept once. How many there are is up to the sender, so finding one must not cost more with their number.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::ns;

/// Names that are looked through one by one; only strange elements have more, and then all are found by hash.
const SCANNED_MAX: usize = 16;

/// Index of "no namespace".
pub(super) const NO_NS: u32 = 0;

/// A namespace name, not copied if it is one of `ns`.
#[derive(Debug, Clone)]
pub(super) enum Name {
    Known(&'static str),
    Other(Box<str>),
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }
}

/// Gives each namespace of a tree its index while the tree is built.
pub(super) struct Interner<'a> {
    names: Vec<Name>,
    /// All of `names`, once there are more than [`SCANNED_MAX`]; empty before.
    by_name: HashMap<Cow<'a, str>, u32>,
    /// How many names were compared with one that was asked for.
    #[cfg(test)]
    compared: usize,
}

impl<'a> Interner<'a> {
    /// Knows [`NO_NS`].
    pub(super) fn new() -> Self {
        Self {
            names: vec![Name::Known("")],
            by_name: HashMap::new(),
            #[cfg(test)]
            compared: 0,
        }
    }

    /// The index of a name, a new one if it has not been seen.
    pub(super) fn intern(&mut self, uri: Cow<'a, str>) -> u32 {
        if let Some(index) = self.find(&uri) {
            return index;
        }
        let index = self.names.len() as u32;
        self.names.push(ns::intern(&uri).map_or_else(|| Name::Other(Box::from(&*uri)), Name::Known));
        if self.names.len() == SCANNED_MAX + 1 {
            let all = self.names.iter().zip(0..);
            self.by_name.extend(all.map(|(name, index)| (Cow::Owned(name.as_str().to_owned()), index)));
        } else if self.names.len() > SCANNED_MAX {
            self.by_name.insert(uri, index);
        }
        index
    }

    fn find(&mut self, uri: &str) -> Option<u32> {
        if !self.by_name.is_empty() {
            return self.by_name.get(uri).copied();
        }
        let found = self.names.iter().position(|name| name.as_str() == uri);
        #[cfg(test)]
        {
            self.compared += found.map_or(self.names.len(), |index| index + 1);
        }
        found.map(|index| index as u32)
    }

    /// The names, in the order of their indexes.
    pub(super) fn into_names(self) -> Vec<Name> {
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_index_and_many_names_are_not_compared_with_each_other() {
        const NAMES: u32 = 15_000;
        let mut names = Interner::new();
        assert_eq!(names.intern("".into()), NO_NS);
        for index in (1..=NAMES).chain((1..=NAMES).rev()) {
            let uri = if index == 20 { ns::JINGLE.to_owned() } else { format!("urn:{index}") };
            assert_eq!(names.intern(uri.into()), index);
            assert_eq!(names.intern("".into()), NO_NS);
        }
        assert!(names.compared <= (SCANNED_MAX + 1) * (SCANNED_MAX + 1), "{} comparisons", names.compared);
        let names = names.into_names();
        assert_eq!((names.len() as u32, names[3].as_str()), (NAMES + 1, "urn:3"));
        assert!(matches!(names[20], Name::Known(ns::JINGLE)));
    }
}
