//! XEP-0045 §7.8.2, §7.9: invitations that a room passes on, and their being declined. Direct ones (XEP-0249) do not come by here.

use super::bounds::Given;
use super::reason::read_reason;
use super::{element, sender, write_reason};
use crate::jid::Jid;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Role, Room};
use crate::muc::outcome::Outcome;
use crate::ns;
use crate::stanza::error::{Condition, StanzaError};
use crate::stanza::{Child, Kind, MessageType, Stanza};
use crate::xml::{Node, XmlWriter};

/// Most invitations in one message: each becomes a message of its own.
const INVITES_MAX: usize = 50;

/// One invitation, as it is asked for.
struct Invite {
    to: Jid,
    reason: Option<String>,
    /// §7.9: the room goes on with a conversation, of this thread if it is said.
    goes_on: Option<Option<String>>,
}

impl Room {
    /// §7.8.2: passes invitations on. Those invited into a members-only room become members.
    ///
    /// # Errors
    /// `not-acceptable` for who is not there and could not edit the member list either, `forbidden` for who may not invite, `bad-request`,
    /// `jid-malformed`, `policy-violation` for too many or too long a reason, `not-allowed` for somebody who is banned and for addresses in rooms,
    /// `resource-constraint` for too many members.
    pub fn invite(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let from = sender(stanza)?;
        let (affiliation, role) = self.power(from, context);
        let edits_members = affiliation >= Affiliation::Admin;
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        if role == Role::None && !edits_members {
            return Err(StanzaError::not_acceptable().with_text("only occupants invite others"));
        }
        if !self.lasting.config.invites_allowed() && !edits_members {
            return Err(StanzaError::forbidden().with_text("only admins invite others into this room"));
        }
        let invites = invites(stanza)?;
        if invites.iter().any(|invite| self.affiliation_of(&invite.to.to_bare()) == Affiliation::Outcast) {
            return Err(StanzaError::not_allowed().with_text("who is banned cannot be invited"));
        }
        // A room takes no invitations: what it would send back is nobody's to read.
        if invites.iter().any(|invite| context.services.iter().any(|service| service == invite.to.domain())) {
            return Err(StanzaError::not_allowed().with_text("people are invited by their own addresses, not by those of rooms"));
        }
        if self.lasting.config.members_only {
            self.admit(&invites, from, context, out)?;
        }
        for invite in &invites {
            out.send(self.invitation(stanza, from, invite));
        }
        Ok(())
    }

    /// Makes members of those who are invited into a members-only room.
    fn admit(&mut self, invites: &[Invite], inviter: &Jid, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let mut strangers = Vec::new();
        for invite in invites {
            let jid = invite.to.to_bare();
            if self.affiliation_of(&jid) == Affiliation::None && !strangers.contains(&jid) {
                strangers.push(jid);
            }
        }
        let given: Vec<Given> = strangers.iter().map(|jid| (jid.clone(), self.entry(jid, Affiliation::Member, None))).collect();
        self.check_affiliations(&given, context).map_err(|(_, error)| error)?;
        let why = self.why(inviter, None);
        for jid in strangers {
            self.set_affiliation(&jid, Affiliation::Member, &why, context, out);
        }
        Ok(())
    }

    /// Example 57.
    fn invitation(&self, asked: &Stanza, from: &Jid, invite: &Invite) -> Stanza {
        let goes_on = invite.goes_on.as_ref().map(Option::as_deref);
        self.passed_on(asked, &invite.to, self.write_invitation(from.as_str(), invite.reason.as_deref(), goes_on))
    }

    /// What an invitation says: who invites, why, and how to come in. `goes_on`: with a conversation, of this thread if there is one.
    pub(super) fn write_invitation(&self, from: &str, reason: Option<&str>, goes_on: Option<Option<&str>>) -> XmlWriter {
        let mut xml = XmlWriter::new();
        xml.open("x").ns(ns::MUC_USER).open("invite").attr("from", from);
        write_reason(&mut xml, reason);
        if let Some(thread) = goes_on {
            xml.open("continue").attr_opt("thread", thread).close();
        }
        xml.close();
        if let Some(password) = &self.lasting.config.password {
            xml.open("password").text(password).close();
        }
        xml.close();
        xml
    }

    /// §7.8.2: passes on that an invitation is declined, to who is there or on the list: anybody can decline, and the room writes to nobody else.
    ///
    /// # Errors
    /// `bad-request`, `jid-malformed`, `policy-violation` for too long a reason; `forbidden` for who is banned.
    pub fn decline(&self, stanza: &Stanza, out: &mut Outcome) -> Result<(), StanzaError> {
        let from = sender(stanza)?.to_bare();
        if self.affiliation_of(&from) == Affiliation::Outcast {
            return Err(StanzaError::forbidden());
        }
        let Some(child) = user(stanza, "decline") else { return Err(StanzaError::bad_request("nothing is declined")) };
        let element = element(&child)?;
        let Some(decline) = element.root().child(ns::MUC_USER, "decline") else {
            return Err(StanzaError::bad_request("nothing is declined"));
        };
        let reason = read_reason(decline)?;
        // The answer does not tell who is there.
        let Some(inviter) = self.inviter(&address(decline)?) else { return Ok(()) };
        let mut xml = XmlWriter::new();
        xml.open("x").ns(ns::MUC_USER).open("decline").attr("from", from.as_str());
        write_reason(&mut xml, reason.as_deref());
        xml.close().close();
        out.send(self.passed_on(stanza, &inviter, xml));
        Ok(())
    }

    /// Where an inviter is, who is named by its real JID, full or bare, or as an occupant.
    fn inviter(&self, named: &Jid) -> Option<Jid> {
        if named.bare_str() == self.lasting.jid.as_str() {
            return Some(self.occupant(named.resource()?)?.seats.first()?.jid.clone().into());
        }
        if self.occupants.of(named).is_some() {
            return Some(named.clone());
        }
        let account = named.to_bare();
        let mut seats = self.occupants.of_account(named.bare_str()).flat_map(|occupant| &occupant.seats);
        match (seats.next(), seats.next()) {
            (Some(only), None) => Some(only.jid.clone().into()),
            (None, _) if self.affiliation_of(&account) < Affiliation::Member => None,
            _ => Some(account.into()),
        }
    }

    /// §7.8.2: an invitation came back; its inviter is told if it is still there, that there is nobody of that address (SHOULD) or what went wrong else.
    /// Returns whether it was an invitation.
    pub fn invitation_bounced(&self, stanza: &Stanza, out: &mut Outcome) -> bool {
        if stanza.kind() != Kind::Message(MessageType::Error) || stanza.to().is_none_or(|to| !to.is_bare()) {
            return false;
        }
        let Some(child) = user(stanza, "invite") else { return false };
        let Ok(element) = element(&child) else { return false };
        let inviter = element.root().child(ns::MUC_USER, "invite").and_then(|invite| Jid::parse(invite.attr("from")?).ok());
        let Some((inviter, invitee)) = inviter.filter(|inviter| self.occupants.of(inviter).is_some()).zip(stanza.from()) else {
            return true;
        };
        let error = match StanzaError::of(stanza).map_or(Condition::UndefinedCondition, |error| error.condition) {
            // What servers say of accounts that they do not have.
            Condition::ServiceUnavailable => Condition::ItemNotFound,
            condition => condition,
        };
        let mut xml = XmlWriter::new();
        xml.open("x").ns(ns::MUC_USER).open("invite").attr("to", invitee.as_str()).close().close();
        StanzaError::from(error).write(&mut xml);
        let mut message =
            Stanza::message(MessageType::Error).with_from(self.lasting.jid.clone()).with_to(inviter).with_content(xml.finish());
        if let Some(id) = stanza.id() {
            message.set_id(id);
        }
        out.send(message);
        true
    }

    /// A message from the room in the place of one that it was sent.
    fn passed_on(&self, asked: &Stanza, to: &Jid, content: XmlWriter) -> Stanza {
        let mut message = Stanza::message(MessageType::Normal).with_from(self.lasting.jid.clone()).with_to(to.clone());
        if let Some(id) = asked.id() {
            message.set_id(id);
        }
        if let Some(lang) = asked.lang() {
            message.set_lang_default(lang);
        }
        message.with_content(content.finish())
    }
}

fn invites(stanza: &Stanza) -> Result<Vec<Invite>, StanzaError> {
    let Some(child) = user(stanza, "invite") else { return Err(StanzaError::bad_request("nobody is invited")) };
    let element = element(&child)?;
    let mut invites = Vec::new();
    for invite in element.root().children_named(ns::MUC_USER, "invite") {
        if invites.len() == INVITES_MAX {
            return Err(StanzaError::policy_violation().with_text("too many invitations at once"));
        }
        invites.push(Invite {
            to: address(invite)?,
            reason: read_reason(invite)?,
            goes_on: invite.child(ns::MUC_USER, "continue").map(|go_on| go_on.attr("thread").map(str::to_owned)),
        });
    }
    Ok(invites)
}

/// The `<x/>` of `muc#user` that has such a child.
pub(super) fn user<'s>(stanza: &'s Stanza, name: &str) -> Option<Child<'s>> {
    let mut children = stanza.children().filter(|child| child.is(ns::MUC_USER, "x"));
    children.find(|child| child.element().is_ok_and(|element| element.root().child(ns::MUC_USER, name).is_some()))
}

fn address(node: Node<'_>) -> Result<Jid, StanzaError> {
    let to = node.attr("to").ok_or_else(|| StanzaError::bad_request("`to` is missing"))?;
    Jid::parse(to).map_err(|_| StanzaError::jid_malformed())
}

#[cfg(test)]
mod tests;
