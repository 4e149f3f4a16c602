//! The shell for clients over TCP and TLS (RFC 8656 §12.5, RFC 8489 §6.2.2): who may connect, and what
//! a connection is over; `stream.rs` is one connection.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::source_of;
use super::registry::Registry;
use super::stream::{self, PATIENCE};
use super::tls::Tls;
use crate::datapath::flow::{Client, Via};
use crate::datapath::worker::WorkerHandle;
use crate::endpoint::Ip;
use crate::proxy_protocol::{self, Header};
use crate::settings::{Limits, Network};

/// Encrypted bytes written at once.
const WRITE_BYTES: usize = 32_768;

/// What all connections share.
pub struct Acceptor {
    workers: Vec<WorkerHandle>,
    registry: Arc<Registry>,
    limits: Limits,
    /// Whose connections begin with a PROXY header.
    proxies: Vec<Network>,
    next_id: AtomicU64,
    connections: Mutex<Connections>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Connections {
    total: usize,
    sources: HashMap<Ip, usize>,
}

impl Acceptor {
    /// Connections go to `workers` in turn, and end with `stop`; those from `proxies` begin with a PROXY header.
    pub fn new(
        workers: Vec<WorkerHandle>,
        registry: Arc<Registry>,
        limits: Limits,
        proxies: Vec<Network>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self { workers, registry, limits, proxies, next_id: AtomicU64::new(0), connections: Mutex::default(), stop, tasks })
    }

    /// Accepts on a listener until `stop`; over TLS where `tls` is given.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<Tls>) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                    // A proxy stands for many sources; its connections count for the one that it names.
                    let behind = self.proxies.iter().any(|proxy| proxy.contains(remote.ip()));
                    let Some(place) = self.place((!behind).then_some(remote.ip())) else {
                        tracing::debug!(%remote, "too many connections");
                        continue;
                    };
                    self.tasks.spawn(self.clone().serve(stream, remote, behind, tls.clone(), place));
                }
                Err(error) => {
                    // Usually no descriptor is left: the next attempt would fail at once.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves a client whose TLS somebody else has accepted, as one that came to a listener of the relay. `keep` is dropped with the
    /// connection. False if there are too many connections.
    pub fn adopt<S, K>(self: &Arc<Self>, stream: S, remote: SocketAddr, local: SocketAddr, keep: K) -> bool
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        K: Send + 'static,
    {
        let Some(place) = self.place(Some(remote.ip())) else { return false };
        let this = self.clone();
        self.tasks.spawn(async move {
            let _keep = (place, keep);
            let id = this.next_id.fetch_add(1, Ordering::Relaxed);
            let (reader, writer) = tokio::io::split(stream);
            let client = Client { via: Via::Tls(id), remote: remote.into(), local: this.came_to(local).into() };
            this.until_stop(remote, this.relay(client, id, reader, writer)).await;
        });
        true
    }

    /// The address that a client came to, as far as it says something of this host: before a proxy it may be another's.
    fn came_to(&self, local: SocketAddr) -> SocketAddr {
        if self.registry.hosts().contains(local.ip()) {
            return local;
        }
        let any: IpAddr = if local.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        SocketAddr::new(any, local.port())
    }

    /// A place among the connections, given back when it is dropped; without an address it counts for no source.
    fn place(self: &Arc<Self>, ip: Option<IpAddr>) -> Option<Place> {
        let mut place = {
            let mut connections = self.connections();
            if connections.total >= self.limits.connections {
                return None;
            }
            connections.total += 1;
            Place { acceptor: self.clone(), source: None }
        };
        ip.is_none_or(|ip| place.count_for(ip)).then_some(place)
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream, remote: SocketAddr, behind: bool, tls: Option<Tls>, mut place: Place) {
        let result = async {
            stream.set_nodelay(true)?;
            let mut local = stream.local_addr()?;
            let mut remote = remote;
            if behind {
                let header = tokio::time::timeout(PATIENCE, proxy_protocol::read(&mut stream)).await;
                if let Header::Proxied { source, destination } = header.map_err(|_| io::ErrorKind::TimedOut)?? {
                    if !place.count_for(source.ip()) {
                        tracing::debug!(remote = %source, "too many connections");
                        return Ok(());
                    }
                    (remote, local) = (source, self.came_to(destination));
                }
            }
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            let client = |via| Client { via, remote: remote.into(), local: local.into() };
            match tls {
                None => {
                    let (reader, writer) = stream.into_split();
                    self.relay(client(Via::Tcp(id)), id, reader, writer).await
                }
                Some(tls) => {
                    // Buffered below TLS: several records, one system call.
                    let accepted = tls.accept(BufWriter::with_capacity(WRITE_BYTES, stream));
                    let stream = tokio::time::timeout(PATIENCE, accepted).await.map_err(|_| io::ErrorKind::TimedOut)??;
                    let (reader, writer) = tokio::io::split(stream);
                    self.relay(client(Via::Tls(id)), id, reader, writer).await
                }
            }
        };
        self.until_stop(remote, result).await;
    }

    async fn until_stop(&self, remote: SocketAddr, connection: impl Future<Output = io::Result<()>>) {
        let result = tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            result = connection => result,
        };
        if let Err(error) = result {
            tracing::debug!(%remote, %error, "connection ended");
        }
    }

    async fn relay(&self, client: Client, id: u64, reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        stream::serve(&self.workers, client, id, self.limits.queue_bytes, reader, writer).await
    }
}

/// See `Acceptor::place`.
struct Place {
    acceptor: Arc<Acceptor>,
    source: Option<Ip>,
}

impl Place {
    /// Counts a connection for a source. False if that has too many.
    fn count_for(&mut self, ip: IpAddr) -> bool {
        let source = source_of(ip);
        let mut connections = self.acceptor.connections();
        let from_source = connections.sources.get(&source).copied().unwrap_or(0);
        let has_room = from_source < self.acceptor.limits.connections_per_source;
        if has_room {
            *connections.sources.entry(source).or_default() += 1;
            self.source = Some(source);
        }
        has_room
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.acceptor.connections();
        connections.total -= 1;
        let Some(source) = self.source else { return };
        if let Some(count) = connections.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                connections.sources.remove(&source);
            }
        }
    }
}
