//! The homes of nodes: each address has one, which alone holds the node in memory (docs/adr/0009).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::OwnedMutexGuard;

use super::change::Change;
use super::event::{Condition, Recipients, Topic, Variant};
use super::model::{Item, NODE_BYTES_MAX, Node, NodeAddress, ServiceKind};
use super::node::Applied;
use super::outbox::{self, Delivery};
use super::{graph, model};
use crate::addressees::Addressees;
use crate::jid::{BareJid, Jid};
use crate::outbox::Outbox;
use crate::shelf::{Found, Holds, Place as Home, Shelf};
use crate::store::{PubSubStore, StoreError};

/// One address: the node there, if there is one, and the turn-taking of those who change it.
#[derive(Debug)]
pub struct NodeHome {
    /// The address.
    pub address: NodeAddress,
    state: Mutex<State>,
    turn: Arc<tokio::sync::Mutex<()>>,
    loading: tokio::sync::Mutex<()>,
    /// Notifications on their way.
    pub(super) outbox: Outbox<Delivery>,
}

#[derive(Debug, Default)]
struct State {
    node: Place,
    /// Subscribers by what they see. They are worked out once, until a subscription changes.
    recipients: HashMap<Seen, Arc<[Group]>>,
    /// How many notifications came back from whom (§12.4).
    bounces: HashMap<Jid, Bounces>,
}

/// What is at an address.
#[derive(Debug, Default)]
enum Place {
    /// The database knows.
    #[default]
    Unknown,
    Nothing,
    Node(Arc<Node>),
}

/// Which events: of the node itself, or of a node so many steps below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Seen {
    topic: Topic,
    /// Of a node below: how far, and whether it tells only those who are there.
    below: Option<(u64, bool)>,
}

/// Subscribers who see the same under the same condition.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub variant: Variant,
    pub condition: Condition,
    pub to: Addressees,
}

impl Group {
    /// Those of them for whom this holds.
    pub fn only(&self, holds: impl Fn(&Jid) -> bool) -> Self {
        if self.to.iter().all(&holds) {
            return self.clone();
        }
        Self { to: self.to.iter().filter(|jid| holds(jid)).cloned().collect(), ..self.clone() }
    }
}

impl From<Recipients> for Group {
    fn from(of: Recipients) -> Self {
        Self { variant: of.variant, condition: of.condition, to: of.to.into() }
    }
}

/// Lists of recipients of one node: collections may be high.
const RECIPIENTS_KEPT: usize = 16;
/// Many subscribers of one node may come and go: what bounced is forgotten then, rather than growing.
const BOUNCES_KEPT: usize = 1_000;
/// One outage is not many: of what comes back from one JID, one notification counts in this time.
const BOUNCES_APART: Duration = Duration::from_secs(3_600);
/// Who was quiet for so long is well again; that notifications arrive is not told.
const BOUNCES_FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);

/// What came back from one JID.
#[derive(Debug, Clone, Copy)]
struct Bounces {
    count: u32,
    /// When the last one was counted.
    counted_at: SystemTime,
    last_at: SystemTime,
}

impl NodeHome {
    fn new(address: NodeAddress) -> Self {
        Self {
            address,
            state: Mutex::default(),
            turn: Arc::default(),
            loading: tokio::sync::Mutex::default(),
            outbox: Outbox::new(outbox::BOUNDS),
        }
    }

    /// A home where no node can ever be.
    fn of_nothing(address: NodeAddress) -> Self {
        Self { state: Mutex::new(State { node: Place::Nothing, ..State::default() }), ..Self::new(address) }
    }

    /// The node as it is now, if it is known to be there.
    pub fn node(&self) -> Option<Arc<Node>> {
        match &self.locked().node {
            Place::Node(node) => Some(node.clone()),
            Place::Unknown | Place::Nothing => None,
        }
    }

    /// Makes sure that it is known what is here.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, store: &PubSubStore, now: SystemTime) -> Result<(), StoreError> {
        if self.is_known() {
            return Ok(());
        }
        let _loading = self.loading.lock().await;
        if !self.is_known() {
            let found = store.load(&self.address, now).await?;
            let mut state = self.locked();
            state.node = found.map_or(Place::Nothing, |node| Place::Node(Arc::new(node)));
            state.recipients.clear();
        }
        Ok(())
    }

    pub(super) fn is_known(&self) -> bool {
        !matches!(self.locked().node, Place::Unknown)
    }

    /// The same when somebody may just be reading what was true a moment ago.
    pub(super) async fn forget_loading(&self) {
        let _loading = self.loading.lock().await;
        self.forget();
    }

    /// What was known is not true any more: the database is asked again. The caller holds the turn.
    pub(super) fn forget(&self) {
        let mut state = self.locked();
        *state = State::default();
    }

    /// Takes over changes that were stored. The caller holds the turn. Whether the last item is gone and the one before it is for the store to say.
    pub(super) fn apply(&self, changes: &[Change]) -> bool {
        let mut state = self.locked();
        let mut applied = Applied::default();
        for change in changes {
            let step = match (change, &mut state.node) {
                (Change::Create(node), place) => {
                    *place = Place::Node(Arc::new(Node::clone(node)));
                    Applied { recipients_changed: true, last_item_unknown: false }
                }
                (Change::Delete { .. }, place) => {
                    *place = Place::Nothing;
                    Applied { recipients_changed: true, last_item_unknown: false }
                }
                (change, Place::Node(node)) => Arc::make_mut(node).apply(change),
                (_, Place::Unknown | Place::Nothing) => Applied::default(),
            };
            applied.recipients_changed |= step.recipients_changed;
            // What is published later is the last item whatever was there.
            applied.last_item_unknown = match change {
                Change::Publish { .. } | Change::Purge => step.last_item_unknown,
                _ => applied.last_item_unknown || step.last_item_unknown,
            };
        }
        if applied.recipients_changed {
            state.recipients.clear();
        }
        applied.last_item_unknown
    }

    /// What the store has said about the last item. The caller holds the turn.
    pub(super) fn set_last_item(&self, item: Option<Item>) {
        if let Place::Node(node) = &mut self.locked().node {
            Arc::make_mut(node).last_item = item;
        }
    }

    /// Who hears of an event of this node.
    pub(super) fn recipients(&self, topic: Topic) -> Arc<[Group]> {
        self.seen(Seen { topic, below: None }, |node| node.recipients(topic))
    }

    /// Who hears by this collection of an event of a node so many steps below it.
    pub(super) fn recipients_of_below(&self, origin: &Node, steps: u64, topic: Topic) -> Arc<[Group]> {
        let seen = Seen { topic, below: Some((steps, origin.config.presence_based_delivery)) };
        self.seen(seen, |node| graph::recipients(node, origin, steps, topic))
    }

    fn seen(&self, seen: Seen, find: impl FnOnce(&Node) -> Vec<Recipients>) -> Arc<[Group]> {
        let mut state = self.locked();
        if let Some(known) = state.recipients.get(&seen) {
            return known.clone();
        }
        let Place::Node(node) = &state.node else { return Arc::default() };
        let groups: Arc<[Group]> = find(node).into_iter().map(Group::from).collect();
        if state.recipients.len() >= RECIPIENTS_KEPT {
            state.recipients.clear();
        }
        state.recipients.insert(seen, groups.clone());
        groups
    }

    fn forget_collection(&self, name: &str) {
        if let Place::Node(node) = &mut self.locked().node
            && node.config.collection.iter().any(|collection| collection == name)
        {
            Arc::make_mut(node).forget_collection(name);
        }
    }

    /// Counts a notification that came back; in how many hours that has happened, without a day of quiet in between.
    pub(super) fn count_bounce(&self, from: &Jid, now: SystemTime) -> u32 {
        let mut state = self.locked();
        if state.bounces.len() >= BOUNCES_KEPT && !state.bounces.contains_key(from) {
            state.bounces.clear();
        }
        let new = Bounces { count: 1, counted_at: now, last_at: now };
        let bounces = state.bounces.entry(from.clone()).or_insert(new);
        let since = |then: SystemTime| now.duration_since(then).unwrap_or_default();
        if since(bounces.last_at) >= BOUNCES_FORGOTTEN {
            *bounces = new;
        } else if since(bounces.counted_at) >= BOUNCES_APART {
            bounces.count += 1;
            bounces.counted_at = now;
        }
        bounces.last_at = now;
        bounces.count
    }

    /// Whether the last item would be lost with the memory of it (§4.3).
    fn is_volatile(&self) -> bool {
        self.node().is_some_and(|node| is_volatile(&node))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A panic ends one request: the node goes on with what the call left, which is a plain value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_volatile(node: &Node) -> bool {
    !node.config.persist_items && node.last_item.is_some()
}

/// A home and the turn to change it.
#[derive(Debug)]
pub(super) struct Held {
    pub home: Arc<NodeHome>,
    _turn: OwnedMutexGuard<()>,
}

impl Home for NodeHome {
    fn holds(&self) -> Holds {
        if self.node().is_some() { Holds::Something } else { Holds::Nothing }
    }
}

/// All homes of nodes.
pub struct NodeHomes {
    homes: Shelf<NodeAddress, NodeHome>,
    /// Nodes of accounts that have a last item in memory only: those of one account are asked for together.
    volatile: Mutex<HashMap<BareJid, HashSet<String>>>,
}

impl NodeHomes {
    /// No homes yet; about so many nodes are kept in memory.
    pub(super) fn new(nodes_cached: usize) -> Self {
        Self { homes: Shelf::new(nodes_cached), volatile: Mutex::default() }
    }

    /// The home of an address, and the turn there. What is there is known.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn hold(&self, address: &NodeAddress, store: &PubSubStore, now: SystemTime) -> Result<Held, StoreError> {
        let home = self.entry(address);
        let turn = home.turn.clone().lock_owned().await;
        home.load(store, now).await?;
        Ok(Held { home, _turn: turn })
    }

    /// The home of an address. What is there is known.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn get(&self, address: &NodeAddress, store: &PubSubStore, now: SystemTime) -> Result<Arc<NodeHome>, StoreError> {
        let home = self.entry(address);
        home.load(store, now).await?;
        Ok(home)
    }

    /// The node at an address, if it is in memory.
    pub(super) fn peek(&self, address: &NodeAddress) -> Option<Arc<Node>> {
        self.homes.peek(address)?.node()
    }

    /// The same, and whether it is known that there is none.
    pub(super) fn known(&self, address: &NodeAddress) -> Option<Option<Arc<Node>>> {
        let home = self.homes.peek(address)?;
        home.is_known().then(|| home.node())
    }

    /// The home of an address, if it is in memory.
    pub(super) fn in_memory_at(&self, address: &NodeAddress) -> Option<Arc<NodeHome>> {
        self.homes.peek(address)
    }

    /// All homes, as of now.
    pub(super) fn in_memory(&self) -> Vec<Arc<NodeHome>> {
        self.homes.in_memory()
    }

    /// How many nodes are in memory.
    pub(super) fn count(&self) -> usize {
        self.homes.count()
    }

    /// A collection is gone: its children have one less, as the store has it. The caller holds the turn of the service's structure.
    pub(super) fn forget_collection(&self, collection: &NodeAddress) {
        for home in self.in_memory().into_iter().filter(|home| home.address.service == collection.service) {
            home.forget_collection(&collection.node);
        }
    }

    /// The turn of a home that is known already.
    pub(super) async fn take_turn(&self, home: Arc<NodeHome>) -> Held {
        let turn = home.turn.clone().lock_owned().await;
        Held { home, _turn: turn }
    }

    /// Notes whether the node's last item is in memory only, after a change.
    pub(super) fn note_volatile(&self, home: &NodeHome) {
        let node = home.node();
        let is_account = node.as_ref().is_none_or(|node| node.service == ServiceKind::Pep);
        let is_volatile = is_account && node.is_some_and(|node| is_volatile(&node));
        self.set_volatile(&home.address, is_volatile);
    }

    fn set_volatile(&self, address: &NodeAddress, is_volatile: bool) {
        let mut all = self.volatile.lock().unwrap_or_else(PoisonError::into_inner);
        if is_volatile {
            all.entry(address.service.clone()).or_default().insert(address.node.clone());
        } else if let Some(nodes) = all.get_mut(&address.service) {
            nodes.remove(&address.node);
            if nodes.is_empty() {
                all.remove(&address.service);
            }
        }
    }

    /// Nodes of an account whose last item is in memory only.
    pub(super) fn volatile_of(&self, account: &BareJid) -> Vec<Arc<Node>> {
        let names: Vec<_> = {
            let all = self.volatile.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(account).into_iter().flatten().cloned().collect()
        };
        let address = |node| model::NodeAddress { service: account.clone(), node };
        names.into_iter().filter_map(|node| self.peek(&address(node))).filter(|node| is_volatile(node)).collect()
    }

    fn entry(&self, address: &NodeAddress) -> Arc<NodeHome> {
        if address.node.len() > NODE_BYTES_MAX {
            // Nobody can create it, so that nobody has to find the same home.
            return Arc::new(NodeHome::of_nothing(address.clone()));
        }
        let Found { home, gone } = self.homes.entry(address, || NodeHome::new(address.clone()));
        for home in gone.into_iter().filter(|home| home.is_volatile()) {
            self.set_volatile(&home.address, false);
        }
        home
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(node: usize) -> NodeAddress {
        NodeAddress { service: BareJid::parse("pubsub.localhost").unwrap(), node: node.to_string() }
    }

    #[test]
    fn s4_6_what_is_too_long_to_be_a_nodeid_is_not_kept() {
        let homes = NodeHomes::new(64);
        let home = |bytes| homes.entry(&NodeAddress { node: "n".repeat(bytes), ..address(0) });
        assert!(home(NODE_BYTES_MAX + 1).is_known(), "the database is not asked");
        assert_eq!(homes.count(), 0);
        assert!(!home(NODE_BYTES_MAX).is_known());
        assert_eq!(homes.count(), 1);
    }

    #[test]
    fn s12_4_what_bounces_is_counted_by_the_hour_for_each_and_does_not_grow() {
        let home = NodeHome::new(address(0));
        let jid = |text: &str| Jid::parse(text).unwrap();
        let at = |minutes: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(60 * minutes);
        for (minutes, from, expected) in [
            (0, "a@b", 1),
            (1, "a@b", 1),
            (2, "c@d", 1),
            (59, "a@b", 1),
            (60, "a@b", 2),
            (61, "a@b", 2),
            (121, "a@b", 3),
            (121 + 24 * 60, "a@b", 1),
        ] {
            assert_eq!(home.count_bounce(&jid(from), at(minutes)), expected, "{minutes} {from}");
        }
        for number in 0..2 * BOUNCES_KEPT {
            home.count_bounce(&jid(&format!("{number}@b")), at(0));
        }
        assert!(home.locked().bounces.len() <= BOUNCES_KEPT);
    }
}
