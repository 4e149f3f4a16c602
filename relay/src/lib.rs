//! The relay: STUN and TURN (RFC 8489, RFC 8656) over UDP, TCP and TLS.
//!
//! Allocations belong to worker threads (`datapath/worker.rs`); what they decide is in `turn/server.rs`, which is pure. The rest of the
//! server holds a [`Relay`].

mod arena;
pub mod datapath;
pub mod endpoint;
mod handle;
pub mod proxy_protocol;
pub mod quality;
mod settings;
mod stats;
pub mod turn;

pub use handle::{Relay, RelayError, Service, Transport};
pub use quality::report::{CallQuality, Direction, RelayQuality, StreamQuality, Volume};
pub use settings::{Limits, Network, NetworkError, Settings};
pub use stats::{AuthFailure, BATCH_SIZES, Batches, DropReason, ERROR_CODES, PerFamily, PerTransport, Stats};
pub use turn::auth::Credentials;
pub use turn::fence::Offer;
pub use turn::registry::CallId;
pub use turn::sessions::{RelaySession, SessionTag};
