//! Where a stanza goes: from the session that sent it through the stages to its addressee's home (RFC 6120 §10, RFC 6121 §8).

mod answers;
mod asked;
mod broadcast;
mod delivery;
mod limits;
mod metrics;
mod persistence;
mod resumption;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::account::{Account, Targets};
use crate::administration::Administration;
use crate::features::conversions::Conversions;
use crate::features::push::{self, Published};
use crate::features::{caps, mds, presence, roster};
use crate::homes::{Home, Homes};
use crate::iq::{IqTable, To};
use crate::jid::{BareJid, FullJid, Jid};
use crate::jingle::CallsService;
use crate::mailbox::{Mailbox, Outgoing};
use crate::muc::Muc;
use crate::ns;
use crate::pipeline::{self, Effects, Moment, Verdict, Walk};
use crate::pubsub::{self, PubSub, interest};
use crate::random;
use crate::session::{Session, SessionId, SessionRef};
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};
use crate::store::{RosterItem, RosterVersion, Store, StoreError};
use crate::stream::error::{self, StreamError};

pub use asked::Asked;
pub use limits::Limits;
pub use metrics::Metrics;
pub use resumption::{Bound, NotResumed, Resumed};
pub use sessions::SessionInfo;

use resumption::{Hibernation, Left};

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

    /// Binds a resource (RFC 6120 §7). A session that already has it is ended with `conflict` (§7.7.2.2): the newcomer is the one
    /// whose connection certainly works.
    ///
    /// # Errors
    /// `bad-request` for a resource that is none, `resource-constraint` for too many sessions, `not-authorized` for an account that
    /// was deleted meanwhile or whose sessions were ended after `since`, when the stream began, `internal-server-error` when it cannot be
    /// loaded.
    pub async fn bind(
        &self,
        account: &BareJid,
        requested: Option<&str>,
        mailbox: Arc<Mailbox>,
        since: Instant,
    ) -> Result<SessionRef, StanzaError> {
        let jid = match requested {
            Some(resource) => account.with_resource(resource).map_err(|error| StanzaError::bad_request(error.to_string()))?,
            None => account.with_resource(&random::id()).map_err(|error| StanzaError::bad_request(error.to_string()))?,
        };
        let home = self.0.homes.get(account).await.map_err(self.internal("load an account"))?;
        let home = home.ok_or_else(|| StanzaError::not_authorized().with_text("there is no such account"))?;
        if let Some(conversions) = self.conversions() {
            conversions.settle(&home).await;
        }
        let session = Session::new(jid.clone(), mailbox);
        let id = session.id;
        let mut newcomer = Some(session);
        let mut left = Vec::new();
        while let Some(old) = home.with(|account| place(account, &mut newcomer, &self.0.limits))? {
            let error = StreamError::new(error::Condition::Conflict).with_text("another connection has bound this resource");
            old.mailbox.push(Outgoing::Close(error));
            left.push(self.end(&SessionRef { jid: old.jid, id: old.id, home: home.clone() }).await);
        }
        self.0.metrics.sessions.inc();
        let session = SessionRef { jid, id, home };
        // After the session has its place: a kick that comes now finds it there, one that came before is found here.
        let kicked = self.kicked().get(account).is_some_and(|at| *at >= since);
        if kicked {
            self.unbind(&session).await;
        }
        // What its predecessor did not get, the newcomer may.
        for left in left {
            left.go_on().await;
        }
        if kicked {
            return Err(
                StanzaError::not_authorized().with_text("the account has changed since this stream began: connect and log in again")
            );
        }
        Ok(session)
    }

    /// Ends a session: contacts learn of it, its calls end, and what its client did not get goes elsewhere.
    pub async fn unbind(&self, session: &SessionRef) {
        self.end(session).await.go_on().await;
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

    /// Takes a session out of its account: contacts learn of it, its calls end. Returns what its client did not get.
    async fn end(&self, session: &SessionRef) -> Left {
        let ended = self.whole(self.clone().end_whole(session.clone())).await;
        ended.unwrap_or_else(|| Left::new(self, session, false))
    }

    fn end_whole(self, session: SessionRef) -> Pin<Box<dyn Future<Output = Left> + Send>> {
        Box::pin(async move {
            let SessionRef { jid, id, home } = &session;
            self.end_relay(home, |own| own.id == *id);
            let found = home.with(|account| account.session(*id).map(|own| (own.mailbox.clone(), own.resumption)));
            let Some((mailbox, resumption)) = found else { return Left::new(&self, &session, false) };
            let remember = || {
                if let Some(resumption) = resumption {
                    self.0.hibernation.remember(&home.jid, resumption.token, mailbox.progress().handled);
                }
            };
            // Before it is gone, so that its client finds either.
            remember();
            let mut capabilities = None;
            let over = |own: Session| {
                let mut left = Left::new(&self, &session, own.hibernated.is_none());
                capabilities = own.capabilities;
                left.put_first(own.mailbox.take_back());
                left
            };
            let Some(left) = presence::session_ended(&self, home, *id, over).await else { return Left::new(&self, &session, false) };
            remember();
            if let Some(capabilities) = capabilities {
                caps::gone(&self, &session, &capabilities);
            }
            // Nothing more comes from it that could begin a call.
            self.0.calls.handle_gone(jid, Instant::now());
            self.0.metrics.sessions.dec();
            self.0.hibernation.remove(*id);
            self.0.metrics.show_hibernated(self.0.hibernation.len());
            let over = home.with(|account| account.anonymous && account.sessions.is_empty());
            if let (true, Some(administration)) = (over, self.0.administration.get()) {
                administration.anonymous_ended(&home.jid).await;
            }
            left
        })
    }

    /// The end of these sessions begins: their TURN credentials and allocations end at once, and nothing more is issued to them. What follows may
    /// wait, for presence or for the database.
    fn end_relay(&self, home: &Home, chosen: impl Fn(&Session) -> bool) {
        let tags: Vec<_> = home.with(|account| {
            let ending = account.sessions.iter_mut().filter(|session| chosen(session));
            ending
                .filter_map(|session| {
                    session.is_ending = true;
                    session.relay.take()
                })
                .collect()
        });
        tags.into_iter().for_each(|tag| self.0.calls.end_session(tag));
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

    /// RFC 6121 §8.5: a stanza for a local account.
    async fn to_account(&self, mut stanza: Stanza, origin: Option<&SessionRef>) {
        let Some(to) = stanza.to().map(Jid::to_bare) else { return };
        let home = match self.home_for(&to, &stanza).await {
            Ok(Some(home)) => home,
            Ok(None) => return self.no_such_account(&to, stanza, origin).await,
            Err(error) => {
                tracing::error!(account = %to, %error, "cannot load an account");
                return self.bounce(&stanza, StanzaError::internal_server_error(), origin).await;
            }
        };
        if let (Kind::Message(_), Some(pubsub)) = (stanza.kind(), self.pubsub())
            && let Some(decision) = pubsub::decision(&stanza)
            && !stanza.from().is_some_and(|from| home.with(|account| account.blocks(from)))
        {
            // XEP-0060 §8.6, to the account as a service.
            match Box::pin(pubsub.decided(&stanza, decision)).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return self.bounce(&stanza, error, origin).await,
            }
        }
        let moment = self.moment(&stanza);
        let arrival = self.take_home(&home, &mut stanza, &moment);
        self.conclude(&home, stanza, arrival, origin).await;
    }

    /// The addressee's stages, and delivery to whom RFC 6121 §8.5 chooses.
    fn take_home(&self, home: &Home, stanza: &mut Stanza, moment: &Moment) -> Arrival {
        home.with(|account| {
            let mut targets = account.targets(stanza);
            let walk = Walk { account, sender: None, targets: &targets, moment };
            let (mut verdict, mut effects) = pipeline::walk(pipeline::INBOUND, &walk, stanza);
            if let (Verdict::Pass, Kind::Presence(PresenceType::Unavailable), Some(from)) = (&verdict, stanza.kind(), stanza.from()) {
                account.has_left(stanza, from);
            }
            // Occupants are no visitors: nobody says when they go, and they ask for nothing.
            if let (Verdict::Pass, Kind::Presence(PresenceType::Available), Some(from)) = (&verdict, stanza.kind(), stanza.from())
                && !matches!(self.service(from.domain()), Some(Host::Muc(_)))
            {
                effects.visited = account.visited_by(from);
            }
            if verdict == Verdict::Pass {
                verdict = self.deliver(account, &mut targets, stanza, &mut effects, moment);
            }
            Arrival { verdict, targets, effects }
        })
    }

    /// What is left to do for a stanza that has reached its addressee's home.
    async fn conclude(&self, home: &Arc<Home>, stanza: Stanza, arrival: Arrival, origin: Option<&SessionRef>) {
        let Arrival { verdict, targets, effects } = arrival;
        match verdict {
            Verdict::Drop => {}
            Verdict::Bounce(error) => self.bounce(&stanza, error, origin).await,
            Verdict::Pass => {
                self.perform(home, effects, &stanza).await;
                // XEP-0163 §4.3.1: an error is for the account as a service.
                if let (Kind::Message(MessageType::Error), Targets::Nobody, Some(pubsub)) = (stanza.kind(), &targets, self.pubsub()) {
                    pubsub.bounced(&stanza);
                }
                if let Targets::Account | Targets::Bounce(_) = targets {
                    Box::pin(self.finish(home, stanza, targets, origin)).await;
                }
            }
        }
    }

    /// What is left to do for a stanza that passed all stages of its addressee.
    async fn finish(&self, home: &Arc<Home>, stanza: Stanza, targets: Targets, origin: Option<&SessionRef>) {
        match targets {
            Targets::Sessions(_) | Targets::Offline | Targets::Nobody => {}
            Targets::Bounce(error) => self.bounce(&stanza, error, origin).await,
            Targets::Account => match stanza.kind() {
                Kind::Presence(_) => Box::pin(presence::inbound(self, home, stanza)).await,
                _ => {
                    let own = stanza.from().is_some_and(|from| from.to_bare() == home.jid);
                    Box::pin(self.answer(if own { To::Account } else { To::Contact }, stanza, origin)).await;
                }
            },
        }
    }

    /// What only sessions could get finds nobody in a home that is not in memory, so it does not load one: a log-in with a thousand contacts is
    /// cheap, and so is a headline.
    async fn home_for(&self, account: &BareJid, stanza: &Stanza) -> Result<Option<Arc<Home>>, StoreError> {
        if is_for_sessions_only(stanza) { Ok(self.0.homes.peek(account)) } else { self.0.homes.get(account).await }
    }

    /// RFC 6121 §8.5.1. Nobody finds out which accounts there are: the stanza takes the way to an account that nobody has ever seen, whose
    /// stages and answers are those of one that exists and has no resources. What that one would keep is dropped ("MUST either (a) silently ignore
    /// the message or (b) return an error stanza").
    async fn no_such_account(&self, to: &BareJid, mut stanza: Stanza, origin: Option<&SessionRef>) {
        let moment = self.moment(&stanza);
        let (verdict, targets) = {
            let account = Account::new(to.clone(), Vec::new(), Vec::new());
            let targets = account.targets(&stanza);
            let walk = Walk { account: &account, sender: None, targets: &targets, moment: &moment };
            // Without effects: nobody is there to keep a message or to be notified of it.
            let (verdict, _) = pipeline::walk(pipeline::INBOUND, &walk, &mut stanza);
            (verdict, targets)
        };
        match (verdict, targets) {
            (Verdict::Bounce(error), _) | (Verdict::Pass, Targets::Bounce(error)) => self.bounce(&stanza, error, origin).await,
            (Verdict::Pass, Targets::Account) => match stanza.kind() {
                Kind::Presence(PresenceType::Probe) => Box::pin(presence::probe_of_nobody(self, &stanza)).await,
                Kind::Presence(_) => {}
                _ => self.answer(To::Contact, stanza, origin).await,
            },
            (Verdict::Drop, _) | (Verdict::Pass, Targets::Sessions(_) | Targets::Offline | Targets::Nobody) => {}
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

    async fn perform(&self, home: &Arc<Home>, effects: Effects, stanza: &Stanza) {
        if let (true, Some(from)) = (effects.visited, stanza.from()) {
            interest::visited(self, &home.jid, from);
        }
        // What goes through a room is seen there, between the real addresses.
        if let Some(account) = effects.observed_from
            && !stanza.to().is_some_and(|to| matches!(self.service(to.domain()), Some(Host::Muc(_))))
        {
            self.0.calls.observe(stanza, Some(&account), Instant::now());
        }
        if let Some(event) = effects.push {
            Box::pin(push::notify(self, home, *event)).await;
        }
        if let Some(displayed) = effects.displayed {
            Box::pin(mds::keep(self, home, *displayed)).await;
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

/// What came of a stanza at its addressee's home.
struct Arrival {
    verdict: Verdict,
    targets: Targets,
    effects: Effects,
}

/// Whether an account without sessions answers such a stanza as one does that nobody has ever seen, and keeps nothing of it.
fn is_for_sessions_only(stanza: &Stanza) -> bool {
    match stanza.kind() {
        Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => true,
        // XEP-0357 §8: a push service may say by any message that a device is not to be notified any more.
        Kind::Message(MessageType::Headline | MessageType::Groupchat) => stanza.child(ns::PUBSUB, "pubsub").is_none(),
        _ => false,
    }
}

/// A session that makes room for another.
struct Predecessor {
    id: SessionId,
    jid: FullJid,
    mailbox: Arc<Mailbox>,
}

/// Gives the newcomer its place, or names the session that must go first: the one that has its resource, or, where the account has as many as it
/// may have, the one that has waited longest to be resumed.
fn place(account: &mut Account, newcomer: &mut Option<Session>, limits: &Limits) -> Result<Option<Predecessor>, StanzaError> {
    let Some(resource) = newcomer.as_ref().map(|session| session.jid.resource_str()) else { return Ok(None) };
    let old = match account.resource(resource) {
        None if account.sessions.len() >= limits.sessions_per_account => {
            let oldest = account.sessions.iter().filter(|own| own.hibernated.is_some()).min_by_key(|own| own.hibernated);
            let full = || StanzaError::resource_constraint().with_text("the account has as many sessions as it may have");
            Some(oldest.ok_or_else(full)?)
        }
        old => old,
    };
    if let Some(old) = old {
        return Ok(Some(Predecessor { id: old.id, jid: old.jid.clone(), mailbox: old.mailbox.clone() }));
    }
    account.sessions.extend(newcomer.take());
    Ok(None)
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
