//! XEP-0060 §8.6: owners' answers to subscription requests, which come in messages; and messages that a service does not want.

use std::sync::Arc;
use std::time::SystemTime;

use super::access;
use super::context::Relation;
use super::model::ServiceKind;
use super::request::Request;
use super::service::{PubSub, Service};
use crate::forms::Form;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};

/// FORM_TYPE of requests and answers.
const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";

/// The decision that a message to an account contains.
pub(crate) fn decision(stanza: &Stanza) -> Option<Request> {
    let is_message = matches!(stanza.kind(), Kind::Message(type_) if type_ != MessageType::Error);
    let is_submitted = || stanza.child(ns::DATA_FORMS, "x").is_some_and(|form| form.attr("type").as_deref() == Some("submit"));
    // What cannot be read is a message like any other.
    let read = || read(stanza).unwrap_or_default();
    (is_message && stanza.to().is_some_and(Jid::is_bare) && is_submitted()).then(read)?
}

fn read(stanza: &Stanza) -> Result<Option<Request>, StanzaError> {
    let Some(child) = stanza.child(ns::DATA_FORMS, "x") else { return Ok(None) };
    let element = child.element().map_err(|error| StanzaError::bad_request(error.to_string()))?;
    let form = Form::read(element.root())?;
    if form.form_type() != Some(FORM_TYPE) {
        return Ok(None);
    }
    Request::read_message(&form)
}

impl PubSub {
    /// Does what a message to an account decides; whether it is for the account as a service at all. It is if an owner of the node has sent it, and whatever
    /// node it names if the account has. Those of everybody else are messages like any other, lest an answer tells who has an account.
    ///
    /// # Errors
    /// What its sender is told.
    pub(crate) async fn decided(self: &Arc<Self>, stanza: &Stanza, decision: Request) -> Result<bool, StanzaError> {
        let (Some(from), Some(to)) = (stanza.from(), stanza.to().map(Jid::to_bare)) else { return Ok(false) };
        let of = Service { jid: to, kind: ServiceKind::Pep };
        if from.bare_str() != of.jid.as_str() {
            let address = of.node(decision.node.as_deref().unwrap_or_default());
            let home = self.nodes.get(&address, &self.store, SystemTime::now()).await.map_err(self.router.internal("load a node"))?;
            if !home.node().is_some_and(|node| access::owns(&node, from, &Relation::default())) {
                return Ok(false);
            }
        }
        self.command_of(of, from.clone(), decision).await?;
        Ok(true)
    }

    /// A message to a host.
    ///
    /// # Errors
    /// What its sender is told.
    pub async fn message(self: &Arc<Self>, stanza: Stanza) -> Result<(), StanzaError> {
        if stanza.kind() == Kind::Message(MessageType::Error) {
            self.bounced(&stanza);
            return Ok(());
        }
        let (Some(from), Some(to)) = (stanza.from().cloned(), stanza.to().map(Jid::to_bare)) else { return Ok(()) };
        let Some(request) = read(&stanza)? else {
            let is_cancelled = stanza.child(ns::DATA_FORMS, "x").is_some_and(|form| form.attr("type").as_deref() == Some("cancel"));
            // The request goes on waiting.
            return if is_cancelled { Ok(()) } else { Err(StanzaError::service_unavailable()) };
        };
        self.command_of(Service { jid: to, kind: ServiceKind::Host }, from, request).await.map(drop)
    }

    /// Presence to a host. Nobody has to subscribe to its presence: it has none, and the request is answered once and for all.
    pub async fn presence(&self, kind: PresenceType, stanza: &Stanza) {
        if let (PresenceType::Subscribe, Some(from), Some(to)) = (kind, stanza.from(), stanza.to()) {
            let refusal = Stanza::presence(PresenceType::Unsubscribed).with_from(to.to_bare()).with_to(from.to_bare());
            self.router.route(refusal, None).await;
        }
    }
}
