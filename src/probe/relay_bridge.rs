//! A loopback UDP socket that stands for one TURN service, reached over UDP, TCP or TLS.
//!
//! The TURN client of the WebRTC stack speaks UDP only. RFC 8656 §3.1 lets the same messages travel over a stream: STUN messages delimit
//! themselves, ChannelData is padded to four bytes. So the stack gets this socket as its TURN server, and the bridge carries each message to
//! the real one. Relayed addresses are the server's, nothing in the messages changes. UDP goes through a bridge as well: it reads along, and
//! what the stack reports as "no candidate" can then be told as the refusal that the server gave.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use bytes::{Buf as _, BytesMut};
use campanile_config::Network;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::stun_lens::{self, Class, Message, Method, TransactionId};
use super::trust::{self, Trust};
use super::{Transport, TurnService, introduce};

/// How long a connection and its TLS handshake may take, per address.
const CONNECT: Duration = Duration::from_secs(5);
/// When the Binding request is sent again over UDP (RFC 8489 §6.2.1 begins with 500 ms; loopback and near servers need less patience).
const RETRANSMIT: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_millis(600), Duration::from_millis(900), Duration::from_millis(1200)];
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A request that the server answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked.
    pub method: Method,
    /// The error code.
    pub code: u16,
    /// The server's words.
    pub reason: String,
}

/// What has passed through a bridge.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The relayed address that the server gave, and when.
    pub allocated: Option<(SocketAddr, Instant)>,
    /// Has the server confirmed a Refresh with lifetime 0?
    pub released: bool,
    /// Refusals other than the challenges that belong to the protocol; the first few.
    pub refusals: Vec<Refusal>,
    /// Why the connection to the server ended, if it did.
    pub broken: Option<String>,
    /// Messages from the stack and from the server.
    pub messages: (u64, u64),
}

#[derive(Debug, Default)]
struct Watch {
    observed: Observed,
    asked: VecDeque<(TransactionId, bool)>,
}

/// Requests remembered until their answer comes.
const ASKED_MAX: usize = 64;
const REFUSALS_MAX: usize = 8;

impl Watch {
    fn sent(&mut self, datagram: &[u8]) {
        self.observed.messages.0 += 1;
        let Some(message) = Message::parse(datagram).filter(|message| message.class == Class::Request) else { return };
        if self.asked.iter().any(|(transaction, _)| *transaction == message.transaction) {
            return;
        }
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((message.transaction, message.is_authenticated()));
    }

    fn received(&mut self, datagram: &[u8], now: Instant) {
        self.observed.messages.1 += 1;
        let Some(message) = Message::parse(datagram) else { return };
        match (message.class, message.method) {
            (Class::Success, Method::Allocate) => {
                self.observed.allocated = self.observed.allocated.or(message.relayed().map(|relayed| (relayed, now)));
            }
            (Class::Success, Method::Refresh) => self.observed.released |= message.lifetime() == Some(Duration::ZERO),
            (Class::Error, method) => self.refused(method, &message),
            _ => {}
        }
    }

    /// RFC 8489 §9.2.5: the 401 to a request without credentials and 438 ask for another try, they refuse nothing.
    fn refused(&mut self, method: Method, message: &Message<'_>) {
        let authenticated = self.asked.iter().any(|(transaction, authenticated)| *transaction == message.transaction && *authenticated);
        let Some((code, reason)) = message.error() else { return };
        if code == 438 || (code == 401 && !authenticated) || self.observed.refusals.len() == REFUSALS_MAX {
            return;
        }
        self.observed.refusals.push(Refusal { method, code, reason });
    }
}

/// A running bridge; it ends when it is dropped.
#[derive(Debug)]
pub struct Bridge {
    local: SocketAddr,
    server: SocketAddr,
    round_trip: Duration,
    watch: Arc<Mutex<Watch>>,
    task: JoinHandle<()>,
}

impl Bridge {
    /// Connects to the first of the service's addresses that answers a Binding request (RFC 8489 §2), and opens the loopback socket.
    ///
    /// # Errors
    /// A sentence per address that was tried.
    pub async fn open(service: &TurnService, trust: &Arc<Trust>) -> anyhow::Result<Bridge> {
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((service.host.as_str(), service.port))
            .await
            .with_context(|| {
                format!(
                    "the name {} that clients are given for TURN cannot be resolved here: set turn.host or server.public_address",
                    service.host
                )
            })?
            .collect();
        let mut failures = Vec::new();
        for server in addresses {
            match connect(service, server, trust).await {
                Ok((upstream, round_trip)) => return Bridge::start(server, upstream, round_trip).await,
                Err(error) => failures.push(format!("{server}: {error:#}")),
            }
        }
        bail!("TURN over {} at {}:{} cannot be used ({})", service.transport, service.host, service.port, failures.join("; "))
    }

    async fn start(server: SocketAddr, upstream: Upstream, round_trip: Duration) -> anyhow::Result<Bridge> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot open a loopback UDP socket")?;
        let local = socket.local_addr()?;
        let watch = Arc::new(Mutex::new(Watch::default()));
        let task = tokio::spawn(carry(socket, upstream, watch.clone()));
        Ok(Bridge { local, server, round_trip, watch, task })
    }

    /// The address to be given to the WebRTC stack as its TURN server.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The server's address that answered.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// How long the Binding request and its answer took.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// What has passed so far.
    pub fn observed(&self) -> Observed {
        lock(&self.watch).observed.clone()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(watch: &Mutex<Watch>) -> std::sync::MutexGuard<'_, Watch> {
    // Each holder only does plain assignments: what is inside stays meaningful.
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to the server.
enum Upstream {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects and sees a Binding request answered.
async fn connect(service: &TurnService, server: SocketAddr, trust: &Arc<Trust>) -> anyhow::Result<(Upstream, Duration)> {
    let mut upstream = match service.transport {
        Transport::Udp => {
            let any: SocketAddr =
                if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(server).await?;
            Upstream::Datagrams(socket)
        }
        Transport::Tcp => Upstream::Stream(Box::new(connect_tcp(server, &service.proxies).await?)),
        Transport::Tls | Transport::Mux => {
            let stream = connect_tcp(server, &service.proxies).await?;
            let name = ServerName::try_from(service.host.clone()).map_err(|_| anyhow!("{} is no name for TLS", service.host))?;
            let connector = tokio_rustls::TlsConnector::from(trust.client_config(&[b"stun.turn"])?);
            let stream = timeout(CONNECT, connector.connect(name, stream))
                .await
                .map_err(|_| anyhow!("no TLS handshake within {} s", CONNECT.as_secs()))?
                .map_err(|error| anyhow!(trust::explain(&error, &service.host, "set turn.host to a name that it has")))?;
            Upstream::Stream(Box::new(stream))
        }
    };
    let mut transaction = TransactionId::default();
    aws_lc_rs::rand::fill(&mut transaction).map_err(|_| anyhow!("no randomness"))?;
    let asked = Instant::now();
    upstream.binding(transaction).await?;
    Ok((upstream, asked.elapsed()))
}

async fn connect_tcp(server: SocketAddr, proxies: &[Network]) -> anyhow::Result<TcpStream> {
    let mut stream = timeout(CONNECT, TcpStream::connect(server))
        .await
        .map_err(|_| anyhow!("no TCP connection within {} s: a firewall?", CONNECT.as_secs()))??;
    stream.set_nodelay(true)?;
    introduce(&mut stream, proxies).await?;
    Ok(stream)
}

impl Upstream {
    async fn send(&mut self, datagram: &[u8]) -> std::io::Result<()> {
        match self {
            Upstream::Datagrams(socket) => socket.send(datagram).await.map(drop),
            Upstream::Stream(stream) => {
                // ChannelData is padded on a stream (RFC 8656 §12.5), STUN messages are long by multiples of four anyhow.
                let padding = datagram.len().next_multiple_of(4) - datagram.len();
                stream.write_all(&[datagram, &[0; 3][..padding]].concat()).await?;
                stream.flush().await
            }
        }
    }

    /// Appends what came to `buffer`; safe to be dropped while it waits.
    async fn receive(&mut self, buffer: &mut BytesMut) -> std::io::Result<()> {
        match self {
            Upstream::Datagrams(socket) => {
                buffer.reserve(DATAGRAM_BYTES_MAX);
                socket.recv_buf(buffer).await.map(drop)
            }
            Upstream::Stream(stream) => match stream.read_buf(buffer).await? {
                0 => Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the server closed the connection")),
                _ => Ok(()),
            },
        }
    }

    /// Takes the next whole message from what was received.
    fn next_message(&self, buffer: &mut BytesMut) -> std::io::Result<Option<BytesMut>> {
        match self {
            Upstream::Datagrams(_) if buffer.is_empty() => Ok(None),
            Upstream::Datagrams(_) => Ok(Some(buffer.split())),
            Upstream::Stream(_) => split_message(buffer),
        }
    }

    async fn binding(&mut self, transaction: TransactionId) -> anyhow::Result<()> {
        let request = stun_lens::binding_request(transaction);
        let mut buffer = BytesMut::new();
        for wait in RETRANSMIT {
            self.send(&request).await?;
            let answered = timeout(wait, self.binding_answer(transaction, &mut buffer)).await;
            match (answered, &self) {
                (Ok(answer), _) => {
                    return answer.map_err(|error| match error.kind() {
                        std::io::ErrorKind::ConnectionRefused => anyhow!("nothing listens there"),
                        _ => error.into(),
                    });
                }
                (Err(_), Upstream::Datagrams(_)) => {}
                (Err(_), Upstream::Stream(_)) => {
                    timeout(CONNECT, self.binding_answer(transaction, &mut buffer))
                        .await
                        .map_err(|_| anyhow!("connected, but no answer to a Binding request"))??;
                    return Ok(());
                }
            }
        }
        bail!("no answer to {} Binding requests: a firewall, or another service?", RETRANSMIT.len())
    }

    async fn binding_answer(&mut self, transaction: TransactionId, buffer: &mut BytesMut) -> std::io::Result<()> {
        loop {
            while let Some(datagram) = self.next_message(buffer)? {
                let answer =
                    Message::parse(&datagram).filter(|message| message.transaction == transaction && message.method == Method::Binding);
                let Some(answer) = answer else { continue };
                return match (answer.mapped(), answer.error()) {
                    (Some(_), _) => Ok(()),
                    (None, Some((code, reason))) => Err(std::io::Error::other(format!("a Binding request is refused: {code} {reason}"))),
                    (None, None) => Err(std::io::Error::other("the answer to a Binding request has no XOR-MAPPED-ADDRESS")),
                };
            }
            self.receive(buffer).await?;
        }
    }
}

/// Takes the first message off a stream's bytes, without its padding.
fn split_message(buffer: &mut BytesMut) -> std::io::Result<Option<BytesMut>> {
    let not_turn = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "the server sent something other than TURN messages");
    let Some((message, padded)) = stun_lens::first_message(buffer).map_err(not_turn)? else { return Ok(None) };
    if buffer.len() < padded {
        buffer.reserve(padded.min(stun_lens::MESSAGE_BYTES_MAX) - buffer.len());
        return Ok(None);
    }
    let datagram = buffer.split_to(message);
    buffer.advance(padded - message);
    Ok(Some(datagram))
}

/// Carries messages both ways until the server's side ends. Only the first local sender is served: this socket is no open relay.
async fn carry(socket: UdpSocket, mut upstream: Upstream, watch: Arc<Mutex<Watch>>) {
    let mut client: Option<SocketAddr> = None;
    let mut from_client = vec![0u8; DATAGRAM_BYTES_MAX];
    let mut from_server = BytesMut::new();
    let broken = loop {
        tokio::select! {
            received = socket.recv_from(&mut from_client) => match received {
                Ok((length, sender)) if *client.get_or_insert(sender) == sender => {
                    lock(&watch).sent(&from_client[..length]);
                    match upstream.send(&from_client[..length]).await {
                        Ok(()) => {}
                        Err(error) => break error,
                    }
                }
                Ok(_) => {}
                // Linux reports here that the stack has closed its socket; nothing is lost by waiting on.
                Err(_) => {}
            },
            received = upstream.receive(&mut from_server) => match received.and_then(|()| deliverable(&upstream, &mut from_server)) {
                Ok(messages) => for message in messages {
                    lock(&watch).received(&message, Instant::now());
                    if let Some(client) = client {
                        // A full or closed socket loses the datagram, as UDP does.
                        let _ = socket.send_to(&message, client).await;
                    }
                },
                Err(error) => break error,
            },
        }
    };
    lock(&watch).observed.broken = Some(broken.to_string());
}

fn deliverable(upstream: &Upstream, buffer: &mut BytesMut) -> std::io::Result<Vec<BytesMut>> {
    let mut messages = Vec::new();
    while let Some(message) = upstream.next_message(buffer)? {
        messages.push(message);
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8656_s12_5_a_stream_is_cut_into_messages_wherever_it_is_read() {
        let request = stun_lens::binding_request([3; 12]);
        let channel_data = [0x40, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5];
        let stream = [&request[..], &channel_data, &[0; 3], &request].concat();
        for cut in 0..stream.len() {
            let mut buffer = BytesMut::new();
            let mut messages = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                buffer.extend_from_slice(part);
                while let Some(message) = split_message(&mut buffer).expect("valid") {
                    messages.push(message.to_vec());
                }
            }
            assert_eq!(messages, [request.to_vec(), channel_data.to_vec(), request.to_vec()], "cut at {cut}");
            assert!(buffer.is_empty());
        }
        assert!(split_message(&mut BytesMut::from(&b"\x16\x03\x01\x02"[..])).is_err());
    }

    #[test]
    fn challenges_are_no_refusals() {
        let error = |transaction: u8, code: u8| {
            let mut wire = vec![0x01, 0x13, 0, 8, 0x21, 0x12, 0xa4, 0x42];
            wire.extend_from_slice(&[transaction; 12]);
            wire.extend_from_slice(&[0, 9, 0, 4, 0, 0, 4, code]);
            wire
        };
        let mut plain = stun_lens::binding_request([1; 12]).to_vec();
        plain[1] = 0x03;
        let mut signed = plain.clone();
        signed[8..20].copy_from_slice(&[2; 12]);
        signed[3] = 4;
        signed.extend_from_slice(&[0, 8, 0, 0]);

        let mut watch = Watch::default();
        watch.sent(&plain);
        watch.received(&error(1, 1), Instant::now());
        assert_eq!(watch.observed.refusals, [], "the 401 that asks for credentials");
        watch.sent(&signed);
        watch.received(&error(2, 38), Instant::now());
        assert_eq!(watch.observed.refusals, [], "the 438 that brings a new nonce");
        watch.received(&error(2, 1), Instant::now());
        assert_eq!(watch.observed.refusals, [Refusal { method: Method::Allocate, code: 401, reason: String::new() }]);
        assert_eq!(watch.observed.messages, (2, 3));
    }
}
