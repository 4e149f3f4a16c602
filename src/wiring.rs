//! Builds every part in order and joins them: the only file that knows all crates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use campanile_config::{ArchiveDefault, Config, Fence};
use campanile_relay::{Network, Relay, Transport};
use campanile_signalling::administration::Administration;
use campanile_signalling::auth::{Authenticator, PerHour};
use campanile_signalling::features::extdisco::{self, Extdisco};
use campanile_signalling::features::{self, Features};
use campanile_signalling::jid::{BareJid, FullJid, Jid};
use campanile_signalling::jingle::{self, CallsService};
use campanile_signalling::muc::{self, Muc};
use campanile_signalling::net::connection::{self, Context, Mode};
use campanile_signalling::net::http::{self, Http};
use campanile_signalling::net::listener::{Front, Listeners, Listening};
use campanile_signalling::net::metrics::Metrics as NetMetrics;
use campanile_signalling::net::mux::Mux;
use campanile_signalling::net::sources::Sources;
use campanile_signalling::net::tls::{self, Certificates};
use campanile_signalling::pubsub::{self, PubSub};
use campanile_signalling::retention::{self, Keep};
use campanile_signalling::router::{self, Router};
use campanile_signalling::store::{Policy, Store, StoreError};
use campanile_signalling::stream::c2s;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::health::Readiness;
use crate::admin::metrics::Metrics;
use crate::admin::numbers;
use crate::admin::{self, Pages};
use crate::control::{self, Answer, Control, Request};
use crate::draining::Draining;
use crate::lock::DataDir;
use crate::public::{self, Answers, Change, Resolver, Wanted};
use crate::{names, pages};

/// How often certificate files are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(5);
/// How long streams have to end in, of the ten seconds of an orderly stop.
const STREAMS_END_WITHIN: Duration = Duration::from_secs(6);
/// Sessions in one answer to the command line: their addresses, of 3 kB at most, must not outgrow a line.
const SESSIONS_PAGE: usize = 16;
/// How long writing the sessions that may be resumed takes at most, of those ten.
const SESSIONS_STORED_WITHIN: Duration = Duration::from_secs(2);
/// The same for telling subscribers what was published, and occupants what was said.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// The same for answers to the operator.
const ADMIN_ENDS_WITHIN: Duration = Duration::from_secs(2);

/// The running server.
pub struct Server {
    certificates: Certificates,
    context: Arc<Context>,
    /// Of clients.
    listeners: Listeners,
    /// Of the operator's HTTP, which outlives them in a stop.
    admin: Listeners,
    relay: Relay,
    router: Router,
    store: Store,
    readiness: Arc<Readiness>,
    draining: Arc<Draining>,
    addresses: Addresses,
    /// What the configuration says of our own addresses.
    wanted: watch::Sender<Wanted>,
    extdisco: Arc<Extdisco>,
    pubsub: Arc<PubSub>,
    muc: Arc<Muc>,
    /// Ends what belongs to the server itself: control socket, watchers.
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _data_dir: DataDir,
}

/// Where each service listens, by its name in the line `ready`.
#[derive(Debug, Default)]
pub struct Addresses {
    mux: Vec<SocketAddr>,
    c2s: Vec<SocketAddr>,
    direct_tls: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    turn_udp: Vec<SocketAddr>,
    turn_tcp: Vec<SocketAddr>,
    turn_tls: Vec<SocketAddr>,
}

impl Server {
    /// Starts everything. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The first part that cannot start, with the key to look at; nothing is left running then.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        if let Some(domain) = names::not_of_addresses(config).next() {
            anyhow::bail!("server.domains: {domain} has characters that RFC 7622 does not allow in an address");
        }
        let data_dir = DataDir::claim(&config.server.data_dir)?;
        let metrics = Metrics::new()?;
        let registry = metrics.registry().clone();
        let store = Store::open(&config.storage.url, data_dir.path()).await.context("storage")?;
        store.archive().set_policy(archive_policy(config));
        let certificates = Certificates::load(certificate_settings(config)).context("tls")?;

        let resolver = public::system();
        let (public, public_addresses) = public::start(&wanted(config), &resolver).await?;
        let settings = campanile_relay::Settings { public_addresses, ..relay_settings(config, &store, &certificates).await? };
        let relay = Relay::start(settings).context("turn")?;
        metrics.numbers({
            let relay = relay.clone();
            move || numbers::relay(&relay.stats())
        })?;
        let calls = CallsService::new(call_limits(config), &registry, Box::new(relay.clone()))?;
        let calls = Arc::new(calls);

        let router = Router::new(
            config.server.domains.clone(),
            store.clone(),
            calls.clone(),
            router_limits(config),
            router::Metrics::new(&registry)?,
        );
        // Open, but not served yet: what clients are told includes its port.
        let mux = config.server.mux.iter().map(|address| Listening::open("mux", *address)).collect::<Result<Vec<_>, _>>();
        let mux = mux.context("server.mux")?;
        let turn = names::turn_ports(config, &relay.services(), &mux.iter().map(Listening::local).collect::<Vec<_>>());
        let services = extdisco::services(&turn, &names::turn_hosts(config));
        let limits = &config.limits;
        let anonymous = PerHour { source: limits.anonymous_per_source, all: limits.anonymous_per_hour };
        let authenticator = Authenticator::new(&store, limits.auth_concurrency, anonymous)?;
        let administration = Arc::new(Administration::new(
            router.clone(),
            authenticator.clone(),
            relay.clone(),
            Duration::from_secs(config.turn.credentials_s),
            admins(config),
            PerHour { source: limits.registrations_per_source, all: limits.registrations_per_hour },
        ));
        let told = extdisco::Services { list: services.clone(), anonymous: config.turn.anonymous };
        let pubsub = PubSub::new(router.clone(), pubsub_settings(config), pubsub::Metrics::new(&registry)?);
        let muc = Muc::new(router.clone(), muc_settings(config), muc::Metrics::new(&registry)?);
        let features = features::register(&router, administration.clone(), relay.clone(), told, pubsub, muc, &config.server.contact);
        let Features { extdisco, pubsub, muc } = features;
        // Before anything is stored or resumed for them.
        administration.clear_anonymous().await.context("storage")?;

        let net_metrics = NetMetrics::new(&registry)?;
        let sources = Sources::new(config.limits.connections_per_source, config.limits.connections);
        let listeners = Listeners::new(sources, net_metrics.clone());
        metrics.numbers({
            let authenticator = authenticator.clone();
            move || numbers::auth(&authenticator.stats())
        })?;
        metrics.numbers({
            let router = router.clone();
            move || numbers::mailboxes(router.unacknowledged())
        })?;
        metrics.numbers({
            let pubsub = pubsub.clone();
            move || numbers::nodes(pubsub.nodes_in_memory(), pubsub.tasks())
        })?;
        metrics.numbers({
            let muc = muc.clone();
            move || numbers::rooms(&muc.counts())
        })?;
        let context = Arc::new(Context::new(
            router.clone(),
            authenticator,
            administration.clone(),
            &certificates,
            net_metrics,
            listeners.stopping().clone(),
            c2s::Policy::new(
                config.server.domains.clone(),
                &config.c2s,
                &config.auth,
                &config.limits,
                features::stream_features(&router, &config.server.contact),
            ),
            connection::Limits::new(&config.limits),
        )?);

        let readiness = Arc::new(readiness(&store));
        let draining = Draining::new(context.clone(), relay.clone(), calls.clone(), readiness.clone(), config.server.drain_s);
        let draining = Arc::new(draining);
        metrics.numbers({
            let draining = draining.clone();
            move || numbers::draining(draining.has_begun())
        })?;
        let mut server = Self {
            certificates: certificates.clone(),
            context: context.clone(),
            listeners: listeners.clone(),
            admin: Listeners::new(Sources::new(0, admin::CONNECTIONS_MAX), listeners.metrics().clone()),
            readiness,
            draining: draining.clone(),
            relay: relay.clone(),
            router: router.clone(),
            store,
            addresses: Addresses::default(),
            wanted: watch::Sender::new(wanted(config)),
            extdisco: extdisco.clone(),
            pubsub,
            muc,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            _data_dir: data_dir,
        };
        let control = Control::bind(&server._data_dir)?;
        let restored = router.restore_sessions(config.limits.mailbox_bytes).await.context("sessions of the last stop")?;
        if restored > 0 {
            tracing::info!(sessions = restored, "sessions of the last stop can be resumed");
        }
        let occupants = server.muc.restore_occupants().await.context("occupants of rooms at the last stop")?;
        if occupants > 0 {
            tracing::info!(occupants, "sessions are in their rooms again");
        }
        server.listen(config, &context, mux)?;
        server.follow_addresses(public, resolver, turn);
        server.serve_admin(config, &Pages { metrics, readiness: server.readiness.clone() })?;
        server.expire_messages(router.clone(), keep(config));
        let hibernation = router.clone();
        let handler = {
            let administration = administration.clone();
            move |request| control_request(router.clone(), administration.clone(), draining.clone(), request)
        };
        server.tasks.spawn(control.serve(handler, server.stop.clone()));
        server.watch(certificates, calls, hibernation, Duration::from_secs(config.turn.credentials_s));
        let stop = server.stop.clone();
        server.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = administration.run() => {} }
        });
        Ok(server)
    }

    /// Opens the listeners of clients. The relay's are open already, and `mux`.
    fn listen(&mut self, config: &Config, context: &Arc<Context>, mux: Vec<Listening>) -> anyhow::Result<()> {
        for (key, addresses, mode, into) in [
            ("c2s.listen", &config.c2s.listen, Mode::StartTls, &mut self.addresses.c2s),
            ("c2s.direct_tls", &config.c2s.direct_tls, Mode::DirectTls, &mut self.addresses.direct_tls),
        ] {
            for address in addresses {
                let front = Front::header(&config.c2s.proxy_protocol);
                into.push(connection::listen(&self.listeners, context, *address, front, mode).context(key)?);
            }
        }
        let http = Http::new(
            context.clone(),
            self.listeners.clone(),
            self.certificates.clone(),
            http::Settings::new(&config.http, default_domain(config)?),
        );
        let routes = http.routes().merge(pages::routes());
        // TLS first: the clear listener's host-meta names its port.
        for (key, addresses, tls, into) in [
            ("http.tls_listen", &config.http.tls_listen, true, &mut self.addresses.https),
            ("http.listen", &config.http.listen, false, &mut self.addresses.http),
        ] {
            for address in addresses {
                into.push(http.listen(*address, tls, routes.clone()).context(key)?);
            }
        }
        if !mux.is_empty() {
            let behind = Mux::new(context.clone(), &self.certificates, http, routes, self.relay.clone()).context("server.mux")?;
            for listening in mux {
                self.addresses.mux.push(listening.local());
                behind.serve(&self.listeners, listening, Front::header(&config.server.proxy_protocol));
            }
        }
        let turn = self.relay.services();
        for (transport, into) in [
            (Transport::Udp, &mut self.addresses.turn_udp),
            (Transport::Tcp, &mut self.addresses.turn_tcp),
            (Transport::Tls, &mut self.addresses.turn_tls),
        ] {
            into.extend(turn.iter().filter(|service| service.transport == transport).map(|service| service.local));
        }
        for (service, addresses) in self.addresses.each() {
            for address in addresses {
                self.readiness.serving(&format!("{service} {address}"));
            }
        }
        Ok(())
    }

    fn serve_admin(&mut self, config: &Config, pages: &Pages) -> anyhow::Result<()> {
        for address in &config.admin.listen {
            self.addresses.admin.push(admin::listen(&self.admin, *address, pages.clone()).context("admin.listen")?);
        }
        Ok(())
    }

    /// Certificate files, calls that wait too long, sessions that nobody resumes, and credentials of that life.
    fn watch(&mut self, certificates: Certificates, calls: Arc<CallsService>, router: Router, credentials: Duration) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(CERTIFICATES_EVERY);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => {
                        let certificates = certificates.clone();
                        if let Err(error) = tokio::task::spawn_blocking(move || certificates.poll()).await {
                            tracing::error!(%error, "the certificate files could not be looked at");
                        }
                    }
                }
            }
        });
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = calls.run() => {} }
        });
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = router.run_hibernation() => {}, () = router.run_asked() => {} }
        });
        let (stop, pubsub) = (self.stop.clone(), self.pubsub.clone());
        self.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = pubsub.run() => {} }
        });
        let (stop, extdisco) = (self.stop.clone(), self.extdisco.clone());
        self.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = extdisco.run(credentials) => {} }
        });
    }

    /// The addresses of this machine as the outside sees them, which may change; `turn` is at which ports clients reach the relay.
    fn follow_addresses(&mut self, answers: Answers, resolver: Resolver, turn: Vec<(Transport, u16)>) {
        let (relay, extdisco) = (self.relay.clone(), self.extdisco.clone());
        let tell = move |change: &Change| {
            relay.set_public_addresses(&change.own);
            extdisco.replace(extdisco::services(&turn, &change.hosts), change.before != change.now);
        };
        self.tasks.spawn(public::run(answers, self.wanted.subscribe(), resolver, tell, self.stop.clone()));
    }

    /// Deletes messages that are too old, from now on.
    fn expire_messages(&mut self, router: Router, keep: Keep) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = retention::run(router, keep) => {} }
        });
    }

    /// Where the services listen.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What clients are told by XEP-0215, in one line.
    pub fn told(&self) -> String {
        let services = self.extdisco.services();
        let told = services.iter().map(|service| format!("{}:{}:{}/{}", service.kind, service.host, service.port, service.transport));
        told.collect::<Vec<_>>().join(" ")
    }

    /// Ends when a server that drains (`campanile drain`) may end; never, unless it does.
    pub async fn drained(&self) {
        self.draining.ended().await;
    }

    /// Takes over what may change while the server runs (`config/src/live.rs`).
    pub async fn reload(&self, config: &Config) {
        self.context.reload(&config.c2s, &config.auth, &config.limits);
        self.store.archive().set_policy(archive_policy(config));
        self.draining.reload(config.server.drain_s);
        self.pubsub.settings().hosts.set_create(config.pubsub.create);
        self.muc.settings().hosts.set_create(config.muc.create);
        self.muc.settings().set_archived(archives_rooms(config));
        // Clients are told when names have been looked up.
        self.wanted.send_replace(wanted(config));
        let (certificates, settings) = (self.certificates.clone(), certificate_settings(config));
        // Each pair that cannot be used is logged where it is read, and the old one stays.
        if let Err(error) = tokio::task::spawn_blocking(move || certificates.reload(Some(settings))).await {
            tracing::error!(%error, "the certificates could not be read again");
        }
    }

    /// Ends everything in order: clients are told, the relay closes, the database is written.
    pub async fn shutdown(mut self) {
        self.readiness.stopping();
        // While those who will not come back can still be told.
        if tokio::time::timeout(TOLD_WITHIN, self.muc.shut_down()).await.is_err() {
            tracing::warn!("not everybody was told that the rooms shut down");
        }
        self.listeners.shutdown(STREAMS_END_WITHIN).await;
        // What was published is for the sessions that are stored next.
        let told = async { tokio::join!(self.pubsub.settled(), self.muc.settled()) };
        if tokio::time::timeout(TOLD_WITHIN, told).await.is_err() {
            tracing::warn!("not everybody was told what was published or said last");
        }
        tokio::join!(self.store_sessions(), self.admin.shutdown(ADMIN_ENDS_WITHIN));
        self.stop.cancel();
        self.relay.shutdown().await;
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the server ended badly");
            }
        }
        self.store.close().await;
    }
}

impl Server {
    /// What is not written in time is lost as by a crash: messages come back from the store.
    async fn store_sessions(&self) {
        let stored = async {
            let sessions = self.router.store_sessions().await?;
            // Those whose sessions have ended have left.
            self.muc.store_occupants().await?;
            Ok::<_, StoreError>(sessions)
        };
        match tokio::time::timeout(SESSIONS_STORED_WITHIN, stored).await {
            Ok(Ok(0)) => {}
            Ok(Ok(sessions)) => tracing::info!(sessions, "sessions can be resumed after the next start"),
            Ok(Err(error)) => tracing::error!(%error, "sessions cannot be resumed after the next start"),
            Err(_) => tracing::error!("sessions cannot be resumed after the next start: the database takes too long"),
        }
    }
}

impl Addresses {
    fn each(&self) -> [(&'static str, &[SocketAddr]); 9] {
        [
            ("mux", &self.mux),
            ("c2s", &self.c2s),
            ("direct_tls", &self.direct_tls),
            ("http", &self.http),
            ("https", &self.https),
            ("admin", &self.admin),
            ("turn_udp", &self.turn_udp),
            ("turn_tcp", &self.turn_tcp),
            ("turn_tls", &self.turn_tls),
        ]
    }

    /// The line that says that the server serves; a service that is switched off has no field.
    pub fn log_ready(&self) {
        let [mux, c2s, direct_tls, http, https, admin, turn_udp, turn_tcp, turn_tls] = self.each().map(|(_, addresses)| joined(addresses));
        tracing::info!(mux, c2s, direct_tls, http, https, admin, turn_udp, turn_tcp, turn_tls, "ready");
    }
}

fn joined(addresses: &[SocketAddr]) -> Option<String> {
    let texts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    if texts.is_empty() { None } else { Some(texts.join(",")) }
}

/// What the command line asks of the running server.
async fn control_request(router: Router, administration: Arc<Administration>, draining: Arc<Draining>, request: Request) -> Answer {
    let done = |result: Result<usize, StoreError>| match result {
        Ok(sessions_ended) => Answer::Done { sessions_ended },
        Err(error) => Answer::Error {
            message: format!("its sessions have ended, but its TURN credentials may be good again after a restart: {error}"),
        },
    };
    let account =
        |text: &str| BareJid::parse(text).map_err(|error| Answer::Error { message: format!("{text} is no account's address: {error}") });
    let answer = async {
        Ok::<_, Answer>(match request {
            Request::Status => Answer::Status { version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() },
            Request::PasswordChanged { account: text } => done(administration.password_changed(&account(&text)?).await),
            Request::AccountDeleted { account: text } => done(administration.removed(&account(&text)?).await),
            Request::AccountDisabled { account: text } => done(administration.disabled(&account(&text)?).await),
            Request::AccountEnabled { account: text } => {
                administration.enabled(&account(&text)?);
                Answer::Done { sessions_ended: 0 }
            }
            Request::Kick { address, reason } => {
                let jid = Jid::parse(&address).map_err(|error| Answer::Error { message: format!("{address} is no address: {error}") })?;
                let full = FullJid::try_from(jid.clone()).ok();
                Answer::Done { sessions_ended: administration.kick(&jid.to_bare(), full.as_ref(), reason).await }
            }
            Request::Drain => draining.begin(),
            Request::DrainProgress => draining.progress(),
            Request::Sessions { account: text, after } => {
                let account = text.as_deref().map(account).transpose()?;
                let sessions = router.sessions(account.as_ref(), after.as_deref(), SESSIONS_PAGE);
                let session = |info: router::SessionInfo| control::Session { address: info.jid.to_string(), priority: info.priority };
                Answer::Sessions { more: sessions.len() == SESSIONS_PAGE, sessions: sessions.into_iter().map(session).collect() }
            }
        })
    };
    answer.await.unwrap_or_else(|refusal| refusal)
}

fn readiness(store: &Store) -> Readiness {
    let store = store.clone();
    Readiness::new(Box::new(move || {
        let store = store.clone();
        Box::pin(async move { store.healthy().await.map_err(|error| error.to_string()) })
    }))
}

fn certificate_settings(config: &Config) -> tls::Settings {
    tls::Settings::new(&config.tls, names::of_self_made_certificate(config), &config.server.data_dir)
}

async fn relay_settings(config: &Config, store: &Store, certificates: &Certificates) -> anyhow::Result<campanile_relay::Settings> {
    let secret = store.secrets().get_or_create("turn", 32)?;
    let key = secret.as_slice().try_into().context("the secret `turn` in data_dir is not 32 bytes long")?;
    let limits = &config.limits;
    let life = Duration::from_secs(config.turn.credentials_s);
    let revoked = store.revocations().load(SystemTime::now(), life).await?;
    let network = |network: &campanile_config::Network| Network::new(network.address(), network.prefix());
    Ok(campanile_relay::Settings {
        udp: config.turn.udp.clone(),
        nat_discovery: config.turn.nat_discovery.as_slice().try_into().ok(),
        tcp: config.turn.tcp.clone(),
        tls: config.turn.tls.clone(),
        tls_config: Some(certificates.server_config(&[])?),
        proxies: config.turn.proxy_protocol.iter().filter_map(network).collect(),
        realm: default_domain(config)?.to_owned(),
        ports: config.turn.ports.first..=config.turn.ports.last,
        key,
        rest_secret: config.turn.secret.as_ref().map(|secret| secret.expose().to_owned()),
        credentials: life,
        revoked: revoked.into_iter().map(|(account, at)| (account.to_string(), at)).collect(),
        allow_peers: config.turn.allow_peers.iter().filter_map(network).collect(),
        deny_peers: config.turn.deny_peers.iter().filter_map(network).collect(),
        mobility: config.turn.mobility,
        fence: config.turn.fence == Fence::Session,
        limits: campanile_relay::Limits {
            allocations: limits.allocations,
            allocations_per_account: limits.allocations_per_account,
            permissions: limits.permissions,
            channels: limits.channels,
            permissions_per_account: limits.permissions_per_account,
            channels_per_account: limits.channels_per_account,
            bytes_per_second: limits.relay_bytes_per_second,
            early_bytes_per_second: limits.relay_early_bytes_per_second,
            answers_per_second: limits.stun_answers_per_second,
            answers_burst: limits.stun_answers_burst,
            allocations_per_source: limits.allocations_per_source,
            connections: limits.connections as usize,
            connections_per_source: limits.connections_per_source as usize,
            ..Default::default()
        },
        ..Default::default()
    })
}

fn wanted(config: &Config) -> Wanted {
    Wanted { addresses: config.server.public_address.clone(), hosts: names::turn_hosts(config) }
}

fn call_limits(config: &Config) -> jingle::Limits {
    jingle::Limits { calls_max: config.limits.calls, calls_per_account_max: config.limits.calls_per_account, ..Default::default() }
}

fn router_limits(config: &Config) -> router::Limits {
    router::Limits {
        sessions_per_account: config.limits.sessions_per_account,
        push_services: config.limits.push_services,
        roster_items: config.limits.roster_items,
        roster_bytes: config.limits.mailbox_bytes / 4,
        directed_presences: config.limits.roster_items,
        accounts_cached: config.limits.connections as usize,
        blocked_jids: config.limits.blocked_jids,
        private_bytes: config.limits.private_bytes,
        vcard_bytes: config.limits.vcard_bytes,
        resume: Duration::from_secs(config.limits.resume_s),
        offline_messages: config.limits.offline_messages,
        archive_page: config.limits.archive_page,
        archive_page_bytes: config.limits.mailbox_bytes / 8,
    }
}

fn pubsub_settings(config: &Config) -> pubsub::Settings {
    let limits = pubsub::host::Limits::new(&config.limits);
    pubsub::Settings::new(&config.pubsub, &config.server.domains, admins(config), limits)
}

fn muc_settings(config: &Config) -> muc::Settings {
    let limits = muc::host::Limits::new(&config.limits);
    muc::Settings::new(&config.muc, archives_rooms(config), &config.server.domains, admins(config), limits)
}

/// Rooms are no contacts of anybody.
fn archives_rooms(config: &Config) -> bool {
    config.archive.default == ArchiveDefault::Always
}

fn admins(config: &Config) -> Vec<BareJid> {
    config.server.admins.iter().filter_map(|jid| BareJid::parse(jid).ok()).collect()
}

fn archive_policy(config: &Config) -> Policy {
    match config.archive.default {
        ArchiveDefault::Always => Policy::Always,
        ArchiveDefault::Roster => Policy::Roster,
        ArchiveDefault::Never => Policy::Never,
    }
}

fn keep(config: &Config) -> Keep {
    let days = |number: u32| Duration::from_secs(u64::from(number) * 86_400);
    Keep { archive: days(config.archive.keep_days), offline: days(config.offline.keep_days) }
}

fn default_domain(config: &Config) -> anyhow::Result<&str> {
    config.server.domains.first().map(String::as_str).context("server.domains is empty")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control;
    use crate::lock::tests::Folder;

    const DAY: Duration = Duration::from_secs(86_400);

    fn config(folder: &Folder) -> Config {
        let local = || vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        config.storage.url = format!("sqlite:{}/campanile.db", folder.path().display());
        (config.c2s.listen, config.c2s.direct_tls) = (local(), local());
        (config.http.listen, config.http.tls_listen, config.admin.listen) = (local(), local(), local());
        (config.turn.udp, config.turn.tcp, config.turn.tls) = (local(), local(), local());
        config
    }

    #[tokio::test]
    async fn revocations_are_kept_and_loaded_at_the_start() {
        let folder = Folder::new();
        let config = config(&folder);
        let alice = BareJid::parse("alice@localhost").unwrap();
        let server = Server::start(&config).await.unwrap();
        let before = SystemTime::now();
        let request = Request::PasswordChanged { account: alice.to_string() };
        assert_eq!(control::ask(folder.path(), &request).await.unwrap(), Some(Answer::Done { sessions_ended: 0 }));
        server.shutdown().await;

        let store = Store::open(&config.storage.url, folder.path()).await.unwrap();
        let kept = store.revocations().load(SystemTime::now(), DAY).await.unwrap();
        assert!(kept.len() == 1 && kept[0].0 == alice && kept[0].1 + Duration::from_millis(1) > before, "{kept:?}");
        let certificates = Certificates::load(certificate_settings(&config)).unwrap();
        let settings = relay_settings(&config, &store, &certificates).await.unwrap();
        assert_eq!(settings.revoked, [(alice.to_string(), kept[0].1)]);
        assert!(settings.mobility);
        let fixed = Config { turn: campanile_config::Turn { mobility: false, ..config.turn.clone() }, ..config };
        assert!(!relay_settings(&fixed, &store, &certificates).await.unwrap().mobility);
        store.close().await;
    }
}
