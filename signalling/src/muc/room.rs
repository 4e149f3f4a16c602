//! A room decides about a stanza: XEP-0045 §7–§11. What each kind of stanza does stands in a file of its own.

mod admin;
mod bounds;
mod configure;
mod destroy;
mod errors;
pub(in crate::muc) mod hats;
mod info;
mod invite;
mod join;
mod leave;
mod message;
mod moderate;
mod nick;
mod owner;
mod presence;
mod private;
mod reason;
mod refusal;
mod register;
mod restore;
mod retract;
pub(in crate::muc) mod say;
#[cfg(test)]
mod scene;
mod subject;
mod vcard;
mod voice;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::change::Change;
use super::config::RoomConfig;
use super::context::Context;
use super::model::{Affiliated, Affiliation, History, Lasting, Occupants, Room};
use super::outcome::Outcome;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{CHILDREN_MAX, Child, IqType, Kind, MessageType, PresenceType, Stanza};
use crate::xml::Element;

pub(super) use presence::not_there;
pub(in crate::muc) use private::Correspondents;
pub(in crate::muc) use reason::write_reason;
pub use refusal::refusal;
pub use restore::SavedSeat;

impl Room {
    /// A room that nobody has configured yet: locked until its creator, who owns it, has done so or has asked for an instant room (§10.1.1).
    /// `secret` is random: 32 bytes.
    #[must_use]
    pub fn new(jid: BareJid, creator: BareJid, config: RoomConfig, created_at: SystemTime, secret: Vec<u8>) -> Self {
        let owner = Affiliated { affiliation: Affiliation::Owner, nick: None, reason: None };
        Self::of(Lasting {
            jid,
            affiliations: [(creator.clone(), owner)].into(),
            creator,
            created_at,
            locked: true,
            config,
            requests: BTreeMap::new(),
            subject: None,
            vcard: None,
            hats: Arc::default(),
            secret,
        })
    }

    /// A room with nobody in it and nothing said, as it is stored.
    #[must_use]
    pub fn of(lasting: Lasting) -> Self {
        Self { lasting, occupants: Occupants::default(), history: History::default(), last_id: None, voice_asked: BTreeMap::new() }
    }

    /// Decides a stanza to the room or, with `nick`, to one of its occupants; `from` is stamped. IQs to occupants are not for the room to decide.
    /// A temporary room, or one that was never unlocked, is over once nobody is there.
    ///
    /// # Errors
    /// The error that answers the stanza; then nothing has changed.
    pub fn handle(&mut self, stanza: &Stanza, nick: Option<&str>, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        must_have_room_for_ours(stanza)?;
        match (stanza.kind(), nick) {
            (Kind::Presence(type_), nick) => self.presence(stanza, type_, nick, context, out)?,
            (Kind::Message(MessageType::Error), nick) => self.message_error(stanza, nick, out),
            (Kind::Message(_), _) if self.lasting.locked => return Err(StanzaError::item_not_found()),
            (Kind::Message(MessageType::Groupchat), None) => self.message(stanza, context, out)?,
            (Kind::Message(_), None) => self.message_to_room(stanza, context, out)?,
            (Kind::Message(_), Some(nick)) => self.private_message(stanza, nick, out)?,
            (Kind::Iq(type_), None) => self.request(stanza, type_, context, out)?,
            (Kind::Iq(_), Some(_)) => return Err(StanzaError::service_unavailable()),
        }
        self.end_if_empty(out);
        Ok(())
    }

    /// Whether deciding this stanza may change what is stored: then it is stored first.
    #[must_use]
    pub fn may_store(stanza: &Stanza) -> bool {
        match stanza.kind() {
            Kind::Iq(type_) => type_ == IqType::Set,
            Kind::Message(MessageType::Groupchat) => subject::is_subject(stanza),
            // Those to an occupant only pass.
            Kind::Message(MessageType::Normal | MessageType::Chat) => {
                stanza.to().is_none_or(|to| to.is_bare())
                    && stanza.children().any(|child| child.is(ns::MUC_USER, "x") || child.is(ns::DATA_FORMS, "x"))
            }
            Kind::Message(_) | Kind::Presence(_) => false,
        }
    }

    /// Nobody is there, and nothing keeps it: it is temporary, or was never opened.
    #[must_use]
    pub(super) fn has_ended(&self) -> bool {
        self.occupants.is_empty() && (self.lasting.locked || !self.lasting.config.persistent)
    }

    /// §7.14: nobody is left in a room that does not stay for itself.
    fn end_if_empty(&mut self, out: &mut Outcome) {
        if self.has_ended() && !out.over {
            self.lasting.change(Change::Destroy, out);
            out.over = true;
        }
    }

    /// Messages to the room itself that are not for everyone.
    fn message_to_room(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        if invite::user(stanza, "invite").is_some() {
            self.invite(stanza, context, out)
        } else if invite::user(stanza, "decline").is_some() {
            self.decline(stanza, out)
        } else if stanza.child(ns::DATA_FORMS, "x").is_some() {
            self.form_message(stanza, context, out)
        } else {
            // §17.2, rule 1.
            Err(StanzaError::bad_request("messages to a room have the type groupchat"))
        }
    }

    /// Requests to the room.
    fn request(&mut self, stanza: &Stanza, type_: IqType, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        if matches!(type_, IqType::Result | IqType::Error) {
            return Ok(());
        }
        if !self.exists_for(sender(stanza)?, context) {
            return Err(StanzaError::item_not_found());
        }
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no payload"))?;
        match (payload.ns(), payload.name()) {
            (ns::REGISTER, "query") => self.registration(stanza, context, out),
            (ns::MODERATION, "moderate") | (ns::FASTENING, "apply-to") => self.moderate(stanza, context, out),
            (ns::COMMANDS, "command") => self.hat_command(stanza, context, out),
            (ns::VCARD, "vCard") => self.vcard(stanza, context, out),
            (ns::MUC_ADMIN, "query") => self.admin(stanza, context, out),
            (ns::MUC_OWNER, "query") => self.owner(stanza, context, out),
            _ => Err(StanzaError::service_unavailable()),
        }
    }
}

/// The real full JID of whoever has sent a stanza.
fn sender(stanza: &Stanza) -> Result<&Jid, StanzaError> {
    stanza.from().ok_or_else(|| StanzaError::bad_request("there is no sender"))
}

/// Children that the room adds to what it sends on, archives included, at most.
const CHILDREN_ADDED: usize = 4;

/// What a room sends on can be read again, with what it adds.
fn must_have_room_for_ours(stanza: &Stanza) -> Result<(), StanzaError> {
    let is_sent_on = match stanza.kind() {
        Kind::Message(type_) => type_ != MessageType::Error,
        Kind::Presence(type_) => type_ == PresenceType::Available,
        Kind::Iq(_) => false,
    };
    if is_sent_on && stanza.children().count() > CHILDREN_MAX - CHILDREN_ADDED {
        return Err(StanzaError::policy_violation().with_text("there are too many elements in it"));
    }
    Ok(())
}

/// A child as a tree.
fn element(child: &Child<'_>) -> Result<Element, StanzaError> {
    child.element().map_err(|error| StanzaError::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests;
