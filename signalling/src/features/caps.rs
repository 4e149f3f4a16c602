//! What the clients of local sessions can do: XEP-0115 (Entity Capabilities, version 1.6) and XEP-0390 (version 0.3), as far as the server makes use of
//! it, which is what they want to be told of (XEP-0060 §9.2).
//!
//! A session's broadcast presence names what its client can do. A name that is a hash means the same whoever says it, so its meaning is kept for all
//! accounts once an answer of one of them has proved it; until then one client at a time is asked, and the others wait. A client whose answer
//! proves nothing is believed for itself alone.
//!
//! Presence need not repeat the name (XEP-0115 §8.4, XEP-0390 §6.2): it stands until the session says another one or becomes unavailable.

mod announced;
mod answer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::interests::Interests;
use crate::jid::Jid;
use crate::ns;
use crate::pubsub::interest::Debt;
use crate::router::{Asked, Router};
use crate::session::{Session, SessionId, SessionRef};
use crate::stanza::{IqType, Stanza};
use crate::xml::XmlWriter;

use announced::{Announced, Name};
use answer::Outcome;

/// Names whose meaning is kept; those used least recently go first.
const KNOWN_MAX: usize = 2048;
/// How long a client may take to answer: others wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);
/// Accounts whose nodes are looked at because directed presence went there.
const VISITED_MAX: usize = 16;

/// What a client has named and, once it is known, what it means. Sessions with the same client share it.
#[derive(Debug)]
pub struct Capabilities {
    announced: Announced,
    /// Proved by a hash.
    is_shared: bool,
    interests: OnceLock<Interests>,
}

impl Capabilities {
    fn known(announced: Announced, is_shared: bool, interests: Interests) -> Arc<Self> {
        Arc::new(Self { announced, is_shared, interests: interests.into() })
    }

    /// Whether its meaning is known.
    pub fn is_known(&self) -> bool {
        self.interests.get().is_some()
    }

    /// Whether its meaning holds for every client that says the same.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }
}

/// Why a client is asked.
#[derive(Debug)]
pub struct Query {
    session: SessionRef,
    capabilities: Arc<Capabilities>,
}

/// What is known and what is being asked.
#[derive(Debug)]
pub struct Cache {
    /// Requests under way.
    pub asked: Asked<Query>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<Name, Slot>,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    capabilities: Arc<Capabilities>,
    used: u64,
    /// While it is not known.
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    /// Whose client is asked.
    of: SessionId,
    /// The id of the request, once there is one.
    request: Option<String>,
    /// Who has said the same meanwhile.
    waiting: BTreeMap<SessionId, SessionRef>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { asked: Asked::new(PATIENCE), table: Mutex::default() }
    }
}

impl Cache {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Whole after every call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose client is to be asked instead of that of `asked`, if it was the one; what it may say yet is of no use any more.
    fn next(&self, capabilities: &Arc<Capabilities>, asked: &SessionRef) -> Option<SessionRef> {
        let (request, next) = self.table().next(capabilities, asked)?;
        if let Some(request) = request {
            self.asked.forget(&request);
        }
        next
    }
}

impl Table {
    /// What a session has named, and whether its client is to be asked what that means.
    fn meet(&mut self, announced: Announced, session: &SessionRef) -> (Arc<Capabilities>, bool) {
        self.clock += 1;
        let used = self.clock;
        if let Some(slot) = self.slots.get_mut(&announced.name) {
            slot.used = used;
            if let Some(asking) = slot.asking.as_mut().filter(|asking| asking.of != session.id) {
                asking.waiting.insert(session.id, session.clone());
            }
            return (slot.capabilities.clone(), false);
        }
        let name = announced.name.clone();
        let capabilities = Arc::new(Capabilities { announced, is_shared: true, interests: OnceLock::new() });
        let asking = Some(Asking { of: session.id, request: None, waiting: BTreeMap::new() });
        self.slots.insert(name, Slot { capabilities: capabilities.clone(), used, asking });
        (capabilities, true)
    }

    /// What a stored session knew.
    fn remember(&mut self, announced: Announced, interests: Interests) -> Arc<Capabilities> {
        self.clock += 1;
        let name = announced.name.clone();
        let known = self.slots.get(&name).map(|slot| slot.capabilities.clone());
        match known.filter(|known| known.interests.get() == Some(&interests)) {
            Some(known) => known,
            None if self.slots.contains_key(&name) => Capabilities::known(announced, true, interests),
            None => {
                let capabilities = Capabilities::known(announced, true, interests);
                self.slots.insert(name, Slot { capabilities: capabilities.clone(), used: self.clock, asking: None });
                self.make_room();
                capabilities
            }
        }
    }

    /// It is known now: who has waited for that.
    fn settle(&mut self, capabilities: &Arc<Capabilities>) -> Vec<SessionRef> {
        let slot = self.slots.get_mut(&capabilities.announced.name).filter(|slot| Arc::ptr_eq(&slot.capabilities, capabilities));
        let Some(asking) = slot.and_then(|slot| slot.asking.take()) else { return Vec::new() };
        self.make_room();
        asking.waiting.into_values().collect()
    }

    /// The request that is under way.
    fn note(&mut self, capabilities: &Arc<Capabilities>, request: &Stanza) {
        let slot = self.slots.get_mut(&capabilities.announced.name).filter(|slot| Arc::ptr_eq(&slot.capabilities, capabilities));
        if let Some(asking) = slot.and_then(|slot| slot.asking.as_mut()) {
            asking.request = request.id().map(str::to_owned);
        }
    }

    /// The client of `asked` has not said what it means: whose is to be asked next, if it was the one that was asked, and the request that was. Rather
    /// one of another account: nobody holds up others with many clients that are silent. Without another one, it is forgotten.
    fn next(&mut self, capabilities: &Arc<Capabilities>, asked: &SessionRef) -> Option<(Option<String>, Option<SessionRef>)> {
        let name = &capabilities.announced.name;
        let slot = self.slots.get_mut(name).filter(|slot| Arc::ptr_eq(&slot.capabilities, capabilities))?;
        let asking = slot.asking.as_mut().filter(|asking| asking.of == asked.id)?;
        let of_another = asking.waiting.iter().find(|(_, session)| session.home.jid != asked.home.jid).map(|(id, _)| *id);
        let request = asking.request.take();
        let next = match of_another {
            Some(id) => asking.waiting.remove(&id),
            None => asking.waiting.pop_first().map(|(_, session)| session),
        };
        match &next {
            Some(session) => asking.of = session.id,
            None => drop(self.slots.remove(name)),
        }
        Some((request, next))
    }

    /// The session does not wait for it any more. It may wait for another meaning of the same name by now.
    fn leave(&mut self, capabilities: &Arc<Capabilities>, session: SessionId) {
        let slot = self.slots.get_mut(&capabilities.announced.name).filter(|slot| Arc::ptr_eq(&slot.capabilities, capabilities));
        if let Some(asking) = slot.and_then(|slot| slot.asking.as_mut()) {
            asking.waiting.remove(&session);
        }
    }

    /// What is being asked has its bound in [`Asked`].
    fn make_room(&mut self) {
        let mut known: Vec<_> =
            self.slots.iter().filter(|(_, slot)| slot.asking.is_none()).map(|(name, slot)| (slot.used, name.clone())).collect();
        if known.len() <= KNOWN_MAX {
            return;
        }
        known.sort_unstable_by_key(|(used, _)| *used);
        // A quarter at once, so that this is rare.
        known.truncate(known.len() - KNOWN_MAX * 3 / 4);
        known.into_iter().for_each(|(_, name)| drop(self.slots.remove(&name)));
    }
}

/// A session has broadcast available presence.
pub fn announced(router: &Router, session: &SessionRef, presence: &Stanza) {
    if let Some(announced) = Announced::of(presence, session.id) {
        meet(router, session, announced);
    }
}

/// A session has a connection again: what it could not be asked it is asked now.
pub fn resumed(router: &Router, session: &SessionRef) {
    let announced = session.home.with(|account| {
        let own = account.session(session.id)?;
        match &own.capabilities {
            Some(capabilities) => (!capabilities.is_known()).then(|| capabilities.announced.clone()),
            None if own.interests.is_empty() => Announced::of(own.presence.as_ref()?, session.id),
            None => None,
        }
    });
    if let Some(announced) = announced {
        meet(router, session, announced);
    }
}

/// What a stored session knew of its client.
pub fn restore(router: &Router, session: &mut Session, interests: Interests, is_shared: bool) {
    let announced = session.presence.as_ref().and_then(|presence| Announced::of(presence, session.id));
    session.interests = interests.clone();
    session.capabilities = announced.map(|announced| match is_shared {
        true => router.capabilities().table().remember(announced, interests),
        false => Capabilities::known(announced, false, interests),
    });
    if let Some(shared) = session.capabilities.as_ref().and_then(|own| own.interests.get()) {
        session.interests = shared.clone();
    }
}

fn meet(router: &Router, session: &SessionRef, announced: Announced) {
    // Under the account's lock, so that whoever waits here is found to wait for this.
    let met = session.home.with(|account| {
        let own = account.session(session.id).filter(|own| own.is_available())?;
        if own.capabilities.as_ref().is_some_and(|before| before.is_known() && before.announced.name == announced.name) {
            return None;
        }
        let (capabilities, ask) = router.capabilities().table().meet(announced, session);
        let before = own.capabilities.replace(capabilities.clone()).filter(|before| !Arc::ptr_eq(before, &capabilities));
        // A client is asked one thing at a time: one that names ever new things takes nobody's place.
        let next = before.and_then(|before| {
            router.capabilities().table().leave(&before, session.id);
            router.capabilities().next(&before, session).map(|next| (next, before))
        });
        adopt(own, &capabilities);
        Some((next, ask.then_some(capabilities)))
    });
    let Some((next, ask)) = met else { return };
    if let Some((next, before)) = next {
        self::ask(router, &next, before);
    }
    if let Some(capabilities) = ask {
        self::ask(router, session, capabilities);
    }
}

/// What the client wants is known, maybe: it is in force from now on.
fn adopt(own: &mut Session, capabilities: &Capabilities) {
    if let Some(interests) = capabilities.interests.get() {
        let new = interests.without(&own.interests);
        own.interests = interests.clone();
        own.owe_items(Debt::of_interests(&new));
        let visited: Vec<_> = visited(&own.directed, &new).collect();
        own.owe_items(visited);
    }
}

/// Whom it has sent its presence before it was known what it is interested in (XEP-0060 §9.1.3).
fn visited<'a>(directed: &'a BTreeSet<Jid>, names: &'a Interests) -> impl Iterator<Item = Debt> + 'a {
    let accounts = directed.iter().filter(|to| to.local().is_some() && to.is_bare()).take(VISITED_MAX);
    accounts.filter_map(|to| Debt::of_account(to.to_bare(), names.clone(), None))
}

/// XEP-0115 §6.2, XEP-0390 §5.5. Clients that are not asked any more when their turn comes are passed over.
fn ask(router: &Router, session: &SessionRef, capabilities: Arc<Capabilities>) {
    let mut next = Some(session.clone());
    while let Some(session) = next {
        let asked = session.home.with(|account| {
            let own = account.session(session.id).filter(|own| own.hibernated.is_none() && waits_for(own, &capabilities))?;
            let query = Query { session: session.clone(), capabilities: capabilities.clone() };
            let mut payload = XmlWriter::new();
            payload.open("query").ns(ns::DISCO_INFO).attr_opt("node", capabilities.announced.node.as_deref()).close();
            let (from, to) = (session.jid.to_domain(), session.jid.clone().into());
            let request = router.capabilities().asked.request(IqType::Get, from, to, query, Instant::now());
            router.capabilities().table().note(&capabilities, &request);
            own.send(request.with_content(payload.finish())).then_some(())
        });
        if asked.is_some() {
            return;
        }
        next = router.capabilities().next(&capabilities, &session);
    }
}

fn waits_for(own: &Session, capabilities: &Arc<Capabilities>) -> bool {
    own.capabilities.as_ref().is_some_and(|its| Arc::ptr_eq(its, capabilities))
}

/// A client has answered.
pub fn answered(router: &Router, Query { session, capabilities }: Query, answer: &Stanza) {
    let concerned = match Outcome::of(&capabilities.announced.name, answer) {
        Outcome::Shared(interests) => {
            // Two answers that prove the same hash say the same.
            let interests = capabilities.interests.get_or_init(|| interests);
            tracing::debug!(jid = %session.jid, nodes = interests.as_slice().len(), "what a client can do is known");
            let waiting = router.capabilities().table().settle(&capabilities);
            std::iter::once(session).chain(waiting).collect()
        }
        Outcome::Own(interests) => {
            let own_only = Capabilities::known(capabilities.announced.clone(), false, interests);
            session.home.with(|account| {
                if let Some(own) = account.session(session.id).filter(|own| waits_for(own, &capabilities)) {
                    own.capabilities = Some(own_only.clone());
                    adopt(own, &own_only);
                }
            });
            pass_on(router, &session, &capabilities);
            Vec::new()
        }
    };
    for session in concerned {
        session.home.with(|account| {
            if let Some(own) = account.session(session.id).filter(|own| waits_for(own, &capabilities)) {
                adopt(own, &capabilities);
            }
        });
    }
}

/// A client has not answered in time. It is asked again when its session says so again, or is resumed.
pub fn unanswered(router: &Router, Query { session, capabilities }: Query) {
    pass_on(router, &session, &capabilities);
}

/// A session is not available any more.
pub fn left(router: &Router, session: &SessionRef) {
    let before = session.home.with(|account| account.session(session.id).and_then(|own| own.capabilities.take()));
    if let Some(before) = before {
        gone(router, session, &before);
    }
}

/// A session is over, or not available any more, which had named this.
pub fn gone(router: &Router, session: &SessionRef, capabilities: &Arc<Capabilities>) {
    if !capabilities.is_known() {
        router.capabilities().table().leave(capabilities, session.id);
        pass_on(router, session, capabilities);
    }
}

/// Asks the next client, if this one was asked.
fn pass_on(router: &Router, asked: &SessionRef, capabilities: &Arc<Capabilities>) {
    if let Some(next) = router.capabilities().next(capabilities, asked) {
        ask(router, &next, capabilities.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Bindings;

    /// A name of its own for each number; the tables of sessions that wait are tested with the router.
    fn announced(number: usize) -> Announced {
        let presence = format!("<presence><c xmlns='http://jabber.org/protocol/caps' node='n' ver='{number}'/></presence>");
        Announced::of(&Stanza::parse(presence.into(), &Bindings::client()).unwrap(), SessionId::next()).unwrap()
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut table = Table::default();
        let names: Vec<_> = (0..KNOWN_MAX).map(announced).collect();
        for name in &names {
            table.remember(name.clone(), Interests::default());
        }
        assert_eq!(table.slots.len(), KNOWN_MAX);
        table.slots.get_mut(&names[0].name).unwrap().used = u64::MAX;
        table.remember(announced(KNOWN_MAX), Interests::default());
        assert_eq!(table.slots.len(), KNOWN_MAX * 3 / 4);
        assert!(table.slots.contains_key(&names[0].name) && !table.slots.contains_key(&names[1].name));
    }
}
