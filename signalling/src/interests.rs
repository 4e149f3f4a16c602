//! XEP-0060 §9.2: the nodes that a client wants to be told of. Pure.

use std::sync::Arc;

use crate::capabilities::Info;

/// What stands behind the NodeID in a feature.
pub const NOTIFY: &str = "+notify";

/// Most nodes of one client.
const NODES_MAX: usize = 256;
/// Bytes of their names together.
const BYTES_MAX: usize = 8192;

/// NodeIDs, sorted. A clone counts one reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interests(Arc<[String]>);

impl Interests {
    /// Those that a client's information names; `None` where they are too many.
    #[must_use]
    pub fn of(info: &Info<'_>) -> Option<Self> {
        let nodes: Vec<&str> = info.features.iter().filter_map(|feature| feature.strip_suffix(NOTIFY)).collect();
        let bytes: usize = nodes.iter().map(|node| node.len()).sum();
        (nodes.len() <= NODES_MAX && bytes <= BYTES_MAX).then(|| nodes.into_iter().map(ToOwned::to_owned).collect())
    }

    /// Whether this node is among them.
    #[must_use]
    pub fn contains(&self, node: &str) -> bool {
        self.0.binary_search_by(|own| own.as_str().cmp(node)).is_ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In their order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Those that are not among these.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        if others.is_empty() {
            return self.clone();
        }
        self.0.iter().filter(|node| !others.contains(node)).cloned().collect()
    }
}

impl FromIterator<String> for Interests {
    fn from_iter<T: IntoIterator<Item = String>>(nodes: T) -> Self {
        let mut nodes: Vec<String> = nodes.into_iter().collect();
        nodes.sort_unstable();
        nodes.dedup();
        Self(nodes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(features: Vec<&str>) -> Info<'_> {
        Info { features, ..Info::default() }
    }

    fn interests(nodes: &[&str]) -> Interests {
        nodes.iter().map(|node| (*node).to_owned()).collect()
    }

    #[test]
    fn xep0060_s9_2_nodes_that_a_client_asks_for() {
        let romeo = [
            "http://jabber.org/protocol/tune",
            "http://jabber.org/protocol/tune+notify",
            "http://jabber.org/protocol/geoloc+notify",
            "http://jabber.org/protocol/activity",
        ];
        let found = Interests::of(&info(romeo.to_vec())).unwrap();
        assert_eq!(found, interests(&["http://jabber.org/protocol/tune", "http://jabber.org/protocol/geoloc"]));
        for (node, wanted) in [
            ("http://jabber.org/protocol/tune", true),
            ("http://jabber.org/protocol/geoloc", true),
            ("http://jabber.org/protocol/activity", false),
        ] {
            assert_eq!(found.contains(node), wanted, "{node}");
        }
    }

    #[test]
    fn other_interests_bring_only_what_is_new() {
        let (before, after) = (interests(&["a", "c"]), interests(&["d", "b", "a"]));
        assert_eq!(after.without(&before), interests(&["b", "d"]));
        assert_eq!(after.without(&Interests::default()), after);
        assert!(before.without(&before).is_empty());
    }

    #[test]
    fn their_number_and_size_are_bounded() {
        let many: Vec<String> = (0..=NODES_MAX).map(|number| format!("{number}+notify")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(Interests::of(&info(many[1..].to_vec())).is_some());
        assert!(Interests::of(&info(many)).is_none());
        assert!(Interests::of(&info(vec![&("n".repeat(BYTES_MAX + 1) + NOTIFY)])).is_none());
    }
}
