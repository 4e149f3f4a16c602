//! What has to be known before a request can be decided: of the node's owners, of its items, of other nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::access;
use super::config::CHILDREN_MAX;
use super::context::{Facts, Relation, Wants};
use super::homes::Held;
use super::model::{Node, NodeAddress, ServiceKind};
use super::service::{PubSub, Service};
use crate::homes::Home;
use crate::hosts::Hosts;
use crate::jid::{BareJid, Jid};
use crate::store::StoreError;

/// Owners of one node whose rosters are looked at.
const OWNERS_MAX: usize = 16;
/// Collections above all nodes together that a request names. Of what is above others nothing is known, so that nothing new is put above them.
const ANCESTORS_MAX: usize = 1_000;

/// The accounts that own a node, as far as they are here; at an account, that account.
#[derive(Debug)]
pub(super) struct Owners<'a> {
    homes: Vec<Arc<Home>>,
    /// At hosts: who administers them.
    administers: Option<&'a Hosts>,
}

impl Owners<'_> {
    /// At an account: whether it exists.
    pub fn are_somebody(&self) -> bool {
        !self.homes.is_empty()
    }

    /// The home of the account whose nodes these are.
    pub fn account(&self) -> Option<&Arc<Home>> {
        self.homes.first().filter(|_| self.administers.is_none())
    }

    /// What an entity is to them.
    pub fn relation(&self, to: &Jid) -> Relation {
        let mut relation = Relation { administers: self.administers.is_some_and(|hosts| hosts.is_admin(to)), ..Relation::default() };
        for home in &self.homes {
            home.with(|account| {
                let is_own = account.jid.as_str() == to.bare_str();
                // XEP-0191 §5: to whom it blocks an account seems to be away.
                if is_own || account.shows_presence_to(to) && !account.blocks(to) {
                    relation.sees_presence = true;
                    let item = account.roster.get(&to.to_bare());
                    relation.groups.extend(item.into_iter().flat_map(|item| &item.groups).cloned());
                }
            });
        }
        relation
    }
}

/// What was looked up for one request. As long as it lives, other nodes that may change stand still.
pub(super) struct Gathered {
    pub others: BTreeMap<String, Held>,
    nodes: BTreeMap<String, Arc<Node>>,
    publishers: BTreeMap<String, Jid>,
    count: u64,
    owned: u64,
    subscriptions: BTreeMap<BareJid, u64>,
    relations: BTreeMap<BareJid, Relation>,
    children: BTreeMap<String, Vec<String>>,
    parents: BTreeMap<String, Vec<String>>,
}

impl Gathered {
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            publishers: self.publishers.clone(),
            count: self.count,
            owned: self.owned,
            subscriptions: self.subscriptions.clone(),
            relations: self.relations.clone(),
            nodes: self.nodes.iter().map(|(name, node)| (name.clone(), &**node)).collect(),
            children: self.children.clone(),
            parents: self.parents.clone(),
        }
    }
}

impl PubSub {
    /// Those who own a node, as far as access to it depends on them.
    pub(super) async fn owners(&self, of: &Service, node: Option<&Node>) -> Result<Owners<'_>, StoreError> {
        self.all_owners(of, node.filter(|node| access::depends_on_relation(node))).await
    }

    /// The same, whatever access depends on now.
    pub(super) async fn all_owners(&self, of: &Service, node: Option<&Node>) -> Result<Owners<'_>, StoreError> {
        if of.kind == ServiceKind::Pep {
            let home = self.router.home(&of.jid).await?;
            return Ok(Owners { homes: home.into_iter().collect(), administers: None });
        }
        let mut homes = Vec::new();
        if let Some(node) = node {
            for owner in node.owners().filter(|owner| owner.local().is_some() && self.router.is_local(owner.domain())).take(OWNERS_MAX) {
                homes.extend(self.router.home(owner).await?);
            }
        }
        Ok(Owners { homes, administers: Some(&self.settings.hosts) })
    }

    /// Looks up what a request wants to know. The caller holds the node's turn, and that of the service's structure if other nodes matter.
    pub(super) async fn gather(
        &self,
        of: &Service,
        node: &NodeAddress,
        requester: &BareJid,
        wants: Wants,
        owners: &Owners<'_>,
        now: SystemTime,
    ) -> Result<Gathered, StoreError> {
        let store = &self.store;
        let mut gathered = Gathered {
            others: BTreeMap::new(),
            nodes: BTreeMap::new(),
            publishers: BTreeMap::new(),
            count: if wants.count { store.item_count(node, now).await? as u64 } else { 0 },
            owned: match (wants.owned, of.kind) {
                (false, _) => 0,
                (true, ServiceKind::Host) => store.owned(&of.jid, requester).await? as u64,
                (true, ServiceKind::Pep) => store.node_count(&of.jid).await? as u64,
            },
            subscriptions: BTreeMap::new(),
            relations: wants.relations_of.iter().map(|jid| (jid.clone(), owners.relation(jid))).collect(),
            children: BTreeMap::new(),
            parents: BTreeMap::new(),
        };
        for account in wants.subscriptions_of {
            let has = store.subscription_count(&account).await? as u64;
            gathered.subscriptions.insert(account, has);
        }
        if !wants.publishers_of.is_empty() {
            let found = store.item_facts(node, &wants.publishers_of, now).await?;
            gathered.publishers = found.into_iter().map(|fact| (fact.id, fact.publisher)).collect();
        }
        let address = |name: &str| NodeAddress { service: of.jid.clone(), node: name.to_owned() };
        let own = if wants.own_children { store.child_names(node, CHILDREN_MAX).await? } else { Vec::new() };
        for name in wants.nodes.into_iter().chain(own).filter(|name| *name != node.node) {
            if gathered.others.contains_key(&name) {
                continue;
            }
            let held = self.nodes.hold(&address(&name), store, now).await?;
            if let Some(found) = held.home.node() {
                gathered.nodes.insert(name.clone(), found);
                gathered.others.insert(name, held);
            }
        }
        for name in wants.children_of {
            let children = store.child_names(&address(&name), CHILDREN_MAX).await?;
            gathered.children.insert(name, children);
        }
        gathered.parents = self.parents(of, wants.ancestors_of, now).await?;
        Ok(gathered)
    }

    /// The collections of these nodes, of those collections, and so on up.
    pub(super) async fn parents(
        &self,
        of: &Service,
        mut names: Vec<String>,
        now: SystemTime,
    ) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
        let mut parents = BTreeMap::new();
        while let Some(name) = names.pop() {
            if parents.contains_key(&name) || parents.len() == ANCESTORS_MAX {
                continue;
            }
            let address = NodeAddress { service: of.jid.clone(), node: name };
            let home = self.nodes.get(&address, &self.store, now).await?;
            let above = home.node().map(|node| node.config.collection.clone()).unwrap_or_default();
            names.extend(above.iter().cloned());
            parents.insert(address.node, above);
        }
        Ok(parents)
    }
}
