//! `campanile probe`: a real call through the sockets of a running server.

#[cfg(test)]
mod against_coturn;
#[cfg(test)]
mod against_prosody;
pub mod client;
pub mod jingle;
pub mod measure;
pub mod media;
pub mod mux;
pub mod own_server;
pub mod relay_bridge;
pub mod report;
pub mod scram;
pub mod services;
pub mod steps;
pub mod stun_lens;
pub mod trust;

use campanile_config::Network;
use campanile_relay::proxy_protocol;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How a call reaches the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS on a port of its own.
    Tls,
    /// TLS on the port for everything.
    Mux,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Mux => "mux",
        })
    }
}

/// Says that a connection is made for nobody else, to a listener that takes those from our address only with a PROXY header.
///
/// # Errors
/// Those of the connection.
pub async fn introduce(stream: &mut TcpStream, proxies: &[Network]) -> std::io::Result<()> {
    let own = stream.local_addr()?.ip().to_canonical();
    if proxies.iter().any(|network| network.contains(own)) {
        stream.write_all(&proxy_protocol::LOCAL).await?;
    }
    Ok(())
}

/// A TURN service as XEP-0215 describes it, with its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnService {
    /// How it is reached.
    pub transport: Transport,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Username of the long-term credential (RFC 8489 §9.2).
    pub username: String,
    /// Its password.
    pub password: String,
    /// Who must introduce themselves there: `turn.proxy_protocol`, or `server.proxy_protocol`.
    pub proxies: Vec<Network>,
}
