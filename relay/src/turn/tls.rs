//! TLS handshakes of clients, with RFC 7443's names for what they are going to speak (ALPN, RFC 7301).
//!
//! A client that names other protocols only is served as one that names none: the port has one service, and nothing else can be meant.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

/// RFC 7443 §4: TURN over TLS.
pub const ALPN_TURN: &[u8] = b"stun.turn";
/// RFC 7443 §4: STUN for NAT discovery.
pub const ALPN_NAT_DISCOVERY: &[u8] = b"stun.nat-discovery";

/// The settings of a listener.
#[derive(Clone)]
pub struct Tls {
    named: Arc<ServerConfig>,
    unnamed: Arc<ServerConfig>,
}

impl Tls {
    /// With the certificates of `config`; the protocols are this listener's.
    pub fn new(config: &Arc<ServerConfig>) -> Self {
        let with = |alpn: &[&[u8]]| {
            let mut config = ServerConfig::clone(config);
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Self { named: with(&[ALPN_TURN, ALPN_NAT_DISCOVERY]), unnamed: with(&[]) }
    }

    /// Does the handshake. The caller bounds the time.
    ///
    /// # Errors
    /// The handshake failed, or the connection.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, io: S) -> io::Result<TlsStream<S>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        let names_ours =
            start.client_hello().alpn().is_some_and(|mut names| names.any(|name| self.named.alpn_protocols.iter().any(|our| our == name)));
        let config = if names_ours { &self.named } else { &self.unnamed };
        match start.into_stream(config.clone()).into_fallible().await {
            Ok(stream) => Ok(stream),
            Err((error, mut io)) => {
                // The alert may wait in a buffer; whether the client hears it is a courtesy.
                let _ = io.flush().await;
                Err(error)
            }
        }
    }
}
