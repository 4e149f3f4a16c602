//! An idle allocation: the memory of a server with many of them, each with a permission and a channel, less its memory with one, divided by
//! their number. Resident memory, as the kernel counts it in smaps_rollup; what the kernel itself holds for the sockets is not in it.

use std::net::SocketAddrV4;
use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::hosts::Hosts;
use crate::servers::Server;

/// Bytes per allocation.
pub fn memory(server: &Server, allocations: usize) -> anyhow::Result<f64> {
    let mut hosts = Hosts::new()?;
    let peer = hosts.add();
    // allocated once, whoever comes
    let first: Vec<SocketAddrV4> = (0..64).map(|_| hosts.add()).collect();
    let first = Client::allocate(&mut hosts, server.address, &first)?;
    let before = settled(server)?;
    let from: Vec<SocketAddrV4> = (0..allocations).map(|_| hosts.add()).collect();
    let clients = Client::allocate(&mut hosts, server.address, &from)?;
    let pairs: Vec<_> = clients.iter().map(|client| (client, peer)).collect();
    Client::bind(&mut hosts, server.address, &pairs)?;
    let grown = settled(server)?.saturating_sub(before);
    Client::free(&mut hosts, server.address, &first)?;
    Client::free(&mut hosts, server.address, &clients)?;
    Ok(grown as f64 * 1024.0 / allocations as f64)
}

/// kB, after the time in which a server tidies up.
fn settled(server: &Server) -> anyhow::Result<u64> {
    thread::sleep(Duration::from_secs(2));
    Ok(server.memory()?.resident)
}
