//! Two clients that reach the server over TCP or TLS, from allocation to allocation, both ways, with a window on their way: ChannelData of 172
//! bytes, over TLS each in a record of its own, as a client writes them. The unit is a packet that has arrived.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use campanile_ice::stun::turn::{Channel, Frame, channel_header, parse_channel_data, stream_frame};
use campanile_ice::stun::{Method, Writer};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::{Load, Tally};
use crate::client::{self, CHANNEL, Credentials};
use crate::servers::Server;

const PAYLOAD_BYTES: usize = 172;
/// Packets of one direction on their way.
const WINDOW: u64 = 96;
/// Packets written together.
const RUN: u64 = 16;
const NAP: Duration = Duration::from_micros(20);
const GONE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// A client's connection.
struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: u64,
    expected: u64,
}

impl Connection {
    fn open(server: SocketAddrV4, tls: Option<&Arc<ClientConfig>>) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let tls = match tls {
            None => None,
            Some(config) => {
                let mut connection = ClientConnection::new(config.clone(), ServerName::try_from("localhost")?)?;
                connection.set_buffer_limit(None);
                Some(Box::new(connection))
            }
        };
        Ok(Self { socket, tls, input: Vec::new(), output: Vec::new(), sent: 0, expected: 0 })
    }

    fn write(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        match &mut self.tls {
            None => self.output.extend_from_slice(frame),
            Some(tls) => tls.writer().write_all(frame)?,
        }
        Ok(())
    }

    /// Gives the kernel what it takes.
    fn flush(&mut self) -> anyhow::Result<()> {
        loop {
            let result = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut self.socket),
                None if !self.output.is_empty() => self.socket.write(&self.output).inspect(|count| drop(self.output.drain(..*count))),
                _ => return Ok(()),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                result => result?,
            };
        }
    }

    /// Takes what there is.
    fn fill(&mut self) -> anyhow::Result<()> {
        let mut chunk = [0; 32 * 1024];
        let socket = &mut self.socket;
        let count = match &mut self.tls {
            None => socket.read(&mut chunk),
            Some(tls) => {
                let count = tls.read_tls(socket);
                tls.process_new_packets()?;
                loop {
                    match tls.reader().read(&mut chunk) {
                        Ok(0) => break,
                        Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                count
            }
        };
        match count {
            Ok(0) => bail!("the server has closed the connection"),
            Ok(count) if self.tls.is_none() => self.input.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.write(request)?;
        let end = Instant::now() + PATIENCE;
        loop {
            self.flush()?;
            self.fill()?;
            if let Frame::Whole(length) = stream_frame(&self.input) {
                return Ok(self.input.drain(..length).collect());
            }
            ensure!(Instant::now() < end, "no answer");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn allocate(&mut self, number: u8) -> anyhow::Result<(Credentials, SocketAddrV4)> {
        let mut credentials = Credentials::new();
        let challenge = self.ask(&credentials.request([number; 12], Method::ALLOCATE, client::allocate))?;
        credentials.take(&challenge)?;
        let answer = self.ask(&credentials.request([number + 1; 12], Method::ALLOCATE, client::allocate))?;
        Ok((credentials, client::relayed(&answer)?))
    }

    fn send(&mut self, other: &Self) -> anyhow::Result<()> {
        while self.sent + RUN <= other.expected + WINDOW {
            for _ in 0..RUN {
                let mut frame = [0; 4 + PAYLOAD_BYTES];
                let channel = Channel::new(CHANNEL).context("a channel")?;
                frame[..4].copy_from_slice(&channel_header(channel, PAYLOAD_BYTES as u16));
                frame[4..12].copy_from_slice(&self.sent.to_be_bytes());
                self.write(&frame)?;
                self.sent += 1;
            }
        }
        self.flush()
    }

    /// Checks what has come; `sent` by the other.
    fn receive(&mut self, sent: u64, tally: &mut Tally) -> anyhow::Result<bool> {
        self.fill()?;
        let mut at = 0;
        loop {
            let length = match stream_frame(&self.input[at..]) {
                Frame::Whole(length) => length,
                Frame::Partial => break,
                Frame::Invalid => bail!("the server sent no frame"),
            };
            let frame = &self.input[at..at + length];
            let (channel, range) = parse_channel_data(frame).context("no ChannelData")?;
            ensure!(channel.number() == CHANNEL && range.len() == PAYLOAD_BYTES, "another channel or length");
            let sequence = u64::from_be_bytes(*frame[range].first_chunk().context("a number")?);
            ensure!(sequence < sent, "packet {sequence} came before it was sent");
            // Less than expected: it was given up, and comes after all.
            tally.lost = (tally.lost + sequence.saturating_sub(self.expected)).saturating_sub(u64::from(sequence < self.expected));
            tally.done += 1;
            self.expected = self.expected.max(sequence + 1);
            at += length;
        }
        self.input.drain(..at);
        Ok(at > 0)
    }
}

/// Both connections.
pub struct Streams([Connection; 2]);

impl Streams {
    /// Two clients of a server, each with a channel to the other's relayed address.
    pub fn through(server: &Server, is_tls: bool) -> anyhow::Result<Self> {
        let (address, tls) = if is_tls { (server.tls, Some(&server.connector)) } else { (server.address, None) };
        let mut both = [Connection::open(address, tls)?, Connection::open(address, tls)?];
        let (one, relayed) = both[0].allocate(10)?;
        let (other, relayed_too) = both[1].allocate(20)?;
        for (connection, credentials, peer) in [(0, &one, relayed_too), (1, &other, relayed)] {
            let fill = |writer: &mut Writer| client::bind(writer, peer);
            client::success(&both[connection].ask(&credentials.request([30; 12], Method::CHANNEL_BIND, fill))?)?;
        }
        Ok(Self(both))
    }
}

impl Load for Streams {
    fn round(&mut self, end: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut last = Instant::now();
        let [one, other] = &mut self.0;
        loop {
            let now = Instant::now();
            if now < end {
                one.send(other)?;
                other.send(one)?;
            } else {
                one.flush()?;
                other.flush()?;
                if (one.sent, other.sent) == (other.expected, one.expected) {
                    return Ok(tally);
                }
            }
            let came = [one.receive(other.sent, &mut tally)?, other.receive(one.sent, &mut tally)?];
            if came.contains(&true) {
                last = now;
            } else if now - last > GONE {
                tally.lost += one.sent - other.expected + other.sent - one.expected;
                (one.expected, other.expected, last) = (other.sent, one.sent, now);
            } else {
                thread::sleep(NAP);
            }
        }
    }
}
