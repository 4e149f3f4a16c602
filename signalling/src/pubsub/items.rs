//! XEP-0060 §6.5 and XEP-0248 §6.2: items of a node, or of the leaf nodes below a collection, from the store.

use std::collections::BTreeSet;
use std::time::SystemTime;

use bytes::Bytes;

use super::access;
use super::graph;
use super::model::{Node, NodeAddress, NodeKind};
use super::reply::{self, NodeItems};
use super::request::ItemsRequest;
use super::service::{PubSub, Service};
use crate::jid::Jid;
use crate::rsm;
use crate::stanza::error::StanzaError;
use crate::store::{ItemsPage, ItemsQuery, StoreError};

/// Nodes below a collection whose items are in one answer.
const LEAVES_MAX: usize = 100;
/// Nodes below a collection that are looked at for it, collections among them.
const NODES_MAX: usize = 1_000;

impl PubSub {
    /// The items that a request wants, which may be answered.
    pub(super) async fn items(&self, address: &NodeAddress, wanted: &ItemsRequest, requester: &Jid) -> Result<Bytes, StanzaError> {
        let now = SystemTime::now();
        let internal = self.router.internal("read the items of a node");
        let home = self.nodes.get(address, &self.store, now).await.map_err(&internal)?;
        let node = home.node().ok_or_else(StanzaError::item_not_found)?;
        if node.kind == NodeKind::Collection {
            return self.items_below(&node, wanted, requester, now).await;
        }
        let page = self.page(address, wanted, self.settings.limits.page_bytes, now).await?;
        // Pages that were asked for, and what is less than was asked for, say what they are.
        let set = (wanted.rsm.is_some() || (!page.complete && wanted.ids.is_empty())).then(|| rsm::Answer {
            ends: page.items.first().zip(page.items.last()).map(|(first, last)| (first.id.clone(), last.id.clone())),
            index: page.index,
            count: Some(page.count),
        });
        Ok(reply::items(&[NodeItems { node: &node, items: &page.items }], set.as_ref()))
    }

    async fn may_retrieve(&self, of: &Service, node: &Node, requester: &Jid) -> Result<bool, StoreError> {
        let owners = self.owners(of, Some(node)).await?;
        Ok(access::may_retrieve(node, requester, &owners.relation(requester)).is_ok())
    }

    async fn page(
        &self,
        address: &NodeAddress,
        wanted: &ItemsRequest,
        bytes_max: usize,
        now: SystemTime,
    ) -> Result<ItemsPage, StanzaError> {
        let count_max = self.settings.limits.items;
        let newest = wanted.max_items.map_or(count_max, |max| usize::try_from(max).unwrap_or(usize::MAX).min(count_max));
        let query = match &wanted.rsm {
            _ if !wanted.ids.is_empty() => ItemsQuery::ByIds(wanted.ids.clone()),
            Some(page) => ItemsQuery::Page(page.clone()),
            None => ItemsQuery::Newest(newest),
        };
        let page = self.store.items(address, &query, now, newest, bytes_max).await;
        // XEP-0059 §2.2: the page is to begin at an item that is not there.
        page.map_err(self.router.internal("read the items of a node"))?.ok_or_else(StanzaError::item_not_found)
    }

    async fn items_below(&self, collection: &Node, wanted: &ItemsRequest, requester: &Jid, now: SystemTime) -> Result<Bytes, StanzaError> {
        let internal = self.router.internal("read the items below a collection");
        let of = Service::of(&collection.address);
        // XEP-0248 §10.1: what may be seen through a collection is for it to say; the root node is nobody's.
        let is_root = collection.address.node == graph::ROOT;
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![collection.address.node.clone()]);
        let (mut found, mut bytes) = (Vec::new(), self.settings.limits.page_bytes);
        while let Some(name) = waiting.pop() {
            if found.len() == LEAVES_MAX || bytes == 0 || seen.len() > NODES_MAX {
                break;
            }
            let address = of.node(&name);
            let Some(node) = self.nodes.get(&address, &self.store, now).await.map_err(&internal)?.node() else { continue };
            if node.kind == NodeKind::Collection {
                let children = self.store.child_names(&address, NODES_MAX).await.map_err(&internal)?;
                // In the order of names, in depth.
                waiting.extend(children.into_iter().rev().filter(|name| seen.insert(name.clone())));
            } else if !is_root || self.may_retrieve(&of, &node, requester).await.map_err(&internal)? {
                let page = self.page(&address, wanted, bytes, now).await?;
                let taken: usize = page.items.iter().filter_map(|item| item.payload.as_ref()).map(Bytes::len).sum();
                bytes = bytes.saturating_sub(taken);
                found.push((node, page.items));
            }
        }
        let nodes: Vec<_> = found.iter().filter(|(_, items)| !items.is_empty()).map(|(node, items)| NodeItems { node, items }).collect();
        Ok(reply::items(&nodes, None))
    }
}
