//! RFC 6062 §4.5, §5.4: the bytes of a bound data connection, both ways, as they are. What one side does not take is not read from the
//! other: two buffers are all that is held. What goes beyond the account's bytes per second waits likewise.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::data_connections::{DataOwner, Link};
use super::quota::Allowance;
use crate::quality::report::Direction;

/// Read at once: at first, and at most, from a side that fills its buffer.
const BUFFER_BYTES: std::ops::RangeInclusive<usize> = 2_048..=65_536;
/// How long one direction lives on without data when the other has ended. §5.5 would end both at once, but what is under way, and
/// protocols that close one half first, get through.
const HALF_CLOSED: Duration = Duration::from_secs(60);
/// How long a chunk waits before the account's rate is asked again.
const PAUSE: Duration = Duration::from_millis(5);

/// Carries data until a side ends, or the connection is to; both sides are closed then. `early` is what the client sent first.
pub(super) async fn run(reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin, early: Bytes, link: Link) -> io::Result<()> {
    let peer = TcpStream::from_std(link.peer)?;
    peer.set_nodelay(true)?;
    let (peer_reader, peer_writer) = peer.into_split();
    let pipe = Pipe::new(&link.owner);
    let mut to_peer = std::pin::pin!(pipe.carry(reader, peer_writer, early, Direction::ToPeer));
    let mut to_client = std::pin::pin!(pipe.carry(peer_reader, writer, Bytes::new(), Direction::ToClient));
    tokio::select! {
        () = link.stop.cancelled() => Ok(()),
        result = async {
            tokio::select! {
                result = &mut to_peer => {
                    result?;
                    pipe.rest(&mut to_client).await
                }
                result = &mut to_client => {
                    result?;
                    pipe.rest(&mut to_peer).await
                }
            }
        } => result,
    }
}

/// What both directions share.
struct Pipe<'a> {
    owner: &'a DataOwner,
    /// Taken from the account's bytes per second before a chunk is passed on; one task asks at a time.
    allowance: Mutex<Allowance>,
    progress: AtomicU64,
}

impl<'a> Pipe<'a> {
    fn new(owner: &'a DataOwner) -> Self {
        let allowance = Allowance::new(owner.share.clone(), owner.is_early.load(Ordering::Relaxed));
        Self { owner, allowance: Mutex::new(allowance), progress: AtomicU64::new(0) }
    }

    /// What is left of one direction when the other has ended.
    async fn rest(&self, mut carrying: impl Future<Output = io::Result<()>> + Unpin) -> io::Result<()> {
        loop {
            let before = self.progress.load(Ordering::Relaxed);
            match tokio::time::timeout(HALF_CLOSED, &mut carrying).await {
                Ok(result) => return result,
                Err(_) if self.progress.load(Ordering::Relaxed) == before => return Ok(()),
                Err(_) => {}
            }
        }
    }

    /// One direction, until its source ends; then its sink is told.
    async fn carry(
        &self,
        mut source: impl AsyncRead + Unpin,
        mut sink: impl AsyncWrite + Unpin,
        early: Bytes,
        direction: Direction,
    ) -> io::Result<()> {
        for piece in early.chunks(*BUFFER_BYTES.end()) {
            self.pass(piece, &mut sink, direction).await?;
        }
        drop(early);
        let mut buffer = BytesMut::with_capacity(*BUFFER_BYTES.start());
        loop {
            // Never more than the allowance can hold.
            let room = (buffer.capacity() - buffer.len()).min(*BUFFER_BYTES.end());
            let bytes = source.read_buf(&mut (&mut buffer).limit(room)).await?;
            if bytes == 0 {
                return sink.shutdown().await;
            }
            self.pass(&buffer, &mut sink, direction).await?;
            buffer.clear();
            // A busy side earns a larger buffer, an idle one loses it.
            if bytes == room && room < *BUFFER_BYTES.end() {
                buffer = BytesMut::with_capacity((room * 4).min(*BUFFER_BYTES.end()));
            } else if bytes < room / 16 && room > *BUFFER_BYTES.start() {
                buffer = BytesMut::with_capacity(*BUFFER_BYTES.start());
            }
        }
    }

    /// Writes a chunk when the account's rate lets it.
    async fn pass(&self, chunk: &[u8], sink: &mut (impl AsyncWrite + Unpin), direction: Direction) -> io::Result<()> {
        while !self.may_pass(chunk.len()) {
            tokio::time::sleep(PAUSE).await;
            // Waiting for its turn is no silence.
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
        sink.write_all(chunk).await?;
        sink.flush().await?;
        self.owner.carried.add(direction, chunk.len());
        self.progress.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn may_pass(&self, bytes: usize) -> bool {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.set_early(self.owner.is_early.load(Ordering::Relaxed));
        allowance.take(bytes, Instant::now())
    }
}
