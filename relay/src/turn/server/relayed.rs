//! RFC 8656 §11, §12.6 and §12.7: where Send indications, ChannelData and datagrams from peers go.

use std::net::SocketAddr;
use std::time::Instant;

use campanile_ice::stun::turn::parse_channel_data;
use campanile_ice::stun::{AttributeType, Message};

use super::{Delivery, DeliveryHeader, Route, Server, is_known, wire_family};
use crate::datapath::flow::{Client, Reach, SocketId};
use crate::endpoint::Endpoint;
use crate::quality::report::Direction;
#[cfg(test)]
use crate::quality::report::Volume;
use crate::stats::DropReason;
use crate::turn::ports::Home;
use crate::turn::registry::Registry;

impl Server {
    /// A ChannelData message from a client (§12.6).
    pub fn handle_channel_data(&mut self, client: Client, bytes: &[u8], now: Instant) -> Option<Route> {
        let Some((channel, payload)) = parse_channel_data(bytes) else {
            self.stats.count_drop(DropReason::Malformed);
            return None;
        };
        let Some(&allocation) = self.by_client.get(&client) else {
            if !self.pass_on(client, bytes) {
                self.stats.count_drop(DropReason::NoAllocation);
            }
            return None;
        };
        self.confirm_move(client, allocation, now);
        let Some(flow) = self.flows.outbound(allocation, channel, now) else {
            self.stats.count_drop(DropReason::NoChannel);
            return None;
        };
        let (socket, reach, peer) = (flow.socket, flow.reach, flow.peer);
        let (to, home) = self.destination(reach, peer)?;
        Some(Route { socket, to, home, payload, allocation, dont_fragment: false })
    }

    /// §11.2.
    pub(super) fn handle_send(&mut self, client: Client, message: &Message<'_>, now: Instant) -> Option<Route> {
        if let Some(&allocation) = self.by_client.get(&client) {
            self.confirm_move(client, allocation, now);
        }
        let route = self.route_send(client, message, now);
        route.map_err(|reason| self.stats.count_drop(reason)).ok()
    }

    fn route_send(&self, client: Client, message: &Message<'_>, now: Instant) -> Result<Route, DropReason> {
        let allocation = *self.by_client.get(&client).ok_or(DropReason::NoAllocation)?;
        if message.attributes().any(|(kind, _)| kind.is_comprehension_required() && !is_known(kind)) {
            return Err(DropReason::Unexpected);
        }
        let peer = message.get_xor_address(AttributeType::XOR_PEER_ADDRESS).ok().flatten().ok_or(DropReason::Malformed)?;
        let payload = message.range_of(AttributeType::DATA).ok_or(DropReason::Malformed)?;
        let relay = self.allocations[allocation as usize].relay(wire_family(peer)).ok_or(DropReason::NoPermission)?;
        // The control connection of a TCP allocation carries no data (RFC 6062 §3).
        if relay.socket.tcp_number().is_some() {
            return Err(DropReason::Unexpected);
        }
        let permit = self.flows.permit(relay.socket, peer.ip().into(), now).ok_or(DropReason::NoPermission)?;
        let (to, home) = resolve(&self.registry, permit.reach, peer.into())?;
        let dont_fragment = message.get(AttributeType::DONT_FRAGMENT).is_some() && counts_dont_fragment(client, peer);
        Ok(Route { socket: relay.socket, to, home, payload, allocation, dont_fragment })
    }

    fn destination(&mut self, reach: Reach, peer: Endpoint) -> Option<(Endpoint, Option<Home>)> {
        resolve(&self.registry, reach, peer).map_err(|reason| self.stats.count_drop(reason)).ok()
    }

    /// A datagram from a peer to a relayed address (§11.3, §12.7).
    pub fn handle_peer(&mut self, socket: SocketId, source: Endpoint, now: Instant) -> Option<Delivery> {
        let delivery = self.deliver(socket, source, now);
        delivery.map_err(|reason| self.stats.count_drop(reason)).ok()
    }

    fn deliver(&self, socket: SocketId, source: Endpoint, now: Instant) -> Result<Delivery, DropReason> {
        match self.deliver_from(socket, source, source, now) {
            Err(DropReason::PeerNoPermission) => {}
            found => return found,
        }
        // A relay of ours, whose advertised address is not the one it sends from.
        let found = self.registry.ports.find_advertised(source, |advertised| match self.deliver_from(socket, advertised, source, now) {
            Err(DropReason::PeerNoPermission) => None,
            found => Some(found),
        });
        found.unwrap_or(Err(DropReason::PeerNoPermission))
    }

    fn deliver_from(&self, socket: SocketId, peer: Endpoint, source: Endpoint, now: Instant) -> Result<Delivery, DropReason> {
        let admit = |reach| match reach {
            Reach::Peer | Reach::Own => Ok(()),
            Reach::Relays if self.registry.ports.is_bound(source) => Ok(()),
            Reach::Relays => Err(DropReason::OwnAddress),
        };
        let (allocation, header) = match self.flows.inbound(socket, peer, now) {
            Some(flow) => {
                admit(flow.reach)?;
                (flow.allocation, DeliveryHeader::Channel(flow.channel))
            }
            None => {
                let permit = self.flows.permit(socket, peer.ip, now).ok_or(DropReason::PeerNoPermission)?;
                admit(permit.reach)?;
                (permit.allocation, DeliveryHeader::Data(peer))
            }
        };
        let client = self.allocations.get(allocation as usize).ok_or(DropReason::PeerNoPermission)?.client;
        Ok(Delivery { client, header, allocation })
    }

    /// What a client's allocation has carried, to peers and to the client.
    #[cfg(test)]
    pub(crate) fn volumes(&self, client: Client) -> Option<(Volume, Volume)> {
        let allocation = &self.allocations[*self.by_client.get(&client)? as usize];
        Some((allocation.to_peer, allocation.to_client))
    }

    /// Counts a payload that is to be relayed. False if it is beyond the bytes per second of its account, and to be dropped.
    #[must_use]
    pub fn observe(&mut self, allocation: u32, direction: Direction, payload: &[u8], now: Instant) -> bool {
        let Some(allocation) = self.allocations.get_mut(allocation as usize) else {
            self.stats.count_drop(DropReason::ClientGone);
            return false;
        };
        if !allocation.allowance.take(payload.len(), now) {
            self.stats.count_drop(if allocation.allowance.is_early() { DropReason::OverEarlyQuota } else { DropReason::OverQuota });
            return false;
        }
        let (own, all) = match direction {
            Direction::ToPeer => (&mut allocation.to_peer, &mut self.stats.to_peer),
            Direction::ToClient => (&mut allocation.to_client, &mut self.stats.to_client),
        };
        own.add(payload.len());
        all.add(payload.len());
        // Nobody will ask what the streams of no call were like.
        if !allocation.calls.is_empty() {
            allocation.meters.observe(direction, payload, now);
        }
        true
    }
}

/// §13 to §15: DONT-FRAGMENT "MUST be ignored" where a datagram of IPv6 comes in or goes out; what comes over TCP or TLS is no datagram.
fn counts_dont_fragment(client: Client, peer: SocketAddr) -> bool {
    client.via.stream().is_some() || (client.remote.ip.is_ipv4() && peer.is_ipv4())
}

/// Where a packet towards a permitted peer really goes, and whose socket is there if it is a relayed address of ours.
fn resolve(registry: &Registry, reach: Reach, peer: Endpoint) -> Result<(Endpoint, Option<Home>), DropReason> {
    if reach == Reach::Peer {
        return Ok((peer, None));
    }
    match (registry.ports.find(peer), reach) {
        (Some(live), _) => Ok((live.bound, Some(live.home))),
        (None, Reach::Relays) => Err(DropReason::OwnAddress),
        (None, _) => Ok((peer, None)),
    }
}
