//! RFC 6120 §4–7 for one client connection, from the server's side, over TCP and over WebSocket (RFC 7395). No I/O, no clock.
//!
//! Not done: SASL2 and Bind 2, which no RFC demands.

mod bind;
mod header;
mod management;
mod negotiation;
mod policy;
mod register;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::error::{Condition, StreamError};
use super::sasl::{self, ChannelBindings, Mechanism, NONCE_BYTES, Sasl};
use super::sm::{Asker, Due};
use crate::auth::Password;
use crate::jid::{BareJid, FullJid};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, IqType, Kind, ParseError, Stanza};
use crate::xml::{self, Bindings, Frame, Node, XmlWriter};

pub use policy::{Limits, Policy};

/// The language of our texts (§4.7.4).
const LANG: &str = "en";

/// A source of random bytes.
pub type Random = fn() -> [u8; NONCE_BYTES];

/// What protects the bytes of a connection.
#[derive(Debug, Clone)]
pub enum Security {
    /// Nothing.
    Clear,
    /// Nothing here, but they come from this machine or from a trusted proxy that ends TLS. HTTP only.
    Trusted,
    /// TLS that ends here, and what a log-in may be bound to.
    Tls(ChannelBindings),
}

impl Security {
    /// Whether anybody on the way can listen.
    fn is_clear(&self) -> bool {
        matches!(self, Self::Clear)
    }
}

/// What the shell must look up or do before the stream goes on; nothing is read from the client meanwhile.
#[derive(Debug)]
pub enum Question {
    /// For the authenticator.
    Sasl(sasl::Question),
    /// For the router (§7).
    Bind {
        /// Who logged in.
        account: BareJid,
        /// The resource that the client asks for.
        resource: Option<String>,
        /// The account is there for this session only (XEP-0175).
        anonymous: bool,
    },
    /// For whoever makes accounts (XEP-0077 §3.1).
    Register {
        /// The new account.
        account: BareJid,
        /// Its password.
        password: Password,
    },
    /// For the router (XEP-0198 §5).
    Resume {
        /// Who logged in.
        account: BareJid,
        /// The identifier of the stream to go on with, as the client sent it.
        previd: String,
        /// How many stanzas the client has of that stream.
        h: u32,
    },
}

/// The shell's answer to the last [`Question`].
#[derive(Debug)]
pub enum Answer {
    /// From the authenticator.
    Sasl(sasl::Answer),
    /// The full JID that the router has bound.
    Bound(FullJid),
    /// The router has refused to bind.
    NotBound(StanzaError),
    /// The account that was made, or why it was not.
    Registered(Result<BareJid, StanzaError>),
    /// The router goes on with the session of this full JID (XEP-0198 §5).
    Resumed {
        /// The session's.
        jid: FullJid,
        /// How many of the client's stanzas were handled.
        handled: u32,
    },
    /// There is no such session; `h` is how far it had come, where that is known.
    NotResumed(StanzaError, Option<u32>),
    /// The client has claimed what cannot be, or nobody new is taken: the stream ends.
    Broken(StreamError),
}

/// What the shell has to do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write this: over TCP as it is, over WebSocket as one message.
    Send(Bytes),
    /// Write what is queued, then do a TLS handshake and call [`C2s::handle_tls_established`].
    StartTls,
    /// A new stream header comes next, under these limits.
    Restart(xml::Limits),
    /// Look this up and call [`C2s::handle_answer`].
    Ask(Question),
    /// Hand this to the router before anything else is read.
    Deliver(Stanza),
    /// A stanza of the client is handled, and this is what the server answers, if it does. It goes where other stanzas for this client wait.
    Answer(Option<Stanza>),
    /// Switch stream management on for the session and call [`C2s::handle_enabled`] (XEP-0198 §3).
    Manage {
        /// The client wants to be able to resume.
        resume: bool,
        /// For so many seconds.
        max: Option<u64>,
    },
    /// Whether somebody looks at the client now (XEP-0352 §4.2).
    Active(bool),
    /// The client has this many of the stanzas sent: call [`C2s::handle_acknowledged`] (XEP-0198 §4).
    Acknowledge(u32),
    /// The client asks how far we have come: call [`C2s::handle_progress`] once what it sent so far is durable (XEP-0198 §4).
    TellProgress,
    /// Write a space, or a WebSocket ping.
    Keepalive,
    /// Worth counting.
    Report(Report),
    /// Write what is queued, then close the connection. The reason is `None` when the client closed its stream.
    Close(Option<StreamError>),
}

/// Events for metrics and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A log-in failed, with this condition of §6.5.
    SaslFailure(&'static str),
    /// A log-in succeeded.
    LoggedIn {
        /// The account.
        account: BareJid,
        /// The mechanism's name.
        mechanism: &'static str,
    },
    /// An account was made in the client.
    Registered(BareJid),
}

#[derive(Debug)]
enum State {
    /// A stream header is expected.
    Opening,
    /// Features are out: STARTTLS or SASL may begin.
    Negotiating,
    /// `<proceed/>` is out: the next bytes are TLS.
    Encrypting,
    /// A challenge is out.
    Challenged(Mechanism, Sasl),
    /// The authenticator is asked.
    Verifying(Mechanism, Sasl),
    /// An account is being made for this request.
    Registering(Box<Stanza>),
    /// Logged in; the resource is to be bound.
    Binding,
    /// The router is asked to bind for this request.
    Asking(Box<Stanza>),
    /// The router is asked to resume the session of this identifier.
    Resuming(String),
    /// Stanzas flow.
    Bound(FullJid),
    /// The stream is over.
    Closed,
}

/// The state machine.
#[derive(Debug)]
pub struct C2s {
    policy: Arc<Policy>,
    framing: Framing,
    security: Security,
    /// For stream ids, which must be unpredictable and never repeated (§4.7.3), and SCRAM's nonces.
    random: Random,
    state: State,
    outputs: VecDeque<Output>,
    /// The host that the client opened the stream to.
    domain: Option<String>,
    /// Who is logged in.
    account: Option<BareJid>,
    /// Without an account of its own.
    anonymous: bool,
    /// An account was made on this connection.
    registered: bool,
    /// The client's `from` on a header under TLS (§6.4.6).
    claimed: Option<BareJid>,
    /// Our header of the present stream is out.
    header_sent: bool,
    /// `Output::Close` is out: nothing is sent or taken any more.
    ended: bool,
    /// What the client's header declares.
    bindings: Bindings,
    /// Default language of the client's stanzas.
    lang: Option<String>,
    bytes_preauth: usize,
    failed_auths: u32,
    failed_registrations: u32,
    failed_binds: u32,
    deadline: Instant,
    /// When the client was last heard, and when silence has to be acted upon.
    heard: Instant,
    keepalive_at: Instant,
    /// Stream management is on (XEP-0198).
    asker: Option<Asker>,
}

impl C2s {
    /// A connection that has just been made; `security` is `Tls` when its first bytes were a TLS handshake.
    pub fn new(policy: Arc<Policy>, framing: Framing, security: Security, random: Random, now: Instant) -> Self {
        let deadline = now + policy.limits.negotiation;
        let keepalive_at = now + policy.limits.keepalive;
        Self {
            policy,
            framing,
            security,
            random,
            state: State::Opening,
            outputs: VecDeque::new(),
            domain: None,
            account: None,
            anonymous: false,
            registered: false,
            claimed: None,
            header_sent: false,
            ended: false,
            bindings: Bindings::empty(),
            lang: None,
            bytes_preauth: 0,
            failed_auths: 0,
            failed_registrations: 0,
            failed_binds: 0,
            deadline,
            heard: now,
            keepalive_at,
            asker: None,
        }
    }

    /// Limits for the stream's first element.
    pub fn limits(&self) -> xml::Limits {
        if self.account.is_some() { self.policy.limits.authenticated } else { self.policy.limits.preauth }
    }

    /// Whether the next frame may be handed in: not while a question is open, TLS begins, or all is over.
    pub fn wants_input(&self) -> bool {
        use State::{Asking, Encrypting, Registering, Resuming, Verifying};
        !self.ended && !matches!(self.state, Encrypting | Verifying(..) | Registering(_) | Asking(_) | Resuming(_))
    }

    /// Whether the stream is over.
    pub fn is_closed(&self) -> bool {
        self.ended
    }

    /// The full JID, once bound.
    pub fn jid(&self) -> Option<&FullJid> {
        match &self.state {
            State::Bound(jid) => Some(jid),
            _ => None,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`C2s::handle_timeout`] has to be called, unless something else happens first.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            _ if self.ended => None,
            State::Bound(_) => {
                let asker = self.asker.as_ref().and_then(|asker| asker.poll_timeout(self.heard));
                Some(asker.map_or(self.keepalive_at, |at| at.min(self.keepalive_at)))
            }
            _ => Some(self.deadline),
        }
    }

    /// Bytes have been read; called before the frames in them.
    pub fn handle_received(&mut self, bytes: usize, now: Instant) {
        self.heard = now;
        self.keepalive_at = now + self.policy.limits.keepalive;
        if self.account.is_some() || self.ended {
            return;
        }
        self.bytes_preauth = self.bytes_preauth.saturating_add(bytes);
        if self.bytes_preauth > self.policy.limits.bytes_preauth {
            self.fail(StreamError::new(Condition::PolicyViolation).with_text("too many bytes before authentication"));
        }
    }

    /// A frame has been read.
    pub fn handle_frame(&mut self, frame: Frame) {
        match (frame, &self.state) {
            _ if self.ended => {}
            (Frame::Whitespace(_), _) => {}
            (Frame::Close, _) => self.close(),
            (Frame::Open(header), State::Opening) => self.handle_open(header),
            (Frame::Element(bytes), State::Opening) => self.before_header(&bytes),
            // Over TCP the framer takes a second header for an element; over WebSocket it arrives as such.
            (Frame::Open(_), _) => self.fail(StreamError::new(Condition::UnsupportedStanzaType).with_text("the stream is open already")),
            (Frame::Element(bytes), _) => self.handle_element(bytes),
        }
    }

    /// The TLS handshake that [`Output::StartTls`] asked for is done (§5.4.3.3).
    pub fn handle_tls_established(&mut self, bindings: ChannelBindings) {
        if let State::Encrypting = self.state {
            self.security = Security::Tls(bindings);
            self.restart();
        }
    }

    /// The answer to the last question.
    pub fn handle_answer(&mut self, answer: Answer) {
        if self.ended {
            return;
        }
        match (answer, std::mem::replace(&mut self.state, State::Closed)) {
            (Answer::Sasl(answer), State::Verifying(mechanism, mut sasl)) => {
                let step = sasl.handle_answer(answer);
                self.handle_step(mechanism, sasl, step);
            }
            (Answer::Registered(result), State::Registering(request)) => self.registration_done(&request, result),
            (Answer::Bound(jid), State::Asking(request)) => self.bound(jid, &request),
            (Answer::NotBound(error), State::Asking(request)) => {
                self.state = State::Binding;
                self.refuse_bind(&request, &error);
            }
            (Answer::Resumed { jid, handled }, State::Resuming(previd)) => self.resumed(jid, &previd, handled),
            (Answer::NotResumed(error, h), State::Resuming(_)) => {
                // XEP-0198 §5: the client may bind a resource now.
                self.state = State::Binding;
                self.management_failed(&error, h);
            }
            (Answer::Broken(error), State::Resuming(_) | State::Asking(_)) => self.fail(error),
            (answer, state) => {
                debug_assert!(false, "{answer:?} in {state:?}");
                self.fail(Condition::InternalServerError.into());
            }
        }
    }

    /// The time that [`C2s::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            _ if self.ended => {}
            State::Bound(_) => self.check_silence(now),
            _ if now >= self.deadline => {
                self.fail(StreamError::new(Condition::ConnectionTimeout).with_text("the stream was not negotiated in time"));
            }
            _ => {}
        }
    }

    /// Ends the stream with an error that arose outside: broken XML, a conflict, the server's shutdown.
    pub fn handle_error(&mut self, error: StreamError) {
        self.fail(error);
    }

    // ---- Elements

    fn handle_element(&mut self, bytes: Bytes) {
        if let State::Bound(jid) = &self.state {
            let jid = jid.clone();
            return if looks_like_stanza(&bytes) { self.handle_stanza(bytes, &jid) } else { self.handle_nonza(bytes, &jid) };
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Binding => {
                self.state = State::Binding;
                if looks_like_stanza(&bytes) { self.handle_bind(bytes) } else { self.handle_nonza_unbound(bytes) }
            }
            State::Negotiating => {
                self.state = State::Negotiating;
                self.negotiate(&bytes, None);
            }
            State::Challenged(mechanism, sasl) => {
                self.state = State::Negotiating;
                self.negotiate(&bytes, Some((mechanism, sasl)));
            }
            // `wants_input` was false; to go on could only be wrong.
            state => {
                debug_assert!(false, "an element in {state:?}");
                self.state = state;
                self.fail(StreamError::new(Condition::NotAuthorized).with_text("data while the stream is being negotiated"));
            }
        }
    }

    // ---- §8: stanzas

    fn handle_stanza(&mut self, bytes: Bytes, jid: &FullJid) {
        let mut stanza = match Stanza::parse_within(bytes, &self.bindings, self.limits().depth_max) {
            Ok(stanza) => stanza,
            Err(error) => return self.handle_parse_error(error),
        };
        // §8.1.2.1
        if let Some(from) = stanza.from()
            && from.as_str() != jid.as_str()
            && from.as_str() != jid.bare_str()
        {
            return self.fail(StreamError::new(Condition::InvalidFrom).with_text("'from' is another's"));
        }
        stanza.set_from(jid.clone());
        if let Some(lang) = &self.lang {
            stanza.set_lang_default(lang); // §4.7.4
        }
        // XEP-0077 §3.3: a password that everybody on the way would read, whoever it is for.
        if self.security.is_clear() && stanza.kind() == Kind::Iq(IqType::Set) && holds_password(&stanza) {
            let error = StanzaError::not_authorized().with_text("a password is not given in clear").with_code();
            return self.answer(Stanza::error_for(&stanza, &error));
        }
        if stanza.kind() == Kind::Iq(IqType::Set) && is_for_us(&stanza, jid) {
            match stanza.payload().map(|child| (child.ns(), child.name())) {
                // RFC 3921 §3: nothing is left to do.
                Some((ns::SESSION, "session")) => return self.answer(Some(Stanza::iq_result(&stanza, Bytes::new()))),
                // §7.6.2.2: one resource for each stream.
                Some((ns::BIND, "bind")) => {
                    let error = StanzaError::not_allowed().with_text("a resource is bound already");
                    return self.answer(Stanza::error_reply(&stanza, &error));
                }
                _ => {}
            }
        }
        self.outputs.push_back(Output::Deliver(stanza));
    }

    fn handle_parse_error(&mut self, error: ParseError) {
        match error {
            ParseError::Stream(error) => self.fail(error),
            ParseError::Stanza(error, stanza) => {
                let reply = Stanza::error_for(&stanza, &error);
                match (&self.state, reply) {
                    (State::Bound(_), reply) => self.answer(reply),
                    (_, Some(reply)) => self.send_stanza(&reply),
                    (_, None) => {}
                }
            }
        }
    }

    /// The stanza just read ends here, perhaps with this answer.
    fn answer(&mut self, reply: Option<Stanza>) {
        self.outputs.push_back(Output::Answer(reply));
    }

    // ---- §4.4, §4.6, §4.9: the end

    /// §4.4: the client has closed its stream.
    fn close(&mut self) {
        self.ensure_header();
        self.send_close();
        self.end(None);
    }

    /// §4.9.1: header if it is not out yet, error, closing tag, end of the connection.
    fn fail(&mut self, error: StreamError) {
        if self.ended {
            return;
        }
        // Between `<proceed/>` and TLS nothing can be said (§5.4.3.1).
        if !matches!(self.state, State::Encrypting) {
            self.ensure_header();
            let mut out = XmlWriter::new();
            match self.framing {
                Framing::Stream => error.write(&mut out),
                Framing::Alone => error.write_alone(&mut out),
            }
            self.send(out);
            self.send_close();
        }
        self.end(Some(error));
    }

    /// §4.9.1.2: an error needs an open stream around it.
    fn ensure_header(&mut self) {
        if !self.header_sent {
            let host = self.domain().to_owned();
            self.send_header(&host, None, true);
        }
    }

    fn send_close(&mut self) {
        let mut out = XmlWriter::new();
        match self.framing {
            Framing::Stream => out.raw(b"</stream:stream>"),
            Framing::Alone => out.open("close").ns(ns::FRAMING).close(),
        };
        self.send(out);
    }

    /// §4.6: over TCP the kernel finds a dead peer once there is something to send; over WebSocket the pong is missed here, and with stream
    /// management the answer.
    fn check_silence(&mut self, now: Instant) {
        match self.asker.as_mut().map_or(Due::Nothing, |asker| asker.handle_timeout(self.heard, now)) {
            Due::Dead => return self.fail(StreamError::new(Condition::ConnectionTimeout).with_text("no answer to <r/>")),
            Due::Ask => self.ask(now),
            Due::Nothing => {}
        }
        if now >= self.keepalive_at {
            self.silence(now);
        }
    }

    fn silence(&mut self, now: Instant) {
        let keepalive = self.policy.limits.keepalive;
        if self.framing == Framing::Alone && now >= self.heard + keepalive * 2 {
            return self.fail(StreamError::new(Condition::ConnectionTimeout).with_text("no answer to a ping"));
        }
        self.keepalive_at = now + keepalive;
        if self.asker.is_some() {
            // Whoever lives answers this one.
            return self.ask(now);
        }
        self.outputs.push_back(Output::Keepalive);
    }

    // ---- Output

    fn send(&mut self, out: XmlWriter) {
        self.outputs.push_back(Output::Send(out.finish()));
    }

    fn send_stanza(&mut self, stanza: &Stanza) {
        let mut out = Vec::with_capacity(stanza.size_bytes() + 64);
        stanza.write(&mut out, self.framing);
        self.outputs.push_back(Output::Send(out.into()));
    }

    fn send_error(&mut self, stanza: &Stanza, error: &StanzaError) {
        if let Some(reply) = Stanza::error_reply(stanza, error) {
            self.send_stanza(&reply);
        }
    }

    fn default_domain(&self) -> &str {
        self.policy.domains.first().map_or("localhost", String::as_str)
    }

    /// The host that the stream was opened to, the default before that.
    pub fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or_else(|| self.default_domain())
    }

    /// The last output: whatever comes in from now on is dropped.
    fn end(&mut self, reason: Option<StreamError>) {
        self.state = State::Closed;
        self.ended = true;
        self.outputs.push_back(Output::Close(reason));
    }
}

/// XEP-0077 §3.3 and §4: whether a request to register has a password, as an element or in a form. What cannot be read may have one.
fn holds_password(stanza: &Stanza) -> bool {
    let query = stanza.payload().filter(|query| query.is(ns::REGISTER, "query"));
    let in_form = |form: Node<'_>| {
        let mut fields = form.children_named(ns::DATA_FORMS, "field");
        fields.any(|field| matches!(field.attr("var"), Some("password" | "old_password")))
    };
    query.is_some_and(|query| match query.element() {
        Ok(query) => {
            query.root().child(ns::REGISTER, "password").is_some() || query.root().children_named(ns::DATA_FORMS, "x").any(in_form)
        }
        Err(_) => true,
    })
}

/// Whether an element has one of the three names; cheap, since every stanza is asked. What it really is, its parser says.
fn looks_like_stanza(bytes: &[u8]) -> bool {
    let named = |name: &[u8]| {
        let rest = bytes.get(1..).and_then(|bytes| bytes.strip_prefix(name));
        rest.is_some_and(|rest| rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>')))
    };
    named(b"message") || named(b"iq") || named(b"presence")
}

/// Whether a request asks the server about this stream or account.
fn is_for_us(stanza: &Stanza, jid: &FullJid) -> bool {
    stanza.to().is_none_or(|to| to.as_str() == jid.domain() || to.as_str() == jid.bare_str())
}
