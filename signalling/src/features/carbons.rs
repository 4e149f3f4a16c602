//! XEP-0280: Message Carbons, version 1.0. Every device of an account sees what the others send and receive.

use std::sync::Arc;

use bytes::Bytes;

use crate::account::{Account, Targets};
use crate::iq::{Iq, IqTable, Reply, To};
use crate::jingle::propose::is_call_message;
use crate::message::{self, is_invitation, is_private_message_of_a_room};
use crate::ns;
use crate::pipeline::{Copy, Effects, Verdict, Walk};
use crate::session::{Session, SessionId};
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, Kind, MessageType, Stanza};
use crate::xml::XmlWriter;

/// Switches carbons on and off.
#[derive(Debug)]
pub struct Carbons;

impl Carbons {
    /// §3, §4, §5.
    pub fn register(table: &mut IqTable) {
        let carbons = Arc::new(Self);
        table.feature(To::Server, ns::CARBONS);
        table.feature(To::Account, ns::CARBONS);
        table.set(To::Account, (ns::CARBONS, "enable"), &carbons, |_, iq| switch(iq, true));
        table.set(To::Account, (ns::CARBONS, "disable"), &carbons, |_, iq| switch(iq, false));
    }
}

async fn switch(iq: Iq, on: bool) -> Result<Reply, StanzaError> {
    let session = iq.session()?;
    session.home.with(|account| {
        if let Some(session) = account.session(session.id) {
            session.carbons = on;
        }
    });
    Ok(Reply::Empty)
}

/// Stage of `pipeline::OUTBOUND`, §8: copies of what a session sends go to its siblings.
pub fn outbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    if let Kind::Message(kind) = stanza.kind()
        && !is_to_self(walk.account, stanza)
        && has_carbon_siblings(walk.account, walk.sender)
        && is_eligible(kind, stanza)
    {
        // XEP-0313 §3.5: the account's other devices learn the archive's id, the addressee does not.
        let archived = effects.kept.as_ref().map(|kept| {
            let mut archived = stanza.clone();
            message::add_stanza_id(&mut archived, &walk.account.jid, kept.id);
            archived
        });
        copy(walk.account, "sent", kind, archived.as_ref().unwrap_or(stanza), effects, |session| Some(session.id) != walk.sender);
    }
    Verdict::Pass
}

/// Stage of `pipeline::INBOUND`, §7: copies go to the sessions that RFC 6121 §8.5 did not choose. What an account sends to itself has its
/// `sent` copies here, so that no session gets both the message and a copy.
pub fn inbound(walk: &Walk<'_>, stanza: &mut Stanza, effects: &mut Effects) -> Verdict {
    let Targets::Sessions(chosen) = walk.targets else { return Verdict::Pass };
    let Kind::Message(kind) = stanza.kind() else { return Verdict::Pass };
    let missed = |session: &Session| !chosen.contains(&session.id) && stanza.from() != Some(&*session.jid);
    let direction = if is_from_self(walk.account, stanza) { "sent" } else { "received" };
    if walk.account.sessions.iter().any(|session| session.carbons && missed(session))
        && !is_private_message_of_a_room(stanza)
        && is_eligible(kind, stanza)
    {
        copy(walk.account, direction, kind, stanza, effects, missed);
    }
    Verdict::Pass
}

fn is_to_self(account: &Account, stanza: &Stanza) -> bool {
    stanza.to().is_none_or(|to| to.bare_str() == account.jid.as_str())
}

fn is_from_self(account: &Account, stanza: &Stanza) -> bool {
    stanza.from().is_some_and(|from| from.bare_str() == account.jid.as_str())
}

fn has_carbon_siblings(account: &Account, sender: Option<SessionId>) -> bool {
    account.sessions.iter().any(|session| session.carbons && Some(session.id) != sender)
}

fn copy(
    account: &Account,
    direction: &'static str,
    kind: MessageType,
    stanza: &Stanza,
    effects: &mut Effects,
    wanted: impl Fn(&Session) -> bool,
) {
    let body = wrap(direction, stanza);
    for session in account.sessions.iter().filter(|session| session.carbons && wanted(session)) {
        let copy = Stanza::message(kind).with_from(account.jid.clone()).with_to(session.jid.clone()).with_content(body.clone());
        effects.copies.push(Copy { session: session.id, mailbox: session.mailbox.clone(), stanza: copy });
    }
}

/// §7, §8 and XEP-0297 §3: the copy carries the stanza as it went out, without a delay, since it is sent at once.
fn wrap(direction: &'static str, stanza: &Stanza) -> Bytes {
    let original = stanza.to_bytes(Framing::Alone);
    let mut xml = XmlWriter::with_capacity(original.len() + 128);
    xml.open(direction).ns(ns::CARBONS).open("forwarded").ns(ns::FORWARD).raw(&original).close().close();
    xml.finish()
}

/// §6.1 and §9. Call messages (XEP-0353) of type `normal` are copied without a body too, so that one device's answer silences the others.
fn is_eligible(kind: MessageType, stanza: &Stanza) -> bool {
    if stanza.child(ns::CARBONS, "private").is_some() || stanza.child(ns::HINTS, "no-copy").is_some() || is_copy(stanza) {
        return false;
    }
    match kind {
        MessageType::Groupchat | MessageType::Headline => false,
        MessageType::Chat | MessageType::Error => true,
        MessageType::Normal => {
            stanza.child(ns::CLIENT, "body").is_some() || is_call_message(stanza) || has_im_payload(stanza) || is_invitation(stanza)
        }
    }
}

/// A copy is never copied again.
fn is_copy(stanza: &Stanza) -> bool {
    stanza.child(ns::CARBONS, "sent").is_some() || stanza.child(ns::CARBONS, "received").is_some()
}

/// §6.1: receipts, chat states and markers.
fn has_im_payload(stanza: &Stanza) -> bool {
    stanza.children().any(|child| matches!(child.ns(), ns::RECEIPTS | ns::CHAT_STATES | ns::CHAT_MARKERS))
}
