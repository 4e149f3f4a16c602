//! RFC 6062 §4.5, §5.4: the bytes of a bound data connection, both ways, as they are. What one side does not take is not read from the
//! other: two buffers are all that is held.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::data_connections::{Carried, Link};
use crate::quality::report::Direction;

/// Read at once: at first, and at most, from a side that fills its buffer.
const BUFFER_BYTES: std::ops::RangeInclusive<usize> = 2_048..=65_536;
/// How long one direction lives on without data when the other has ended. §5.5 would end both at once, but what is under way, and
/// protocols that close one half first, get through.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// Carries data until a side ends, or the connection is to; both sides are closed then. `early` is what the client sent first.
pub(super) async fn run(reader: impl AsyncRead + Unpin, writer: impl AsyncWrite + Unpin, early: Bytes, link: Link) -> io::Result<()> {
    let peer = TcpStream::from_std(link.peer)?;
    peer.set_nodelay(true)?;
    let (peer_reader, peer_writer) = peer.into_split();
    let carried = &link.owner.carried;
    let progress = AtomicU64::new(0);
    let mut to_peer = std::pin::pin!(carry(reader, peer_writer, early, carried, Direction::ToPeer, &progress));
    let mut to_client = std::pin::pin!(carry(peer_reader, writer, Bytes::new(), carried, Direction::ToClient, &progress));
    tokio::select! {
        () = link.stop.cancelled() => Ok(()),
        result = async {
            tokio::select! {
                result = &mut to_peer => {
                    result?;
                    rest(&mut to_client, &progress).await
                }
                result = &mut to_client => {
                    result?;
                    rest(&mut to_peer, &progress).await
                }
            }
        } => result,
    }
}

/// What is left of one direction when the other has ended.
async fn rest(mut carrying: impl Future<Output = io::Result<()>> + Unpin, progress: &AtomicU64) -> io::Result<()> {
    loop {
        let before = progress.load(Ordering::Relaxed);
        match tokio::time::timeout(HALF_CLOSED, &mut carrying).await {
            Ok(result) => return result,
            Err(_) if progress.load(Ordering::Relaxed) == before => return Ok(()),
            Err(_) => {}
        }
    }
}

/// One direction, until its source ends; then its sink is told.
async fn carry(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    early: Bytes,
    carried: &Carried,
    direction: Direction,
    progress: &AtomicU64,
) -> io::Result<()> {
    let count = |bytes: usize| {
        carried.add(direction, bytes);
        progress.fetch_add(bytes as u64, Ordering::Relaxed);
    };
    if !early.is_empty() {
        sink.write_all(&early).await?;
        sink.flush().await?;
        count(early.len());
    }
    drop(early);
    let mut buffer = BytesMut::with_capacity(*BUFFER_BYTES.start());
    loop {
        let bytes = source.read_buf(&mut buffer).await?;
        if bytes == 0 {
            return sink.shutdown().await;
        }
        sink.write_all(&buffer).await?;
        sink.flush().await?;
        count(bytes);
        let room = buffer.capacity();
        buffer.clear();
        // A busy side earns a larger buffer, an idle one loses it.
        if bytes == room && room < *BUFFER_BYTES.end() {
            buffer = BytesMut::with_capacity(room * 4);
        } else if bytes < room / 16 && room > *BUFFER_BYTES.start() {
            buffer = BytesMut::with_capacity(*BUFFER_BYTES.start());
        }
    }
}
