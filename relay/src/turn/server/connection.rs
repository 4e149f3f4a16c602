//! RFC 8656 §3.1: the connections of TCP and TLS clients, and how long one may be without an allocation.

use std::time::Instant;

use super::{Output, Server, Timer, transport};
use crate::datapath::flow::Client;

/// A TCP or TLS client's connection.
pub(super) struct Connection {
    client: Client,
    /// When it is closed, if it has no allocation by then.
    deadline: Instant,
    /// When its timer runs out; then the deadline is looked at.
    scheduled: Instant,
}

impl Server {
    /// A client has connected.
    pub fn handle_connected(&mut self, client: Client, now: Instant) {
        if let Some(id) = client.via.stream() {
            let deadline = now + self.registry.limits.idle;
            self.connections.insert(id, Connection { client, deadline, scheduled: deadline });
            self.timers.insert((deadline, Timer::Connection(id)));
            *transport(&mut self.stats.connections, client.via) += 1;
        }
    }

    /// A connection is gone, and its allocation with it, unless that may move to another one.
    pub fn handle_disconnected(&mut self, id: u64, now: Instant) {
        let Some(Connection { client, scheduled, .. }) = self.connections.remove(&id) else { return };
        self.timers.remove(&(scheduled, Timer::Connection(id)));
        *transport(&mut self.stats.connections, client.via) -= 1;
        if let Some(&index) = self.by_client.get(&client)
            && !self.outlives_connection(index, client, now)
        {
            self.free(index, now);
        }
    }

    pub(super) fn touch_connection(&mut self, client: Client, now: Instant) {
        if let Some(id) = client.via.stream()
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.deadline = now + self.registry.limits.idle;
        }
    }

    pub(super) fn handle_connection_timeout(&mut self, id: u64, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let has_allocation = self.by_client.contains_key(&connection.client);
        if !has_allocation && connection.deadline <= now {
            self.outputs.push_back(Output::Disconnect(id));
        }
        let is_waiting = !has_allocation && connection.deadline > now;
        connection.scheduled = if is_waiting { connection.deadline } else { now + self.registry.limits.idle };
        self.timers.insert((connection.scheduled, Timer::Connection(id)));
    }
}
