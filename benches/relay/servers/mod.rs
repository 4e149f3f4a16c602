//! What is measured: each a process of its own with a configuration of its own in a temporary folder, on an address of loopback of its own
//! (so that no two contend for ports), ended by its process id.

pub mod campanile;
pub mod coturn;
pub mod forwarder;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustls::ClientConfig;

use super::process::{self, Memory};
use super::tls::Certificate;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shared secret of the TURN REST API.
pub const SECRET: &str = "relay bench";
/// Ports of relayed addresses: enough for ten thousand allocations.
pub const PORTS: (u16, u16) = (10_240, 65_535);

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The binary at this path, and what it is called in the table.
    Campanile(String, PathBuf),
    /// Debian's.
    Coturn,
}

impl Which {
    /// Its name in the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Campanile(name, _) => name,
            Self::Coturn => COTURN,
        }
    }
}

/// What it is called in the table.
pub const COTURN: &str = "coturn";

/// A running server.
pub struct Server {
    /// Which.
    pub which: Which,
    process: Child,
    folder: PathBuf,
    /// STUN and TURN over UDP and TCP.
    pub address: SocketAddrV4,
    /// The same over TLS.
    pub tls: SocketAddrV4,
    /// Trusts its certificate.
    pub connector: Arc<ClientConfig>,
}

impl Server {
    /// Starts it and returns once it takes clients.
    pub fn start(which: &Which, certificate: &Certificate) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("campanile-relay-{}", super::unique()));
        fs::create_dir(&folder)?;
        let _ = certificate.write(&folder)?;
        let ip = match which {
            // relays only from addresses that an interface has
            Which::Campanile(..) => Ipv4Addr::LOCALHOST,
            Which::Coturn => Ipv4Addr::new(127, 0, 0, 2),
        };
        let [address, tls] = free_ports(ip)?;
        let name = which.name().to_owned();
        let command = match which {
            Which::Campanile(_, binary) => campanile::command(binary, &folder, address, tls)?,
            Which::Coturn => coturn::command(&folder, address, tls),
        };
        let process = process::spawn(command, &folder)?;
        // Debian's coturn knows TLS 1.2 at most.
        let connector = Arc::new(certificate.client(&[&rustls::version::TLS13, &rustls::version::TLS12])?);
        let server = Self { which: which.clone(), process, folder, address, tls, connector };
        server.wait_for(address).and_then(|()| server.wait_for(tls)).with_context(|| format!("cannot start {name}"))?;
        Ok(server)
    }

    fn wait_for(&self, address: SocketAddrV4) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > end || fs::metadata(format!("/proc/{}/exe", self.process.id())).is_err() {
                let log = fs::read_to_string(self.folder.join("output.log")).unwrap_or_default();
                bail!("it does not listen on {address}: {log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(self.process.id())
    }

    /// The CPU time that each of its threads has used.
    pub fn threads(&self) -> anyhow::Result<Vec<(u32, Duration)>> {
        threads(self.process.id())
    }

    /// The memory that it uses.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        process::memory(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::end(&mut self.process);
        // The next start of the machine clears what could not be removed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// CPU time of a process in nanoseconds, as the scheduler counts it; threads that have ended are not in it.
pub fn cpu(process: u32) -> anyhow::Result<Duration> {
    Ok(threads(process)?.iter().map(|(_, cpu)| *cpu).sum())
}

fn threads(process: u32) -> anyhow::Result<Vec<(u32, Duration)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/task")).context("a process has ended")? {
        let path = entry?.path();
        let Some(thread) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()) else { continue };
        // A thread may have ended meanwhile.
        let Ok(text) = fs::read_to_string(path.join("schedstat")) else { continue };
        let ran = text.split_whitespace().next().context("schedstat")?.parse()?;
        all.push((thread, Duration::from_nanos(ran)));
    }
    Ok(all)
}

/// Two ports of an address that were free just now, for UDP too.
fn free_ports(ip: Ipv4Addr) -> anyhow::Result<[SocketAddrV4; 2]> {
    // held together, so that they differ
    let mut held = Vec::new();
    while held.len() < 2 {
        let listener = TcpListener::bind((ip, 0))?;
        let address = SocketAddrV4::new(ip, listener.local_addr()?.port());
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port())).is_ok() {
            held.push((address, listener));
        }
    }
    Ok([held[0].0, held[1].0])
}
