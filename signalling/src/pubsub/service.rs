//! The shell around nodes: it finds them, takes their turns, gathers what they need to decide, stores what they have decided, and sends.
//!
//! Order: the turn of the service's structure (for requests that touch several nodes), then turns of nodes. Changes are stored first, then memory takes
//! them over, then the requester is answered, then notifications join the node's outbox: all within the turn, so that everybody sees one order.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::change::Change;
use super::context::{self, Context, Relation, Standing};
use super::errands::Errands;
use super::expiry::Expiry;
use super::facts::{Gathered, Owners};
use super::homes::{Held, NodeHomes};
use super::host::{self, Settings};
use super::local::{Changed, Followers};
use super::metrics::Metrics;
use super::model::{Node, NodeAddress, NodeKind, ServiceKind};
use super::node::{self, Outcome};
use super::reply::Reply;
use super::request::{Action, Request};
use super::tasks::Tasks;
use super::tracked::Tracked;
use super::{error, pep, reply};
use crate::iq::{self, Iq, IqTable, To};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::random;
use crate::router::Router;
use crate::stanza::error::StanzaError;
use crate::stanza::{Condition, IqType, Kind};
use crate::store::{PubSubStore, StoreError};

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
            store: router.store().pubsub(),
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

    /// Registers what hosts and accounts answer.
    pub fn register(self: &Arc<Self>, table: &mut IqTable) {
        host::announce(table);
        pep::announce(table);
        for to in [To::PubSub, To::Account, To::Contact] {
            for namespace in [ns::PUBSUB, ns::PUBSUB_OWNER] {
                table.get(to, (namespace, "pubsub"), self, Self::request);
                table.set(to, (namespace, "pubsub"), self, Self::request);
            }
        }
        table.set(To::PubSub, (ns::COMMANDS, "command"), self, Self::command);
    }

    /// What the operator has said.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The domains of hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.settings.hosts()
    }

    /// Those that serve a domain of accounts.
    pub fn hosts_of<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings.hosts_of(domain)
    }

    /// How many homes of nodes are in memory.
    pub fn nodes_in_memory(&self) -> usize {
        self.nodes.count()
    }

    /// How many tasks bring out notifications or follow what has happened: none once everybody is told.
    pub fn tasks(&self) -> usize {
        self.tasks.count()
    }

    /// A request of either namespace.
    async fn request(self: Arc<Self>, iq: Iq) -> Result<iq::Reply, StanzaError> {
        let set = iq.stanza.kind() == Kind::Iq(IqType::Set);
        let request = {
            let element = iq.element()?;
            Request::read(element.root(), set)?
        };
        let (service, requester) = (Service::asked(&iq), requester(&iq)?);
        if request.node.is_none() && matches!(request.action, Action::Subscriptions | Action::Affiliations) {
            return self.lists(&service, &requester.to_bare(), &request.action).await;
        }
        if !set {
            let executed = self.execute(&service, &requester, &request, |_| {}).await?;
            return self.answer(&service, executed, &requester).await;
        }
        // What is stored must reach memory and subscribers, whatever becomes of the requester's stream meanwhile.
        let whole = self.clone().command_whole(service, requester, request, iq);
        self.router.whole(whole).await.ok_or_else(StanzaError::internal_server_error)?
    }

    /// Executes a request that may change something. It is answered within its turn where its session is here, so that its sender sees the answer
    /// before the notification; where somebody follows the node, when that is done.
    async fn command_whole(self: Arc<Self>, of: Service, requester: Jid, request: Request, iq: Iq) -> Result<iq::Reply, StanzaError> {
        let followers = self.followers(&of, request.node.as_deref().unwrap_or_default());
        let mut answered = false;
        let answer = |reply: &Reply| {
            answered = followers.is_empty()
                && match reply {
                    Reply::Empty => self.router.answer_session(&iq, Bytes::new()),
                    Reply::Payload(payload) => self.router.answer_session(&iq, payload.clone()),
                    Reply::Items(_) | Reply::Partly(_) => false,
                };
        };
        let executed = self.execute(&of, &requester, &request, answer).await?;
        if executed.changed {
            for follower in followers {
                let configured = matches!(request.action, Action::Configure(_));
                follower(Changed { account: of.jid.clone(), node: executed.node.clone(), configured }).await;
            }
        }
        if answered { Ok(iq::Reply::Sent) } else { self.answer(&of, executed, &requester).await }
    }

    /// §5.6 and §5.7, of all nodes.
    async fn lists(&self, of: &Service, requester: &BareJid, action: &Action) -> Result<iq::Reply, StanzaError> {
        let internal = self.router.internal("list what an entity has at nodes");
        Ok(iq::Reply::Payload(match action {
            Action::Affiliations => reply::affiliations(None, &self.store.affiliations_of(&of.jid, requester).await.map_err(internal)?),
            _ => reply::subscriptions(None, &self.store.subscriptions_of(&of.jid, requester).await.map_err(internal)?),
        }))
    }

    async fn answer(&self, of: &Service, executed: Executed, requester: &Jid) -> Result<iq::Reply, StanzaError> {
        Ok(match executed.reply {
            Reply::Empty => iq::Reply::Empty,
            Reply::Payload(payload) => iq::Reply::Payload(payload),
            Reply::Partly(error) => return Err(error),
            Reply::Items(wanted) => iq::Reply::Payload(self.items(&of.node(&executed.node), &wanted, requester).await?),
        })
    }

    /// The way of every request. `answer` is called once its changes are stored, before anybody is told of them.
    pub(super) async fn execute(
        self: &Arc<Self>,
        of: &Service,
        requester: &Jid,
        request: &Request,
        answer: impl FnOnce(&Reply) + Send,
    ) -> Result<Executed, StanzaError> {
        let asked = request.target(of.kind).map(|node| of.node(node));
        let standing = Standing {
            requester,
            administers: of.kind == ServiceKind::Host && self.settings.is_admin(requester),
            may_create: self.may_create(of, requester),
        };
        let internal = self.router.internal("look up what a request for a node needs");
        let mut needs_structure = false;
        let (structure, held, owners, gathered, now) = loop {
            let structure = if needs_structure { Some(self.structure(&of.jid).await) } else { None };
            let now = now();
            let held = self.hold_if(asked.as_ref(), now).await?;
            let wanted = node::wants(node_of(held.as_ref()).as_deref(), request, &standing);
            if structure.is_none() && (wanted.structure || wanted.touches_others()) {
                needs_structure = true;
                continue;
            }
            let owners = match (wanted.relations_of.is_empty(), node_of(held.as_ref())) {
                (true, node) => self.owners(of, node.as_deref()).await,
                (false, node) => self.all_owners(of, node.as_deref()).await,
            };
            let owners = owners.map_err(&internal)?;
            let named = of.node(request.node.as_deref().unwrap_or_default());
            let gathered = self.gather(of, &named, &requester.to_bare(), wanted, &owners, now).await.map_err(&internal)?;
            let mut all = held.iter().chain(gathered.others.values()).map(|held| &held.home);
            match all.find(|home| !is_question(&request.action) && home.outbox.is_full()).cloned() {
                None => break (structure, held, owners, gathered, now),
                // Without any turn: it holds up nobody else, and those who only ask go on.
                Some(full) => {
                    drop((gathered, held, structure));
                    self.metrics.waits.inc();
                    full.outbox.room().await;
                }
            }
        };
        let relation = owners.relation(requester);
        let outcome = match self.decide(of, held.as_ref(), requester, request, (&owners, &relation), &gathered, now) {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.refuse(of, held.as_ref(), requester, request, (&owners, &relation), error).await),
        };
        let executed = self.carry_out(of, held, gathered, outcome, answer, now).await;
        drop(structure);
        executed
    }

    #[allow(clippy::too_many_arguments, reason = "a pure call with all that it needs")]
    fn decide(
        &self,
        of: &Service,
        held: Option<&Held>,
        requester: &Jid,
        request: &Request,
        (owners, relation): (&Owners<'_>, &Relation),
        gathered: &Gathered,
        now: SystemTime,
    ) -> Result<Outcome, StanzaError> {
        let context = Context {
            service: &of.jid,
            kind: of.kind,
            requester,
            relation,
            may_create: self.may_create(of, requester) && (of.kind == ServiceKind::Host || owners.are_somebody()),
            now,
            limits: &self.limits,
            fresh_id: &random::id,
            facts: &gathered.facts(),
        };
        node::handle(node_of(held).as_deref(), request, &context)
    }

    /// What the requester is told instead of a refusal: where the node has gone (§8.4.2), and at accounts nothing that says who exists.
    async fn refuse(
        &self,
        of: &Service,
        held: Option<&Held>,
        requester: &Jid,
        request: &Request,
        (owners, relation): (&Owners<'_>, &Relation),
        refusal: StanzaError,
    ) -> StanzaError {
        let node = node_of(held);
        if of.kind == ServiceKind::Pep
            && let Some(told) = pep::told_to_strangers(&of.jid, owners.are_somebody(), node.as_deref(), requester, relation, request)
        {
            return told;
        }
        if node.is_some() || refusal.condition != Condition::ItemNotFound {
            return refusal;
        }
        let Some(held) = held else { return refusal };
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
        held: Option<Held>,
        gathered: Gathered,
        outcome: Outcome,
        answer: impl FnOnce(&Reply) + Send,
        now: SystemTime,
    ) -> Result<Executed, StanzaError> {
        let Outcome { node, reply, changes, notifications, others } = outcome;
        let held = match held {
            Some(held) if held.home.address.node == node => Some(held),
            _ if changes.is_empty() && notifications.is_empty() => None,
            // An instant node (§8.1.4).
            _ => Some(self.hold(&of.node(&node), now).await?),
        };
        let mut steps: Vec<_> = held.as_ref().map(|held| (held, changes, notifications)).into_iter().collect();
        for other in others {
            match gathered.others.get(&other.node) {
                Some(held) => steps.push((held, other.changes, other.notifications)),
                None => {
                    tracing::error!(service = %of.jid, node = other.node, "a node that nobody holds was to change");
                    return Err(StanzaError::internal_server_error());
                }
            }
        }
        let commands: Vec<_> = steps
            .iter()
            .filter(|(_, changes, _)| !changes.is_empty())
            .map(|(held, changes, _)| (held.home.address.clone(), changes.clone()))
            .collect();
        let mut committed = Vec::new();
        if !commands.is_empty() {
            committed = match self.store.commit_all(commands).await {
                Ok(committed) => committed,
                Err(error) => {
                    let homes = steps.iter().map(|(held, ..)| *held);
                    return Err(self.refused_by_store(error, homes));
                }
            };
        }
        let mut committed = committed.into_iter();
        let mut told = Vec::new();
        let mut changed = false;
        for (held, changes, notifications) in steps {
            let evicted = if changes.is_empty() { Vec::new() } else { committed.next().unwrap_or_default().evicted };
            let was_collection = held.home.node().is_some_and(|node| node.kind == NodeKind::Collection);
            told.push((held, self.take_over(held, &changes, notifications, &evicted, now).await));
            if was_collection && changes.iter().any(|change| matches!(change, Change::Delete { .. })) {
                self.nodes.forget_collection(&held.home.address);
            }
            self.metrics.count(of.kind, &changes);
            self.wake_expiry(&changes);
            self.note_publishers(held, &changes);
            changed |= !changes.is_empty();
        }
        answer(&reply);
        for (held, told) in told {
            self.send(&held.home, told);
        }
        Ok(Executed { node, reply, changed })
    }

    /// Whoever holds these homes was refused by the store. Unless it says that nothing is stored, that is for the database to know: memory asks again.
    fn refused_by_store<'h>(&self, error: StoreError, homes: impl Iterator<Item = &'h Held>) -> StanzaError {
        if !is_refusal(&error) {
            homes.for_each(|held| held.home.forget());
        }
        match error {
            StoreError::NodeExists { .. } => StanzaError::conflict(),
            StoreError::NoSuchNode { .. } => StanzaError::item_not_found(),
            StoreError::NoSuchAccount(_) => StanzaError::service_unavailable(),
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
            ServiceKind::Host => self.settings.may_create(requester, self.is_member(requester)),
        }
    }

    /// Whether this is an account of this server that outlives its session.
    fn is_member(&self, jid: &Jid) -> bool {
        let account = jid.to_bare();
        let anonymous = || self.router.home_in_memory(&account).is_some_and(|home| home.with(|account| account.anonymous));
        jid.local().is_some() && self.router.is_local(jid.domain()) && !anonymous()
    }
}

/// The node at a home, if it is there.
fn node_of(held: Option<&Held>) -> Option<Arc<Node>> {
    held.and_then(|held| held.home.node())
}

/// Who asks: `from` is stamped.
pub(super) fn requester(iq: &Iq) -> Result<Jid, StanzaError> {
    iq.stanza.from().cloned().ok_or_else(|| StanzaError::bad_request("nobody has asked"))
}

/// Now, as exactly as the database keeps it: memory has the same.
pub(super) fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::new(since.as_secs(), since.subsec_millis() * 1_000_000)
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

/// Errors by which the store says that nothing was stored.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NodeExists { .. } | StoreError::NoSuchNode { .. } | StoreError::NoSuchAccount(_) | StoreError::TooLong { .. }
    )
}
