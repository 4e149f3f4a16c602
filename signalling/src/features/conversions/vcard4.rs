//! XEP-0292: vCard4 Over XMPP, version 0.12.0: the node of an account's vCard is the same as its vcard-temp (§11), and the server has a vCard of its own
//! (§6).

mod card;

use std::sync::Arc;

use campanile_config::{Contact, ContactAddress};

use super::Failed;
use crate::features::vcard;
use crate::homes::Home;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jid::BareJid;
use crate::ns;
use crate::pubsub::config::AccessModel;
use crate::pubsub::model::{Node, NodeAddress};
use crate::pubsub::request::NewItem;
use crate::pubsub::{PubSub, publish};
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::xml::{Bindings, Element, XmlWriter};

use card::Card;

/// XEP-0222, §4.1: a vCard is for everyone (XEP-0054 §5), and so is what is made of it.
const OPEN: &[(&str, &str)] = &[("pubsub#access_model", "open"), ("pubsub#persist_items", "true")];
/// The one item, where a client has not named it otherwise.
const ITEM_ID: &str = "current";

/// The server's own vCard.
#[derive(Debug)]
struct Servers {
    admins: Vec<ContactAddress>,
}

/// §6 and §7. `contact` says whom the server's vCard names.
pub fn register(contact: &Contact, table: &mut IqTable) {
    for to in [To::Server, To::Account, To::Contact] {
        table.feature(to, ns::VCARD4);
    }
    let servers = Arc::new(Servers { admins: contact.admin.clone() });
    table.get(To::Server, (ns::VCARD4, "vcard"), &servers, Servers::vcard);
}

impl Servers {
    /// Example 9.
    async fn vcard(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let domain = iq.stanza.to().map(|to| to.domain().to_owned()).unwrap_or_default();
        let mut xml = XmlWriter::new();
        xml.open("vcard").ns(ns::VCARD4);
        xml.open("fn").open("text").text(&domain).close().close();
        for admin in &self.admins {
            let admin = admin.for_domain(&domain);
            match admin.split_once(':') {
                Some(("mailto", address)) => xml.open("email").open("text").text(address).close().close(),
                Some(("xmpp", _)) => xml.open("impp").open("uri").text(&admin).close().close(),
                _ => xml.open("url").open("uri").text(&admin).close().close(),
            };
        }
        xml.open("kind").open("text").text("application").close().close().close();
        Ok(Reply::Payload(xml.finish()))
    }
}

/// Keeps vCards of both formats the same.
pub(super) struct VCards4 {
    router: Router,
    pubsub: Arc<PubSub>,
}

impl VCards4 {
    pub fn new(router: Router, pubsub: Arc<PubSub>) -> Self {
        Self { router, pubsub }
    }

    /// What was there before: where both are there, the node counts.
    pub async fn settle(&self, home: &Arc<Home>, has_node: bool) -> Result<(), Failed> {
        match has_node {
            true => self.to_temp(home, false).await,
            false if self.kept(&home.jid).await?.is_some() => self.to_node(home).await,
            false => Ok(()),
        }
    }

    /// The node has changed, in what is published or in its configuration. What not everybody may see stays there, and what was copied while everybody
    /// might see it goes; a node that is empty or gone says nothing.
    pub async fn to_temp(&self, home: &Arc<Home>, configured: bool) -> Result<(), Failed> {
        let node = self.node(&home.jid).await?;
        let Some((node, published)) = node.and_then(|node| published(&node).map(|published| (node, published))) else { return Ok(()) };
        let kept = self.kept(&home.jid).await?;
        let before = kept.as_ref().map(|kept| Card::of_temp(kept.root())).unwrap_or_default();
        let card = Card::of_vcard4(published.root());
        let card = match is_open(&node) {
            true if before != card => card,
            false if configured && before == card && !card.is_empty() => Card::default(),
            _ => return Ok(()),
        };
        let written = card.write_temp(kept.as_ref().map(Element::root));
        let photo = home.with(|account| account.photo_hash.clone());
        vcard::replace(&self.router, home, written, photo).await?;
        Ok(())
    }

    /// vcard-temp has changed. A node that not everybody may see is another vCard.
    pub async fn to_node(&self, home: &Arc<Home>) -> Result<(), Failed> {
        let (kept, node) = (self.kept(&home.jid).await?, self.node(&home.jid).await?);
        if node.as_deref().is_some_and(|node| !is_open(node)) {
            return Ok(());
        }
        let published = node.as_deref().and_then(published);
        let card = kept.as_ref().map(|kept| Card::of_temp(kept.root())).unwrap_or_default();
        let before = published.as_ref().map(|published| Card::of_vcard4(published.root())).unwrap_or_default();
        if card == before {
            return Ok(());
        }
        let id = node.as_deref().and_then(|node| node.last_item.as_ref()).map_or(ITEM_ID, |item| &item.id);
        let payload = card.write_vcard4(published.as_ref().map(Element::root));
        let item = NewItem { id: Some(id.to_owned()), payload: Some(payload), payload_ns: ns::VCARD4.to_owned() };
        self.pubsub.own(&home.jid, publish(ns::VCARD4_NODE, vec![item], node.is_none().then_some(OPEN))).await?;
        Ok(())
    }

    async fn kept(&self, account: &BareJid) -> Result<Option<Element>, Failed> {
        let vcard = self.router.store().vcards().get(account).await?;
        Ok(vcard.and_then(|vcard| Element::parse(&vcard, &Bindings::empty()).ok()))
    }

    async fn node(&self, account: &BareJid) -> Result<Option<Arc<Node>>, Failed> {
        Ok(self.pubsub.node(&NodeAddress { service: account.clone(), node: ns::VCARD4_NODE.to_owned() }).await?)
    }
}

/// What the last item says, if it is a vCard.
fn published(node: &Node) -> Option<Element> {
    let element = Element::parse(node.last_item.as_ref()?.payload.as_ref()?, &Bindings::empty()).ok()?;
    element.root().is(ns::VCARD4, "vcard").then_some(element)
}

/// For everyone, as vcard-temp is.
fn is_open(node: &Node) -> bool {
    node.config.access_model == AccessModel::Open
}
