//! `campanile probe`: a real call through the sockets of a running server.

#[cfg(test)]
mod against_coturn;
#[cfg(test)]
mod against_prosody;
pub mod client;
pub mod jingle;
pub mod measure;
pub mod media;
pub mod own_server;
pub mod relay_bridge;
pub mod report;
pub mod scram;
pub mod services;
pub mod steps;
pub mod stun_lens;
pub mod trust;

pub use campanile_relay::Transport;

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
}
