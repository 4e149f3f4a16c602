//! XEP-0045 §7.2.2–§7.2.4: an occupant's presence as the room sends it, in two variants, with its real JID and without. What the client has said
//! stays the bytes that it sent; the room adds `muc#user`, the occupant's identifier (XEP-0421) and its hats (XEP-0317).

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use bytes::Bytes;
use smallvec::SmallVec;

use super::model::{Affiliation, Lasting, Occupant, Role};
use super::room::{hats, write_reason};
use super::status::Status;
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::stanza::{Child, PresenceType, Stanza};
use crate::xml::XmlWriter;

/// Who has done something to an occupant, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// Nickname of whoever has done it.
    pub actor: Option<String>,
    /// For people.
    pub reason: Option<String>,
}

impl Why {
    /// What stands in an `<item/>`.
    pub(super) fn write(&self, out: &mut XmlWriter) {
        if let Some(actor) = &self.actor {
            out.open("actor").attr("nick", actor).close();
        }
        write_reason(out, self.reason.as_deref());
    }

    /// Nothing, if there is nothing to say.
    pub(super) fn if_any(&self) -> Option<&Self> {
        (*self != Self::default()).then_some(self)
    }
}

/// Presence without codes, to be sent to any number of newcomers: written once, when first wanted.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    with_jid: OnceLock<Stanza>,
    without: OnceLock<Stanza>,
}

/// They follow from the rest of the occupant.
impl PartialEq for Templates {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What there is to say of an occupant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice<'a> {
    /// What the client says, without addresses.
    pub said: &'a Stanza,
    pub affiliation: Affiliation,
    pub role: Role,
    /// §7.6: the nickname that it has from now on.
    pub nick: Option<&'a str>,
    /// Told to everyone.
    pub codes: &'a [Status],
    pub why: Option<&'a Why>,
    /// §10.9: `<destroy/>`.
    pub destroy: Option<&'a [u8]>,
}

/// What an occupant is told of itself besides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own<'a> {
    /// Further codes.
    pub codes: &'a [Status],
    /// The stanza that is answered by it: its `id` comes back to the session that has sent it.
    pub answers: Option<&'a Stanza>,
}

impl<'a> Notice<'a> {
    /// That it is there.
    pub fn available(occupant: &'a Occupant) -> Self {
        Self {
            said: &occupant.seats[0].presence,
            affiliation: occupant.affiliation,
            role: occupant.role,
            nick: None,
            codes: &[],
            why: None,
            destroy: None,
        }
    }

    /// That it is not there any more; `said` is unavailable.
    pub fn gone(occupant: &'a Occupant, said: &'a Stanza) -> Self {
        Self { said, role: Role::None, ..Self::available(occupant) }
    }

    /// The stanza for one of the occupant's own sessions (110), with its real JID.
    pub fn write_own(&self, room: &Lasting, occupant: &Occupant, to: &FullJid, own: Own<'_>) -> Stanza {
        let codes: SmallVec<[Status; 6]> = own.codes.iter().copied().chain([Status::Own]).collect();
        let stanza = self.write(room, occupant, Some(to), &codes).with_to(to);
        let answered = own.answers.filter(|stanza| stanza.from() == Some(to));
        match answered.and_then(Stanza::id) {
            Some(id) => stanza.with_id(id),
            None => stanza,
        }
    }

    /// Whether it says nothing but how the occupant is: then templates do.
    fn is_plain(&self) -> bool {
        self.nick.is_none() && self.codes.is_empty() && self.why.is_none() && self.destroy.is_none() && self.role != Role::None
    }

    /// The stanza without `to`. `jid`: for those who may see it; `own`: further codes, for the occupant itself.
    pub fn write(&self, room: &Lasting, occupant: &Occupant, jid: Option<&Jid>, own: &[Status]) -> Stanza {
        let mut out = XmlWriter::with_capacity(320);
        out.open("x").ns(ns::MUC_USER);
        out.open("item").attr("affiliation", self.affiliation.name()).attr("role", self.role.name());
        out.attr_opt("jid", jid.map(Jid::as_str)).attr_opt("nick", self.nick);
        if let Some(why) = self.why {
            why.write(&mut out);
        }
        out.close();
        out.raw(self.destroy.unwrap_or_default());
        let mut codes: SmallVec<[Status; 6]> = self.codes.iter().chain(own).copied().collect();
        codes.sort_unstable();
        codes.dedup();
        write_codes(&mut out, &codes);
        out.close();
        write_occupant_id(&mut out, &occupant.id);
        hats::write(room, &occupant.account, &mut out);
        let mut stanza = self.said.clone();
        if occupant.role == Role::Visitor && !room.config.allow_visitor_status {
            stanza.remove_children(|child| child.is(ns::CLIENT, "status"));
        }
        stanza.add_child(&out.finish());
        stanza.with_from(&occupant.jid)
    }
}

/// The presence of somebody who is there, without `to`, for those who may see the real JID or for the others.
pub(super) fn template<'o>(room: &Lasting, occupant: &'o Occupant, with_jid: bool) -> &'o Stanza {
    let notice = Notice::available(occupant);
    if with_jid {
        occupant.templates.with_jid.get_or_init(|| notice.write(room, occupant, Some(&occupant.seats[0].jid), &[]))
    } else {
        occupant.templates.without.get_or_init(|| notice.write(room, occupant, None, &[]))
    }
}

/// What to broadcast of a notice: one of the templates where it says no more than they.
pub(super) fn broadcast(room: &Lasting, occupant: &Occupant, notice: &Notice<'_>, with_jid: bool) -> Stanza {
    if notice.is_plain() {
        return template(room, occupant, with_jid).clone();
    }
    notice.write(room, occupant, with_jid.then_some(&occupant.seats[0].jid), &[])
}

/// `<status/>` for each code.
pub(super) fn write_codes(out: &mut XmlWriter, codes: &[Status]) {
    for code in codes {
        out.open("status").attr("code", &code.code().to_string()).close();
    }
}

/// XEP-0421 §3.
pub(super) fn write_occupant_id(out: &mut XmlWriter, id: &str) {
    out.open("occupant-id").ns(ns::OCCUPANT_ID).attr("id", id).close();
}

/// A message of the room's own: `<x/>` of `muc#user` with these codes and nothing else (§10.2.1).
pub(super) fn codes(codes: &[Status]) -> Bytes {
    let mut out = XmlWriter::new();
    out.open("x").ns(ns::MUC_USER);
    write_codes(&mut out, codes);
    out.finish()
}

/// Presence as it is kept: without addresses, and without what only the room may say (§17.3, rule 6; XEP-0421 §4; XEP-0317 §5).
pub(super) fn cleaned(stanza: &Stanza) -> Stanza {
    let mut presence = stanza.clone().without_addresses();
    presence.remove_children(is_the_rooms);
    presence
}

fn is_the_rooms(child: &Child<'_>) -> bool {
    let ns = child.ns();
    ns.strip_prefix(ns::MUC).is_some_and(|rest| rest.is_empty() || rest.starts_with('#')) || ns == ns::OCCUPANT_ID || ns == ns::HATS
}

/// Unavailable presence that says nothing.
pub(super) fn unavailable() -> Stanza {
    Stanza::presence(PresenceType::Unavailable)
}

impl Lasting {
    /// XEP-0421 §4.1: the identifier of an account in this room, which says nothing of it anywhere else.
    #[must_use]
    pub fn occupant_id(&self, account: &BareJid) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret), account.as_str().as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
