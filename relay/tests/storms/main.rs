//! The relay under storms: however many allocations come, go, or are left half done, memory stays flat, no descriptor is left, and who comes after is
//! served. A process of its own, and one test at a time: what it measures is the process.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};
use campanile_relay::{Credentials, Limits, Relay, Settings, Stats, Transport};
use tokio::runtime::Runtime;

/// Longer than anything here takes, shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the measured memory may differ by without anything growing: pages that an allocator gives back late. One leaked allocation in ten would
/// be more.
const NOISE_KB: u64 = 6_000;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn settings() -> Settings {
    Settings {
        udp: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        tcp: Vec::new(),
        realm: "example.org".into(),
        key: [7; 32],
        workers: 2,
        ..Settings::default()
    }
}

/// Where the relay has its TCP and TLS.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

fn start(settings: Settings) -> Relay {
    let _inside = runtime().enter();
    Relay::start(settings).unwrap_or_else(|error| panic!("{error}"))
}

fn listener(relay: &Relay, transport: Transport, ipv6: bool) -> SocketAddr {
    let mut services = relay.services().into_iter();
    services.find(|service| service.transport == transport && service.local.is_ipv6() == ipv6).unwrap().local
}

/// Memory that is this process's own, in kB.
fn memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until the published counters are as expected.
fn until(relay: &Relay, what: &str, is_so: impl Fn(&Stats) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so(&relay.stats()) {
        assert!(Instant::now() < end, "{what}: {:?}", relay.stats());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_empty(stats: &Stats) -> bool {
    stats.allocations == Default::default()
        && stats.connections == Default::default()
        && (stats.ports_used.ipv4, stats.ports_used.ipv6) == (0, 0)
}

/// A client that writes and reads as the test says, so that many can be at it at once.
struct Client {
    socket: UdpSocket,
    username: String,
    key: Key,
    nonce: Vec<u8>,
    number: u64,
}

impl Client {
    fn new(server: SocketAddr, credentials: &Credentials) -> Self {
        let socket = UdpSocket::bind((if server.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let key = Key::long_term(&credentials.username, "example.org", &credentials.password, PasswordAlgorithm::Md5).unwrap();
        Self { socket, username: credentials.username.clone(), key, nonce: Vec::new(), number: 0 }
    }

    fn request(&mut self, method: Method, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        self.number += 1;
        let mut transaction = [0; 12];
        transaction[4..].copy_from_slice(&self.number.to_be_bytes());
        let mut writer = Writer::new(Class::Request, method, TransactionId(transaction));
        fill(&mut writer);
        if !self.nonce.is_empty() {
            writer.attribute(AttributeType::USERNAME, self.username.as_bytes());
            writer.attribute(AttributeType::REALM, b"example.org");
            writer.attribute(AttributeType::NONCE, &self.nonce);
            writer.sign(&self.key, Integrity::Sha1);
        }
        writer.finish()
    }

    fn say(&mut self, method: Method, fill: impl FnOnce(&mut Writer)) {
        let request = self.request(method, fill);
        self.socket.send(&request).unwrap();
    }

    /// The answer, or the code of an error, of which the nonce is kept.
    fn hear(&mut self) -> Result<Vec<u8>, u16> {
        let mut answer = vec![0; 2_048];
        let size = self.socket.recv(&mut answer).expect("the relay answers");
        answer.truncate(size);
        let message = Message::parse(&answer).unwrap();
        if let Some(nonce) = message.get(AttributeType::NONCE) {
            self.nonce = nonce.to_vec();
        }
        match message.error_code() {
            Some(code) => Err(code.0),
            None => Ok(answer),
        }
    }

    /// Asks once, and again where the first answer only brought a nonce.
    fn ask(&mut self, method: Method, fill: impl Fn(&mut Writer)) -> Result<Vec<u8>, u16> {
        for _ in 0..2 {
            let before = self.nonce.clone();
            self.say(method, &fill);
            match self.hear() {
                Err(401 | 438) if self.nonce != before => {}
                other => return other,
            }
        }
        Err(401)
    }

    fn permit(&mut self, peer: SocketAddr) -> Result<(), u16> {
        let asked = self.ask(Method::CREATE_PERMISSION, |writer| {
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
        asked.map(drop)
    }

    fn bind(&mut self, peer: SocketAddr) -> Result<(), u16> {
        let asked = self.ask(Method::CHANNEL_BIND, |writer| {
            writer.attribute(AttributeType::CHANNEL_NUMBER, &[0x40, 0, 0, 0]);
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
        asked.map(drop)
    }
}

fn udp(writer: &mut Writer) {
    writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
}

fn ipv6(writer: &mut Writer) {
    udp(writer);
    writer.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
}

fn pair(writer: &mut Writer) {
    udp(writer);
    writer.attribute(AttributeType::EVEN_PORT, &[0x80]);
}

fn free(writer: &mut Writer) {
    writer.u32(AttributeType::LIFETIME, 0);
}

#[test]
fn a_hundred_thousand_allocations_come_and_go_with_flat_memory_and_no_descriptor_left() {
    const CYCLES: usize = 100_000;
    let _alone = alone();
    let relay = start(settings());
    let server = listener(&relay, Transport::Udp, false);
    // Several accounts: what is kept of each must be let go as well.
    let mut clients: Vec<_> =
        (0..64).map(|number| Client::new(server, &relay.issue(&format!("user{}@example.org", number % 16), SystemTime::now()))).collect();
    for client in &mut clients {
        assert!(client.ask(Method::REFRESH, free).is_err(), "a nonce for each");
    }
    let round = |clients: &mut [Client]| {
        clients.iter_mut().for_each(|client| client.say(Method::ALLOCATE, udp));
        clients.iter_mut().for_each(|client| assert!(client.hear().is_ok()));
        clients.iter_mut().for_each(|client| client.say(Method::REFRESH, free));
        clients.iter_mut().for_each(|client| assert!(client.hear().is_ok()));
    };
    let files = descriptors();
    // The tables have their size after some rounds.
    for _ in 0..50 {
        round(&mut clients);
    }
    until(&relay, "nothing is left", is_empty);
    let memory = memory_kb();
    for _ in 0..CYCLES.div_ceil(clients.len()) {
        round(&mut clients);
    }
    // What is published may be of a moment between two rounds: that all have been counted is waited for, too.
    until(&relay, "all were made and nothing is left", |stats| is_empty(stats) && stats.allocations_made.udp >= CYCLES as u64);
    // A socket is closed a turn of its worker after its allocation is gone.
    until(&relay, "no descriptor is left", |_| descriptors() == files);
    assert!(memory_kb() < memory + NOISE_KB, "{memory} kB became {} kB", memory_kb());
}

#[test]
fn half_done_allocations_leave_nothing_and_keep_nobody_out() {
    let _alone = alone();
    let relay = start(Settings {
        tcp: vec!["127.0.0.1:0".parse().unwrap()],
        limits: Limits { idle: Duration::from_millis(300), ..Limits::default() },
        ..settings()
    });
    let (server, stream) = (listener(&relay, Transport::Udp, false), listener(&relay, Transport::Tcp, false));
    let credentials = relay.issue("juliet@example.org", SystemTime::now());
    let storm = |rounds: usize| {
        for round in 0..rounds {
            // Requests that stop at the challenge, from many sources and ports.
            let source = IpAddr::from([127, 0, 1 + (round / 250) as u8, 1 + (round % 250) as u8]);
            let socket = UdpSocket::bind((source, 0)).unwrap();
            let mut client = Client::new(server, &credentials);
            let request = client.request(Method::ALLOCATE, udp);
            for _ in 0..20 {
                socket.send_to(&request, server).unwrap();
            }
            // A signed one whose client has gone before the answer, its retransmission, and another with the wrong transaction.
            client.say(Method::ALLOCATE, udp);
            assert_eq!(client.hear().unwrap_err(), 401);
            let signed = client.request(Method::ALLOCATE, pair);
            client.socket.send(&signed).unwrap();
            client.socket.send(&signed).unwrap();
            assert!(client.hear().is_ok() && client.hear().is_ok());
            client.say(Method::ALLOCATE, udp);
            assert_eq!(client.hear().unwrap_err(), 437);
            // Its second port is reserved, and never asked for.
            client.say(Method::REFRESH, free);
            assert!(client.hear().is_ok());
            // Over TCP: half a request, half a frame, nothing at all; each hangs up or is hung up on.
            for part in [0, 1, 10, request.len() - 1] {
                let mut connection = TcpStream::connect(stream).unwrap();
                connection.write_all(&request[..part]).unwrap();
            }
        }
    };
    storm(50);
    until(&relay, "nothing is left", is_empty);
    let (memory, files) = (memory_kb(), descriptors());
    storm(400);
    // One that stays is hung up on.
    let idle: Vec<_> = (0..50).map(|_| TcpStream::connect(stream).unwrap()).collect();
    until(&relay, "nothing is left", is_empty);
    drop(idle);
    let end = Instant::now() + PATIENCE;
    while descriptors() > files {
        assert!(Instant::now() < end, "{files} descriptors became {}", descriptors());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(memory_kb() < memory + NOISE_KB, "{memory} kB became {} kB", memory_kb());
    let mut after = Client::new(server, &credentials);
    assert!(after.ask(Method::ALLOCATE, udp).is_ok());
    runtime().block_on(relay.shutdown());
}

/// RFC 8656 §7.2: "If the server is unable to allocate the relayed transport address, 508".
#[test]
fn s7_2_when_the_ports_are_used_up_the_answer_is_508_until_one_is_free() {
    const PORTS: std::ops::RangeInclusive<u16> = 39_500..=39_515;
    let _alone = alone();
    let relay = start(Settings { ports: PORTS, ..settings() });
    let server = listener(&relay, Transport::Udp, false);
    let credentials = relay.issue("juliet@example.org", SystemTime::now());
    let mut holders = Vec::new();
    let mut refused = loop {
        let mut client = Client::new(server, &credentials);
        match client.ask(Method::ALLOCATE, udp) {
            Ok(_) => holders.push(client),
            Err(code) => {
                assert_eq!(code, 508);
                break client;
            }
        }
        assert!(holders.len() <= PORTS.len());
    };
    // Others on this machine may hold some.
    assert!(holders.len() > PORTS.len() / 2, "{}", holders.len());
    for _ in 0..50 {
        assert_eq!(refused.ask(Method::ALLOCATE, udp).unwrap_err(), 508, "again and again");
        let mut leaver = holders.pop().unwrap();
        assert!(leaver.ask(Method::REFRESH, free).is_ok());
        // Its socket is closed when the answer is on its way.
        let end = Instant::now() + PATIENCE;
        while let Err(code) = refused.ask(Method::ALLOCATE, udp) {
            assert!(code == 508 && Instant::now() < end, "the port that has become free: {code}");
        }
        holders.insert(0, std::mem::replace(&mut refused, leaver));
    }
    // The other family has ports of its own.
    assert!(Client::new(server, &credentials).ask(Method::ALLOCATE, ipv6).is_ok());
    for holder in &mut holders {
        assert!(holder.ask(Method::REFRESH, free).is_ok());
    }
    until(&relay, "all are free", |stats| stats.ports_used.ipv4 == 0);
}

/// RFC 8656 §21: no IPv6 spelling leads where it must not, by either request, out or in.
#[test]
fn forbidden_ipv6_peers_are_reached_by_nothing_and_reach_nobody() {
    let _alone = alone();
    let relay = start(settings());
    let mut client = Client::new(listener(&relay, Transport::Udp, true), &relay.issue("juliet@example.org", SystemTime::now()));
    let answer = client.ask(Method::ALLOCATE, ipv6).unwrap();
    let relayed = Message::parse(&answer).unwrap().get_xor_address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().unwrap();
    assert!(relayed.is_ipv6());
    let stray = UdpSocket::bind("[::1]:0").unwrap();
    stray.set_nonblocking(true).unwrap();
    let port = stray.local_addr().unwrap().port();
    for ip in [
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "2001:0:808:808::80ff:fffe",
        "2001:db8::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "100::1",
        "3fff::1",
        "5f00::1",
        "2600::5efe:7f00:1",
    ] {
        let peer = SocketAddr::new(ip.parse().unwrap(), port);
        // What spells an IPv4 address is written as one, which this allocation has no relayed address for.
        let expected = Err(if ip.starts_with("::ffff:") && !ip.starts_with("::ffff:0:") { 443 } else { 403 });
        assert_eq!((client.permit(peer), client.bind(peer)), (expected, expected), "{ip}");
        let mut indication = Writer::new(Class::Indication, Method::SEND, TransactionId([9; 12]));
        indication.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute(AttributeType::DATA, b"let me in");
        client.socket.send(&indication.finish()).unwrap();
    }
    // To an address of ours that has a live relayed port, only that port is reached.
    assert_eq!(client.permit(relayed), Ok(()));
    let mut indication = Writer::new(Class::Indication, Method::SEND, TransactionId([9; 12]));
    indication
        .xor_address(AttributeType::XOR_PEER_ADDRESS, SocketAddr::new(relayed.ip(), port))
        .attribute(AttributeType::DATA, b"let me in");
    client.socket.send(&indication.finish()).unwrap();
    stray.send_to(b"let me through", relayed).unwrap();
    // What came before this answer has been worked off, and what the stray sent, when the relay counts it.
    assert!(client.ask(Method::REFRESH, |_| {}).is_ok());
    until(&relay, "the stray's packet is dropped", |stats| stats.drops[campanile_relay::DropReason::OwnAddress as usize] >= 2);
    assert!(stray.recv(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    client.socket.set_nonblocking(true).unwrap();
    assert!(client.socket.recv(&mut [0; 64]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}
