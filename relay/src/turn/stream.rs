//! One client's connection over TCP or TLS, between its socket and a worker: frames are cut here (RFC 8656 §12.5, RFC 8489 §6.2.2), what
//! they mean is the worker's business. With a ConnectionBind (RFC 6062 §5.4) it may become the client's half of a data connection.
//!
//! Towards the worker few messages of one client may wait, one as long as it has relayed nothing: then the connection waits, and its sender
//! by TCP's own means. Towards the client media is dropped when the client does not read: nothing grows, and no other client waits.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use campanile_ice::stun::turn::{Frame, stream_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::data_connections::Link;
use super::pipe;
use crate::datapath::flow::{Client, Via};
use crate::datapath::worker::{Inbox, WorkerHandle};

/// How long a client may take to take what is written.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Chunks queued towards a client; their bytes are bounded besides.
const OUTBOX_CHUNKS: usize = 256;
/// Places among them that media leaves to answers: over TCP nobody asks again.
const ANSWER_CHUNKS: usize = 64;
/// Read at once, at first and from a client that sends much.
const READ_BYTES: std::ops::RangeInclusive<usize> = 2_048..=16_384;
/// Handed to the worker at once by a client that has relayed nothing, but for a longer frame.
const UNTRUSTED_BYTES: usize = 2_048;
/// Messages of one client that wait for the worker, once it relays.
const TURNS: usize = 2;
/// Frames together shorter than this are copied, so that they do not keep a buffer that was read into.
const COPIED_BYTES: usize = 4_096;
/// Answers that wait for a client that has had no media yet: whoever does not read them gets no more.
const ANSWERS_BYTES_MAX: usize = 16 * 1024;
/// The first two bytes of a ConnectionBind request.
const CONNECTION_BIND: [u8; 2] = [0x00, 0x0B];

/// What the worker has for one client.
pub struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
    bytes_max: usize,
    /// Media has been asked for, so the client has an allocation.
    carries_media: Cell<bool>,
}

pub(crate) enum Outgoing {
    Frames(Bytes),
    Bind(Box<Link>),
}

/// What both ends of an outbox know.
#[derive(Default)]
struct Shared {
    /// Bytes in the outbox.
    queued: AtomicUsize,
    /// The client's ConnectionBind was answered, and it stays a client.
    resume: Notify,
    /// It relays.
    is_trusted: AtomicBool,
    /// The worker that it belongs to.
    worker: AtomicU16,
}

impl Shared {
    fn worker<'a>(&self, workers: &'a [WorkerHandle]) -> &'a WorkerHandle {
        &workers[usize::from(self.worker.load(Ordering::Relaxed))]
    }
}

/// A client's message in a worker's inbox; dropped when the worker has worked it.
#[derive(Default)]
pub struct Turn(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl Outbox {
    /// An outbox, and what is put into it.
    #[cfg(test)]
    pub(crate) fn with_receiver(bytes_max: usize) -> (Self, mpsc::Receiver<Outgoing>) {
        let (sender, receiver) = mpsc::channel(OUTBOX_CHUNKS);
        (Self { sender, shared: Arc::default(), bytes_max, carries_media: Cell::new(false) }, receiver)
    }

    /// Whether `bytes` of media may be queued. Answers to requests may use twice the room.
    pub fn has_room(&self, bytes: usize) -> bool {
        if !self.carries_media.replace(true) {
            self.trust();
        }
        self.shared.queued.load(Ordering::Relaxed) + bytes <= self.bytes_max && self.sender.capacity() > ANSWER_CHUNKS
    }

    /// Queues whole frames; false when they were dropped, because the client does not read or is gone.
    pub fn send(&self, frames: Bytes) -> bool {
        let bytes = frames.len();
        let bytes_max = if self.carries_media.get() { 2 * self.bytes_max } else { ANSWERS_BYTES_MAX.min(2 * self.bytes_max) };
        if self.shared.queued.load(Ordering::Relaxed) + bytes > bytes_max {
            return false;
        }
        self.shared.queued.fetch_add(bytes, Ordering::Relaxed);
        let is_sent = self.sender.try_send(Outgoing::Frames(frames)).is_ok();
        if !is_sent {
            self.shared.queued.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_sent
    }

    /// The client has relayed something: it may have more in the inbox.
    pub fn trust(&self) {
        self.shared.is_trusted.store(true, Ordering::Relaxed);
    }

    /// What the client sends from now on goes to another worker; the outbox is to go there, too.
    pub fn move_to(&self, worker: u16) {
        self.shared.worker.store(worker, Ordering::Relaxed);
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Makes the connection a data connection, after all that was sent before. It ends when the client does not read.
    pub fn bind(self, link: Link) {
        // Without room the link is dropped, and the peer's half with it; the outbox is dropped with the client's.
        let _ = self.sender.try_send(Outgoing::Bind(link.into()));
    }

    /// The frames up to a ConnectionBind were worked, and there is no data connection: the client may be read on.
    pub fn resume(&self) {
        self.shared.resume.notify_one();
    }
}

/// Whether the last frame was one after which a connection is not read on until `Outbox::bind` or `Outbox::resume` says how.
pub fn ends_with_bind(last_frame: &[u8]) -> bool {
    last_frame.starts_with(&CONNECTION_BIND)
}

/// Serves a client until it goes, or the worker lets its outbox go.
pub(super) async fn serve(
    workers: &[WorkerHandle],
    client: Client,
    id: u64,
    queue_bytes: usize,
    mut reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(OUTBOX_CHUNKS);
    let worker = id as usize % workers.len();
    let shared = Arc::new(Shared { worker: AtomicU16::new(worker as u16), ..Shared::default() });
    let outbox = Outbox { sender, shared: shared.clone(), bytes_max: queue_bytes, carries_media: Cell::new(false) };
    hand_over(&workers[worker], Inbox::Connected(client, outbox)).await?;
    // The worker must learn of the end even when `stop` drops this future.
    let _farewell = Farewell { workers, shared: shared.clone(), id };
    let mut buffer = BytesMut::new();
    let written = tokio::select! {
        result = read(&mut reader, &mut buffer, workers, id, &shared) => return result,
        result = write(writer, receiver, &shared.queued, matches!(client.via, Via::Tls(_))) => result?,
    };
    match written {
        None => Ok(()),
        // The reader waited for just this.
        Some((writer, link)) => pipe::run(reader, writer, buffer.freeze(), *link).await,
    }
}

/// Tells the worker that a connection is gone.
struct Farewell<'a> {
    workers: &'a [WorkerHandle],
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        // Where it moves just now: the next worker sees that the outbox is closed.
        let (worker, id) = (self.shared.worker(self.workers).clone(), self.id);
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

/// Puts a message into a worker's inbox; waits while that is full.
pub(crate) async fn hand_over(worker: &WorkerHandle, message: Inbox) -> io::Result<()> {
    worker.inbox.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    worker.waker.wake();
    Ok(())
}

/// Cuts what arrives into whole frames and hands all of one read over together.
async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    workers: &[WorkerHandle],
    id: u64,
    shared: &Shared,
) -> io::Result<()> {
    let turns = Arc::new(Semaphore::new(1));
    let mut is_trusted = false;
    let mut wanted = *READ_BYTES.start();
    loop {
        if !is_trusted && shared.is_trusted.load(Ordering::Relaxed) {
            is_trusted = true;
            turns.add_permits(TURNS - 1);
        }
        let cut = whole_frames(buffer, if is_trusted { usize::MAX } else { UNTRUSTED_BYTES })?;
        if cut.length > 0 {
            let Ok(turn) = turns.clone().acquire_owned().await else { return Ok(()) };
            let frames = match cut.length {
                0..COPIED_BYTES => {
                    let frames = Bytes::copy_from_slice(&buffer[..cut.length]);
                    buffer.advance(cut.length);
                    frames
                }
                length => buffer.split_to(length).freeze(),
            };
            hand_over(shared.worker(workers), Inbox::Frames(id, frames, Turn(Some(turn)))).await?;
            if cut.ends_with_bind {
                shared.resume.notified().await;
            }
            continue;
        }
        // A frame has at most 65,556 bytes, so the buffer is bounded by that and one read.
        buffer.reserve(wanted);
        let room = buffer.capacity() - buffer.len();
        let length = reader.read_buf(buffer).await?;
        if length == 0 {
            return Ok(());
        }
        wanted = if length >= room.min(wanted) { *READ_BYTES.end() } else { *READ_BYTES.start() };
    }
}

/// What of a buffer is handed over at once.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    length: usize,
    /// What follows may not be frames any more.
    ends_with_bind: bool,
}

/// Whole frames at the start: up to `bytes_max` of them or one longer frame, none after a ConnectionBind.
fn whole_frames(bytes: &[u8], bytes_max: usize) -> io::Result<Cut> {
    let mut length = 0;
    loop {
        match stream_frame(&bytes[length..]) {
            Frame::Whole(frame) if length > 0 && length + frame > bytes_max => return Ok(Cut { length, ends_with_bind: false }),
            Frame::Whole(frame) => {
                let ends_with_bind = ends_with_bind(&bytes[length..]);
                length += frame;
                if ends_with_bind {
                    return Ok(Cut { length, ends_with_bind });
                }
            }
            Frame::Partial => return Ok(Cut { length, ends_with_bind: false }),
            // What stands before it is worked first.
            Frame::Invalid if length > 0 => return Ok(Cut { length, ends_with_bind: false }),
            Frame::Invalid => return Err(io::Error::new(io::ErrorKind::InvalidData, "neither STUN nor ChannelData")),
        }
    }
}

/// Writes what the worker has; ends when it lets the outbox go, or makes the connection a data connection.
///
/// Over TLS each frame is a record of its own: there are clients (coturn's) that take a record for a message.
async fn write<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut receiver: mpsc::Receiver<Outgoing>,
    queued: &AtomicUsize,
    is_tls: bool,
) -> io::Result<Option<(W, Box<Link>)>> {
    let mut messages = Vec::new();
    let mut joined = BytesMut::new();
    while receiver.recv_many(&mut messages, OUTBOX_CHUNKS).await > 0 {
        let mut link = None;
        let mut bytes = Bytes::new();
        for message in messages.drain(..) {
            match message {
                Outgoing::Bind(bound) => link = Some(bound),
                Outgoing::Frames(chunk) if bytes.is_empty() && joined.is_empty() => bytes = chunk,
                Outgoing::Frames(chunk) => {
                    joined.extend_from_slice(&std::mem::take(&mut bytes));
                    joined.extend_from_slice(&chunk);
                }
            }
        }
        if !joined.is_empty() {
            bytes = joined.split().freeze();
        }
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
        if let Some(link) = link {
            return Ok(Some((writer, link)));
        }
    }
    tokio::time::timeout(PATIENCE, writer.shutdown()).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(None)
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
            assert_eq!(whole_frames(&stream[..length], usize::MAX).unwrap(), Cut { length: *expected, ends_with_bind: false });
        }
        stream.push(0x80);
        assert_eq!(whole_frames(&stream, usize::MAX).unwrap().length, stream.len() - 1);
        assert!(whole_frames(&stream[stream.len() - 1..], usize::MAX).is_err());
    }

    #[test]
    fn a_client_that_relays_nothing_hands_over_little_at_once() {
        let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let many = binding.repeat(1_000);
        assert_eq!(whole_frames(&many, UNTRUSTED_BYTES).unwrap().length, UNTRUSTED_BYTES / 20 * 20);
        let long = [&[0x40, 0, 0x20, 0][..], &[0; 0x2000], &binding].concat();
        assert_eq!(whole_frames(&long, UNTRUSTED_BYTES).unwrap().length, 0x2004);
    }

    #[test]
    fn rfc6062_s5_4_what_follows_a_connection_bind_is_not_read_as_frames() {
        let head = |kind: u8| [&[0, kind, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let stream = [head(1), head(0x0B), b"\xFF data of the client".to_vec()].concat();
        assert_eq!(whole_frames(&stream, usize::MAX).unwrap(), Cut { length: 40, ends_with_bind: true });
        assert_eq!(whole_frames(&stream[..39], usize::MAX).unwrap(), Cut { length: 20, ends_with_bind: false });
        // An answer to one is none.
        let answer = [&[1, 0x0B, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        assert!(!ends_with_bind(&answer));
    }

    #[test]
    fn before_any_media_an_outbox_holds_few_answers() {
        let (outbox, _receiver) = Outbox::with_receiver(262_144);
        assert!(outbox.send(vec![0; ANSWERS_BYTES_MAX].into()) && !outbox.send(vec![0; 1].into()));
        assert!(!outbox.shared.is_trusted.load(Ordering::Relaxed));
        assert!(outbox.has_room(1) && outbox.send(vec![0; 1].into()));
        assert!(outbox.shared.is_trusted.load(Ordering::Relaxed));
    }

    #[test]
    fn many_small_chunks_of_media_leave_places_for_answers() {
        let (outbox, _receiver) = Outbox::with_receiver(262_144);
        let mut chunks = 0;
        while outbox.has_room(170) {
            assert!(outbox.send(vec![0; 170].into()));
            chunks += 1;
        }
        assert_eq!(chunks, OUTBOX_CHUNKS - ANSWER_CHUNKS);
        assert!((0..ANSWER_CHUNKS).all(|_| outbox.send(vec![0; 100].into())), "answers have their places");
    }

    #[test]
    fn an_outbox_holds_media_up_to_its_bound_and_answers_up_to_twice() {
        let (outbox, mut receiver) = Outbox::with_receiver(100);
        let queued = outbox.shared.clone();
        assert!(outbox.has_room(100) && !outbox.has_room(101));
        assert!(outbox.send(vec![0; 90].into()));
        assert!(!outbox.has_room(11));
        assert!(outbox.send(vec![0; 110].into()));
        assert!(!outbox.send(vec![0; 1].into()));
        assert_eq!(queued.queued.load(Ordering::Relaxed), 200);
        receiver.close();
        queued.queued.store(0, Ordering::Relaxed);
        assert!(!outbox.send(vec![0; 1].into()));
        assert_eq!(queued.queued.load(Ordering::Relaxed), 0);
    }
}
