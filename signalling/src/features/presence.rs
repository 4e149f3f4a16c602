//! RFC 6121 §3 and §4: presence of a session, broadcast, probes, directed presence and subscription stanzas.

mod probe;

use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::account::Account;
use crate::features::subscription::{self, Change, State};
use crate::homes::Home;
use crate::interests::Interests;
use crate::jid::{BareJid, FullJid, Jid};
use crate::mailbox::Outgoing;
use crate::ns;
use crate::pubsub::interest::{self, Debt, Owed};
use crate::random;
use crate::router::Router;
use crate::session::{Probes, Session, SessionId, SessionRef};
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, Kind, PresenceType, Stanza};
use crate::store::{LastActivity, REQUESTS_MAX, RosterChange, RosterItem, Subscription};
use crate::xml::Bindings;

/// A waiting request, and the presence by which an account left, are kept whole up to this size, beyond it without what they say.
const KEPT_BYTES_MAX: usize = 4096;
/// Waiting requests shown at one log-in; the others are shown at a later one, when these have been answered.
const WELCOME_BYTES_MAX: usize = 256 * 1024;
/// Contacts looked for at once; the next ones when what came of these is on its way to the client.
const PROBES_AT_ONCE: usize = 64;
/// The same if what came of them is so large.
const PROBED_BYTES_MAX: usize = 64 * 1024;

/// §4 and §3: presence that a local session sends.
///
/// # Errors
/// The stanza error to return to the session.
pub async fn outbound(router: &Router, session: &SessionRef, kind: PresenceType, stanza: Stanza) -> Result<(), StanzaError> {
    let to = stanza.to().cloned();
    match (kind, to) {
        (PresenceType::Available, None) => available(router, session, stanza).await,
        (PresenceType::Unavailable, None) => {
            let turn = session.home.presence_turn().await;
            let mut goodbye = session.home.with(|account| become_unavailable(account, session.id, stanza));
            router.route_all(std::mem::take(&mut goodbye.stanzas)).await;
            drop(turn);
            leave_nodes(router, &goodbye);
            keep_last_activity(router, &session.home.jid, goodbye.last).await;
            Ok(())
        }
        (PresenceType::Available | PresenceType::Unavailable, Some(to)) => directed(router, session, kind, to, stanza).await,
        (PresenceType::Error, Some(_)) => {
            router.route(stanza, Some(session)).await;
            Ok(())
        }
        // §4.3: a client should not need it, but what it sends is processed, and never a reason for an error.
        (PresenceType::Probe, Some(_)) => {
            router.route(stanza, None).await;
            Ok(())
        }
        (PresenceType::Error | PresenceType::Probe, None) => Ok(()),
        (_, None) => Err(StanzaError::bad_request("a subscription stanza needs a `to`")),
        // §3.1.2: the user is told, and nothing is asked that nobody can answer.
        (PresenceType::Subscribe, Some(to)) if !router.is_local(to.domain()) && router.service(to.domain()).is_none() => {
            Err(StanzaError::remote_server_not_found().with_text("this server does not federate yet"))
        }
        (_, Some(to)) => match Change::of(kind) {
            Some(change) => change_subscription(router, &session.home, change, &to.to_bare(), Some(stanza)).await,
            None => Ok(()),
        },
    }
}

/// §4.5: takes the session out of its account and sends the presence that it owes. Gives what `over` makes of the session at that moment, if it
/// was still there.
pub async fn session_ended<T>(router: &Router, home: &Arc<Home>, id: SessionId, over: impl FnOnce(Session) -> T) -> Option<T> {
    let turn = home.presence_turn().await;
    let (found, mut goodbye) = home.with(|account| {
        let goodbye = match account.session(id).map(|session| session.jid.clone()) {
            Some(jid) => become_unavailable(account, id, Stanza::presence(PresenceType::Unavailable).with_from(jid)),
            None => Goodbye::default(),
        };
        let place = account.sessions.iter().position(|session| session.id == id);
        (place.map(|place| over(account.sessions.remove(place))), goodbye)
    });
    router.route_all(std::mem::take(&mut goodbye.stanzas)).await;
    drop(turn);
    leave_nodes(router, &goodbye);
    keep_last_activity(router, &home.jid, goodbye.last).await;
    found
}

/// Keeps the presence by which an account left: whoever may see it is told later (§4.3.2, rule 3; XEP-0012 §4).
async fn keep_last_activity(router: &Router, account: &BareJid, last: Option<Stanza>) {
    let Some(presence) = last else { return };
    let activity = LastActivity { left_at: SystemTime::now(), presence: kept(&presence) };
    if let Err(error) = router.store().last_activities().set(account, activity).await {
        tracing::error!(%account, %error, "cannot store when the account was last there");
    }
}

/// §4.2 (initial) and §4.4 (subsequent presence).
async fn available(router: &Router, session: &SessionRef, stanza: Stanza) -> Result<(), StanzaError> {
    let priority = priority(&stanza)?;
    let _turn = session.home.presence_turn().await;
    let (outgoing, watched) = session.home.with(|account| {
        let Some(own) = account.session(session.id) else { return Default::default() };
        let initial = !own.is_available();
        own.priority = priority;
        own.presence = Some(stanza.clone());
        let outgoing = broadcast(account, &stanza);
        if !initial {
            return (outgoing, Vec::new());
        }
        welcome(account, session);
        if let Some(own) = account.session(session.id) {
            own.owe_items(Debt::of_subscriptions());
        }
        (outgoing, next_watched(account, session))
    });
    router.route_all(outgoing).await;
    look_for_all(router, session, watched).await;
    Ok(())
}

/// §4.3.1, the next slice: what contacts answer must not fill the mailbox of a client that logs in, however many they are.
pub async fn pay(router: &Router, session: &SessionRef) {
    let watched = session.home.with(|account| next_watched(account, session));
    look_for_all(router, session, watched).await;
}

/// The contacts of one slice, as far as what comes of them is not too much for once.
async fn look_for_all(router: &Router, session: &SessionRef, watched: Vec<BareJid>) {
    let bytes = || session.home.with(|account| account.session(session.id).map_or(0, |own| own.mailbox.bytes()));
    let before = bytes();
    for contact in watched {
        look_for(router, session, contact.clone()).await;
        if bytes() > before + PROBED_BYTES_MAX {
            return session.home.with(|account| {
                if let Some(own) = account.session(session.id).filter(|own| own.is_available()) {
                    own.probes_owed = Some(Probes::After(contact));
                    own.mailbox.push(Outgoing::Owed);
                }
            });
        }
    }
}

/// §4.3.1: finds out whether a contact is there. For one of this server's own no probe is needed; one whose home is not in memory has no
/// resource. The answer is for the new resource alone: the others have it.
async fn look_for(router: &Router, session: &SessionRef, contact: BareJid) {
    if router.service(contact.domain()).is_some() {
        return;
    }
    if !router.is_local(contact.domain()) {
        let probe = Stanza::presence(PresenceType::Probe).with_id(random::id());
        return router.route(probe.with_from(session.home.jid.clone()).with_to(contact), None).await;
    }
    let Some(home) = router.home_in_memory(&contact) else { return };
    let answers = home.with(|account| match account.blocks(&session.home.jid) {
        true => Vec::new(),
        false if account.shows_presence_to(&session.jid) => probe::presences(account, &session.jid),
        // The two rosters differ: rule 1 of §4.3.2 makes them agree.
        false => vec![probe::unsubscribed(&contact, &session.jid, None)],
    });
    router.route_all(answers).await;
}

/// What a resource gets when it becomes available: presence of its siblings, waiting requests (§3.1.3); and what it is owed: the presence of
/// contacts (§4.3.1).
fn welcome(account: &mut Account, session: &SessionRef) {
    if let Some(own) = account.session(session.id) {
        own.probes_owed = Some(Probes::All);
    }
    let Some(own) = account.sessions.iter().find(|own| own.id == session.id) else { return };
    for sibling in account.available().filter(|sibling| sibling.id != session.id) {
        if let Some(presence) = &sibling.presence {
            own.send(presence.clone().with_to(session.jid.clone()));
        }
    }
    let mut bytes = 0;
    for (_, request) in account.requests.iter().filter(|(from, _)| !account.blocks(from)) {
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
}

/// The contacts whose presence comes next, and a marker in the mailbox if there are more.
fn next_watched(account: &mut Account, session: &SessionRef) -> Vec<BareJid> {
    let Some(position) = account.sessions.iter().position(|own| own.id == session.id) else { return Vec::new() };
    let Some(owed) = account.sessions[position].probes_owed.take() else { return Vec::new() };
    let after = match owed {
        Probes::All => Bound::Unbounded,
        Probes::After(contact) => Bound::Excluded(contact),
    };
    let slice: Vec<BareJid> = account.watched(after).take(PROBES_AT_ONCE).cloned().collect();
    let own = &mut account.sessions[position];
    if let Some(last) = slice.last().filter(|_| slice.len() == PROBES_AT_ONCE) {
        own.probes_owed = Some(Probes::After(last.clone()));
        own.mailbox.push(Outgoing::Owed);
    }
    slice
}

/// §4.2.2: to contacts that may see it, and to the account's own available resources.
fn broadcast(account: &Account, stanza: &Stanza) -> Vec<Stanza> {
    for session in account.available() {
        session.send(stanza.clone().with_to(session.jid.clone()));
    }
    account.watchers().map(|contact| stanza.clone().with_to(contact.clone())).collect()
}

/// Puts other presence in the place of what available resources last said, and tells who sees it (§4.4.2).
pub async fn revise(router: &Router, home: &Arc<Home>, revise: impl Fn(&Stanza) -> Option<(Stanza, Stanza)>) {
    let _turn = home.presence_turn().await;
    let outgoing = home.with(|account| {
        let mut told = Vec::new();
        for session in &mut account.sessions {
            if let Some((standing, tell)) = session.presence.as_ref().and_then(&revise) {
                session.presence = Some(standing);
                told.push(tell);
            }
        }
        told.iter().flat_map(|presence| broadcast(account, presence)).collect()
    });
    router.route_all(outgoing).await;
}

/// What is owed when a resource becomes unavailable.
#[derive(Default)]
struct Goodbye {
    stanzas: Vec<Stanza>,
    /// The resource, if it was available.
    left: Option<FullJid>,
    /// The presence itself, if it was the account's last available resource.
    last: Option<Stanza>,
}

/// XEP-0060 §12.5: what lasts as long as the resource is there.
fn leave_nodes(router: &Router, goodbye: &Goodbye) {
    if let (Some(resource), Some(pubsub)) = (&goodbye.left, router.pubsub()) {
        pubsub.left(resource.clone(), goodbye.last.is_some());
    }
}

/// §4.5.2: unavailable to everyone who saw the session, whom directed presence told (§4.6.3), and to the session itself.
fn become_unavailable(account: &mut Account, id: SessionId, stanza: Stanza) -> Goodbye {
    let Some(session) = account.session(id) else { return Goodbye::default() };
    let directed = std::mem::take(&mut session.directed);
    let was_available = session.is_available();
    let mut goodbye = Goodbye::default();
    // Whoever subscribed since, and the account's own resources, are told once.
    let told_anyway = |to: &Jid| was_available && (account.shows_presence_to(to) || to.bare_str() == account.jid.as_str());
    let told: Vec<_> = directed.into_iter().filter(|to| !told_anyway(to)).collect();
    goodbye.stanzas.extend(told.into_iter().map(|to| stanza.clone().with_to(to)));
    if was_available {
        goodbye.stanzas.extend(broadcast(account, &stanza));
    }
    if let Some(session) = account.session(id) {
        goodbye.left = was_available.then(|| session.jid.clone());
        session.presence = None;
        session.priority = 0;
        session.probes_owed = None;
        session.items_owed = Owed::default();
        session.interests = Interests::default();
    }
    goodbye.last = (was_available && account.available().next().is_none()).then_some(stanza);
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
    // Presence that begins or ends here keeps its place among broadcasts.
    let _presence_turn = match change {
        Change::Subscribed | Change::Unsubscribed => Some(home.presence_turn().await),
        Change::Subscribe | Change::Unsubscribe => None,
    };
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
    let mut outgoing = Vec::new();
    // §3.2.2: unavailable presence comes while the contact is still subscribed.
    if change == Change::Unsubscribed && before.from {
        outgoing.extend(home.with(|account| account.leave_contact(contact)));
    }
    outgoing.push(stanza);
    // §3.1.5: the contact now learns of each available resource.
    if change == Change::Subscribed {
        outgoing.extend(home.with(|account| account.presences_for(contact)));
    }
    router.route_all(outgoing).await;
    if change == Change::Subscribed && !before.from {
        interest::presence_begins(router, &home.jid, contact);
    }
    Ok(())
}

/// Presence that RFC 6121 leaves to the server of the account addressed: subscription types (§3) and probes (§4.3.2).
pub async fn inbound(router: &Router, home: &Arc<Home>, stanza: Stanza) {
    let (Kind::Presence(kind), Some(from)) = (stanza.kind(), stanza.from().cloned()) else { return };
    if kind == PresenceType::Probe {
        return answer_probe(router, home, &stanza, &from).await;
    }
    let Some(change) = Change::of(kind) else { return };
    let contact = from.to_bare();
    let stanza = stanza.with_from(contact.clone()).with_to(home.jid.clone());
    let _presence_turn = match change {
        Change::Subscribe | Change::Unsubscribe => Some(home.presence_turn().await),
        Change::Subscribed | Change::Unsubscribed => None,
    };
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
            outgoing.extend(account.presences_for(&contact));
        }
        if change == Change::Unsubscribe && before.from {
            outgoing.extend(account.leave_contact(&contact));
        }
    });
    router.route_all(outgoing).await;
    if !before.from && step.next.from {
        interest::presence_begins(router, &home.jid, &contact);
    }
}

/// XEP-0077 §3.2: an account is gone, and with it what a local contact had with it: subscriptions, requests, and what the contact has approved
/// beforehand (§3.4). Nobody is answered.
///
/// # Errors
/// `internal-server-error` when it cannot be stored.
pub async fn farewell(router: &Router, home: &Arc<Home>, gone: &BareJid, changes: impl Iterator<Item = Change>) -> Result<(), StanzaError> {
    let _presence_turn = home.presence_turn().await;
    let _turn = home.turn().await;
    for change in changes {
        let before = home.with(|account| state_towards(account, gone));
        let step = subscription::inbound(before, change);
        let item = save(router, home, gone, before, State { approved: false, ..step.next }, None).await?;
        let stanza = Stanza::presence(change.kind()).with_from(gone.clone()).with_to(home.jid.clone());
        home.with(|account| {
            if step.deliver && !account.blocks(gone) {
                for session in account.sessions.iter().filter(|session| session.interested) {
                    session.send(stanza.clone());
                }
            }
        });
        item.iter().for_each(|item| router.push_roster_item(home, item));
    }
    Ok(())
}

/// §4.3.2.
async fn answer_probe(router: &Router, home: &Arc<Home>, probe: &Stanza, from: &Jid) {
    let Some(to) = probe.to() else { return };
    let answers = match home.with(|account| probe::answer(account, from, to, probe.id())) {
        probe::Answer::Stanzas(stanzas) => stanzas,
        probe::Answer::LastPresence => {
            let last = router.store().last_activities().load(&home.jid).await.unwrap_or_else(|error| {
                tracing::error!(account = %home.jid, %error, "cannot load when the account was last there");
                None
            });
            vec![probe::of_absent(&home.jid, from, probe.id(), last)]
        }
    };
    router.route_all(answers).await;
}

/// §4.3.2, rule 1, on behalf of an account that does not exist: as for one whose presence `probe`'s sender may not see.
pub async fn probe_of_nobody(router: &Router, probe: &Stanza) {
    if let (Some(from), Some(to)) = (probe.from(), probe.to()) {
        router.route(probe::unsubscribed(to, from, probe.id()), None).await;
    }
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
    let version = router.store().rosters().apply(&home.jid, changes).await.map_err(router.internal("store a subscription"))?;
    home.with(|account| {
        account.roster_version.number = version;
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

/// §3.1.3, rule 4, and §4.3.2, rule 3: presence as it is kept.
fn kept(presence: &Stanza) -> Bytes {
    let whole = presence.to_bytes(Framing::Alone);
    if whole.len() <= KEPT_BYTES_MAX { whole } else { presence.clone().with_content(Bytes::new()).to_bytes(Framing::Alone) }
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
