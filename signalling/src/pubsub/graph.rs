//! XEP-0248: Collection nodes, version 0.5: which nodes lie above which, and who hears by them. Pure.

use std::collections::BTreeMap;

use super::event::{Recipients, Topic};
use super::model::Node;

/// The root node (XEP-0248 §8.1): the collection of all nodes that are in no other one. It is the service's own, and is there while somebody is
/// subscribed to it.
pub const ROOT: &str = "";

/// Collections above a node, with the least number of steps up to each. `parents` has the collections of each node; the root is above those that
/// have none.
#[must_use]
pub fn above(node: &str, parents: &BTreeMap<String, Vec<String>>) -> Vec<(String, u64)> {
    let _ = (node, parents);
    Vec::new()
}

/// Subscribers of a collection who hear of what happens to a node so many steps below it. For events of the collection itself (`associate`), 0.
#[must_use]
pub fn recipients(collection: &Node, steps: u64, topic: Topic) -> Vec<Recipients> {
    let _ = (collection, steps, topic);
    Vec::new()
}
