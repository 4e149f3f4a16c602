//! Many hosts on one socket: all of 127.0.0.0/8 is this machine, so that one socket speaks for as many clients and peers as are wanted, each
//! from an address of its own, and a thousand streams cost one system call for 64 packets.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::sys::{self, Inbox, Outbox};

/// When a request is sent again, and how often.
const AGAIN: Duration = Duration::from_millis(200);
const TIMES: usize = 75;
/// Requests on their way at once.
const AT_ONCE: usize = 32;

/// The socket and what goes through it.
pub struct Hosts {
    socket: UdpSocket,
    port: u16,
    next: u32,
    transactions: u32,
    /// To be sent.
    pub outbox: Outbox,
    /// What came last.
    pub inbox: Inbox,
}

impl Hosts {
    /// A port on all addresses.
    pub fn new() -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        sys::prepare(&socket).context("the socket of the hosts")?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, port, next: 0, transactions: 0, outbox: Outbox::new(), inbox: Inbox::new(true) })
    }

    /// Another host.
    pub fn add(&mut self) -> SocketAddrV4 {
        // 127.16.0.1 and so on: far from the servers
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(127, 16, 0, 1).to_bits() + self.next);
        self.next += 1;
        SocketAddrV4::new(ip, self.port)
    }

    /// The bytes of a transaction of its own; the first four are unlike those of all others.
    pub fn transaction(&mut self) -> [u8; 12] {
        self.transactions += 1;
        let mut id = [7; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        id
    }

    /// Sends what is in the outbox.
    pub fn flush(&mut self) -> anyhow::Result<usize> {
        Ok(self.outbox.flush(&self.socket)?)
    }

    /// Takes what has come into the inbox.
    pub fn receive(&mut self) -> anyhow::Result<usize> {
        Ok(self.inbox.receive(&self.socket)?)
    }

    /// Sends requests, each from its host and with a transaction of its own; gives the answers in the same order.
    pub fn ask(&mut self, server: SocketAddrV4, requests: &[(Ipv4Addr, Vec<u8>)]) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut answers: Vec<Option<Vec<u8>>> = vec![None; requests.len()];
        for (wave, first) in requests.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            let mut missing: HashMap<[u8; 4], usize> = HashMap::new();
            for (index, (_, request)) in wave.iter().enumerate() {
                missing.insert(*request[8..].first_chunk().context("a request has a header")?, index);
            }
            for _ in 0..TIMES {
                for index in missing.values() {
                    let (from, request) = &wave[*index];
                    self.outbox.push(*from, server, None, |bytes| {
                        bytes[..request.len()].copy_from_slice(request);
                        request.len()
                    });
                }
                self.flush()?;
                let end = Instant::now() + AGAIN;
                while !missing.is_empty() && Instant::now() < end {
                    let count = self.receive()?;
                    if count == 0 {
                        thread::sleep(Duration::from_micros(20));
                    }
                    for datagram in (0..count).map(|index| self.inbox.get(index)) {
                        let transaction = datagram.bytes.get(8..12).and_then(|bytes| bytes.first_chunk());
                        if let Some(index) = transaction.and_then(|id| missing.remove(id)) {
                            answers[first + index] = Some(datagram.bytes.to_vec());
                        }
                    }
                }
            }
            if !missing.is_empty() {
                bail!("{} of {} requests have no answer", missing.len(), wave.len());
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}
