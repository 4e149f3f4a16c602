//! The shell around nodes: it finds them, takes their turns, gathers what they need to decide, stores what they have decided, and sends.
//!
//! Order: the turn of the service's structure (for requests that touch several nodes), then turns of nodes. Changes are stored first, then memory takes
//! them over, then the requester is answered, then notifications join the node's outbox: all within the turn, so that everybody sees one order.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::change::Change;
use super::context::{self, Context, Relation, Standing};
use super::errands::Errands;
use super::expiry::Expiry;
use super::facts::{Gathered, Owners};
use super::homes::{Held, NodeHome, NodeHomes};
use super::host::Settings;
use super::local::Followers;
use super::metrics::Metrics;
use super::model::{Node, NodeAddress, NodeKind, ServiceKind};
use super::node::{self, Other, Outcome};
use super::outbox::Delivery;
use super::reply::Reply;
use super::request::{Action, Request};
use super::step::Step;
use super::tracked::Tracked;
use super::{error, pep};
use crate::hosts::Hosts;
use crate::iq::{Iq, To};
use crate::jid::{BareJid, Jid};
use crate::random;
use crate::router::Router;
use crate::stanza::Condition;
use crate::stanza::error::StanzaError;
use crate::store::{PubSubStore, StoreError};
use crate::tasks::Tasks;
use crate::time::now;

/// Services whose structure changes at once.
const STRUCTURES: usize = 64;

/// The nodes of all hosts and accounts.
pub struct PubSub {
    pub(super) router: Router,
    pub(super) store: PubSubStore,
    pub(super) settings: Settings,
    pub(super) nodes: NodeHomes,
    pub(super) errands: Errands,
    pub(super) expiry: Expiry,
    pub(super) followers: Followers,
    pub(super) tracked: Tracked,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
    pub(super) limits: context::Limits,
    structures: Box<[Arc<Mutex<()>>]>,
    hasher: RandomState,
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Which service is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub jid: BareJid,
    pub kind: ServiceKind,
}

impl Service {
    /// The one that has this node.
    pub fn of(address: &NodeAddress) -> Self {
        Self { jid: address.service.clone(), kind: Self::kind_of(&address.service) }
    }

    /// Accounts have local parts, hosts have none.
    pub fn kind_of(jid: &Jid) -> ServiceKind {
        if jid.local().is_some() { ServiceKind::Pep } else { ServiceKind::Host }
    }

    /// The one that a request is for.
    pub fn asked(iq: &Iq) -> Self {
        Self { jid: iq.account(), kind: if iq.to == To::PubSub { ServiceKind::Host } else { ServiceKind::Pep } }
    }

    pub fn node(&self, name: &str) -> NodeAddress {
        NodeAddress { service: self.jid.clone(), node: name.to_owned() }
    }
}

/// Who asks whom for what.
#[derive(Clone, Copy)]
struct Asked<'a> {
    of: &'a Service,
    requester: &'a Jid,
    request: &'a Request,
    /// The requester may create nodes here, if that is there.
    may_create: bool,
}

impl<'a> Asked<'a> {
    fn standing(&self, hosts: &Hosts) -> Standing<'a> {
        let administers = self.of.kind == ServiceKind::Host && hosts.is_admin(self.requester);
        Standing { requester: self.requester, administers, may_create: self.may_create }
    }
}

/// What a request is decided by, and the turns of all that may change with it.
struct Prepared<'a> {
    gathered: Gathered,
    /// The node's home, if the request names one.
    held: Option<Held>,
    owners: Owners<'a>,
    /// What the requester is to them.
    relation: Relation,
    now: SystemTime,
    _structure: Option<OwnedMutexGuard<()>>,
}

impl Prepared<'_> {
    /// Of the nodes that may change.
    fn homes(&self) -> impl Iterator<Item = &Arc<NodeHome>> {
        self.held.iter().chain(self.gathered.others.values()).map(|held| &held.home)
    }
}

/// What a request has come to.
#[derive(Debug)]
pub(super) struct Executed {
    pub node: String,
    pub reply: Reply,
    /// Something is not what it was.
    pub changed: bool,
}

impl PubSub {
    /// The nodes of the hosts that `settings` names, and of the accounts of `router`.
    #[must_use]
    pub fn new(router: Router, settings: Settings, metrics: Metrics) -> Arc<Self> {
        let limits = settings.limits;
        Arc::new(Self {
            store: router.store().pubsub().bounded(limits.bytes),
            nodes: NodeHomes::new(limits.nodes_cached),
            errands: Errands::default(),
            expiry: Expiry::default(),
            followers: Followers::default(),
            tracked: Tracked::default(),
            tasks: Tasks::default(),
            metrics,
            limits: context::Limits {
                nodes: limits.nodes as u64,
                items: limits.items as u64,
                payload_bytes: limits.payload_bytes as u64,
                subscriptions: limits.subscriptions as u64,
                subscriptions_per_account: limits.subscriptions_per_account as u64,
            },
            structures: (0..STRUCTURES).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
            router,
            settings,
        })
    }

    /// What the operator has said.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many homes of nodes are in memory.
    pub fn nodes_in_memory(&self) -> usize {
        self.nodes.count()
    }

    /// How many tasks bring out notifications or follow what has happened: none once everybody is told.
    pub fn tasks(&self) -> usize {
        self.tasks.count()
    }

    /// The way of every request. `answer` is called once its changes are stored, before anybody is told of them.
    pub(super) async fn execute(
        self: &Arc<Self>,
        of: &Service,
        requester: &Jid,
        request: &Request,
        answer: impl FnOnce(&Reply) + Send,
    ) -> Result<Executed, StanzaError> {
        let asked = Asked { of, requester, request, may_create: self.may_create(of, requester) };
        let prepared = self.prepare(&asked).await?;
        match self.decide(&asked, &prepared) {
            Ok(outcome) => self.carry_out(of, prepared, outcome, answer).await,
            Err(refusal) => Err(self.refuse(&asked, &prepared, refusal).await),
        }
    }

    /// Takes the turns that a request needs, and looks up what it is decided by, once there is room for what it may tell.
    async fn prepare(&self, asked: &Asked<'_>) -> Result<Prepared<'_>, StanzaError> {
        let mut with_structure = false;
        loop {
            let Some(prepared) = self.look_up(asked, with_structure).await? else {
                // Turns of nodes come after that of the structure.
                with_structure = true;
                continue;
            };
            let full = prepared.homes().find(|home| !is_question(&asked.request.action) && home.outbox.is_full()).cloned();
            let Some(full) = full else { return Ok(prepared) };
            // Without any turn: it holds up nobody else, and those who only ask go on.
            drop(prepared);
            self.metrics.waits.inc();
            full.outbox.room().await;
        }
    }

    /// `None` if the request needs the turn of the service's structure, too.
    async fn look_up(&self, asked: &Asked<'_>, with_structure: bool) -> Result<Option<Prepared<'_>>, StanzaError> {
        let Asked { of, requester, request, .. } = *asked;
        let internal = self.router.internal("look up what a request for a node needs");
        let structure = if with_structure { Some(self.structure(&of.jid).await) } else { None };
        let now = now();
        let target = request.target(of.kind).map(|node| of.node(node));
        let held = self.hold_if(target.as_ref(), now).await?;
        let node = node_of(held.as_ref());
        let wanted = node::wants(node.as_deref(), request, &asked.standing(&self.settings.hosts));
        if structure.is_none() && (wanted.structure || wanted.touches_others()) {
            return Ok(None);
        }
        let owners = if wanted.relations_of.is_empty() {
            self.owners(of, node.as_deref()).await
        } else {
            self.all_owners(of, node.as_deref()).await
        };
        let owners = owners.map_err(&internal)?;
        drop(node);
        let named = of.node(request.node.as_deref().unwrap_or_default());
        let gathered = self.gather(of, &named, &requester.to_bare(), wanted, &owners, now).await.map_err(&internal)?;
        Ok(Some(Prepared { gathered, held, relation: owners.relation(requester), owners, now, _structure: structure }))
    }

    fn decide(&self, asked: &Asked<'_>, prepared: &Prepared<'_>) -> Result<Outcome, StanzaError> {
        let Asked { of, requester, request, may_create } = *asked;
        let context = Context {
            service: &of.jid,
            kind: of.kind,
            requester,
            relation: &prepared.relation,
            may_create: may_create && (of.kind == ServiceKind::Host || prepared.owners.are_somebody()),
            now: prepared.now,
            limits: &self.limits,
            fresh_id: &random::id,
            facts: &prepared.gathered.facts(),
        };
        node::handle(node_of(prepared.held.as_ref()).as_deref(), request, &context)
    }

    /// What the requester is told instead of a refusal: where the node has gone (§8.4.2), and at accounts nothing that says who exists.
    async fn refuse(&self, asked: &Asked<'_>, prepared: &Prepared<'_>, refusal: StanzaError) -> StanzaError {
        let Asked { of, requester, request, .. } = *asked;
        let node = node_of(prepared.held.as_ref());
        if of.kind == ServiceKind::Pep {
            let exists = prepared.owners.are_somebody();
            if let Some(told) = pep::told_to_strangers(&of.jid, exists, node.as_deref(), requester, &prepared.relation, request) {
                return told;
            }
        }
        if node.is_some() || refusal.condition != Condition::ItemNotFound {
            return refusal;
        }
        let Some(held) = &prepared.held else { return refusal };
        match self.store.redirect(&held.home.address).await {
            Ok(Some(uri)) => error::gone(uri),
            Ok(None) => refusal,
            Err(cause) => self.router.internal("look where a node has gone")(cause),
        }
    }

    /// Stores what was decided, then changes memory, answers, and tells.
    async fn carry_out(
        self: &Arc<Self>,
        of: &Service,
        mut prepared: Prepared<'_>,
        outcome: Outcome,
        answer: impl FnOnce(&Reply) + Send,
    ) -> Result<Executed, StanzaError> {
        let Outcome { node, reply, changes, notifications, others } = outcome;
        let held = match prepared.held.take() {
            Some(held) if held.home.address.node == node => Some(held),
            _ if changes.is_empty() && notifications.is_empty() => None,
            // An instant node (§8.1.1).
            _ => Some(self.hold(&of.node(&node), prepared.now).await?),
        };
        let mut steps: Vec<_> = held.as_ref().map(|held| (held, Step { changes, notifications })).into_iter().collect();
        for Other { node, changes, notifications } in others {
            let Some(held) = prepared.gathered.others.get(&node) else {
                tracing::error!(service = %of.jid, node, "a node that nobody holds was to change");
                return Err(StanzaError::internal_server_error());
            };
            steps.push((held, Step { changes, notifications }));
        }
        let changed = steps.iter().any(|(_, step)| !step.changes.is_empty());
        let told = self.take_steps(of.kind, steps, prepared.now).await?;
        answer(&reply);
        for (held, told) in told {
            self.send(&held.home, told);
        }
        Ok(Executed { node, reply, changed })
    }

    /// Stores steps that belong together, then memory takes them over. Gives the messages that tell of them.
    async fn take_steps<'h>(
        &self,
        kind: ServiceKind,
        steps: Vec<(&'h Held, Step)>,
        now: SystemTime,
    ) -> Result<Vec<(&'h Held, Vec<Delivery>)>, StanzaError> {
        let evicted = self.commit(&steps).await.map_err(|error| self.refused_by_store(error))?;
        let mut told = Vec::with_capacity(steps.len());
        for ((held, Step { changes, notifications }), evicted) in steps.into_iter().zip(evicted) {
            let was_collection = held.home.node().is_some_and(|node| node.kind == NodeKind::Collection);
            told.push((held, self.take_over(held, &changes, notifications, &evicted, now).await));
            if was_collection && changes.iter().any(|change| matches!(change, Change::Delete { .. })) {
                self.nodes.forget_collection(&held.home.address);
            }
            self.metrics.count(kind, &changes);
            self.wake_expiry(&changes);
            self.note_publishers(held, &changes);
        }
        Ok(told)
    }

    /// What the requester is told of an error of the store.
    fn refused_by_store(&self, error: StoreError) -> StanzaError {
        match error {
            StoreError::NodeExists { .. } => StanzaError::conflict(),
            StoreError::NoSuchNode { .. } => StanzaError::item_not_found(),
            StoreError::NoSuchAccount(_) => StanzaError::service_unavailable(),
            StoreError::Full => StanzaError::resource_constraint().with_text("whoever keeps the node keeps as much as it may"),
            error => self.router.internal("store a change of a node")(error),
        }
    }

    async fn hold_if(&self, address: Option<&NodeAddress>, now: SystemTime) -> Result<Option<Held>, StanzaError> {
        match address {
            Some(address) => self.hold(address, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// The home of a node and the turn there.
    pub(super) async fn hold(&self, address: &NodeAddress, now: SystemTime) -> Result<Held, StanzaError> {
        self.nodes.hold(address, &self.store, now).await.map_err(self.router.internal("load a node"))
    }

    /// The turn of those who change which nodes there are at a service, and how they hang together.
    pub(super) async fn structure(&self, service: &BareJid) -> OwnedMutexGuard<()> {
        let index = self.hasher.hash_one(service) as usize % STRUCTURES;
        self.structures[index].clone().lock_owned().await
    }

    /// Whether an entity may create nodes here; at an account, if that is there.
    fn may_create(&self, of: &Service, requester: &Jid) -> bool {
        match of.kind {
            ServiceKind::Pep => requester.bare_str() == of.jid.as_str(),
            ServiceKind::Host => self.settings.hosts.may_create(requester, self.router.is_member(requester)),
        }
    }
}

/// The node at a home, if it is there.
fn node_of(held: Option<&Held>) -> Option<Arc<Node>> {
    held.and_then(|held| held.home.node())
}

/// Requests that change nothing and tell nobody.
fn is_question(action: &Action) -> bool {
    matches!(
        action,
        Action::Subscriptions
            | Action::Affiliations
            | Action::Options { .. }
            | Action::DefaultOptions
            | Action::Items(_)
            | Action::Configuration
            | Action::DefaultConfiguration { .. }
            | Action::AllSubscriptions(_)
            | Action::AllAffiliations(_)
    )
}
