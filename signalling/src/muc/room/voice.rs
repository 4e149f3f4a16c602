//! XEP-0045 §7.13, §8.6: visitors ask for voice, and moderators give it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::admin::rights::moderates;
use super::{element, sender};
use crate::forms::{FieldType, Form, FormType, FormWriter, Shown};
use crate::jid::{FullJid, Jid};
use crate::muc::context::Context;
use crate::muc::model::{Occupant, Role, Room};
use crate::muc::outcome::Outcome;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{MessageType, Stanza};
use crate::xml::XmlWriter;

/// Most accounts whose requests for voice a room remembers.
const ASKED_MAX: usize = 1_000;

/// What a form of `muc#request` says.
#[derive(Default)]
struct Request {
    role: Option<String>,
    jid: Option<Jid>,
    nick: Option<String>,
    /// Set by who decides; who asks does not have it.
    allow: Option<bool>,
}

impl Room {
    /// A form in a message to the room: a request for voice (§7.13), or what a moderator or an admin says to one (§8.6, §9.9).
    ///
    /// # Errors
    /// `bad-request`, `service-unavailable` for forms that mean nothing to a room; and those of what is asked.
    pub fn form_message(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let Some(child) = stanza.child(ns::DATA_FORMS, "x") else { return Err(StanzaError::bad_request("there is no form")) };
        let form = Form::read(element(&child)?.root())?;
        match (form.type_, form.form_type()) {
            // What was asked goes on waiting.
            (FormType::Cancel, _) => Ok(()),
            (FormType::Submit, Some(ns::MUC_REQUEST)) => {
                let request = Request::read(&form)?;
                match request.allow {
                    None => self.ask_for_voice(sender(stanza)?, &request, context, out),
                    Some(allow) => self.decide_on_voice(sender(stanza)?, &request, allow, context, out),
                }
            }
            (FormType::Submit, Some(ns::MUC_REGISTER)) => self.decide_on_registration(sender(stanza)?, &form, context, out),
            _ => Err(StanzaError::service_unavailable()),
        }
    }

    /// §7.13: passes a visitor's wish on to all moderators who are there.
    fn ask_for_voice(&mut self, from: &Jid, request: &Request, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let Some(occupant) = self.occupants.of(from) else { return Err(StanzaError::not_acceptable()) };
        let config = &self.lasting.config;
        if request.role.as_deref() != Some(Role::Participant.name()) {
            return Err(StanzaError::bad_request("visitors ask to become participants"));
        }
        if !config.allow_voice_requests {
            return Err(StanzaError::forbidden().with_text("this room takes no requests for voice"));
        }
        if occupant.role != Role::Visitor {
            return Err(StanzaError::unexpected_request().with_text("you have voice"));
        }
        let interval = Duration::from_secs(u64::from(config.voice_request_interval_s));
        let is_recent = |at: &SystemTime| context.now.duration_since(*at).unwrap_or_default() < interval;
        if self.voice_asked.get(&occupant.account).is_some_and(is_recent) {
            return Err(StanzaError::resource_constraint().with_text("wait for a while before you ask again"));
        }
        if self.voice_asked.values().filter(|at| is_recent(at)).count() >= ASKED_MAX {
            return Err(StanzaError::resource_constraint().with_text("many others have asked"));
        }
        let (nick, account) = (occupant.nick().to_owned(), occupant.account.clone());
        let form = approval_form(from, &nick);
        let message = Stanza::message(MessageType::Normal).with_from(self.lasting.jid.clone()).with_id((context.fresh_id)());
        out.broadcast(message.with_content(form.finish()), self.occupants.moderators());
        self.voice_asked.retain(|_, at| is_recent(at));
        self.voice_asked.insert(account, context.now);
        Ok(())
    }

    /// §8.6.
    fn decide_on_voice(
        &mut self,
        from: &Jid,
        request: &Request,
        allow: bool,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        if !moderates(self.power(from, context)) {
            return Err(StanzaError::forbidden().with_text("only moderators give voice"));
        }
        if request.role.as_deref().is_some_and(|role| role != Role::Participant.name()) {
            return Err(StanzaError::bad_request("voice makes a participant"));
        }
        if !allow {
            return Ok(());
        }
        let asking = self.asking(request).ok_or_else(StanzaError::item_not_found)?;
        // Somebody else may have been quicker.
        if asking.role == Role::Visitor {
            let nick = asking.nick().to_owned();
            let why = self.why(from, None);
            self.set_role(&nick, Role::Participant, &why, out);
        }
        Ok(())
    }

    /// Who has asked: by the JID that the form names, as the nickname may be another one's meanwhile.
    fn asking(&self, request: &Request) -> Option<&Arc<Occupant>> {
        match (&request.jid, &request.nick) {
            (Some(jid), _) if jid.is_bare() => {
                self.occupants.of_account(jid.as_str()).min_by_key(|occupant| Some(occupant.nick()) != request.nick.as_deref())
            }
            (Some(jid), _) => self.occupants.of(jid),
            (None, Some(nick)) => self.occupant(nick),
            (None, None) => None,
        }
    }
}

impl Request {
    fn read(form: &Form) -> Result<Self, StanzaError> {
        let mut request = Self::default();
        for field in form.fields.iter().filter(|field| !field.values.is_empty()) {
            match field.var.as_str() {
                "muc#role" => request.role = Some(field.single()?.to_owned()),
                "muc#jid" => request.jid = Some(Jid::parse(field.single()?).map_err(|_| StanzaError::jid_malformed())?),
                "muc#roomnick" => request.nick = Some(nickname(field.single()?)?),
                "muc#request_allow" => request.allow = Some(field.boolean()?),
                _ => {}
            }
        }
        Ok(request)
    }
}

/// A nickname as occupants have it (RFC 7622 §3.4).
pub(super) fn nickname(text: &str) -> Result<String, StanzaError> {
    let jid = FullJid::parse(&format!("x@x/{text}")).map_err(|_| StanzaError::jid_malformed().with_text("that is no nickname"))?;
    Ok(jid.resource_str().to_owned())
}

/// Example 108.
fn approval_form(jid: &Jid, nick: &str) -> XmlWriter {
    const INSTRUCTIONS: &str = "To approve this request for voice, select the \"Grant voice to this person?\" checkbox and click OK. \
                                To skip this request, click the cancel button.";
    let shown = |label| Shown { label, options: &[] };
    let mut xml = XmlWriter::new();
    let mut form = FormWriter::open_with(&mut xml, FormType::Form, ns::MUC_REQUEST, "Voice request", INSTRUCTIONS);
    form.shown_field("muc#role", FieldType::ListSingle, shown("Requested role"), &[Role::Participant.name()]);
    form.shown_field("muc#jid", FieldType::JidSingle, shown("User ID"), &[jid.as_str()]);
    form.shown_field("muc#roomnick", FieldType::TextSingle, shown("Room Nickname"), &[nick]);
    form.shown_field("muc#request_allow", FieldType::Boolean, shown("Grant voice to this person?"), &["false"]);
    form.close();
    xml
}

#[cfg(test)]
mod tests;
