//! TLS handshakes of client streams: which certificate this client is shown is chosen here, once, so that it is known what a log-in may be
//! bound to (RFC 5929 §4, RFC 9266).
//!
//! Over TLS 1.3 only. Below, clients bind to `tls-unique`, announced or not, which rustls does not give; and `tls-exporter` demands an extended
//! master secret (RFC 9266 §3), of which it does not say whether there is one.

use std::io;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::Resolver;
use super::pair::Entry;
use crate::stream::sasl::ChannelBindings;

/// What a stream takes to be written before the socket takes it: a record's worth, so that it is seen how a slow client gets on.
pub const BUFFER_BYTES_MAX: usize = 16 * 1024;
/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// RFC 9266 §2.
const EXPORTER_BYTES: usize = 32;

/// Accepts TLS connections of clients. Cheap to clone; follows every reload of the certificates.
#[derive(Debug, Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    certificates: Arc<Resolver>,
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>, certificates: Arc<Resolver>) -> Self {
        Self { config, certificates }
    }

    /// Does the handshake. `addressed` is the host that the client has named before TLS, which says what certificate it expects if it sends no
    /// SNI. The caller bounds the time.
    ///
    /// # Errors
    /// The handshake failed, or the connection.
    pub async fn accept<S>(&self, io: S, addressed: Option<&str>) -> io::Result<(TlsStream<S>, ChannelBindings)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), io).await?;
        let Entry { key, end_point, sessions, .. } = self.certificates.choose(start.client_hello().server_name().or(addressed));
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(Chosen(key));
        config.session_storage = sessions;
        let mut stream = match start.into_stream(Arc::new(config)).into_fallible().await {
            Ok(stream) => stream,
            Err((error, mut io)) => {
                // The alert may wait in a buffer; whether the client hears it is a courtesy.
                let _ = io.flush().await;
                return Err(error);
            }
        };
        let (_, connection) = stream.get_mut();
        connection.set_buffer_limit(Some(BUFFER_BYTES_MAX));
        let bindings = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => {
                let exporter = connection.export_keying_material(vec![0; EXPORTER_BYTES], EXPORTER_LABEL, Some(&[])).ok();
                ChannelBindings::new(exporter, end_point.map(|end_point| end_point.to_vec()))
            }
            _ => ChannelBindings::default(),
        };
        Ok((stream, bindings))
    }
}

/// The certificate of one handshake.
#[derive(Debug)]
struct Chosen(Arc<CertifiedKey>);

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
