//! What the tests share: the server, a client that writes bytes, clients of others.

pub mod facts;
pub mod folder;
pub mod http;
pub mod managed;
pub mod network;
pub mod peers;
pub mod postgres;
pub mod prometheus;
pub mod scram;
pub mod script;
pub mod server;
pub mod terminal;
pub mod tls;
pub mod turn;
pub mod wire;
pub mod ws;

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Generous: the machine may be busy; nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Tries until it succeeds.
pub fn within_patience<T, E: Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < end, "not within {PATIENCE:?}: {error:?}"),
        }
        // another process is to do something, without an event that std can wait for
        thread::sleep(Duration::from_millis(5));
    }
}
