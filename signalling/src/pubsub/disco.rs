//! XEP-0060 §5.1 to §5.5 and XEP-0163 §6: nodes as service discovery shows them.

use std::time::SystemTime;

use bytes::Bytes;

use super::access;
use super::context::Relation;
use super::listed::{List, NODES_MAX};
use super::model::{Node, NodeKind, ServiceKind};
use super::pending::GET_PENDING;
use super::requests::requester;
use super::service::{PubSub, Service};
use crate::capabilities::{Described, Info};
use crate::features::disco::{Item, Items, no_such_node};
use crate::iq::Iq;
use crate::jid::Jid;
use crate::ns;
use crate::rsm;
use crate::stanza::error::StanzaError;
use crate::store::ItemsQuery;
use crate::xml::XmlWriter;

/// What people call the command.
const PENDING_NAME: &str = "Pending subscriptions";

impl PubSub {
    /// §5.3 and §5.4: what a node is.
    ///
    /// # Errors
    /// `item-not-found` for a node that is not there or that the asker may not see.
    pub async fn disco_info(&self, iq: &Iq, node: &str) -> Result<Bytes, StanzaError> {
        let (of, requester) = (Service::asked(iq), requester(iq)?);
        if of.kind == ServiceKind::Host && (node == GET_PENDING || node == ns::COMMANDS) {
            return Ok(of_commands(node));
        }
        let home = self.nodes.get(&of.node(node), &self.store, SystemTime::now()).await.map_err(self.router.internal("load a node"))?;
        let found = home.node().ok_or_else(no_such_node);
        let relation = self.relation(&of, found.as_deref().ok(), &requester).await?;
        match found {
            Ok(node) if access::may_discover(&node, &requester, &relation) => Ok(self.described(&node)),
            _ => Err(hidden(&of, &requester, &relation)),
        }
    }

    /// §5.2 and §5.5: the nodes of a service, or of a collection, or the items of one node.
    ///
    /// # Errors
    /// As [`PubSub::disco_info`].
    pub async fn disco_items(&self, iq: &Iq, node: Option<&str>, page: rsm::Request) -> Result<Items, StanzaError> {
        let (of, requester) = (Service::asked(iq), requester(iq)?);
        let internal = self.router.internal("list nodes");
        let Some(name) = node else {
            return self.listed(&of, &List::TopLevel, &page, &requester).await;
        };
        if of.kind == ServiceKind::Host && name == ns::COMMANDS {
            let item = Item { jid: of.jid.to_string(), node: Some(GET_PENDING.to_owned()), name: Some(PENDING_NAME.to_owned()) };
            return Ok(Items { items: vec![item], page: None });
        }
        let address = of.node(name);
        let home = self.nodes.get(&address, &self.store, SystemTime::now()).await.map_err(&internal)?;
        let node = home.node();
        let relation = self.relation(&of, node.as_deref(), &requester).await?;
        let node =
            node.filter(|node| access::may_discover(node, &requester, &relation)).ok_or_else(|| hidden(&of, &requester, &relation))?;
        if node.kind == NodeKind::Collection {
            return self.listed(&of, &List::Collection(address), &page, &requester).await;
        }
        // §6.5: whoever may not retrieve items does not learn what they are called.
        if access::may_retrieve(&node, &requester, &relation).is_err() {
            return Ok(Items::default());
        }
        let wanted = if page == rsm::Request::default() { ItemsQuery::Newest(NODES_MAX) } else { ItemsQuery::Page(page.clone()) };
        let found = self.store.item_heads(&address, &wanted, SystemTime::now(), NODES_MAX).await.map_err(internal)?;
        let found = found.ok_or_else(StanzaError::item_not_found)?;
        let ends = found.items.first().zip(found.items.last()).map(|(first, last)| (first.id.clone(), last.id.clone()));
        let partial = found.count > found.items.len();
        let item = |item: crate::pubsub::model::Item| Item { jid: of.jid.to_string(), node: None, name: Some(item.id) };
        Ok(Items {
            page: (partial || page != rsm::Request::default()).then_some(rsm::Answer {
                ends,
                index: found.index,
                count: Some(found.count),
            }),
            items: found.items.into_iter().map(item).collect(),
        })
    }

    pub(super) async fn relation(&self, of: &Service, node: Option<&Node>, requester: &Jid) -> Result<Relation, StanzaError> {
        let owners = self.owners(of, node).await.map_err(self.router.internal("load the owners of a node"))?;
        Ok(owners.relation(requester))
    }
}

/// XEP-0030 §8: strangers get the answer of an account that does not exist.
fn hidden(of: &Service, requester: &Jid, relation: &Relation) -> StanzaError {
    let is_stranger = of.kind == ServiceKind::Pep && requester.bare_str() != of.jid.as_str() && !relation.sees_presence;
    if is_stranger { StanzaError::service_unavailable() } else { no_such_node() }
}

/// XEP-0050 §2.
fn of_commands(node: &str) -> Bytes {
    let (kind, name) = if node == GET_PENDING { ("command-node", PENDING_NAME) } else { ("command-list", "") };
    let identity = Described { category: "automation", kind, lang: "", name: name.into() };
    Info { identities: vec![identity], features: vec![ns::COMMANDS, ns::DATA_FORMS], forms: Vec::new() }.write(Some(node))
}

impl PubSub {
    /// §5.3, with the meta-data of §5.4.
    fn described(&self, node: &Node) -> Bytes {
        let kind = match node.kind {
            NodeKind::Leaf => "leaf",
            NodeKind::Collection => "collection",
        };
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_INFO).attr("node", &node.address.node);
        xml.open("identity").attr("category", "pubsub").attr("type", kind);
        if !node.config.title.is_empty() {
            xml.attr("name", &node.config.title);
        }
        xml.close();
        xml.open("feature").attr("var", ns::PUBSUB).close();
        xml.raw(&node.meta_data(&self.limits));
        xml.close();
        xml.finish()
    }
}
