//! RFC 8656 §9, §10 and §12.2: CreatePermission, ChannelBind, and which peers they may name.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use campanile_ice::stun::turn::Channel;
use campanile_ice::stun::{AttributeType, Class, ErrorCode, Message, Method, Writer};

use super::{Refusal, Request, Server, ip_family, wire_family};
use crate::datapath::flow::{Inbound, Outbound, Permit, Reach, SocketId};
use crate::endpoint::Endpoint;
use crate::turn::allocation::{CHANNEL, ChannelBinding, PERMISSION, Permission, relay_index};
use crate::turn::registry::Hosts;

/// The least time between two connectivity checks that are looked at, for one allocation: less than between those of one candidate pair
/// (RFC 8445 §14.2).
const CHECK_EVERY: Duration = Duration::from_millis(20);
/// Bytes of the longest one that is looked at: a USERNAME and what RFC 8445 §16 adds leave room.
const CHECK_BYTES_MAX: usize = 600;
/// Addresses of such checks kept for one allocation; the one not heard of for longest is forgotten.
const CHECKED_MAX: usize = 16;

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
        self.forget_ended(index, now);
        let allocation = &self.allocations[index as usize];
        let added = granted.iter().filter(|(ip, _)| allocation.permission(*ip, now).is_none()).count();
        if allocation.permissions.len() + added > self.registry.limits.permissions || !allocation.allowance.share().admit(added, 0) {
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
        let limits = &self.registry.limits;
        let needs_permission = allocation.permission(peer.ip(), now).is_none();
        if (!is_held && allocation.channels.len() >= limits.channels)
            || (needs_permission && allocation.permissions.len() >= limits.permissions)
            || !allocation.allowance.share().admit(needs_permission.into(), (!is_held).into())
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
        let is_let = allocation.is_let(&self.registry.fence, peer.ip());
        tracing::debug!(account = %allocation.account, %peer, is_let, "a permission is asked for");
        if !is_let {
            return Err(ErrorCode::FORBIDDEN.into());
        }
        if let Some(reach) = self.reach(peer.ip(), hosts) {
            return Ok(reach);
        }
        // Our own relayed addresses, by address and port. A permission is per address: once there, it may be refreshed by any port.
        let is_relayed = self.is_relayed(index, peer);
        let is_there = allocation.permission(peer.ip(), now).is_some_and(|permission| permission.reach == Reach::Relays);
        if is_relayed || is_there { Ok(Reach::Relays) } else { Err(ErrorCode::FORBIDDEN.into()) }
    }

    /// How far an address may be reached by the rules for peers; none if they refuse it, as those of this host.
    pub(super) fn reach(&self, ip: IpAddr, hosts: &Hosts) -> Option<Reach> {
        let is_own = |ip: IpAddr| hosts.contains(ip) || self.registry.ports.is_public(ip);
        let may_be_own = || is_own(ip) || self.registry.ports.is_advertised(ip);
        self.registry.rules.permits(ip, is_own).then(|| if may_be_own() { Reach::Own } else { Reach::Peer })
    }

    /// To be called every second: if addresses of this host have become others, permissions that were granted before reach nothing that
    /// none would be granted for now.
    pub fn handle_addresses(&mut self, now: Instant) {
        let addresses = self.registry.addresses();
        if std::mem::replace(&mut self.addresses, addresses) == addresses {
            return;
        }
        let hosts = self.registry.hosts();
        let granted = self.allocations.iter().flat_map(|(index, allocation)| {
            let permissions = allocation.permissions.iter().filter(|permission| permission.reach != Reach::Relays);
            permissions.map(move |permission| (index as u32, permission.ip, permission.reach))
        });
        let judged = granted.map(|(index, ip, before)| (index, ip, before, self.reach(ip, &hosts).unwrap_or(Reach::Relays)));
        let changed: Vec<_> = judged.filter(|(_, _, before, reach)| before != reach).collect();
        for (index, ip, _, reach) in changed {
            self.permit(index, ip, reach, now, Duration::ZERO);
        }
        for index in self.listening.values() {
            self.end_data_by_rules(*index, &hosts);
        }
    }

    /// A datagram that no permission covers. A connectivity check that only the other party of a live call can have made opens the fence for its
    /// source: the client's next request for a permission is granted, as long as that call lives.
    pub fn handle_stranger(&mut self, socket: SocketId, source: Endpoint, bytes: &[u8], now: Instant) {
        // Looked at before anything is computed: anybody may send these.
        let is_binding = bytes.starts_with(&[0, 1]) && bytes.len() <= CHECK_BYTES_MAX;
        let Some(&index) = self.by_socket.get(&socket).filter(|_| is_binding) else { return };
        let (allocation, fence) = (&mut self.allocations[index as usize], &self.registry.fence);
        let (Some(session), Ok(message)) = (&allocation.session, Message::parse(bytes)) else { return };
        let next_check = &mut allocation.next_check;
        let may_verify = || {
            let is_due = next_check.is_none_or(|at| at <= now);
            if is_due {
                *next_check = Some(now + CHECK_EVERY);
            }
            is_due
        };
        let Some(call) = fence.check(&session.party, &message, may_verify) else { return };
        // A relay of ours is known by what its client was told.
        let told = if self.registry.ports.is_bound(source) { self.registry.ports.advertise(source.into()) } else { source.into() };
        allocation.checked.retain(|(ip, call)| *ip != told.ip() && fence.holds(*call));
        if allocation.checked.len() == CHECKED_MAX {
            allocation.checked.remove(0);
        }
        allocation.checked.push((told.ip(), call));
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
