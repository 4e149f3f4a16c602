//! The shell for clients over TCP and TLS (RFC 8656 §12.5, RFC 8489 §6.2.2): connections live in tokio, their frames go to a worker.
//!
//! Towards the worker a full inbox makes the connection wait, and so its sender, by TCP's own means. Towards the client media is dropped
//! when the client does not read: nothing grows, and no other client waits.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use campanile_ice::stun::turn::{Frame, stream_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::source_of;
use super::registry::Registry;
use super::tls::Tls;
use crate::datapath::flow::{Client, Via};
use crate::datapath::worker::{Inbox, WorkerHandle};
use crate::endpoint::Ip;
use crate::proxy_protocol::{self, Header};
use crate::settings::{Limits, Network};

/// Chunks queued towards a client; their bytes are bounded besides.
const OUTBOX_CHUNKS: usize = 256;
/// Read at once.
const READ_BYTES: usize = 16_384;
/// Encrypted bytes written at once.
const WRITE_BYTES: usize = 32_768;
/// How long a client may take for the TLS handshake, and to take what is written; and a proxy for its header.
const PATIENCE: Duration = Duration::from_secs(15);

/// Answers that wait for a client that has had no media yet: whoever does not read them gets no more.
const ANSWERS_BYTES_MAX: usize = 16 * 1024;

/// What the worker has for one client.
pub struct Outbox {
    sender: mpsc::Sender<Bytes>,
    queued: Arc<AtomicUsize>,
    bytes_max: usize,
    /// Media has been asked for, so the client has an allocation.
    carries_media: Cell<bool>,
}

impl Outbox {
    /// Whether `bytes` of media may be queued. Answers to requests may use twice the room.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.carries_media.set(true);
        self.queued.load(Ordering::Relaxed) + bytes <= self.bytes_max
    }

    /// Queues whole frames; false when they were dropped, because the client does not read or is gone.
    pub fn send(&self, frames: Bytes) -> bool {
        let bytes = frames.len();
        let bytes_max = if self.carries_media.get() { 2 * self.bytes_max } else { ANSWERS_BYTES_MAX.min(2 * self.bytes_max) };
        if self.queued.load(Ordering::Relaxed) + bytes > bytes_max {
            return false;
        }
        self.queued.fetch_add(bytes, Ordering::Relaxed);
        let is_sent = self.sender.try_send(frames).is_ok();
        if !is_sent {
            self.queued.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_sent
    }
}

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
        let (sender, receiver) = mpsc::channel(OUTBOX_CHUNKS);
        let queued = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox { sender, queued: queued.clone(), bytes_max: self.limits.queue_bytes, carries_media: Cell::new(false) };
        let worker = &self.workers[id as usize % self.workers.len()];
        hand_over(worker, Inbox::Connected(client, outbox)).await?;
        // The worker must learn of the end even when `stop` drops this future.
        let _farewell = Farewell { worker: worker.clone(), id };
        tokio::select! {
            result = read(reader, worker, id) => result,
            result = write(writer, receiver, &queued, matches!(client.via, Via::Tls(_))) => result,
        }
    }
}

/// Tells the worker that a connection is gone.
struct Farewell {
    worker: WorkerHandle,
    id: u64,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let (worker, id) = (self.worker.clone(), self.id);
        match worker.inbox.try_send(Inbox::Disconnected(id)) {
            Ok(()) => worker.waker.wake(),
            Err(mpsc::error::TrySendError::Full(message)) => {
                // Must not be lost: the allocation would stay. Waits in a task of its own, unless everything ends anyway.
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { hand_over(&worker, message).await });
                }
            }
            // The worker has ended.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}

async fn hand_over(worker: &WorkerHandle, message: Inbox) -> io::Result<()> {
    worker.inbox.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    worker.waker.wake();
    Ok(())
}

/// Cuts what arrives into whole frames and hands all of one read over together.
async fn read(mut reader: impl AsyncRead + Unpin, worker: &WorkerHandle, id: u64) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        // A frame has at most 65,556 bytes, so the buffer is bounded by that and one read.
        buffer.reserve(READ_BYTES);
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let whole = whole_frames(&buffer)?;
        if whole > 0 {
            hand_over(worker, Inbox::Frames(id, buffer.split_to(whole).freeze())).await?;
        }
    }
}

/// How many bytes at the start are whole frames.
fn whole_frames(bytes: &[u8]) -> io::Result<usize> {
    let mut whole = 0;
    loop {
        match stream_frame(&bytes[whole..]) {
            Frame::Whole(length) => whole += length,
            Frame::Partial => return Ok(whole),
            Frame::Invalid => return Err(io::Error::new(io::ErrorKind::InvalidData, "neither STUN nor ChannelData")),
        }
    }
}

/// Writes what the worker has; ends when it lets the outbox go.
///
/// Over TLS each frame is a record of its own: there are clients (coturn's) that take a record for a message.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut receiver: mpsc::Receiver<Bytes>,
    queued: &AtomicUsize,
    is_tls: bool,
) -> io::Result<()> {
    let mut chunks = Vec::new();
    let mut joined = BytesMut::new();
    while receiver.recv_many(&mut chunks, OUTBOX_CHUNKS).await > 0 {
        let mut bytes = match chunks.as_slice() {
            [one] => one.clone(),
            many => {
                many.iter().for_each(|chunk| joined.extend_from_slice(chunk));
                joined.split().freeze()
            }
        };
        chunks.clear();
        let length = bytes.len();
        let written = async {
            while let (true, Frame::Whole(frame)) = (is_tls, stream_frame(&bytes)) {
                writer.write_all(&bytes.split_to(frame)).await?;
            }
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        tokio::time::timeout(PATIENCE, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
        queued.fetch_sub(length, Ordering::Relaxed);
    }
    tokio::time::timeout(PATIENCE, writer.shutdown()).await.map_err(|_| io::ErrorKind::TimedOut)?
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_5_whole_frames_are_cut_off_wherever_the_stream_is_split() {
        let mut stream = Vec::new();
        let mut ends = vec![0];
        for data in [0u8, 1, 2, 3, 4, 100] {
            stream.extend_from_slice(&[0x40, 0, 0, data]);
            stream.resize((stream.len() + usize::from(data)).next_multiple_of(4), 7);
            ends.push(stream.len());
        }
        for length in 0..=stream.len() {
            let expected = ends.iter().rfind(|end| **end <= length).unwrap();
            assert_eq!(whole_frames(&stream[..length]).unwrap(), *expected);
        }
        stream.push(0x80);
        assert!(whole_frames(&stream).is_err());
    }

    #[test]
    fn before_any_media_an_outbox_holds_few_answers() {
        let (sender, _receiver) = mpsc::channel(OUTBOX_CHUNKS);
        let outbox = Outbox { sender, queued: Arc::default(), bytes_max: 262_144, carries_media: Cell::new(false) };
        assert!(outbox.send(vec![0; ANSWERS_BYTES_MAX].into()) && !outbox.send(vec![0; 1].into()));
        assert!(outbox.has_room(1) && outbox.send(vec![0; 1].into()));
    }

    #[test]
    fn an_outbox_holds_media_up_to_its_bound_and_answers_up_to_twice() {
        let (sender, mut receiver) = mpsc::channel(OUTBOX_CHUNKS);
        let queued = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox { sender, queued: queued.clone(), bytes_max: 100, carries_media: Cell::new(false) };
        assert!(outbox.has_room(100) && !outbox.has_room(101));
        assert!(outbox.send(vec![0; 90].into()));
        assert!(!outbox.has_room(11));
        assert!(outbox.send(vec![0; 110].into()));
        assert!(!outbox.send(vec![0; 1].into()));
        assert_eq!(queued.load(Ordering::Relaxed), 200);
        receiver.close();
        queued.store(0, Ordering::Relaxed);
        assert!(!outbox.send(vec![0; 1].into()));
        assert_eq!(queued.load(Ordering::Relaxed), 0);
    }
}
