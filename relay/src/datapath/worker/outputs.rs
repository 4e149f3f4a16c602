//! What the server wants of its worker: answers sent, relayed addresses opened and closed, connections bound and passed on.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use bytes::Bytes;
use campanile_ice::stun::ErrorCode;
use campanile_ice::stun::turn::Family;

use super::{Control, Inbox, Relayed, Worker};
use crate::datapath::batch::Batch;
use crate::datapath::flow::{Client, SocketId, Via};
use crate::datapath::socket::bind_relayed;
use crate::stats::DropReason;
use crate::turn::ports::{Home, PortKind};
use crate::turn::server::{Now, Opened, Output, Wanted};

/// Ports tried when others on this host have them in use.
const BIND_TRIES: usize = 64;

impl Worker {
    pub(super) fn work_outputs(&mut self, batch: &mut Batch, now: Now) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { client, message } => self.send(client, message, batch),
                Output::Open { opening, wanted } => {
                    let result = self.open(wanted, now).map_err(|error| {
                        tracing::debug!(%error, ?wanted, "no relayed address");
                        (wanted, why_not(&error))
                    });
                    self.server.handle_opened(opening, result, now);
                }
                Output::Close(socket) if socket.tcp_number().is_some() => self.tcp.iter_mut().for_each(|tcp| tcp.close(socket)),
                Output::Close(socket) => self.closing.push(socket),
                Output::Connect { connection, from, to, .. } => self.tcp.iter().for_each(|tcp| tcp.connect(connection, from, to)),
                Output::PassOn { worker, client, message } => self.pass_on(worker, client, message.into()),
                Output::Expect { worker, client, is_ours } => self.tell(worker, Control::Expect(client, self.index, is_ours)),
                Output::Bind { client, connection } => self.bind_stream(client, connection),
                Output::Disconnect(id) => {
                    // Dropping the outbox ends the connection's task.
                    self.streams.remove(&id);
                    self.server.handle_disconnected(id, now.at);
                }
            }
        }
    }

    pub(super) fn send(&mut self, client: Client, message: Vec<u8>, batch: &mut Batch) {
        match client.via {
            Via::Udp(number) => {
                batch.queue_copy(self.listeners[usize::from(number)].towards(client), &[], &message, 0);
                self.server.take_back(message);
            }
            Via::Tcp(id) | Via::Tls(id) => {
                let Some(stream) = self.streams.get_mut(&id) else { return self.server.stats_mut().count_drop(DropReason::ClientGone) };
                if stream.pending.is_empty() {
                    self.dirty.push(id);
                }
                stream.pending.extend_from_slice(&message);
            }
        }
    }

    pub(super) fn pass_on(&mut self, worker: u16, client: Client, bytes: Bytes) {
        match client.via.stream() {
            Some(id) => {
                let Some(stream) = self.streams.remove(&id) else { return };
                // What cannot be sent now would not be later.
                let frames = stream.pending.freeze();
                if !stream.outbox.send(frames.clone()) {
                    self.count_lost(&frames, DropReason::QueueFull);
                }
                self.leaving = Some((worker, stream.outbox));
            }
            None => {
                let Some(other) = self.workers.get(usize::from(worker)) else { return };
                match other.inbox.try_send(Inbox::PassedOn { client, from: self.index, bytes }) {
                    Ok(()) => other.waker.wake(),
                    Err(_) => self.server.stats_mut().count_drop(DropReason::WorkerBusy),
                }
            }
        }
    }

    pub(super) fn tell(&self, worker: u16, control: Control) {
        if let Some(other) = self.workers.get(usize::from(worker)) {
            // Only a worker that has ended takes no more.
            let _ = other.control.send(control);
            other.waker.wake();
        }
    }

    /// Makes a client's connection a data connection.
    pub(super) fn bind_stream(&mut self, client: Client, connection: u32) {
        let Some(mut stream) = client.via.stream().and_then(|id| self.streams.remove(&id)) else { return };
        let Some(link) = self.registry.data.take(connection) else { return };
        // A client that missed the answer would take data for it. Both ends are closed by being dropped.
        if stream.outbox.send(stream.pending.split().freeze()) {
            stream.outbox.bind(link);
        }
    }

    pub(super) fn listen(&mut self, ip: IpAddr) -> io::Result<Opened> {
        let tcp = self.tcp.as_mut().ok_or_else(|| io::Error::other("no TCP allocations here"))?;
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        // Ports that others on this host use stay taken until one is found, so that none is tried twice.
        let mut busy = Vec::new();
        let mut result = Err(io::Error::new(io::ErrorKind::AddrInUse, "ports are in use by others"));
        while busy.len() < BIND_TRIES {
            let server = &mut self.server;
            let Some(port) = self.registry.ports.take(family, PortKind::Any, || server.random()) else { break };
            let bound = SocketAddr::new(ip, port);
            match tcp.listen(bound) {
                Ok(socket) => {
                    result = Ok(Opened { socket, bound, token: None });
                    break;
                }
                Err(error) => {
                    busy.push(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        result = Err(error);
                        break;
                    }
                }
            }
        }
        busy.into_iter().for_each(|port| self.registry.ports.release(family, port));
        result
    }

    pub(super) fn open(&mut self, wanted: Wanted, now: Now) -> io::Result<Opened> {
        let (socket, bound, token) = match wanted {
            Wanted::Listen(ip) => return self.listen(ip),
            Wanted::Reserved(token) => {
                let (socket, bound) = self.registry.redeem(token).ok_or_else(|| io::Error::other("the reservation has just ended"))?;
                (socket, bound, None)
            }
            Wanted::Fresh(ip, kind) => {
                // Ports that others on this host use stay taken until one is found, so that none is tried twice.
                let mut busy = Vec::new();
                let result = self.bind(ip, kind, &mut busy, now);
                let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
                busy.into_iter().for_each(|port| self.registry.ports.release(family, port));
                result?
            }
        };
        let result = self.watch(socket, bound);
        if result.is_err() {
            self.registry.ports.release(Family::of(bound), bound.port());
            token.into_iter().for_each(|token| self.registry.cancel(token));
        }
        Ok(Opened { socket: result?, bound, token })
    }

    /// Makes a bound relayed socket live.
    pub(super) fn watch(&mut self, socket: UdpSocket, bound: SocketAddr) -> io::Result<SocketId> {
        let id = SocketId(self.sockets.vacant_key() as u32);
        self.poller.add(socket.as_fd(), u64::from(id.0))?;
        if !self.registry.ports.publish(bound, Home { worker: self.index, socket: id }) {
            return Err(io::Error::other("too many different local addresses"));
        }
        self.sockets.insert(Relayed { socket, bound: bound.into() });
        Ok(id)
    }

    pub(super) fn bind(
        &mut self,
        ip: IpAddr,
        kind: PortKind,
        busy: &mut Vec<u16>,
        now: Now,
    ) -> io::Result<(UdpSocket, SocketAddr, Option<[u8; 8]>)> {
        let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
        for _ in 0..BIND_TRIES {
            let server = &mut self.server;
            let port = self.registry.ports.take(family, kind, || server.random());
            let port = port.ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "all ports are taken"))?;
            let sockets = bind_relayed(SocketAddr::new(ip, port)).and_then(|first| match kind {
                PortKind::EvenPair => Ok((first, Some(bind_relayed(SocketAddr::new(ip, port + 1))?))),
                PortKind::Any | PortKind::Even => Ok((first, None)),
            });
            match sockets {
                Ok((socket, None)) => return Ok((socket, SocketAddr::new(ip, port), None)),
                Ok((socket, Some(second))) => {
                    let token = self.server.random().to_be_bytes();
                    self.registry.reserve(token, second, SocketAddr::new(ip, port + 1), now.at);
                    return Ok((socket, SocketAddr::new(ip, port), Some(token)));
                }
                Err(error) => {
                    busy.push(port);
                    if kind == PortKind::EvenPair {
                        busy.push(port + 1);
                    }
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return Err(error);
                    }
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "ports are in use by others"))
    }
}

/// 508 where there is no port, descriptor or memory left; 500 where the kernel refuses for a reason that is no want of room.
fn why_not(error: &io::Error) -> ErrorCode {
    match error.raw_os_error() {
        None | Some(libc::EADDRINUSE | libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => {
            ErrorCode::INSUFFICIENT_CAPACITY
        }
        Some(_) => ErrorCode::SERVER_ERROR,
    }
}
