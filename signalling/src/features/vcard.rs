//! XEP-0054: vcard-temp, version 1.3. vCards are kept as they come, by `store/vcards.rs`; everybody may read them (§5).

pub mod avatar;

use std::sync::Arc;

use bytes::Bytes;
use campanile_config::{Contact, ContactAddress};

use crate::avatar::Image;
use crate::homes::Home;
use crate::iq::{Iq, IqTable, Reply, To};
use crate::ns;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::store::StoreError;
use crate::xml::XmlWriter;

/// Keeps and shows vCards.
#[derive(Debug)]
pub struct VCard {
    router: Router,
    /// Of the server, for people: `mailto:` and other addresses of those who run it.
    admins: Vec<ContactAddress>,
}

impl VCard {
    /// §3. `contact` says whom the server's own vCard names.
    pub fn register(router: &Router, contact: &Contact, table: &mut IqTable) {
        let vcard = Arc::new(Self { router: router.clone(), admins: contact.admin.clone() });
        for to in [To::Server, To::Account, To::Contact] {
            table.feature(to, ns::VCARD);
        }
        table.get(To::Account, (ns::VCARD, "vCard"), &vcard, Self::own);
        table.set(To::Account, (ns::VCARD, "vCard"), &vcard, Self::set);
        table.get(To::Contact, (ns::VCARD, "vCard"), &vcard, Self::others);
        table.set(To::Contact, (ns::VCARD, "vCard"), &vcard, Self::forbid);
        table.get(To::Server, (ns::VCARD, "vCard"), &vcard, Self::servers);
    }

    /// §3.1. Of the two answers for no vCard it is the empty one: slixmpp takes the error for a failure and publishes no avatar.
    async fn own(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let mut empty = XmlWriter::new();
        empty.open("vCard").ns(ns::VCARD).close();
        Ok(Reply::Payload(self.load(&iq).await?.unwrap_or_else(|| empty.finish())))
    }

    /// §3.3: no vCard and no account are the same.
    async fn others(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        self.load(&iq).await?.map(Reply::Payload).ok_or_else(StanzaError::service_unavailable)
    }

    async fn load(&self, iq: &Iq) -> Result<Option<Bytes>, StanzaError> {
        self.router.store().vcards().get(&iq.account()).await.map_err(self.router.internal("load a vCard"))
    }

    /// §3.2. Where the photo becomes another, contacts are told at once (XEP-0153).
    async fn set(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let element = iq.element()?;
        let vcard = element.root().to_bytes();
        if vcard.len() > self.router.limits().vcard_bytes {
            return Err(StanzaError::not_acceptable().with_text("the vCard is too large"));
        }
        let photo = Image::of_vcard(element.root()).map(|image| image.hash());
        let (router, home) = (self.router.clone(), iq.session()?.home.clone());
        // What is stored is converted, whatever becomes of the client's stream meanwhile.
        let stored = self.router.whole(async move { keep(&router, &home, vcard, photo).await }).await;
        stored.ok_or_else(StanzaError::internal_server_error)?.map_err(self.router.internal("store a vCard"))?;
        Ok(Reply::Empty)
    }

    /// §3.2, example 7. The answer does not tell whether there is such an account.
    async fn forbid(self: Arc<Self>, _: Iq) -> Result<Reply, StanzaError> {
        Err(StanzaError::forbidden().with_text("a vCard is its owner's"))
    }

    /// §3.3, note.
    async fn servers(self: Arc<Self>, iq: Iq) -> Result<Reply, StanzaError> {
        let domain = iq.stanza.to().map(|to| to.domain().to_owned()).unwrap_or_default();
        let mut xml = XmlWriter::new();
        xml.open("vCard").ns(ns::VCARD);
        xml.open("FN").text(&domain).close();
        xml.open("ROLE").text("XMPP server").close();
        for admin in &self.admins {
            let admin = admin.for_domain(&domain);
            match admin.split_once(':') {
                Some(("mailto", address)) => xml.open("EMAIL").open("INTERNET").close().open("USERID").text(address).close().close(),
                Some(("xmpp", address)) => xml.open("JABBERID").text(address).close(),
                _ => xml.open("URL").text(&admin).close(),
            };
        }
        xml.close();
        Ok(Reply::Payload(xml.finish()))
    }
}

/// Stores what a client wants, and has it converted.
async fn keep(router: &Router, home: &Arc<Home>, vcard: Bytes, photo: Option<String>) -> Result<(), StoreError> {
    let Some(conversions) = router.conversions() else { return replace(router, home, vcard, photo).await.map(drop) };
    let turn = conversions.turn(&home.jid).await;
    let before = replace(router, home, vcard, photo.clone()).await?;
    conversions.vcard_changed(&turn, home, (before != photo).then_some(before.as_deref())).await;
    Ok(())
}

/// Puts a vCard, whose photo has this hash, in the place of the account's. Contacts are told of another photo (XEP-0153). Returns the hash before.
pub(super) async fn replace(router: &Router, home: &Arc<Home>, vcard: Bytes, photo: Option<String>) -> Result<Option<String>, StoreError> {
    let turn = home.turn().await;
    router.store().vcards().set(&home.jid, vcard, photo.clone()).await?;
    let before = home.with(|account| std::mem::replace(&mut account.photo_hash, photo.clone()));
    drop(turn);
    if before != photo {
        router.revise_presence(home, |presence| avatar::revised(presence, before.as_deref(), photo.as_deref())).await;
    }
    Ok(before)
}
