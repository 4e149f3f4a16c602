//! XEP-0030: Service Discovery, version 2.5, for the server and on behalf of its accounts.
//!
//! What is shown is what `iq.rs` has registered. Nodes and items come with the services that have some.

use std::sync::Arc;

use crate::iq::{Identity, Iq, IqTable, Reply, To};
use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Answers disco#info and disco#items.
#[derive(Debug)]
pub struct Disco {
    router: Router,
}

impl Disco {
    /// §3 and §4.
    pub fn register(router: &Router, table: &mut IqTable) {
        let disco = Arc::new(Self { router: router.clone() });
        table.identity(To::Server, Identity { category: "server", kind: "im", name: "campanile" });
        for to in [To::Account, To::Contact] {
            table.identity(to, Identity { category: "account", kind: "registered", name: "" });
        }
        for to in [To::Server, To::Account, To::Contact] {
            table.feature(to, ns::DISCO_INFO);
            table.feature(to, ns::DISCO_ITEMS);
            table.get(to, (ns::DISCO_INFO, "query"), &disco, Self::info);
            table.get(to, (ns::DISCO_ITEMS, "query"), &disco, Self::items);
        }
    }

    async fn info(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        self.may_see(&iq)?;
        no_node(&iq)?;
        let table = self.router.table();
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_INFO);
        let anonymous =
            iq.to != To::Server && self.router.home_in_memory(&iq.account()).is_some_and(|home| home.with(|account| account.anonymous));
        for mut identity in table.identities(iq.to) {
            if anonymous && identity.kind == "registered" {
                identity.kind = "anonymous"; // XEP-0175 §5
            }
            xml.open("identity").attr("category", identity.category).attr("type", identity.kind);
            if !identity.name.is_empty() {
                xml.attr("name", identity.name);
            }
            xml.close();
        }
        for namespace in table.features(iq.to) {
            xml.open("feature").attr("var", namespace).close();
        }
        xml.close();
        Ok(Reply::Payload(xml.finish()))
    }

    /// §4: there are none until services and nodes have some.
    async fn items(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        self.may_see(&iq)?;
        no_node(&iq)?;
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_ITEMS).close();
        Ok(Reply::Payload(xml.finish()))
    }

    /// §8: whoever may not see an account's presence gets the answer of an account that does not exist.
    fn may_see(&self, iq: &Iq) -> Result<(), StanzaError> {
        if iq.to != To::Contact {
            return Ok(());
        }
        let seen =
            |from: &Jid| self.router.home_in_memory(&iq.account()).is_some_and(|home| home.with(|account| account.shows_presence_to(from)));
        match iq.stanza.from() {
            Some(from) if seen(from) => Ok(()),
            _ => Err(StanzaError::service_unavailable()),
        }
    }
}

/// §3.2: a node that is not known.
fn no_node(iq: &Iq) -> Result<(), StanzaError> {
    match iq.payload().attr("node") {
        Some(node) if !node.is_empty() => Err(StanzaError::item_not_found().with_text("there is no such node")),
        _ => Ok(()),
    }
}
