//! One TLS port for XMPP (XEP-0368), HTTPS with WebSocket, and STUN and TURN (RFC 7443), since many networks let only port 443 out.
//!
//! `protocol.rs` tells them apart; this is its shell: accept, TLS with the certificate of the name asked for, hand over. What a client may
//! take to say what it speaks is bounded in time and bytes; what it speaks is then bounded as on a port of its own.

mod protocol;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use campanile_relay::Relay;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::connection::{self, Context};
use super::http::Http;
use super::listener::{Ends, Front, Listeners, Listening};
use super::metrics::Transport;
use super::replay::Replay;
use super::sources::Place;
use super::tls::{self, Certificates, TlsError};
use crate::stream::sasl::ChannelBindings;
use protocol::{FIRST_BYTES_MAX, Guess, Protocol};

/// Encrypted bytes that wait for one system call; media comes in small records.
const WRITE_BYTES: usize = tls::BUFFER_BYTES_MAX;

/// What stands behind the port.
#[derive(Debug)]
pub struct Mux {
    context: Arc<Context>,
    acceptor: tls::Acceptor,
    http: Http,
    /// The pages of `http`, with those of the binary.
    routes: Router,
    relay: Relay,
}

/// A client's TLS.
type Stream = TlsStream<BufWriter<TcpStream>>;

/// What a client turned out to be.
enum Client {
    /// It said so in the handshake.
    Named(Protocol, Stream),
    /// It said so by its first bytes.
    Guessed(Protocol, Replay<Stream>),
}

/// Why a client is not served.
#[derive(Debug)]
enum Unserved {
    /// It began with something else.
    Unknown,
    /// It said too little: its time was over, or its connection.
    None,
}

impl Mux {
    /// Behind the port stand client streams of `context`, `routes` on `http`, and `relay`.
    ///
    /// # Errors
    /// When the TLS settings are refused.
    pub fn new(
        context: Arc<Context>,
        certificates: &Certificates,
        http: Http,
        routes: Router,
        relay: Relay,
    ) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self { context, acceptor: certificates.acceptor(&protocol::ALPN)?, http, routes, relay }))
    }

    /// Accepts clients.
    pub fn serve(self: &Arc<Self>, listeners: &Listeners, listening: Listening, front: Front) {
        self.http.also_on(listening.local().port());
        let this = self.clone();
        listeners.run(listening, front, |_| {}, move |stream, ends, place| this.clone().serve_client(stream, ends, place));
    }

    /// One client, from its first byte to its end; that of a relay's client comes later.
    async fn serve_client(self: Arc<Self>, stream: TcpStream, ends: Ends, place: Place) {
        let accepted = tokio::time::Instant::now().into_std();
        let context = &self.context;
        let open = context.metrics().open(Transport::Mux);
        // On the heap while they last, as all that a connection needs only for a while.
        let Some((stream, bindings)) = Box::pin(self.secure(stream, ends, accepted)).await else { return };
        let client = tokio::select! {
            () = context.stopping().cancelled() => return,
            client = Box::pin(self.identify(stream, accepted)) => client,
        };
        match client {
            Ok(Client::Named(protocol, stream)) => self.hand_over(protocol, stream, ends, bindings, accepted, place, open).await,
            Ok(Client::Guessed(protocol, stream)) => self.hand_over(protocol, stream, ends, bindings, accepted, place, open).await,
            Err(unserved) => {
                let said = match unserved {
                    Unserved::Unknown => "unknown",
                    Unserved::None => "none",
                };
                context.metrics().mux(said);
                debug!(peer = %ends.peer, said, "not a client of any service here");
            }
        }
    }

    /// TLS, in its time.
    async fn secure(&self, stream: TcpStream, ends: Ends, accepted: Instant) -> Option<(Stream, ChannelBindings)> {
        let until = accepted + self.context.limits().tls_handshake;
        let error = match timeout_at(until.into(), self.acceptor.accept(BufWriter::with_capacity(WRITE_BYTES, stream), None)).await {
            Ok(Ok(ready)) => return Some(ready),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "took too long".to_owned(),
        };
        self.context.metrics().tls_failure();
        debug!(peer = %ends.peer, error, "TLS handshake failed");
        None
    }

    /// What the client speaks: by the handshake, or what it sends in the time that a log-in may take.
    async fn identify(&self, mut stream: Stream, accepted: Instant) -> Result<Client, Unserved> {
        if let Some(protocol) = stream.get_ref().1.alpn_protocol().and_then(Protocol::by_name) {
            return Ok(Client::Named(protocol, stream));
        }
        let until = accepted + self.context.policy().limits.negotiation;
        let mut first = [0; FIRST_BYTES_MAX];
        match timeout_at(until.into(), first_bytes(&mut stream, &mut first)).await {
            Ok(Ok((Guess::Is(protocol), read))) => Ok(Client::Guessed(protocol, Replay::new(&first[..read], stream))),
            Ok(Ok((Guess::Unknown, _))) => {
                // Whoever came to the wrong port sees an orderly end; whether it does is its own business.
                let _ = timeout_at(until.into(), stream.shutdown()).await;
                Err(Unserved::Unknown)
            }
            Ok(Ok((Guess::More, _)) | Err(_)) => Err(Unserved::None),
            Err(_) => {
                self.context.metrics().timeout("negotiation");
                Err(Unserved::None)
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // all that is known of a connection
    async fn hand_over<S>(
        &self,
        protocol: Protocol,
        stream: S,
        ends: Ends,
        bindings: ChannelBindings,
        accepted: Instant,
        place: Place,
        open: super::metrics::Open,
    ) where
        S: connection::ByteStream + 'static,
    {
        self.context.metrics().mux(protocol.as_str());
        match protocol {
            Protocol::Xmpp => {
                connection::run(self.context.clone(), Box::new(stream), ends.peer, Transport::Mux, bindings, accepted).await;
                drop((place, open));
            }
            Protocol::Http => {
                Box::pin(self.http.converse(Box::new(stream), ends, place, self.routes.clone())).await;
                drop(open);
            }
            Protocol::Turn => {
                if !self.relay.adopt(stream, ends.peer, ends.local, (place, open)) {
                    debug!(peer = %ends.peer, "too many connections to the relay");
                }
            }
        }
    }
}

/// Reads until it is clear what the client speaks, or it ends; and how many bytes that took.
async fn first_bytes(stream: &mut Stream, first: &mut [u8; FIRST_BYTES_MAX]) -> io::Result<(Guess, usize)> {
    let mut read = 0;
    loop {
        let guess = protocol::guess(&first[..read]);
        if guess != Guess::More || read == FIRST_BYTES_MAX {
            return Ok((guess, read));
        }
        match stream.read(&mut first[read..]).await? {
            0 => return Ok((Guess::More, read)),
            count => read += count,
        }
    }
}
