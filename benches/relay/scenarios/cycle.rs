//! What an allocation costs from its first request to its end: Allocate (challenged, then answered), CreatePermission, ChannelBind and Refresh
//! with a lifetime of 0, by a client that the server has not seen before; some of them at once. The unit is one client.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::{Load, Tally};
use crate::client::Client;
use crate::hosts::Hosts;

/// Clients at once.
const AT_ONCE: usize = 32;

/// Hosts that come and go.
pub struct Cycle {
    hosts: Hosts,
    server: SocketAddrV4,
}

impl Cycle {
    /// Clients of a server.
    pub fn of(server: SocketAddrV4) -> anyhow::Result<Self> {
        Ok(Self { hosts: Hosts::new()?, server })
    }
}

impl Load for Cycle {
    fn round(&mut self, end: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let peer = self.hosts.add();
        while Instant::now() < end {
            let from: Vec<SocketAddrV4> = (0..AT_ONCE).map(|_| self.hosts.add()).collect();
            let clients = Client::allocate(&mut self.hosts, self.server, &from)?;
            let pairs: Vec<_> = clients.iter().map(|client| (client, peer)).collect();
            Client::permit(&mut self.hosts, self.server, &pairs)?;
            Client::bind(&mut self.hosts, self.server, &pairs)?;
            Client::free(&mut self.hosts, self.server, &clients)?;
            tally.done += clients.len() as u64;
        }
        Ok(tally)
    }
}
