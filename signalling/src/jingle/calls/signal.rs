//! What one stanza says about calls. It is read before the table is locked, as owned values: how long reading takes is up to the sender, and
//! everyone's stanzas wait for the lock.

use crate::jid::{BareJid, Jid};
use crate::jingle::content::Jingle;
use crate::jingle::propose::{self, CallMessage};
use crate::jingle::reading::Reading;
use crate::jingle::reason::Fault;
use crate::ns;
use crate::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};

/// A stanza that is being routed, as far as calls go.
#[derive(Debug)]
pub struct Signal<'s> {
    pub(super) from: &'s Jid,
    pub(super) to: &'s Jid,
    /// The account of this server that sent it.
    pub(super) sender: Option<&'s BareJid>,
    pub(super) said: Said<'s>,
}

#[derive(Debug)]
pub(super) enum Said<'s> {
    /// An IQ-set with a `<jingle/>`.
    Jingle { iq: &'s str, jingle: Jingle },
    /// An IQ result or error.
    Reply { iq: &'s str, fault: Option<Fault> },
    /// A message with an element of XEP-0353.
    Message(CallMessage),
    /// Such a message came back.
    Bounce(CallMessage, Fault),
    /// One of these without an action, an id or another thing it must have.
    Malformed,
    /// The sender has gone offline.
    Unavailable,
}

impl<'s> Signal<'s> {
    /// Whether a stanza is of a kind that may concern a call: a look that reads nothing.
    #[must_use]
    pub fn is_in(stanza: &Stanza) -> bool {
        match stanza.kind() {
            Kind::Iq(IqType::Set) => stanza.child(ns::JINGLE, "jingle").is_some(),
            Kind::Iq(IqType::Result | IqType::Error) => stanza.id().is_some(),
            Kind::Iq(IqType::Get) => false,
            Kind::Message(MessageType::Chat | MessageType::Normal | MessageType::Error) => propose::element(stanza).is_some(),
            Kind::Message(_) => false,
            Kind::Presence(kind) => kind == PresenceType::Unavailable,
        }
    }

    /// Reads a stanza that is being routed from one address to another. `sender` is the account of this server that sent it, `None` for what
    /// comes from elsewhere and for errors that the server itself sends in the place of an address. `None`: it says nothing about calls.
    #[must_use]
    pub fn read(stanza: &'s Stanza, sender: Option<&'s BareJid>) -> Option<Self> {
        let from = stanza.from()?;
        let (to, said) = match stanza.kind() {
            // An own client that only says so is still there: its calls end with its stream.
            Kind::Presence(PresenceType::Unavailable) if sender.is_none() => (from, Said::Unavailable),
            Kind::Presence(_) => return None,
            _ => (stanza.to().filter(|to| *to != from)?, said(stanza)?),
        };
        Some(Self { from, to, sender, said })
    }
}

/// What an IQ or a message says.
fn said(stanza: &Stanza) -> Option<Said<'_>> {
    match stanza.kind() {
        Kind::Iq(IqType::Set) => {
            let element = stanza.child(ns::JINGLE, "jingle")?.element();
            let iq = stanza.id().unwrap_or_default();
            Some(match element.map(|element| Jingle::read(element.root(), &mut Reading::outline())) {
                Ok(Ok(jingle)) => Said::Jingle { iq, jingle },
                Ok(Err(error)) => {
                    tracing::debug!(from = ?stanza.from(), to = ?stanza.to(), %error, "jingle element not understood");
                    Said::Malformed
                }
                Err(_) => Said::Malformed,
            })
        }
        Kind::Iq(IqType::Result) => Some(Said::Reply { iq: stanza.id()?, fault: None }),
        Kind::Iq(IqType::Error) => Some(Said::Reply { iq: stanza.id()?, fault: Some(Fault::of(stanza)) }),
        Kind::Message(kind @ (MessageType::Chat | MessageType::Normal | MessageType::Error)) => {
            let element = propose::element(stanza)?.element().ok();
            Some(match element.and_then(|element| CallMessage::read(element.root())) {
                Some(message) if kind == MessageType::Error => Said::Bounce(message, Fault::of(stanza)),
                Some(message) => Said::Message(message),
                None => Said::Malformed,
            })
        }
        Kind::Iq(IqType::Get) | Kind::Message(_) | Kind::Presence(_) => None,
    }
}
