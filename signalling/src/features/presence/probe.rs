//! RFC 6121 §4.3.2 and §4.6.6: what an account's server answers to a presence probe.

use crate::account::Account;
use crate::jid::Jid;
use crate::ns;
use crate::session::Session;
use crate::stanza::{PresenceType, Stanza};
use crate::store::LastActivity;
use crate::time::xep0082;
use crate::xml::{Bindings, XmlWriter};

/// What an answer needs to know beyond the account in memory.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// These stanzas, maybe none.
    Stanzas(Vec<Stanza>),
    /// How the account left last, by [`of_absent`].
    LastPresence,
}

/// `from` has probed `to`, the account or one of its resources; `id` is that of the probe.
pub(super) fn answer(account: &Account, from: &Jid, to: &Jid, id: Option<&str>) -> Answer {
    let own = from.bare_str() == account.jid.as_str();
    if !own && !account.shows_presence_to(from) {
        return Answer::Stanzas(without_subscription(account, from, to, id));
    }
    match to.resource() {
        // Only that it is available: what else there is to know, it has broadcast.
        Some(resource) => Answer::Stanzas(vec![mirrored(
            match account.resource(resource).filter(|session| session.is_available()) {
                Some(_) => PresenceType::Available,
                None => PresenceType::Unavailable,
            },
            to.clone(),
            from,
            id,
        )]),
        None if account.available().next().is_none() => Answer::LastPresence,
        None => Answer::Stanzas(presences(account, from)),
    }
}

/// Rule 4: the last presence of each available resource, `id` and all, for `to`.
pub(super) fn presences(account: &Account, to: &Jid) -> Vec<Stanza> {
    let others = account.available().filter(|session| *session.jid != *to);
    others.filter_map(|session| session.presence.clone()).map(|presence| presence.with_to(to.clone())).collect()
}

/// §4.6.6: who got directed presence may know whether it still holds; else rule 1.
fn without_subscription(account: &Account, from: &Jid, to: &Jid, id: Option<&str>) -> Vec<Stanza> {
    let told = |session: &&Session| {
        let meant = to.resource().is_none_or(|resource| session.jid.resource_str() == resource);
        meant && (session.directed.contains(from) || session.directed.contains(from.bare_str()))
    };
    let told: Vec<_> = account.sessions.iter().filter(told).collect();
    if told.is_empty() {
        return vec![unsubscribed(account.jid.as_ref(), from, id)];
    }
    told.into_iter().map(|session| mirrored(PresenceType::Available, (&session.jid).into(), from, id)).collect()
}

/// Rule 1. It is the answer on behalf of an account that does not exist, too.
pub(super) fn unsubscribed(account: &Jid, from: &Jid, id: Option<&str>) -> Stanza {
    mirrored(PresenceType::Unsubscribed, account.to_bare().into(), &from.to_bare(), id)
}

/// Rule 3: nobody is there; when the account left, and what it said.
pub(super) fn of_absent(account: &Jid, from: &Jid, id: Option<&str>, last: Option<LastActivity>) -> Stanza {
    let Some(last) = last else { return mirrored(PresenceType::Unavailable, account.to_bare().into(), from, id) };
    let mut delay = XmlWriter::new();
    delay.open("delay").ns(ns::DELAY).attr("from", account.domain()).attr("stamp", &xep0082(last.left_at)).close();
    let presence = Stanza::parse(last.presence, &Bindings::empty()).unwrap_or_else(|error| {
        tracing::error!(%account, ?error, "a stored presence cannot be read");
        Stanza::presence(PresenceType::Unavailable)
    });
    let mut presence = presence.with_from(account.to_bare()).with_to(from.clone()).with_child(&delay.finish());
    if let Some(id) = id {
        presence.set_id(id);
    }
    presence
}

/// §4.3.2.1: an answer without a presence of its own has the `id` of the probe.
fn mirrored(kind: PresenceType, from: Jid, to: &Jid, id: Option<&str>) -> Stanza {
    let stanza = Stanza::presence(kind).with_from(from).with_to(to.clone());
    match id {
        Some(id) => stanza.with_id(id),
        None => stanza,
    }
}
