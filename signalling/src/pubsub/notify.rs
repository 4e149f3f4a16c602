//! From a notification to messages: who hears of it, in which form, and the task that brings it out.

use std::sync::Arc;
use std::time::SystemTime;

use super::access;
use super::change::Change;
use super::config::SendLast;
use super::event::{Audience, Condition, EventKind, Notification, Topic, Variant};
use super::facts::Owners;
use super::graph;
use super::homes::{Group, Held, NodeHome};
use super::interest::Implicit;
use super::model::{Node, ServiceKind};
use super::options::ShowValue;
use super::outbox::Delivery;
use super::service::{PubSub, Service};
use crate::addressees::Addressees;
use crate::homes::Home;
use crate::jid::Jid;
use crate::ns;
use crate::outbox::Behind;
use crate::random;
use crate::session::Session;
use crate::store::{ItemsQuery, StoreError};

/// Recipients whose presence is looked at before the first of them are told.
const PRESENCE_SLICE: usize = 512;

impl PubSub {
    /// Memory takes over what was stored of one node, whose turn the caller holds. Gives the messages that tell of it.
    pub(super) async fn take_over(
        &self,
        held: &Held,
        changes: &[Change],
        mut notifications: Vec<Notification>,
        evicted: &[String],
        now: SystemTime,
    ) -> Vec<Delivery> {
        let home = &held.home;
        if changes.iter().any(|change| matches!(change, Change::Delete { .. })) {
            // Those who are told are its subscribers, who are gone with it.
            let told = self.resolve(home, notifications, now).await;
            home.apply(changes);
            self.nodes.note_volatile(home);
            return told;
        }
        // Held, it would be copied by the change.
        let may_open = changes.iter().any(|change| matches!(change, Change::Configure(_) | Change::Affiliate(..)));
        let before = home.node().filter(|node| may_open && node.service == ServiceKind::Pep);
        if home.apply(changes) {
            let last = self.store.items(&home.address, &ItemsQuery::Newest(1), now, 1, usize::MAX).await;
            home.set_last_item(last.map(|page| page.and_then(|mut page| page.items.pop())).unwrap_or_else(|error| {
                tracing::error!(%error, "cannot look for the last item of a node");
                None
            }));
        }
        if !changes.is_empty() {
            self.nodes.note_volatile(home);
        }
        if !evicted.is_empty() {
            notifications.extend(home.node().and_then(|node| node.evicted(evicted)));
        }
        let mut told = self.resolve(home, notifications, now).await;
        if may_open {
            told.extend(self.opened(home, before, now).await);
        }
        told
    }

    /// §12.2, case 5: those to whom the node of an account has opened get its last item.
    async fn opened(&self, home: &Arc<NodeHome>, before: Option<Arc<Node>>, now: SystemTime) -> Vec<Delivery> {
        let of = Service::of(&home.address);
        let (Some(before), Some(node), ServiceKind::Pep) = (before, home.node(), of.kind) else { return Vec::new() };
        let event = node.last_item_event(now).filter(|_| node.config.send_last_published_item != SendLast::Never);
        let (Some(event), Ok(Some(account))) = (event, self.router.home(&of.jid).await) else { return Vec::new() };
        let Implicit { contacts, visitors, .. } = Implicit::gained(&self.router, &account, &before, &node);
        let event = Arc::new(event);
        let delivery = |to: Vec<Jid>, replyto| {
            let group = Group { variant: Variant { replyto, ..Variant::default() }, condition: Condition::default(), to: to.into() };
            (!group.to.is_empty()).then(|| Delivery::new(&event, random::id(), group))
        };
        delivery(contacts, true).into_iter().chain(delivery(visitors, false)).collect()
    }

    /// Each notification as messages: one for each variant of what its recipients see.
    async fn resolve(&self, home: &Arc<NodeHome>, notifications: Vec<Notification>, now: SystemTime) -> Vec<Delivery> {
        let mut told = Vec::new();
        if notifications.is_empty() {
            return told;
        }
        let Some(node) = home.node() else { return told };
        for notification in notifications {
            let groups = match self.audience(home, &node, &notification, now).await {
                Ok(groups) => groups,
                Err(error) => {
                    tracing::error!(service = %home.address.service, node = home.address.node, %error, "subscribers cannot be told");
                    continue;
                }
            };
            let id = random::id();
            let event = Arc::new(notification.event);
            let before = told.len();
            told.extend(groups.into_iter().filter(|group| !group.to.is_empty()).map(|group| Delivery::new(&event, id.clone(), group)));
            if told.len() > before {
                self.tracked.note(id, &home.address);
            }
        }
        told
    }

    async fn audience(
        &self,
        home: &Arc<NodeHome>,
        node: &Arc<Node>,
        notification: &Notification,
        now: SystemTime,
    ) -> Result<Vec<Group>, StoreError> {
        let of = Service::of(&home.address);
        let topic = notification.event.topic();
        let owners = self.owners(&of, Some(node)).await?;
        let mut groups = Vec::new();
        match &notification.audience {
            Audience::These(these) => {
                let group = Group::from(these.clone()).only(|jid| !blocks(&owners, jid));
                let is_item = matches!(notification.event.kind, EventKind::Last { .. });
                return Ok(match owners.account().filter(|_| is_item) {
                    Some(account) => self.at_their_resources(account, node, group),
                    None => vec![group],
                });
            }
            Audience::Subscribers => {
                let explicit = home.recipients(topic);
                groups = self.explicit(&of, node, &owners, explicit);
            }
            Audience::Collections => {}
        }
        groups.extend(self.above(&of, node, &owners, topic, now).await?);
        Ok(groups)
    }

    /// Subscribers, and at an account whoever takes an interest (XEP-0163 §4).
    fn explicit(&self, of: &Service, node: &Node, owners: &Owners<'_>, subscribers: Arc<[Group]>) -> Vec<Group> {
        let rests_on_owners = access::depends_on_relation(node);
        let account = owners.account().filter(|_| of.kind == ServiceKind::Pep);
        let implicit = account.map(|account| Implicit::of(&self.router, account, node));
        let mut groups = Vec::new();
        for group in subscribers.iter() {
            if account.is_none() && !rests_on_owners {
                groups.push(group.clone());
                continue;
            }
            let may = |jid: &Jid| {
                let covered = implicit.as_ref().is_some_and(|implicit| implicit.covers(jid));
                let sees = || !rests_on_owners || access::may_receive(node, &jid.to_bare(), &owners.relation(jid));
                !covered && !blocks(owners, jid) && sees()
            };
            groups.push(group.only(may));
        }
        if let Some(implicit) = implicit {
            let group = |to: Vec<Jid>, replyto| Group {
                variant: Variant { replyto, ..Variant::default() },
                condition: Condition::default(),
                to: to.into(),
            };
            groups.push(group(implicit.contacts, true));
            groups.push(group(implicit.visitors, false));
        }
        groups
    }

    /// XEP-0163 §4.3.1: those of whose presence the account knows are told at the resources that take an interest.
    fn at_their_resources(&self, account: &Home, node: &Node, group: Group) -> Vec<Group> {
        let implicit = Implicit::of(&self.router, account, node);
        let there = |jid: &Jid| jid.is_bare() && implicit.covers(jid);
        let is_meant = |resource: &&Jid| group.to.iter().any(|jid| there(jid) && jid.as_str() == resource.bare_str());
        let told = |resources: &[Jid], replyto| Group {
            variant: Variant { replyto, ..group.variant.clone() },
            condition: Condition::default(),
            to: resources.iter().filter(is_meant).cloned().collect(),
        };
        vec![group.only(|jid| !there(jid)), told(&implicit.contacts, true), told(&implicit.visitors, false)]
    }

    /// Subscribers of the collections above a node (XEP-0248 §5.3). What they may see is for the collection to say (§10.1); at the root node, which is
    /// nobody's and above all, for the node itself.
    async fn above(&self, of: &Service, node: &Node, owners: &Owners<'_>, topic: Topic, now: SystemTime) -> Result<Vec<Group>, StoreError> {
        if of.kind == ServiceKind::Pep && node.config.collection.is_empty() {
            return Ok(Vec::new());
        }
        let parents = self.parents(of, vec![node.address.node.clone()], now).await?;
        let mut groups = Vec::new();
        for (name, steps) in graph::above(&node.address.node, &parents) {
            let home = self.nodes.get(&of.node(&name), &self.store, now).await?;
            let Some(collection) = home.node() else { continue };
            let told = home.recipients_of_below(node, steps, topic);
            if name == graph::ROOT {
                let may = |jid: &Jid| access::may_retrieve(node, jid, &owners.relation(jid)).is_ok();
                groups.extend(told.iter().map(|group| group.only(may)));
            } else if access::depends_on_relation(&collection) || of.kind == ServiceKind::Pep {
                let owners = self.owners(of, Some(&collection)).await?;
                let may = |jid: &Jid| !blocks(&owners, jid) && access::may_receive(&collection, &jid.to_bare(), &owners.relation(jid));
                groups.extend(told.iter().map(|group| group.only(may)));
            } else {
                groups.extend(told.iter().cloned());
            }
        }
        Ok(groups)
    }

    /// Messages join the node's outbox, whose turn the caller holds.
    pub(super) fn send(self: &Arc<Self>, home: &Arc<NodeHome>, told: Vec<Delivery>) {
        for delivery in told {
            if home.outbox.push(delivery) {
                self.empty(home.clone());
            }
        }
    }

    fn empty(self: &Arc<Self>, home: Arc<NodeHome>) {
        let (pubsub, under_way) = (self.clone(), self.tasks.begin());
        // Without a runtime nobody is there to be told.
        self.router.spawn(async move {
            home.outbox.empty(|delivery, behind| pubsub.deliver(delivery, behind)).await;
            drop(under_way);
        });
    }

    async fn deliver(&self, delivery: Delivery, behind: Behind) {
        // One message for all who see the same, made when its turn has come: what waits is the event.
        let Delivery { event, id, group: Group { variant, condition, to } } = delivery;
        let stanza = event.template(&variant).with_id(id);
        if condition.is_always_met() {
            self.metrics.notifications.inc_by(to.len() as u64);
            return self.router.broadcast(&stanza, &to, behind).await;
        }
        for slice in to.chunks(PRESENCE_SLICE) {
            let told: Addressees = slice.iter().filter(|jid| condition.is_met(&self.shows(jid))).cloned().collect();
            self.metrics.notifications.inc_by(told.len() as u64);
            self.router.broadcast(&stanza, &told, behind).await;
            tokio::task::yield_now().await;
        }
    }

    /// The presence of an address: that of each available resource.
    fn shows(&self, jid: &Jid) -> Vec<ShowValue> {
        let Some(home) = self.router.home_in_memory(&jid.to_bare()) else { return Vec::new() };
        let is_meant = |session: &&Session| jid.is_bare() || *session.jid == *jid;
        home.with(|account| account.available().filter(is_meant).map(show).collect())
    }
}

/// XEP-0163 §4.3.3: an account's owner does not tell whom it has blocked.
fn blocks(owners: &Owners<'_>, jid: &Jid) -> bool {
    owners.account().is_some_and(|account| account.with(|account| account.blocks(jid)))
}

/// RFC 6121 §4.7.2.1.
fn show(session: &Session) -> ShowValue {
    let show = session.presence.as_ref().and_then(|presence| presence.child(ns::CLIENT, "show")).map(|child| child.text().into_owned());
    show.and_then(|show| ShowValue::parse(show.trim())).unwrap_or(ShowValue::Online)
}
