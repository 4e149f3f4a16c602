//! RFC 8656 §9, §10 and §12.2: CreatePermission, ChannelBind, and which peers they may name.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use campanile_ice::stun::turn::Channel;
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Method, Writer};

use super::{Refusal, Request, Server, ip_family, wire_family};
use crate::datapath::flow::{Inbound, Outbound, Permit, Reach};
use crate::endpoint::Endpoint;
use crate::turn::allocation::{CHANNEL, ChannelBinding, PERMISSION, Permission, relay_index};
use crate::turn::registry::Hosts;

impl Server {
    /// §10.2: all of the addresses or none. More of them than there may be permissions are refused before any is judged: one
    /// datagram has room for thousands.
    pub(super) fn create_permission(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        let peers = request.message.peers()?;
        if peers.is_empty() {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        // A permission is per address: the ports do not count.
        let (mut named, mut first_of_each) = (HashSet::new(), Vec::new());
        for peer in peers {
            if named.insert(peer.ip()) {
                first_of_each.push(peer);
            }
            if named.len() > self.registry.limits.permissions {
                return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
            }
        }
        let hosts = self.registry.hosts();
        let mut granted = Vec::with_capacity(first_of_each.len());
        for peer in first_of_each {
            granted.push((peer.ip(), self.judge(index, peer, &hosts, now)?));
        }
        let allocation = &self.allocations[index as usize];
        let added = granted.iter().filter(|(ip, _)| allocation.permission(*ip, now).is_none()).count();
        if allocation.permissions.len() + added > self.registry.limits.permissions {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        for (ip, reach) in granted {
            self.permit(index, ip, reach, now, PERMISSION);
        }
        self.reschedule(index);
        let writer = Writer::new(Class::Success, Method::CREATE_PERMISSION, request.message.transaction());
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }

    /// §12.2.
    pub(super) fn channel_bind(&mut self, index: u32, request: Request<'_>, now: Instant) -> Result<(), Refusal> {
        // RFC 6062 §3: only TURN messages on the control connection of a TCP allocation, no data.
        if self.allocations[index as usize].data.is_some() {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let number = request.message.channel_number()?.ok_or(ErrorCode::BAD_REQUEST)?;
        let peer = request.message.get_xor_address(AttributeType::XOR_PEER_ADDRESS)?.ok_or(ErrorCode::BAD_REQUEST)?;
        // §12.2 ends the range at 0x4FFF; RFC 5766 at 0x7FFF, and its clients (coturn's among them) use all of it.
        let channel = Channel::new(number).ok_or(ErrorCode::BAD_REQUEST)?;
        self.forget_ended(index, now);
        let allocation = &self.allocations[index as usize];
        // §12: also in the five minutes after a channel has ended, so that nothing that is late goes to another peer.
        if allocation.channels.iter().any(|binding| (binding.channel == channel) != (binding.peer == peer)) || peer.port() == 0 {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        let is_held = allocation.channels.iter().any(|binding| binding.channel == channel);
        let is_new = !allocation.channels.iter().any(|binding| binding.channel == channel && binding.is_live);
        let reach = self.judge(index, peer, &self.registry.hosts(), now)?;
        if reach == Reach::Relays && is_new && self.registry.ports.resolve(peer.into()).is_none() {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let (limits, permissions) = (&self.registry.limits, allocation.permissions.len());
        if (!is_held && allocation.channels.len() >= limits.channels)
            || (allocation.permission(peer.ip(), now).is_none() && permissions >= limits.permissions)
        {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY.into());
        }
        let channels = &mut self.allocations[index as usize].channels;
        let binding = ChannelBinding { channel, peer, reach, expires: now + CHANNEL, is_live: true };
        match channels.iter_mut().find(|binding| binding.channel == channel) {
            Some(before) => *before = binding,
            None => {
                // Most have one or two.
                channels.reserve_exact(1);
                channels.push(binding);
            }
        }
        // As long as the channel, see docs/deviations.md: clients that only bind channels refresh them just before their ten minutes end.
        self.permit(index, peer.ip(), reach, now, CHANNEL);
        self.reschedule(index);
        let writer = Writer::new(Class::Success, Method::CHANNEL_BIND, request.message.transaction());
        self.succeed(request.client, writer, &request.key);
        Ok(())
    }

    /// Whether an allocation may reach a peer, and how far: 443, 403.
    pub(super) fn judge(&self, index: u32, peer: SocketAddr, hosts: &Hosts, now: Instant) -> Result<Reach, Refusal> {
        let allocation = &self.allocations[index as usize];
        if allocation.relay(wire_family(peer)).is_none() {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH.into());
        }
        // Would go out as the IPv4 address it spells, or not at all.
        if peer.ip().to_canonical() != peer.ip() {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        let is_own = |ip: IpAddr| hosts.contains(ip) || self.registry.ports.advertised_ip(ip_family(ip)) == Some(ip);
        if self.registry.rules.permits(peer.ip(), is_own) {
            let may_be_own = is_own(peer.ip()) || self.registry.ports.is_advertised(peer.ip());
            return Ok(if may_be_own { Reach::Own } else { Reach::Peer });
        }
        // Our own relayed addresses, by address and port. A permission is per address: once there, it may be refreshed by any port.
        let is_relayed = self.is_relayed(index, peer);
        let is_there = allocation.permission(peer.ip(), now).is_some_and(|permission| permission.reach == Reach::Relays);
        if is_relayed || is_there { Ok(Reach::Relays) } else { Err(ErrorCode::FORBIDDEN.into()) }
    }

    /// Installs a permission or makes it longer, and what of the channels to the address depends on it.
    fn permit(&mut self, index: u32, ip: IpAddr, reach: Reach, now: Instant, lasts: Duration) {
        let allocation = &mut self.allocations[index as usize];
        let Some(relay) = allocation.relays[relay_index(ip_family(ip))] else { return };
        let expires = match allocation.permissions.iter_mut().find(|permission| permission.ip == ip) {
            Some(permission) => {
                permission.reach = reach;
                permission.expires = permission.expires.max(now + lasts);
                permission.expires
            }
            None => {
                let expires = now + lasts;
                // Most have one or two.
                allocation.permissions.reserve_exact(1);
                allocation.permissions.push(Permission { ip, reach, expires });
                expires
            }
        };
        self.flows.set_permit(relay.socket, ip.into(), Permit { expires, allocation: index, reach });
        for binding in allocation.channels.iter_mut().filter(|binding| binding.peer.ip() == ip && binding.expires > now) {
            binding.reach = reach;
            let (peer, expires) = (Endpoint::from(binding.peer), expires.min(binding.expires));
            self.flows.set_channel(
                Outbound { expires, socket: relay.socket, peer, reach },
                Inbound { expires, allocation: index, channel: binding.channel, reach },
            );
        }
    }
}
