//! From a client to a peer and back: out of a relayed address, straight to another one of ours (the short cut), or to the client.

use std::os::fd::AsFd;

use campanile_ice::stun::TransactionId;
use campanile_ice::stun::turn::{CHANNEL_HEADER_BYTES, DATA_INDICATION_HEADER_BYTES_MAX, channel_header, data_indication_header, padding};

use super::{Payload, Worker};
use crate::datapath::batch::{Batch, Destination, HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::datapath::flow::{SocketId, Via};
use crate::endpoint::Endpoint;
use crate::quality::report::Direction;
use crate::stats::DropReason;
use crate::turn::server::{Delivery, DeliveryHeader, Now, Route};

/// Packets taken from one other worker before sockets are looked at again.
const CROSSINGS_BATCH: usize = 256;

impl Worker {
    /// Sends a client's payload out of its relayed address; to a relayed address of ours it goes without the kernel, and is judged there
    /// as if it had come through it.
    pub(super) fn forward(&mut self, route: Route, payload: Payload<'_>, batch: &mut Batch, now: Now) {
        if !self.server.observe(route.allocation, Direction::ToPeer, payload.bytes(batch), now.at) {
            return;
        }
        if route.dont_fragment {
            let bytes = payload.bytes(batch).to_vec();
            return self.send_unfragmented(&route, &bytes, batch, now);
        }
        let Some(relayed) = self.sockets.get(route.socket.0 as usize) else {
            return self.server.stats_mut().count_drop(DropReason::ClientGone);
        };
        let source = relayed.bound;
        let Some(home) = route.home.filter(|_| self.has_short_cut) else {
            let destination = Destination { socket: relayed.socket.as_fd(), to: route.to, from: None };
            return payload.queue(destination, &[], 0, batch);
        };
        if payload.bytes(batch).len() > datagram_bytes_max(source) {
            self.server.stats_mut().count_drop(DropReason::SendFailed);
        } else if home.worker == self.index {
            self.arrive(home.socket, source, payload, batch, now);
        } else if !self.neighbours.push(home.worker, route.to, source, payload.bytes(batch)) {
            self.server.stats_mut().count_drop(DropReason::WorkerBusy);
        }
    }

    /// A peer's payload has come to a relayed address.
    pub(super) fn arrive(&mut self, socket: SocketId, source: Endpoint, payload: Payload<'_>, batch: &mut Batch, now: Now) {
        let bytes = payload.bytes(batch);
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return self.server.stats_mut().count_drop(DropReason::TooBig);
        }
        let Some(delivery) = self.server.handle_peer(socket, source, now.at) else {
            return self.server.handle_stranger(socket, source, bytes, now.at);
        };
        if self.server.observe(delivery.allocation, Direction::ToClient, bytes, now.at) {
            self.deliver(delivery, payload, batch);
        }
    }

    /// Takes packets that other workers have for relayed addresses of this one. Returns whether there are more.
    pub(super) fn read_neighbours(&mut self, batch: &mut Batch, now: Now) -> bool {
        let mut rings = self.neighbours.take_incoming();
        let mut has_more = false;
        for ring in &mut rings {
            let mut count = 0;
            while count < CROSSINGS_BATCH
                && let Some(crossing) = ring.read()
            {
                count += 1;
                // As through the kernel: whoever has the address now gets it.
                match self.registry.ports.home(crossing.to).filter(|home| home.worker == self.index) {
                    Some(home) => self.arrive(home.socket, crossing.source, Payload::Bytes(crossing.payload), batch, now),
                    None => self.server.stats_mut().count_drop(DropReason::OwnAddress),
                }
            }
            ring.release();
            self.crossings += count as u64;
            has_more |= count == CROSSINGS_BATCH;
        }
        self.neighbours.put_incoming(rings);
        has_more
    }

    /// Queues a payload for a client, with the header that it gets.
    pub(super) fn deliver(&mut self, delivery: Delivery, payload: Payload<'_>, batch: &mut Batch) {
        let payload_bytes = payload.bytes(batch).len();
        let mut head = [0; DATA_INDICATION_HEADER_BYTES_MAX];
        let (head_bytes, pad_bytes) = match delivery.header {
            DeliveryHeader::Channel(channel) => {
                head[..CHANNEL_HEADER_BYTES].copy_from_slice(&channel_header(channel, payload_bytes as u16));
                // §12.5: padded over TCP and TLS, not over UDP.
                (CHANNEL_HEADER_BYTES, if delivery.client.via.stream().is_some() { padding(payload_bytes) } else { 0 })
            }
            DeliveryHeader::Data(peer) => {
                self.indications += 1;
                let transaction = transaction_of_indication(self.index, self.indications);
                let Some(length) = data_indication_header(&mut head, transaction, peer.into(), payload_bytes) else {
                    return self.server.stats_mut().count_drop(DropReason::TooBig);
                };
                (length, padding(payload_bytes))
            }
        };
        let head = &head[..head_bytes];
        match delivery.client.via {
            Via::Udp(number) => {
                let destination = self.listeners[usize::from(number)].towards(delivery.client);
                payload.queue(destination, head, pad_bytes, batch);
            }
            Via::Tcp(id) | Via::Tls(id) => {
                let Some(stream) = self.streams.get_mut(&id) else { return self.server.stats_mut().count_drop(DropReason::ClientGone) };
                if !stream.outbox.has_room(stream.pending.len() + head_bytes + payload_bytes + pad_bytes) {
                    return self.server.stats_mut().count_drop(DropReason::QueueFull);
                }
                if stream.pending.is_empty() {
                    self.dirty.push(id);
                }
                stream.pending.extend_from_slice(head);
                stream.pending.extend_from_slice(payload.bytes(batch));
                stream.pending.extend_from_slice(&[0; 3][..pad_bytes]);
            }
        }
    }
}

/// The longest payload that a datagram from this address can have: 65,535 bytes less the headers.
fn datagram_bytes_max(source: Endpoint) -> usize {
    if source.ip.is_ipv4() { PAYLOAD_BYTES_MAX } else { 65_527 }
}

const _: () = assert!(DATA_INDICATION_HEADER_BYTES_MAX <= HEAD_BYTES_MAX);

/// Indications need no answer, so their transactions need only differ (RFC 8489 §5): a counter, spread over the 96 bits.
fn transaction_of_indication(worker: u16, count: u64) -> TransactionId {
    let mixed = (count ^ (u64::from(worker) << 48)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut id = [0; 12];
    id[..8].copy_from_slice(&(mixed ^ (mixed >> 32)).to_be_bytes());
    id[8..].copy_from_slice(&(count as u32).to_be_bytes());
    TransactionId(id)
}
