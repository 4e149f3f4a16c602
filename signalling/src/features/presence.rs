//! RFC 6121 §3 and §4: presence of a session, broadcast, probes, directed presence and subscription stanzas.

use std::sync::Arc;

use bytes::Bytes;

use crate::account::Account;
use crate::features::subscription::{self, Change, State};
use crate::homes::Home;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::router::Router;
use crate::session::{Session, SessionId, SessionRef};
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, Kind, PresenceType, Stanza};
use crate::store::{REQUESTS_MAX, RosterChange, RosterItem, Subscription};
use crate::xml::Bindings;

/// A waiting request is kept whole up to this size, beyond it without what it says.
const REQUEST_BYTES_MAX: usize = 4096;
/// Waiting requests shown at one log-in; the others are shown at a later one, when these have been answered.
const WELCOME_BYTES_MAX: usize = 256 * 1024;

/// §4 and §3: presence that a local session sends.
///
/// # Errors
/// The stanza error to return to the session.
pub async fn outbound(router: &Router, session: &SessionRef, kind: PresenceType, stanza: Stanza) -> Result<(), StanzaError> {
    let to = stanza.to().cloned();
    match (kind, to) {
        (PresenceType::Available, None) => available(router, session, stanza).await,
        (PresenceType::Unavailable, None) => {
            let _turn = session.home.presence_turn().await;
            let goodbye = session.home.with(|account| become_unavailable(account, session.id, stanza));
            router.route_all(goodbye).await;
            Ok(())
        }
        (PresenceType::Available | PresenceType::Unavailable, Some(to)) => directed(router, session, kind, to, stanza).await,
        (PresenceType::Error, Some(_)) => {
            router.route(stanza, Some(session)).await;
            Ok(())
        }
        // §4.3: probes are the servers' business.
        (PresenceType::Error | PresenceType::Probe, _) => Ok(()),
        (_, None) => Err(StanzaError::bad_request("a subscription stanza needs a `to`")),
        // §3.1.2: the user is told, and nothing is asked that nobody can answer.
        (PresenceType::Subscribe, Some(to)) if !router.is_local(to.domain()) => {
            Err(StanzaError::remote_server_not_found().with_text("this server does not federate yet"))
        }
        (_, Some(to)) => match Change::of(kind) {
            Some(change) => change_subscription(router, &session.home, change, &to.to_bare(), Some(stanza)).await,
            None => Ok(()),
        },
    }
}

/// §4.5: takes the session out of its account and sends the presence that it owes. Says whether it was still there.
pub async fn session_ended(router: &Router, home: &Arc<Home>, id: SessionId) -> bool {
    let _turn = home.presence_turn().await;
    let (found, goodbye) = home.with(|account| {
        let jid = account.session(id).map(|session| session.jid.clone());
        let found = jid.is_some();
        let goodbye = match jid {
            Some(jid) => become_unavailable(account, id, Stanza::presence(PresenceType::Unavailable).with_from(jid)),
            None => Vec::new(),
        };
        account.sessions.retain(|session| session.id != id);
        (found, goodbye)
    });
    router.route_all(goodbye).await;
    found
}

/// §4.2 (initial) and §4.4 (subsequent presence).
async fn available(router: &Router, session: &SessionRef, stanza: Stanza) -> Result<(), StanzaError> {
    let priority = priority(&stanza)?;
    let _turn = session.home.presence_turn().await;
    let outgoing = session.home.with(|account| {
        let Some(own) = account.session(session.id) else { return Vec::new() };
        let initial = !own.is_available();
        own.priority = priority;
        own.presence = Some(stanza.clone());
        let mut outgoing = broadcast(account, &stanza);
        if initial {
            welcome(account, session, &mut outgoing);
        }
        outgoing
    });
    router.route_all(outgoing).await;
    Ok(())
}

/// What a resource gets and asks for when it becomes available: presence of its siblings, waiting requests (§3.1.3), probes (§4.3.1).
fn welcome(account: &Account, session: &SessionRef, outgoing: &mut Vec<Stanza>) {
    let Some(own) = account.sessions.iter().find(|own| own.id == session.id) else { return };
    for sibling in account.available().filter(|sibling| sibling.id != session.id) {
        if let Some(presence) = &sibling.presence {
            own.send(presence.clone().with_to(session.jid.clone()));
        }
    }
    let mut bytes = 0;
    for request in account.requests.values() {
        bytes += request.len();
        if bytes > WELCOME_BYTES_MAX {
            break;
        }
        match Stanza::parse(request.clone(), &Bindings::empty()) {
            Ok(request) => {
                own.send(request);
            }
            Err(error) => tracing::error!(account = %account.jid, ?error, "a stored subscription request cannot be read"),
        }
    }
    let seen = account.roster.values().filter(|item| item.subscription.is_to());
    outgoing.extend(seen.map(|item| Stanza::presence(PresenceType::Probe).with_from(session.jid.clone()).with_to(item.jid.clone())));
}

/// §4.2.2: to contacts that may see it, and to the account's own available resources.
fn broadcast(account: &Account, stanza: &Stanza) -> Vec<Stanza> {
    for session in account.available() {
        session.send(stanza.clone().with_to(session.jid.clone()));
    }
    let watchers = account.roster.values().filter(|item| item.subscription.is_from());
    watchers.map(|item| stanza.clone().with_to(item.jid.clone())).collect()
}

/// §4.5.2: unavailable to everyone who saw the session, whom directed presence told (§4.6.3), and to the session itself.
fn become_unavailable(account: &mut Account, id: SessionId, stanza: Stanza) -> Vec<Stanza> {
    let Some(session) = account.session(id) else { return Vec::new() };
    let directed = std::mem::take(&mut session.directed);
    let was_available = session.is_available();
    let mut goodbye: Vec<_> = directed.into_iter().map(|to| stanza.clone().with_to(to)).collect();
    if was_available {
        goodbye.extend(broadcast(account, &stanza));
    }
    if let Some(session) = account.session(id) {
        session.presence = None;
        session.priority = 0;
    }
    goodbye
}

/// §4.6.
async fn directed(router: &Router, session: &SessionRef, kind: PresenceType, to: Jid, stanza: Stanza) -> Result<(), StanzaError> {
    session.home.with(|account| {
        // A contact that sees the broadcast also gets the unavailable presence that ends it.
        let told_anyway = account.shows_presence_to(&to);
        let Some(own) = account.session(session.id) else { return Ok(()) };
        if kind == PresenceType::Unavailable {
            own.directed.remove(&to);
        } else if !(told_anyway && own.is_available()) {
            if own.directed.len() >= router.limits().directed_presences && !own.directed.contains(&to) {
                return Err(StanzaError::resource_constraint().with_text("directed presence went to too many addresses"));
            }
            own.directed.insert(to);
        }
        Ok(())
    })?;
    router.route(stanza, Some(session)).await;
    Ok(())
}

/// §3, from the sender's side: moves the state, tells the roster, and routes what the table says. The removal of a roster item (§2.5.2)
/// ends its subscriptions this way too.
///
/// # Errors
/// `resource-constraint` for a full roster, `internal-server-error` when the change cannot be stored.
pub async fn change_subscription(
    router: &Router,
    home: &Arc<Home>,
    change: Change,
    contact: &BareJid,
    stanza: Option<Stanza>,
) -> Result<(), StanzaError> {
    if *contact == home.jid {
        return Err(StanzaError::not_allowed().with_text("an account needs no subscription to itself"));
    }
    let turn = home.turn().await;
    let before = home.with(|account| state_towards(account, contact));
    let step = subscription::outbound(before, change);
    let item = save(router, home, contact, before, step.next, None).await?;
    item.iter().for_each(|item| router.push_roster_item(home, item));
    drop(turn);
    if !step.route {
        return Ok(());
    }
    // §3.1.2: the `from` is the bare JID, so that the answer reaches every resource.
    let stanza = stanza.unwrap_or_else(|| Stanza::presence(change.kind())).with_from(home.jid.clone()).with_to(contact.clone());
    let mut outgoing = vec![stanza];
    match change {
        // §3.1.5: the contact now learns of each available resource.
        Change::Subscribed => outgoing.extend(home.with(|account| presences_for(account, contact))),
        // §3.2.2: and now no longer.
        Change::Unsubscribed if before.from => outgoing.extend(home.with(|account| unavailable_for(account, contact))),
        _ => {}
    }
    router.route_all(outgoing).await;
    Ok(())
}

/// Presence that RFC 6121 leaves to the server of the account addressed: subscription types (§3) and probes (§4.3.2).
pub async fn inbound(router: &Router, home: &Arc<Home>, stanza: Stanza) {
    let (Kind::Presence(kind), Some(from)) = (stanza.kind(), stanza.from().cloned()) else { return };
    if kind == PresenceType::Probe {
        return router.route_all(home.with(|account| answer_probe(account, &from))).await;
    }
    let Some(change) = Change::of(kind) else { return };
    let contact = from.to_bare();
    let stanza = stanza.with_from(contact.clone()).with_to(home.jid.clone());
    let turn = home.turn().await;
    let before = home.with(|account| state_towards(account, &contact));
    let step = subscription::inbound(before, change);
    let item = match save(router, home, &contact, before, step.next, Some(&stanza)).await {
        Ok(item) => item,
        // Whoever asks too many people, or one person too often, is not worth a line of the log.
        Err(error) => return tracing::debug!(account = %home.jid, %contact, ?change, ?error, "a subscription stanza was dropped"),
    };
    // §3.1.6, §3.2.3, §3.3.3: the stanza comes before the roster push.
    home.with(|account| {
        if step.deliver {
            let wanted = |session: &&Session| if change == Change::Subscribe { session.is_available() } else { session.interested };
            for session in account.sessions.iter().filter(wanted) {
                session.send(stanza.clone());
            }
        }
    });
    item.iter().for_each(|item| router.push_roster_item(home, item));
    drop(turn);
    let mut outgoing = Vec::new();
    home.with(|account| {
        if let Some(reply) = step.reply {
            outgoing.push(Stanza::presence(reply.kind()).with_from(home.jid.clone()).with_to(contact.clone()));
        }
        if change == Change::Subscribe && step.next.from {
            outgoing.extend(presences_for(account, &contact));
        }
        if change == Change::Unsubscribe && before.from {
            outgoing.extend(unavailable_for(account, &contact));
        }
    });
    router.route_all(outgoing).await;
}

/// §4.3.2.
fn answer_probe(account: &Account, from: &Jid) -> Vec<Stanza> {
    let own = from.to_bare() == account.jid;
    if !own && !account.shows_presence_to(from) {
        return vec![Stanza::presence(PresenceType::Unsubscribed).with_from(account.jid.clone()).with_to(from.to_bare())];
    }
    let presences = account.available().filter(|session| *session.jid != *from).filter_map(|session| session.presence.clone());
    presences.map(|presence| presence.with_to(from.clone())).collect()
}

fn presences_for(account: &Account, contact: &BareJid) -> Vec<Stanza> {
    account.available().filter_map(|session| session.presence.clone()).map(|presence| presence.with_to(contact.clone())).collect()
}

fn unavailable_for(account: &Account, contact: &BareJid) -> Vec<Stanza> {
    let gone = |session: &Session| Stanza::presence(PresenceType::Unavailable).with_from(session.jid.clone()).with_to(contact.clone());
    account.available().map(gone).collect()
}

fn state_towards(account: &Account, contact: &BareJid) -> State {
    let requested = account.requests.contains_key(contact);
    match account.roster.get(contact) {
        Some(item) => State::new(item.subscription, item.ask, item.approved, requested),
        None => State::new(Subscription::None, false, false, requested),
    }
}

/// Stores what changed between two states, then changes memory. The caller holds the account's turn, and pushes the item returned, if
/// there is one (§2.1.6).
async fn save(
    router: &Router,
    home: &Arc<Home>,
    contact: &BareJid,
    before: State,
    after: State,
    request: Option<&Stanza>,
) -> Result<Option<RosterItem>, StanzaError> {
    let mut changes = Vec::new();
    let request = request.filter(|_| after.pending_in && !before.pending_in).map(kept);
    if after.pending_in != before.pending_in {
        if request.is_some() && home.with(|account| account.requests.len() >= REQUESTS_MAX as usize) {
            return Err(StanzaError::resource_constraint().with_text("too many requests wait for an answer"));
        }
        changes.push(match &request {
            Some(stanza) => RosterChange::AddRequest { from: contact.clone(), stanza: stanza.clone() },
            None => RosterChange::RemoveRequest(contact.clone()),
        });
    }
    let visible = |state: State| (state.subscription(), state.pending_out, state.approved);
    let item = if visible(before) == visible(after) { None } else { Some(changed_item(router, home, contact, visible(after))?) };
    changes.extend(item.clone().map(RosterChange::Set));
    if changes.is_empty() {
        return Ok(None);
    }
    router.store().rosters().apply(&home.jid, changes).await.map_err(router.internal("store a subscription"))?;
    home.with(|account| {
        match request {
            Some(stanza) => account.requests.insert(contact.clone(), stanza),
            None if !after.pending_in => account.requests.remove(contact),
            None => None,
        };
        if let Some(item) = item.clone() {
            account.roster.insert(contact.clone(), item);
        }
    });
    Ok(item)
}

/// §3.1.3, rule 4: the request as it is kept until it is answered.
fn kept(request: &Stanza) -> Bytes {
    let whole = request.to_bytes(Framing::Alone);
    if whole.len() <= REQUEST_BYTES_MAX { whole } else { request.clone().with_content(Bytes::new()).to_bytes(Framing::Alone) }
}

fn changed_item(router: &Router, home: &Home, contact: &BareJid, seen: (Subscription, bool, bool)) -> Result<RosterItem, StanzaError> {
    home.with(|account| {
        let mut item = account.roster.get(contact).cloned().unwrap_or_else(|| RosterItem::new(contact.clone()));
        (item.subscription, item.ask, item.approved) = seen;
        match account.roster_has_room(&item, router.limits()) {
            true => Ok(item),
            false => Err(StanzaError::resource_constraint().with_text("the roster is full")),
        }
    })
}

/// RFC 6121 §8.5.2.1.1: whether a session with this presence gets messages to the bare JID.
pub fn wants_messages(stanza: &Stanza) -> bool {
    priority(stanza).is_ok_and(|priority| priority >= 0)
}

/// §4.7.2.3.
fn priority(stanza: &Stanza) -> Result<i8, StanzaError> {
    match stanza.child(ns::CLIENT, "priority") {
        None => Ok(0),
        Some(child) => child.text().trim().parse().map_err(|_| StanzaError::bad_request("priority is a number from -128 to 127")),
    }
}
