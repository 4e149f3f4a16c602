//! The promise: a packet between two relayed addresses of ours that takes the short cut fares as if it had gone through the kernel. Two
//! pairs of workers, one with and one without the short cut, are told the same and must answer, deliver and count the same.

use std::hash::BuildHasher as _;

use campanile_ice::stun::integrity::{Integrity, Key, PasswordAlgorithm};
use campanile_ice::stun::turn::{Channel, channel_header, padding, parse_channel_data};
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};
use proptest::prelude::*;

use super::*;
use crate::settings::{Limits, Settings};
use crate::turn::auth::Auth;
use crate::turn::peers::PeerRules;
use crate::turn::ports::Ports;
use crate::turn::stream::Outgoing;

const PUBLIC: [&str; 2] = ["203.0.113.7", "2001:db8::7"];
const CLIENTS: usize = 6;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Two workers, and clients of both: by number 0 and 1 over IPv4, 2 and 3 over IPv6 with IPv6 relays, 4 and 5 over TCP. Even ones belong
/// to the first worker.
struct World {
    workers: Vec<Worker>,
    batches: Vec<Batch>,
    handles: Vec<WorkerHandle>,
    auth: Arc<Auth>,
    clients: Vec<Party>,
    now: Now,
    transactions: u64,
}

struct Party {
    way: Way,
    client: Client,
    username: String,
    key: Key,
    /// Of its present or last allocation, as advertised and as bound.
    relayed: [Endpoint; 2],
}

enum Way {
    Udp(UdpSocket),
    Stream(mpsc::Receiver<Outgoing>),
}

/// What a client received, without what differs between two worlds.
#[derive(Debug, PartialEq, Eq)]
enum Received {
    Answer(Method, Option<u16>),
    Channel(u16, Vec<u8>),
    /// From the relayed address of this client, in its advertised form or not.
    Data(usize, bool, Vec<u8>),
}

impl World {
    fn new(has_short_cut: bool, is_natted: bool) -> Self {
        let public: Vec<IpAddr> = if is_natted { PUBLIC.iter().map(|ip| ip.parse().unwrap()).collect() } else { Vec::new() };
        let auth = Arc::new(Auth::new("example.org".into(), &[1; 32], None, Duration::from_secs(1_000_000)));
        // Tests run side by side: ports in use are tried and left.
        let ports = Ports::new(20_000..=29_999, &public);
        let hosts = Hosts::new(["127.0.0.1", "::1"].map(|ip| ip.parse().unwrap()));
        let registry = Arc::new(Registry::new(ports, PeerRules::default(), Limits::default(), hosts));
        let mut handles = Vec::new();
        let mut workers: Vec<Worker> = (0..2u16)
            .map(|index| {
                let mut seed = [index as u8; 32];
                seed[..8].copy_from_slice(&Keyed::new().hash_one(index).to_be_bytes());
                let server = Server::new(index, auth.clone(), registry.clone(), Settings::default().call_grace, seed, Instant::now());
                let sockets: Vec<_> =
                    ["127.0.0.1:0", "[::1]:0"].map(|local| super::super::socket::listen_udp(local.parse().unwrap(), 1).unwrap()).into();
                let sockets = sockets.into_iter().flat_map(|listening| listening.workers.into_iter().flatten()).collect();
                let (worker, handle) = Worker::new(index, server, registry.clone(), sockets, 1_000).unwrap();
                handles.push(handle);
                if has_short_cut { worker } else { worker.without_short_cut() }
            })
            .collect();
        // `look_for_addresses` of the first worker has put the real ones.
        registry.set_hosts(Hosts::new(["127.0.0.1", "::1"].map(|ip| ip.parse().unwrap())));
        Worker::join(&mut workers);
        let now = Now { at: Instant::now(), time: SystemTime::now() };
        let batches = vec![Batch::new(), Batch::new()];
        let mut world = Self { workers, batches, handles, auth, clients: Vec::new(), now, transactions: 0 };
        for number in 0..CLIENTS {
            let party = world.party(number);
            world.clients.push(party);
            world.allocate(number);
        }
        world
    }

    fn party(&mut self, number: usize) -> Party {
        let credentials = self.auth.issue(&format!("{number}@example.org"), self.now.time, [number as u8; 12]);
        let key = Key::long_term(&credentials.username, "example.org", &credentials.password, PasswordAlgorithm::Md5).unwrap();
        let worker = &self.workers[number % 2];
        let is_v6 = matches!(number, 2 | 3);
        let local = worker.listeners[usize::from(is_v6)].local;
        let socket = UdpSocket::bind(if is_v6 { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
        socket.set_nonblocking(true).unwrap();
        let remote = Endpoint::from(socket.local_addr().unwrap());
        let (via, way) = if number < 4 {
            (Via::Udp(u16::from(is_v6)), Way::Udp(socket))
        } else {
            (Via::Tcp(number as u64), Way::Stream(mpsc::channel(1).1))
        };
        let client = Client { via, remote, local };
        let way = match way {
            Way::Udp(_) => way,
            Way::Stream(_) => {
                let (outbox, receiver) = Outbox::with_receiver(1 << 20);
                assert!(self.handles[number % 2].inbox.try_send(Inbox::Connected(client, outbox)).is_ok());
                Way::Stream(receiver)
            }
        };
        Party { way, client, username: credentials.username, key, relayed: [remote; 2] }
    }

    /// Lets both workers do what there is for them to do.
    fn turn(&mut self) {
        for _ in 0..3 {
            for (worker, batch) in self.workers.iter_mut().zip(&mut self.batches) {
                let ready = worker.wait(Duration::ZERO).unwrap();
                assert!(worker.turn(ready, batch, self.now).is_some());
            }
        }
    }

    fn send(&mut self, number: usize, messages: &[Vec<u8>]) {
        let party = &self.clients[number];
        match &party.way {
            // Runs, where they are equally long.
            Way::Udp(socket) => {
                let mut batch = Batch::new();
                for message in messages {
                    let destination = Destination { socket: socket.as_fd(), to: party.client.local, from: None };
                    batch.queue_copy(destination, &[], message, 0);
                }
                assert_eq!(batch.flush(), 0);
            }
            Way::Stream(_) => {
                let mut frames = messages.concat();
                if messages.iter().any(|message| !message.len().is_multiple_of(4)) {
                    frames = messages.iter().flat_map(|message| [message.as_slice(), &[0; 3][..padding(message.len())]].concat()).collect();
                }
                let message = Inbox::Frames(party.client.via.stream().unwrap(), frames.into(), Turn::default());
                assert!(self.handles[number % 2].inbox.try_send(message).is_ok());
            }
        }
    }

    /// What has come for a client.
    fn receive(&mut self, number: usize) -> Vec<Received> {
        let mut messages = Vec::new();
        match &mut self.clients[number].way {
            Way::Udp(socket) => {
                let mut bytes = vec![0; 65_536];
                while let Ok(length) = socket.recv(&mut bytes) {
                    messages.push(bytes[..length].to_vec());
                }
            }
            Way::Stream(receiver) => {
                while let Ok(Outgoing::Frames(mut chunk)) = receiver.try_recv() {
                    while let Frame::Whole(length) = stream_frame(&chunk) {
                        messages.push(chunk.split_to(length).to_vec());
                    }
                    assert!(chunk.is_empty(), "whole frames");
                }
            }
        }
        messages.iter().map(|message| self.read(number, message)).collect()
    }

    fn read(&mut self, number: usize, bytes: &[u8]) -> Received {
        if let Some((channel, range)) = parse_channel_data(bytes) {
            assert!(bytes.len() - range.end < 4 && (number >= 4 || range.end == bytes.len()), "no padding over UDP, some over TCP");
            return Received::Channel(channel.number(), bytes[range].to_vec());
        }
        let message = Message::parse(bytes).unwrap();
        if message.class() != Class::Indication {
            if let Ok(Some(relayed)) = message.get_xor_address(AttributeType::XOR_RELAYED_ADDRESS) {
                let bound = self.workers[0].registry.ports.resolve(relayed.into()).unwrap();
                self.clients[number].relayed = [relayed.into(), bound];
            }
            return Received::Answer(message.method(), message.error_code().map(|code| code.0));
        }
        let peer = Endpoint::from(message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).unwrap().unwrap());
        let form = |party: &Party| party.relayed.iter().position(|relayed| *relayed == peer);
        let found = self.clients.iter().enumerate().find_map(|(number, party)| Some((number, form(party)?)));
        let (from, form) = found.expect("only clients send");
        Received::Data(from, form == 0, message.get(AttributeType::DATA).unwrap().to_vec())
    }

    fn request(&mut self, number: usize, method: Method, fill: impl FnOnce(&mut Writer)) {
        self.transactions += 1;
        let mut transaction = [0; 12];
        transaction[4..].copy_from_slice(&self.transactions.to_be_bytes());
        let mut writer = Writer::new(Class::Request, method, TransactionId(transaction));
        fill(&mut writer);
        let party = &self.clients[number];
        writer.attribute(AttributeType::USERNAME, party.username.as_bytes()).attribute(AttributeType::REALM, b"example.org");
        writer.attribute(AttributeType::NONCE, self.auth.nonce(party.client.remote.into(), self.now.time).as_bytes());
        writer.sign(&party.key, Integrity::Sha1);
        self.send(number, &[writer.finish()]);
    }

    fn allocate(&mut self, number: usize) {
        self.request(number, Method::ALLOCATE, |writer| {
            writer.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            let family = if matches!(number, 2 | 3) { Family::V6 } else { Family::V4 };
            writer.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY, &[family.code(), 0, 0, 0]);
        });
        let deadline = Instant::now() + PATIENCE;
        while self.receive(number).is_empty() && Instant::now() < deadline {
            self.turn();
        }
    }

    fn perform(&mut self, step: &Step) {
        let peer = |form: bool, of: usize, world: &Self| SocketAddr::from(world.clients[of].relayed[usize::from(form)]);
        match *step {
            Step::Allocate(number) => self.allocate(number),
            Step::Permit(number, of, form) => {
                let peer = peer(form, of, self);
                self.request(number, Method::CREATE_PERMISSION, |writer| {
                    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
                });
            }
            Step::Bind(number, channel, of, form) => {
                let peer = peer(form, of, self);
                self.request(number, Method::CHANNEL_BIND, |writer| {
                    let [high, low] = channel.to_be_bytes();
                    writer.attribute(AttributeType::CHANNEL_NUMBER, &[high, low, 0, 0]);
                    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
                });
            }
            Step::Free(number) => self.request(number, Method::REFRESH, |writer| {
                writer.u32(AttributeType::LIFETIME, 0);
            }),
            Step::Pass(seconds) => {
                self.now.at += Duration::from_secs(seconds);
                self.now.time += Duration::from_secs(seconds);
            }
            Step::OnChannel(number, channel, ref lengths) => {
                let message = |(at, length): (usize, &usize)| {
                    let header = channel_header(Channel::new(channel).unwrap(), *length as u16);
                    [header.as_slice(), &vec![at as u8; *length]].concat()
                };
                self.send(number, &lengths.iter().enumerate().map(message).collect::<Vec<_>>());
            }
            Step::Indicate(number, of, form, ref lengths) => {
                let peer = peer(form, of, self);
                let message = |(at, length): (usize, &usize)| {
                    let mut writer = Writer::new(Class::Indication, Method::SEND, TransactionId([at as u8; 12]));
                    writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer).attribute(AttributeType::DATA, &vec![at as u8; *length]);
                    writer.finish()
                };
                self.send(number, &lengths.iter().enumerate().map(message).collect::<Vec<_>>());
            }
        }
        self.turn();
    }

    fn receive_all(&mut self) -> Vec<Vec<Received>> {
        (0..CLIENTS).map(|number| self.receive(number)).collect()
    }

    /// What was counted, by all that count: drops but for those of the kernel, the volume of each allocation, and of all together.
    fn counts(&mut self) -> String {
        let clients: Vec<_> =
            self.clients.iter().enumerate().map(|(number, party)| self.workers[number % 2].server.volumes(party.client)).collect();
        let stats: Vec<_> = self
            .workers
            .iter_mut()
            .map(|worker| worker.server.stats_mut())
            .map(|stats| (stats.drops, stats.to_peer, stats.to_client))
            .collect();
        format!("{clients:?} {stats:?}")
    }
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(usize),
    Permit(usize, usize, bool),
    Bind(usize, u16, usize, bool),
    Free(usize),
    Pass(u64),
    OnChannel(usize, u16, Vec<usize>),
    Indicate(usize, usize, bool, Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    let channel = || 0x4000..0x4003u16;
    let lengths = || {
        prop_oneof![proptest::collection::vec(0..40usize, 1..6), (1..900usize, 1..20usize).prop_map(|(length, count)| vec![length; count]),]
    };
    prop_oneof![
        1 => client().prop_map(Step::Allocate),
        4 => (client(), client(), any::<bool>()).prop_map(|(number, of, form)| Step::Permit(number, of, form)),
        6 => (client(), channel(), client(), any::<bool>()).prop_map(|(number, channel, of, form)| Step::Bind(number, channel, of, form)),
        1 => client().prop_map(Step::Free),
        2 => (0..200u64).prop_map(Step::Pass),
        10 => (client(), channel(), lengths()).prop_map(|(number, channel, lengths)| Step::OnChannel(number, channel, lengths)),
        6 => (client(), client(), any::<bool>(), lengths())
            .prop_map(|(number, of, form, lengths)| Step::Indicate(number, of, form, lengths)),
    ]
}

/// Performs the same in both worlds; they must not differ.
fn check(steps: &[Step], is_natted: bool) -> usize {
    let (mut short, mut kernel) = (World::new(true, is_natted), World::new(false, is_natted));
    let mut delivered = 0;
    for step in steps {
        short.perform(step);
        kernel.perform(step);
        let mut expected = short.receive_all();
        let mut found = kernel.receive_all();
        // Loopback may be late; what the kernel brings must be all the same.
        let deadline = Instant::now() + PATIENCE;
        while found != expected && Instant::now() < deadline {
            for (world, all) in [(&mut short, &mut expected), (&mut kernel, &mut found)] {
                world.turn();
                all.iter_mut().zip(world.receive_all()).for_each(|(all, more)| all.extend(more));
            }
        }
        assert_eq!(found, expected, "after {step:?} of {steps:?}");
        delivered += expected.iter().flatten().filter(|received| !matches!(received, Received::Answer(..))).count();
        assert_eq!(kernel.counts(), short.counts(), "after {step:?} of {steps:?}");
    }
    delivered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// RFC 8656 §11, §12: over random requests, times and data the two ways agree.
    #[test]
    fn the_short_cut_and_the_kernel_agree(steps in proptest::collection::vec(step(), 1..40), is_natted in any::<bool>()) {
        check(&steps, is_natted);
    }
}

#[test]
fn both_ways_deliver_between_all_kinds_of_clients() {
    for is_natted in [false, true] {
        for (number, of) in [(0, 4), (4, 0), (0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 1), (0, 0)] {
            for form in [false, true] {
                let steps = [
                    Step::Bind(number, 0x4000, of, form),
                    Step::Permit(of, number, form),
                    Step::OnChannel(number, 0x4000, vec![7; 10]),
                    Step::Indicate(number, of, form, vec![100, 100, 99]),
                    Step::Bind(of, 0x4001, number, form),
                    Step::OnChannel(number, 0x4000, vec![172; 5]),
                    Step::OnChannel(of, 0x4001, vec![172; 5]),
                    Step::Pass(601),
                    Step::OnChannel(number, 0x4000, vec![7]),
                ];
                // To itself the second channel is refused: one peer, one channel.
                let expected = if number == of { 18 } else { 23 };
                assert_eq!(check(&steps, is_natted), expected, "{number} {of} {form} {is_natted}");
            }
        }
    }
}

#[test]
fn what_the_other_worker_has_no_room_for_is_counted() {
    let mut world = World::new(true, false);
    world.perform(&Step::Bind(4, 0x4000, 1, false));
    world.perform(&Step::Permit(1, 4, false));
    // More than a ring holds, and nobody reads it meanwhile.
    for _ in 0..40 {
        world.send(4, &[[channel_header(Channel::new(0x4000).unwrap(), 60_000).as_slice(), &[7; 60_000]].concat()]);
        let (worker, batch) = (&mut world.workers[0], &mut world.batches[0]);
        assert!(worker.turn(0, batch, world.now).is_some());
    }
    let dropped = world.workers[0].server.stats_mut().drops[DropReason::WorkerBusy as usize];
    assert!((10..40).contains(&dropped), "{dropped}");
    world.turn();
    let carried = world.workers[1].server.stats_mut().to_client.packets;
    assert_eq!(carried + dropped, 40);
    assert_eq!(world.workers[0].server.stats_mut().to_peer.packets, 40, "as if they had been sent");
}
