//! XEP-0060 §8.7: an owner has the pending subscription requests of a node sent again, by an ad-hoc command (XEP-0050) of the host.

use std::sync::Arc;

use bytes::Bytes;

use super::request::{Action, Request};
use super::requests::requester;
use super::service::{PubSub, Service};
use crate::forms::{Form, FormType};
use crate::iq::{self, Iq};
use crate::ns;
use crate::random;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// The command's name.
pub(super) const GET_PENDING: &str = "http://jabber.org/protocol/pubsub#get-pending";
/// Longest identifier of a session that is given back.
const SESSION_BYTES_MAX: usize = 128;

/// How far a command has come (XEP-0050 §3.3).
enum Status {
    Executing,
    Completed,
    Canceled,
}

impl PubSub {
    /// A command of a host. Nothing is remembered between its two steps, so an identifier of a session is as good as any other.
    pub(super) async fn command(self: Arc<Self>, iq: Iq) -> Result<iq::Reply, StanzaError> {
        let element = iq.element()?;
        let command = element.root();
        if command.attr("node") != Some(GET_PENDING) {
            return Err(StanzaError::item_not_found().with_text("there is no such command"));
        }
        let action = command.attr("action").unwrap_or("execute");
        let form = Form::of(command)?;
        let session = command.attr("sessionid").filter(|id| !id.is_empty() && id.len() <= SESSION_BYTES_MAX).map(str::to_owned);
        let session = session.unwrap_or_else(random::id);
        let (of, requester) = (Service::asked(&iq), requester(&iq)?);
        let is_cancelled = action == "cancel" || form.as_ref().is_some_and(|form| form.type_ == FormType::Cancel);
        let answer = match (action, form) {
            _ if is_cancelled => write(&session, &Status::Canceled, &[]),
            ("execute" | "next" | "complete", Some(form)) => {
                let field = form.fields.iter().find(|field| field.var == "pubsub#node");
                let node = field.ok_or_else(|| StanzaError::bad_request("the form names no node"))?.single()?.to_owned();
                self.command_of(of, requester, Request { node: Some(node), action: Action::Pending }).await?;
                write(&session, &Status::Completed, &[])
            }
            ("execute", None) => {
                let internal = self.router.internal("list pending subscriptions");
                let owner = requester.to_bare();
                if self.store.owned(&of.jid, &owner).await.map_err(&internal)? == 0 {
                    return Err(StanzaError::forbidden().with_text("for owners of nodes"));
                }
                let nodes = self.store.pending_at(&of.jid, &owner).await.map_err(&internal)?;
                write(&session, &Status::Executing, &nodes)
            }
            _ => return Err(StanzaError::bad_request("the command has no such action now")),
        };
        Ok(iq::Reply::Payload(answer))
    }
}

fn write(session: &str, status: &Status, nodes: &[String]) -> Bytes {
    let name = match status {
        Status::Executing => "executing",
        Status::Completed => "completed",
        Status::Canceled => "canceled",
    };
    let mut xml = XmlWriter::new();
    xml.open("command").ns(ns::COMMANDS).attr("sessionid", session).attr("node", GET_PENDING).attr("status", name);
    if let Status::Executing = status {
        xml.open("actions").attr("execute", "complete").open("complete").close().close();
        xml.open("x").ns(ns::DATA_FORMS).attr("type", "form");
        xml.open("field").attr("var", "FORM_TYPE").attr("type", "hidden");
        xml.open("value").text("http://jabber.org/protocol/pubsub#subscribe_authorization").close().close();
        xml.open("field").attr("type", "list-single").attr("var", "pubsub#node");
        for node in nodes {
            xml.open("option").open("value").text(node).close().close();
        }
        xml.close().close();
    }
    xml.close();
    xml.finish()
}
