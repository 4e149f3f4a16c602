//! What becomes of nodes because something else happened: a session ended, a roster changed, a notification came back. Those who report it wait for
//! nothing; one task does what is to be done, in order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::access;
use super::change::Change;
use super::event::Audience;
use super::homes::Held;
use super::model::{Node, NodeAddress, Subscription};
use super::options::Expire;
use super::service::{PubSub, Service};
use super::step::{Step, retracted};
use crate::jid::{BareJid, FullJid, Jid};
use crate::session::Session;
use crate::stanza::Stanza;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::store::{ItemsQuery, StoreError};
use crate::tasks::UnderWay;
use crate::time::now;

/// What may wait; beyond it the news is lost, and a subscription ends later than it should.
const WAITING_MAX: usize = 65_536;
/// Hours in which notifications come back before a subscription ends, where the error does not say that it is of no use (§12.4).
const BOUNCES_MAX: u32 = 16;
/// Publishers whose items go with their presence (`pubsub#purge_offline`), and nodes of each.
const PUBLISHERS_MAX: usize = 10_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Errand {
    /// §12.4: a notification came back; it may have been the last one.
    Bounced { address: NodeAddress, from: Jid, for_good: bool },
    /// A resource is not available any more; `last` if no other one of its account is.
    Left { resource: FullJid, last: bool },
    /// §12.14: what a contact may see of an account is another thing now.
    Contact { owner: BareJid, contact: BareJid },
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Errands {
    queue: Mutex<Queue>,
    /// Resources that have published to nodes whose items go with them.
    publishers: Mutex<HashMap<Jid, BTreeSet<NodeAddress>>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Errand>,
    /// The same, so that nothing waits twice.
    known: HashSet<Errand>,
    running: bool,
}

impl Errands {
    /// Whether a task has to be started.
    fn push(&self, errand: Errand) -> bool {
        let mut queue = self.locked();
        if queue.known.contains(&errand) {
            return false;
        }
        // Access that is lost is worth more than what comes and goes: there is room for it yet.
        let max = if matches!(errand, Errand::Contact { .. }) { 2 * WAITING_MAX } else { WAITING_MAX };
        if queue.waiting.len() >= max {
            tracing::warn!(?errand, "too much has happened to nodes at once: this is not followed");
            return false;
        }
        queue.known.insert(errand.clone());
        queue.waiting.push_back(errand);
        !std::mem::replace(&mut queue.running, true)
    }

    fn pop(&self) -> Option<Errand> {
        let mut queue = self.locked();
        let next = queue.waiting.pop_front();
        if let Some(errand) = &next {
            queue.known.remove(errand);
        }
        queue.running = next.is_some();
        next
    }

    fn locked(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that does it. Dropped before its end, it lets the next one begin.
struct Doing {
    pubsub: Arc<PubSub>,
    ended: bool,
    _under_way: UnderWay,
}

impl Doing {
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        if !self.ended {
            self.pubsub.errands.locked().running = false;
        }
    }
}

impl PubSub {
    /// §12.4: a message of type `error`, to a host or an account, which may be a notification that came back.
    pub fn bounced(self: &Arc<Self>, stanza: &Stanza) {
        let (Some(from), Some(id), Some(to)) = (stanza.from(), stanza.id(), stanza.to()) else { return };
        let Some(address) = self.tracked.node_of(id).filter(|address| address.service == to.to_bare()) else { return };
        self.metrics.bounces.inc();
        self.report(Errand::Bounced {
            address,
            from: from.clone(),
            for_good: StanzaError::of(stanza).is_some_and(|error| is_for_good(&error)),
        });
    }

    /// A resource is not available any more; `last` if no other one of its account is.
    pub fn left(self: &Arc<Self>, resource: FullJid, last: bool) {
        self.report(Errand::Left { resource, last });
    }

    /// What a contact may see of an account may be less than before: its roster has changed.
    pub fn contact_changed(self: &Arc<Self>, owner: BareJid, contact: BareJid) {
        self.report(Errand::Contact { owner, contact });
    }

    /// Waits until all that has happened has been followed and everybody has been told, as far as it has happened.
    pub async fn settled(&self) {
        self.tasks.idle().await;
    }

    /// An account is gone from the database, with its nodes, affiliations and subscriptions: memory asks anew about all nodes that it had a part in.
    pub async fn forget(&self, account: &BareJid) {
        // Children of a collection that went with it have one less: it may not be in memory, they are.
        let has_part = |node: &Node| {
            let is_subscribed = || node.subscriptions_of(account).next().is_some();
            !node.config.collection.is_empty() || node.affiliations.contains_key(account) || is_subscribed()
        };
        for home in self.nodes.in_memory() {
            if home.address.service == *account || !home.is_known() || home.node().is_some_and(|node| has_part(&node)) {
                let held = self.nodes.take_turn(home).await;
                held.home.forget_loading().await;
                self.nodes.note_volatile(&held.home);
            }
        }
    }

    /// Memory asks the database anew about one node.
    pub(super) async fn ask_again(&self, address: &NodeAddress) {
        if let Some(home) = self.nodes.in_memory_at(address) {
            self.nodes.take_turn(home).await.home.forget_loading().await;
        }
    }

    fn report(self: &Arc<Self>, errand: Errand) {
        if !self.errands.push(errand) {
            return;
        }
        let doing = Doing { pubsub: self.clone(), ended: false, _under_way: self.tasks.begin() };
        // Without a runtime the server has ended.
        self.router.spawn(async move {
            while let Some(errand) = doing.pubsub.errands.pop() {
                if let Err(error) = doing.pubsub.follow_up(&errand).await {
                    tracing::error!(?errand, %error, "a node does not follow what has happened");
                }
            }
            doing.end();
        });
    }

    async fn follow_up(self: &Arc<Self>, errand: &Errand) -> Result<(), StoreError> {
        match errand {
            Errand::Bounced { address, from, for_good } => self.after_bounce(address, from, *for_good).await,
            Errand::Left { resource, last } => {
                self.end_temporary(resource, *last).await?;
                self.purge_of(resource).await
            }
            Errand::Contact { owner, contact } => self.end_without_access(owner, contact).await,
        }
    }

    /// The subscription by which a message went out that came back.
    async fn after_bounce(self: &Arc<Self>, address: &NodeAddress, from: &Jid, for_good: bool) -> Result<(), StoreError> {
        self.change(address, |home, node| {
            let is_it = |subscription: &&Subscription| subscription.jid == *from || subscription.jid.as_str() == from.bare_str();
            let ended: Vec<_> = node.subscriptions.values().filter(is_it).collect();
            if ended.is_empty() || !(for_good || home.count_bounce(from, now()) >= BOUNCES_MAX) {
                return Step::default();
            }
            // Nobody is there to be told; owners are (`pubsub#notify_sub`).
            ended.into_iter().map(|subscription| silently(node, subscription, from)).collect()
        })
        .await
    }

    /// §12.5: subscriptions that last as long as their subscriber is there.
    async fn end_temporary(self: &Arc<Self>, resource: &FullJid, last: bool) -> Result<(), StoreError> {
        let account = resource.to_bare();
        let mut by_node: BTreeMap<NodeAddress, Vec<(Jid, String)>> = BTreeMap::new();
        for (address, subscription) in self.store.subscriptions_everywhere(&account).await? {
            if subscription.jid == **resource || (last && subscription.jid.is_bare()) {
                by_node.entry(address).or_default().push((subscription.jid, subscription.subid));
            }
        }
        for (address, subscriptions) in by_node {
            self.change(&address, |_, node| {
                let of = subscriptions.iter().filter_map(|key| node.subscriptions.get(key));
                let ended = of.filter(|subscription| node.config.tempsub || subscription.options.expire == Expire::Presence);
                // Its subscriber is gone, and knows why.
                ended.map(|subscription| silently(node, subscription, resource)).collect()
            })
            .await?;
        }
        Ok(())
    }

    /// §12.14 and XEP-0163 §7.1: subscriptions of a contact who may not receive any more what it has subscribed to.
    async fn end_without_access(self: &Arc<Self>, owner: &BareJid, contact: &BareJid) -> Result<(), StoreError> {
        let mut nodes: BTreeSet<NodeAddress> = BTreeSet::new();
        for (address, _) in self.store.subscriptions_everywhere(contact).await? {
            if address.service == *owner || address.service.local().is_none() {
                nodes.insert(address);
            }
        }
        for address in nodes {
            let home = self.nodes.get(&address, &self.store, now()).await?;
            let Some(node) = home.node().filter(|node| node.affiliations.contains_key(owner)) else { continue };
            if !access::depends_on_relation(&node) {
                continue;
            }
            let owners = self.owners(&Service::of(&address), Some(&node)).await?;
            drop(node);
            self.change(&address, |_, node| {
                let lost = |subscription: &&Subscription| !access::may_receive(node, contact, &owners.relation(&subscription.jid));
                let ended = node.subscriptions_of(contact).filter(lost);
                ended.map(|subscription| Step::from(node.end_subscription(subscription))).collect()
            })
            .await?;
        }
        Ok(())
    }

    /// `pubsub#purge_offline`: notes who has published where.
    pub(super) fn note_publishers(&self, held: &Held, changes: &[Change]) {
        let published = changes.iter().filter_map(|change| if let Change::Publish { items, .. } = change { Some(items) } else { None });
        let by: BTreeSet<&Jid> = published.flatten().map(|item| &item.publisher).filter(|jid| !jid.is_bare()).collect();
        if by.is_empty() || !held.home.node().is_some_and(|node| node.config.purge_offline) {
            return;
        }
        let mut publishers = self.errands.publishers.lock().unwrap_or_else(PoisonError::into_inner);
        // Others will never be seen to leave.
        for publisher in by.into_iter().filter(|publisher| self.is_there(publisher)) {
            if publishers.len() < PUBLISHERS_MAX || publishers.contains_key(publisher) {
                let nodes = publishers.entry(publisher.clone()).or_default();
                if nodes.len() < PUBLISHERS_MAX {
                    nodes.insert(held.home.address.clone());
                }
            }
        }
    }

    fn is_there(&self, resource: &Jid) -> bool {
        let is_it = |session: &Session| *session.jid == *resource;
        self.router.home_in_memory(&resource.to_bare()).is_some_and(|home| home.with(|account| account.available().any(is_it)))
    }

    /// The items of a publisher who has left, where they go with its presence.
    async fn purge_of(self: &Arc<Self>, resource: &FullJid) -> Result<(), StoreError> {
        let nodes = self.errands.publishers.lock().unwrap_or_else(PoisonError::into_inner).remove(&**resource).unwrap_or_default();
        for address in nodes {
            let now = now();
            let all = self.settings.limits.items;
            let page = self.store.item_heads(&address, &ItemsQuery::Newest(all), now, all).await?.unwrap_or_default();
            let mut ids: Vec<_> = page.items.into_iter().filter(|item| item.publisher == **resource).map(|item| item.id).collect();
            self.change(&address, move |_, node| {
                if !node.config.purge_offline {
                    return Step::default();
                }
                // What is not stored is in memory.
                let last = node.last_item.as_ref().filter(|item| item.publisher == **resource && !ids.contains(&item.id));
                ids.extend(last.map(|item| item.id.clone()));
                retracted(node, ids)
            })
            .await?;
        }
        Ok(())
    }
}

/// The end of a subscription without a word to its subscriber, whom no message reaches.
fn silently(node: &Node, subscription: &Subscription, from: &Jid) -> Step {
    let (changes, mut notifications) = node.end_subscription(subscription);
    for notification in &mut notifications {
        if let Audience::These(to) = &mut notification.audience {
            to.to.retain(|jid| jid.bare_str() != from.bare_str());
        }
    }
    Step { changes, notifications }
}

/// §12.4: errors after which nothing will ever arrive. `service-unavailable` also comes from a client that has gone for a while.
fn is_for_good(error: &StanzaError) -> bool {
    let is_cancel = error.type_ == ErrorType::Cancel && error.condition != Condition::ServiceUnavailable;
    is_cancel || error.condition == Condition::Gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_4_which_errors_end_a_subscription_at_once() {
        for (error, expected) in [
            (StanzaError::item_not_found(), true),
            (StanzaError::gone(), true),
            (StanzaError::remote_server_not_found(), true),
            (StanzaError::service_unavailable(), false),
            (StanzaError::registration_required(), false),
            (StanzaError::remote_server_timeout(), false),
            (StanzaError::not_acceptable(), false),
        ] {
            assert_eq!(is_for_good(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn what_happens_too_often_is_not_kept() {
        let errands = Errands::default();
        let left = |number: usize| Errand::Left { resource: FullJid::parse(&format!("a@b/{number}")).unwrap(), last: true };
        assert!(errands.push(left(0)), "the first one starts the task");
        for number in 0..WAITING_MAX + 10 {
            assert!(!errands.push(left(number)));
        }
        assert_eq!(errands.locked().waiting.len(), WAITING_MAX);
        let bare = |text: &str| BareJid::parse(text).unwrap();
        assert!(!errands.push(Errand::Contact { owner: bare("a@b"), contact: bare("c@d") }));
        assert_eq!(errands.locked().waiting.len(), WAITING_MAX + 1, "access that is lost");
    }

    #[test]
    fn what_happens_again_before_it_was_followed_is_one_errand() {
        let errands = Errands::default();
        let errand = Errand::Left { resource: FullJid::parse("a@b/c").unwrap(), last: true };
        assert!(errands.push(errand.clone()) && !errands.push(errand.clone()));
        assert!(errands.pop().is_some_and(|next| next == errand) && errands.pop().is_none());
        assert!(errands.push(errand), "the task has ended");
    }
}
