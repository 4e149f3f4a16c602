//! XEP-0402: PEP Native Bookmarks, version 1.2.0, §5.3: the same bookmarks in the node of this specification, in that of XEP-0048, and in private XML
//! (XEP-0049); XEP-0411: Bookmarks Conversion, version 1.1.0.
//!
//! Where they differ, the items of XEP-0402 count. What has no place there, bookmarks of web pages, stays where it is.

mod convert;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::Failed;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::pubsub::config::{AccessModel, UpTo};
use crate::pubsub::model::{Affiliation, Node, NodeAddress};
use crate::pubsub::request::{Action, NewItem, Request};
use crate::pubsub::{PubSub, publish};
use crate::router::Router;
use crate::rsm;
use crate::store::{ItemsQuery, PrivateElement};

use convert::{Bookmark, Storage};

/// More are not converted.
const ITEMS_MAX: usize = 10_000;
/// The same of their payloads together.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// XEP-0402 §3.3.
const OF_ITEMS: &[(&str, &str)] = &[
    ("pubsub#persist_items", "true"),
    ("pubsub#max_items", "max"),
    ("pubsub#send_last_published_item", "never"),
    ("pubsub#access_model", "whitelist"),
];
/// XEP-0048 §3.1.
const OF_STORAGE: &[(&str, &str)] = &[("pubsub#persist_items", "true"), ("pubsub#access_model", "whitelist")];
/// XEP-0048 §3.1: the one item.
const STORAGE_ID: &str = "current";

/// Keeps bookmarks of all formats the same.
pub(super) struct Bookmarks {
    router: Router,
    pubsub: Arc<PubSub>,
}

impl Bookmarks {
    pub fn new(router: Router, pubsub: Arc<PubSub>) -> Self {
        Self { router, pubsub }
    }

    /// What was there before, where there are the nodes of XEP-0402 and of XEP-0048.
    pub async fn settle(&self, account: &BareJid, has_items: bool, has_storage: bool) -> Result<(), Failed> {
        if has_items {
            return self.settle_items(account).await;
        }
        if has_storage {
            return self.storage_published(account).await;
        }
        match self.private(account).await? {
            Some(storage) => self.take_over(account, storage).await,
            None => Ok(()),
        }
    }

    /// Items count, but what private XML alone has may never have been converted: better a bookmark that was removed just before a crash comes back.
    async fn settle_items(&self, account: &BareJid) -> Result<(), Failed> {
        let bookmarks = self.items(account).await?;
        let mut storage = self.private(account).await?.unwrap_or_default();
        let rooms: HashSet<&Jid> = bookmarks.iter().map(|bookmark| &bookmark.jid).collect();
        storage.bookmarks.retain(|kept| !rooms.contains(&kept.jid));
        if storage.bookmarks.is_empty() {
            return self.items_changed(account).await;
        }
        storage.bookmarks.splice(0..0, bookmarks);
        self.take_over(account, storage).await
    }

    /// XEP-0402 §5.3.1.
    pub async fn items_changed(&self, account: &BareJid) -> Result<(), Failed> {
        let (private, node) = (self.private(account).await?, self.node(account, ns::BOOKMARK_STORAGE).await?);
        let published = node.as_deref().and_then(published);
        let bookmarks = self.items(account).await?;
        if bookmarks.is_empty() && private.is_none() && published.is_none() {
            return Ok(());
        }
        let rest = private.iter().chain(&published).map(|storage| &storage.rest).find(|rest| !rest.is_empty()).cloned();
        let storage = Storage { bookmarks, rest: rest.unwrap_or_default() };
        self.keep_private(account, &storage, private.as_ref()).await?;
        self.publish_storage(account, &storage, node.as_deref()).await
    }

    /// XEP-0402 §5.3.2, for the node of XEP-0048. One that is empty or gone says nothing.
    pub async fn storage_published(&self, account: &BareJid) -> Result<(), Failed> {
        let node = self.node(account, ns::BOOKMARK_STORAGE).await?;
        match node.as_deref().and_then(published) {
            Some(storage) => self.take_over(account, storage).await,
            None => Ok(()),
        }
    }

    /// XEP-0402 §5.3.2, for private XML, where an empty element is none.
    pub async fn storage_kept(&self, account: &BareJid) -> Result<(), Failed> {
        let storage = self.private(account).await?.unwrap_or_default();
        self.take_over(account, storage).await
    }

    async fn take_over(&self, account: &BareJid, mut storage: Storage) -> Result<(), Failed> {
        let node = self.node(account, ns::BOOKMARKS).await?;
        // XEP-0411 §5: what is private goes nowhere where others may see it.
        if node.as_deref().is_none_or(is_private) {
            // The oldest would go without a word, and then from the other formats.
            if storage.bookmarks.len() > self.room(node.as_deref()) {
                return Err(Failed::TooMuch);
            }
            let difference = storage.difference(&self.items(account).await?);
            if !difference.publish.is_empty() {
                let item = |bookmark: &Bookmark| NewItem {
                    id: Some(bookmark.id.clone()),
                    payload: Some(bookmark.payload()),
                    payload_ns: ns::BOOKMARKS.to_owned(),
                };
                // All at once: what is there after a crash in their middle would count.
                let items = difference.publish.iter().map(item).collect();
                self.pubsub.own(account, publish(ns::BOOKMARKS, items, node.is_none().then_some(OF_ITEMS))).await?;
            }
            if !difference.retract.is_empty() {
                let action = Action::Retract { ids: difference.retract, notify: Some(true) };
                self.pubsub.own(account, Request { node: Some(ns::BOOKMARKS.to_owned()), action }).await?;
            }
            storage.bookmarks = self.items(account).await?;
        }
        let private = self.private(account).await?;
        self.keep_private(account, &storage, private.as_ref()).await?;
        let node = self.node(account, ns::BOOKMARK_STORAGE).await?;
        self.publish_storage(account, &storage, node.as_deref()).await
    }

    /// How many items the node of XEP-0402 keeps.
    fn room(&self, node: Option<&Node>) -> usize {
        match node.map(|node| node.config.max_items) {
            Some(UpTo::Number(max_items)) => usize::try_from(max_items).unwrap_or(usize::MAX),
            Some(UpTo::Max) | None => self.pubsub.settings().limits.items,
        }
    }

    /// The bookmarks of XEP-0402.
    async fn items(&self, account: &BareJid) -> Result<Vec<Bookmark>, Failed> {
        let (store, all) = (self.router.store().pubsub(), ItemsQuery::Page(rsm::Request::default()));
        let page = store.items(&address(account, ns::BOOKMARKS), &all, SystemTime::now(), ITEMS_MAX, BYTES_MAX).await?;
        let Some(page) = page else { return Ok(Vec::new()) };
        if !page.complete {
            return Err(Failed::TooMuch);
        }
        Ok(page.items.iter().filter_map(|item| Bookmark::of_item(&item.id, item.payload.as_ref()?)).collect())
    }

    /// The bookmarks of private XML.
    async fn private(&self, account: &BareJid) -> Result<Option<Storage>, Failed> {
        let content = self.router.store().private_xml().get(account, ns::BOOKMARK_STORAGE, "storage").await?;
        Ok(content.and_then(|content| Storage::read(&content)))
    }

    async fn keep_private(&self, account: &BareJid, storage: &Storage, kept: Option<&Storage>) -> Result<(), Failed> {
        if kept.is_some_and(|kept| kept.means(storage)) {
            return Ok(());
        }
        let element =
            PrivateElement { namespace: ns::BOOKMARK_STORAGE.to_owned(), name: "storage".to_owned(), content: Some(storage.write()) };
        if !self.router.store().private_xml().set(account, vec![element], self.router.limits().private_bytes).await? {
            tracing::info!(%account, "there is no room for bookmarks in private XML");
        }
        Ok(())
    }

    async fn publish_storage(&self, account: &BareJid, storage: &Storage, node: Option<&Node>) -> Result<(), Failed> {
        // XEP-0411 §5.
        if node.is_some_and(|node| !is_private(node) || published(node).is_some_and(|published| published.means(storage))) {
            return Ok(());
        }
        let id = node.and_then(|node| node.last_item.as_ref()).map_or(STORAGE_ID, |item| &item.id);
        let item = NewItem { id: Some(id.to_owned()), payload: Some(storage.write()), payload_ns: ns::BOOKMARK_STORAGE.to_owned() };
        self.pubsub.own(account, publish(ns::BOOKMARK_STORAGE, vec![item], node.is_none().then_some(OF_STORAGE))).await?;
        Ok(())
    }

    async fn node(&self, account: &BareJid, node: &str) -> Result<Option<Arc<Node>>, Failed> {
        Ok(self.pubsub.node(&address(account, node)).await?)
    }
}

fn address(account: &BareJid, node: &str) -> NodeAddress {
    NodeAddress { service: account.clone(), node: node.to_owned() }
}

/// What the last item of the node of XEP-0048 says.
fn published(node: &Node) -> Option<Storage> {
    Storage::read(node.last_item.as_ref()?.payload.as_ref()?)
}

/// Nobody but its owner sees what is in it.
fn is_private(node: &Node) -> bool {
    let blind = |affiliation| matches!(affiliation, Affiliation::Outcast | Affiliation::PublishOnly | Affiliation::None);
    let others = node.affiliations.iter().filter(|(jid, _)| **jid != node.address.service);
    node.config.access_model == AccessModel::Whitelist && others.map(|(_, affiliation)| *affiliation).all(blind)
}
