//! The floor: what a message costs when a server reads it, looks for its end and writes it to the other connection, and does nothing else.
//! A thread for each connection, so that there is not even a poller; runs as a process of its own (`load floor`). The same of a notification
//! (`load fan`): one thread that writes what it reads to each of many connections, one write each.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::framer::Framer;
use crate::process;

/// The running floor.
pub struct Floor {
    process: Child,
    /// Where it takes its connections.
    pub address: SocketAddr,
}

impl Floor {
    /// Starts the one that passes messages on.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_as("floor", None)
    }

    /// Starts the one that writes to so many.
    pub fn start_fan(count: usize) -> anyhow::Result<Self> {
        Self::start_as("fan", Some(count))
    }

    fn start_as(verb: &str, count: Option<usize>) -> anyhow::Result<Self> {
        let [port, _] = super::free_ports()?;
        let own: PathBuf = std::env::current_exe()?;
        let count = count.map(|count| count.to_string());
        let mut process =
            Command::new(own).arg(verb).arg(port.to_string()).args(count).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        // It says so when it listens.
        process.stdout.take().context("its output is a pipe")?.read_exact(&mut [0])?;
        Ok(Self { process, address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.process.id())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        process::end(&mut self.process);
    }
}

/// What a thread of the floor needs, and more.
const STACK_BYTES: usize = 128 * 1024;

/// The process: takes connections two by two and passes on what comes from each of them to the other, until it is ended.
pub fn run(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!();
    loop {
        let ends: Arc<[OnceLock<TcpStream>; 2]> = Arc::default();
        for side in 0..2 {
            let stream = listener.accept()?.0;
            stream.set_nodelay(true)?;
            let ends = ends.clone();
            ends[side].set(stream.try_clone()?).ok().context("each is set once")?;
            // thousands of them
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn(move || pass_on(stream, &ends[1 - side]))?;
        }
    }
}

fn pass_on(mut from: TcpStream, to: &OnceLock<TcpStream>) -> anyhow::Result<()> {
    let mut framer = Framer::default();
    let mut chunk = vec![0; 16 * 1024];
    let mut output = Vec::new();
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        framer.space().extend_from_slice(&chunk[..read]);
        output.clear();
        while let Some(element) = framer.next() {
            output.extend_from_slice(element);
        }
        let mut to = to.get().context("both are connected before either sends")?;
        to.write_all(&output)?;
    }
}

/// The process: what comes from the first connection goes to each of the `count` that follow, until it is ended.
pub fn run_fan(port: u16, count: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    println!();
    let (mut from, _) = listener.accept()?;
    let mut sinks = Vec::with_capacity(count);
    for _ in 0..count {
        let (sink, _) = listener.accept()?;
        sink.set_nodelay(true)?;
        sinks.push(sink);
    }
    let mut framer = Framer::default();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        framer.space().extend_from_slice(&chunk[..read]);
        while let Some(element) = framer.next() {
            for sink in &mut sinks {
                sink.write_all(element)?;
            }
        }
    }
}
