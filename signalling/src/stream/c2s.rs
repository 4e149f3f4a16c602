//! RFC 6120 §4–7 for one client connection, from the server's side, over TCP and over WebSocket (RFC 7395). No I/O, no clock.
//!
//! Not done: channel binding (`docs/deviations.md` quotes the MUST); SASL2, Bind 2 and stream management, which no RFC demands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::{Condition, StreamError};
use super::features::Features;
use super::sasl::{self, Mechanism, NONCE_BYTES, Sasl, SaslFailure, Step};
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::stanza::error::StanzaError;
use crate::stanza::{Framing, IqType, Kind, ParseError, Stanza};
use crate::xml::{self, Bindings, Element, Frame, StreamHeader, XmlWriter};

/// Retries of resource binding: RFC 6120 §7.7.3 asks for 5 to 10.
const BIND_ATTEMPTS_MAX: u32 = 6;
/// The language of our texts (§4.7.4).
const LANG: &str = "en";

/// What holds for every client stream; shared by all.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The virtual hosts, normalised as in JIDs; the first is the default.
    pub domains: Vec<String>,
    /// No log-in without TLS.
    pub require_tls: bool,
    /// Features offered beside resource binding, each a whole element.
    pub features: Vec<Bytes>,
    /// Sizes, counts and times.
    pub limits: Limits,
}

/// Bounds of one stream.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One top-level element before authentication.
    pub preauth: xml::Limits,
    /// One stanza after it; RFC 6120 §13.12 asks for at least 10000 bytes.
    pub authenticated: xml::Limits,
    /// All that is received before authentication.
    pub bytes_preauth: usize,
    /// From connecting to a bound resource.
    pub negotiation: Duration,
    /// Failed log-ins; §6.4.5 asks for 2 to 5 retries.
    pub auth_attempts: u32,
    /// Silence of the client after which something is sent, so that a dead connection is found (§4.6).
    pub keepalive: Duration,
}

/// All that a stream may send before it is authenticated, in elements of the largest size: header, STARTTLS, header, and some log-ins.
const PREAUTH_ELEMENTS: usize = 8;

impl Policy {
    /// What the sections say. `features` are offered beside resource binding, each a whole element.
    #[must_use]
    pub fn new(domains: Vec<String>, c2s: &campanile_config::C2s, limits: &campanile_config::Limits, features: Vec<Bytes>) -> Self {
        let xml = |bytes_max| xml::Limits { bytes_max, depth_max: limits.stanza_depth };
        Self {
            domains,
            require_tls: c2s.require_tls,
            features,
            limits: Limits {
                preauth: xml(limits.stanza_bytes_preauth),
                authenticated: xml(limits.stanza_bytes),
                bytes_preauth: limits.stanza_bytes_preauth.saturating_mul(PREAUTH_ELEMENTS),
                negotiation: Duration::from_secs(limits.handshake_s),
                auth_attempts: limits.auth_attempts,
                keepalive: Duration::from_secs(limits.keepalive_s),
            },
        }
    }
}

/// A source of random bytes.
pub type Random = fn() -> [u8; NONCE_BYTES];

/// What protects the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Nothing.
    Clear,
    /// Nothing here, but they come from this machine or from a trusted proxy that ends TLS. HTTP only.
    Trusted,
    /// TLS that ends here.
    Tls,
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
    /// Logged in; the resource is to be bound.
    Binding,
    /// The router is asked to bind for this request.
    Asking(Box<Stanza>),
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
    failed_binds: u32,
    deadline: Instant,
    /// When the client was last heard, and when silence has to be acted upon.
    heard: Instant,
    keepalive_at: Instant,
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
            claimed: None,
            header_sent: false,
            ended: false,
            bindings: Bindings::empty(),
            lang: None,
            bytes_preauth: 0,
            failed_auths: 0,
            failed_binds: 0,
            deadline,
            heard: now,
            keepalive_at,
        }
    }

    /// Limits for the stream's first element.
    pub fn limits(&self) -> xml::Limits {
        if self.account.is_some() { self.policy.limits.authenticated } else { self.policy.limits.preauth }
    }

    /// Whether the next frame may be handed in: not while a question is open, TLS begins, or all is over.
    pub fn wants_input(&self) -> bool {
        !self.ended && !matches!(self.state, State::Encrypting | State::Verifying(..) | State::Asking(_))
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
            State::Bound(_) => Some(self.keepalive_at),
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
    pub fn handle_tls_established(&mut self) {
        if let State::Encrypting = self.state {
            self.security = Security::Tls;
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
            (Answer::Bound(jid), State::Asking(request)) => self.bound(jid, &request),
            (Answer::NotBound(error), State::Asking(request)) => {
                self.state = State::Binding;
                self.refuse_bind(&request, &error);
            }
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
            State::Bound(_) if now >= self.keepalive_at => self.silence(now),
            State::Bound(_) => {}
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

    // ---- §4.2, §4.7: the stream header

    fn handle_open(&mut self, header: StreamHeader) {
        self.bindings = header.bindings.clone();
        self.lang = header.lang.clone().filter(|lang| is_lang(lang));
        // What the response must carry even if it is followed by an error (§4.9.1.3): who we are, and to whom.
        let from = header.from.as_deref().map(Jid::parse);
        let to = header.to.as_deref().filter(|to| !to.is_empty()).map(Jid::parse);
        let known = match &to {
            Some(Ok(jid)) => self.policy.domains.iter().find(|domain| *domain == jid.domain()).cloned(),
            _ => None,
        };
        let recipient = from.as_ref().and_then(|from| from.as_ref().ok()).map(Jid::to_bare);
        let host = known.clone().unwrap_or_else(|| self.default_domain().to_owned());
        self.send_header(&host, recipient.as_ref(), header.version.is_some());
        match self.check_header(&header, to, from, known) {
            Ok(domain) => {
                self.domain = Some(domain);
                self.claimed = recipient.filter(|_| self.security != Security::Clear);
                self.offer();
            }
            Err(error) => self.fail(error),
        }
    }

    fn check_header(
        &self,
        header: &StreamHeader,
        to: Option<Result<Jid, crate::jid::JidError>>,
        from: Option<Result<Jid, crate::jid::JidError>>,
        known: Option<String>,
    ) -> Result<String, StreamError> {
        match self.framing {
            Framing::Stream => header.check(ns::CLIENT)?,
            Framing::Alone if header.ns != ns::FRAMING => {
                // RFC 7395 §3.3.2
                return Err(StreamError::new(Condition::InvalidNamespace).with_text("<open/> is not in the framing namespace"));
            }
            Framing::Alone => {}
        }
        if version(header.version.as_deref()) < (1, 0) {
            // §4.7.5: none means 0.9, which we do not speak.
            return Err(StreamError::new(Condition::UnsupportedVersion).with_text("XMPP 1.0 is the oldest version served"));
        }
        let domain = match to {
            Some(Err(error)) => return Err(improper(format!("'to' is no JID: {error}"))),
            Some(Ok(jid)) if jid.local().is_some() || jid.resource().is_some() => return Err(improper("'to' must be a domain")),
            Some(Ok(jid)) => {
                known.ok_or_else(|| StreamError::new(Condition::HostUnknown).with_text(format!("{} is not served here", jid.domain())))?
            }
            // §4.7.2: liberal where it can only mean one host.
            None if self.policy.domains.len() == 1 => self.default_domain().to_owned(),
            None => return Err(improper("the stream header lacks 'to', and there are several domains")),
        };
        if let Some(Err(error)) = from {
            return Err(improper(format!("'from' is no JID: {error}")));
        }
        if let Some(account) = self.account.as_ref().filter(|account| account.domain() != domain) {
            return Err(StreamError::new(Condition::NotAuthorized).with_text(format!("logged in at {}", account.domain())));
        }
        Ok(domain)
    }

    /// §4.2: our header, with a new id for each stream; without version for a client that has none (§4.7.5, rule 4).
    fn send_header(&mut self, from: &str, to: Option<&BareJid>, versioned: bool) {
        let id = sasl::encode(&(self.random)());
        let mut out = XmlWriter::with_capacity(256);
        match self.framing {
            Framing::Stream => {
                out.raw(b"<?xml version='1.0'?>");
                out.open("stream:stream").ns(ns::CLIENT).attr("xmlns:stream", ns::STREAM);
            }
            Framing::Alone => {
                out.open("open").ns(ns::FRAMING);
            }
        }
        out.attr("id", &id).attr("from", from).attr_opt("to", to.map(|to| to.as_str()));
        out.attr_opt("version", versioned.then_some("1.0")).attr("xml:lang", LANG);
        match self.framing {
            Framing::Stream => out.leave_open(),
            Framing::Alone => out.close(),
        };
        self.header_sent = true;
        self.send(out);
    }

    /// Something came where a stream header must come.
    fn before_header(&mut self, bytes: &Bytes) {
        // Only a WebSocket message can be an element here: over TCP the first start tag is the header.
        let error = match Element::parse_within(bytes, &Bindings::empty(), self.limits().depth_max) {
            Err(error) => error.into(),
            Ok(_) => StreamError::new(Condition::BadFormat).with_text("the first message must be <open/>"),
        };
        self.fail(error);
    }

    /// §4.3.2: features, as far as the stream has come.
    fn offer(&mut self) {
        let tcp_clear = self.framing == Framing::Stream && self.security == Security::Clear;
        let mechanisms = self.mechanisms();
        let mut features = Features::default();
        if self.account.is_some() {
            self.state = State::Binding;
            features.bind = true;
        } else if mechanisms.is_empty() && !tcp_clear {
            // RFC 7395 §3.9: no STARTTLS here, so there is nothing to offer.
            return self.fail(
                StreamError::new(Condition::PolicyViolation)
                    .with_text("this server requires TLS: connect with wss:, or list the proxy in front in http.trusted_proxies"),
            );
        } else {
            self.state = State::Negotiating;
            features.starttls = tcp_clear.then_some(self.policy.require_tls);
            features.mechanisms = &mechanisms;
        }
        let policy = self.policy.clone();
        if features.bind {
            features.more = &policy.features;
        }
        let mut out = XmlWriter::with_capacity(512);
        features.write(&mut out, self.framing == Framing::Alone);
        self.send(out);
    }

    /// §6.3.4 and §13.8: PLAIN only where nobody listens, nothing at all in clear text where TLS is required.
    fn mechanisms(&self) -> Vec<Mechanism> {
        match self.security {
            Security::Clear if self.policy.require_tls => Vec::new(),
            security => Mechanism::offered(security != Security::Clear).collect(),
        }
    }

    /// §4.3.3: a new stream on the same connection.
    fn restart(&mut self) {
        self.state = State::Opening;
        self.header_sent = false;
        self.outputs.push_back(Output::Restart(self.limits()));
    }

    // ---- Elements

    fn handle_element(&mut self, bytes: Bytes) {
        if let State::Bound(jid) = &self.state {
            let jid = jid.clone();
            return self.handle_stanza(bytes, &jid);
        }
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Binding => {
                self.state = State::Binding;
                self.handle_bind(bytes);
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

    /// §5 and §6: before the log-in. `exchange` is the SASL exchange whose challenge is out.
    fn negotiate(&mut self, bytes: &Bytes, exchange: Option<(Mechanism, Sasl)>) {
        let element = match Element::parse_within(bytes, &self.bindings, self.limits().depth_max) {
            Ok(element) => element,
            Err(error) => return self.fail(error.into()),
        };
        let root = element.root();
        match (root.ns(), root.name(), exchange) {
            (ns::TLS, "starttls", None) => self.starttls(),
            (ns::SASL, "auth", None) => self.auth(root.attr("mechanism"), &root.text()),
            (ns::SASL, "response", Some((mechanism, sasl))) => self.response(mechanism, sasl, &root.text()),
            (ns::SASL, "abort", _) => self.sasl_failure(SaslFailure::Aborted), // §6.4.4
            (ns::SASL, "auth" | "response", _) => self.sasl_failure(SaslFailure::MalformedRequest),
            (ns::CLIENT, "message" | "presence" | "iq", _) => {
                // §4.9.3.12
                self.fail(
                    StreamError::new(Condition::NotAuthorized).with_text("stanzas are taken after authentication and resource binding"),
                );
            }
            (namespace, name, _) => self.fail(unsupported(namespace, name)),
        }
    }

    /// §5.4.2.
    fn starttls(&mut self) {
        let mut out = XmlWriter::new();
        if self.framing == Framing::Stream && self.security == Security::Clear {
            out.open("proceed").ns(ns::TLS).close();
            self.send(out);
            self.state = State::Encrypting;
            self.outputs.push_back(Output::StartTls);
        } else {
            // §5.4.2.2: the failure, the closing tag, the end of the connection; no stream error.
            out.open("failure").ns(ns::TLS).close();
            self.send(out);
            self.send_close();
            self.end(None);
        }
    }

    // ---- §6: SASL

    fn auth(&mut self, mechanism: Option<&str>, text: &str) {
        let offered = self.mechanisms();
        let known = mechanism.and_then(Mechanism::from_name);
        let mechanism = match known {
            Some(mechanism) if offered.contains(&mechanism) => mechanism,
            // §6.5.4
            Some(_) => return self.sasl_failure(SaslFailure::EncryptionRequired),
            None if mechanism.is_none() => return self.sasl_failure(SaslFailure::MalformedRequest),
            None => return self.sasl_failure(SaslFailure::InvalidMechanism),
        };
        let initial = match sasl::decode_initial(text) {
            Ok(initial) => initial,
            Err(failure) => return self.sasl_failure(failure),
        };
        let nonce = sasl::nonce(&(self.random)());
        let (sasl, step) = Sasl::start(mechanism, initial.as_ref().map(|data| data.as_slice()), self.domain(), nonce);
        self.handle_step(mechanism, sasl, step);
    }

    fn response(&mut self, mechanism: Mechanism, mut sasl: Sasl, text: &str) {
        match sasl::decode_response(text) {
            Ok(data) => {
                let step = sasl.handle_response(&data);
                self.handle_step(mechanism, sasl, step);
            }
            Err(failure) => self.sasl_failure(failure),
        }
    }

    fn handle_step(&mut self, mechanism: Mechanism, sasl: Sasl, step: Step) {
        match step {
            Step::Challenge(data) => {
                let mut out = XmlWriter::new();
                out.open("challenge").ns(ns::SASL);
                if !data.is_empty() {
                    out.text(&sasl::encode(&data));
                }
                out.close();
                self.send(out);
                self.state = State::Challenged(mechanism, sasl);
            }
            Step::Ask(question) => {
                self.state = State::Verifying(mechanism, sasl);
                self.outputs.push_back(Output::Ask(Question::Sasl(question)));
            }
            Step::Success { username, additional } => self.logged_in(mechanism, &username, additional.as_deref()),
            Step::Failure(failure) => self.sasl_failure(failure),
        }
    }

    /// §6.4.6.
    fn logged_in(&mut self, mechanism: Mechanism, username: &str, additional: Option<&[u8]>) {
        let account = match BareJid::new(username, self.domain()) {
            Ok(account) => account,
            // The authenticator found an account under this name, so it is a local part.
            Err(_) => return self.sasl_failure(SaslFailure::NotAuthorized),
        };
        if self.claimed.as_ref().is_some_and(|claimed| *claimed != account) {
            return self.fail(StreamError::new(Condition::InvalidFrom).with_text("'from' of the stream header is not who logged in"));
        }
        let mut out = XmlWriter::new();
        out.open("success").ns(ns::SASL);
        if let Some(data) = additional {
            out.text(&sasl::encode_additional(data));
        }
        out.close();
        self.send(out);
        self.outputs.push_back(Output::Report(Report::LoggedIn { account: account.clone(), mechanism: mechanism.name() }));
        self.account = Some(account);
        self.restart();
    }

    /// §6.4.5.
    fn sasl_failure(&mut self, failure: SaslFailure) {
        let mut out = XmlWriter::new();
        out.open("failure").ns(ns::SASL).open(failure.name()).close();
        if let Some(text) = explanation(failure) {
            out.open("text").attr("xml:lang", LANG).text(text).close();
        }
        out.close();
        self.send(out);
        self.outputs.push_back(Output::Report(Report::SaslFailure(failure.name())));
        self.state = State::Negotiating;
        self.failed_auths += 1;
        if self.failed_auths >= self.policy.limits.auth_attempts {
            self.fail(StreamError::new(Condition::PolicyViolation).with_text("too many failed attempts to log in"));
        }
    }

    // ---- §7: resource binding

    fn handle_bind(&mut self, bytes: Bytes) {
        let stanza = match Stanza::parse_within(bytes, &self.bindings, self.limits().depth_max) {
            Ok(stanza) => stanza,
            Err(error) => return self.handle_parse_error(error),
        };
        let payload = stanza.payload().filter(|_| stanza.kind() == Kind::Iq(IqType::Set));
        let Some(bind) = payload.filter(|child| child.ns() == ns::BIND && child.name() == "bind") else {
            // §7.1: bind first.
            return self.fail(StreamError::new(Condition::NotAuthorized).with_text("stanzas are taken after resource binding"));
        };
        let resource = match bind.element() {
            Ok(element) => element.root().child(ns::BIND, "resource").map(|resource| resource.text().into_owned()),
            Err(error) => return self.fail(error.into()),
        };
        let Some(account) = self.account.clone() else {
            return self.fail(Condition::InternalServerError.into());
        };
        // §7.7.1: a resource is non-empty; an empty element asks for one made here, as clients of old do.
        let resource = resource.filter(|resource| !resource.is_empty());
        if let Some(Err(error)) = resource.as_deref().map(|resource| account.with_resource(resource)) {
            // §7.7.2.1
            return self.refuse_bind(&stanza, &StanzaError::bad_request(error.to_string()));
        }
        self.outputs.push_back(Output::Ask(Question::Bind { account, resource }));
        self.state = State::Asking(Box::new(stanza));
    }

    /// §7.6.1, §7.7.1.
    fn bound(&mut self, jid: FullJid, request: &Stanza) {
        let mut payload = XmlWriter::new();
        payload.open("bind").ns(ns::BIND).leaf("jid", jid.as_str()).close();
        self.state = State::Bound(jid);
        self.keepalive_at = self.heard + self.policy.limits.keepalive;
        self.send_stanza(&Stanza::iq_result(request, payload.finish()));
    }

    /// §7.6.2, §7.7.2; and §7.7.3 for the retries.
    fn refuse_bind(&mut self, request: &Stanza, error: &StanzaError) {
        self.send_error(request, error);
        self.failed_binds += 1;
        if self.failed_binds >= BIND_ATTEMPTS_MAX {
            self.fail(StreamError::new(Condition::PolicyViolation).with_text("too many failed attempts to bind a resource"));
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
        if stanza.kind() == Kind::Iq(IqType::Set) && is_for_us(&stanza, jid) {
            match stanza.payload().map(|child| (child.ns(), child.name())) {
                // RFC 3921 §3: nothing is left to do.
                Some((ns::SESSION, "session")) => return self.send_stanza(&Stanza::iq_result(&stanza, Bytes::new())),
                // §7.6.2.2: one resource for each stream.
                Some((ns::BIND, "bind")) => {
                    return self.send_error(&stanza, &StanzaError::not_allowed().with_text("a resource is bound already"));
                }
                _ => {}
            }
        }
        self.outputs.push_back(Output::Deliver(stanza));
    }

    fn handle_parse_error(&mut self, error: ParseError) {
        match error {
            ParseError::Stream(error) => self.fail(error),
            ParseError::Stanza(error, head) => {
                if let Some(reply) = Stanza::error_for(&head, &error) {
                    self.send_stanza(&reply);
                }
            }
        }
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

    /// §4.6: over TCP the kernel finds a dead peer once there is something to send; over WebSocket the pong is missed here.
    fn silence(&mut self, now: Instant) {
        let keepalive = self.policy.limits.keepalive;
        if self.framing == Framing::Alone && now >= self.heard + keepalive * 2 {
            return self.fail(StreamError::new(Condition::ConnectionTimeout).with_text("no answer to a ping"));
        }
        self.outputs.push_back(Output::Keepalive);
        self.keepalive_at = now + keepalive;
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

    /// The host that the stream was opened to.
    fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or_else(|| self.default_domain())
    }

    /// The last output: whatever comes in from now on is dropped.
    fn end(&mut self, reason: Option<StreamError>) {
        self.state = State::Closed;
        self.ended = true;
        self.outputs.push_back(Output::Close(reason));
    }
}

/// §4.7.5: major and minor number; none is 0.9.
fn version(text: Option<&str>) -> (u32, u32) {
    let Some(text) = text else { return (0, 9) };
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?))).unwrap_or((0, 0))
}

/// Whether it looks like a language tag (RFC 5646 §2.1, loosely): it is copied onto stanzas for others.
fn is_lang(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.split('-').all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn improper(text: impl Into<std::borrow::Cow<'static, str>>) -> StreamError {
    StreamError::new(Condition::ImproperAddressing).with_text(text)
}

/// §4.9.3.24.
fn unsupported(namespace: &str, name: &str) -> StreamError {
    let shown = |text: &str| text.chars().take(64).collect::<String>();
    StreamError::new(Condition::UnsupportedStanzaType).with_text(format!(
        "<{} xmlns='{}'/> is not understood here",
        shown(name),
        shown(namespace)
    ))
}

/// §6.4.5: what helps whoever reads the client's log; nothing that tells whether the account exists.
fn explanation(failure: SaslFailure) -> Option<&'static str> {
    match failure {
        SaslFailure::EncryptionRequired => Some("this mechanism needs TLS"),
        SaslFailure::InvalidMechanism => Some("the mechanism is not offered"),
        SaslFailure::IncorrectEncoding => Some("the data is not base64 as RFC 4648 section 4 defines it"),
        SaslFailure::InvalidAuthzid => Some("the authorization identity must be the account's own bare JID"),
        SaslFailure::TemporaryAuthFailure => Some("try again later"),
        _ => None,
    }
}

/// Whether a request asks the server about this stream or account.
fn is_for_us(stanza: &Stanza, jid: &FullJid) -> bool {
    stanza.to().is_none_or(|to| to.as_str() == jid.domain() || to.as_str() == jid.bare_str())
}

#[cfg(test)]
mod tests;
