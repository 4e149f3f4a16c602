//! The bare forwarder: the same sockets as a relay's, a thread for each core. Receives up to 64 datagrams by recvmmsg, looks up where each
//! goes, sends from where it lies by sendmmsg, runs to one destination as one message with UDP_SEGMENT. It copies nothing, parses nothing
//! and logs nothing; it is as cheap as a relay without a packet's path of its own in the kernel can be. Runs as a process of its own
//! (`relay forwarder`), and is told its table on standard input.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd as _, RawFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use socket2::{Domain, Socket, Type};

use crate::sys::{self, Inbox, Passer, Readable};

/// The running forwarder.
pub struct Forwarder {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where clients send to.
    pub address: SocketAddrV4,
}

/// A socket of the forwarder: what stands for the relay's listening ones, or the n-th relayed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side(pub usize);

/// The listening sockets.
pub const LISTENING: Side = Side(0);

impl Forwarder {
    /// Starts it; it does nothing before [`Self::go`].
    pub fn start(by_segment: bool) -> anyhow::Result<Self> {
        let ip = Ipv4Addr::new(127, 0, 0, 3);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("forwarder").arg(ip.to_string()).arg(by_segment.to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().context("its input is ours")?;
        let output = BufReader::new(process.stdout.take().context("its output is ours")?);
        let mut forwarder = Self { process, input, output, address: SocketAddrV4::new(ip, 0) };
        forwarder.address = forwarder.read()?;
        Ok(forwarder)
    }

    /// Opens what stands for a relayed address.
    pub fn relay(&mut self) -> anyhow::Result<SocketAddrV4> {
        writeln!(self.input, "relay")?;
        self.read()
    }

    /// What comes to a socket from `source` goes out by another to `destination`.
    pub fn route(&mut self, into: Side, source: SocketAddrV4, out: Side, destination: SocketAddrV4) -> anyhow::Result<()> {
        Ok(writeln!(self.input, "route {} {source} {} {destination}", into.0, out.0)?)
    }

    /// Starts forwarding.
    pub fn go(&mut self) -> anyhow::Result<()> {
        writeln!(self.input, "go")?;
        self.read().map(drop)
    }

    fn read(&mut self) -> anyhow::Result<SocketAddrV4> {
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().with_context(|| format!("the forwarder said {line:?}"))
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        super::cpu(self.process.id())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        crate::process::end(&mut self.process);
    }
}

type Table = HashMap<(usize, SocketAddrV4), (usize, SocketAddrV4), BuildHasherDefault<Quick>>;

/// Not for keys of strangers.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// The process: ends when its input does.
pub fn run(ip: Ipv4Addr, by_segment: bool) -> anyhow::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut listening: Vec<Arc<UdpSocket>> = Vec::new();
    for _ in 0..cores {
        let port = listening.first().map_or(Ok(0), |first| first.local_addr().map(|address| address.port()))?;
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddr::from((ip, port)).into())?;
        let socket = UdpSocket::from(socket);
        sys::lengthen(&socket)?;
        listening.push(Arc::new(socket));
    }
    let mut relayed: Vec<Arc<UdpSocket>> = Vec::new();
    let mut table = Table::default();
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", listening[0].local_addr()?)?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["relay"] => {
                relayed.push(Arc::new(UdpSocket::bind((ip, 0))?));
                writeln!(output, "{}", relayed[relayed.len() - 1].local_addr()?)?;
                output.flush()?;
            }
            ["route", into, source, out, destination] => {
                table.insert((into.parse()?, source.parse()?), (out.parse()?, destination.parse()?));
            }
            ["go"] => {
                let (table, relayed) = (Arc::new(table.clone()), Arc::new(relayed.clone()));
                for (worker, socket) in listening.iter().enumerate() {
                    let (socket, table, relayed) = (socket.clone(), table.clone(), relayed.clone());
                    thread::Builder::new()
                        .name(format!("forward-{worker}"))
                        .spawn(move || forward(worker, cores, &socket, &relayed, &table, by_segment))?;
                }
                writeln!(output, "{}", listening[0].local_addr()?)?;
                output.flush()?;
            }
            _ => bail!("{line}"),
        }
    }
    Ok(())
}

fn forward(
    worker: usize,
    workers: usize,
    listening: &UdpSocket,
    relayed: &[Arc<UdpSocket>],
    table: &Table,
    by_segment: bool,
) -> anyhow::Result<()> {
    let descriptors: Vec<RawFd> = [listening.as_raw_fd()].into_iter().chain(relayed.iter().map(|socket| socket.as_raw_fd())).collect();
    let (mut inbox, mut passer) = (Inbox::new(false), Passer::new(by_segment));
    let own: Vec<usize> =
        [0].into_iter().chain((0..relayed.len()).filter(|index| index % workers == worker).map(|index| index + 1)).collect();
    let mut readable = Readable::new(own.iter().map(|side| descriptors[*side]));
    loop {
        readable.wait()?;
        for side in readable.ready().map(|index| own[index]) {
            let socket = if side == 0 { listening } else { &relayed[side - 1] };
            for index in 0..inbox.receive(socket)? {
                let datagram = inbox.get(index);
                if let Some((out, to)) = table.get(&(side, datagram.from)) {
                    passer.push(descriptors[*out], index, datagram.bytes.len(), *to);
                }
            }
            passer.flush(&mut inbox)?;
        }
    }
}
