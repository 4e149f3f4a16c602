//! A connection's line to its client: the socket, its framing, and how far the output has been written. Bytes are moved without waiting.
//!
//! It stands behind a lock, since it has two users (ADR 12): the connection's task, and, while that rests with nothing to write, whoever has a stanza for
//! many and writes it to each. Who finds it locked leaves the stanza to the task. No lock but the mailbox's is taken under it.

#[cfg(test)]
mod tests;

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::Instant;

use prometheus::IntCounter;
use smallvec::SmallVec;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::task::unconstrained;

use super::{Event, Io, OUTPUT_BYTES_HIGH, now};
use crate::mailbox::{Attachment, Delivery, Outlet, Wrote};
use crate::net::metrics::Metrics;
use crate::net::tls;
use crate::net::wire::Wire;
use crate::stanza::Stanza;

/// Read at once; on the stack, so that a stream that waits holds no buffer.
const READ_BYTES: usize = 16 * 1024;

/// What of all that TLS has taken the client may not be able to read, at most: what TLS holds back, a record of which the socket lacks the end, and what the
/// port for everything buffers below TLS.
const HELD_BACK_MAX: u64 = 3 * tls::BUFFER_BYTES_MAX as u64;

/// See the module.
pub(super) struct Line {
    pub(super) io: Io,
    pub(super) wire: Wire,
    /// How much of the output has been written.
    written: usize,
    /// Bytes that were output before what is now.
    gone: u64,
    /// How much of all output is with the socket: TLS holds back some of what it takes.
    handed: u64,
    /// When the client last took something, or the output began to wait; `None` while there is none.
    pub(super) waits_since: Option<Instant>,
    /// Why somebody else than the task could not write.
    failed: Option<io::Error>,
    /// How many stanzas others may write before the task has to know.
    leeway: u32,
    by_others: ByOthers,
    bytes: IntCounter,
    stanzas: IntCounter,
}

/// What others than the task have written since it last looked.
#[derive(Default)]
pub(super) struct ByOthers {
    pub(super) stanzas: u32,
    /// When the last of them, if there was a bound on them.
    pub(super) last: Option<Instant>,
    /// Those of which it is not known that they have been written, each with where it ends in all output.
    pub(super) begun: Vec<(u64, Delivery)>,
}

impl Line {
    pub(super) fn new(io: Io, wire: Wire, metrics: &Metrics) -> Self {
        let (bytes, stanzas) = (metrics.bytes_out.clone(), metrics.stanzas_out.clone());
        Self {
            io,
            wire,
            written: 0,
            gone: 0,
            handed: 0,
            waits_since: None,
            failed: None,
            leeway: 0,
            by_others: ByOthers::default(),
            bytes,
            stanzas,
        }
    }

    /// Nothing is left to write.
    pub(super) fn is_clear(&mut self) -> bool {
        self.wire.output().is_empty() && self.handed == self.gone && self.failed.is_none()
    }

    /// Whether little enough waits to be written to take in more.
    pub(super) fn has_room(&mut self) -> bool {
        self.wire.output().len() - self.written <= OUTPUT_BYTES_HIGH
    }

    /// How much of all output was handed to the socket.
    pub(super) fn handed_over(&self) -> u64 {
        self.handed
    }

    /// How much of it was, when that is worth a look: all output is taken, or so much that it is worth moving what is behind it.
    pub(super) fn let_go(&mut self) -> Option<u64> {
        let much = self.written > OUTPUT_BYTES_HIGH && self.written > self.wire.output().len() / 2;
        if much {
            self.wire.output().drain(..self.written);
            self.gone += std::mem::take(&mut self.written) as u64;
        }
        (much || self.wire.output().is_empty()).then_some(self.handed)
    }

    /// Queues a stanza; where it ends in all output.
    pub(super) fn send_stanza(&mut self, stanza: &Stanza) -> u64 {
        self.stanzas.inc();
        self.wire.send_stanza(stanza);
        self.gone + self.wire.output().len() as u64
    }

    /// The task is about to wait: others may write so many stanzas, unless something is left to be written before.
    pub(super) fn rest(&mut self, leeway: u32) {
        let clear = self.is_clear();
        if !clear && self.waits_since.is_none() {
            self.waits_since = Some(now());
        }
        self.leeway = if clear { leeway } else { 0 };
    }

    /// The task is at work again.
    pub(super) fn take_over(&mut self) -> ByOthers {
        self.leeway = 0;
        std::mem::take(&mut self.by_others)
    }

    /// Writes what waits in a mailbox, in the task's place.
    fn write_mail(&mut self, mail: &Attachment) -> Wrote {
        let Some(deliveries) = mail.take_at_once(self.leeway) else { return Wrote::Nothing };
        // Until it is output, none of it can have been written.
        let mut begun: SmallVec<[_; 1]> = deliveries.map(|delivery| (u64::MAX, delivery)).collect();
        let count = u32::try_from(begun.len()).unwrap_or(u32::MAX);
        self.by_others.stanzas = self.by_others.stanzas.saturating_add(count);
        if self.leeway < u32::MAX {
            self.leeway -= count;
            self.by_others.last = Some(now());
        }
        // Whoever panics here is not the connection's task: the client may have got anything, so that the connection ends, and it alone.
        match catch_unwind(AssertUnwindSafe(|| self.write_begun(&mut begun))) {
            Ok(Poll::Ready(Ok(()))) => return Wrote::All,
            Ok(Poll::Ready(Err(error))) => self.failed = Some(error),
            Ok(Poll::Pending) => {}
            Err(_) => self.failed = Some(io::Error::other("a panic while somebody wrote to it")),
        }
        self.leeway = 0;
        self.by_others.begun = begun.into_vec();
        Wrote::Part
    }

    /// Says where each ends in all output.
    fn write_begun(&mut self, begun: &mut [(u64, Delivery)]) -> Poll<io::Result<()>> {
        for (end, delivery) in begun {
            *end = self.send_stanza(&delivery.stanza);
        }
        // Tokio's budget is the writer's, who sees to it that others have their turns. Nobody waits here for the socket: that is left to the task.
        pin!(unconstrained(poll_fn(|cx| self.poll_write(cx)))).poll(&mut TaskContext::from_waker(Waker::noop()))
    }

    /// Writes what can be written, then reads if it may.
    pub(super) fn poll_io(&mut self, may_read: bool, cx: &mut TaskContext<'_>) -> Poll<Event> {
        let mut all_written = false;
        if !self.is_clear() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => all_written = true,
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Gone(Err(error))),
                // Others have left it: from now on the client's time runs.
                Poll::Pending if self.waits_since.is_none() => return Poll::Ready(Event::Output),
                Poll::Pending => {}
            }
        }
        if may_read {
            let Self { io, wire, .. } = self;
            let take = |bytes: &[u8]| {
                wire.push(bytes);
                bytes.len()
            };
            match poll_read(io, take, cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Event::Gone(Ok(()))),
                Poll::Ready(Ok(bytes)) => return Poll::Ready(Event::Read(bytes)),
                Poll::Ready(Err(error)) => return Poll::Ready(Event::Gone(Err(error))),
                Poll::Pending => {}
            }
        }
        if all_written { Poll::Ready(Event::Output) } else { Poll::Pending }
    }

    /// Writes what the socket takes at once.
    pub(super) fn write_some(&mut self, cx: &mut TaskContext<'_>) -> io::Result<()> {
        match self.poll_write(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Ready when all output is written and flushed.
    pub(super) fn poll_write(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let output = self.poll_output(cx);
        let taken = self.gone + self.written as u64;
        // Also of a part: a socket by itself holds back nothing, and of TLS nothing else tells.
        let flushed = if self.handed < taken { Pin::new(&mut self.io).poll_flush(cx) } else { Poll::Ready(Ok(())) };
        self.handed = match flushed {
            Poll::Ready(Ok(())) => taken,
            _ => self.handed.max(taken.saturating_sub(HELD_BACK_MAX)),
        };
        ready!(output)?;
        ready!(flushed)?;
        self.waits_since = None;
        Poll::Ready(Ok(()))
    }

    /// Ready when all output is taken.
    fn poll_output(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        let Self { io, wire, .. } = self;
        while self.written < wire.output().len() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &wire.output()[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    self.written += count;
                    self.bytes.inc_by(count as u64);
                    self.waits_since = self.waits_since.map(|_| now());
                }
            }
        }
        if self.written > 0 {
            self.gone += std::mem::take(&mut self.written) as u64;
            wire.clear_output();
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads once, into a buffer on the stack, and hands over what came. Ready with 0 at the end.
pub(super) fn poll_read(io: &mut Io, take: impl FnOnce(&[u8]) -> usize, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
    let mut chunk = [const { MaybeUninit::uninit() }; READ_BYTES];
    let mut buffer = ReadBuf::uninit(&mut chunk);
    ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(take(buffer.filled())))
}

/// The line as both its users hold it.
pub(super) struct Shared(Mutex<Line>);

impl Shared {
    pub(super) fn new(line: Line) -> Self {
        Self(Mutex::new(line))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Line> {
        // Only the task itself can have panicked, which has ended with that.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

impl Outlet for Shared {
    fn write(&self, mail: &Attachment) -> Wrote {
        let Ok(mut line) = self.0.try_lock() else { return Wrote::Nothing };
        line.write_mail(mail)
    }
}
