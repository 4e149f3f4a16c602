//! What the relay costs per packet: CPU time of its one worker, beside a bare forwarder (receive 64, send 64, no look at the packets) in
//! the same run. `cargo bench -p campanile-relay`; on loopback, where the sender pays for the receiver's part of the kernel's work.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::turn::{Channel, channel_header};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};
use campanile_relay::datapath::batch::{Batch, Destination, SLOTS};
use campanile_relay::datapath::system::Poller;
use campanile_relay::endpoint::Endpoint;
use campanile_relay::{Credentials, Limits, Relay, Settings};

/// Packets on their way at once.
const WINDOW: usize = 512;
const CHANNEL: u16 = 0x4000;

fn main() {
    let packets = if std::env::args().any(|argument| argument == "--test") { 2_000 } else { 200_000 };
    memory(packets / 200);
    println!("{:<44} {:>8} {:>12} {:>8}", "", "bytes", "ns/packet", "lost");
    for bytes in [172, 1_200] {
        let floor = floor(bytes, packets);
        for (what, case) in [
            ("client to peer, ChannelData", Case::ToPeer),
            ("peer to client, ChannelData", Case::ToClient),
            ("peer to client, Data indication", Case::ToClientIndication),
            ("client to peer, Send indication", Case::ToPeerIndication),
            ("client to client over two relayed addresses", Case::RelayToRelay),
        ] {
            let cost = relayed(case, bytes, packets);
            print(what, bytes, cost);
            println!("{:>74}", format!("{:.2} of the bare forwarder", cost.0 / floor.0));
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Case {
    ToPeer,
    ToClient,
    ToClientIndication,
    ToPeerIndication,
    RelayToRelay,
}

fn print(what: &str, bytes: usize, (ns, lost): (f64, usize)) {
    println!("{what:<44} {bytes:>8} {ns:>12.0} {lost:>8}");
}

/// What the process grows by for each idle allocation with one channel, and what an allocation costs from the first request on.
fn memory(allocations: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let relay = relay();
    let server = relay.services()[0].local;
    let credentials = relay.issue("juliet", SystemTime::now());
    let thread = thread_of("relay-0");
    let resident = || -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
    };
    let mut clients = Vec::with_capacity(allocations);
    let (before, began) = (resident(), cpu_ns(&thread));
    for _ in 0..allocations {
        let client = Client::new(server, &credentials);
        client.bind(SocketAddr::from(([127, 0, 0, 1], 9)));
        clients.push(client);
    }
    let (grown, took) = (resident().saturating_sub(before), cpu_ns(&thread) - began);
    let each = |total: f64| total / allocations as f64;
    println!("one idle allocation of {allocations}: {:.0} bytes, the client's part included", each(grown as f64));
    println!("challenge, allocate, bind: {:.1} us of CPU", each(took) / 1_000.0);
    runtime.block_on(relay.shutdown());
}

fn relay() -> Relay {
    Relay::start(Settings {
        udp: vec!["127.0.0.1:0".parse().unwrap()],
        tcp: Vec::new(),
        allow_peers: vec!["127.0.0.0/8".parse().unwrap()],
        limits: Limits {
            allocations_per_account: usize::MAX,
            allocations_per_source: usize::MAX,
            answers_burst: u32::MAX,
            ..Limits::default()
        },
        workers: 1,
        ..Settings::default()
    })
    .unwrap()
}

/// The bare forwarder.
fn floor(bytes: usize, packets: usize) -> (f64, usize) {
    let (sender, middle, sink) = (socket(), socket(), socket());
    let (to_middle, to_sink) = (address(&middle), address(&sink));
    let stop = Arc::new(AtomicBool::new(false));
    let thread = std::thread::Builder::new().name("floor".into()).spawn({
        let stop = stop.clone();
        move || {
            let mut batch = Batch::new();
            let mut poller = Poller::new().unwrap();
            poller.add(middle.as_fd(), 0).unwrap();
            while !stop.load(Ordering::Relaxed) {
                poller.wait(Duration::from_millis(100)).unwrap();
                for slot in batch.receive(middle.as_fd(), SLOTS).unwrap() {
                    let bytes = batch.packet(slot).payload_bytes;
                    batch.queue_packet(destination(&middle, to_sink), slot, 0..bytes, &[], 0);
                }
                batch.flush();
            }
        }
    });
    let cost = drive("floor", &sender, to_middle, &vec![1; bytes], &sink, packets);
    stop.store(true, Ordering::Relaxed);
    thread.unwrap().join().unwrap();
    print("bare forwarder", bytes, cost);
    cost
}

fn relayed(case: Case, bytes: usize, packets: usize) -> (f64, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let relay = relay();
    let server = relay.services()[0].local;
    let client = Client::new(server, &relay.issue("juliet", SystemTime::now()));
    let (peer, data) = (socket(), vec![1; bytes]);
    let peer_address = SocketAddr::from(address(&peer));
    let framed = |data: &[u8]| [&channel_header(Channel::new(CHANNEL).unwrap(), data.len() as u16), data].concat();
    let cost = match case {
        Case::ToPeer => {
            client.bind(peer_address);
            drive("relay-0", &client.socket, server.into(), &framed(&data), &peer, packets)
        }
        Case::ToPeerIndication => {
            client.permit(peer_address);
            let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([1; 12]));
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer_address).attribute(AttributeType::DATA, &data);
            drive("relay-0", &client.socket, server.into(), &writer.finish(), &peer, packets)
        }
        Case::ToClient => {
            client.bind(peer_address);
            drive("relay-0", &peer, client.relayed.into(), &data, &client.socket, packets)
        }
        Case::ToClientIndication => {
            client.permit(peer_address);
            drive("relay-0", &peer, client.relayed.into(), &data, &client.socket, packets)
        }
        Case::RelayToRelay => {
            let other = Client::new(server, &relay.issue("romeo", SystemTime::now()));
            client.bind(other.relayed);
            other.bind(client.relayed);
            drive("relay-0", &client.socket, server.into(), &framed(&data), &other.socket, packets)
        }
    };
    runtime.block_on(relay.shutdown());
    cost
}

/// Sends `packets` in a closed loop; the CPU time of the thread `name` per packet that arrived, and packets lost.
fn drive(name: &str, from: &UdpSocket, to: Endpoint, packet: &[u8], sink: &UdpSocket, packets: usize) -> (f64, usize) {
    let (mut out, mut into) = (Batch::new(), Batch::new());
    let thread = thread_of(name);
    let mut best = f64::MAX;
    let mut lost = 0;
    // The best of some runs: what disturbs a run only adds to it.
    for _ in 0..3 {
        let (mut sent, mut received, mut waiting_since) = (0, 0, Instant::now());
        let before = cpu_ns(&thread);
        while received + lost < packets {
            while sent < packets && sent - received - lost < WINDOW - SLOTS {
                for _ in 0..SLOTS {
                    out.queue_copy(destination(from, to), &[], packet, 0);
                }
                lost += out.flush();
                sent += SLOTS;
            }
            let count = into.receive(sink.as_fd(), SLOTS).unwrap().len();
            into.flush();
            received += count;
            if count > 0 {
                waiting_since = Instant::now();
            } else if waiting_since.elapsed() > Duration::from_millis(200) {
                lost += sent - received - lost;
            }
        }
        best = best.min((cpu_ns(&thread) - before) / received as f64);
        lost = 0;
    }
    (best, lost)
}

/// The thread's accounting file.
fn thread_of(name: &str) -> std::path::PathBuf {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let path = task.unwrap().path();
            if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name) {
                return path.join("schedstat");
            }
        }
    }
    panic!("there is no thread {name}");
}

fn cpu_ns(schedstat: &std::path::Path) -> f64 {
    std::fs::read_to_string(schedstat).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

fn destination(socket: &UdpSocket, to: Endpoint) -> Destination<'_> {
    Destination { socket: socket.as_fd(), to, from: None }
}

fn address(socket: &UdpSocket) -> Endpoint {
    socket.local_addr().unwrap().into()
}

/// A client with an allocation.
struct Client {
    socket: UdpSocket,
    server: SocketAddr,
    username: String,
    key: Key,
    nonce: Vec<u8>,
    relayed: SocketAddr,
}

impl Client {
    fn new(server: SocketAddr, credentials: &Credentials) -> Self {
        let mut client = Self {
            socket: socket(),
            server,
            username: credentials.username.clone(),
            key: Key::long_term(&credentials.username, "localhost", &credentials.password, PasswordAlgorithm::Md5).unwrap(),
            nonce: Vec::new(),
            relayed: server,
        };
        let allocate = |writer: &mut Writer| {
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        };
        let challenge = client.ask(Method::ALLOCATE, allocate);
        client.nonce = Message::parse(&challenge).unwrap().get(AttributeType::NONCE).unwrap().to_vec();
        let answer = client.ask(Method::ALLOCATE, allocate);
        client.relayed = Message::parse(&answer).unwrap().get_xor_address(AttributeType::XOR_RELAYED_ADDRESS).unwrap().unwrap();
        client
    }

    fn ask(&self, method: Method, fill: impl Fn(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new(Class::Request, method, TransactionId([method.0 as u8; 12]));
        fill(&mut writer);
        if !self.nonce.is_empty() {
            writer.attribute(AttributeType::USERNAME, self.username.as_bytes());
            writer.attribute(AttributeType::REALM, b"localhost").attribute(AttributeType::NONCE, &self.nonce);
            writer.sign(&self.key, Integrity::Sha1);
        }
        self.socket.send_to(&writer.finish(), self.server).unwrap();
        let mut answer = vec![0; 1_000];
        let length = self.socket.recv(&mut answer).unwrap();
        answer.truncate(length);
        let message = Message::parse(&answer).unwrap();
        assert!(message.class() == Class::Success || self.nonce.is_empty(), "{:?}", message.error_code());
        answer
    }

    fn bind(&self, peer: SocketAddr) {
        self.ask(Method::CHANNEL_BIND, |writer| {
            writer.attribute(AttributeType::CHANNEL_NUMBER, &[0x40, 0, 0, 0]).xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
    }

    fn permit(&self, peer: SocketAddr) {
        self.ask(Method::CREATE_PERMISSION, |writer| {
            writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        });
    }
}
