//! RFC 8656 §6, §8, §9 and §12: what ends with time, and the end of an allocation.

use std::net::IpAddr;
use std::time::Instant;

use campanile_ice::stun::turn::Family;

use super::{Output, Server, Timer, ip_family, transport};
use crate::turn::allocation::relay_index;
use crate::turn::registry::AllocationKey;

impl Server {
    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.waiting.front().map(|(at, ..)| *at);
        self.timers.first().map(|(at, _)| *at).into_iter().chain(waiting).min()
    }

    /// Ends what has run out.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, connection, overdue)) = self.waiting.front()
            && at <= now
        {
            self.waiting.pop_front();
            self.handle_data_timeout(connection, overdue);
        }
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Allocation { index, serial } => self.handle_allocation_timeout(index, serial, now),
                Timer::Connection(id) => self.handle_connection_timeout(id, now),
            }
        }
    }

    fn handle_allocation_timeout(&mut self, index: u32, serial: u64, now: Instant) {
        let Some(allocation) = self.allocations.get(index as usize).filter(|allocation| allocation.serial == serial) else { return };
        let waits_until = allocation.mobile.as_ref().and_then(|mobile| mobile.waits_until);
        if allocation.free_at.into_iter().chain(waits_until).any(|end| end <= now) {
            return self.free(index, now);
        }
        let ended: Vec<Family> =
            allocation.relays.iter().flatten().filter(|relay| relay.expires <= now).map(|relay| Family::of(relay.bound)).collect();
        self.end_relays(index, &ended, now);
        if self.allocations.get(index as usize).is_some_and(|allocation| allocation.serial == serial) {
            self.forget_ended(index, now);
            let allocation = &mut self.allocations[index as usize];
            allocation.scheduled = allocation.next_due();
            self.timers.insert((allocation.scheduled, Timer::Allocation { index, serial }));
        }
    }

    /// Sets an earlier timer where something ends before the one that is set. Later ends are found when that one runs out.
    pub(super) fn reschedule(&mut self, index: u32) {
        let allocation = &mut self.allocations[index as usize];
        let due = allocation.next_due();
        if due < allocation.scheduled {
            let timer = Timer::Allocation { index, serial: allocation.serial };
            self.timers.remove(&(allocation.scheduled, timer));
            self.timers.insert((due, timer));
            allocation.scheduled = due;
        }
    }

    /// Drops permissions and channels that have run out.
    pub(super) fn forget_ended(&mut self, index: u32, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(index as usize) else { return };
        let (relays, flows) = (allocation.relays, &mut self.flows);
        let socket = |ip: IpAddr| relays[relay_index(ip_family(ip))].map(|relay| relay.socket);
        let before = (allocation.permissions.len(), allocation.channels.len());
        allocation.channels.retain_mut(|binding| {
            if binding.is_live && binding.expires <= now {
                binding.is_live = false;
                if let Some(socket) = socket(binding.peer.ip()) {
                    flows.remove_channel(index, binding.channel, socket, binding.peer.into());
                }
            }
            binding.held_until() > now
        });
        allocation.permissions.retain(|permission| {
            let keep = permission.expires > now;
            if let (false, Some(socket)) = (keep, socket(permission.ip)) {
                flows.remove_permit(socket, permission.ip.into());
            }
            keep
        });
        allocation.withdraw(before);
    }

    // The end of an allocation.

    /// Ends the relayed addresses of these families; the allocation with the last one (§8.1).
    pub(super) fn end_relays(&mut self, index: u32, families: &[Family], now: Instant) {
        let Some(allocation) = self.allocations.get(index as usize) else { return };
        if families.is_empty() {
            return;
        }
        if allocation.relays.iter().flatten().all(|relay| families.contains(&Family::of(relay.bound))) {
            return self.free(index, now);
        }
        for &family in families {
            self.end_relay(index, family);
        }
    }

    fn end_relay(&mut self, index: u32, family: Family) {
        let allocation = &mut self.allocations[index as usize];
        let Some(relay) = allocation.relays[relay_index(family)].take() else { return };
        let flows = &mut self.flows;
        let before = (allocation.permissions.len(), allocation.channels.len());
        allocation.channels.retain(|binding| {
            let keep = ip_family(binding.peer.ip()) != family;
            if !keep && binding.is_live {
                flows.remove_channel(index, binding.channel, relay.socket, binding.peer.into());
            }
            keep
        });
        allocation.permissions.retain(|permission| {
            let keep = ip_family(permission.ip) != family;
            if !keep {
                flows.remove_permit(relay.socket, permission.ip.into());
            }
            keep
        });
        allocation.withdraw(before);
        if self.listening.remove(&relay.socket).is_some() {
            self.registry.data.unlisten(relay.bound);
            self.end_data(index, family);
        }
        *self.stats.relayed.of(family) -= 1;
        self.by_socket.remove(&relay.socket);
        self.registry.remove(relay.bound);
        self.outputs.push_back(Output::Close(relay.socket));
    }

    pub(super) fn free(&mut self, index: u32, now: Instant) {
        let Some(allocation) = self.allocations.get(index as usize) else { return };
        let key = AllocationKey { worker: self.worker, index, serial: allocation.serial };
        let Some(allocation) = self.allocations.get(index as usize) else { return };
        if let Some(quality) = allocation.quality() {
            for &call in &allocation.calls {
                self.registry.record(call, key, quality.clone());
            }
        }
        for family in [Family::V4, Family::V6] {
            self.end_relay(index, family);
        }
        let allocation = self.allocations.remove(index as usize);
        self.timers.remove(&(allocation.scheduled, Timer::Allocation { index, serial: allocation.serial }));
        if let Some(token) = allocation.token {
            self.registry.cancel(token);
        }
        self.registry.withdraw(&allocation.account, allocation.source);
        if let Some(session) = &allocation.session
            && let Some(own) = self.by_session.get_mut(&session.tag)
        {
            own.retain(|other| *other != index);
            if own.is_empty() {
                self.by_session.remove(&session.tag);
            }
        }
        self.linked.remove(&index);
        *transport(&mut self.stats.allocations, allocation.client.via) -= 1;
        let next = allocation.mobile.and_then(|mobile| mobile.next);
        for client in [Some(allocation.client), next].into_iter().flatten() {
            self.forget_client(client, index, now);
        }
    }
}
