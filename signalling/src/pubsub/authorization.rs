//! XEP-0060 §8.6: owners' answers to subscription requests, which come in messages; and messages that a service does not want.

use std::sync::Arc;

use super::request::Request;
use super::service::{PubSub, Service};
use crate::forms::Form;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, MessageType, PresenceType, Stanza};

/// FORM_TYPE of requests and answers.
const FORM_TYPE: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";

/// Whether a message, to an account, may be an owner's answer.
pub(crate) fn is_answer(stanza: &Stanza) -> bool {
    let form = || stanza.child(ns::DATA_FORMS, "x").filter(|form| form.attr("type").as_deref() == Some("submit"));
    matches!(stanza.kind(), Kind::Message(type_) if type_ != MessageType::Error)
        && form().is_some()
        && read(stanza).is_ok_and(|form| form.is_some())
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
    /// A message to a host, or an owner's answer to an account.
    ///
    /// # Errors
    /// What its sender is told.
    pub async fn message(self: &Arc<Self>, stanza: Stanza) -> Result<(), StanzaError> {
        if stanza.kind() == Kind::Message(MessageType::Error) {
            self.bounced(&stanza);
            return Ok(());
        }
        let (Some(from), Some(to)) = (stanza.from().cloned(), stanza.to().map(crate::jid::Jid::to_bare)) else { return Ok(()) };
        let Some(request) = read(&stanza)? else {
            let is_cancelled = stanza.child(ns::DATA_FORMS, "x").is_some_and(|form| form.attr("type").as_deref() == Some("cancel"));
            // The request goes on waiting.
            return if is_cancelled { Ok(()) } else { Err(StanzaError::service_unavailable()) };
        };
        let kind = Service::kind_of(&to);
        self.command_of(Service { jid: to, kind }, from, request).await.map(drop)
    }

    /// Presence to a host. Nobody has to subscribe to its presence: it has none, and the request is answered once and for all.
    pub async fn presence(&self, kind: PresenceType, stanza: &Stanza) {
        if let (PresenceType::Subscribe, Some(from), Some(to)) = (kind, stanza.from(), stanza.to()) {
            let refusal = Stanza::presence(PresenceType::Unsubscribed).with_from(to.to_bare()).with_to(from.to_bare());
            self.router.route(refusal, None).await;
        }
    }
}
