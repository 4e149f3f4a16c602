//! The shell over real tasks: an in-memory pipe where the transport does not matter, loopback sockets where it does.

mod for_many;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use campanile_relay::{Relay, Settings};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::administration::Administration;
use crate::auth::{Authenticator, PerHour};
use crate::iq::IqTable;
use crate::jid::BareJid;
use crate::jingle::{self, CallsService};
use crate::net::metrics::Metrics;
use crate::net::sources::Sources;
use crate::net::tls::{self, Certificates};
use crate::router::{self, Router};
use crate::store::Store;
use crate::stream::c2s::{self, Policy};
use crate::xml;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    to='localhost' version='1.0'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
/// `\0romeo\0secret`
pub(crate) const PLAIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>";
pub(crate) const BIND: &str = "<iq xmlns='jabber:client' id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>orchard</resource></bind></iq>";

/// A server with the account `romeo`, password `secret`, in a folder of its own.
pub(crate) struct Server {
    pub(crate) context: Arc<Context>,
    pub(crate) listeners: Listeners,
    pub(crate) certificates: Certificates,
    registry: prometheus::Registry,
    folder: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).expect("the folder is ours");
    }
}

pub(crate) fn policy() -> Policy {
    let xml = |bytes_max| xml::Limits { bytes_max, depth_max: 20 };
    Policy {
        domains: vec!["localhost".into()],
        require_tls: true,
        registration: false,
        anonymous: false,
        features: Default::default(),
        limits: c2s::Limits {
            preauth: xml(2000),
            authenticated: xml(300_000),
            bytes_preauth: 20_000,
            negotiation: Duration::from_secs(30),
            auth_attempts: 3,
            keepalive: Duration::from_secs(300),
            ack_wait: Duration::from_secs(60),
        },
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(policy(), Limits::default()).await
    }

    pub(crate) async fn with(policy: Policy, limits: Limits) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("campanile-net-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.join("test.db").display()), &folder).await.unwrap();
        let rates = PerHour { source: 3, all: 100 };
        let authenticator = Authenticator::new(&store, 2, rates).unwrap();
        authenticator.create_account(&BareJid::parse("romeo@localhost").unwrap(), "secret").await.unwrap();
        let certificates =
            Certificates::load(tls::Settings { default: None, hosts: Vec::new(), names: Vec::new(), data_dir: folder.clone() }).unwrap();
        let registry = prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let listeners = Listeners::new(Sources::new(0, 0), metrics.clone());
        let stopping = listeners.stopping().clone();
        let router = router(&store);
        let relay = Relay::start(Settings { udp: Vec::new(), tcp: Vec::new(), workers: 1, ..Settings::default() }).unwrap();
        let administration = Administration::new(router.clone(), authenticator.clone(), relay, Duration::from_secs(1), Vec::new(), rates);
        let administration = Arc::new(administration);
        router.govern(administration.clone());
        let context = Context::new(router, authenticator, administration, &certificates, metrics, stopping, policy, limits).unwrap();
        Self { context: Arc::new(context), listeners, certificates, registry, folder }
    }

    /// A connection over a pipe of this size, on a transport that is believed to be TLS.
    pub(crate) fn connect(&self, transport: Transport, pipe: usize) -> Client<DuplexStream> {
        let (near, far) = tokio::io::duplex(pipe);
        self.listeners.spawn(run(
            self.context.clone(),
            Box::new(far),
            "192.0.2.1:1".parse().unwrap(),
            transport,
            ChannelBindings::default(),
            now(),
        ));
        Client { io: near, received: String::new() }
    }

    async fn logged_in(&self, pipe: usize) -> Client<DuplexStream> {
        let mut client = self.connect(Transport::DirectTls, pipe);
        client.log_in().await;
        client
    }

    fn connector(&self, alpn: &[u8]) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.folder.join("generated-cert.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config).into()
    }

    /// A TLS client that trusts this server's certificate.
    pub(crate) async fn tls<S: ByteStream>(&self, io: S, alpn: &[u8]) -> Client<tokio_rustls::client::TlsStream<S>> {
        Client { io: self.connector(alpn).connect("localhost".try_into().unwrap(), io).await.unwrap(), received: String::new() }
    }

    pub(crate) fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    fn bound_to(&self, mode: Mode) -> SocketAddr {
        listen(&self.listeners, &self.context, (Ipv4Addr::LOCALHOST, 0).into(), Front::default(), mode).unwrap()
    }
}

/// The client's end.
pub(crate) struct Client<S> {
    pub(crate) io: S,
    received: String,
}

impl<S: ByteStream> Client<S> {
    pub(crate) async fn send(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until this text has come, and returns everything up to its end.
    pub(crate) async fn expect(&mut self, text: &str) -> String {
        let mut chunk = [0; 4096];
        loop {
            if let Some(at) = self.received.find(text) {
                let rest = self.received.split_off(at + text.len());
                return std::mem::replace(&mut self.received, rest);
            }
            let count = self.io.read(&mut chunk).await.unwrap();
            assert!(count > 0, "the connection ended; instead of {text}: {}", self.received);
            self.received.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        }
    }

    /// Everything until the server has closed the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset after the last byte is an end, too.
        let _ = self.io.read_to_end(&mut bytes).await;
        std::mem::take(&mut self.received) + std::str::from_utf8(&bytes).unwrap()
    }

    pub(crate) async fn log_in(&mut self) {
        self.log_in_as("orchard").await;
    }

    async fn log_in_as(&mut self, resource: &str) {
        self.send(HEADER).await;
        self.expect("</stream:features>").await;
        self.send(PLAIN).await;
        self.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        self.send(HEADER).await;
        self.expect("</stream:features>").await;
        self.send(&BIND.replace("orchard", resource)).await;
        self.expect(&format!("<jid>romeo@localhost/{resource}</jid></bind></iq>")).await;
    }
}

fn message(body: &str) -> String {
    format!("<message to='romeo@localhost/orchard'><body>{body}</body></message>")
}

#[tokio::test]
async fn log_in_stanzas_and_an_orderly_end() {
    let server = Server::start().await;
    let mut client = server.logged_in(65_536).await;
    client.send(&message("1")).await;
    client.send(&(message("2") + "</stream:stream>")).await;
    let rest = client.rest().await;
    assert!(rest.contains("from='romeo@localhost/orchard'"), "{rest}");
    assert!(rest.find("<body>1</body>").unwrap() < rest.find("<body>2</body>").unwrap());
    // RFC 6120 §4.4: what was under way comes before the closing tag.
    assert!(rest.ends_with("</message></stream:stream>"), "{rest}");
    drop(client);
    server.listeners.shutdown(Duration::from_secs(5)).await;
    let metrics = server.metrics();
    assert!(metrics.contains("campanile_logins_total{mechanism=\"PLAIN\"} 1"), "{metrics}");
    assert!(metrics.contains("campanile_c2s_stanzas_total{direction=\"in\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_client_that_goes_without_a_word_is_unbound() {
    let server = Server::start().await;
    let client = server.logged_in(65_536).await;
    drop(client);
    server.listeners.shutdown(Duration::from_secs(5)).await;
    let mut again = server.connect(Transport::DirectTls, 65_536);
    again.send(HEADER).await;
    // The server is stopping: §4.9.3.20.
    assert!(again.rest().await.contains("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"));
}

#[tokio::test]
async fn s4_9_3_20_every_stream_is_told_of_the_shutdown() {
    let server = Server::start().await;
    let mut bound = server.logged_in(65_536).await;
    let mut fresh = server.connect(Transport::DirectTls, 65_536);
    let mut silent = server.connect(Transport::Tcp, 65_536);
    fresh.send(HEADER).await;
    fresh.expect("</stream:features>").await;
    let listeners = server.listeners.clone();
    let stop = tokio::spawn(async move { listeners.shutdown(Duration::from_secs(5)).await });
    for client in [&mut bound, &mut fresh, &mut silent] {
        let rest = client.rest().await;
        assert!(
            rest.ends_with("<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"),
            "{rest}"
        );
    }
    drop((bound, fresh, silent));
    stop.await.unwrap();
}

#[tokio::test]
async fn s6_5_10_wrong_passwords() {
    let server = Server::start().await;
    let mut client = server.connect(Transport::DirectTls, 65_536);
    client.send(HEADER).await;
    client.expect("</stream:features>").await;
    for _ in 0..2 {
        client.send(&PLAIN.replace("AHJvbWVvAHNlY3JldA==", "AHJvbWVvAHdyb25n")).await;
        client.expect("<not-authorized/></failure>").await;
    }
    client.send(&PLAIN.replace("AHJvbWVvAHNlY3JldA==", "AGp1bGlldAB3cm9uZw==")).await;
    assert!(client.rest().await.contains("<policy-violation"));
    assert!(server.metrics().contains("campanile_sasl_failures_total{condition=\"not-authorized\"} 3"));
}

#[tokio::test]
async fn s5_4_starttls_over_a_socket() {
    let server = Server::start().await;
    let stream = TcpStream::connect(server.bound_to(Mode::StartTls)).await.unwrap();
    let mut client = Client { io: stream, received: String::new() };
    client.send(HEADER).await;
    client.expect("<required/></starttls></stream:features>").await;
    client.send(STARTTLS).await;
    client.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut client = server.tls(client.io, tls::ALPN_XMPP_CLIENT).await;
    client.log_in().await;
    client.send(&message("x")).await;
    client.expect("<body>x</body>").await;
    client.send("</stream:stream>").await;
    assert!(client.rest().await.ends_with("</message></stream:stream>"));
    server.listeners.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn s5_3_4_what_comes_in_clear_behind_starttls_is_never_taken() {
    let server = Server::start().await;
    let mut client = server.connect(Transport::Tcp, 65_536);
    client.send(HEADER).await;
    client.expect("</stream:features>").await;
    client.send(&format!("{STARTTLS}{HEADER}{PLAIN}")).await;
    assert_eq!(client.rest().await, "");
    assert!(server.metrics().contains("campanile_tls_failures_total 1"));
}

#[tokio::test]
async fn xep0368_direct_tls_on_its_port_and_by_the_first_byte() {
    let server = Server::start().await;
    for mode in [Mode::DirectTls, Mode::StartTls] {
        let stream = TcpStream::connect(server.bound_to(mode)).await.unwrap();
        let mut client = server.tls(stream, tls::ALPN_XMPP_CLIENT).await;
        assert_eq!(client.io.get_ref().1.alpn_protocol(), Some(tls::ALPN_XMPP_CLIENT));
        client.log_in().await;
    }
    let mut client = Client { io: TcpStream::connect(server.bound_to(Mode::DirectTls)).await.unwrap(), received: String::new() };
    client.send(HEADER).await;
    assert!(!client.rest().await.contains("stream:stream"));
}

#[tokio::test]
async fn s4_9_3_17_a_full_listener_says_so() {
    let server = Server::start().await;
    let listeners = Listeners::new(Sources::new(1, 0), server.context.metrics().clone());
    let address = listen(&listeners, &server.context, (Ipv4Addr::LOCALHOST, 0).into(), Front::default(), Mode::StartTls).unwrap();
    let mut first = Client { io: TcpStream::connect(address).await.unwrap(), received: String::new() };
    first.send(HEADER).await;
    first.expect("</stream:features>").await;
    let mut second = Client { io: TcpStream::connect(address).await.unwrap(), received: String::new() };
    assert!(
        second.rest().await.ends_with("<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
    );
}

#[tokio::test]
async fn s4_6_a_stream_that_is_never_opened_is_ended() {
    let mut policy = policy();
    policy.limits.negotiation = Duration::from_millis(100);
    let server = Server::with(policy, Limits::default()).await;
    let start = Instant::now();
    assert!(server.connect(Transport::Tcp, 65_536).rest().await.contains("<connection-timeout"));
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert!(server.metrics().contains("campanile_c2s_timeouts_total{kind=\"negotiation\"} 1"));
    // Over a socket, where even the first byte is waited for.
    let stream = TcpStream::connect(server.bound_to(Mode::StartTls)).await.unwrap();
    assert_eq!(Client { io: stream, received: String::new() }.rest().await, "");
}

#[tokio::test]
async fn a_client_over_its_rate_is_read_more_slowly_and_loses_nothing() {
    let limits = Limits { bytes_per_second: 100_000, bytes_burst: 10_000, ..Limits::default() };
    let server = Server::with(policy(), limits).await;
    let client = server.logged_in(1024).await;
    let start = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(client.io);
    let one = message(&"x".repeat(1000));
    let sender = async {
        for _ in 0..40 {
            writer.write_all(one.as_bytes()).await.unwrap();
        }
        writer.write_all(b"</stream:stream>").await.unwrap();
    };
    let mut received = String::new();
    let receiver = async { reader.read_to_string(&mut received).await };
    let (_, result) = tokio::join!(sender, receiver);
    result.unwrap();
    assert_eq!(received.matches("<body>").count(), 40);
    // The debt of the last read, at most the pipe's size, is not waited for.
    let least = Duration::from_micros((40 * one.len() as u64 - 10_000 - 1024) * 10);
    assert!(start.elapsed() >= least, "{:?}, not {least:?}", start.elapsed());
    assert!(!server.metrics().contains("campanile_c2s_paused_total 0"));
}

#[tokio::test]
async fn a_client_that_is_never_done_reading_gets_everything_in_order() {
    let limits = Limits { bytes_per_second: 0, ..Limits::default() };
    let server = Server::with(policy(), limits).await;
    let (mut reader, mut writer) = tokio::io::split(server.logged_in(2048).await.io);
    let body = "x".repeat(1000);
    let sender = async {
        for number in 0..1000 {
            writer.write_all(message(&format!("{number} {body}")).as_bytes()).await.unwrap();
        }
        writer.write_all(b"</stream:stream>").await.unwrap();
    };
    let mut received = String::new();
    let receiver = async { reader.read_to_string(&mut received).await };
    let (_, result) = tokio::join!(sender, receiver);
    result.unwrap();
    let numbers = received.split("<body>").skip(1).map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert!(numbers.eq(0..1000), "{}", received.matches("<body>").count());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_ended() {
    let limits = Limits { bytes_per_second: 0, write: Duration::from_millis(200), ..Limits::default() };
    let server = Server::with(policy(), limits).await;
    let mut client = server.logged_in(4096).await;
    let mut sent = 0;
    // Fills the pipe and then the output: the server stops reading, and in the end gives up.
    while client.io.write_all(message(&"x".repeat(2000)).as_bytes()).await.is_ok() {
        sent += 1;
        assert!(sent < 200, "the server reads and reads");
    }
    server.listeners.shutdown(Duration::from_secs(5)).await;
    assert!(server.metrics().contains("campanile_c2s_timeouts_total{kind=\"write\"} 1"));
}

/// Limits under which only an overflown or closed mailbox can end a client that does not read.
fn patient() -> Limits {
    let an_hour = Duration::from_secs(3600);
    Limits { bytes_per_second: 0, mailbox_bytes: 10_000, write: an_hour, close: Duration::from_millis(100), ..Limits::default() }
}

#[tokio::test]
async fn a_mailbox_that_overflows_ends_the_session_at_once_and_the_next_message_is_an_error() {
    let server = Server::with(policy(), patient()).await;
    let _deaf = server.logged_in(4096).await;
    let mut sender = server.connect(Transport::DirectTls, 65_536);
    sender.log_in_as("garden").await;
    let test = async {
        // Output, pipe and mailbox of the deaf client hold less than 100 kB.
        for _ in 0..50 {
            sender.send(&message(&"x".repeat(2000))).await;
        }
        let error = loop {
            sender.send(&message("anybody there?")).await;
            if let Ok(error) = timeout(Duration::from_millis(20), sender.expect("</error></message>")).await {
                break error;
            }
        };
        assert!(error.contains("<service-unavailable"), "{error}");
    };
    timeout(Duration::from_secs(10), test).await.expect("the session is gone");
    assert!(server.metrics().contains("campanile_stream_errors_total{condition=\"resource-constraint\"} 1"));
}

#[tokio::test]
async fn s4_9_3_3_a_client_that_does_not_read_is_ended_by_a_conflict_too() {
    let server = Server::with(policy(), patient()).await;
    let mut deaf = server.logged_in(4096).await;
    // Fills pipe and output until the server reads no more.
    let fill = async { while deaf.io.write_all(message(&"x".repeat(2000)).as_bytes()).await.is_ok() {} };
    let full = timeout(Duration::from_millis(500), fill).await;
    assert!(full.is_err(), "the server closed");
    let mut newer = server.logged_in(65_536).await;
    let ended = async { while deaf.io.write_all(b" ").await.is_ok() {} };
    timeout(Duration::from_secs(10), ended).await.expect("the older connection ends");
    assert!(server.metrics().contains("campanile_stream_errors_total{condition=\"conflict\"} 1"));
    newer.send(&message("still here")).await;
    newer.expect("still here").await;
}

#[tokio::test]
async fn s4_6_1_a_silent_stream_gets_white_space() {
    let mut policy = policy();
    policy.limits.keepalive = Duration::from_millis(50);
    let server = Server::with(policy, Limits::default()).await;
    let mut client = server.logged_in(65_536).await;
    client.expect("   ").await;
}

#[tokio::test]
async fn a_client_that_does_not_close_its_side_is_cut_off() {
    let limits = Limits { close: Duration::from_millis(100), ..Limits::default() };
    let server = Server::with(policy(), limits).await;
    let mut client = server.logged_in(65_536).await;
    client.send("text").await;
    client.expect("</stream:stream>").await;
    let start = Instant::now();
    while client.io.write_all(b" ").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn s4_9_3_3_the_router_ends_a_stream() {
    let server = Server::start().await;
    let mut client = server.logged_in(65_536).await;
    let mut newer = server.logged_in(65_536).await;
    let rest = client.rest().await;
    assert!(rest.contains("<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>") && rest.ends_with("</stream:stream>"), "{rest}");
    newer.send(&message("still here")).await;
    newer.expect("still here").await;
}

#[tokio::test]
async fn a_reload_holds_for_streams_from_now_on() {
    let server = Server::start().await;
    let mut old = server.logged_in(65_536).await;
    let limits = campanile_config::Limits { auth_attempts: 1, mailbox_bytes: 1, stanza_bytes: 1, stanza_depth: 1, ..Default::default() };
    server.context.reload(&campanile_config::C2s { require_tls: false, ..Default::default() }, &Default::default(), &limits);
    let mut new = server.connect(Transport::Tcp, 65_536);
    new.send(HEADER).await;
    assert!(new.expect("</stream:features>").await.contains("SCRAM-SHA-256"), "log-in without TLS is allowed now");
    new.send(PLAIN).await;
    assert!(new.rest().await.contains("<policy-violation"), "one failed log-in is enough now");
    old.send(&message("still here")).await;
    old.expect("still here").await;
    // Sizes wait for a restart.
    server.connect(Transport::DirectTls, 65_536).log_in_as("garden").await;
    assert_eq!(server.context.limits.load().mailbox_bytes, Limits::default().mailbox_bytes);
}

/// A router that brings messages to sessions; requests and calls play no part here.
fn router(store: &Store) -> Router {
    let registry = prometheus::Registry::new();
    let calls = CallsService::new(jingle::Limits::default(), &registry, Box::new(())).unwrap();
    let limits = router::Limits { sessions_per_account: 4, ..Default::default() };
    let router =
        Router::new(vec!["localhost".to_owned()], store.clone(), Arc::new(calls), limits, router::Metrics::new(&registry).unwrap());
    router.serve(IqTable::default());
    router
}

fn romeo() -> BareJid {
    BareJid::parse("romeo@localhost").unwrap()
}

impl Server {
    async fn juliet_says(&self, body: &str) {
        let xml = format!("<message from='juliet@localhost/balcony' to='romeo@localhost' type='chat'><body>{body}</body></message>");
        let stanza = Stanza::parse(xml.into(), &xml::Bindings::client()).unwrap();
        self.context.router.route(stanza, None).await;
    }

    /// How many messages wait for romeo in the store.
    async fn waiting(&self) -> usize {
        self.context.router.store().archive().waiting(&romeo(), None, 64, 1 << 20).await.unwrap().messages.len()
    }

    /// Waits until romeo's sessions are like this.
    async fn sessions_are(&self, wanted: impl Fn(&[crate::session::Session]) -> bool) {
        let home = self.context.router.home_in_memory(&romeo()).unwrap();
        let come = async {
            while !home.with(|account| wanted(&account.sessions)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(Duration::from_secs(10), come).await.expect("the sessions become what is wanted");
    }
}

#[tokio::test]
async fn what_was_written_last_without_stream_management_has_arrived() {
    let server = Server::start().await;
    server.juliet_says("late").await;
    assert_eq!(server.waiting().await, 1);
    let mut client = server.logged_in(65_536).await;
    client.send("<presence/></stream:stream>").await;
    assert!(client.rest().await.contains("<body>late</body>"));
    drop(client);
    server.listeners.shutdown(Duration::from_secs(5)).await;
    assert_eq!(server.waiting().await, 0);
}

#[tokio::test]
async fn xep0198_s3_what_was_not_written_before_enabled_is_not_lost() {
    let server = Server::start().await;
    let mut client = server.logged_in(4096).await;
    client.send("<presence/>").await;
    client.expect("from='romeo@localhost/orchard'").await;
    for _ in 0..3 {
        server.juliet_says(&"x".repeat(3000)).await;
    }
    client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    server.sessions_are(|sessions| sessions[0].resumption.is_some()).await;
    drop(client);
    // The client never read how to resume it; the pipe took one message.
    server.sessions_are(<[_]>::is_empty).await;
    let come = async {
        while server.waiting().await < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), come).await.expect("they wait");
}

#[tokio::test]
async fn a_session_whose_end_is_cut_off_ends_and_so_does_one_whose_binding_is_cut_off() {
    let mut policy = policy();
    policy.limits.negotiation = Duration::from_millis(300);
    let server = Server::with(policy, Limits { close: Duration::from_millis(50), ..Limits::default() }).await;
    let mut first = server.logged_in(65_536).await;
    first.send("<presence/>").await;
    first.expect("from='romeo@localhost/orchard'").await;
    let home = server.context.router.home_in_memory(&romeo()).unwrap();
    let turn = home.presence_turn().await;
    // The newcomer waits for the end of the first, which waits for its turn; its time to bind ends before.
    let mut second = server.connect(Transport::DirectTls, 65_536);
    second.send(HEADER).await;
    second.expect("</stream:features>").await;
    second.send(PLAIN).await;
    second.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    second.send(HEADER).await;
    second.expect("</stream:features>").await;
    second.send(BIND).await;
    assert!(second.rest().await.contains("<connection-timeout"));
    server.juliet_says("still to come").await;
    drop(second);
    drop(turn);
    server.sessions_are(<[_]>::is_empty).await;
    // The same for whoever ends one and is cut off.
    let _third = server.logged_in(65_536).await;
    let found = home.with(|account| account.sessions.first().map(|own| (own.jid.clone(), own.id))).unwrap();
    let session = SessionRef { jid: found.0, id: found.1, home: home.clone() };
    let turn = home.presence_turn().await;
    {
        let unbind = server.context.router.unbind(&session);
        tokio::pin!(unbind);
        assert!(futures_util::poll!(&mut unbind).is_pending());
    }
    drop(turn);
    server.sessions_are(<[_]>::is_empty).await;
}

#[tokio::test]
async fn a_connection_that_waits_is_small() {
    let server = Server::start().await;
    let (_near, far) = tokio::io::duplex(16);
    let task =
        run(server.context.clone(), Box::new(far), "192.0.2.1:1".parse().unwrap(), Transport::Tcp, ChannelBindings::default(), now());
    let size = size_of_val(&task);
    assert!(size < 4096, "{size} bytes for each connection: box what is seldom awaited");
}
