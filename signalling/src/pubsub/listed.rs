//! Lists of nodes in service discovery, page by page (XEP-0059). Only nodes that the asker may know of count: neither the ends of a page nor its
//! numbers tell of the others.

use std::time::SystemTime;

use super::access;
use super::model::{NodeAddress, ServiceKind};
use super::service::{PubSub, Service};
use crate::features::disco::{Item, Items};
use crate::jid::{BareJid, Jid};
use crate::rsm::{self, Place};
use crate::stanza::error::StanzaError;
use crate::store::{NodeEntry, NodesPage, StoreError};

/// Nodes in one answer.
pub(super) const NODES_MAX: usize = 200;
/// Nodes read at once: a page and one more, which says that it is not the last one.
const SLICE: usize = NODES_MAX + 1;
/// Nodes of a host that are looked at for one answer. How many an account has is bounded by itself.
const LOOKED_AT_MAX: usize = 1_000;

/// Which nodes.
#[derive(Debug)]
pub(super) enum List {
    /// XEP-0248 §4: those of a service that are in no collection.
    TopLevel,
    /// Those in a collection.
    Collection(NodeAddress),
}

impl PubSub {
    /// The page of a list that was asked for.
    ///
    /// # Errors
    /// `resource-constraint` if so many nodes are hidden that nothing to show was found among those that are looked at.
    pub(super) async fn listed(&self, of: &Service, list: &List, asked: &rsm::Request, requester: &Jid) -> Result<Items, StanzaError> {
        let internal = self.router.internal("list nodes");
        let looked_at_max = if of.kind == ServiceKind::Host { LOOKED_AT_MAX } else { usize::MAX };
        let (mut walk, mut looked_at) = (Walk::new(asked), 0);
        while !walk.is_over() && looked_at < looked_at_max {
            let slice = self.slice(&of.jid, list, &walk.place).await.map_err(&internal)?.nodes;
            let is_last = slice.len() < SLICE;
            looked_at += slice.len();
            for entry in walk.in_order(slice) {
                if walk.is_full() {
                    break;
                }
                let is_shown = self.may_see(of, &entry.node, requester).await?;
                walk.pass(entry, is_shown);
            }
            walk.at_end = is_last && !walk.is_full();
        }
        if !walk.is_over() && walk.has_found_nothing() {
            return Err(StanzaError::resource_constraint().with_text("there is nothing to show among the nodes that were looked at"));
        }
        Ok(walk.items(&of.jid, *asked != rsm::Request::default()))
    }

    async fn slice(&self, service: &BareJid, list: &List, place: &Place) -> Result<NodesPage, StoreError> {
        let page = rsm::Request { max: Some(SLICE), place: place.clone() };
        match list {
            List::TopLevel => self.store.top_level(service, &page, SLICE).await,
            List::Collection(collection) => self.store.children(collection, &page, SLICE).await,
        }
    }

    async fn may_see(&self, of: &Service, node: &str, requester: &Jid) -> Result<bool, StanzaError> {
        let home = self.nodes.get(&of.node(node), &self.store, SystemTime::now()).await.map_err(self.router.internal("list nodes"))?;
        // It may be gone since the list was read.
        let Some(node) = home.node() else { return Ok(false) };
        let relation = self.relation(of, Some(&node), requester).await?;
        Ok(access::may_discover(&node, requester, &relation))
    }
}

/// A walk along a list, towards its end or its beginning, for one page of what is shown.
#[derive(Debug)]
struct Walk {
    /// Where the next slice lies.
    place: Place,
    backwards: bool,
    /// XEP-0059 §2.6: how many of those shown come before the page. The number of the first one, if it is known.
    index: Option<usize>,
    /// How many the page has room for.
    max: usize,
    /// In the order of the walk.
    page: Vec<NodeEntry>,
    shown: usize,
    from_end: bool,
    at_end: bool,
}

impl Walk {
    fn new(asked: &rsm::Request) -> Self {
        let (place, index) = match &asked.place {
            Place::First => (Place::First, Some(0)),
            // What is hidden has no number.
            Place::Index(index) => (Place::First, Some(*index)),
            place => (place.clone(), None),
        };
        Self {
            backwards: matches!(place, Place::Last | Place::Before(_)),
            from_end: matches!(place, Place::First | Place::Last),
            place,
            index,
            max: asked.max.unwrap_or(NODES_MAX).min(NODES_MAX),
            page: Vec::new(),
            shown: 0,
            at_end: false,
        }
    }

    fn skipped(&self) -> usize {
        self.index.unwrap_or_default()
    }

    /// Whether there is known to be more than the page has room for. To count them all (XEP-0059 §2.7) there is always room.
    fn is_full(&self) -> bool {
        self.max > 0 && self.shown > self.max.saturating_add(self.skipped())
    }

    fn is_over(&self) -> bool {
        self.at_end || self.is_full()
    }

    fn has_found_nothing(&self) -> bool {
        self.max > 0 && self.page.is_empty()
    }

    /// A slice, which is in the order of the list, in that of the walk.
    fn in_order(&self, mut slice: Vec<NodeEntry>) -> Vec<NodeEntry> {
        if self.backwards {
            slice.reverse();
        }
        slice
    }

    fn pass(&mut self, entry: NodeEntry, is_shown: bool) {
        let name = entry.node.clone();
        self.place = if self.backwards { Place::Before(name) } else { Place::After(name) };
        if is_shown {
            self.shown += 1;
            if self.shown > self.skipped() && self.page.len() < self.max {
                self.page.push(entry);
            }
        }
    }

    fn items(mut self, service: &BareJid, is_asked: bool) -> Items {
        let page = std::mem::take(&mut self.page);
        let nodes = self.in_order(page);
        let ends = nodes.first().zip(nodes.last()).map(|(first, last)| (first.node.clone(), last.node.clone()));
        let count = (self.from_end && self.at_end).then_some(self.shown);
        let item = |entry: NodeEntry| Item {
            jid: service.to_string(),
            node: Some(entry.node),
            name: Some(entry.title).filter(|title| !title.is_empty()),
        };
        Items {
            page: (is_asked || !self.at_end).then_some(rsm::Answer { ends, index: self.index, count }),
            items: nodes.into_iter().map(item).collect(),
        }
    }
}
