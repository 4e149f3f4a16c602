//! One client connection: a socket, a state machine, and a loop that waits for one of socket, mailbox, timer and answer, makes one
//! `handle_*` call, and does what the machine says.

mod context;
mod line;
#[cfg(test)]
pub(crate) mod tests;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::{debug, info};

use super::bucket::Bucket;
use super::listener::{Front, ListenError, Listeners};
use super::metrics::Transport;
use super::quiet::Quiet;
use super::tls;
use super::wire::Wire;
use crate::auth::Attempt;
use crate::jid::BareJid;
use crate::mailbox::{Attachment, Due, Mailbox, Outgoing, Progress};
use crate::random;
use crate::router::{Bound, NotResumed, Resumed};
use crate::session::SessionRef;
use crate::stanza::error::StanzaError;
use crate::stanza::{Kind, Stanza};
use crate::store::ArchiveId;
use crate::stream::c2s::{Answer, C2s, Output, Question, Report, Security};
use crate::stream::error::{Condition, StreamError};
use crate::stream::sasl::ChannelBindings;
use crate::xml::Frame;

pub use context::{Context, Limits};
use line::{ByOthers, Line, Shared, poll_read};

/// While this much waits to be written, nothing is read and nothing is taken from the mailbox.
const OUTPUT_BYTES_HIGH: usize = 64 * 1024;
/// What may be read and thrown away while a closed connection waits for the other side's end.
const LINGER_BYTES_MAX: usize = 1 << 20;
/// TLS record type of a handshake (RFC 8446 §5.1): the first byte of a ClientHello, and never of XML.
const TLS_HANDSHAKE: u8 = 0x16;

/// A byte stream of any kind.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Whichever byte stream a connection runs on.
pub type Io = Box<dyn ByteStream>;

/// How a TCP listener treats the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A stream header, or a TLS handshake, told apart by the first byte.
    StartTls,
    /// A TLS handshake (XEP-0368).
    DirectTls,
}

/// Accepts client connections on an address; port 0 picks one. Returns the real address.
///
/// # Errors
/// The address cannot be bound.
pub fn listen(
    listeners: &Listeners,
    context: &Arc<Context>,
    address: SocketAddr,
    front: Front,
    mode: Mode,
) -> Result<SocketAddr, ListenError> {
    let (service, refuse): (_, fn(&TcpStream)) = match mode {
        Mode::StartTls => ("c2s", refuse_in_clear),
        Mode::DirectTls => ("c2s_tls", |_| {}),
    };
    let context = context.clone();
    listeners.serve(service, address, front, refuse, move |stream, ends, place| {
        let context = context.clone();
        async move {
            serve_tcp(context, stream, ends.peer, mode).await;
            drop(place);
        }
    })
}

/// RFC 6120 §4.9.3.17, as far as it can be said without waiting.
fn refuse_in_clear(stream: &TcpStream) {
    const TEXT: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
        version='1.0' xml:lang='en'><stream:error><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
        </stream:stream>";
    // The connection is closed next; whether the client hears why is a courtesy.
    let _ = stream.try_write(TEXT);
}

/// Serves one TCP connection of a client from its first byte to its end.
pub async fn serve_tcp(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, mode: Mode) {
    let accepted = now();
    let direct = match mode {
        Mode::DirectTls => true,
        Mode::StartTls => match first_byte(&context, &stream).await {
            Some(byte) => byte == TLS_HANDSHAKE,
            None => return,
        },
    };
    let transport = if direct { Transport::DirectTls } else { Transport::Tcp };
    let _open = context.metrics.open(transport);
    let (io, bindings) = if direct {
        // On the heap while it lasts: a future keeps room for its largest moment, and most of a connection's time is spent waiting.
        let accepted = Box::pin(accept_tls(&context, &context.direct_tls, stream, None, peer)).await;
        let Some(ready) = accepted else { return };
        ready
    } else {
        (Box::new(stream) as Io, ChannelBindings::default())
    };
    run(context, io, peer, transport, bindings, accepted).await;
}

/// Waits for the first byte without taking it. `None`: it did not come.
async fn first_byte(context: &Context, stream: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    let within = context.policy.load().limits.negotiation;
    tokio::select! {
        () = context.stopping.cancelled() => None,
        peeked = timeout(within, stream.peek(&mut byte)) => match peeked {
            Ok(Ok(1..)) => Some(byte[0]),
            Ok(Ok(0) | Err(_)) => None,
            Err(_) => {
                context.metrics.timeout("negotiation");
                None
            }
        },
    }
}

async fn accept_tls<S>(
    context: &Context,
    acceptor: &tls::Acceptor,
    stream: S,
    addressed: Option<&str>,
    peer: SocketAddr,
) -> Option<(Io, ChannelBindings)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let within = context.limits.load().tls_handshake;
    let result = match timeout(within, acceptor.accept(stream, addressed)).await {
        Ok(Ok((stream, bindings))) => return Some((Box::new(stream), bindings)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "took too long".to_owned(),
    };
    context.metrics.tls_failure();
    debug!(%peer, error = result, "TLS handshake failed");
    None
}

/// Runs the stream on a connection whose transport is ready: TCP in clear, direct TLS, or a WebSocket after its handshake.
/// `bindings` are those of TLS that ends here. The time for negotiation runs from `accepted`.
pub fn run(
    context: Arc<Context>,
    io: Io,
    peer: SocketAddr,
    transport: Transport,
    bindings: ChannelBindings,
    accepted: Instant,
) -> impl Future<Output = ()> + Send {
    let security = match transport {
        Transport::DirectTls | Transport::Mux | Transport::WebSocketTls => Security::Tls(bindings),
        Transport::WebSocketTrusted => Security::Trusted,
        Transport::Tcp | Transport::WebSocket | Transport::Http => Security::Clear,
    };
    Connection::new(context, io, peer, transport, security, accepted).run()
}

/// What the loop woke up for.
enum Event {
    /// Bytes were read.
    Read(usize),
    /// All output is written, or there is some that the task did not know of.
    Output,
    /// The client closed the connection, or it broke.
    Gone(io::Result<()>),
    Answer(Box<Reply>),
    Mail,
    /// The mailbox takes nothing more, or is another connection's now.
    MailboxEnded,
    /// What the client asked about is durable.
    Durable,
    Timer,
    Stop,
}

/// An answer, and what the shell keeps of it.
struct Reply {
    answer: Answer,
    /// Made by a successful binding or resumption.
    bound: Option<Box<Bound>>,
    /// Stands for the log-in until it has succeeded or failed.
    attempt: Option<Attempt>,
}

struct Connection {
    context: Arc<Context>,
    limits: Arc<Limits>,
    /// Where it reads and writes; lent to others while it waits.
    line: Arc<Shared>,
    peer: SocketAddr,
    transport: Transport,
    machine: C2s,
    session: Option<Box<Bound>>,
    /// The session has stream management.
    managed: bool,
    /// Answers to the client's `<r/>` that wait for the disk.
    acks: Acks,
    /// The log-in under way; dropped, it counts as failed.
    attempt: Option<Attempt>,
    /// The answer that is being found.
    pending: Option<Pin<Box<dyn Future<Output = Reply> + Send>>>,
    bucket: Bucket,
    /// The client is over its rate: nothing is read before.
    read_after: Option<Instant>,
    /// When the connection began.
    accepted: Instant,
    stop: Quiet<WaitForCancellationFutureOwned>,
    stop_seen: bool,
    /// Which of two that are ready has its turn.
    mail_first: bool,
    timer: Pin<Box<Sleep>>,
}

/// XEP-0198 §4: what the client asked about is told once it is durable. At most two answers wait: a later question is answered by a later `h`.
#[derive(Debug, Default)]
struct Acks {
    first: Option<Waiting>,
    last: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    handled: u32,
    queued: u64,
    asked: Instant,
}

impl Connection {
    fn new(context: Arc<Context>, io: Io, peer: SocketAddr, transport: Transport, security: Security, accepted: Instant) -> Box<Self> {
        let now = now();
        let policy = context.policy();
        let limits = context.limits.load_full();
        let wire = match transport {
            Transport::Tcp | Transport::DirectTls | Transport::Mux => Wire::xml(policy.limits.preauth),
            _ => Wire::websocket(policy.limits.preauth),
        };
        Box::new(Self {
            machine: C2s::new(policy, wire.framing(), security, random::bytes, accepted),
            bucket: Bucket::new(limits.bytes_per_second, limits.bytes_burst, now),
            line: Arc::new(Shared::new(Line::new(io, wire, &context.metrics))),
            timer: Box::pin(sleep_until(now.into())),
            session: None,
            managed: false,
            acks: Acks::default(),
            attempt: None,
            pending: None,
            read_after: None,
            stop: Quiet::new(context.stopping.clone().cancelled_owned()),
            stop_seen: false,
            mail_first: false,
            context,
            limits,
            peer,
            transport,
            accepted,
        })
    }

    /// Boxed, as in what follows: a future holds what it was given beside what it makes of that.
    async fn run(mut self: Box<Self>) {
        debug!(peer = %self.peer, transport = self.transport.as_str(), "connected");
        loop {
            match self.settle().await {
                Flow::On => {}
                Flow::End(reason) => return Box::pin(self.finish(reason)).await,
                Flow::Cut => return Box::pin(self.gone(Ok(()))).await,
                Flow::Broken(error) => return Box::pin(self.gone(Err(error))).await,
            }
            if let Err(error) = self.write_some().await {
                return Box::pin(self.gone(Err(error))).await;
            }
            self.see_to_written();
            let event = self.wait().await;
            self.see_to_written();
            match event {
                Event::Read(bytes) => {
                    let now = now();
                    self.context.metrics.bytes_in.inc_by(bytes as u64);
                    self.read_after = self.bucket.take(bytes, now);
                    if self.read_after.is_some() {
                        self.context.metrics.paused.inc();
                    }
                    self.machine.handle_received(bytes, now);
                }
                Event::Output => {}
                Event::Gone(result) => return Box::pin(self.gone(result)).await,
                Event::Answer(reply) => {
                    let Reply { answer, bound, attempt } = *reply;
                    self.pending = None;
                    self.attempt = attempt;
                    if let Some(bound) = bound {
                        let outlet = Arc::downgrade(&self.line);
                        bound.attachment().lend(outlet);
                        self.managed = matches!(answer, Answer::Resumed { .. });
                        self.session = Some(bound);
                    }
                    self.machine.handle_answer(answer);
                }
                Event::Mail => self.take_mail(),
                Event::MailboxEnded => self.take_last_mail(),
                Event::Durable => self.tell_progress(),
                Event::Timer => {
                    let now = now();
                    if self.read_after.is_some_and(|at| at <= now) {
                        self.read_after = None;
                    }
                    if self.line().waits_since.is_some_and(|since| now >= since + self.limits.write) {
                        self.context.metrics.timeout("write");
                        return Box::pin(self.gone(Err(io::ErrorKind::TimedOut.into()))).await;
                    }
                    self.machine.handle_timeout(now);
                }
                Event::Stop => {
                    self.stop_seen = true;
                    self.take_mail();
                    self.machine.handle_error(Condition::SystemShutdown.into());
                }
            }
        }
    }

    /// Does what the machine says and feeds it what has been read, until it needs something from outside.
    async fn settle(&mut self) -> Flow {
        loop {
            if let Some(bound) = self.session.as_deref_mut().filter(|bound| bound.owed) {
                if let Some(session) = bound.session() {
                    Box::pin(self.context.router.pay(session)).await;
                }
                bound.owed = false;
            }
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Send(bytes) => self.line().wire.send(&bytes),
                    Output::Deliver(stanza) => {
                        self.context.metrics.stanzas_in.inc();
                        if !deliver(&self.context, self.session.as_deref(), self.managed, stanza).await {
                            self.take_last_mail();
                        }
                    }
                    Output::Answer(reply) => {
                        self.context.metrics.stanzas_in.inc();
                        if !self.answer_itself(reply) {
                            self.take_last_mail();
                        }
                    }
                    Output::Manage { resume, max } => self.manage(resume, max),
                    Output::Active(active) => self.set_active(active),
                    Output::Acknowledge(h) => self.acknowledge(h),
                    Output::TellProgress => self.progress_asked(),
                    Output::Ask(question) => self.pending = Some(Box::pin(self.answer(question))),
                    Output::Restart(limits) => self.line().wire.restart(limits),
                    Output::StartTls => {
                        if let Err(error) = Box::pin(self.start_tls()).await {
                            return Flow::Broken(error);
                        }
                    }
                    Output::Keepalive => self.line().wire.keepalive(),
                    Output::Report(report) => self.report(&report),
                    Output::Close(reason) => return Flow::End(reason),
                }
            }
            if self.session.as_deref().is_some_and(|bound| bound.owed) {
                continue;
            }
            if !self.machine.wants_input() {
                return Flow::On;
            }
            let next = {
                let mut line = self.line();
                if !line.has_room() {
                    return Flow::On;
                }
                line.wire.next_frame()
            };
            match next {
                Ok(Some(frame)) => {
                    if let Frame::Close = frame {
                        if self.managed && self.line().wire.is_cut() {
                            return Flow::Cut; // RFC 7395 §3.6: the session is still alive
                        }
                        // What the client was promised before it closed (§4.4) goes out before our closing tag.
                        self.take_mail();
                    }
                    self.machine.handle_frame(frame);
                }
                Ok(None) => return Flow::On,
                Err(error) => self.machine.handle_error(error),
            }
        }
    }

    /// A stanza that the stream's machine has answered.
    fn answer_itself(&self, reply: Option<Stanza>) -> bool {
        let Some(bound) = &self.session else { return true };
        let mailbox = bound.attachment().mailbox();
        let handling = match bound.attachment().begin() {
            None if self.managed => return false,
            handling => handling,
        };
        if let Some(reply) = reply {
            // A mailbox that is full or closed ends the stream, which its reader learns.
            mailbox.push(Outgoing::Stanza(reply.into()));
        }
        if let Some(handling) = handling {
            handling.done(0);
        }
        true
    }

    /// XEP-0198 §3.
    fn manage(&mut self, resume: bool, max: Option<u64>) {
        let Some(session) = self.session.as_deref().and_then(Bound::session) else { return };
        // What waits was there before: it is not counted.
        let session = session.clone();
        self.take_mail();
        let result = self.context.router.enable_management(&session, resume, max);
        self.managed |= result.is_ok();
        self.machine.handle_enabled(result);
    }

    /// XEP-0352 §5.1: what waited comes before anything that is answered from now on.
    fn set_active(&mut self, active: bool) {
        let Some(bound) = &self.session else { return };
        bound.attachment().set_active(active);
        if active {
            self.take_mail();
        }
    }

    /// XEP-0198 §4: the client has told how far it has come.
    fn acknowledge(&mut self, h: u32) {
        let Some(bound) = &self.session else { return };
        let result = bound.attachment().acknowledge(h).map(|acknowledged| {
            if let (Some(session), false) = (bound.session(), acknowledged.stored.is_empty()) {
                self.context.router.acknowledged(session, &acknowledged.stored);
            }
            acknowledged.outstanding
        });
        self.machine.handle_acknowledged(result, now());
    }

    /// XEP-0198 §4: the client asks how far we have come.
    fn progress_asked(&mut self) {
        let Some(bound) = &self.session else { return };
        let Progress { handled, queued } = bound.attachment().mailbox().progress();
        let waiting = Waiting { handled, queued, asked: now() };
        match self.acks.first {
            None => self.acks.first = Some(waiting),
            Some(_) => self.acks.last = Some(waiting),
        }
        self.tell_progress();
    }

    /// Tells as much as is durable.
    fn tell_progress(&mut self) {
        let durability = self.context.router.store().durability();
        while let Some(waiting) = self.acks.first.filter(|waiting| durability.is_durable(waiting.queued)) {
            self.machine.handle_progress(waiting.handled);
            self.context.metrics.ack_latency.observe(now().saturating_duration_since(waiting.asked).as_secs_f64());
            self.acks.first = self.acks.last.take();
        }
    }

    /// Writes what the socket takes at once: nearly always everything, so that there is nothing to wait for but what comes next.
    async fn write_some(&mut self) -> io::Result<()> {
        let line = &self.line;
        poll_fn(|cx| {
            let mut line = line.lock();
            // The rest is written while waiting.
            Poll::Ready(if line.is_clear() { Ok(()) } else { line.write_some(cx) })
        })
        .await
    }

    async fn wait(&mut self) -> Event {
        let (has_room, waits_since) = {
            let mut line = self.line();
            line.rest(self.machine.leeway());
            (line.has_room(), line.waits_since)
        };
        let may_read = has_room && self.machine.wants_input() && self.read_after.is_none();
        let bound = self.session.is_some() && !self.machine.is_closed();
        let takes_mail = has_room && bound;
        self.arm_timer(waits_since);
        let Self { line, session, pending, timer, context, stop, stop_seen, acks, mail_first, .. } = self;
        let attachment = session.as_deref().map(Bound::attachment).filter(|_| bound);
        // Neither those who write to the client nor the client itself keep the other waiting.
        *mail_first = !*mail_first;
        let next = poll_fn(|cx| {
            if !*stop_seen && Pin::new(&mut *stop).poll(cx).is_ready() {
                return Poll::Ready(Event::Stop);
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Timer);
            }
            if let Some(Poll::Ready(reply)) = pending.as_mut().map(|pending| pending.as_mut().poll(cx)) {
                return Poll::Ready(Event::Answer(Box::new(reply)));
            }
            let mail = |cx: &mut TaskContext<'_>| poll_mail(attachment, takes_mail, cx);
            let io = |cx: &mut TaskContext<'_>| line.lock().poll_io(may_read, cx);
            if *mail_first { either(mail(cx), || io(cx)) } else { either(io(cx), || mail(cx)) }
        });
        let event = tokio::select! {
            biased;
            () = durable(context, acks), if acks.first.is_some() => Event::Durable,
            event = next => event,
        };
        self.catch_up();
        event
    }

    /// The task is at work again: nobody else writes to the client, and what others have written is known to all that counts it.
    fn catch_up(&mut self) {
        let Some(bound) = self.session.as_deref_mut() else { return };
        bound.attachment().pause();
        let ByOthers { stanzas, last, begun } = self.line.lock().take_over();
        if !self.managed {
            bound.in_flight.extend(begun);
        } else if stanzas > 0 {
            self.machine.handle_sent(stanzas, last.unwrap_or_else(now));
        }
    }

    /// The earliest time at which something must happen. Armed again only when that is earlier than before: a timer that fires too early
    /// finds nothing to do and is armed for the rest, which is cheaper than moving it with every stanza.
    fn arm_timer(&mut self, waits_since: Option<Instant>) {
        let times = [self.machine.poll_timeout(), self.read_after, waits_since.map(|since| since + self.limits.write)];
        // A machine that is not closed always has a next time; the hour only keeps a fired timer from firing again.
        let next = times.into_iter().flatten().min().unwrap_or_else(|| now() + Duration::from_secs(3600));
        if self.timer.is_elapsed() || next < self.timer.deadline().into_std() {
            self.timer.as_mut().reset(next.into());
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock()
    }

    /// Everything in the mailbox becomes output, to be written with one call.
    fn take_mail(&mut self) {
        let Some(bound) = &mut self.session else { return };
        if self.machine.is_closed() {
            return;
        }
        let mut stanzas = 0;
        let mut line = self.line.lock();
        for item in bound.attachment().take() {
            match item {
                Outgoing::Stanza(delivery) => {
                    stanzas += 1;
                    let end = line.send_stanza(&delivery.stanza);
                    if !self.managed {
                        bound.in_flight.push((end, delivery));
                    }
                }
                Outgoing::Owed => bound.owed = true,
                Outgoing::Close(error) => self.machine.handle_error(error),
            }
        }
        if self.managed {
            self.machine.handle_sent(stanzas, now());
        }
    }

    /// Lets go of output that is written, also of a client that never takes all of it. Without stream management, what was handed to the socket
    /// has arrived as far as anybody can know.
    fn see_to_written(&mut self) {
        let Some(written) = self.line().let_go() else { return };
        let Some(bound) = self.session.as_mut().filter(|bound| !bound.in_flight.is_empty()) else { return };
        let gone = bound.in_flight.iter().take_while(|(end, _)| *end <= written).count();
        let stored: Vec<ArchiveId> = bound.in_flight.drain(..gone).filter_map(|(_, delivery)| delivery.stored).collect();
        if bound.in_flight.is_empty() {
            bound.in_flight = SmallVec::new();
        }
        if let (Some(session), false) = (bound.session(), stored.is_empty()) {
            self.context.router.acknowledged(session, &stored);
        }
    }

    /// The stream ends. A client that reads still gets all that it was promised; for one that does not, only the error is left to say, and
    /// [`Connection::finish`] bounds the time for that.
    fn take_last_mail(&mut self) {
        let has_room = self.line().has_room();
        let Some(bound) = &self.session else { return };
        if !bound.attachment().is_current() {
            return self.machine.handle_error(taken_over());
        }
        if has_room {
            self.take_mail();
        }
        if self.machine.is_closed() {
            return;
        }
        let error = self.session.as_ref().and_then(|bound| bound.attachment().take_close());
        match error {
            Some(error) => {
                debug!(peer = %self.peer, jid = self.machine.jid().map(|jid| jid.as_str()), "the client does not read");
                self.machine.handle_error(error);
            }
            // The session is over, and nobody has said why.
            None => self.machine.handle_error(Condition::Conflict.into()),
        }
        if !self.machine.is_closed() {
            self.machine.handle_error(StreamError::new(Condition::Conflict).with_text("the session is over"));
        }
    }

    /// Finds the answer to a question of the machine.
    fn answer(&self, question: Question) -> impl Future<Output = Reply> + Send + use<> {
        let context = self.context.clone();
        let mailbox_bytes = self.limits.mailbox_bytes;
        let source = self.peer.ip();
        let accepted = self.accepted;
        async move {
            match question {
                Question::Sasl(question) => {
                    let (answer, attempt) = context.authenticator.answer(question, source).await;
                    Reply { answer: Answer::Sasl(answer), bound: None, attempt }
                }
                Question::Bind { .. } if context.is_draining() => {
                    let error = StreamError::new(Condition::SystemShutdown).with_text("the server takes no new sessions, it will end soon");
                    Reply { answer: Answer::Broken(error), bound: None, attempt: None }
                }
                Question::Bind { account, resource, anonymous } => {
                    let mailbox = Arc::new(Mailbox::new(mailbox_bytes));
                    let attachment = mailbox.attach().expect("a new mailbox is open");
                    let router = context.router.clone();
                    let whole = async move {
                        let session = bind(&context, &account, resource.as_deref(), anonymous, mailbox, accepted).await?;
                        Ok(Box::new(Bound::new(context.router.clone(), session, attachment)))
                    };
                    // If this connection ends before, the session ends when it is dropped as what it is.
                    match router.whole(whole).await.unwrap_or_else(|| Err(StanzaError::internal_server_error())) {
                        Ok(bound) => Reply { answer: Answer::Bound(bound.jid()), bound: Some(bound), attempt: None },
                        Err(error) => Reply { answer: Answer::NotBound(error), bound: None, attempt: None },
                    }
                }
                Question::Resume { account, previd, h } => match context.router.resume(&account, &previd, h, accepted).await {
                    Ok(Resumed { bound, handled }) => {
                        Reply { answer: Answer::Resumed { jid: bound.jid(), handled }, bound: Some(Box::new(bound)), attempt: None }
                    }
                    Err(NotResumed::Failed(error, h)) => Reply { answer: Answer::NotResumed(error, h), bound: None, attempt: None },
                    Err(NotResumed::Broken(error)) => Reply { answer: Answer::Broken(error), bound: None, attempt: None },
                },
                Question::Register { account, password } => {
                    let result = context.administration.register(&account, password, source).await.map(|()| account);
                    Reply { answer: Answer::Registered(result), bound: None, attempt: None }
                }
            }
        }
    }

    fn report(&mut self, report: &Report) {
        match report {
            Report::SaslFailure(condition) => {
                self.attempt = None;
                self.context.metrics.sasl_failure(condition);
                debug!(peer = %self.peer, condition, "log-in failed");
            }
            Report::Registered(account) => {
                self.context.metrics.registered();
                info!(jid = %account, peer = %self.peer, transport = self.transport.as_str(), "registered");
            }
            Report::LoggedIn { account, mechanism } => {
                if let Some(attempt) = self.attempt.take() {
                    attempt.succeeded();
                }
                self.context.metrics.login(mechanism);
                info!(jid = %account, peer = %self.peer, transport = self.transport.as_str(), mechanism, "logged in");
            }
        }
    }

    /// RFC 6120 §5.4.3: `<proceed/>` goes out, then the connection speaks TLS.
    async fn start_tls(&mut self) -> io::Result<()> {
        if self.line().wire.pending() > 0 {
            // What came in clear text behind <starttls/> must never be taken for something said under TLS (§5.3.4, §13.8.1).
            self.context.metrics.tls_failure();
            return Err(io::Error::new(io::ErrorKind::InvalidData, "data behind <starttls/>"));
        }
        self.flush().await?;
        let io = std::mem::replace(&mut self.line().io, Box::new(tokio::io::empty()));
        match accept_tls(&self.context, &self.context.starttls, io, Some(self.machine.domain()), self.peer).await {
            Some((io, bindings)) => {
                self.line().io = io;
                self.machine.handle_tls_established(bindings);
                Ok(())
            }
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "TLS handshake failed")),
        }
    }

    /// Writes all output, as long as the client takes it.
    async fn flush(&mut self) -> io::Result<()> {
        let (line, within) = (&self.line, self.limits.write);
        while !line.lock().is_clear() {
            timeout(within, poll_fn(|cx| line.lock().poll_write(cx))).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
        Ok(())
    }

    /// The client has gone without closing its stream, or could not be written to.
    async fn gone(mut self: Box<Self>, result: io::Result<()>) {
        debug!(peer = %self.peer, jid = self.machine.jid().map(|jid| jid.as_str()), error = ?result.as_ref().err(), "disconnected");
        let written = self.line().handed_over();
        let bound = self.session.take();
        let flushed = async {
            if result.is_ok() {
                // It may have closed its side only; whether it hears the rest is a courtesy.
                let _ = timeout(self.limits.close, self.flush()).await;
            }
        };
        match bound {
            Some(mut bound) => {
                // XEP-0198 §7: the stream is unfinished.
                if bound.hibernate(written) {
                    flushed.await;
                } else {
                    tokio::join!(flushed, bound.end());
                }
                let written = self.line().handed_over();
                bound.leave_over(written).await;
            }
            None => flushed.await,
        }
    }

    /// RFC 6120 §4.4: our side is closed; writes what is left, and gives the client a moment to close its side.
    async fn finish(mut self: Box<Self>, reason: Option<StreamError>) {
        match &reason {
            Some(error) => {
                self.context.metrics.stream_error(error.condition.name());
                debug!(peer = %self.peer, %error, "stream error");
                if error.condition == Condition::ConnectionTimeout {
                    self.context.metrics.timeout(if self.session.is_some() { "silence" } else { "negotiation" });
                }
            }
            None => debug!(peer = %self.peer, "stream closed"),
        }
        self.line().wire.close();
        let written = self.line().handed_over();
        let bound = self.session.take();
        let until = tokio::time::Instant::now() + self.limits.close;
        // Contacts need not wait for a client that takes its time.
        let flushed = match bound {
            Some(mut bound) => {
                let flushed = if may_be_resumed(reason.as_ref()) && bound.hibernate(written) {
                    timeout_at(until, self.flush()).await
                } else {
                    tokio::join!(timeout_at(until, self.flush()), bound.end()).0
                };
                let written = self.line().handed_over();
                bound.leave_over(written).await;
                flushed
            }
            None => timeout_at(until, self.flush()).await,
        };
        let end = match flushed {
            Ok(Ok(())) => timeout_at(until, self.say_goodbye()).await,
            other => other,
        };
        match end {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(peer = %self.peer, %error, "connection lost while closing"),
            Err(_) => debug!(peer = %self.peer, "the client did not close the connection, cutting it off"),
        }
    }

    async fn say_goodbye(&mut self) -> io::Result<()> {
        let line = &self.line;
        poll_fn(|cx| Pin::new(&mut line.lock().io).poll_shutdown(cx)).await?;
        // Closing a socket with unread data resets it, and the client would lose what was written last.
        let mut left = LINGER_BYTES_MAX;
        loop {
            let read = poll_fn(|cx| poll_read(&mut line.lock().io, |bytes| bytes.len(), cx)).await?;
            if read == 0 || read > left {
                return Ok(());
            }
            left -= read;
        }
    }
}

impl Drop for Connection {
    /// What others have begun to write is in flight as well.
    fn drop(&mut self) {
        self.catch_up();
    }
}

/// An anonymous session has an account for as long as it lives (XEP-0175 §3).
async fn bind(
    context: &Context,
    account: &BareJid,
    resource: Option<&str>,
    anonymous: bool,
    mailbox: Arc<Mailbox>,
    since: Instant,
) -> Result<SessionRef, StanzaError> {
    if anonymous {
        context.administration.open_anonymous(account).await?;
    }
    let bound = context.router.bind(account, resource, mailbox, since).await;
    if anonymous && bound.is_err() {
        context.administration.anonymous_ended(account).await;
    }
    bound
}

/// However much waits to be written, the end is of interest: to others, the session seems to be there until it is noticed.
fn poll_mail(attachment: Option<&Attachment>, takes_mail: bool, cx: &mut TaskContext<'_>) -> Poll<Event> {
    let Some(attachment) = attachment else { return Poll::Pending };
    attachment.poll(takes_mail, cx).map(|due| match due {
        Due::Mail => Event::Mail,
        Due::Ended => Event::MailboxEnded,
    })
}

/// The first if it is ready, else the second.
fn either<T>(first: Poll<T>, second: impl FnOnce() -> Poll<T>) -> Poll<T> {
    if first.is_ready() { first } else { second() }
}

async fn durable(context: &Context, acks: &Acks) {
    match acks.first {
        Some(waiting) => context.router.store().durability().reached(waiting.queued).await,
        None => std::future::pending().await,
    }
}

/// Brings a stanza of the client to the router. False if the session is over, or another connection has resumed it: then the stanza is not
/// handled, since the client sends again what it was not told to be handled.
async fn deliver(context: &Context, bound: Option<&Bound>, managed: bool, stanza: Stanza) -> bool {
    let Some(bound) = bound else { return true };
    let Some(session) = bound.session() else { return true };
    // On the heap while it lasts: inside, its kilobytes would be held by every connection that waits.
    if !managed {
        return Box::pin(context.router.handle(session, stanza)).await;
    }
    let Some(handling) = bound.attachment().begin() else { return false };
    let stored = matches!(stanza.kind(), Kind::Message(_));
    if !Box::pin(context.router.handle(session, stanza)).await {
        return false;
    }
    // Messages may be on their way to the disk; what anything else changes is there when it is handled.
    handling.done(if stored { context.router.store().durability().queued() } else { 0 });
    true
}

/// XEP-0198 §5.
fn taken_over() -> StreamError {
    StreamError::new(Condition::Conflict).with_text("the session was resumed by another connection")
}

/// XEP-0198 §7, RFC 6120 §4.9.1.1: whether a session outlives a stream that ends with this. A client that has closed its stream is gone, and one that
/// broke the rules would do so again; what the server or the network is to blame for, it need not suffer for.
fn may_be_resumed(reason: Option<&StreamError>) -> bool {
    use Condition::{ConnectionTimeout, InternalServerError, SystemShutdown};
    reason.is_some_and(|error| matches!(error.condition, ConnectionTimeout | InternalServerError | SystemShutdown))
}

/// The time as tokio sees it, so that tests can let it pass.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

enum Flow {
    On,
    /// Our side of the stream is closed.
    End(Option<StreamError>),
    /// The client has closed the connection, but not its stream.
    Cut,
    /// The connection cannot be used any more.
    Broken(io::Error),
}
