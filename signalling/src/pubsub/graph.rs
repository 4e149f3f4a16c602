//! XEP-0248: Collection nodes, version 0.5: which nodes lie above which, and who hears by them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Recipients, Topic};
use super::model::Node;

/// The root node (XEP-0248 §8.1): the collection of all nodes that are in no other one. It has no name on the wire, is the service's own, and is
/// there from its first subscription on.
pub const ROOT: &str = "";

/// Collections above one node that are looked at, nearest first: the graph has no cycles, but it may be wide. Subscribers of those beyond do not hear
/// of the node.
const ABOVE_MAX: usize = 256;

/// Collections above a node, with the least number of steps up to each, nearest first. `parents` has the collections of each node.
#[must_use]
pub fn collections_above(node: &str, parents: &BTreeMap<String, Vec<String>>) -> Vec<(String, u64)> {
    let mut above: Vec<(String, u64)> = Vec::new();
    let mut seen = BTreeSet::from([node]);
    let mut level = vec![node];
    let mut steps = 0;
    while !level.is_empty() && above.len() < ABOVE_MAX {
        steps += 1;
        let next: Vec<&str> = level.iter().filter_map(|node| parents.get(*node)).flatten().map(String::as_str).collect();
        level = next.into_iter().filter(|parent| seen.insert(parent)).collect();
        above.extend(level.iter().map(|parent| ((*parent).to_owned(), steps)));
    }
    above.truncate(ABOVE_MAX);
    above
}

/// The same with the root node, which is above all that have no other collection.
#[must_use]
pub fn above(node: &str, parents: &BTreeMap<String, Vec<String>>) -> Vec<(String, u64)> {
    let mut above = collections_above(node, parents);
    let has_none = |name: &str| parents.get(name).is_none_or(Vec::is_empty);
    let steps = above.iter().filter(|(name, _)| has_none(name)).map(|(_, steps)| steps + 1).min();
    if let Some(steps) = if has_none(node) { Some(1) } else { steps } {
        above.push((ROOT.to_owned(), steps));
    }
    above
}

/// Whether a node is above another one, or may be: where more collections are above it than are looked at, or not all is known of them.
#[must_use]
pub fn may_be_above(upper: &str, lower: &str, parents: &BTreeMap<String, Vec<String>>) -> bool {
    let above = collections_above(lower, parents);
    let known = parents.contains_key(lower) && above.iter().all(|(name, _)| parents.contains_key(name));
    !known || above.len() >= ABOVE_MAX || above.iter().any(|(name, _)| name == upper)
}

/// Subscribers of a collection who hear of what happens to a node, `origin`, so many steps below it. Those of the root node must be let in by the
/// node itself, too ([`access::may_retrieve`](super::access::may_retrieve)): no owner has put it there.
#[must_use]
pub fn recipients(collection: &Node, origin: &Node, steps: u64, topic: Topic) -> Vec<Recipients> {
    collection.recipients_by_collection(origin, steps, topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parents(edges: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        edges.iter().map(|(node, parents)| ((*node).to_owned(), parents.iter().map(|parent| (*parent).to_owned()).collect())).collect()
    }

    #[test]
    fn the_shortest_way_up_counts() {
        // leaf → a → c → d, and leaf → b → d.
        let parents = parents(&[("leaf", &["a", "b"]), ("a", &["c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]);
        let expected = [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("", 3)].map(|(name, steps)| (name.to_owned(), steps));
        assert_eq!(above("leaf", &parents), expected);
        assert_eq!(above("d", &parents), [(ROOT.to_owned(), 1)]);
        assert_eq!(above("unknown", &parents), [(ROOT.to_owned(), 1)]);
        assert_eq!(collections_above("d", &parents), []);
    }

    #[test]
    fn s7_2_3_5_what_may_be_above_counts_as_above() {
        let parents = parents(&[("leaf", &["a"]), ("a", &["b"]), ("b", &[]), ("c", &[]), ("d", &["unknown"])]);
        for (upper, lower, expected) in
            [("b", "leaf", true), ("a", "leaf", true), ("c", "leaf", false), ("leaf", "b", false), ("c", "d", true), ("c", "unknown", true)]
        {
            assert_eq!(may_be_above(upper, lower, &parents), expected, "{upper} {lower}");
        }
    }

    #[test]
    fn a_cycle_that_should_not_be_ends() {
        let parents = parents(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(collections_above("a", &parents), [("b".to_owned(), 1)]);
        assert_eq!(above("a", &parents), [("b".to_owned(), 1)]);
    }

    #[test]
    fn wide_graphs_are_cut() {
        let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let parents = BTreeMap::from([("leaf".to_owned(), many)]);
        assert_eq!(collections_above("leaf", &parents).len(), ABOVE_MAX);
        assert!(may_be_above("unheard-of", "leaf", &parents));
    }
}
