//! Where a stanza goes: from the session that sent it through the stages to its addressee's home (RFC 6120 §10, RFC 6121 §8).

mod answers;
mod arrival;
mod asked;
mod binding;
mod broadcast;
mod delivery;
mod limits;
mod metrics;
mod persistence;
mod resumption;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::account::Targets;
use crate::administration::Administration;
use crate::features::conversions::Conversions;
use crate::features::push::{self, Published};
use crate::features::{caps, presence, roster};
use crate::homes::{Home, Homes};
use crate::iq::{IqTable, To};
use crate::jid::{BareJid, Jid};
use crate::jingle::CallsService;
use crate::muc::Muc;
use crate::pipeline::{self, Effects, Moment, Verdict, Walk};
use crate::pubsub::{PubSub, interest};
use crate::random;
use crate::session::SessionRef;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};
use crate::store::{RosterItem, RosterVersion, Store, StoreError};

pub use crate::outbox::Behind;
pub use asked::Asked;
pub use limits::Limits;
pub use metrics::Metrics;
pub use resumption::{Bound, NotResumed, Resumed};
pub use sessions::SessionInfo;

use resumption::Hibernation;

/// A service at a domain of its own.
#[derive(Clone, Debug)]
pub enum Host {
    /// XEP-0060.
    PubSub(Arc<PubSub>),
    /// XEP-0045.
    Muc(Arc<Muc>),
}

/// The router of this node; clones are the same router.
#[derive(Clone)]
pub struct Router(Arc<Inner>);

struct Inner {
    domains: Vec<String>,
    homes: Homes,
    store: Store,
    calls: Arc<CallsService>,
    limits: Limits,
    metrics: Metrics,
    table: OnceLock<IqTable>,
    administration: OnceLock<Arc<Administration>>,
    conversions: OnceLock<Arc<Conversions>>,
    /// Services by their domains.
    hosts: OnceLock<BTreeMap<String, Host>>,
    pubsub: OnceLock<Arc<PubSub>>,
    muc: OnceLock<Arc<Muc>>,
    /// When the sessions of an account were last ended by the server, for as long as a stream may take to bind.
    kicked: Mutex<HashMap<BareJid, Instant>>,
    pushes: Asked<Published>,
    capabilities: caps::Cache,
    hibernation: Hibernation,
    /// What must come to its end though nobody waits for it.
    tasks: TaskTracker,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("domains", &self.0.domains).finish_non_exhaustive()
    }
}

impl Router {
    /// A router for these domains, which must be normalised as [`Jid`] does it. It answers requests once [`Router::serve`] was called.
    pub fn new(domains: Vec<String>, store: Store, calls: Arc<CallsService>, limits: Limits, metrics: Metrics) -> Self {
        let homes = Homes::new(store.clone(), limits.accounts_cached);
        Self(Arc::new(Inner {
            domains,
            homes,
            store,
            calls,
            limits,
            metrics,
            table: OnceLock::new(),
            administration: OnceLock::new(),
            conversions: OnceLock::new(),
            hosts: OnceLock::new(),
            pubsub: OnceLock::new(),
            muc: OnceLock::new(),
            kicked: Mutex::default(),
            pushes: Asked::new(push::PATIENCE),
            capabilities: caps::Cache::default(),
            hibernation: Hibernation::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Hands over the table of requests. Features hold the router, so it comes after them.
    pub fn serve(&self, table: IqTable) {
        assert!(self.0.table.set(table).is_ok(), "the table of requests is set once, at start");
    }

    /// Hands over who removes the accounts of anonymous sessions; it holds the router, so it comes after it.
    pub fn govern(&self, administration: Arc<Administration>) {
        assert!(self.0.administration.set(administration).is_ok(), "set once, at start");
    }

    /// Hands over what keeps the data of clients of different ages the same; it holds the router, so it comes after it.
    pub fn convert(&self, conversions: Arc<Conversions>) {
        assert!(self.0.conversions.set(conversions).is_ok(), "set once, at start");
    }

    /// What is told of data that clients of another age keep elsewhere.
    pub fn conversions(&self) -> Option<&Arc<Conversions>> {
        self.0.conversions.get()
    }

    /// Hands over the services that have domains of their own, and the nodes of accounts; they hold the router, so they come after it.
    pub fn host(&self, pubsub: &Arc<PubSub>, muc: &Arc<Muc>) {
        let nodes = pubsub.settings().hosts.all().map(|host| (host.to_owned(), Host::PubSub(pubsub.clone())));
        let hosts: BTreeMap<_, _> = nodes.chain(muc.settings().hosts.all().map(|host| (host.to_owned(), Host::Muc(muc.clone())))).collect();
        debug_assert!(hosts.keys().all(|domain| !self.is_local(domain)), "a service's domain is none of accounts");
        let set = self.0.hosts.set(hosts).is_ok() && self.0.pubsub.set(pubsub.clone()).is_ok() && self.0.muc.set(muc.clone()).is_ok();
        assert!(set, "set once, at start");
    }

    /// The service at a domain.
    pub fn service(&self, domain: &str) -> Option<&Host> {
        self.0.hosts.get()?.get(domain)
    }

    /// The nodes of hosts and accounts.
    pub fn pubsub(&self) -> Option<&Arc<PubSub>> {
        self.0.pubsub.get()
    }

    /// The rooms.
    pub fn muc(&self) -> Option<&Arc<Muc>> {
        self.0.muc.get()
    }

    /// The table of calls.
    pub fn calls(&self) -> &CallsService {
        &self.0.calls
    }

    /// The table of requests.
    pub fn table(&self) -> &IqTable {
        self.0.table.get().expect("`serve` comes before the first connection")
    }

    /// The virtual hosts; the first is the default.
    pub fn domains(&self) -> &[String] {
        &self.0.domains
    }

    /// Whether this server is the home of a domain with accounts.
    pub fn is_local(&self, domain: &str) -> bool {
        self.0.domains.iter().any(|own| own == domain)
    }

    /// Whether this is an account of this server that outlives its session, and not an anonymous one.
    pub fn is_member(&self, jid: &Jid) -> bool {
        let is_anonymous = || self.0.homes.peek_at(jid.bare_str()).is_some_and(|home| home.with(|account| account.anonymous));
        jid.local().is_some() && self.is_local(jid.domain()) && !is_anonymous()
    }

    /// The store that homes read and features change.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Push notifications whose answers are awaited.
    pub fn pushes(&self) -> &Asked<Published> {
        &self.0.pushes
    }

    /// What clients can do.
    pub fn capabilities(&self) -> &caps::Cache {
        &self.0.capabilities
    }

    /// Runs to its end whatever becomes of the caller; [`Router::store_sessions`] waits for it. `None` where there is no runtime any more.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Option<JoinHandle<T>> {
        Handle::try_current().ok().map(|runtime| self.0.tasks.spawn_on(task, &runtime))
    }

    /// The same for what must not be left half done: binding a resource, ending a session.
    pub async fn whole<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let ended = self.spawn(task)?.await;
        ended.inspect_err(|error| tracing::error!(%error, "a task of a session ended badly")).ok()
    }

    /// Produces the next slice of what is owed to a session. Its connection asks for it when it has taken [`Outgoing::Owed`] from the mailbox, and
    /// what came before is on its way.
    pub async fn pay(&self, session: &SessionRef) {
        if session.home.with(|account| account.session(session.id).is_some_and(|own| own.takes_bare_messages())) {
            self.pay_messages(session).await;
        }
        presence::pay(self, session).await;
        Box::pin(interest::pay(self, session)).await;
    }

    /// Takes a stanza from a session's stream; its `from` is stamped. Answers come through the session's mailbox. False if the session is over: the
    /// stanza was not handled.
    ///
    /// The future of every stanza is as big as the longest way that one may take, so whatever is not on the way of a message to a session in
    /// memory is boxed.
    pub async fn handle(&self, session: &SessionRef, stanza: Stanza) -> bool {
        // Rooms see to their own archives.
        if matches!(stanza.kind(), Kind::Message(kind) if kind != MessageType::Groupchat) && self.0.store.archive().is_behind() {
            // Its stream is not read meanwhile.
            Box::pin(self.0.store.archive().room()).await;
        }
        let Some((verdict, effects, stanza)) = self.take_in(session, stanza) else { return false };
        self.bring_out(session, verdict, effects, stanza).await;
        true
    }

    /// The sender's stages. `None` if the session is over.
    fn take_in(&self, session: &SessionRef, mut stanza: Stanza) -> Option<(Verdict, Effects, Stanza)> {
        let moment = self.moment(&stanza);
        let (verdict, effects) = session.home.with(|account| {
            // A session that was replaced or ended by the server sends no more, whatever its connection has still read.
            account.session(session.id)?;
            let walk = Walk { account, sender: Some(session.id), targets: &Targets::Nobody, moment: &moment };
            let (verdict, mut effects) = pipeline::walk(pipeline::OUTBOUND, &walk, &mut stanza);
            if verdict == Verdict::Pass {
                self.keep_sent(account, &stanza, effects.kept.take());
            }
            Some((verdict, effects))
        })?;
        Some((verdict, effects, stanza))
    }

    async fn bring_out(&self, session: &SessionRef, verdict: Verdict, mut effects: Effects, stanza: Stanza) {
        match verdict {
            Verdict::Pass => {
                delivery::send_copies(std::mem::take(&mut effects.copies));
                self.perform(&session.home, effects, &stanza).await;
            }
            Verdict::Drop => return,
            Verdict::Bounce(error) => return self.bounce(&stanza, error, Some(session)).await,
        }
        match stanza.kind() {
            Kind::Presence(kind) => Box::pin(self.handle_presence(session, kind, stanza)).await,
            // RFC 6120 §10.3.1: without `to`, a message is for the own account.
            Kind::Message(_) if stanza.to().is_none() => {
                self.route(stanza.with_to(session.jid.to_bare()), Some(session)).await;
            }
            Kind::Iq(_) if stanza.to().is_none() => Box::pin(self.answer(To::Account, stanza, Some(session))).await,
            _ => self.route(stanza, Some(session)).await,
        }
    }

    async fn handle_presence(&self, session: &SessionRef, kind: PresenceType, stanza: Stanza) {
        // XEP-0160 §2: what has waited comes before what is new, so before the session is seen to be available.
        let wants_messages = kind == PresenceType::Available && stanza.to().is_none() && presence::wants_messages(&stanza);
        if wants_messages {
            self.pay_messages_first(session).await;
        }
        if let Err(error) = presence::outbound(self, session, kind, stanza.clone()).await {
            return self.bounce(&stanza, error, Some(session)).await;
        }
        if wants_messages {
            self.owe_messages(session);
        }
        match kind {
            PresenceType::Available if stanza.to().is_none() => caps::announced(self, session, &stanza),
            PresenceType::Unavailable if stanza.to().is_none() => caps::left(self, session),
            _ => {}
        }
    }

    /// Routes stanzas one after the other; for those that a feature makes.
    pub async fn route_all(&self, stanzas: Vec<Stanza>) {
        for stanza in stanzas {
            self.route(stanza, None).await;
        }
    }

    /// Brings a stanza with a `to` to its addressee. `origin` is the local session that sent it, which gets errors and answers.
    pub async fn route(&self, stanza: Stanza, origin: Option<&SessionRef>) {
        let Some(to) = stanza.to() else {
            debug_assert!(false, "only addressed stanzas are routed");
            return;
        };
        match (self.is_local(to.domain()), to.local().is_some()) {
            (false, _) => Box::pin(self.to_other_domain(stanza, origin)).await,
            (true, false) => self.to_server(stanza, origin).await,
            (true, true) => self.to_account(stanza, origin).await,
        }
    }

    /// A stanza for a domain that has no accounts here: a service's, or another server's.
    async fn to_other_domain(&self, stanza: Stanza, origin: Option<&SessionRef>) {
        let domain = stanza.to().map(Jid::domain).unwrap_or_default();
        match self.service(domain) {
            Some(host) => self.to_host(host, stanza, origin).await,
            // RFC 6121 §4.3: an answer that does not come is no error.
            None if stanza.kind() == Kind::Presence(PresenceType::Probe) => {}
            None => {
                self.bounce(&stanza, StanzaError::remote_server_not_found().with_text("this server does not federate yet"), origin).await
            }
        }
    }

    /// RFC 6120 §10.5.2 and §10.5.3: a stanza for one of our domains.
    async fn to_server(&self, stanza: Stanza, origin: Option<&SessionRef>) {
        let has_resource = stanza.to().is_some_and(|to| to.resource().is_some());
        match stanza.kind() {
            Kind::Iq(IqType::Get | IqType::Set) if !has_resource => Box::pin(self.answer(To::Server, stanza, origin)).await,
            Kind::Iq(IqType::Result | IqType::Error) if !has_resource => Box::pin(self.answered(&stanza)).await,
            Kind::Presence(_) => {}
            _ => self.bounce(&stanza, StanzaError::service_unavailable(), origin).await,
        }
    }

    /// A stanza for a service. Those that have addresses below their domain take them from here.
    async fn to_host(&self, host: &Host, stanza: Stanza, origin: Option<&SessionRef>) {
        let pubsub = match host {
            Host::PubSub(pubsub) => pubsub,
            Host::Muc(muc) => return muc.handle(stanza, origin).await,
        };
        let is_service = stanza.to().is_some_and(|to| to.local().is_none() && to.resource().is_none());
        match stanza.kind() {
            Kind::Iq(IqType::Get | IqType::Set) if is_service => self.answer(To::PubSub, stanza, origin).await,
            Kind::Message(_) if is_service => match pubsub.message(stanza.clone()).await {
                Ok(()) => {}
                Err(error) => self.bounce(&stanza, error, origin).await,
            },
            Kind::Presence(kind) if is_service => pubsub.presence(kind, &stanza).await,
            Kind::Presence(_) | Kind::Iq(IqType::Result | IqType::Error) => {}
            _ => self.bounce(&stanza, StanzaError::service_unavailable(), origin).await,
        }
    }

    fn moment(&self, stanza: &Stanza) -> Moment {
        let archive = self.0.store.archive();
        Moment {
            now: SystemTime::now(),
            random: random::number,
            archive_has_room: matches!(stanza.kind(), Kind::Message(_)) && archive.has_room(),
            archive_policy: archive.policy(),
            offline_messages_max: self.0.limits.offline_messages,
        }
    }

    /// RFC 6121 §2.1.6: tells every interested resource what became of a roster item.
    pub fn push_roster_item(&self, home: &Home, item: &RosterItem) {
        push_roster(home, |version| roster::push(version, item));
        self.contact_changed(home, &item.jid);
    }

    /// RFC 6121 §2.5.1: tells every interested resource that an item is gone.
    pub fn push_roster_removal(&self, home: &Home, contact: &BareJid) {
        push_roster(home, |version| roster::push_removal(version, contact));
        self.contact_changed(home, contact);
    }

    /// Access to nodes may rest on the roster.
    fn contact_changed(&self, home: &Home, contact: &BareJid) {
        if let Some(pubsub) = self.pubsub() {
            pubsub.contact_changed(home.jid.clone(), contact.clone());
        }
    }

    /// Changes the presence of available resources by the server's own hand: `revise` gives what stands from now on, and what contacts get.
    pub async fn revise_presence(&self, home: &Arc<Home>, revise: impl Fn(&Stanza) -> Option<(Stanza, Stanza)>) {
        presence::revise(self, home, revise).await;
    }

    /// Every home that is in memory, for what concerns all sessions.
    pub fn homes_in_memory(&self) -> Vec<Arc<Home>> {
        self.0.homes.in_memory()
    }

    /// The home of an account, loaded if need be; `None` if there is no such account.
    ///
    /// # Errors
    /// What the database says.
    pub async fn home(&self, account: &BareJid) -> Result<Option<Arc<Home>>, StoreError> {
        self.0.homes.get(account).await
    }

    /// The home of an account if it is in memory.
    pub fn home_in_memory(&self, account: &BareJid) -> Option<Arc<Home>> {
        self.0.homes.peek(account)
    }

    /// Turns an error of the store into what the client is told, and logs it with what could not be done.
    pub fn internal(&self, operation: &'static str) -> impl Fn(StoreError) -> StanzaError {
        move |error| match error {
            StoreError::TooLong { .. } => {
                StanzaError::new(Condition::NotAcceptable, ErrorType::Modify).with_text("the name or address is too long to be stored")
            }
            error => {
                tracing::error!(%error, "cannot {operation}");
                StanzaError::internal_server_error()
            }
        }
    }
}

/// The caller holds the account's turn, so that the version is that of the change told.
fn push_roster(home: &Home, payload: impl Fn(RosterVersion) -> Bytes) {
    home.with(|account| {
        let payload = payload(account.roster_version);
        for session in account.sessions.iter().filter(|session| session.interested) {
            session.send(roster::to_session(account, session, payload.clone()));
        }
    });
}
