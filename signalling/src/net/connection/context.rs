//! What all client connections share: whom they speak to, and the settings in force.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::administration::Administration;
use crate::auth::Authenticator;
use crate::net::metrics::Metrics;
use crate::net::tls::{self, Certificates, TlsError};
use crate::router::Router;
use crate::stream::c2s::Policy;

/// Sizes and times of the shell; what the protocol has a word for is in `c2s::Limits`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes that wait for one session.
    pub mailbox_bytes: usize,
    /// Bytes that a stream may send per second on average; 0: no limit.
    pub bytes_per_second: u32,
    /// Bytes that it may send at once before that counts.
    pub bytes_burst: u32,
    /// A TLS handshake.
    pub tls_handshake: Duration,
    /// How long a client may take nothing of what is written to it.
    pub write: Duration,
    /// From our closing tag to the end of the connection.
    pub close: Duration,
}

impl Limits {
    /// What the section says, with fixed times.
    #[must_use]
    pub fn new(limits: &campanile_config::Limits) -> Self {
        Self {
            mailbox_bytes: limits.mailbox_bytes,
            bytes_per_second: limits.bytes_per_second,
            bytes_burst: limits.bytes_burst,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailbox_bytes: 2 << 20,
            bytes_per_second: 128 * 1024,
            bytes_burst: 1 << 20,
            tls_handshake: Duration::from_secs(15),
            write: Duration::from_secs(60),
            close: Duration::from_secs(3),
        }
    }
}

/// What every client connection needs; made once, in `wiring.rs`.
pub struct Context {
    pub(super) router: Router,
    pub(super) authenticator: Authenticator,
    pub(super) administration: Arc<Administration>,
    pub(super) metrics: Metrics,
    pub(super) stopping: CancellationToken,
    /// No resource is bound any more; sessions may be resumed.
    draining: AtomicBool,
    pub(super) starttls: tls::Acceptor,
    pub(super) direct_tls: tls::Acceptor,
    pub(super) policy: ArcSwap<Policy>,
    pub(super) limits: ArcSwap<Limits>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("policy", &self.policy()).finish_non_exhaustive()
    }
}

impl Context {
    /// Puts it together. `stopping` is the listeners'.
    ///
    /// # Errors
    /// When the TLS settings are refused.
    #[allow(clippy::too_many_arguments)] // each is a part of its own, joined in one place
    pub fn new(
        router: Router,
        authenticator: Authenticator,
        administration: Arc<Administration>,
        certificates: &Certificates,
        metrics: Metrics,
        stopping: CancellationToken,
        policy: Policy,
        limits: Limits,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            router,
            authenticator,
            administration,
            metrics,
            stopping,
            draining: AtomicBool::new(false),
            starttls: certificates.acceptor(&[])?,
            direct_tls: certificates.acceptor(&[tls::ALPN_XMPP_CLIENT])?,
            policy: ArcSwap::from_pointee(policy),
            limits: ArcSwap::from_pointee(limits),
        })
    }

    /// Takes over what a reload may change (`config/src/live.rs`), for connections from now on. The size of a mailbox is not among it: rosters
    /// are bounded by it, and it must hold the largest stanza.
    pub fn reload(&self, c2s: &campanile_config::C2s, auth: &campanile_config::Auth, limits: &campanile_config::Limits) {
        self.policy.store(Arc::new(self.policy.load().reloaded(c2s, auth, limits)));
        let mailbox_bytes = self.limits.load().mailbox_bytes;
        self.limits.store(Arc::new(Limits { mailbox_bytes, ..Limits::new(limits) }));
    }

    /// The settings in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// The sizes and times in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.load_full()
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on there are no new sessions. Those there are go on, also over a new connection (XEP-0198 §5).
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Fires when streams have to end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }
}
