//! XEP-0045 §7.10, §7.12, §9.9: who registers with a room becomes a member under a nickname that is theirs. In a room that is open and not moderated that is
//! done at once; in others it gives rights, and an admin has to approve it.

mod form;

use form::{Registration, approval_form, registered, registration_form};

use super::{element, sender};
use crate::forms::Form;
use crate::jid::{BareJid, Jid};
use crate::muc::change::Change;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Room};
use crate::muc::outcome::Outcome;
use crate::muc::presence::Why;
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{IqType, Kind, MessageType, Stanza};
use crate::xml::XmlWriter;

/// Most people who wait to be registered: every one of them is a message to every admin.
const REQUESTS_MAX: usize = 256;

/// Most admins who are asked, owners first.
const ASKED_MAX: usize = 100;

impl Room {
    /// §7.10: `jabber:iq:register`, get and set.
    ///
    /// # Errors
    /// `not-allowed` where one may not register, `bad-request` without a valid form, `conflict` for another's nickname, `registration-required` for
    /// removing what is not there (XEP-0077 §3.2.1), `resource-constraint` for too many members and requests.
    pub fn registration(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let from = sender(stanza)?;
        let payload = stanza.payload().ok_or_else(|| StanzaError::bad_request("there is no request"))?;
        let element = element(&payload)?;
        let query = element.root();
        if query.child(ns::REGISTER, "remove").is_some() && stanza.kind() == Kind::Iq(IqType::Set) {
            return self.unregister(&from.to_bare(), context, out);
        }
        let (affiliation, _) = self.power(from, context);
        let account = from.to_bare();
        let nick = self.nick_of(&account).map(str::to_owned);
        let may = affiliation != Affiliation::Outcast && (self.lasting.config.allow_registration || nick.is_some());
        if !may {
            return Err(StanzaError::not_allowed());
        }
        if stanza.kind() == Kind::Iq(IqType::Get) {
            out.reply = match (nick, self.lasting.requests.get(&account)) {
                (Some(nick), _) => registered(&nick),
                (None, wanted) => registration_form(&self.lasting, wanted.map(String::as_str)),
            };
            return Ok(());
        }
        let form = Form::of(query)?.ok_or_else(|| StanzaError::bad_request("fill in the form"))?;
        let registration = Registration::read(&form)?;
        self.register(&account, affiliation, &registration, context, out)
    }

    fn register(
        &mut self,
        account: &BareJid,
        affiliation: Affiliation,
        registration: &Registration,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let nick = &registration.nick;
        self.must_be_free(nick, account)?;
        let config = &self.lasting.config;
        let waits = affiliation == Affiliation::None && (config.members_only || config.moderated);
        self.must_have_room_for(account, nick, waits, context)?;
        if !waits {
            self.become_registered(account, nick, affiliation, &Why::default(), context, out);
            return Ok(());
        }
        match self.lasting.requests.get(account) {
            Some(wanted) if wanted == nick => return Ok(()),
            None if self.lasting.requests.len() >= REQUESTS_MAX => {
                return Err(StanzaError::resource_constraint().with_text("many others wait to be registered"));
            }
            _ => {}
        }
        self.lasting.change(Change::Request(account.clone(), Some(nick.clone())), out);
        let message = Stanza::message(MessageType::Normal).with_from(self.lasting.jid.clone()).with_id((context.fresh_id)());
        let message = message.with_content(approval_form(account, registration));
        for admin in self.asked() {
            out.send(message.clone().with_to(admin));
        }
        Ok(())
    }

    /// Who decides on requests.
    fn asked(&self) -> Vec<BareJid> {
        let of = |affiliation| {
            let entries = self.lasting.affiliations.iter();
            entries.filter(move |(_, entry)| entry.affiliation == affiliation).map(|(jid, _)| jid.clone())
        };
        of(Affiliation::Owner).chain(of(Affiliation::Admin)).take(ASKED_MAX).collect()
    }

    /// Makes a member of somebody who is nothing yet, and reserves the nickname.
    fn become_registered(
        &mut self,
        account: &BareJid,
        nick: &str,
        affiliation: Affiliation,
        why: &Why,
        context: &Context<'_>,
        out: &mut Outcome,
    ) {
        if affiliation == Affiliation::None {
            self.set_affiliation(account, Affiliation::Member, why, context, out);
        }
        self.withdraw(account, out);
        self.reserve(account, Some(nick.to_owned()), out);
    }

    /// Somebody waits no more. Returns whether it did.
    fn withdraw(&mut self, account: &BareJid, out: &mut Outcome) -> bool {
        let waits = self.lasting.requests.contains_key(account);
        if waits {
            self.lasting.change(Change::Request(account.clone(), None), out);
        }
        waits
    }

    /// XEP-0077 §3.2: not registered any more. Who is a member by it is none any more; who is more stays it.
    fn unregister(&mut self, account: &BareJid, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        if self.withdraw(account, out) {
            return Ok(());
        }
        if self.nick_of(account).is_none() {
            return Err(StanzaError::registration_required());
        }
        if self.affiliation_of(account) == Affiliation::Member {
            self.set_affiliation(account, Affiliation::None, &Why::default(), context, out);
        } else {
            self.reserve(account, None, out);
        }
        Ok(())
    }

    /// §9.9: an admin's decision.
    ///
    /// # Errors
    /// `forbidden`, `bad-request`, `item-not-found` for what nobody has asked for (any more), `conflict` when the nickname is another's meanwhile,
    /// `not-allowed` for somebody who is banned meanwhile, `resource-constraint` for too long a nickname where there is no room left.
    pub(super) fn decide_on_registration(
        &mut self,
        from: &Jid,
        form: &Form,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        if self.power(from, context).0 < Affiliation::Admin {
            return Err(StanzaError::forbidden().with_text("only admins register others"));
        }
        let decision = form::Decision::read(form)?;
        let mut requests = self.lasting.requests.iter();
        let request = match &decision.account {
            Some(account) => requests.find(|(jid, _)| *jid == account),
            None => requests.find(|(_, nick)| Some(*nick) == decision.nick.as_ref()),
        };
        let Some((account, wanted)) = request.map(|(jid, nick)| (jid.clone(), nick.clone())) else {
            return Err(StanzaError::item_not_found().with_text("nobody waits for that"));
        };
        if !decision.allow {
            self.withdraw(&account, out);
            return Ok(());
        }
        let affiliation = self.affiliation_of(&account);
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::not_allowed().with_text("who is banned cannot be registered"));
        }
        // An admin may give another nickname than was asked for.
        let nick = decision.nick.unwrap_or(wanted);
        self.must_be_free(&nick, &account)?;
        self.must_have_room_for(&account, &nick, false, context)?;
        let why = self.why(from, None);
        self.become_registered(&account, &nick, affiliation, &why, context, out);
        Ok(())
    }

    /// §7.10: a nickname that is reserved for another, asked for by another or in use by another is none to register.
    fn must_be_free(&self, nick: &str, account: &BareJid) -> Result<(), StanzaError> {
        let reserved = self.reserved_for(nick).is_some_and(|owner| owner != account);
        let asked_for = self.lasting.requests.iter().any(|(jid, wanted)| wanted == nick && jid != account);
        let in_use = self.occupant(nick).is_some_and(|occupant| occupant.account != *account);
        if reserved || asked_for || in_use { Err(StanzaError::conflict()) } else { Ok(()) }
    }

    /// Whose nickname this is.
    #[must_use]
    pub fn reserved_for(&self, nick: &str) -> Option<&BareJid> {
        self.lasting.affiliations.owner_of(nick)
    }

    fn nick_of(&self, account: &BareJid) -> Option<&str> {
        self.lasting.affiliations.get(account)?.nick.as_deref()
    }

    /// §7.12: the answer to disco#info of the node `x-roomuser-item`.
    #[must_use]
    pub fn roomuser_item(&self, from: &Jid) -> bytes::Bytes {
        let mut xml = XmlWriter::new();
        xml.open("query").ns(ns::DISCO_INFO).attr("node", "x-roomuser-item");
        if let Some(nick) = self.nick_of(&from.to_bare()) {
            xml.open("identity").attr("category", "conference").attr("name", nick).attr("type", "text").close();
        }
        xml.close();
        xml.finish()
    }
}

#[cfg(test)]
mod tests;
