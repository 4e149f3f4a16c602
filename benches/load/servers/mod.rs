//! Servers under load: each a process of ours with a configuration and data of its own in a temporary folder, on free ports of loopback,
//! ended by its process id.

pub mod campanile;
pub mod ejabberd;
pub mod floor;
pub mod prosody;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio_rustls::TlsConnector;

use super::client::{Client, Target};
use super::process::{self, Memory};
use super::tls::Certificate;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The binary at this path, and what it is called in the table.
    Campanile(String, PathBuf),
    /// Debian's.
    Prosody,
    /// Debian's.
    Ejabberd,
}

impl Which {
    /// Its name in the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Campanile(name, _) => name,
            Self::Prosody => "Prosody",
            Self::Ejabberd => "ejabberd",
        }
    }

    /// Whether the targets compare it with others, and not others with it.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Campanile(..))
    }
}

/// What a scenario needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Whether every message is archived, those of rooms too.
    pub archive: bool,
    /// Accounts `u0`, `u1`, … of `localhost`.
    pub accounts: usize,
    /// Whether there is a PubSub service at `pubsub.localhost`, where `u0` may make nodes.
    pub pubsub: bool,
    /// Whether there is a service for rooms at `conference.localhost`, where everybody may create some.
    pub rooms: bool,
}

/// A running server.
pub struct Server {
    /// Which.
    pub which: Which,
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
    connector: Arc<TlsConnector>,
}

impl Server {
    /// Starts it and returns once it takes clients and has its accounts.
    pub async fn start(which: Which, setup: Setup, certificate: &Certificate) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("campanile-load-{}", super::unique()));
        fs::create_dir(&folder)?;
        let _ = certificate.write(&folder)?;
        let [port, api] = free_ports()?;
        let name = which.name().to_owned();
        let starting = async {
            let command = match &which {
                Which::Campanile(_, binary) => campanile::command(binary, &folder, port, setup).await?,
                Which::Prosody => prosody::command(&folder, port, setup)?,
                Which::Ejabberd => ejabberd::command(&folder, port, api, setup)?,
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let server =
                Self { which, process: process::spawn(command, &folder)?, folder, address, connector: Arc::new(certificate.connector()?) };
            server.wait_for(address)?;
            if server.which == Which::Ejabberd {
                let api = SocketAddr::from((Ipv4Addr::LOCALHOST, api));
                server.wait_for(api)?;
                ejabberd::register(api, setup.accounts).await?;
            }
            anyhow::Ok(server)
        };
        starting.await.with_context(|| format!("cannot start {name}"))
    }

    fn wait_for(&self, address: SocketAddr) -> anyhow::Result<()> {
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

    /// How to reach it.
    pub fn target(&self, tls: bool) -> Target {
        Target { address: self.address, connector: self.connector.clone(), tls }
    }

    /// A session of an account.
    pub async fn log_in(&self, tls: bool, account: usize, resource: &str) -> anyhow::Result<Client> {
        Client::log_in(&self.target(tls), &format!("u{account}"), resource).await.with_context(|| self.which.name().to_owned())
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(self.process.id())
    }

    /// The same to the nanosecond, while it has nothing to do.
    pub fn cpu_exact(&self) -> anyhow::Result<Duration> {
        process::cpu_exact(self.process.id())
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

/// Two ports that were free just now.
fn free_ports() -> anyhow::Result<[u16; 2]> {
    // held together, so that they differ
    let listeners = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}
