//! IQs of XEP-0060: they are registered, read, and answered; lists of all that an entity has need no node.

use std::sync::Arc;

use bytes::Bytes;

use super::local::Changed;
use super::reply::{self, Reply};
use super::request::{Action, Request};
use super::service::{Executed, PubSub, Service};
use super::{host, pep};
use crate::iq::{self, Iq, IqTable, To};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind};

impl PubSub {
    /// Registers what hosts and accounts answer.
    pub fn register(self: &Arc<Self>, table: &mut IqTable) {
        host::announce(table);
        pep::announce(table);
        for to in [To::PubSub, To::Account, To::Contact] {
            for namespace in [ns::PUBSUB, ns::PUBSUB_OWNER] {
                table.get(to, (namespace, "pubsub"), self, Self::request);
                table.set(to, (namespace, "pubsub"), self, Self::request);
            }
        }
        table.set(To::PubSub, (ns::COMMANDS, "command"), self, Self::command);
    }

    /// A request of either namespace.
    async fn request(self: Arc<Self>, iq: Iq) -> Result<iq::Reply, StanzaError> {
        let set = iq.stanza.kind() == Kind::Iq(IqType::Set);
        let request = {
            let element = iq.element()?;
            Request::read(element.root(), set)?
        };
        let (service, requester) = (Service::asked(&iq), requester(&iq)?);
        if request.node.is_none() && matches!(request.action, Action::Subscriptions | Action::Affiliations) {
            return self.lists(&service, &requester.to_bare(), &request.action).await;
        }
        if !set {
            let executed = self.execute(&service, &requester, &request, |_| {}).await?;
            return self.answer(&service, executed, &requester).await;
        }
        // What is stored must reach memory and subscribers, whatever becomes of the requester's stream meanwhile.
        let whole = self.clone().command_whole(service, requester, request, iq);
        self.router.whole(whole).await.ok_or_else(StanzaError::internal_server_error)?
    }

    /// Executes a request that may change something. It is answered within its turn where its session is here, so that its sender sees the answer
    /// before the notification; where somebody follows the node, when that is done.
    async fn command_whole(self: Arc<Self>, of: Service, requester: Jid, request: Request, iq: Iq) -> Result<iq::Reply, StanzaError> {
        let followers = self.followers(&of, request.node.as_deref().unwrap_or_default());
        let mut answered = false;
        let answer = |reply: &Reply| {
            answered = followers.is_empty()
                && match reply {
                    Reply::Empty => self.router.answer_session(&iq, Bytes::new()),
                    Reply::Payload(payload) => self.router.answer_session(&iq, payload.clone()),
                    Reply::Items(_) | Reply::Partly(_) => false,
                };
        };
        let executed = self.execute(&of, &requester, &request, answer).await?;
        if executed.changed {
            for follower in followers {
                let configured = matches!(request.action, Action::Configure(_));
                follower(Changed { account: of.jid.clone(), node: executed.node.clone(), configured }).await;
            }
        }
        if answered { Ok(iq::Reply::Sent) } else { self.answer(&of, executed, &requester).await }
    }

    /// §5.6 and §5.7, of all nodes.
    async fn lists(&self, of: &Service, requester: &BareJid, action: &Action) -> Result<iq::Reply, StanzaError> {
        let internal = self.router.internal("list what an entity has at nodes");
        Ok(iq::Reply::Payload(match action {
            Action::Affiliations => reply::affiliations(None, &self.store.affiliations_of(&of.jid, requester).await.map_err(internal)?),
            _ => reply::subscriptions(None, &self.store.subscriptions_of(&of.jid, requester).await.map_err(internal)?),
        }))
    }

    async fn answer(&self, of: &Service, executed: Executed, requester: &Jid) -> Result<iq::Reply, StanzaError> {
        Ok(match executed.reply {
            Reply::Empty => iq::Reply::Empty,
            Reply::Payload(payload) => iq::Reply::Payload(payload),
            Reply::Partly(error) => return Err(error),
            Reply::Items(wanted) => iq::Reply::Payload(self.items(&of.node(&executed.node), &wanted, requester).await?),
        })
    }
}

/// Who asks: `from` is stamped.
pub(super) fn requester(iq: &Iq) -> Result<Jid, StanzaError> {
    iq.stanza.from().cloned().ok_or_else(|| StanzaError::bad_request("nobody has asked"))
}
