//! XEP-0049: Private XML Storage, version 1.2. Kept by `store/private.rs`; bookmarks are those of PEP (`conversions.rs`).

use std::sync::Arc;

use crate::homes::Home;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::store::{PrivateElement, StoreError};
use crate::xml::{Node, XmlWriter};

/// Longest namespace and name of an element, in bytes.
const NAME_BYTES_MAX: usize = 1023;

/// Keeps what clients give it.
#[derive(Debug)]
pub struct Private {
    router: Router,
}

impl Private {
    /// §2.2. Nobody else's data is read or changed (§4).
    pub fn register(router: &Router, table: &mut IqTable) {
        let private = Arc::new(Self { router: router.clone() });
        for to in [To::Server, To::Account] {
            table.feature(to, ns::PRIVATE);
        }
        table.get(To::Account, (ns::PRIVATE, "query"), &private, Self::get);
        table.set(To::Account, (ns::PRIVATE, "query"), &private, Self::set);
        table.get(To::Contact, (ns::PRIVATE, "query"), &private, Self::forbid);
        table.set(To::Contact, (ns::PRIVATE, "query"), &private, Self::forbid);
    }

    /// Example 2: the element asked for, as it was stored or else as it was asked for.
    async fn get(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let element = iq.element()?;
        let mut wanted = element.root().children();
        let (Some(wanted), None) = (wanted.next(), wanted.next()) else {
            return Err(StanzaError::bad_request("exactly one element is asked for"));
        };
        is_namespaced(wanted)?;
        let account = &iq.session()?.home.jid;
        let stored = self.router.store().private_xml().get(account, wanted.ns(), wanted.name()).await;
        let stored = stored.map_err(self.router.internal("load private XML"))?;
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::PRIVATE);
        match stored {
            Some(stored) => xml.raw(&stored),
            None => xml.open(wanted.name()).ns(wanted.ns()).close(),
        };
        xml.close();
        Ok(Reply::Payload(xml.finish()))
    }

    /// Example 1. An empty element takes the stored one away: both are answered in the same way.
    async fn set(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let element = iq.element()?;
        let mut elements = Vec::new();
        for child in element.root().children() {
            is_namespaced(child)?;
            elements.push(PrivateElement {
                namespace: child.ns().to_owned(),
                name: child.name().to_owned(),
                content: (!is_empty(child)).then(|| child.to_bytes()),
            });
        }
        if elements.is_empty() {
            return Err(StanzaError::not_acceptable().with_text("there is nothing to store"));
        }
        let (router, home) = (self.router.clone(), iq.session()?.home.clone());
        // What is stored is converted, whatever becomes of the client's stream meanwhile.
        let stored = self.router.whole(async move { keep(&router, &home, elements).await }).await;
        let stored = stored.ok_or_else(StanzaError::internal_server_error)?;
        match stored.map_err(self.router.internal("store private XML"))? {
            true => Ok(Reply::Empty),
            false => Err(StanzaError::resource_constraint().with_text("the account keeps as much private data as it may")),
        }
    }

    /// Example 3. The answer does not tell whether there is such an account.
    async fn forbid(self: Arc<Self>, _: Iq) -> Result<Reply, StanzaError> {
        Err(StanzaError::forbidden().with_text("private data is its owner's"))
    }
}

/// Stores what a client wants, if there is room for it, and has it converted.
async fn keep(router: &Router, home: &Arc<Home>, elements: Vec<PrivateElement>) -> Result<bool, StoreError> {
    let bookmarks = elements.iter().any(|element| element.namespace == ns::BOOKMARK_STORAGE && element.name == "storage");
    let (private_xml, bytes_max) = (router.store().private_xml(), router.limits().private_bytes);
    let Some(conversions) = router.conversions().filter(|_| bookmarks) else {
        return private_xml.set(&home.jid, elements, bytes_max).await;
    };
    let turn = conversions.turn(&home.jid).await;
    let stored = private_xml.set(&home.jid, elements, bytes_max).await?;
    if stored {
        conversions.storage_kept(&turn, home).await;
    }
    Ok(stored)
}

/// §2.3.
fn is_namespaced(element: Node<'_>) -> Result<(), StanzaError> {
    match element.ns() {
        "" | ns::PRIVATE | ns::CLIENT => Err(StanzaError::not_acceptable().with_text("an element needs a namespace of its own")),
        namespace if namespace.len() > NAME_BYTES_MAX || element.name().len() > NAME_BYTES_MAX => {
            Err(StanzaError::not_acceptable().with_text("the element's namespace or name is too long"))
        }
        _ => Ok(()),
    }
}

fn is_empty(element: Node<'_>) -> bool {
    element.attrs().next().is_none() && element.children().next().is_none() && element.text().is_empty()
}
