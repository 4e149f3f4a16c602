//! The async shell of XMPP streams: listeners, TLS, WebSocket and HTTP; the machines that decide are in `stream/`.

pub mod bucket;
pub mod connection;
pub mod http;
pub mod listener;
pub mod metrics;
pub mod mux;
mod quiet;
mod replay;
pub mod sources;
pub mod tls;
pub mod websocket;
pub mod wire;
