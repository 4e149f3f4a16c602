//! Streams of numbered packets through a server: where each goes in and how, where it must come out and how. What comes out is checked: the
//! host, the frame, the length, the number.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context as _, bail, ensure};
use campanile_ice::stun::turn::{Channel, channel_header, parse_channel_data};
use campanile_ice::stun::{AttributeType, Class, Message, Method};

use crate::client::{CHANNEL, Client, send_head};
use crate::hosts::Hosts;
use crate::servers::Server;
use crate::servers::forwarder::{Forwarder, LISTENING, Side};
use crate::workers::{Placement, place};

/// Number of the stream, number of the packet, time of sending.
const HEAD_BYTES: usize = 4 + 8 + 8;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a client on its channel to a peer that is no client.
    ToPeer,
    /// Back.
    ToClient,
    /// From client to client, both with allocations, on channels, both ways.
    RelayToRelay,
    /// The same by Send and Data indications.
    Indications,
}

impl Way {
    fn is_between_clients(self) -> bool {
        matches!(self, Self::RelayToRelay | Self::Indications)
    }
}

/// How packets look where they come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Channel,
    Data,
}

impl Shape {
    /// What is inside; nothing if it is framed otherwise.
    fn payload(self, bytes: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Plain => Some(bytes),
            Self::Channel => {
                let (channel, range) = parse_channel_data(bytes)?;
                (channel.number() == CHANNEL && range.end == bytes.len()).then(|| &bytes[range])
            }
            Self::Data => {
                let message = Message::parse(bytes).ok()?;
                message.get(AttributeType::XOR_PEER_ADDRESS)?;
                let is_data = (message.class(), message.method()) == (Class::Indication, Method::DATA);
                message.get(AttributeType::DATA).filter(|_| is_data)
            }
        }
    }
}

/// One stream; all streams of a measurement have the same shape and length.
pub struct Flow {
    from: Ipv4Addr,
    to: SocketAddrV4,
    head: Vec<u8>,
    sink: Ipv4Addr,
    shape: Shape,
    payload_bytes: usize,
    /// Packets sent.
    pub sent: u64,
    /// The number of the next packet that should come.
    pub expected: u64,
}

/// Streams and the hosts that they run between.
pub struct Flows {
    /// Both ends of every stream.
    pub hosts: Hosts,
    /// The streams.
    pub all: Vec<Flow>,
    clients: Vec<Client>,
}

/// A packet that came out.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Packets of its stream that were sent before it and have not come.
    pub skipped: u64,
    /// It comes after it was given up.
    pub is_late: bool,
    /// What was given as the time of sending.
    pub time_ns: u64,
}

impl Flows {
    /// Streams through a server: `count` of them, two for each pair of clients where they go from client to client.
    pub fn through(server: &Server, way: Way, count: usize, payload_bytes: usize, placement: Placement) -> anyhow::Result<Self> {
        let mut hosts = Hosts::new()?;
        let first = place(&mut hosts, server, count, placement)?;
        let clients = Client::allocate(&mut hosts, server.address, &first)?;
        let mut all = Vec::new();
        if way.is_between_clients() {
            let peers: Vec<(&Client, SocketAddrV4)> =
                clients.chunks_exact(2).flat_map(|pair| [(&pair[0], pair[1].relayed), (&pair[1], pair[0].relayed)]).collect();
            match way {
                Way::Indications => Client::permit(&mut hosts, server.address, &peers)?,
                _ => Client::bind(&mut hosts, server.address, &peers)?,
            }
            for (index, (client, peer)) in peers.iter().enumerate() {
                let (head, shape) = match way {
                    Way::Indications => (send_head(*peer, payload_bytes), Shape::Data),
                    _ => (channel_head(payload_bytes), Shape::Channel),
                };
                let sink = *clients[index ^ 1].host.ip();
                all.push(Flow::new(*client.host.ip(), server.address, head, sink, shape, payload_bytes));
            }
        } else {
            let peers: Vec<SocketAddrV4> = clients.iter().map(|_| hosts.add()).collect();
            let pairs: Vec<(&Client, SocketAddrV4)> = clients.iter().zip(peers.iter().copied()).collect();
            Client::bind(&mut hosts, server.address, &pairs)?;
            for (client, peer) in pairs {
                let (client_ip, peer_ip) = (*client.host.ip(), *peer.ip());
                all.push(match way {
                    Way::ToPeer => Flow::new(client_ip, server.address, channel_head(payload_bytes), peer_ip, Shape::Plain, payload_bytes),
                    _ => Flow::new(peer_ip, client.relayed, Vec::new(), client_ip, Shape::Channel, payload_bytes),
                });
            }
        }
        Ok(Self { hosts, all, clients })
    }

    /// The same packets through the forwarder, which gives them out as they came in.
    pub fn past(forwarder: &mut Forwarder, way: Way, count: usize, payload_bytes: usize) -> anyhow::Result<Self> {
        let mut hosts = Hosts::new()?;
        let mut all = Vec::new();
        let ends: Vec<SocketAddrV4> = (0..if way.is_between_clients() { count } else { 2 * count }).map(|_| hosts.add()).collect();
        for (number, pair) in ends.chunks_exact(2).enumerate() {
            let [one, other] = [pair[0], pair[1]];
            let flow = |from: SocketAddrV4, to, sink: SocketAddrV4| {
                Flow::new(*from.ip(), to, channel_head(payload_bytes), *sink.ip(), Shape::Channel, payload_bytes)
            };
            if way.is_between_clients() {
                forwarder.route(LISTENING, one, LISTENING, other)?;
                forwarder.route(LISTENING, other, LISTENING, one)?;
                all.extend([flow(one, forwarder.address, other), flow(other, forwarder.address, one)]);
            } else {
                let relayed = forwarder.relay()?;
                let side = Side(number + 1);
                forwarder.route(LISTENING, one, side, other)?;
                forwarder.route(side, other, LISTENING, one)?;
                all.push(if way == Way::ToPeer { flow(one, forwarder.address, other) } else { flow(other, relayed, one) });
            }
        }
        forwarder.go()?;
        Ok(Self { hosts, all, clients: Vec::new() })
    }

    /// Puts the next `run` packets of a stream into the outbox, as one message.
    pub fn push(&mut self, index: usize, run: usize, time_ns: u64) {
        let flow = &mut self.all[index];
        let packet_bytes = flow.packet_bytes();
        let segment = (run > 1).then_some(packet_bytes as u16);
        self.hosts.outbox.push(flow.from, flow.to, segment, |bytes| {
            for packet in bytes.chunks_exact_mut(packet_bytes).take(run) {
                let (head, payload) = packet.split_at_mut(flow.head.len());
                head.copy_from_slice(&flow.head);
                payload[..4].copy_from_slice(&(index as u32).to_be_bytes());
                payload[4..12].copy_from_slice(&flow.sent.to_be_bytes());
                payload[12..HEAD_BYTES].copy_from_slice(&time_ns.to_be_bytes());
                flow.sent += 1;
            }
            packet_bytes * run
        });
    }

    /// Checks a packet of the inbox.
    pub fn check(&mut self, index: usize) -> anyhow::Result<(Arrival, Option<std::time::Duration>)> {
        let datagram = self.hosts.inbox.get(index);
        let first = self.all.first().context("there are streams")?;
        let payload = first.shape.payload(datagram.bytes).context("not the frame that was expected")?;
        ensure!(payload.len() == first.payload_bytes, "a payload of {} bytes", payload.len());
        let number = u32::from_be_bytes(*payload.first_chunk().context("a number")?) as usize;
        let flow = self.all.get_mut(number).context("a packet of no stream")?;
        ensure!(datagram.to == Some(flow.sink), "a packet for {} came to {:?}", flow.sink, datagram.to);
        let [sequence, time_ns] = [4, 12].map(|at| u64::from_be_bytes(payload[at..at + 8].try_into().unwrap_or_default()));
        if sequence >= flow.sent {
            bail!("packet {sequence} came before it was sent");
        }
        let is_late = sequence < flow.expected;
        let skipped = sequence.saturating_sub(flow.expected);
        flow.expected = flow.expected.max(sequence + 1);
        Ok((Arrival { skipped, is_late, time_ns }, datagram.at))
    }

    /// Ends the allocations.
    pub fn free(mut self, server: &Server) -> anyhow::Result<()> {
        Client::free(&mut self.hosts, server.address, &self.clients)
    }

    /// Gives up whatever is on its way; returns how many packets that are.
    pub fn give_up(&mut self) -> u64 {
        self.all.iter_mut().map(|flow| flow.sent - std::mem::replace(&mut flow.expected, flow.sent)).sum()
    }
}

impl Flow {
    fn new(from: Ipv4Addr, to: SocketAddrV4, head: Vec<u8>, sink: Ipv4Addr, shape: Shape, payload_bytes: usize) -> Self {
        Self { from, to, head, sink, shape, payload_bytes, sent: 0, expected: 0 }
    }

    /// Bytes of a datagram of it where it goes in.
    pub fn packet_bytes(&self) -> usize {
        self.head.len() + self.payload_bytes
    }
}

fn channel_head(payload_bytes: usize) -> Vec<u8> {
    Channel::new(CHANNEL).map(|channel| channel_header(channel, payload_bytes as u16).to_vec()).unwrap_or_default()
}
