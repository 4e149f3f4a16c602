//! The TURN server (RFC 8656): `server.rs` decides, `tcp.rs` is its shell for TCP and TLS, `datapath/` the one for UDP.

pub mod advertised;
pub mod allocation;
pub mod auth;
pub mod budget;
pub mod data_connections;
pub mod fence;
pub mod peers;
mod pipe;
pub mod ports;
pub mod quota;
pub mod registry;
pub mod server;
pub mod sessions;
pub mod stream;
pub mod tcp;
pub mod ticket;
pub mod tls;
