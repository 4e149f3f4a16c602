//! The server's end of a connection under test: it notes who writes to it, and fails when it is told to.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::ReadBuf;
use tokio::task;

use super::*;

/// What a test sees of it.
#[derive(Debug, Default)]
pub(super) struct Notes {
    by_others: AtomicUsize,
    fault: Mutex<Option<Fault>>,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Error,
    Panic,
}

impl Notes {
    /// How many writes were not the connection's task's.
    pub(super) fn by_others(&self) -> usize {
        self.by_others.load(Ordering::Relaxed)
    }

    /// The next write fails, and only that.
    pub(super) fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }
}

/// See the module.
pub(super) struct Far {
    io: Io,
    /// The connection's task is who reads.
    task: Option<task::Id>,
    notes: Arc<Notes>,
}

impl Far {
    pub(super) fn new(io: Io) -> (Self, Arc<Notes>) {
        let notes = Arc::new(Notes::default());
        (Self { io, task: None, notes: notes.clone() }, notes)
    }
}

impl AsyncRead for Far {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.task = task::try_id();
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Far {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let fault = self.notes.fault.lock().unwrap().take();
        match fault {
            Some(Fault::Error) => return Poll::Ready(Err(io::Error::other("asked for"))),
            Some(Fault::Panic) => panic!("asked for"),
            None => {}
        }
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        if self.task.is_some() && self.task != task::try_id() && matches!(written, Poll::Ready(Ok(_))) {
            self.notes.by_others.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
