//! The shell for clients over TCP and TLS (RFC 8656 §12.5, RFC 8489 §6.2.2): connections live in tokio, their frames go to a worker.
//!
//! Towards the worker a full inbox makes the connection wait, and so its sender, by TCP's own means. Towards the client media is dropped
//! when the client does not read: nothing grows, and no other client waits.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use campanile_ice::stun::turn::{Frame, stream_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::budget::source_of;
use crate::datapath::flow::{Client, Via};
use crate::datapath::worker::{Inbox, WorkerHandle};
use crate::endpoint::Ip;
use crate::settings::Limits;

/// Chunks queued towards a client; their bytes are bounded besides.
const OUTBOX_CHUNKS: usize = 256;
/// Read at once.
const READ_BYTES: usize = 16_384;
/// Encrypted bytes written at once.
const WRITE_BYTES: usize = 32_768;
/// How long a client may take for the TLS handshake, and to take what is written.
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
    /// An outbox, and what is put into it.
    #[cfg(test)]
    pub(crate) fn with_receiver(bytes_max: usize) -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(OUTBOX_CHUNKS);
        (Self { sender, queued: Arc::default(), bytes_max, carries_media: Cell::new(false) }, receiver)
    }

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
