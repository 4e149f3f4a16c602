//! RFC 8656 §11.5: what the network says of datagrams to peers, told to the client as Data indications.

use std::time::Instant;

use campanile_ice::stun::turn::Icmp;
use campanile_ice::stun::{AttributeType, Class, Method, TransactionId, Writer};

use super::{Output, Server};
use crate::datapath::flow::SocketId;
use crate::endpoint::Endpoint;
use crate::stats::DropReason;

impl Server {
    /// An ICMP error about a datagram that went from a relayed socket to `peer`. Who sent the error does not count, the datagram's
    /// destination does: the client must have a permission for it.
    pub fn handle_icmp(&mut self, socket: SocketId, peer: Endpoint, icmp: Icmp, now: Instant) {
        if !is_told(peer, icmp) {
            return;
        }
        let client = |allocation: u32| self.allocations.get(allocation as usize).map(|allocation| allocation.client);
        let permit = |peer: Endpoint| self.flows.permit(socket, peer.ip, now).and_then(|permit| Some((client(permit.allocation)?, peer)));
        // A relay of ours, whose advertised address is not the one that was sent to.
        let advertised = || self.registry.ports.find_advertised(peer, permit);
        let Some((client, peer)) = permit(peer).or_else(advertised) else {
            return self.stats.count_drop(DropReason::PeerNoPermission);
        };
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let mut writer = Writer::new(Class::Indication, Method::DATA, TransactionId(transaction));
        writer.xor_address(AttributeType::XOR_PEER_ADDRESS, peer.into());
        writer.attribute(AttributeType::ICMP, &without_stray_data(peer, icmp).value());
        self.outputs.push_back(Output::Send { client, message: writer.finish() });
    }
}

/// Destination unreachable and time exceeded, and of ICMPv6 packet too big.
fn is_told(peer: Endpoint, icmp: Icmp) -> bool {
    if peer.ip.is_ipv4() { matches!(icmp.kind, 3 | 11) } else { matches!(icmp.kind, 1..=3) }
}

/// §18.13: the MTU where the datagram was too big; "the Error Data field MUST be set to zero" otherwise.
fn without_stray_data(peer: Endpoint, icmp: Icmp) -> Icmp {
    let is_too_big = if peer.ip.is_ipv4() { (icmp.kind, icmp.code) == (3, 4) } else { icmp.kind == 2 };
    if is_too_big { icmp } else { Icmp { error_data: 0, ..icmp } }
}
