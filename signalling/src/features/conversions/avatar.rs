//! XEP-0398: User Avatar to vCard-Based Avatars Conversion, version 1.0.0, between the nodes of XEP-0084 and the photo of XEP-0153. The hash of the
//! photo in presence (§4) is that of `vcard/avatar.rs`.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::Failed;
use crate::avatar::{self, Image, Shown};
use crate::features::vcard;
use crate::homes::Home;
use crate::jid::BareJid;
use crate::ns;
use crate::pubsub::config::AccessModel;
use crate::pubsub::model::{Node, NodeAddress};
use crate::pubsub::request::NewItem;
use crate::pubsub::{PubSub, publish};
use crate::router::Router;
use crate::store::ItemsQuery;
use crate::xml::{Bindings, Element};

/// Images of one avatar that are looked up.
const IMAGES_MAX: usize = 16;
/// A vCard is for everyone (XEP-0054 §5), and so is what is made of it.
const OPEN: &[(&str, &str)] = &[("pubsub#access_model", "open"), ("pubsub#persist_items", "true")];

/// Why a vCard's photo may have to be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The metadata node has changed: without an item there, no image is shown.
    Metadata,
    /// The data node has changed.
    Data,
    /// Its configuration has.
    DataConfigured,
}

/// Keeps avatars of nodes and of vCards the same.
pub(super) struct Avatars {
    router: Router,
    pubsub: Arc<PubSub>,
}

impl Avatars {
    pub fn new(router: Router, pubsub: Arc<PubSub>) -> Self {
        Self { router, pubsub }
    }

    /// What was there before: a photo without nodes is published; where both are there, the nodes count. `metadata` is the id of the last item there.
    pub async fn settle(&self, home: &Arc<Home>, metadata: Option<&str>) -> Result<(), Failed> {
        let photo = home.with(|account| account.photo_hash.clone());
        match (photo.as_deref(), metadata) {
            (None, None) => Ok(()),
            (Some(photo), Some(metadata)) if photo == metadata => Ok(()),
            (Some(_), None) => self.to_nodes(home, None).await,
            (_, Some(_)) => self.to_vcard(home, Cause::Metadata).await,
        }
    }

    /// §3.1.
    pub async fn to_vcard(&self, home: &Arc<Home>, cause: Cause) -> Result<(), Failed> {
        let account = &home.jid;
        let (before, vcard) = (home.with(|account| account.photo_hash.clone()), || self.router.store().vcards());
        let photo = match self.shown(account).await? {
            None | Some(Shown::Nothing) if cause == Cause::Metadata => None,
            None | Some(Shown::Nothing | Shown::Elsewhere) => return Ok(()),
            Some(Shown::Images(images)) => match self.node(account, ns::AVATAR_DATA).await? {
                // §7. What was copied while everyone might see it goes, with the configuration and with the node.
                data if data.as_deref().is_none_or(|data| data.config.access_model != AccessModel::Open) => {
                    let is_copy = before.as_ref().is_some_and(|before| images.iter().any(|(id, _)| id == before));
                    let goes = cause == Cause::DataConfigured || (cause == Cause::Data && data.is_none());
                    if !goes || !is_copy {
                        return Ok(());
                    }
                    None
                }
                _ => match self.image(account, &images).await? {
                    Some(image) => Some(image),
                    // Published later, or not at all.
                    None => return Ok(()),
                },
            },
        };
        let hash = photo.as_ref().map(Image::hash);
        if hash == before {
            return Ok(());
        }
        let kept = vcard().get(account).await?;
        let element = kept.and_then(|kept| Element::parse(&kept, &Bindings::empty()).ok());
        vcard::replace(&self.router, home, avatar::with_photo(element.as_ref(), photo.as_ref()), hash).await?;
        Ok(())
    }

    /// §3.2, for the photo that has taken the place of the one with the hash `before`.
    pub async fn to_nodes(&self, home: &Arc<Home>, before: Option<&str>) -> Result<(), Failed> {
        let account = &home.jid;
        let vcard = self.router.store().vcards().get(account).await?;
        let element = vcard.and_then(|vcard| Element::parse(&vcard, &Bindings::empty()).ok());
        let photo = element.and_then(|element| Image::of_vcard(element.root()));
        let shown = self.shown(account).await?;
        let shows = |hash: &str| matches!(&shown, Some(Shown::Images(images)) if images.iter().any(|(id, _)| id == hash));
        match photo {
            Some(image) if !shows(&image.hash()) => {
                let id = image.hash();
                self.publish(account, ns::AVATAR_DATA, Some(&id), image.data()).await?;
                self.publish(account, ns::AVATAR_METADATA, Some(&id), image.metadata()).await
            }
            // An image that never was in the vCard is not taken away with it.
            None if before.is_some_and(shows) => self.publish(account, ns::AVATAR_METADATA, None, avatar::no_metadata()).await,
            _ => Ok(()),
        }
    }

    /// What the metadata node says; `None` if it says nothing.
    async fn shown(&self, account: &BareJid) -> Result<Option<Shown>, Failed> {
        let node = self.node(account, ns::AVATAR_METADATA).await?;
        let item = node.as_ref().and_then(|node| node.last_item.as_ref());
        Ok(item.and_then(|item| item.payload.as_ref()).and_then(|payload| Shown::read(payload)))
    }

    /// The first of these images that the data node has, and that is what its id says.
    async fn image(&self, account: &BareJid, images: &[(String, String)]) -> Result<Option<Image>, Failed> {
        let ids = ItemsQuery::ByIds(images.iter().take(IMAGES_MAX).map(|(id, _)| id.clone()).collect());
        let (store, bytes_max) = (self.router.store().pubsub(), self.router.limits().vcard_bytes);
        let page = store.items(&address(account, ns::AVATAR_DATA), &ids, SystemTime::now(), IMAGES_MAX, bytes_max).await?;
        let items = page.unwrap_or_default().items;
        Ok(images.iter().find_map(|(id, type_)| {
            let item = items.iter().find(|item| item.id == *id)?;
            Image::of_data(item.payload.as_ref()?, type_).filter(|image| image.hash().eq_ignore_ascii_case(id))
        }))
    }

    async fn node(&self, account: &BareJid, node: &str) -> Result<Option<Arc<Node>>, Failed> {
        Ok(self.pubsub.node(&address(account, node)).await?)
    }

    async fn publish(&self, account: &BareJid, node: &str, id: Option<&str>, payload: Bytes) -> Result<(), Failed> {
        let options = self.node(account, node).await?.is_none().then_some(OPEN);
        let item = NewItem { id: id.map(str::to_owned), payload: Some(payload), payload_ns: node.to_owned() };
        self.pubsub.own(account, publish(node, vec![item], options)).await?;
        Ok(())
    }
}

fn address(account: &BareJid, node: &str) -> NodeAddress {
    NodeAddress { service: account.clone(), node: node.to_owned() }
}
