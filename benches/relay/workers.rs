//! On which thread of a server a client's packets are handled: the kernel picks it by the client's address, so hosts are tried until one
//! makes the wanted thread work.

use std::net::SocketAddrV4;

use anyhow::{Context as _, bail};
use campanile_ice::stun::Method;

use crate::client::Credentials;
use crate::hosts::Hosts;
use crate::servers::Server;

/// Where the clients of a pair are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Wherever the kernel puts them.
    Any,
    /// On one thread.
    Together,
    /// On two threads.
    Apart,
}

/// Enough to stand out from what threads do besides.
const REQUESTS: usize = 320;
const TRIES: usize = 16;

/// Hosts for clients, two by two as wanted.
pub fn place(hosts: &mut Hosts, server: &Server, count: usize, placement: Placement) -> anyhow::Result<Vec<SocketAddrV4>> {
    if placement == Placement::Any || count < 2 {
        return Ok((0..count).map(|_| hosts.add()).collect());
    }
    let mut placed = Vec::new();
    'pairs: while placed.len() < count {
        // Again with another first one: the kernel may put few hosts on its thread.
        for _ in 0..TRIES {
            let first = hosts.add();
            let thread = thread_of(hosts, server, first)?;
            for _ in 0..TRIES {
                let second = hosts.add();
                if (thread_of(hosts, server, second)? == thread) == (placement == Placement::Together) {
                    placed.extend([first, second]);
                    continue 'pairs;
                }
            }
        }
        bail!("no two clients of {} are {placement:?}", server.which.name());
    }
    placed.truncate(count);
    Ok(placed)
}

/// The thread that works most while this host asks.
fn thread_of(hosts: &mut Hosts, server: &Server, host: SocketAddrV4) -> anyhow::Result<u32> {
    let nobody = Credentials::new();
    let requests: Vec<_> = (0..REQUESTS).map(|_| (*host.ip(), nobody.request(hosts.transaction(), Method::BINDING, |_| {}))).collect();
    let before = server.threads()?;
    hosts.ask(server.address, &requests)?;
    let grown = server.threads()?.into_iter().map(|(thread, cpu)| {
        let was = before.iter().find(|(of, _)| *of == thread).map_or_else(Default::default, |(_, cpu)| *cpu);
        (thread, cpu.saturating_sub(was))
    });
    grown.max_by_key(|(_, cpu)| *cpu).map(|(thread, _)| thread).context("a server has threads")
}
