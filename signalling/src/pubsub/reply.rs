//! Answers: the payload of results. Pure.

use bytes::Bytes;

use super::model::{Affiliation, Item, Subscription};
use crate::rsm;

/// What answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A result without payload.
    Empty,
    /// A result with this payload.
    Payload(Bytes),
    /// These items, which the store has: [`items`] writes them. At a collection, those of the leaf nodes below it (XEP-0248 §6.2).
    Items(super::request::ItemsRequest),
}

/// §5.6: subscriptions of one entity, each with its node; `node` if only that one was asked for.
#[must_use]
pub fn subscriptions(node: Option<&str>, subscriptions: &[(String, Subscription)]) -> Bytes {
    let _ = (node, subscriptions);
    Bytes::new()
}

/// §5.7: affiliations of one entity, each with its node; `node` if only that one was asked for.
#[must_use]
pub fn affiliations(node: Option<&str>, affiliations: &[(String, Affiliation)]) -> Bytes {
    let _ = (node, affiliations);
    Bytes::new()
}

/// Items of one node, oldest first.
#[derive(Debug)]
pub struct NodeItems<'a> {
    /// The node.
    pub node: &'a str,
    /// Its items.
    pub items: &'a [Item],
    /// Publishers are shown.
    pub with_publisher: bool,
}

/// §6.5: items, and the page that they are.
#[must_use]
pub fn items(nodes: &[NodeItems<'_>], page: Option<&rsm::Answer>) -> Bytes {
    let _ = (nodes, page);
    Bytes::new()
}
