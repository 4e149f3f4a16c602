//! STUN Binding requests (RFC 8489 §3) from some thousand hosts, with a window on their way; the unit is an answer that tells the host its own
//! address. The forwarder sends each request back as it came.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use campanile_ice::stun::{AttributeType, Class, Message, Method, TransactionId, Writer};

use super::{Load, Tally};
use crate::hosts::Hosts;
use crate::servers::forwarder::{Forwarder, LISTENING};

/// Hosts: a server bounds what one of them may ask without a name.
const SOURCES: usize = 4_096;
const WINDOW: u64 = 256;
const NAP: Duration = Duration::from_micros(20);
const GONE: Duration = Duration::from_millis(100);

/// Hosts that ask.
pub struct Binding {
    hosts: Hosts,
    server: SocketAddrV4,
    sources: Vec<SocketAddrV4>,
    is_echo: bool,
    sent: u64,
    on_their_way: u64,
}

impl Binding {
    /// Asks a server.
    pub fn to(server: SocketAddrV4) -> anyhow::Result<Self> {
        let mut hosts = Hosts::new()?;
        let sources = (0..SOURCES).map(|_| hosts.add()).collect();
        Ok(Self { hosts, server, sources, is_echo: false, sent: 0, on_their_way: 0 })
    }

    /// "Asks" the forwarder.
    pub fn past(forwarder: &mut Forwarder) -> anyhow::Result<Self> {
        let mut binding = Self::to(forwarder.address)?;
        binding.is_echo = true;
        for source in &binding.sources {
            forwarder.route(LISTENING, *source, LISTENING, *source)?;
        }
        forwarder.go()?;
        Ok(binding)
    }

    fn send(&mut self) -> anyhow::Result<()> {
        while self.on_their_way < WINDOW && !self.hosts.outbox.is_full() {
            let from = self.sources[self.sent as usize % SOURCES];
            let mut transaction = [3; 12];
            transaction[..8].copy_from_slice(&self.sent.to_be_bytes());
            let request = Writer::new(Class::Request, Method::BINDING, TransactionId(transaction)).finish();
            self.hosts.outbox.push(*from.ip(), self.server, None, |bytes| {
                bytes[..request.len()].copy_from_slice(&request);
                request.len()
            });
            self.sent += 1;
            self.on_their_way += 1;
        }
        self.hosts.flush()?;
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<u64> {
        let count = self.hosts.receive()?;
        for datagram in (0..count).map(|index| self.hosts.inbox.get(index)) {
            let message = Message::parse(datagram.bytes)?;
            let number = u64::from_be_bytes(*message.transaction().0.first_chunk().unwrap_or(&[0; 8]));
            let source = self.sources[number as usize % SOURCES];
            ensure!(number < self.sent && datagram.to == Some(*source.ip()), "an answer for another host");
            if !self.is_echo {
                let told = message.get_xor_address(AttributeType::XOR_MAPPED_ADDRESS)?;
                ensure!(
                    message.class() == Class::Success && told == Some(source.into()),
                    "{:?} was told {told:?}",
                    Ipv4Addr::to_string(source.ip())
                );
            }
        }
        self.on_their_way = self.on_their_way.saturating_sub(count as u64);
        Ok(count as u64)
    }
}

impl Load for Binding {
    fn round(&mut self, end: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            if now < end {
                self.send()?;
            } else if self.on_their_way == 0 {
                return Ok(tally);
            }
            match self.receive()? {
                0 if now - last > GONE => {
                    tally.lost += std::mem::take(&mut self.on_their_way);
                    last = now;
                }
                0 => thread::sleep(NAP),
                count => {
                    tally.done += count;
                    last = now;
                }
            }
        }
    }
}
