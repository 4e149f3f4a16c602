//! Nodes for the rest of the server: conversions between what old and new clients keep (XEP-0398, XEP-0411, XEP-0292) read, publish and follow.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::model::{Item, Node, NodeAddress, ServiceKind};
use super::reply::Reply;
use super::request::{Action, NewItem, Request};
use super::service::{Executed, PubSub, Service};
use crate::forms::{Field, Form, FormType};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::error::StanzaError;

/// A node has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The account that it is at.
    pub account: BareJid,
    /// Its name.
    pub node: String,
    /// Its configuration is another one.
    pub configured: bool,
}

/// Called with what has changed. It looks itself at what is there now: two changes at once may be told in either order.
pub type Follower = Arc<dyn Fn(Changed) -> BoxFuture<'static, ()> + Send + Sync>;

/// Who follows nodes of which names.
#[derive(Default)]
pub(super) struct Followers(RwLock<HashMap<String, Vec<Follower>>>);

impl PubSub {
    /// Has a follower called whenever a client has changed a node of this name at an account: when it is stored, outside of the node's turn, before
    /// the client is answered. What the server itself does ([`PubSub::own`]) is not told.
    pub fn follow(&self, node: &str, follower: Follower) {
        self.followers.0.write().unwrap_or_else(PoisonError::into_inner).entry(node.to_owned()).or_default().push(follower);
    }

    /// A request that an account makes of itself, by the server's hand.
    ///
    /// # Errors
    /// As a client's.
    pub async fn own(self: &Arc<Self>, account: &BareJid, request: Request) -> Result<Reply, StanzaError> {
        let of = Service { jid: account.clone(), kind: ServiceKind::Pep };
        self.command_of(of, account.clone().into(), request).await.map(|executed| executed.reply)
    }

    /// A node, if it is there.
    ///
    /// # Errors
    /// `internal-server-error` when it cannot be read.
    pub async fn node(&self, address: &NodeAddress) -> Result<Option<Arc<Node>>, StanzaError> {
        let home = self.nodes.get(address, &self.store, SystemTime::now()).await.map_err(self.router.internal("load a node"))?;
        Ok(home.node())
    }

    /// Whether what was read as the last item of a node a moment ago is not the last one any more, as far as the node is in memory.
    pub fn is_stale(&self, address: &NodeAddress, item: &Item) -> bool {
        let is_last =
            |node: Arc<Node>| node.last_item.as_ref().is_some_and(|last| last.id == item.id && last.published_at <= item.published_at);
        self.nodes.known(address).is_some_and(|known| !known.is_some_and(is_last))
    }

    /// Nodes of an account that have a last item which is in memory only (`pubsub#persist_items` is false).
    pub fn volatile_last_items(&self, account: &BareJid) -> Vec<Arc<Node>> {
        self.nodes.volatile_of(account)
    }

    /// Executes a request of the server's own, or one that does not come as an iq, to its end.
    pub(super) async fn command_of(self: &Arc<Self>, of: Service, requester: Jid, request: Request) -> Result<Executed, StanzaError> {
        let pubsub = self.clone();
        let executed = self.router.whole(async move { pubsub.execute(&of, &requester, &request, |_| {}).await });
        executed.await.ok_or_else(StanzaError::internal_server_error)?
    }

    /// Those who follow this node.
    pub(super) fn followers(&self, of: &Service, node: &str) -> Vec<Follower> {
        if of.kind == ServiceKind::Host {
            return Vec::new();
        }
        self.followers.0.read().unwrap_or_else(PoisonError::into_inner).get(node).cloned().unwrap_or_default()
    }
}

/// A publication of one item or more to a node of an account. `options` are the configuration of the node if it is to be made.
pub(crate) fn publish(node: &str, items: Vec<NewItem>, options: Option<&[(&str, &str)]>) -> Request {
    let field = |(var, value): &(&str, &str)| Field { var: (*var).to_owned(), values: vec![(*value).to_owned()] };
    let form_type = field(&("FORM_TYPE", ns::PUBLISH_OPTIONS));
    let form = |options: &[(&str, &str)]| Form {
        type_: FormType::Submit,
        fields: std::iter::once(form_type.clone()).chain(options.iter().map(field)).collect(),
    };
    Request { node: Some(node.to_owned()), action: Action::Publish { items, options: options.map(form) } }
}
