//! A line to a socket that does as it is told: how far output has come whatever the socket takes, and what becomes of a write by somebody else than the
//! connection's task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Wake;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::mailbox::{Mailbox, Outgoing, Unread};
use crate::stanza::{Framing, MessageType};
use crate::xml;

/// A socket, perhaps behind TLS, as both its ends see it.
#[derive(Debug, Default)]
struct Socket {
    taken: Vec<u8>,
    /// It takes so many bytes more.
    room: usize,
    /// Nothing is held back.
    flushes: bool,
    /// What becomes of the next write.
    fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Error,
    Panic,
}

struct Near(Arc<Mutex<Socket>>);

impl AsyncRead for Near {
    fn poll_read(self: Pin<&mut Self>, _: &mut TaskContext<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Near {
    fn poll_write(self: Pin<&mut Self>, _: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let fault = self.0.lock().unwrap().fault.take();
        match fault {
            Some(Fault::Error) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Fault::Panic) => panic!("asked for"),
            None => {}
        }
        let mut socket = self.0.lock().unwrap();
        let count = bytes.len().min(socket.room);
        if count == 0 {
            return Poll::Pending;
        }
        socket.room -= count;
        socket.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        if self.0.lock().unwrap().flushes { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A line to a socket that takes all.
fn line() -> (Line, Arc<Mutex<Socket>>) {
    let socket = Arc::new(Mutex::new(Socket { room: usize::MAX, flushes: true, ..Socket::default() }));
    let wire = Wire::xml(xml::Limits { bytes_max: 1_000, depth_max: 10 });
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    (Line::new(Box::new(Near(socket.clone())), wire, &metrics), socket)
}

fn stanza(body: &str) -> Stanza {
    Stanza::message(MessageType::Chat).with_content(format!("<body>{body}</body>"))
}

fn write(line: &mut Line) -> Poll<io::Result<()>> {
    line.poll_write(&mut TaskContext::from_waker(Waker::noop()))
}

/// TLS has taken something large, of which it holds back all but nothing, and then what is small: each keeps its place.
#[test]
fn what_tls_holds_back_is_not_with_the_socket_and_neither_is_what_comes_behind_it() {
    let (mut line, socket) = line();
    socket.lock().unwrap().flushes = false;
    let large = line.send_stanza(&stanza(&"x".repeat(tls::BUFFER_BYTES_MAX / 2)));
    assert!(write(&mut line).is_pending());
    let small = [line.send_stanza(&stanza("1")), line.send_stanza(&stanza("2"))];
    assert!(write(&mut line).is_pending());
    assert!(large < small[0] && small[0] < small[1]);
    assert_eq!(socket.lock().unwrap().taken.len() as u64, small[1], "all of it is taken");
    assert!(!line.is_clear());
    assert_eq!((line.handed_over(), line.let_go()), (0, Some(0)));
    // More than it can hold back.
    let much = line.send_stanza(&stanza(&"x".repeat(3 * tls::BUFFER_BYTES_MAX)));
    assert!(write(&mut line).is_pending());
    assert_eq!((line.handed_over(), line.let_go()), (much - HELD_BACK_MAX, Some(much - HELD_BACK_MAX)));
    socket.lock().unwrap().flushes = true;
    assert!(matches!(write(&mut line), Poll::Ready(Ok(()))));
    assert_eq!((line.is_clear(), line.handed_over(), line.let_go()), (true, much, Some(much)));
}

#[derive(Debug, Clone)]
enum Step {
    /// A stanza with a text of so many bytes.
    Send(usize),
    /// The socket takes so much more, and holds something back or not.
    Write(usize, bool),
    /// The task looks at how far it has come.
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = || prop_oneof![3 => 0..3_000_usize, 1 => 0..200_000_usize];
    let step = prop_oneof![
        size().prop_map(Step::Send),
        (prop_oneof![2 => size(), 1 => Just(1 << 20)], any::<bool>()).prop_map(|(room, flushes)| Step::Write(room, flushes)),
        Just(Step::Look),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    /// Every byte is written once and in order, and nothing is taken for handed over that the socket may not have.
    #[test]
    fn output_keeps_its_place_whatever_the_socket_takes(steps in steps()) {
        let (mut line, socket) = line();
        let (mut output, mut with_socket, mut gone) = (Vec::new(), 0, 0);
        for step in steps {
            match step {
                Step::Send(size) => {
                    let stanza = stanza(&"x".repeat(size));
                    stanza.write(&mut output, Framing::Stream);
                    prop_assert_eq!(line.send_stanza(&stanza), output.len() as u64);
                }
                Step::Write(room, flushes) => {
                    {
                        let mut socket = socket.lock().unwrap();
                        (socket.room, socket.flushes) = (room, flushes);
                    }
                    let written = matches!(write(&mut line), Poll::Ready(Ok(())));
                    let taken = socket.lock().unwrap().taken.len();
                    if flushes {
                        with_socket = taken as u64;
                    }
                    prop_assert_eq!(written, with_socket == output.len() as u64);
                }
                Step::Look => {
                    if let Some(handed) = line.let_go() {
                        prop_assert!(handed >= gone && handed <= line.handed_over());
                        gone = handed;
                    }
                }
            }
            let taken = socket.lock().unwrap().taken.len();
            prop_assert!(output.starts_with(&socket.lock().unwrap().taken));
            prop_assert_eq!(line.handed_over(), with_socket.max((taken as u64).saturating_sub(HELD_BACK_MAX)));
            with_socket = line.handed_over();
            prop_assert_eq!(line.is_clear(), with_socket == output.len() as u64);
        }
    }
}

/// The connection's task, which waits for mail.
#[derive(Debug, Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A line that is lent while its task waits.
struct Lent {
    line: Arc<Shared>,
    socket: Arc<Mutex<Socket>>,
    mail: Attachment,
    task: Arc<Task>,
}

impl Lent {
    fn new() -> Self {
        let (mut line, socket) = line();
        line.rest(u32::MAX);
        let line = Arc::new(Shared::new(line));
        let mail = Arc::new(Mailbox::new(10_000)).attach().unwrap();
        mail.lend(Arc::downgrade(&line) as _);
        let task = Arc::new(Task::default());
        assert!(mail.poll(true, &mut TaskContext::from_waker(&task.clone().into())).is_pending());
        Self { line, socket, mail, task }
    }

    /// Something for many comes.
    fn push(&self, body: &str) -> Unread {
        let (_, unread) = self.mail.mailbox().push_unread(Outgoing::Stanza(stanza(body).into()));
        unread.expect("the task waits")
    }

    fn woken(&self) -> usize {
        self.task.0.load(Ordering::Relaxed)
    }
}

#[test]
fn who_finds_the_line_locked_waits_for_nobody_and_leaves_all_to_the_task() {
    let own = Lent::new();
    let locked = own.line.lock();
    let unread = own.push("1");
    let (done, is_done) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        unread.write();
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("it waits for nobody");
    writer.join().unwrap();
    drop(locked);
    assert_eq!((own.woken(), own.mail.take().count()), (1, 1));
    assert!(own.socket.lock().unwrap().taken.is_empty() && own.line.lock().take_over().begun.is_empty());
}

#[test]
fn a_failure_of_who_writes_in_its_place_is_the_tasks_and_what_was_begun_is_in_flight() {
    for (fault, kind) in [(Fault::Error, io::ErrorKind::ConnectionReset), (Fault::Panic, io::ErrorKind::Other)] {
        let own = Lent::new();
        own.socket.lock().unwrap().fault = Some(fault);
        own.push("1").write();
        assert_eq!((own.woken(), own.mail.take().count()), (1, 0), "{fault:?}: the task has to come");
        // Nobody else writes any more.
        assert!(own.mail.poll(true, &mut TaskContext::from_waker(&own.task.clone().into())).is_pending());
        own.push("2").write();
        assert_eq!((own.woken(), own.mail.take().count()), (2, 1), "{fault:?}");
        let mut line = own.line.lock();
        let ByOthers { stanzas, begun, .. } = line.take_over();
        assert_eq!((stanzas, begun.len()), (1, 1), "{fault:?}");
        assert!(begun[0].0 > line.handed_over(), "{fault:?}: the client may not have it");
        assert!(!line.is_clear());
        let Poll::Ready(Event::Gone(Err(error))) = line.poll_io(true, &mut TaskContext::from_waker(Waker::noop())) else {
            panic!("{fault:?}: the connection goes on");
        };
        assert_eq!(error.kind(), kind, "{fault:?}");
        assert!(own.socket.lock().unwrap().taken.is_empty(), "{fault:?}: nothing is written behind it");
    }
}
