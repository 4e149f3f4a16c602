//! Moving bytes between a socket and a [`Wire`], without waiting.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use prometheus::IntCounter;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::{Event, Io, now};
use crate::net::wire::Wire;

/// Read at once; on the stack, so that a stream that waits holds no buffer.
const READ_BYTES: usize = 16 * 1024;

/// How far the output has been written.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) written: usize,
    /// Written, but perhaps still in TLS' buffer.
    pub(super) unflushed: bool,
    /// When the client last took something, or the output began to wait; `None` while there is none.
    pub(super) waits_since: Option<Instant>,
    pub(super) bytes: IntCounter,
}

/// Writes what can be written, then reads if it may.
pub(super) fn poll_io(io: &mut Io, wire: &mut Wire, writer: &mut Writer, may_read: bool, cx: &mut TaskContext<'_>) -> Poll<Event> {
    let mut all_written = false;
    if !wire.output().is_empty() || writer.unflushed {
        match poll_write(io, wire, writer, cx) {
            Poll::Ready(Ok(())) => all_written = true,
            Poll::Ready(Err(error)) => return Poll::Ready(Event::Gone(Err(error))),
            Poll::Pending => {}
        }
    }
    if may_read {
        match poll_read(
            io,
            |bytes| {
                wire.push(bytes);
                bytes.len()
            },
            cx,
        ) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Event::Gone(Ok(()))),
            Poll::Ready(Ok(bytes)) => return Poll::Ready(Event::Read(bytes)),
            Poll::Ready(Err(error)) => return Poll::Ready(Event::Gone(Err(error))),
            Poll::Pending => {}
        }
    }
    if all_written { Poll::Ready(Event::Written) } else { Poll::Pending }
}

/// Ready when all output is written and flushed.
pub(super) fn poll_write(io: &mut Io, wire: &mut Wire, writer: &mut Writer, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
    while writer.written < wire.output().len() {
        match Pin::new(&mut *io).poll_write(cx, &wire.output()[writer.written..]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => {
                writer.written += count;
                writer.unflushed = true;
                writer.bytes.inc_by(count as u64);
                writer.waits_since = writer.waits_since.map(|_| now());
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
    if writer.written > 0 {
        writer.written = 0;
        wire.clear_output();
    }
    if writer.unflushed {
        std::task::ready!(Pin::new(&mut *io).poll_flush(cx))?;
        writer.unflushed = false;
    }
    writer.waits_since = None;
    Poll::Ready(Ok(()))
}

/// Reads once, into a buffer on the stack, and hands over what came. Ready with 0 at the end.
pub(super) fn poll_read(io: &mut Io, take: impl FnOnce(&[u8]) -> usize, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
    let mut chunk = [const { MaybeUninit::uninit() }; READ_BYTES];
    let mut buffer = ReadBuf::uninit(&mut chunk);
    std::task::ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(take(buffer.filled())))
}
