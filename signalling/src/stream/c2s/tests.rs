//! The machine driven from the client's side: what goes in as text, what comes out as text.

use std::time::Duration;

use super::*;
use crate::auth::{Password, ScramKeys};
use crate::net::websocket;
use crate::stream::sasl::SaslFailure;
use crate::stream::sm;
use crate::xml::{Element, Framer};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    to='example.org' version='1.0'>";
const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const BIND: &str = "<iq xmlns='jabber:client' id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
/// `\0romeo\0secret`, whom the harness accepts.
const PLAIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>";
/// `\0juliet\0secret`, whom it refuses.
const PLAIN_WRONG: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzZWNyZXQ=</auth>";
const ID: &str = "BwcHBwcHBwcHBwcHBwcHBwcH";

fn policy() -> Policy {
    let xml = |bytes_max| xml::Limits { bytes_max, depth_max: 20 };
    Policy {
        domains: vec!["example.org".into()],
        require_tls: true,
        registration: false,
        anonymous: false,
        features: [("example.org".into(), vec!["<c xmlns='http://jabber.org/protocol/caps'/>".into()])].into(),
        limits: Limits {
            preauth: xml(1000),
            authenticated: xml(5000),
            bytes_preauth: 6000,
            negotiation: Duration::from_secs(30),
            auth_attempts: 3,
            keepalive: Duration::from_secs(300),
            ack_wait: Duration::from_secs(60),
        },
    }
}

/// The server's side with a shell that answers at once.
struct Server {
    machine: C2s,
    framer: Framer,
    framing: Framing,
    start: Instant,
    /// What was sent since last asked.
    sent: String,
    delivered: Vec<Stanza>,
    reports: Vec<Report>,
    keepalives: usize,
    /// What the last question about a resource said of the account.
    anonymous: bool,
    bind: fn(&BareJid, Option<&str>) -> Answer,
    ended: Option<Option<StreamError>>,
    /// XEP-0198: whether it is on, the client's stanzas handled since, ours acknowledged, and ours sent.
    managed: bool,
    handled: u32,
    acknowledged: u32,
    outstanding: usize,
    resume: fn(&str) -> Answer,
}

fn bind(account: &BareJid, resource: Option<&str>) -> Answer {
    Answer::Bound(account.with_resource(resource.unwrap_or("made")).unwrap())
}

impl Server {
    fn new(policy: Policy, framing: Framing, security: Security) -> Self {
        let start = Instant::now();
        let preauth = policy.limits.preauth;
        Self {
            machine: C2s::new(Arc::new(policy), framing, security, || [7; NONCE_BYTES], start),
            framer: Framer::new(preauth),
            framing,
            start,
            sent: String::new(),
            delivered: Vec::new(),
            reports: Vec::new(),
            keepalives: 0,
            anonymous: false,
            bind,
            ended: None,
            managed: false,
            handled: 0,
            acknowledged: 0,
            outstanding: 0,
            resume: |_| Answer::NotResumed(StanzaError::item_not_found(), None),
        }
    }

    fn tcp() -> Self {
        Self::new(policy(), Framing::Stream, Security::Clear)
    }

    fn tls() -> Self {
        Self::new(policy(), Framing::Stream, Security::Tls(ChannelBindings::default()))
    }

    fn websocket(security: Security) -> Self {
        Self::new(policy(), Framing::Alone, security)
    }

    /// Logged in and bound as romeo@example.org/orchard; nothing of it is left in `sent`.
    fn bound(framing: Framing) -> Self {
        let mut server = Self::new(policy(), framing, Security::Tls(ChannelBindings::default()));
        let open = if framing == Framing::Stream { HEADER } else { OPEN };
        server.feed(open).feed(PLAIN).feed(open).feed(&BIND.replace("bind'/>", "bind'><resource>orchard</resource></bind>"));
        assert_eq!(server.machine.jid().unwrap().as_str(), "romeo@example.org/orchard");
        server.take();
        server
    }

    fn feed(&mut self, text: &str) -> &mut Self {
        self.machine.handle_received(text.len(), self.start);
        self.drain();
        match self.framing {
            Framing::Stream => {
                self.framer.push(text.as_bytes());
                while self.machine.wants_input() {
                    match self.framer.next() {
                        Ok(Some(frame)) => self.machine.handle_frame(frame),
                        Ok(None) => break,
                        Err(error) => self.machine.handle_error(error.into()),
                    }
                    self.drain();
                }
            }
            Framing::Alone => {
                match websocket::frame(text.to_owned().into(), self.machine.limits().depth_max) {
                    Ok(frame) => self.machine.handle_frame(frame),
                    Err(error) => self.machine.handle_error(error.into()),
                }
                self.drain();
            }
        }
        self
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.machine.handle_timeout(self.start + Duration::from_secs(seconds));
        self.drain();
        self
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            assert!(self.ended.is_none(), "output after the end: {output:?}");
            match output {
                Output::Send(bytes) => {
                    let text = std::str::from_utf8(&bytes).unwrap();
                    if self.framing == Framing::Alone {
                        // RFC 7395 §3.3.3: each message is a document of its own.
                        Element::parse(&bytes, &Bindings::empty()).unwrap_or_else(|error| panic!("{error}: {text}"));
                    }
                    self.sent.push_str(text);
                }
                Output::StartTls => {
                    self.framer.clear();
                    self.machine.handle_tls_established(ChannelBindings::default());
                }
                Output::Restart(limits) => {
                    self.framer.reset();
                    self.framer.set_limits(limits);
                }
                Output::Ask(Question::Bind { account, resource, anonymous }) => {
                    self.anonymous = anonymous;
                    let answer = (self.bind)(&account, resource.as_deref());
                    self.machine.handle_answer(answer);
                }
                Output::Ask(Question::Sasl(sasl::Question::Password { account, .. })) => {
                    let accepted = account.local() == Some("romeo");
                    let refused = sasl::Answer::Refused(SaslFailure::NotAuthorized);
                    self.machine.handle_answer(Answer::Sasl(if accepted { sasl::Answer::Accepted } else { refused }));
                }
                Output::Ask(Question::Sasl(sasl::Question::Anonymous { domain })) => {
                    let name = BareJid::new("59bec12a", &domain).unwrap();
                    self.machine.handle_answer(Answer::Sasl(sasl::Answer::Named(name)));
                }
                Output::Ask(Question::Register { account, .. }) => {
                    let taken = account.local() == Some("juliet");
                    let answer = if taken { Err(StanzaError::conflict()) } else { Ok(account) };
                    self.machine.handle_answer(Answer::Registered(answer));
                }
                Output::Ask(Question::Sasl(sasl::Question::Keys { hash, .. })) => {
                    let password = Password::prepare("secret").unwrap();
                    let keys = ScramKeys::derive(hash, &password, vec![1; 16], 4096.try_into().unwrap());
                    self.machine.handle_answer(Answer::Sasl(sasl::Answer::Keys { keys, genuine: true, disabled: None }));
                }
                Output::Deliver(stanza) => {
                    self.delivered.push(stanza);
                    self.handled += u32::from(self.managed);
                }
                Output::Answer(reply) => {
                    self.handled += u32::from(self.managed);
                    if let Some(reply) = reply {
                        self.sent.push_str(str::from_utf8(&reply.to_bytes(self.framing)).unwrap());
                    }
                }
                Output::Manage { resume, max } => {
                    self.managed = true;
                    let token = sm::Token::new([0; 16]);
                    let within = Duration::from_secs(max.unwrap_or(600).min(600));
                    self.machine.handle_enabled(Ok(sm::Enabled { resumption: resume.then_some((token, within)) }));
                }
                Output::Acknowledge(h) => {
                    let result = sm::newly_acknowledged(self.acknowledged, self.outstanding, h);
                    if let Ok(count) = result {
                        self.acknowledged += count as u32;
                        self.outstanding -= count;
                    }
                    self.machine.handle_acknowledged(result.map(|_| self.outstanding), self.start);
                }
                Output::Active(active) => self.sent.push_str(if active { "[active]" } else { "[inactive]" }),
                Output::TellProgress => self.machine.handle_progress(self.handled),
                Output::Ask(Question::Resume { previd, .. }) => {
                    let answer = (self.resume)(&previd);
                    self.managed = matches!(answer, Answer::Resumed { .. });
                    self.machine.handle_answer(answer);
                }
                Output::Keepalive => self.keepalives += 1,
                Output::Report(report) => self.reports.push(report),
                Output::Close(reason) => self.ended = Some(reason),
            }
        }
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.sent)
    }

    /// The condition that ended the stream; checks that error and closing tag were sent.
    fn error(&mut self) -> Condition {
        let reason = self.ended.clone().unwrap_or_else(|| panic!("the stream goes on: {}", self.sent)).expect("with an error");
        let (error, close) = match self.framing {
            Framing::Stream => ("<stream:error>", "</stream:stream>"),
            Framing::Alone => {
                ("<stream:error xmlns:stream='http://etherx.jabber.org/streams'>", "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
            }
        };
        let condition = format!("{error}<{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", reason.condition.name());
        assert!(self.sent.contains(&condition), "{}", self.sent);
        assert!(self.sent.ends_with(close), "{}", self.sent);
        assert_eq!(self.sent.matches("<stream:error").count(), 1);
        reason.condition
    }
}

fn header_with(change: &str, to: &str) -> String {
    HEADER.replace(change, to)
}

/// What a TLS 1.3 connection may be bound to.
fn bindings() -> ChannelBindings {
    ChannelBindings::new(Some(vec![1; 32]), Some(vec![2; 32]))
}

#[test]
fn xep0440_s2_what_tls_that_ends_here_can_bind_to_is_announced() {
    let mut server = Server::new(policy(), Framing::Stream, Security::Tls(bindings()));
    let features = "<stream:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
        <channel-binding type='tls-server-end-point'/></sasl-channel-binding><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>SCRAM-SHA-256-PLUS</mechanism><mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-256</mechanism>\
        <mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    assert!(server.feed(HEADER).take().ends_with(features));
    // after the log-in nothing of it is kept
    server.feed(PLAIN);
    assert!(matches!(&server.machine.security, Security::Tls(bindings) if bindings.is_empty()));
    // a proxy's TLS is not ours to bind to, and web pages cannot
    for security in [Security::Trusted, Security::Tls(bindings())] {
        let mut server = Server::websocket(security);
        let features = server.feed(OPEN).take();
        assert!(!features.contains("sasl-cb") && !features.contains("-PLUS") && features.contains("SCRAM-SHA-256"), "{features}");
    }
}

#[test]
fn rfc5802_s6_a_client_that_was_shown_no_binding_is_told_of_the_downgrade() {
    let mut server = Server::new(policy(), Framing::Stream, Security::Tls(bindings()));
    let first = sasl::encode(b"y,,n=romeo,r=abc");
    server.feed(HEADER).feed(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{first}</auth>"));
    let sent = server.take();
    assert!(sent.contains("<not-authorized/><text xml:lang='en'>channel binding was offered"), "{sent}");
    // where -PLUS is not offered, it is no mechanism
    let mut server = Server::tls();
    let first = sasl::encode(b"p=tls-exporter,,n=romeo,r=abc");
    server.feed(HEADER).feed(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256-PLUS'>{first}</auth>"));
    assert!(server.take().contains("<invalid-mechanism/>"));
}

/// A registration with these fields.
fn registration(fields: &str) -> String {
    format!("<iq xmlns='jabber:client' type='set' id='reg2'><query xmlns='jabber:iq:register'>{fields}</query></iq>")
}

const ASK: &str = "<iq xmlns='jabber:client' type='get' id='reg1' to='example.org'><query xmlns='jabber:iq:register'/></iq>";

#[test]
fn xep0077_s3_1_a_newcomer_makes_an_account_and_logs_in() {
    let open = || Policy { registration: true, ..policy() };
    let tls = || Security::Tls(ChannelBindings::default());
    for (framing, security) in [(Framing::Stream, tls()), (Framing::Alone, tls()), (Framing::Alone, Security::Trusted)] {
        let mut server = Server::new(open(), framing, security);
        let header = if framing == Framing::Stream { HEADER } else { OPEN };
        assert!(server.feed(header).take().contains("<register xmlns='http://jabber.org/features/iq-register'/>"));
        let form = server.feed(ASK).take();
        for part in ["from='example.org'", "id='reg1'", "type='result'", "<username/><password/>", "<x xmlns='jabber:x:data' type='form'>"]
        {
            assert!(form.contains(part), "{part} in {form}");
        }
        let taken = server.feed(&registration("<username>juliet</username><password>R0m30</password>")).take();
        assert!(taken.contains("<error code='409' type='cancel'><conflict") && !taken.contains("R0m30"), "{taken}");
        let made = server.feed(&registration("<username>Romeo</username><password>secret</password>")).take();
        assert!(made.contains("id='reg2' type='result'"), "{made}");
        assert_eq!(server.reports, [Report::Registered(BareJid::parse("romeo@example.org").unwrap())]);
        let second = server.feed(&registration("<username>nurse</username><password>secret</password>")).take();
        assert!(second.contains("<error code='406' type='modify'><not-acceptable"), "{second}");
        server.feed(PLAIN).feed(header).feed(BIND);
        assert_eq!(server.machine.jid().unwrap().as_str(), "romeo@example.org/made");
    }
}

#[test]
fn xep0077_s3_each_error_of_a_newcomer() {
    let long = "x".repeat(1024);
    let form = |kind: &str, fields: &str| format!("<x xmlns='jabber:x:data' type='{kind}'>{fields}</x>");
    let submitted = "<field var='username'><value>juliet</value></field><field var='password'><value>x</value></field>";
    for (fields, condition) in [
        ("<username>bill</username>".to_owned(), "<error code='406' type='modify'><not-acceptable"),
        ("<username>bill</username><password/>".to_owned(), "<not-acceptable"),
        ("<password>x</password>".to_owned(), "<not-acceptable"),
        (String::new(), "<not-acceptable"),
        ("<username>b i ll</username><password>x</password>".to_owned(), "<not-acceptable"),
        ("<username>bill@example.org</username><password>x</password>".to_owned(), "<not-acceptable"),
        (format!("<username>{long}</username><password>x</password>"), "<not-acceptable"),
        ("<username>bill</username><password>&#xad;</password>".to_owned(), "<not-acceptable"),
        ("<username>juliet</username><password>x</password>".to_owned(), "<error code='409' type='cancel'><conflict"),
        ("<remove/>".to_owned(), "<error code='400' type='wait'><unexpected-request"),
        ("<remove/><username>bill</username>".to_owned(), "<error code='400' type='modify'><bad-request"),
        (form("submit", submitted), "<conflict"),
        (form("form", submitted), "<bad-request"),
        (form("cancel", ""), "type='result'"),
    ] {
        let limits = Limits { preauth: xml::Limits { bytes_max: 2000, depth_max: 20 }, ..policy().limits };
        let mut server =
            Server::new(Policy { registration: true, limits, ..policy() }, Framing::Stream, Security::Tls(ChannelBindings::default()));
        server.feed(HEADER).take();
        let answer = server.feed(&registration(&fields)).take();
        assert!(answer.contains("id='reg2'") && answer.contains(condition), "{fields}: wanted {condition}, got {answer}");
        assert!(server.ended.is_none());
    }
    // where it is off, or in clear where TLS is demanded
    let mut closed = Server::tls();
    assert!(!closed.feed(HEADER).take().contains("iq-register"));
    assert!(closed.feed(ASK).take().contains("<error code='503' type='cancel'><service-unavailable"));
    let mut clear = Server::new(Policy { registration: true, ..policy() }, Framing::Stream, Security::Clear);
    assert!(!clear.feed(HEADER).take().contains("iq-register"));
    assert!(clear.feed(ASK).take().contains("<error code='401' type='auth'><not-authorized"));
    let mut trusted = Server::new(Policy { registration: true, require_tls: false, ..policy() }, Framing::Stream, Security::Clear);
    assert!(!trusted.feed(HEADER).take().contains("iq-register"), "as for PLAIN");
    assert!(trusted.feed(ASK).take().contains("<error code='401' type='auth'><not-authorized"));
    // another's address, or another request, is a stranger's stanza
    for stanza in [ASK.replace("example.org", "example.com"), ASK.replace("iq:register", "iq:version"), ASK.replace("'get'", "'result'")] {
        let mut server = Server::new(Policy { registration: true, ..policy() }, Framing::Stream, Security::Tls(ChannelBindings::default()));
        assert_eq!(server.feed(HEADER).feed(&stanza).error(), Condition::NotAuthorized, "{stanza}");
    }
    // trying for ever is not for free
    let mut server = Server::new(Policy { registration: true, ..policy() }, Framing::Stream, Security::Tls(ChannelBindings::default()));
    server.feed(HEADER);
    for _ in 0..3 {
        server.feed(&registration("<username>juliet</username><password>x</password>"));
    }
    assert_eq!(server.error(), Condition::PolicyViolation);
}

#[test]
fn xep0077_s3_3_no_password_is_changed_in_clear() {
    let mut server = Server::new(Policy { require_tls: false, ..policy() }, Framing::Stream, Security::Clear);
    let change = registration("<username>romeo</username><password>new</password>");
    server.feed(HEADER).take();
    server.machine.state = State::Bound(crate::jid::FullJid::parse("romeo@example.org/orchard").unwrap());
    server.machine.account = Some(BareJid::parse("romeo@example.org").unwrap());
    assert!(server.feed(&change).delivered.is_empty());
    let answer = server.take();
    assert!(answer.contains("<error code='401' type='auth'><not-authorized") && !answer.contains("new"), "{answer}");
    // to another of the server's domains, and in a form
    let form = "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>romeo</value></field><field var='password'>\
                <value>new</value></field></x>";
    for change in [change.replace("<iq ", "<iq to='example.net' "), registration(form)] {
        assert!(server.feed(&change).delivered.is_empty(), "{change}");
        assert!(server.take().contains("<not-authorized"), "{change}");
    }
    server.feed(&registration("<remove/>"));
    assert_eq!(server.delivered.len(), 1, "a removal holds no secret");
    let mut server = Server::bound(Framing::Stream);
    server.feed(&change);
    assert_eq!(server.delivered.len(), 1);
}

#[test]
fn xep0175_s4_an_anonymous_log_in() {
    let anonymous = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>";
    let open = Policy { anonymous: true, ..policy() };
    let mut server = Server::new(open, Framing::Stream, Security::Tls(ChannelBindings::default()));
    assert!(server.feed(HEADER).take().contains("<mechanism>ANONYMOUS</mechanism>"));
    assert!(server.feed(anonymous).take().contains("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"));
    server.feed(HEADER).feed(BIND);
    assert_eq!(server.machine.jid().unwrap().as_str(), "59bec12a@example.org/made");
    assert!(server.anonymous);
    let mut closed = Server::tls();
    assert!(closed.feed(HEADER).feed(&anonymous.replace("/>", ">=</auth>")).take().contains("<invalid-mechanism/>"));
}

#[test]
fn every_limit_of_a_stream_is_the_operators() {
    let limits = campanile_config::Limits {
        stanza_bytes_preauth: 3000,
        stanza_bytes: 4000,
        stanza_depth: 5,
        handshake_s: 6,
        auth_attempts: 7,
        keepalive_s: 8,
        ..Default::default()
    };
    let policy =
        Policy::new(vec!["example.org".into()], &campanile_config::C2s::default(), &Default::default(), &limits, Default::default());
    assert_eq!(policy.limits.preauth, xml::Limits { bytes_max: 3000, depth_max: 5 });
    assert_eq!(policy.limits.authenticated, xml::Limits { bytes_max: 4000, depth_max: 5 });
    assert_eq!(policy.limits.bytes_preauth, 24_000);
    assert_eq!(policy.limits.negotiation, Duration::from_secs(6));
    assert_eq!(policy.limits.auth_attempts, 7);
    assert_eq!(policy.limits.keepalive, Duration::from_secs(8));
}

// ---- RFC 6120 §4.2, §4.3, §4.7

#[test]
fn s4_2_the_response_header_and_features_before_tls() {
    let mut server = Server::tcp();
    server.feed(&header_with("to=", "from='Romeo@example.org/x' xml:lang='de' id='mine' to="));
    assert_eq!(
        server.take(),
        format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='{ID}' \
             from='example.org' to='romeo@example.org' version='1.0' xml:lang='en'>\
             <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
        )
    );
}

#[test]
fn s4_7_2_no_from_no_to() {
    let mut server = Server::tcp();
    server.feed(HEADER);
    assert!(!server.sent.contains(" to="));
}

#[test]
fn s4_7_2_a_missing_to_means_the_only_domain() {
    let mut server = Server::tcp();
    server.feed(&header_with("to='example.org'", ""));
    assert!(server.sent.contains("from='example.org'") && server.sent.contains("<starttls"));
}

#[test]
fn s4_9_stream_headers_that_are_refused() {
    use Condition::*;
    for (header, condition) in [
        (header_with("to='example.org'", "to='example.com'"), HostUnknown),
        (header_with("to='example.org'", "to='a@b@c'"), ImproperAddressing),
        (header_with("to='example.org'", "to='romeo@example.org'"), ImproperAddressing),
        (header_with("to='example.org'", "to='example.org/x'"), ImproperAddressing),
        (header_with("to=", "from='@x' to="), ImproperAddressing),
        (header_with("etherx.jabber.org", "wrong.example.org"), InvalidNamespace),
        (header_with("jabber:client", "jabber:server"), InvalidNamespace),
        (header_with("stream:stream", "stream:features"), BadFormat),
        (header_with(" version='1.0'>", ">"), UnsupportedVersion),
        (header_with(" version='1.0'>", " version='0.9'>"), UnsupportedVersion),
        (header_with(" version='1.0'>", " version='one'>"), UnsupportedVersion),
        (header_with(" version='1.0'>", " version='+1.0'>"), UnsupportedVersion),
        (header_with("<?xml version='1.0'?>", "<?xml version='1.0' encoding='UTF-16'?>"), UnsupportedEncoding),
        (header_with("<?xml version='1.0'?>", "<!DOCTYPE x>"), RestrictedXml),
        (header_with("<?xml version='1.0'?>", "<!-- -->"), RestrictedXml),
        (header_with("to=", "to='x' to="), NotWellFormed),
        (header_with("to=", &format!("x='{}' to=", "y".repeat(1000))), PolicyViolation),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), NotWellFormed),
        ("\u{feff}<stream:stream/>".to_owned(), NotWellFormed),
    ] {
        let mut server = Server::tcp();
        server.feed(&header);
        assert_eq!(server.error(), condition, "{header}");
        // §4.9.1.2, §4.9.1.3: our header comes first, whatever was wrong.
        assert!(server.sent.starts_with("<?xml version='1.0'?><stream:stream "), "{}", server.sent);
        assert!(server.sent.contains("from='example.org'"), "{}", server.sent);
        assert_eq!(server.sent.matches("<stream:stream").count(), 1);
    }
}

#[test]
fn s4_7_5_no_version_is_answered_by_none() {
    let mut server = Server::tcp();
    server.feed(&header_with(" version='1.0'>", ">"));
    assert!(!server.sent["<?xml version='1.0'?>".len()..].contains("version='"), "{}", server.sent);
}

#[test]
fn s4_7_5_versions_are_compared_as_numbers() {
    for accepted in ["1.0", "1.1", "01.00", "2.0", "10.0"] {
        let mut server = Server::tcp();
        server.feed(&header_with(" version='1.0'>", &format!(" version='{accepted}'>")));
        assert!(server.ended.is_none(), "{accepted}");
        assert!(server.sent.contains(" version='1.0' xml:lang"), "{accepted}");
    }
}

#[test]
fn s4_7_2_a_missing_to_with_several_domains() {
    let mut server = Server::new(
        Policy { domains: vec!["a.example".into(), "b.example".into()], ..policy() },
        Framing::Stream,
        Security::Tls(ChannelBindings::default()),
    );
    server.feed(&header_with("to='example.org'", ""));
    assert_eq!(server.error(), Condition::ImproperAddressing);
}

#[test]
fn s4_7_2_the_domain_is_compared_as_a_jid() {
    let mut server = Server::new(
        Policy { domains: vec!["a.example".into(), "b.example".into()], ..policy() },
        Framing::Stream,
        Security::Tls(ChannelBindings::default()),
    );
    server.feed(&header_with("to='example.org'", "to='B.Example'"));
    assert!(server.sent.contains("from='b.example'"));
}

#[test]
fn s4_8_2_content_namespace_on_each_element() {
    let mut server = Server::tls();
    let header = "<stream xmlns='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";
    server.feed(header).feed(PLAIN).feed(header).feed(BIND).feed("<message xmlns='jabber:client' id='1'><body>x</body></message>");
    assert_eq!(server.delivered.len(), 1);
}

// ---- §4.4, §4.6, §4.9

#[test]
fn s4_4_the_stream_is_closed_by_the_client() {
    let mut server = Server::tcp();
    server.feed(HEADER).take();
    server.feed("</stream:stream>");
    assert_eq!(server.take(), "</stream:stream>");
    assert_eq!(server.ended, Some(None));
    assert!(server.machine.is_closed() && server.machine.poll_timeout().is_none() && !server.machine.wants_input());
}

#[test]
fn s4_4_a_header_that_is_an_empty_element_opens_and_closes() {
    let mut server = Server::tcp();
    server.feed(&header_with(" version='1.0'>", " version='1.0'/>"));
    assert!(server.sent.ends_with("</stream:features></stream:stream>"));
    assert_eq!(server.ended, Some(None));
}

#[test]
fn s4_9_errors_from_outside() {
    for condition in [Condition::SystemShutdown, Condition::Conflict, Condition::ResourceConstraint, Condition::Reset, Condition::HostGone]
    {
        let mut server = Server::bound(Framing::Stream);
        server.machine.handle_error(condition.into());
        server.drain();
        assert_eq!(server.error(), condition);
        // Nothing follows the end.
        server.machine.handle_error(Condition::InternalServerError.into());
        server.feed("<message/>").at(100_000);
    }
}

#[test]
fn s4_9_1_2_an_error_before_the_client_has_spoken() {
    let mut server = Server::tcp();
    server.machine.handle_error(Condition::SystemShutdown.into());
    server.drain();
    assert_eq!(server.error(), Condition::SystemShutdown);
    assert!(server.sent.starts_with("<?xml version='1.0'?><stream:stream "));
}

#[test]
fn s4_6_a_stream_that_is_not_negotiated_in_time() {
    for steps in [&[][..], &[HEADER], &[HEADER, STARTTLS], &[HEADER, STARTTLS, HEADER, PLAIN, HEADER]] {
        let mut server = Server::tcp();
        for step in steps {
            server.feed(step);
        }
        assert_eq!(server.machine.poll_timeout(), Some(server.start + Duration::from_secs(30)));
        server.at(29);
        assert!(server.ended.is_none());
        server.at(30);
        assert_eq!(server.error(), Condition::ConnectionTimeout);
    }
}

#[test]
fn s4_6_1_silence_is_answered_by_white_space() {
    let mut server = Server::bound(Framing::Stream);
    server.at(299);
    assert_eq!(server.keepalives, 0);
    server.at(300).at(301).at(600).at(6000);
    assert_eq!(server.keepalives, 3);
    assert!(server.ended.is_none());
}

#[test]
fn s4_6_a_websocket_that_does_not_answer_pings() {
    let mut server = Server::bound(Framing::Alone);
    server.at(300);
    assert_eq!(server.keepalives, 1);
    // A pong came: bytes were read.
    server.machine.handle_received(6, server.start + Duration::from_secs(301));
    server.at(601);
    assert_eq!(server.keepalives, 2);
    server.at(901);
    assert_eq!(server.error(), Condition::ConnectionTimeout);
}

#[test]
fn s11_1_and_s11_3_broken_xml_after_binding() {
    use Condition::*;
    for (xml, condition) in [
        ("<message><body>x</message></body>", NotWellFormed),
        ("<message><foo:body/></message>", NotWellFormed),
        ("<message><!-- x --></message>", RestrictedXml),
        ("<message><?x y?></message>", RestrictedXml),
        ("<message>&nbsp;</message>", RestrictedXml),
        ("text", BadFormat),
        ("<message xmlns='jabber:server'/>", InvalidNamespace),
        ("<foo xmlns='urn:x'/>", UnsupportedStanzaType),
    ] {
        let mut server = Server::bound(Framing::Stream);
        server.feed(xml);
        assert_eq!(server.error(), condition, "{xml}");
        assert!(server.delivered.is_empty());
    }
    let mut server = Server::bound(Framing::Stream);
    server.feed(&format!("<message><body>{}</body></message>", "x".repeat(5000)));
    assert_eq!(server.error(), PolicyViolation);
}

#[test]
fn s13_12_bytes_before_authentication_are_bounded() {
    let mut server = Server::tls();
    server.feed(HEADER);
    for _ in 0..5 {
        server.feed(&" ".repeat(1000));
    }
    assert!(server.ended.is_none());
    server.feed(&" ".repeat(1000));
    assert_eq!(server.error(), Condition::PolicyViolation);
    let mut server = Server::bound(Framing::Stream);
    for _ in 0..20 {
        server.feed(&" ".repeat(1000));
    }
    assert!(server.ended.is_none());
}

#[test]
fn s13_12_elements_before_authentication_are_small_and_larger_after_it() {
    let mut server = Server::tls();
    server.feed(HEADER).feed(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>", "A".repeat(1000)));
    assert_eq!(server.error(), Condition::PolicyViolation);
    let mut server = Server::bound(Framing::Stream);
    server.feed(&format!("<message><body>{}</body></message>", "x".repeat(4000)));
    assert_eq!(server.delivered.len(), 1);
}

// ---- §5: STARTTLS

#[test]
fn s5_4_starttls_then_a_new_stream_with_mechanisms() {
    let mut server = Server::tcp();
    server.feed(HEADER).take();
    server.feed(STARTTLS);
    assert_eq!(server.take(), "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    server.feed(HEADER);
    assert!(server.sent.ends_with(
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism>\
         <mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
    ));
}

#[test]
fn s5_4_2_2_starttls_where_tls_is_in_place() {
    for mut server in [Server::tls(), Server::websocket(Security::Trusted)] {
        let open = if server.framing == Framing::Stream { HEADER } else { OPEN };
        server.feed(open).take();
        server.feed(STARTTLS);
        let close =
            if server.framing == Framing::Stream { "</stream:stream>" } else { "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>" };
        assert_eq!(server.take(), format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{close}"));
        assert_eq!(server.ended, Some(None));
    }
}

#[test]
fn s5_4_3_nothing_is_said_between_proceed_and_tls() {
    let mut machine = C2s::new(Arc::new(policy()), Framing::Stream, Security::Clear, || [7; NONCE_BYTES], Instant::now());
    let mut framer = Framer::new(policy().limits.preauth);
    framer.push(HEADER.as_bytes());
    framer.push(STARTTLS.as_bytes());
    while let Some(frame) = framer.next().unwrap() {
        machine.handle_frame(frame);
    }
    while !matches!(machine.poll_output(), Some(Output::StartTls)) {}
    assert!(!machine.wants_input());
    machine.handle_error(Condition::SystemShutdown.into());
    assert!(matches!(machine.poll_output(), Some(Output::Close(Some(_)))));
    assert!(machine.poll_output().is_none());
    // A handshake that ends after the deadline changes nothing.
    machine.handle_tls_established(ChannelBindings::default());
    assert!(machine.poll_output().is_none());
}

#[test]
fn s5_3_1_tls_is_voluntary_only_where_the_operator_says_so() {
    let mut server = Server::new(Policy { require_tls: false, ..policy() }, Framing::Stream, Security::Clear);
    server.feed(HEADER);
    assert!(server.sent.ends_with(
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>"
    ));
    server.take();
    server.feed(PLAIN);
    assert!(server.take().contains("<encryption-required/>"));
}

// ---- §6: SASL

fn failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/>")
}

fn auth(mechanism: &str, data: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{data}</auth>")
}

#[test]
fn s6_4_success_then_a_new_stream_with_bind() {
    let mut server = Server::tls();
    server.feed(HEADER).take();
    server.feed(PLAIN);
    assert_eq!(server.take(), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    let account = BareJid::parse("romeo@example.org").unwrap();
    assert_eq!(server.reports, [Report::LoggedIn { account, mechanism: "PLAIN" }]);
    server.feed(HEADER);
    assert!(server.sent.ends_with(
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/>\
         </session><c xmlns='http://jabber.org/protocol/caps'/></stream:features>"
    ));
}

#[test]
fn s6_4_a_client_that_does_not_wait() {
    let mut server = Server::tls();
    server.feed(&[HEADER, PLAIN, HEADER, BIND, "<presence/>"].concat());
    assert_eq!(server.delivered.len(), 1);
    assert_eq!(server.delivered[0].from().unwrap().as_str(), "romeo@example.org/made");
}

#[test]
fn s6_4_3_plain_without_initial_response() {
    let mut server = Server::tls();
    server.feed(HEADER).take();
    server.feed("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
    assert_eq!(server.take(), "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    server.feed("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AHJvbWVvAHNlY3JldA==</response>");
    assert_eq!(server.take(), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
}

#[test]
fn s6_5_what_is_answered_with_a_failure() {
    for (element, condition) in [
        (PLAIN_WRONG.to_owned(), "not-authorized"),
        (auth("PLAIN", "=AAA"), "incorrect-encoding"),
        (auth("PLAIN", "AHJvbWVvAHNlY3JldA"), "incorrect-encoding"),
        (auth("PLAIN", " AHJvbWVvAHNlY3JldA== "), "incorrect-encoding"),
        (auth("PLAIN", "="), "malformed-request"),
        (auth("PLAIN", "cm9tZW8="), "malformed-request"),
        (auth("PLAIN", "anVsaWV0QGV4YW1wbGUub3JnAHJvbWVvAHNlY3JldA=="), "invalid-authzid"),
        (auth("DIGEST-MD5", ""), "invalid-mechanism"),
        (auth("scram-sha-1", ""), "invalid-mechanism"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), "malformed-request"),
        ("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), "malformed-request"),
        ("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(), "aborted"),
        (auth("SCRAM-SHA-1", "cD10bHMsLG49dSxyPXg="), "malformed-request"),
    ] {
        let mut server = Server::tls();
        server.feed(HEADER).take();
        server.feed(&element);
        assert!(server.sent.starts_with(&failure(condition)), "{element}: {}", server.sent);
        assert_eq!(server.reports, [Report::SaslFailure(condition)]);
        server.take();
        // §6.4.5: another attempt is welcome.
        server.feed(PLAIN);
        assert!(server.sent.contains("<success"), "{element}");
    }
}

#[test]
fn s6_5_4_no_log_in_without_tls() {
    for mechanism in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
        let mut server = Server::tcp();
        server.feed(HEADER).take();
        server.feed(&auth(mechanism, "AHJvbWVvAHNlY3JldA=="));
        assert!(server.sent.starts_with(&failure("encryption-required")), "{}", server.sent);
        assert!(server.reports == [Report::SaslFailure("encryption-required")]);
    }
}

#[test]
fn s6_4_5_retries_are_bounded() {
    let mut server = Server::tls();
    server.feed(HEADER).feed(PLAIN_WRONG).feed(PLAIN_WRONG);
    assert!(server.ended.is_none());
    server.feed(PLAIN_WRONG);
    assert_eq!(server.error(), Condition::PolicyViolation);
    assert_eq!(server.sent.matches("<failure").count(), 3);
}

#[test]
fn s6_4_scram_challenge_abort_and_wrong_proof() {
    let mut server = Server::tls();
    server.feed(HEADER).take();
    // n,,n=romeo,r=abc
    server.feed(&auth("SCRAM-SHA-256", "biwsbj1yb21lbyxyPWFiYw=="));
    let challenge = server.take();
    let data = challenge
        .strip_prefix("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>")
        .and_then(|rest| rest.strip_suffix("</challenge>"))
        .unwrap_or_else(|| panic!("{challenge}"));
    let data = String::from_utf8(sasl::decode_response(data).unwrap().to_vec()).unwrap();
    assert!(data.starts_with("r=abc") && data.contains(",i=4096"), "{data}");
    server.feed("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(server.take().starts_with(&failure("aborted")));
    server.feed(&auth("SCRAM-SHA-256", "biwsbj1yb21lbyxyPWFiYw=="));
    server.take();
    let nonce = data.split(',').next().unwrap();
    let proof = format!("c=biws,{nonce},p={}", sasl::encode(&[0; 32]));
    server.feed(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>", sasl::encode(proof.as_bytes())));
    assert!(server.take().starts_with(&failure("not-authorized")));
    // §6.4.2: a second <auth/> while an exchange is under way.
    server.feed(&auth("SCRAM-SHA-256", "biwsbj1yb21lbyxyPWFiYw==")).take();
    server.feed(PLAIN);
    assert!(server.sent.contains(&failure("malformed-request")), "{}", server.sent);
}

#[test]
fn s6_4_6_the_header_under_tls_names_who_logs_in() {
    let named = |from: &str| header_with("to=", &format!("from='{from}' to="));
    let mut server = Server::tls();
    server.feed(&named("juliet@example.org")).feed(PLAIN);
    assert_eq!(server.error(), Condition::InvalidFrom);
    assert!(!server.sent.contains("<success"));
    let mut server = Server::tls();
    server.feed(&named("romeo@example.org/balcony")).feed(PLAIN);
    assert!(server.sent.contains("<success"));
    // What was said in clear does not count (§4.7.1).
    let mut server = Server::tcp();
    server.feed(&named("juliet@example.org")).feed(STARTTLS).feed(HEADER).feed(PLAIN);
    assert!(server.sent.contains("<success"));
}

#[test]
fn s6_4_6_the_domain_stays_after_log_in() {
    let mut server = Server::new(
        Policy { domains: vec!["example.org".into(), "b.example".into()], ..policy() },
        Framing::Stream,
        Security::Tls(ChannelBindings::default()),
    );
    server.feed(HEADER).feed(PLAIN).take();
    server.feed(&header_with("to='example.org'", "to='b.example'"));
    assert_eq!(server.error(), Condition::NotAuthorized);
}

#[test]
fn s4_9_3_12_stanzas_before_they_are_allowed() {
    for stanza in ["<message to='juliet@example.org'/>", "<presence/>", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"] {
        for steps in [&[HEADER][..], &[HEADER, STARTTLS, HEADER], &[HEADER, STARTTLS, HEADER, PLAIN, HEADER]] {
            let mut server = Server::tcp();
            for step in steps {
                server.feed(step);
            }
            server.feed(stanza);
            assert_eq!(server.error(), Condition::NotAuthorized, "{stanza}");
            assert!(server.delivered.is_empty());
        }
    }
}

#[test]
fn s4_9_3_24_elements_that_are_not_understood() {
    for element in ["<compress xmlns='http://jabber.org/protocol/compress'/>", "<stream:features/>", "<auth/>"] {
        let mut server = Server::tls();
        server.feed(HEADER).feed(element);
        assert_eq!(server.error(), Condition::UnsupportedStanzaType, "{element}");
    }
}

// ---- §7: resource binding

#[test]
fn s7_6_and_s7_7_resources_made_and_asked_for() {
    for (resource, jid) in [
        ("", "romeo@example.org/made"),
        ("<resource/>", "romeo@example.org/made"),
        ("<resource>balcony</resource>", "romeo@example.org/balcony"),
        ("<resource>a&amp;b \u{e9}</resource>", "romeo@example.org/a&amp;b \u{e9}"),
    ] {
        let mut server = Server::tls();
        server.feed(HEADER).feed(PLAIN).feed(HEADER).take();
        server.feed(&format!("<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"));
        assert_eq!(
            server.take(),
            format!("<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind></iq>"),
        );
    }
}

#[test]
fn s7_7_2_1_a_resource_that_is_none() {
    let mut server = Server::tls();
    server.feed(HEADER).feed(PLAIN).feed(HEADER).take();
    server.feed(&format!(
        "<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{}</resource></bind></iq>",
        "x".repeat(1024)
    ));
    assert!(server.sent.contains("type='error'") && server.sent.contains("<bad-request"), "{}", server.sent);
    server.feed(BIND);
    assert!(server.machine.jid().is_some());
}

#[test]
fn s7_6_2_refusals_and_s7_7_3_their_number() {
    let mut server = Server::tls();
    server.bind = |_, _| Answer::NotBound(StanzaError::resource_constraint());
    server.feed(HEADER).feed(PLAIN).feed(HEADER);
    for _ in 0..5 {
        server.take();
        server.feed(BIND);
        assert!(server.sent.contains("<error type='wait'><resource-constraint"), "{}", server.sent);
        assert!(server.ended.is_none());
    }
    server.feed(BIND);
    assert_eq!(server.error(), Condition::PolicyViolation);
}

#[test]
fn s7_1_one_resource_for_each_stream() {
    let mut server = Server::bound(Framing::Stream);
    server.feed(BIND);
    assert!(server.sent.contains("<not-allowed"), "{}", server.sent);
    assert!(server.ended.is_none() && server.delivered.is_empty());
}

#[test]
fn rfc3921_s3_the_session_request_is_answered() {
    let mut server = Server::bound(Framing::Stream);
    for to in ["", "to='example.org'", "to='romeo@example.org'"] {
        server.feed(&format!("<iq id='s' type='set' {to}><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"));
        assert!(server.sent.contains("type='result'"), "{}", server.sent);
        server.take();
    }
    server.feed("<iq id='s' type='set' to='juliet@example.org/x'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
    assert_eq!(server.delivered.len(), 1);
}

// ---- §8: stanzas

#[test]
fn s8_1_2_1_from_is_stamped() {
    let mut server = Server::bound(Framing::Stream);
    for from in ["", "from='romeo@example.org/orchard'", "from='romeo@example.org'"] {
        server.feed(&format!("<message {from} to='juliet@example.org'><body>x</body></message>"));
    }
    assert_eq!(server.delivered.len(), 3);
    for stanza in &server.delivered {
        assert_eq!(stanza.from().unwrap().as_str(), "romeo@example.org/orchard");
    }
}

#[test]
fn s8_1_2_1_another_from_ends_the_stream() {
    for from in ["juliet@example.org", "romeo@example.org/other", "example.org"] {
        let mut server = Server::bound(Framing::Stream);
        server.feed(&format!("<message from='{from}' to='juliet@example.org'/>"));
        assert_eq!(server.error(), Condition::InvalidFrom);
        assert!(server.delivered.is_empty());
    }
}

#[test]
fn s8_1_5_the_language_of_the_stream_is_that_of_its_stanzas() {
    let header = header_with("to=", "xml:lang='de-CH' to=");
    let mut server = Server::tls();
    server.feed(&header).feed(PLAIN).feed(&header).feed(BIND).feed("<message/>").feed("<message xml:lang='fr'/>");
    assert_eq!(server.delivered[0].lang(), Some("de-CH"));
    assert_eq!(server.delivered[1].lang(), Some("fr"));
    let header = header_with("to=", "xml:lang='no language' to=");
    let mut server = Server::tls();
    server.feed(&header).feed(PLAIN).feed(&header).feed(BIND).feed("<message/>");
    assert_eq!(server.delivered[0].lang(), None);
}

#[test]
fn s8_3_3_stanzas_that_cannot_be_handled_are_answered() {
    for (stanza, condition) in [
        ("<message to='a@b@c'/>", "jid-malformed"),
        ("<iq type='get' to='juliet@example.org'><ping xmlns='urn:xmpp:ping'/></iq>", "bad-request"),
        ("<iq type='get' id='1'/>", "bad-request"),
        ("<iq type='subscribe' id='1'><x xmlns='y'/></iq>", "bad-request"),
    ] {
        let mut server = Server::bound(Framing::Stream);
        server.feed(stanza);
        assert!(server.sent.contains(&format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>")), "{stanza}: {}", server.sent);
        assert!(server.ended.is_none() && server.delivered.is_empty());
    }
}

/// What a client that has a resource can do wrong, over TCP and over WebSocket, where each message is a document of its own.
#[test]
fn s4_9_3_what_ends_the_stream_of_a_client_over_either_framing() {
    use Condition::*;
    let big = format!("<message xmlns='jabber:client'><body>{}</body></message>", "x".repeat(5000));
    let deep = format!("<message xmlns='jabber:client'>{}{}</message>", "<a>".repeat(30), "</a>".repeat(30));
    for (text, over_tcp, over_websocket) in [
        ("<c:message xmlns:c='jabber:client'/>", BadNamespacePrefix, BadNamespacePrefix),
        ("<message xmlns='jabber:client'><c:body xmlns:c='jabber:client'/></message>", BadNamespacePrefix, BadNamespacePrefix),
        ("<message xmlns='jabber:server'/>", InvalidNamespace, InvalidNamespace),
        ("<message xmlns=''/>", InvalidNamespace, InvalidNamespace),
        ("<message xmlns='urn:other'/>", UnsupportedStanzaType, UnsupportedStanzaType),
        ("<query xmlns='jabber:client'/>", UnsupportedStanzaType, UnsupportedStanzaType),
        ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", UnsupportedStanzaType, UnsupportedStanzaType),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", UnsupportedStanzaType, UnsupportedStanzaType),
        ("<message xmlns='jabber:client' from='juliet@example.org'/>", InvalidFrom, InvalidFrom),
        ("<message xmlns='jabber:client' from='romeo@example.org/other'/>", InvalidFrom, InvalidFrom),
        ("<message xmlns='jabber:client' from='@'/>", InvalidFrom, InvalidFrom),
        ("<message xmlns='jabber:client'><body></message></body>", NotWellFormed, NotWellFormed),
        ("<message xmlns='jabber:client' a='' a=''/>", NotWellFormed, NotWellFormed),
        ("<message xmlns='jabber:client'><p:x/></message>", NotWellFormed, NotWellFormed),
        ("<message xmlns='jabber:client'><!-- --></message>", RestrictedXml, RestrictedXml),
        ("<message xmlns='jabber:client'><?pi?></message>", RestrictedXml, RestrictedXml),
        ("<message xmlns='jabber:client'>&nbsp;</message>", RestrictedXml, RestrictedXml),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>", RestrictedXml, RestrictedXml),
        ("text", BadFormat, BadFormat),
        ("\u{feff}<message xmlns='jabber:client'/>", BadFormat, BadFormat),
        (&big, PolicyViolation, PolicyViolation),
        (&deep, PolicyViolation, PolicyViolation),
    ] {
        for (framing, condition) in [(Framing::Stream, over_tcp), (Framing::Alone, over_websocket)] {
            // a message of such a size is refused before it is one, by net/websocket.rs
            if framing == Framing::Alone && text.len() > 5000 {
                continue;
            }
            let mut server = Server::bound(framing);
            server.feed(text);
            let shown = &text[..text.char_indices().nth(60).map_or(text.len(), |(at, _)| at)];
            assert!(server.ended.is_some(), "{framing:?} {shown}: the stream goes on: {}", server.sent);
            assert_eq!(server.error(), condition, "{framing:?} {shown}");
            assert!(server.delivered.is_empty());
        }
    }
}

// ---- RFC 7395

#[test]
fn rfc7395_s3_4_open_features_and_log_in() {
    let mut server = Server::websocket(Security::Tls(ChannelBindings::default()));
    server.feed(OPEN);
    assert_eq!(
        server.take(),
        format!(
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='{ID}' from='example.org' version='1.0' xml:lang='en'/>\
             <stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
        )
    );
    server.feed(PLAIN).feed(OPEN).feed(BIND);
    assert!(server.take().ends_with(
        "<iq xmlns='jabber:client' id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@example.org/made</jid></bind></iq>"
    ));
    server.feed("<presence xmlns='jabber:client'/>");
    assert_eq!(server.delivered.len(), 1);
    server.feed("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    assert_eq!(server.take(), "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    assert_eq!(server.ended, Some(None));
}

#[test]
fn rfc7395_s3_9_in_clear_only_where_it_is_secure() {
    let mut server = Server::websocket(Security::Clear);
    server.feed(OPEN);
    assert_eq!(server.error(), Condition::PolicyViolation);
    assert!(!server.sent.contains("starttls"));
    let mut server = Server::websocket(Security::Trusted);
    server.feed(OPEN);
    assert!(server.sent.contains("<mechanism>PLAIN</mechanism>") && !server.sent.contains("starttls"));
    let mut server = Server::new(Policy { require_tls: false, ..policy() }, Framing::Alone, Security::Clear);
    server.feed(OPEN);
    assert!(server.sent.contains("SCRAM-SHA-256") && !server.sent.contains("PLAIN"));
}

#[test]
fn rfc7395_s3_3_and_s3_5_errors() {
    use Condition::*;
    for (message, condition) in [
        (OPEN.replace("xmpp-framing", "wrong"), InvalidNamespace),
        (OPEN.replace("example.org", "example.com"), HostUnknown),
        (OPEN.replace(" version='1.0'", ""), UnsupportedVersion),
        (OPEN.replace("/>", ">"), NotWellFormed),
        ("<message xmlns='jabber:client'/>".to_owned(), BadFormat),
        (HEADER.to_owned(), NotWellFormed),
        (" ".to_owned(), BadFormat),
    ] {
        let mut server = Server::websocket(Security::Tls(ChannelBindings::default()));
        server.feed(&message);
        assert_eq!(server.error(), condition, "{message}");
        // §3.5: the open element comes first.
        assert!(server.sent.starts_with("<open "), "{}", server.sent);
    }
    let mut server = Server::bound(Framing::Alone);
    server.feed(OPEN);
    assert_eq!(server.error(), UnsupportedStanzaType);
    let mut server = Server::bound(Framing::Alone);
    server.feed("<message xmlns='jabber:client'/><message xmlns='jabber:client'/>");
    assert_eq!(server.error(), NotWellFormed);
}

#[test]
fn s13_12_depth_is_bounded_over_either_framing() {
    let nested = |depth: usize| format!("<message xmlns='jabber:client'>{}{}</message>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
    for framing in [Framing::Stream, Framing::Alone] {
        let mut server = Server::bound(framing);
        server.feed(&nested(20));
        assert_eq!(server.delivered.len(), 1, "{framing:?}");
        server.feed(&nested(21));
        assert_eq!(server.delivered.len(), 1, "{framing:?}");
        assert!(server.take().contains("<policy-violation"), "{framing:?}");
    }
}

// ---- Any order

/// Things that clients say, in and out of place.
const WORDS: &[&str] = &[
    HEADER,
    OPEN,
    STARTTLS,
    PLAIN,
    PLAIN_WRONG,
    BIND,
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1yb21lbyxyPWFiYw==</auth>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AHJvbWVvAHNlY3JldA==</response>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<iq xmlns='jabber:client' id='s' type='set'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
    "<message xmlns='jabber:client' to='juliet@example.org'><body>x</body></message>",
    "<message xmlns='jabber:client' from='juliet@example.org'/>",
    "<presence xmlns='jabber:client'/>",
    "<iq xmlns='jabber:client' type='get'/>",
    "<a xmlns='b'><c/></a>",
    "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    "</stream:stream>",
    " ",
    "<",
    "<!-- x -->",
];

proptest::proptest! {
    /// No order of words gets a stanza through before binding, or under another name, or makes the machine speak after its end.
    #[test]
    fn any_order_of_words_keeps_the_rules(
        words in proptest::collection::vec(0..WORDS.len(), 0..20),
        started in 0usize..6,
        alone in proptest::prelude::any::<bool>(),
        security in 0u8..3,
        require_tls in proptest::prelude::any::<bool>(),
    ) {
        let security = [Security::Clear, Security::Trusted, Security::Tls(ChannelBindings::default())][usize::from(security)].clone();
        let framing = if alone { Framing::Alone } else { Framing::Stream };
        let mut server = Server::new(Policy { require_tls, ..policy() }, framing, security.clone());
        // A good beginning of some length, so that the later states are seen too.
        let open = if alone { OPEN } else { HEADER };
        let beginning = if alone || !security.is_clear() { vec![open, PLAIN, open, BIND] } else { vec![open, STARTTLS, open, PLAIN, open, BIND] };
        for word in beginning.into_iter().take(started).chain(words.into_iter().map(|word| WORDS[word])) {
            if server.ended.is_some() {
                break;
            }
            let bound = server.machine.jid().is_some();
            let delivered = server.delivered.len();
            server.feed(word);
            assert!(bound || server.delivered.len() == delivered, "{word} was delivered too early");
        }
        for stanza in &server.delivered {
            assert_eq!(stanza.from().map(|from| from.as_str()), Some("romeo@example.org/made"));
        }
        if security.is_clear() && require_tls && alone {
            assert!(!server.sent.contains("<success"));
        }
        server.at(100_000);
        assert!(server.ended.is_some() || server.machine.jid().is_some());
    }
}

// ---- XEP-0198

const FAILED: &str = "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";

fn nonza(text: &str) -> String {
    text.replace("/>", " xmlns='urn:xmpp:sm:3'/>")
}

impl Server {
    /// Authenticated, no resource yet.
    fn authenticated(framing: Framing) -> Self {
        let mut server = Self::new(policy(), framing, Security::Tls(ChannelBindings::default()));
        let open = if framing == Framing::Stream { HEADER } else { OPEN };
        server.feed(open).feed(PLAIN).feed(open);
        server.take();
        server
    }

    fn managed(framing: Framing) -> Self {
        let mut server = Self::bound(framing);
        server.feed(&nonza("<enable/>"));
        assert_eq!(server.take(), "<enabled xmlns='urn:xmpp:sm:3'/>");
        server
    }

    /// The server writes so many stanzas.
    fn write(&mut self, count: u32) -> &mut Self {
        self.outstanding += count as usize;
        self.machine.handle_sent(count, self.start);
        self.drain();
        self
    }
}

#[test]
fn xep0198_s3_management_is_enabled_once_a_resource_is_bound() {
    for framing in [Framing::Stream, Framing::Alone] {
        let mut server = Server::authenticated(framing);
        server.feed(&nonza("<enable resume='true'/>"));
        assert_eq!(server.take(), FAILED, "before resource binding");
        server.feed(BIND).take();
        server.feed(&nonza("<enable resume='true' max='60'/>"));
        assert_eq!(server.take(), "<enabled xmlns='urn:xmpp:sm:3' id='AAAAAAAAAAAAAAAAAAAAAA' resume='true' max='60'/>");
        server.feed(&nonza("<enable/>"));
        assert_eq!(server.take(), FAILED, "a second time");
        server.feed(&nonza("<resume previd='x' h='0'/>"));
        assert_eq!(server.take(), FAILED, "a resource is bound");
        assert!(server.ended.is_none());
    }
    let mut server = Server::tls();
    server.feed(HEADER).take();
    server.feed(&nonza("<enable/>"));
    assert_eq!(server.take(), FAILED, "before authentication");
    server.feed(PLAIN);
    assert!(server.take().contains("<success"));
}

#[test]
fn xep0198_s4_every_stanza_is_counted_whoever_answers_it() {
    let mut server = Server::managed(Framing::Stream);
    let mut expect = |xml: &str, answered: &str, h: u32| {
        server.feed(xml);
        assert!(server.take().contains(answered), "{xml}");
        server.feed(&nonza("<r/>"));
        assert_eq!(server.take(), format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"), "after {xml}");
    };
    expect(" ", "", 0);
    expect("<message to='a@example.org'/>", "", 1);
    expect("<presence/>", "", 2);
    expect("<iq id='1' type='get'><a xmlns='b'/></iq>", "", 3);
    expect("<iq id='2' type='set'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "type='result'", 4);
    expect(BIND, "<not-allowed", 5);
    expect("<iq id='3' type='get' to='@'><a xmlns='b'/></iq>", "<jid-malformed", 6);
    expect("<message to='@' type='error'/>", "", 7);
    expect(&nonza("<a h='0'/>"), "", 7);
}

#[test]
fn xep0198_s4_without_management_there_is_nothing_to_acknowledge() {
    let mut server = Server::bound(Framing::Stream);
    for element in ["<r/>", "<a h='0'/>"] {
        server.feed(&nonza(element));
        assert_eq!(server.take(), FAILED, "{element}");
    }
    server.write(100).at(10);
    assert_eq!(server.take(), "");
    // What no client sends is no stanza either.
    server.feed(&nonza("<enabled/>"));
    assert_eq!(server.error(), Condition::UnsupportedStanzaType);
}

#[test]
fn xep0198_s6_bad_attributes_are_refused_and_too_high_counts_end_the_stream() {
    let mut server = Server::managed(Framing::Stream);
    server.feed(&nonza("<a/>"));
    assert!(server.take().starts_with("<failed xmlns='urn:xmpp:sm:3'><bad-request"));
    server.write(8).feed(&nonza("<a h='8'/>"));
    server.feed(&nonza("<a h='10'/>"));
    assert!(
        server.sent.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/></stream:error>"),
        "{}",
        server.sent
    );
    assert_eq!(server.error(), Condition::UndefinedCondition);
}

#[test]
fn xep0198_s5_a_session_is_resumed_or_a_resource_may_be_bound() {
    for framing in [Framing::Stream, Framing::Alone] {
        let mut server = Server::authenticated(framing);
        server.resume = |_| Answer::NotResumed(StanzaError::item_not_found(), Some(7));
        server.feed(&nonza("<resume previd='gone' h='3'/>"));
        let failed = "<failed xmlns='urn:xmpp:sm:3' h='7'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
        assert_eq!(server.take(), failed);
        server.feed(&nonza("<resume previd='gone'/>"));
        assert!(server.take().contains("<bad-request"));
        server.resume = |_| Answer::Resumed { jid: FullJid::parse("romeo@example.org/orchard").unwrap(), handled: 5 };
        server.handled = 5;
        server.feed(&nonza("<resume previd='live' h='3'/>"));
        assert_eq!(server.take(), "<resumed xmlns='urn:xmpp:sm:3' previd='live' h='5'/>");
        assert_eq!(server.machine.jid().unwrap().as_str(), "romeo@example.org/orchard");
        server.feed("<message xmlns='jabber:client' to='a@example.org'/>").feed(&nonza("<r/>"));
        assert_eq!(server.take(), "<a xmlns='urn:xmpp:sm:3' h='6'/>");
        assert!(server.delivered[0].from().is_some_and(|from| from.as_str() == "romeo@example.org/orchard"));
    }
    let mut server = Server::authenticated(Framing::Stream);
    server.resume = |_| Answer::Broken(sm::TooHigh { h: 3, sent: 2 }.into());
    server.feed(&nonza("<resume previd='live' h='3'/>"));
    assert_eq!(server.error(), Condition::UndefinedCondition);
}

#[test]
fn xep0198_s8_2_the_server_asks_and_rfc6120_s4_6_2_finds_who_does_not_answer() {
    let mut server = Server::managed(Framing::Stream);
    server.write(1).at(0);
    assert_eq!(server.take(), "");
    server.at(1);
    assert_eq!(server.take(), "<r xmlns='urn:xmpp:sm:3'/>");
    server.feed(&nonza("<a h='1'/>")).at(59);
    assert_eq!(server.take(), "");
    server.write(11);
    assert_eq!(server.take(), "<r xmlns='urn:xmpp:sm:3'/>", "many are asked about at once");
    server.at(59);
    assert!(server.ended.is_none());
    server.at(60);
    assert_eq!(server.error(), Condition::ConnectionTimeout);
    // A silent client is asked, too, in the place of a space.
    let mut server = Server::managed(Framing::Stream);
    server.at(300);
    assert_eq!((server.take().as_str(), server.keepalives), ("<r xmlns='urn:xmpp:sm:3'/>", 0));
    server.at(360);
    assert_eq!(server.error(), Condition::ConnectionTimeout);
}

// ---- XEP-0352

#[test]
fn xep0352_s4_2_the_state_is_told_and_nothing_is_answered() {
    let mut server = Server::managed(Framing::Stream);
    server.feed("<inactive xmlns='urn:xmpp:csi:0'/><active xmlns='urn:xmpp:csi:0'/>");
    assert_eq!(server.take(), "[inactive][active]");
    server.feed(&nonza("<r/>"));
    assert_eq!(server.take(), "<a xmlns='urn:xmpp:sm:3' h='0'/>", "they are no stanzas");
    server.feed("<asleep xmlns='urn:xmpp:csi:0'/>");
    assert_eq!(server.error(), Condition::UnsupportedStanzaType);
}
