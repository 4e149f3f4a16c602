//! What the tests share: the server, a client that writes bytes, clients of others.

pub mod folder;
pub mod http;
pub mod managed;
pub mod network;
pub mod peers;
pub mod postgres;
pub mod prometheus;
pub mod scram;
pub mod server;
pub mod terminal;
pub mod tls;
pub mod turn;
pub mod wire;
pub mod ws;

use std::time::Duration;

/// How long anything may take before a test gives up on it. Generous: the machine may be busy; nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(30);
