//! The shell for clients over TCP and TLS (RFC 8656 §12.5, RFC 8489 §6.2.2): who may connect, and what
//! a connection is over; `stream.rs` is one connection.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::source_of;
use super::stream::{self, PATIENCE};
use crate::datapath::flow::{Client, Via};
use crate::datapath::worker::WorkerHandle;
use crate::endpoint::Ip;
use crate::settings::Limits;

/// Encrypted bytes written at once.
const WRITE_BYTES: usize = 32_768;
/// What all connections share.
pub struct Acceptor {
    workers: Vec<WorkerHandle>,
    limits: Limits,
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
    /// Connections go to `workers` in turn, and end with `stop`.
    pub fn new(workers: Vec<WorkerHandle>, limits: Limits, stop: CancellationToken, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self { workers, limits, next_id: AtomicU64::new(0), connections: Mutex::default(), stop, tasks })
    }

    /// Accepts on a listener until `stop`; over TLS where `tls` is given.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let Some(place) = self.place(remote.ip()) else {
                        tracing::debug!(%remote, "too many connections");
                        continue;
                    };
                    self.tasks.spawn(self.clone().serve(stream, remote, tls.clone(), place));
                }
                Err(error) => {
                    // Usually no descriptor is left: the next attempt would fail at once.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// A place among the connections, given back when it is dropped.
    fn place(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let source = source_of(ip);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let from_source = connections.sources.get(&source).copied().unwrap_or(0);
        if connections.total >= self.limits.connections || from_source >= self.limits.connections_per_source {
            return None;
        }
        connections.total += 1;
        *connections.sources.entry(source).or_default() += 1;
        Some(Place { acceptor: self.clone(), source })
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, tls: Option<TlsAcceptor>, _place: Place) {
        let result = async {
            stream.set_nodelay(true)?;
            let local = stream.local_addr()?;
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
        let result = tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            result = result => result,
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
    source: Ip,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.acceptor.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.total -= 1;
        if let Some(count) = connections.sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                connections.sources.remove(&self.source);
            }
        }
    }
}
