//! Requests that the server answers: a table by addressee, namespace, element name and type (RFC 6120 §8.2.3).
//!
//! Each feature registers its requests and the namespaces it is announced by; `features/disco.rs` shows what is registered.

use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::jid::{BareJid, Jid};
use crate::session::SessionRef;
use crate::stanza::error::StanzaError;
use crate::stanza::{Child, IqType, Kind, Stanza};
use crate::xml::Element;

/// Who a request is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum To {
    /// One of the server's own domains.
    Server,
    /// The sender's own account: no `to`, or its bare JID (RFC 6120 §10.3.3).
    Account,
    /// The bare JID of another local account (RFC 6121 §8.5.2.1.3).
    Contact,
    /// A publish-subscribe service at a domain of its own (XEP-0060).
    PubSub,
    /// A service of rooms at a domain of its own (XEP-0045).
    Muc,
    /// The bare JID of a room; what is not in the table is for the room to answer.
    Room,
}

/// A request on its way to its handler.
#[derive(Debug)]
pub struct Iq {
    /// The whole request; `from` is stamped.
    pub stanza: Stanza,
    /// The local session that sent it; `None` for requests from elsewhere.
    pub session: Option<SessionRef>,
    /// Which entry of the table it met.
    pub to: To,
}

impl Iq {
    /// The request's payload element.
    pub fn payload(&self) -> Child<'_> {
        self.stanza.payload().expect("the table only dispatches requests that have a payload")
    }

    /// The payload as a tree.
    ///
    /// # Errors
    /// `bad-request` where it cannot be read.
    pub fn element(&self) -> Result<Element, StanzaError> {
        self.payload().element().map_err(|error| StanzaError::bad_request(error.to_string()))
    }

    /// The account addressed: the `to`, or the sender's own.
    pub fn account(&self) -> BareJid {
        let addressed = self.stanza.to().or(self.stanza.from());
        addressed.map(Jid::to_bare).expect("`from` is stamped before a request is dispatched")
    }

    /// The session that sent it.
    ///
    /// # Errors
    /// `not-allowed` for a request from elsewhere, which has no session here.
    pub fn session(&self) -> Result<&SessionRef, StanzaError> {
        self.session.as_ref().ok_or_else(|| StanzaError::not_allowed().with_text("only for this server's own users"))
    }
}

/// What a handler answers when it succeeds.
#[derive(Debug)]
pub enum Reply {
    /// `type='result'` without payload.
    Empty,
    /// `type='result'` with this payload.
    Payload(Bytes),
    /// The handler has queued the answer itself, since its place among other stanzas matters.
    Sent,
}

type Answer = Pin<Box<dyn Future<Output = Result<Reply, StanzaError>> + Send>>;
type Handler = Arc<dyn Fn(Iq) -> Answer + Send + Sync>;
/// Addressee, whether it is a `set`, namespace and name of the payload.
type Key<'a> = (To, bool, &'a str, &'a str);

/// An identity shown by service discovery (XEP-0030 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// From the registrar's list, as `server`.
    pub category: &'static str,
    /// From the registrar's list, as `im`.
    pub kind: &'static str,
    /// For people; may be empty.
    pub name: &'static str,
}

/// Every request the server answers, and every feature it announces.
#[derive(Default)]
pub struct IqTable {
    handlers: HashMap<Key<'static>, Handler>,
    features: BTreeSet<(To, &'static str)>,
    identities: Vec<(To, Identity)>,
}

impl IqTable {
    /// Announces a namespace by service discovery.
    pub fn feature(&mut self, to: To, namespace: &'static str) {
        self.features.insert((to, namespace));
    }

    /// Announces an identity by service discovery.
    pub fn identity(&mut self, to: To, identity: Identity) {
        self.identities.push((to, identity));
    }

    /// Registers a request of type `get` by its payload's (namespace, name).
    pub fn get<S, F, Fut>(&mut self, to: To, payload: (&'static str, &'static str), service: &Arc<S>, handler: F)
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Iq) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, StanzaError>> + Send + 'static,
    {
        self.register((to, false, payload.0, payload.1), service, handler);
    }

    /// Registers a request of type `set`.
    pub fn set<S, F, Fut>(&mut self, to: To, payload: (&'static str, &'static str), service: &Arc<S>, handler: F)
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Iq) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, StanzaError>> + Send + 'static,
    {
        self.register((to, true, payload.0, payload.1), service, handler);
    }

    fn register<S, F, Fut>(&mut self, key: Key<'static>, service: &Arc<S>, handler: F)
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Iq) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, StanzaError>> + Send + 'static,
    {
        let service = service.clone();
        let before = self.handlers.insert(key, Arc::new(move |iq| Box::pin(handler(service.clone(), iq))));
        debug_assert!(before.is_none(), "two features answer {key:?}");
    }

    /// The namespaces announced for one kind of addressee, in order.
    pub fn features(&self, to: To) -> impl Iterator<Item = &'static str> {
        self.features.iter().filter(move |(addressee, _)| *addressee == to).map(|(_, namespace)| *namespace)
    }

    /// The identities announced for one kind of addressee.
    pub fn identities(&self, to: To) -> impl Iterator<Item = Identity> {
        self.identities.iter().filter(move |(addressee, _)| *addressee == to).map(|(_, identity)| *identity)
    }

    /// Answers a request of type `get` or `set`: the reply stanza, addressed to the sender; `None` if it is sent already.
    pub async fn answer(&self, iq: Iq) -> Option<Stanza> {
        let request = iq.stanza.clone();
        let outcome = match self.find(iq.to, &iq.stanza) {
            Some(handler) => handler(iq).await,
            None => Err(StanzaError::service_unavailable()),
        };
        match outcome {
            Ok(Reply::Empty) => Some(Stanza::iq_result(&request, Bytes::new())),
            Ok(Reply::Payload(payload)) => Some(Stanza::iq_result(&request, payload)),
            Ok(Reply::Sent) => None,
            Err(error) => Stanza::error_reply(&request, &error),
        }
    }

    /// Whether there is somebody to answer a request to such an addressee.
    pub fn knows(&self, to: To, stanza: &Stanza) -> bool {
        self.find(to, stanza).is_some()
    }

    fn find(&self, to: To, stanza: &Stanza) -> Option<Handler> {
        let set = match stanza.kind() {
            Kind::Iq(IqType::Set) => true,
            Kind::Iq(IqType::Get) => false,
            _ => return None,
        };
        let payload = stanza.payload()?;
        let handlers: &HashMap<Key<'_>, Handler> = &self.handlers;
        handlers.get(&(to, set, payload.ns(), payload.name())).cloned()
    }
}
