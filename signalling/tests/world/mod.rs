//! A router of `localhost` with features and a database, and clients that are not connected to any network: what routing tests share.

pub mod doap;
pub mod nodes;
pub mod rooms;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use campanile_config::Contact;
use campanile_relay::{CallId, Relay, SessionTag, Settings, Transport};
use campanile_signalling::administration::Administration;
use campanile_signalling::auth::{Authenticator, Password, PerHour, ScramSet};
use campanile_signalling::features::Features;
use campanile_signalling::features::extdisco::Extdisco;
use campanile_signalling::jid::{BareJid, FullJid};
use campanile_signalling::jingle::{Allocations, CallsService, Offering};
use campanile_signalling::mailbox::{Mailbox, Outgoing};
use campanile_signalling::muc::{self, Muc};
use campanile_signalling::pubsub::{self, PubSub};
use campanile_signalling::router::{Limits, Metrics, Router};
use campanile_signalling::session::SessionRef;
use campanile_signalling::stanza::{Framing, Stanza};
use campanile_signalling::store::Store;
use campanile_signalling::xml::Bindings;
use campanile_signalling::{features, jingle};
use sqlx::Connection as _;

/// A router of `localhost` with its database in a folder of its own.
pub struct World {
    pub router: Router,
    pub store: Store,
    pub calls: Arc<CallsService>,
    pub extdisco: Arc<Extdisco>,
    pub administration: Arc<Administration>,
    pub pubsub: Arc<PubSub>,
    pub muc: Arc<Muc>,
    /// How many sessions the relay was told to be over.
    pub relay_ended: Ended,
    registry: prometheus::Registry,
    mailbox_bytes: usize,
    folder: PathBuf,
}

/// Keeps the account of a home to itself: whoever is to do something with it waits, until this is dropped.
pub struct Holding {
    _release: Sender<()>,
}

/// Counts the sessions that are over; there are no allocations.
#[derive(Clone, Default)]
pub struct Ended(Arc<AtomicUsize>);

impl Ended {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Allocations for Ended {
    fn link(&self, _: &BareJid, _: SocketAddr, _: CallId) -> bool {
        false
    }

    fn offer(&self, _: &Offering) {}

    fn accept_call(&self, _: CallId) {}

    fn end_call(&self, _: CallId) {}

    fn begin_session(&self, _: &FullJid, _: SessionTag) {}

    fn end_session(&self, _: SessionTag) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client: its session and what it was sent.
pub struct Client {
    pub router: Router,
    pub session: SessionRef,
    pub mailbox: Arc<Mailbox>,
}

/// Contact addresses of each kind that tests look at.
pub fn contact() -> Contact {
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a URI")).collect();
    Contact {
        abuse: addresses(&["mailto:abuse@{domain}", "xmpp:abuse@{domain}"]),
        admin: addresses(&["mailto:root@{domain}", "xmpp:root@{domain}", "https://example.org/"]),
        ..Contact::default()
    }
}

impl World {
    pub async fn new(name: &str, accounts: &[&str]) -> Self {
        let limits = Limits {
            sessions_per_account: 4,
            roster_items: 3,
            directed_presences: 2,
            roster_bytes: 10_000,
            accounts_cached: 8,
            blocked_jids: 3,
            offline_messages: 5,
            archive_page: 20,
            archive_page_bytes: 20_000,
            ..Limits::default()
        };
        Self::within(name, accounts, limits, 100_000).await
    }

    /// The same with other limits.
    pub async fn within(name: &str, accounts: &[&str], limits: Limits, mailbox_bytes: usize) -> Self {
        Self::with_pubsub(name, accounts, limits, mailbox_bytes, pubsub::host::Limits::default()).await
    }

    /// The same with other limits of publish-subscribe, too.
    pub async fn with_pubsub(
        name: &str,
        accounts: &[&str],
        limits: Limits,
        mailbox_bytes: usize,
        pubsub_limits: pubsub::host::Limits,
    ) -> Self {
        Self::build(name, accounts, limits, mailbox_bytes, pubsub_limits, muc::host::Limits::default()).await
    }

    /// With these limits of rooms.
    pub async fn with_rooms(name: &str, accounts: &[&str], mailbox_bytes: usize, muc_limits: muc::host::Limits) -> Self {
        Self::build(name, accounts, Limits::default(), mailbox_bytes, pubsub::host::Limits::default(), muc_limits).await
    }

    async fn build(
        name: &str,
        accounts: &[&str],
        limits: Limits,
        mailbox_bytes: usize,
        pubsub_limits: pubsub::host::Limits,
        muc_limits: muc::host::Limits,
    ) -> Self {
        let folder = std::env::temp_dir().join(format!("campanile-routing-{}-{name}", std::process::id()));
        let store = Store::open(&format!("sqlite:{}", folder.join("db").display()), &folder).await.expect("a new database");
        let password = Password::prepare("pw").expect("a password");
        let keys = ScramSet::derive(&password, &[7; 32]);
        for account in accounts {
            let jid = BareJid::new(account, "localhost").expect("a JID");
            store.accounts().create(&jid, &keys).await.expect("a new account");
        }
        Self::over(store, folder, limits, mailbox_bytes, pubsub_limits, muc_limits)
    }

    /// What the next start has: the same database, and nothing in memory. The first world stays, as its folder goes with it.
    pub fn next(&self) -> Self {
        let pubsub_limits = self.pubsub.settings().limits;
        let muc_limits = self.muc.settings().limits;
        let limits = *self.router.limits();
        Self::over(self.store.clone(), PathBuf::new(), limits, self.mailbox_bytes, pubsub_limits, muc_limits)
    }

    fn over(
        store: Store,
        folder: PathBuf,
        limits: Limits,
        mailbox_bytes: usize,
        pubsub_limits: pubsub::host::Limits,
        muc_limits: muc::host::Limits,
    ) -> Self {
        let registry = prometheus::Registry::new();
        let relay_ended = Ended::default();
        let calls =
            Arc::new(CallsService::new(jingle::Limits::default(), &registry, Box::new(relay_ended.clone())).expect("fresh metrics"));
        let router = Router::new(
            vec!["localhost".to_owned()],
            store.clone(),
            calls.clone(),
            limits,
            Metrics::new(&registry).expect("fresh metrics"),
        );
        let relay = Relay::start(Settings { udp: Vec::new(), tcp: Vec::new(), workers: 1, ..Settings::default() })
            .expect("a relay without listeners");
        let rates = PerHour { source: 100, all: 100 };
        let authenticator = Authenticator::new(&store, 2, rates).expect("a new secret");
        let day = Duration::from_secs(86_400);
        let reserved = vec![BareJid::new("root", "localhost").expect("a JID")];
        let registrations = PerHour { source: 6, all: 100 };
        let administration = Administration::new(router.clone(), authenticator, relay.clone(), day, reserved, registrations);
        let administration = Arc::new(administration);
        let list = features::extdisco::services(&[(Transport::Udp, 3478)], &["turn.localhost".to_owned()]);
        let services = features::extdisco::Services { list, anonymous: false };
        let admins = vec![BareJid::new("root", "localhost").expect("a JID")];
        let settings = pubsub::Settings::new(&Default::default(), &["localhost".to_owned()], admins, pubsub_limits);
        let pubsub = PubSub::new(router.clone(), settings, pubsub::Metrics::new(&registry).expect("fresh metrics"));
        let admins = vec![BareJid::new("root", "localhost").expect("a JID")];
        let settings = muc::Settings::new(&Default::default(), true, &["localhost".to_owned()], admins, muc_limits);
        let muc = Muc::new(router.clone(), settings, muc::Metrics::new(&registry).expect("fresh metrics"));
        let features = features::register(&router, administration.clone(), relay, services, pubsub, muc, &contact());
        let Features { extdisco, pubsub, muc } = features;
        Self { router, store, calls, extdisco, administration, pubsub, muc, relay_ended, registry, mailbox_bytes, folder }
    }

    pub async fn client(&self, account: &str, resource: &str) -> Client {
        let mailbox = Arc::new(Mailbox::new(self.mailbox_bytes));
        let jid = BareJid::new(account, "localhost").expect("a JID");
        let session = self.router.bind(&jid, Some(resource), mailbox.clone(), Instant::now()).await.expect("binds");
        Client { router: self.router.clone(), session, mailbox }
    }

    /// Holds the account of an online client from now on. What waits keeps its thread: the test's runtime must have others.
    pub fn hold(&self, client: &Client) -> Holding {
        let home = self.router.home_in_memory(&client.session.jid.to_bare()).expect("online");
        let (release, released) = mpsc::channel();
        let (taken, is_taken) = mpsc::channel();
        std::thread::spawn(move || {
            home.with(|_| {
                taken.send(()).expect("the test waits for it");
                // An error is the end as well.
                let _: Result<(), _> = released.recv();
            });
        });
        is_taken.recv().expect("the thread has it");
        Holding { _release: release }
    }

    /// Keeps everybody else from writing to the database, until this is rolled back or dropped.
    pub async fn hold_database(&self) -> sqlx::SqliteConnection {
        let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", self.folder.join("db").display())).await.expect("opens");
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("nobody else writes");
        connection
    }

    /// Changes the database behind the server's back.
    pub async fn sql(&self, statement: &'static str) {
        let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", self.folder.join("db").display())).await.expect("opens");
        sqlx::query(statement).execute(&mut connection).await.expect("is executed");
    }

    /// What a counter of `/metrics` says.
    pub fn counted(&self, name: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap_or_else(|| panic!("no {name}"));
        family.get_metric().iter().map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Waits until subscribers have been told of all that has happened at nodes, and occupants of all that has happened in rooms.
    pub async fn settled(&self) {
        self.muc.settled().await;
        self.pubsub.settled().await;
        self.muc.settled().await;
    }

    /// A client that has sent initial presence and forgotten what came of it.
    pub async fn online(&self, account: &str, resource: &str) -> Client {
        let client = self.client(account, resource).await;
        client.send("<presence/>").await;
        client.received();
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty() {
            // The folder is in the system's temporary directory: what cannot be removed is removed there.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Client {
    pub async fn send(&self, xml: &str) {
        let stanza = Stanza::parse(xml.to_owned().into(), &Bindings::client()).unwrap_or_else(|error| panic!("{error:?} in {xml}"));
        self.router.handle(&self.session, stanza.with_from(self.session.jid.clone())).await;
    }

    /// Everything since the last look, one string for each stanza.
    pub fn received(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.mailbox.drain(&mut out);
        out.into_iter()
            .filter_map(|item| match item {
                Outgoing::Stanza(delivery) => Some(String::from_utf8(delivery.stanza.to_bytes(Framing::Stream).to_vec()).expect("UTF-8")),
                Outgoing::Owed => None,
                Outgoing::Close(error) => Some(format!("close: {}", error.condition)),
            })
            .collect()
    }

    pub fn forget(&self) {
        drop(self.received());
    }

    /// Sends a stanza and gives what came of it.
    pub async fn ask(&self, xml: &str) -> Vec<String> {
        self.forget();
        self.send(xml).await;
        self.received()
    }

    #[track_caller]
    pub fn expect(&self, parts: &[&[&str]]) {
        let received = self.received();
        assert_eq!(received.len(), parts.len(), "{} got {received:#?}", self.session.jid);
        for (stanza, parts) in received.iter().zip(parts) {
            for part in *parts {
                assert!(stanza.contains(part), "{} misses {part} in {stanza}", self.session.jid);
            }
        }
    }
}

/// Makes two accounts contacts of each other, whose clients are online.
pub async fn befriend(a: &Client, b: &Client) {
    a.send(&format!("<presence type='subscribe' to='{}'/>", b.session.jid.to_bare())).await;
    b.send(&format!("<presence type='subscribed' to='{}'/>", a.session.jid.to_bare())).await;
    b.send(&format!("<presence type='subscribe' to='{}'/>", a.session.jid.to_bare())).await;
    a.send(&format!("<presence type='subscribed' to='{}'/>", b.session.jid.to_bare())).await;
    a.received();
    b.received();
}
