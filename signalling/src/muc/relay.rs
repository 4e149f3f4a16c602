//! IQs between occupants: XEP-0045 §6.6, §17.4; pings to oneself: XEP-0410 §3.3.
//!
//! A request keeps its identifier and goes to the real address of the occupant, from the sender's address in the room; the answer goes back the same way.
//! Where an occupant has several sessions, its peer's next stanza goes to the one that has spoken with that peer last, so that a conversation, such as a
//! call, stays with the session that has begun it.

use std::sync::Arc;
use std::time::Instant;

use super::model::{Occupant, Role, Room};
use super::outcome::{Effect, Outcome};
use super::recent::Recent;
use super::room::refusal;
use super::service::Muc;
use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::session::SessionRef;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{IqType, Kind, Stanza};

/// Requests and conversations that one room remembers. The answer to a request that it has forgotten answers nothing; a conversation finds the first
/// session.
const REMEMBERED_MAX: usize = 4_096;
/// Those of one session.
const EACH_MAX: usize = 64;

/// What is under way between occupants.
#[derive(Debug)]
pub(super) struct Talks {
    /// By whom a session talks to (a real full JID), and the nickname it has: that session.
    sessions: Recent<(Jid, String), Jid, FullJid>,
    /// Requests: by the real address that is to answer, the nickname of who has asked, and the identifier.
    asked: Recent<(Jid, String, String), Jid, Asked>,
}

impl Default for Talks {
    fn default() -> Self {
        Self { sessions: Recent::new(REMEMBERED_MAX, EACH_MAX), asked: Recent::new(REMEMBERED_MAX, EACH_MAX) }
    }
}

/// A request that was passed on.
#[derive(Debug)]
struct Asked {
    /// The session that has sent it.
    by: FullJid,
    /// The occupant that it was for.
    occupant: FullJid,
}

impl Talks {
    fn note_request(&mut self, to: &Jid, sender: &Occupant, stanza: &Stanza, occupant: &Occupant) {
        let (Some(Ok(by)), Some(id)) = (stanza.from().cloned().map(FullJid::try_from), stanza.id()) else { return };
        let asked = Asked { by: by.clone(), occupant: occupant.jid.clone() };
        self.asked.insert((to.clone(), sender.jid.resource_str().to_owned(), id.to_owned()), by.into(), asked);
    }

    fn take_request(&mut self, from: &Jid, nick: &str, id: &str) -> Option<Asked> {
        self.asked.remove(&(from.clone(), nick.to_owned(), id.to_owned()))
    }

    fn note(&mut self, peer: &Jid, nick: &str, session: &FullJid) {
        self.sessions.insert((peer.clone(), nick.to_owned()), session.clone().into(), session.clone());
    }

    /// The session of an occupant to which a peer's stanza goes.
    fn session<'o>(&self, peer: &Jid, occupant: &'o Occupant) -> Option<&'o FullJid> {
        let first = &occupant.seats.first()?.jid;
        if occupant.seats.len() == 1 {
            return Some(first);
        }
        let known = self.sessions.get(&(peer.clone(), occupant.jid.resource_str().to_owned()));
        Some(known.and_then(|known| occupant.seats.iter().map(|seat| &seat.jid).find(|jid| *jid == known)).unwrap_or(first))
    }
}

/// What becomes of an IQ to an occupant.
#[derive(Debug, PartialEq)]
pub(super) enum Relayed {
    /// The room answers with an empty result.
    Answer,
    /// It goes on. The addresses are real; what is sent is the stanza from the sender's occupant.
    On {
        /// From its address in the room, to the real one.
        stanza: Stanza,
        /// The same between the real addresses, for the table of calls.
        real: Stanza,
    },
    /// It answers nothing.
    Drop,
}

impl Room {
    /// Decides an IQ to an occupant.
    ///
    /// # Errors
    /// `bad-request` for service discovery and `not-acceptable` for all else from somebody who is not there; `item-not-found` for a nickname that
    /// nobody has; `not-allowed` where visitors and participants may not ask each other.
    pub(super) fn relay(&self, stanza: &Stanza, nick: &str, talks: &mut Talks) -> Result<Relayed, StanzaError> {
        let Some(from) = stanza.from() else { return Ok(Relayed::Drop) };
        let Kind::Iq(type_) = stanza.kind() else { return Ok(Relayed::Drop) };
        let is_request = matches!(type_, IqType::Get | IqType::Set);
        if !is_request {
            // What answers nothing is nobody's to pass on.
            let asked = talks.take_request(from, nick, stanza.id().unwrap_or_default()).filter(|asked| self.is_occupant(&asked.by));
            return Ok(asked.map_or(Relayed::Drop, |asked| on(stanza, &asked.occupant, asked.by.into())));
        }
        let Some(sender) = self.occupants.of(from) else { return Err(not_there(stanza)) };
        if is_ping(stanza) && sender.jid.resource_str() == nick {
            return Ok(Relayed::Answer);
        }
        let target = self.occupant(nick).ok_or_else(StanzaError::item_not_found)?;
        let is_own = sender.account == target.account;
        if !is_own && !self.lasting.config.allow_queries && sender.role != Role::Moderator && target.role != Role::Moderator {
            return Err(StanzaError::not_allowed().with_text("occupants may not send requests to each other in this room"));
        }
        let to: Jid = match talks.session(from, target) {
            // Its server answers for it.
            _ if is_vcard(stanza) => target.account.clone().into(),
            Some(session) => session.clone().into(),
            None => return Ok(Relayed::Drop),
        };
        talks.note_request(&to, sender, stanza, target);
        if let (true, Ok(session)) = (sender.seats.len() > 1, FullJid::try_from(from.clone())) {
            talks.note(&to, sender.jid.resource_str(), &session);
        }
        Ok(on(stanza, &sender.jid, to))
    }
}

/// Somebody from outside asks an occupant.
fn not_there(stanza: &Stanza) -> StanzaError {
    let error = if is_disco(stanza) {
        StanzaError::bad_request_without_text()
    } else {
        StanzaError::new(Condition::NotAcceptable, ErrorType::Cancel)
    };
    error.with_text("only who is in the room may ask its occupants")
}

fn on(stanza: &Stanza, from: &FullJid, to: Jid) -> Relayed {
    let real = stanza.clone().with_to(to);
    Relayed::On { stanza: real.clone().with_from(from), real }
}

fn is_ping(stanza: &Stanza) -> bool {
    stanza.payload().is_some_and(|payload| payload.is(ns::PING, "ping"))
}

fn is_disco(stanza: &Stanza) -> bool {
    stanza.payload().is_some_and(|payload| matches!(payload.ns(), ns::DISCO_INFO | ns::DISCO_ITEMS))
}

/// What accounts answer for their clients: XEP-0054, XEP-0292.
fn is_vcard(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Iq(IqType::Get) && stanza.payload().is_some_and(|payload| matches!(payload.ns(), ns::VCARD | ns::VCARD4))
}

impl Muc {
    /// An IQ to an occupant. It takes its place among what the room sends.
    pub(super) async fn relay(self: &Arc<Self>, to: &Jid, stanza: Stanza, origin: Option<&SessionRef>) {
        let (Some(nick), Some(from)) = (to.resource(), stanza.from().cloned()) else { return };
        let is_request = matches!(stanza.kind(), Kind::Iq(IqType::Get | IqType::Set));
        // Where somebody is, the room is in memory.
        let Some(home) = self.homes.peek(to.bare_str()) else {
            if is_request {
                self.router.bounce(&stanza, not_there(&stanza), origin).await;
            }
            return;
        };
        if origin.is_some() && home.outbox.is_full_for(&from) {
            self.metrics.waits.inc();
            home.outbox.room_for(&from).await;
        }
        let relayed = home.talk(|room, talks| room.relay(&stanza, nick, talks)).unwrap_or_else(|| Err(not_there(&stanza)));
        let mut out = Outcome::default();
        let mut answer = None;
        match relayed {
            Ok(Relayed::Answer) => answer = Some(Stanza::iq_result(&stanza, "")),
            Ok(Relayed::On { stanza, real }) => {
                let sender = self.router.is_local(from.domain()).then(|| from.to_bare());
                self.router.calls().observe(&real, sender.as_ref(), Instant::now());
                out.effects.push(Effect::Send(stanza));
            }
            Ok(Relayed::Drop) => {}
            Err(error) => answer = refusal(&home.jid, &stanza, &error),
        }
        self.send(&home, Some(&from), out, answer.map(|answer| (answer, origin.cloned())));
    }
}
