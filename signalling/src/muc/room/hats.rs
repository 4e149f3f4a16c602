//! XEP-0317: Hats, version 0.3: further marks of people in a room. Admins make them and put them on people by ad-hoc commands (XEP-0050) to the room.

mod command;
mod form;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;

use command::{Action, Command};
use form::Wish;

use super::sender;
use crate::jid::{BareJid, Jid};
use crate::muc::change::Change;
use crate::muc::context::Context;
use crate::muc::model::{Affiliation, Hat, Hats, Lasting, Role, Room};
use crate::muc::outcome::Outcome;
use crate::muc::presence::Why;
use crate::muc::status::Status;
use crate::named::named;
use crate::ns;
use crate::stanza::Stanza;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// Most hats of a room.
const HATS_MAX: usize = 100;
/// Most hats of one person: all of them are in every presence of it.
const WORN_MAX: usize = 8;
/// Most hats of all people together.
const WORN_BY_ALL_MAX: usize = 2_000;
/// Longest `xml:lang` of a hat, in bytes (RFC 5646 §4.4.1 wants room for 35).
const LANG_BYTES_MAX: usize = 64;
/// This share of what presence a room can hold is for hats.
pub(in crate::muc) const HATS_SHARE: usize = 8;

named! {
    /// What a command does, by its node.
    Node {
        /// §3.2.
        Create "urn:xmpp:hats:commands:create",
        /// §3.3.
        Destroy "urn:xmpp:hats:commands:destroy",
        /// §3.4.
        List "urn:xmpp:hats:commands:list",
        /// §3.5.
        Assign "urn:xmpp:hats:commands:assign",
        /// §3.6.
        Unassign "urn:xmpp:hats:commands:unassign",
        /// §3.7.
        ListAssigned "urn:xmpp:hats:commands:list-assigned",
    }
}

impl Node {
    /// For people.
    fn label(self) -> &'static str {
        match self {
            Self::Create => "Create a hat",
            Self::Destroy => "Destroy a hat",
            Self::List => "List hats",
            Self::Assign => "Assign a hat to somebody",
            Self::Unassign => "Remove a hat from somebody",
            Self::ListAssigned => "List who has which hat",
        }
    }
}

/// §3.1: the hats of an account, for its presence; nothing when it wears none, or the room has none.
pub(in crate::muc) fn write(room: &Lasting, account: &BareJid, out: &mut XmlWriter) {
    let hats = &room.hats;
    if !room.config.hats {
        return;
    }
    let Some(worn) = hats.worn.get(account).filter(|worn| !worn.is_empty()) else { return };
    out.open("hats").ns(ns::HATS);
    for (uri, hat) in worn.iter().filter_map(|uri| hats.known.get_key_value(uri)) {
        hat.write(uri, out);
    }
    out.close();
}

impl Hat {
    fn write(&self, uri: &str, out: &mut XmlWriter) {
        out.open("hat").attr("title", &self.title).attr("uri", uri);
        out.attr_opt("hue", self.hue.as_deref()).attr_opt("xml:lang", self.lang.as_deref()).close();
    }

    /// What it adds to a presence.
    fn bytes(&self, uri: &str) -> usize {
        let mut xml = XmlWriter::new();
        self.write(uri, &mut xml);
        xml.finish().len()
    }
}

impl Room {
    /// A command to the room.
    ///
    /// # Errors
    /// `item-not-found` for a command that there is not, and for what it names; `forbidden`; `bad-request` (XEP-0050 §4.4) for a form that cannot be
    /// read; `resource-constraint` for more hats than may be.
    pub fn hat_command(&mut self, stanza: &Stanza, context: &Context<'_>, out: &mut Outcome) -> Result<(), StanzaError> {
        let from = sender(stanza)?;
        if !self.lasting.config.hats {
            return Err(StanzaError::service_unavailable().with_text("this room has no hats"));
        }
        let command = Command::read(stanza)?;
        let node = Node::parse(&command.node).ok_or_else(StanzaError::item_not_found)?;
        if !self.may_command(node, from, context) {
            return Err(StanzaError::forbidden());
        }
        if command.action == Action::Cancel {
            out.reply = command.canceled(context);
            return Ok(());
        }
        let hats = &self.lasting.hats;
        out.reply = match (node, &command.form) {
            (Node::List, _) => command.completed(context, Some(form::list(hats))),
            (Node::ListAssigned, _) => command.completed(context, Some(form::assigned(hats))),
            (_, None) if command.action == Action::Execute => command.executing(context, form::of(node, hats)),
            (_, None) => return Err(command::bad_payload("fill in the form")),
            (_, Some(form)) => {
                let wish = Wish::read(form)?;
                self.change_hats(node, &wish, stanza.lang(), context, out)?;
                command.completed(context, None)
            }
        };
        Ok(())
    }

    /// §2: what admins may do restricts itself to them; everyone who may see the room may see which hats there are.
    fn may_command(&self, node: Node, from: &Jid, context: &Context<'_>) -> bool {
        if !self.lasting.config.hats {
            return false;
        }
        let (affiliation, role) = self.power(from, context);
        let sees = role != Role::None || affiliation >= Affiliation::Member;
        match node {
            Node::List => sees || (affiliation == Affiliation::None && !self.lasting.config.members_only),
            _ => affiliation >= Affiliation::Admin,
        }
    }

    /// The commands that somebody may give, with their names: items of the node `http://jabber.org/protocol/commands` (XEP-0050 §2.2).
    #[must_use]
    pub fn hat_commands(&self, from: &Jid, context: &Context<'_>) -> Vec<(&'static str, &'static str)> {
        let may = Node::ALL.iter().filter(|node| self.may_command(**node, from, context));
        may.map(|node| (node.name(), node.label())).collect()
    }

    /// §2: `hats#hash` of `muc#roominfo`; none where there are no hats.
    #[must_use]
    pub fn hats_hash(&self) -> Option<String> {
        let known = &self.lasting.hats.known;
        if !self.lasting.config.hats {
            return None;
        }
        let mut hash = digest::Context::new(&digest::SHA256);
        for (uri, hat) in known {
            for part in [Some(uri), Some(&hat.title), hat.hue.as_ref(), hat.lang.as_ref()] {
                hash.update(part.map_or("", String::as_str).as_bytes());
                // No text has it.
                hash.update(&[0]);
            }
        }
        (!known.is_empty()).then(|| hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn change_hats(
        &mut self,
        node: Node,
        wish: &Wish,
        lang: Option<&str>,
        context: &Context<'_>,
        out: &mut Outcome,
    ) -> Result<(), StanzaError> {
        let mut hats = self.lasting.hats.clone();
        let concerned = match node {
            Node::Create => hats.create(wish, lang)?,
            Node::Destroy => hats.destroy(wish)?,
            Node::Assign => hats.assign(wish)?,
            Node::Unassign => hats.unassign(wish)?,
            Node::List | Node::ListAssigned => BTreeSet::new(),
        };
        if hats == self.lasting.hats {
            return Ok(());
        }
        let (bytes, before) = (hats.worn_bytes(), self.lasting.hats.worn_bytes());
        if bytes > before && bytes > context.limits.presence_bytes / HATS_SHARE {
            return Err(StanzaError::resource_constraint().with_text("the hats that are worn are too long"));
        }
        let list_changed = hats.known != self.lasting.hats.known;
        self.lasting.change(Change::Hats(Box::new(hats)), out);
        let concerned: Vec<String> = concerned.iter().flat_map(|account| self.occupants.nicks_of(account)).collect();
        for nick in concerned {
            self.announce(&nick, &[], &Why::default(), out);
        }
        if list_changed {
            self.broadcast_codes(&[Status::ConfigChanged], context, out);
        }
        Ok(())
    }
}

/// Each returns whose hats are other ones.
impl Hats {
    /// §3.2: a new hat, or another title and hue of a known one.
    fn create(&mut self, wish: &Wish, lang: Option<&str>) -> Result<BTreeSet<BareJid>, StanzaError> {
        let (uri, title) = (wish.uri()?, wish.title()?);
        if lang.is_some_and(|lang| lang.len() > LANG_BYTES_MAX) {
            return Err(command::bad_payload("that is too long for a language"));
        }
        if !self.known.contains_key(uri) && self.known.len() >= HATS_MAX {
            return Err(StanzaError::resource_constraint().with_text("the room has as many hats as it may"));
        }
        let hat = Hat { title: title.to_owned(), hue: wish.hue.clone(), lang: lang.map(str::to_owned) };
        self.known.insert(uri.to_owned(), hat);
        Ok(self.wearers(uri))
    }

    /// §3.3: nobody wears it any more.
    fn destroy(&mut self, wish: &Wish) -> Result<BTreeSet<BareJid>, StanzaError> {
        let uri = wish.uri()?;
        self.known.remove(uri).ok_or_else(no_such_hat)?;
        let wearers = self.wearers(uri);
        for worn in self.worn.values_mut() {
            worn.retain(|worn| worn != uri);
        }
        self.worn.retain(|_, worn| !worn.is_empty());
        Ok(wearers)
    }

    /// §3.5.
    fn assign(&mut self, wish: &Wish) -> Result<BTreeSet<BareJid>, StanzaError> {
        let (account, uri) = (wish.account()?, wish.uri()?);
        if !self.known.contains_key(uri) {
            return Err(no_such_hat());
        }
        let by_all: usize = self.worn.values().map(Vec::len).sum();
        let worn = self.worn.get(account).map_or(&[][..], |worn| worn);
        if worn.iter().any(|worn| worn == uri) {
            return Ok(BTreeSet::new());
        }
        if worn.len() >= WORN_MAX || by_all >= WORN_BY_ALL_MAX {
            return Err(StanzaError::resource_constraint().with_text("no more hats can be worn"));
        }
        self.worn.entry(account.clone()).or_default().push(uri.to_owned());
        Ok([account.clone()].into())
    }

    /// §3.6.
    fn unassign(&mut self, wish: &Wish) -> Result<BTreeSet<BareJid>, StanzaError> {
        let (account, uri) = (wish.account()?, wish.uri()?);
        let worn = self.worn.get_mut(account).filter(|worn| worn.iter().any(|worn| worn == uri));
        let worn = worn.ok_or_else(|| StanzaError::item_not_found().with_text("that person does not wear that hat"))?;
        worn.retain(|worn| worn != uri);
        self.worn.retain(|_, worn| !worn.is_empty());
        Ok([account.clone()].into())
    }

    /// What all that are worn add to presence.
    fn worn_bytes(&self) -> usize {
        let bytes: BTreeMap<&str, usize> = self.known.iter().map(|(uri, hat)| (uri.as_str(), hat.bytes(uri))).collect();
        self.worn.values().flatten().filter_map(|uri| bytes.get(uri.as_str())).sum()
    }

    fn wearers(&self, uri: &str) -> BTreeSet<BareJid> {
        self.worn.iter().filter(|(_, worn)| worn.iter().any(|worn| worn == uri)).map(|(account, _)| account.clone()).collect()
    }
}

fn no_such_hat() -> StanzaError {
    StanzaError::item_not_found().with_text("there is no such hat")
}

#[cfg(test)]
mod tests;
