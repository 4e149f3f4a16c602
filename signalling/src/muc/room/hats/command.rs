//! XEP-0050: Ad-Hoc Commands, version 1.3, as far as commands of one form need it: nothing is kept between the form and what was filled in.

use bytes::Bytes;

use super::super::element;
use crate::forms::{Form, FormType};
use crate::muc::context::Context;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, Stanza};
use crate::xml::XmlWriter;

/// §4.3. `next` and `complete` are the same where there is one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Begins, or goes on with what was filled in.
    Execute,
    /// Goes on.
    Complete,
    /// Ends it without effect.
    Cancel,
}

/// A request.
pub(super) struct Command {
    /// Which command.
    pub node: String,
    /// What is to be done.
    pub action: Action,
    /// What was filled in.
    pub form: Option<Form>,
    session: Option<String>,
}

impl Command {
    /// Reads a request.
    ///
    /// # Errors
    /// `bad-request`, with `bad-action` or `bad-payload` (§4.4).
    pub fn read(stanza: &Stanza) -> Result<Self, StanzaError> {
        if stanza.kind() != Kind::Iq(IqType::Set) {
            return Err(StanzaError::bad_request("commands are set"));
        }
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no request"))?;
        let element = element(&payload)?;
        let command = element.root();
        let mut action = match command.attr("action") {
            None | Some("execute") => Action::Execute,
            Some("next" | "complete") => Action::Complete,
            Some("cancel") => Action::Cancel,
            Some("prev") => return Err(condition("bad-action", "there is nothing before it")),
            Some(_) => return Err(condition("malformed-action", "unknown action")),
        };
        let form = Form::of(command).map_err(|error| StanzaError { extra: Some(extra("bad-payload")), ..error })?;
        if form.as_ref().is_some_and(|form| form.type_ == FormType::Cancel) {
            action = Action::Cancel;
        }
        Ok(Self {
            node: command.attr("node").unwrap_or_default().to_owned(),
            action,
            form,
            session: command.attr("sessionid").map(str::to_owned),
        })
    }

    /// A form that is to be filled in.
    pub fn executing(&self, context: &Context<'_>, form: XmlWriter) -> Bytes {
        self.answer("executing", context, Some(form))
    }

    /// It is done.
    pub fn completed(&self, context: &Context<'_>, result: Option<XmlWriter>) -> Bytes {
        self.answer("completed", context, result)
    }

    /// Nothing was done.
    pub fn canceled(&self, context: &Context<'_>) -> Bytes {
        self.answer("canceled", context, None)
    }

    fn answer(&self, status: &str, context: &Context<'_>, form: Option<XmlWriter>) -> Bytes {
        let session = self.session.clone().unwrap_or_else(|| (context.fresh_id)());
        let mut xml = XmlWriter::new();
        xml.open("command").ns(ns::COMMANDS).attr("node", &self.node).attr("sessionid", &session).attr("status", status);
        xml.raw(&form.map(XmlWriter::finish).unwrap_or_default()).close();
        xml.finish()
    }
}

/// What was filled in is not as it should be.
pub(super) fn bad_payload(text: &'static str) -> StanzaError {
    condition("bad-payload", text)
}

fn condition(name: &str, text: &'static str) -> StanzaError {
    StanzaError { extra: Some(extra(name)), ..StanzaError::bad_request(text) }
}

fn extra(name: &str) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open(name).ns(ns::COMMANDS).close();
    xml.finish()
}
