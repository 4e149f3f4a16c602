//! A small XMPP client over TLS: RFC 6120 with STARTTLS or direct TLS (XEP-0368), SCRAM, resource binding, then IQs and what comes in.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use campanile_config::Network;
use campanile_signalling::ns;
use campanile_signalling::xml::{Bindings, Element, Frame, Framer, Limits, Node, XmlWriter};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::scram::{Hash, Scram};
use super::trust::{self, Trust};

/// How long a connection and its TLS handshake may take, per address.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may take for one step of the negotiation; a throttled log-in takes its time.
const STEP: Duration = Duration::from_secs(10);
/// How long an IQ may stay without answer.
const ANSWER: Duration = Duration::from_secs(10);
/// What a server may send at once.
const LIMITS: Limits = Limits { bytes_max: 1 << 20, depth_max: 64 };
/// Stanzas not yet taken.
const INBOUND_MAX: usize = 64;

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// RFC 6120 §5.
    StartTls,
    /// XEP-0368.
    Direct,
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Start::StartTls => "STARTTLS",
            Start::Direct => "direct TLS",
        })
    }
}

/// Where and as whom to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Addresses to try, in this order.
    pub addresses: Vec<SocketAddr>,
    /// How TLS begins there.
    pub start: Start,
    /// Who must introduce themselves there: `c2s.proxy_protocol`, or `server.proxy_protocol`.
    pub proxies: Vec<Network>,
    /// The virtual host.
    pub domain: String,
    /// Local part of the account.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// A bound session.
pub struct Client {
    /// The full JID that the server has bound.
    pub jid: String,
    /// What was negotiated, in words.
    pub summary: String,
    commands: mpsc::Sender<Command>,
    inbound: mpsc::Receiver<Element>,
    task: JoinHandle<()>,
    next_id: u64,
}

enum Command {
    Request { id: String, stanza: Bytes, answer: oneshot::Sender<Element> },
    Close,
}

impl Client {
    /// Connects, secures the stream, logs in and binds a resource.
    ///
    /// # Errors
    /// A sentence that says what broke off and what to look at.
    pub async fn log_in(login: &Login, trust: &Arc<Trust>) -> anyhow::Result<Client> {
        let mut failures = Vec::new();
        for address in &login.addresses {
            // Only the next address can help against a closed port; a refused log-in is the same at all of them.
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    return negotiate(login, *address, socket, trust).await.with_context(|| format!("{} at {address}", login.start));
                }
                Ok(Err(error)) => failures.push(format!("{address}: {error}")),
                Err(_) => failures.push(format!("{address}: no connection within {} s", CONNECT.as_secs())),
            }
        }
        bail!("no XMPP server for {} takes connections ({}): is it running with this configuration?", login.start, failures.join("; "))
    }

    /// Sends an IQ and waits for its answer. `write` writes the payload.
    ///
    /// # Errors
    /// The error that the server or the other end answers, no answer in time, or the end of the stream.
    pub async fn request(&mut self, type_: &str, to: Option<&str>, write: impl FnOnce(&mut XmlWriter)) -> anyhow::Result<Element> {
        self.next_id += 1;
        let id = format!("probe-{}", self.next_id);
        let mut xml = XmlWriter::new();
        xml.open("iq").attr("type", type_).attr("id", &id);
        if let Some(to) = to {
            xml.attr("to", to);
        }
        write(&mut xml);
        xml.close();
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(Command::Request { id, stanza: xml.finish(), answer }).await;
        sent.map_err(|_| anyhow!("the stream has ended"))?;
        let element = timeout(ANSWER, answered)
            .await
            .map_err(|_| anyhow!("no answer within {} s", ANSWER.as_secs()))?
            .map_err(|_| anyhow!("the stream ended before the answer"))?;
        match element.root().attr("type") {
            Some("result") => Ok(element),
            _ => bail!(stanza_error(&element.root())),
        }
    }

    /// The next stanza that came in and was not an answer: a Jingle IQ, already acknowledged, or a message.
    ///
    /// # Errors
    /// None in time, or the end of the stream.
    pub async fn next(&mut self, within: Duration) -> anyhow::Result<Element> {
        timeout(within, self.inbound.recv())
            .await
            .map_err(|_| anyhow!("nothing came within {} s", within.as_secs()))?
            .context("the stream has ended")
    }

    /// Ends the stream (RFC 6120 §4.4) and waits shortly for the server to do the same.
    pub async fn close(mut self) {
        // When the task has ended already there is no stream to close.
        let _ = self.commands.send(Command::Close).await;
        // A server that does not answer loses nothing by our closing the connection.
        let _ = timeout(Duration::from_secs(2), &mut self.task).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The words of a stanza error: condition and text (RFC 6120 §8.3).
fn stanza_error(iq: &Node<'_>) -> String {
    let Some(error) = iq.child(ns::CLIENT, "error") else { return "an answer that is neither result nor error".into() };
    let condition = error
        .children()
        .find(|child| child.ns() == ns::STANZA_ERROR && child.name() != "text")
        .map_or("an error", |child| child.name())
        .to_owned();
    match error.child(ns::STANZA_ERROR, "text") {
        Some(text) => format!("{condition}: {}", text.text()),
        None => condition,
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A stream in the making, or made.
struct Stream<S> {
    socket: S,
    framer: Framer,
    bindings: Bindings,
}

impl<S: Socket> Stream<S> {
    fn new(socket: S) -> Stream<S> {
        Stream { socket, framer: Framer::new(LIMITS), bindings: Bindings::default() }
    }

    /// Opens the stream and returns the server's features (RFC 6120 §4.2, §4.3).
    async fn open(&mut self, domain: &str) -> anyhow::Result<Element> {
        self.framer.reset();
        let mut xml = XmlWriter::new();
        xml.open("stream:stream")
            .ns(ns::CLIENT)
            .attr("xmlns:stream", ns::STREAM)
            .attr("to", domain)
            .attr("version", "1.0")
            .attr("xml:lang", "en");
        xml.leave_open();
        self.send(&xml.finish()).await?;
        match self.frame().await? {
            Frame::Open(header) => self.bindings = header.bindings,
            _ => bail!("the server did not open a stream"),
        }
        let features = self.element().await?;
        ensure!(features.root().is(ns::STREAM, "features"), "<{}/> where stream features were due", features.root().name());
        Ok(features)
    }

    async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(STEP, async {
            self.socket.write_all(bytes).await?;
            self.socket.flush().await
        })
        .await
        .map_err(|_| anyhow!("the server does not read"))?
        .context("the connection broke off")
    }

    async fn element(&mut self) -> anyhow::Result<Element> {
        loop {
            match self.frame().await? {
                Frame::Element(bytes) => return self.parse(&bytes),
                Frame::Whitespace(_) => {}
                Frame::Close => bail!("the server closed the stream"),
                Frame::Open(_) => bail!("the server opened the stream a second time"),
            }
        }
    }

    fn parse(&self, bytes: &[u8]) -> anyhow::Result<Element> {
        let element = Element::parse(bytes, &self.bindings).context("the server sent XML that cannot be read")?;
        let root = element.root();
        if root.is(ns::STREAM, "error") {
            let condition = root
                .children()
                .find(|child| child.ns() == ns::STREAM_ERROR && child.name() != "text")
                .map_or("unknown", |child| child.name());
            let text = root.child(ns::STREAM_ERROR, "text").map(|text| format!(": {}", text.text())).unwrap_or_default();
            bail!("the server ended the stream with {condition}{text}");
        }
        Ok(element)
    }

    async fn frame(&mut self) -> anyhow::Result<Frame> {
        timeout(STEP, self.next_frame()).await.map_err(|_| anyhow!("nothing came within {} s", STEP.as_secs()))?
    }

    /// Safe to be dropped while it waits: what was read is in the framer.
    async fn next_frame(&mut self) -> anyhow::Result<Frame> {
        let mut buffer = [0u8; 8192];
        loop {
            if let Some(frame) = self.framer.next().context("the server sent XML that cannot be read")? {
                return Ok(frame);
            }
            match self.socket.read(&mut buffer).await.context("the connection broke off")? {
                0 => bail!("the server closed the connection"),
                length => self.framer.push(&buffer[..length]),
            }
        }
    }

    /// An element without content.
    async fn send_empty(&mut self, name: &str, namespace: &str) -> anyhow::Result<()> {
        let mut xml = XmlWriter::new();
        xml.open(name).ns(namespace).close();
        self.send(&xml.finish()).await
    }
}

async fn negotiate(login: &Login, address: SocketAddr, mut socket: TcpStream, trust: &Arc<Trust>) -> anyhow::Result<Client> {
    socket.set_nodelay(true)?;
    super::introduce(&mut socket, &login.proxies).await?;
    let socket = match login.start {
        Start::Direct => socket,
        Start::StartTls => start_tls(login, socket).await?,
    };
    let name = ServerName::try_from(login.domain.clone()).map_err(|_| anyhow!("{} is no name for TLS", login.domain))?;
    let alpn: &[&[u8]] = if login.start == Start::Direct { &[b"xmpp-client"] } else { &[] };
    let connector = tokio_rustls::TlsConnector::from(trust.client_config(alpn)?);
    let tls = timeout(CONNECT, connector.connect(name, socket))
        .await
        .map_err(|_| anyhow!("no TLS handshake within {} s", CONNECT.as_secs()))?
        .map_err(|error| {
            anyhow!(trust::explain(&error, &login.domain, "set tls.certificate, or tls.hosts for this domain, to one that does"))
        })?;
    let version = match tls.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let mut stream = Stream::new(tls);
    let features = stream.open(&login.domain).await?;
    let mechanism = authenticate(&mut stream, login, &features).await?;
    let jid = bind(&mut stream, login).await?;
    let summary = format!("{} at {address}, {version}, {mechanism}", login.start);
    let (commands, receiver) = mpsc::channel(16);
    let (sender, inbound) = mpsc::channel(INBOUND_MAX);
    let task = tokio::spawn(run(stream, receiver, sender));
    Ok(Client { jid, summary, commands, inbound, task, next_id: 0 })
}

/// RFC 6120 §5.4.
async fn start_tls(login: &Login, socket: TcpStream) -> anyhow::Result<TcpStream> {
    let mut stream = Stream::new(socket);
    let features = stream.open(&login.domain).await?;
    ensure!(features.root().child(ns::TLS, "starttls").is_some(), "the server offers no STARTTLS: has it a certificate?");
    stream.send_empty("starttls", ns::TLS).await?;
    let answer = stream.element().await?;
    ensure!(answer.root().is(ns::TLS, "proceed"), "the server answers STARTTLS with <{}/>", answer.root().name());
    ensure!(stream.framer.pending() == 0, "the server sent data in clear after <proceed/>");
    Ok(stream.socket)
}

/// RFC 6120 §6.4 with the best mechanism that both have; returns its name. Leaves the stream to be opened anew.
async fn authenticate<S: Socket>(stream: &mut Stream<S>, login: &Login, features: &Element) -> anyhow::Result<&'static str> {
    let offered: Vec<String> = features
        .root()
        .child(ns::SASL, "mechanisms")
        .map(|mechanisms| mechanisms.children_named(ns::SASL, "mechanism").map(|mechanism| mechanism.text().into_owned()).collect())
        .unwrap_or_default();
    let hash = Hash::ALL
        .into_iter()
        .find(|hash| offered.iter().any(|name| name == hash.mechanism()))
        .with_context(|| format!("the server offers no SCRAM, only {offered:?}"))?;
    let (mut scram, first) = Scram::start(hash, &login.username, &login.password, &random_name(24)?);
    let mut xml = XmlWriter::new();
    xml.open("auth").ns(ns::SASL).attr("mechanism", hash.mechanism()).text(&BASE64.encode(first)).close();
    stream.send(&xml.finish()).await?;
    let challenge = sasl_step(stream, "challenge").await?;
    let proof = scram.prove(&challenge)?;
    let mut xml = XmlWriter::new();
    xml.open("response").ns(ns::SASL).text(&BASE64.encode(proof)).close();
    stream.send(&xml.finish()).await?;
    scram.verify(&sasl_step(stream, "success").await?)?;
    Ok(hash.mechanism())
}

/// The decoded text of the SASL element that is due.
async fn sasl_step<S: Socket>(stream: &mut Stream<S>, due: &str) -> anyhow::Result<String> {
    let element = stream.element().await?;
    let root = element.root();
    if root.is(ns::SASL, "failure") {
        let condition = root.children().find(|child| child.name() != "text").map_or("unknown", |child| child.name());
        let text = root.child(ns::SASL, "text").map(|text| format!(" ({})", text.text())).unwrap_or_default();
        bail!("log-in refused: {condition}{text}");
    }
    ensure!(root.is(ns::SASL, due), "<{}/> where <{due}/> was due", root.name());
    let decoded = BASE64.decode(root.text().trim()).with_context(|| format!("<{due}/> is not base64"))?;
    String::from_utf8(decoded).with_context(|| format!("<{due}/> is not UTF-8"))
}

/// RFC 6120 §7, and the session request where the server wants it (RFC 3921 §3); returns the full JID.
async fn bind<S: Socket>(stream: &mut Stream<S>, login: &Login) -> anyhow::Result<String> {
    let features = stream.open(&login.domain).await?;
    ensure!(features.root().child(ns::BIND, "bind").is_some(), "the server offers no resource binding after log-in");
    let mut xml = XmlWriter::new();
    xml.open("iq").attr("type", "set").attr("id", "bind").open("bind").ns(ns::BIND).close().close();
    stream.send(&xml.finish()).await?;
    let answer = answer(stream, "bind").await?;
    let jid = answer
        .root()
        .child(ns::BIND, "bind")
        .and_then(|bind| bind.child(ns::BIND, "jid"))
        .context("no JID in the answer to resource binding")?;
    let jid = jid.text().trim().to_owned();
    let wanted = features.root().child(ns::SESSION, "session").is_some_and(|session| session.child(ns::SESSION, "optional").is_none());
    if wanted {
        let mut xml = XmlWriter::new();
        xml.open("iq").attr("type", "set").attr("id", "session").open("session").ns(ns::SESSION).close().close();
        stream.send(&xml.finish()).await?;
        self::answer(stream, "session").await?;
    }
    Ok(jid)
}

async fn answer<S: Socket>(stream: &mut Stream<S>, id: &str) -> anyhow::Result<Element> {
    loop {
        let element = stream.element().await?;
        let root = element.root();
        if !root.is(ns::CLIENT, "iq") || root.attr("id") != Some(id) {
            continue;
        }
        ensure!(root.attr("type") == Some("result"), "{id} refused: {}", stanza_error(&root));
        return Ok(element);
    }
}

/// Owns the stream after log-in, until it ends or the client is dropped.
async fn run<S: Socket>(mut stream: Stream<S>, mut commands: mpsc::Receiver<Command>, inbound: mpsc::Sender<Element>) {
    let mut asked: HashMap<String, oneshot::Sender<Element>> = HashMap::new();
    let ended = loop {
        let step = tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Request { id, stanza, answer }) => {
                    asked.retain(|_, answer| !answer.is_closed());
                    asked.insert(id, answer);
                    stream.send(&stanza).await
                }
                Some(Command::Close) | None => break close(&mut stream).await,
            },
            frame = stream.next_frame() => match frame {
                Ok(Frame::Element(bytes)) => match stream.parse(&bytes) {
                    Ok(element) => received(&mut stream, &mut asked, &inbound, element).await,
                    Err(error) => Err(error),
                },
                Ok(Frame::Whitespace(_)) => Ok(()),
                Ok(Frame::Close | Frame::Open(_)) => Err(anyhow!("the server closed the stream")),
                Err(error) => Err(error),
            },
        };
        if let Err(error) = step {
            break Err(error);
        }
    };
    if let Err(error) = ended {
        tracing::warn!(error = format!("{error:#}"), "a stream of the probe ended");
    }
}

async fn close<S: Socket>(stream: &mut Stream<S>) -> anyhow::Result<()> {
    stream.send(b"</stream:stream>").await?;
    while !matches!(stream.frame().await?, Frame::Close) {}
    // The TLS close alert; whether the server still reads it does not matter.
    let _ = stream.socket.shutdown().await;
    Ok(())
}

async fn received<S: Socket>(
    stream: &mut Stream<S>,
    asked: &mut HashMap<String, oneshot::Sender<Element>>,
    inbound: &mpsc::Sender<Element>,
    element: Element,
) -> anyhow::Result<()> {
    let root = element.root();
    if !root.is(ns::CLIENT, "iq") {
        return Ok(()); // messages and presence concern no call of ours
    }
    match root.attr("type") {
        Some("result" | "error") => {
            if let Some(answer) = root.attr("id").and_then(|id| asked.remove(id)) {
                // Whoever asked may have given up waiting.
                let _ = answer.send(element);
            }
            Ok(())
        }
        Some("set") if root.child(ns::JINGLE, "jingle").is_some() => {
            stream.send(&reply(&root, |xml| xml.attr("type", "result"))).await?;
            inbound.try_send(element).map_err(|_| anyhow!("more than {INBOUND_MAX} Jingle stanzas at once"))
        }
        _ if root.child(ns::PING, "ping").is_some() => stream.send(&reply(&root, |xml| xml.attr("type", "result"))).await,
        _ => {
            let error = reply(&root, |xml| {
                xml.attr("type", "error")
                    .open("error")
                    .attr("type", "cancel")
                    .open("service-unavailable")
                    .ns(ns::STANZA_ERROR)
                    .close()
                    .close()
            });
            stream.send(&error).await
        }
    }
}

/// The answer to an IQ, its `type` and content by `write` (RFC 6120 §8.2.3).
fn reply(request: &Node<'_>, write: impl Fn(&mut XmlWriter) -> &mut XmlWriter) -> Bytes {
    let mut xml = XmlWriter::new();
    xml.open("iq");
    for (name, value) in [("id", request.attr("id")), ("to", request.attr("from"))] {
        if let Some(value) = value {
            xml.attr(name, value);
        }
    }
    write(&mut xml).close();
    xml.finish()
}

/// Random lower-case letters and digits.
///
/// # Errors
/// The system gives no randomness.
pub fn random_name(length: usize) -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0u8; length];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow!("the system gives no randomness"))?;
    Ok(bytes.into_iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const HEADER: &str =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='a' version='1.0'>";
    const SCRAM: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>";

    fn login() -> Login {
        let (domain, username, password) = ("localhost".to_owned(), "one".to_owned(), "secret".to_owned());
        Login { addresses: vec![], start: Start::Direct, proxies: vec![], domain, username, password }
    }

    /// A log-in with a server that sends just this.
    async fn with_server(says: &str) -> anyhow::Result<String> {
        let (here, mut there) = duplex(65_536);
        there.write_all(says.as_bytes()).await?;
        let mut stream = Stream::new(here);
        let features = stream.open("localhost").await?;
        authenticate(&mut stream, &login(), &features).await?;
        bind(&mut stream, &login()).await
    }

    #[tokio::test]
    async fn what_a_server_refuses_is_told_in_its_words() {
        let plain = SCRAM.replace("SCRAM-SHA-1", "PLAIN");
        let refusal = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><temporary-auth-failure/><text>Later &lt;</text></failure>";
        let stream_error = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                            <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Enough</text></stream:error>";
        for (says, words) in [
            (format!("{HEADER}{plain}"), "offers no SCRAM, only [\"PLAIN\"]"),
            (format!("{HEADER}{SCRAM}{refusal}"), "temporary-auth-failure (Later <)"),
            (format!("{HEADER}{stream_error}"), "policy-violation: Enough"),
            (format!("{HEADER}{SCRAM}{stream_error}"), "policy-violation: Enough"),
            (format!("{HEADER}</stream:stream>"), "closed the stream"),
            (format!("{HEADER}<message/>"), "<message/> where stream features were due"),
            (format!("{HEADER}{SCRAM}<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"), "<success/> where <challenge/> was due"),
            (format!("{HEADER}{SCRAM}<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>*</challenge>"), "not base64"),
            (format!("{HEADER}<!-- -->"), "cannot be read"),
            ("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned(), "cannot be read"),
        ] {
            let error = format!("{:#}", with_server(&says).await.expect_err(&says));
            assert!(error.contains(words), "{words} in {error}");
        }
    }

    #[tokio::test]
    async fn iqs_are_answered_and_jingle_is_handed_on() {
        let (here, there) = duplex(65_536);
        let (_commands, receiver) = mpsc::channel(1);
        let (sender, mut inbound) = mpsc::channel(8);
        let mut server = Stream::new(there);
        server.bindings = Bindings::new(ns::CLIENT, []);
        let mut client = Stream::new(here);
        client.bindings = Bindings::new(ns::CLIENT, []);
        client.framer.push(HEADER.as_bytes());
        assert!(matches!(client.framer.next(), Ok(Some(Frame::Open(_)))));
        server.framer.push(HEADER.as_bytes());
        assert!(matches!(server.framer.next(), Ok(Some(Frame::Open(_)))));
        let task = tokio::spawn(run(client, receiver, sender));
        for (iq, type_) in [
            ("<iq type='get' id='1' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>", "result"),
            ("<iq type='get' id='2' from='localhost'><query xmlns='jabber:iq:version'/></iq>", "error"),
            ("<iq type='set' id='3' from='a@b/c'><jingle xmlns='urn:xmpp:jingle:1' sid='x' action='session-info'/></iq>", "result"),
        ] {
            server.send(iq.as_bytes()).await.expect("sent");
            let answer = server.element().await.expect("an answer");
            assert_eq!(answer.root().attr("type"), Some(type_), "{iq}");
            assert!(["1", "2", "3"].contains(&answer.root().attr("id").unwrap_or_default()));
        }
        let jingle = inbound.recv().await.expect("handed on");
        assert_eq!(jingle.root().attr("from"), Some("a@b/c"));
        task.abort();
    }
}
