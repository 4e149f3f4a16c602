//! What the operator lays down for client streams.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::xml;

/// What holds for every client stream; shared by all.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The virtual hosts, normalised as in JIDs; the first is the default.
    pub domains: Vec<String>,
    /// No log-in without TLS.
    pub require_tls: bool,
    /// Newcomers may make accounts (XEP-0077).
    pub registration: bool,
    /// Log-ins without an account (XEP-0175).
    pub anonymous: bool,
    /// Features offered beside resource binding on streams of each domain, each a whole element.
    pub features: OfferedFeatures,
    /// Sizes, counts and times.
    pub limits: Limits,
}

/// Bounds of one stream.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One top-level element before authentication.
    pub preauth: xml::Limits,
    /// One stanza after it; RFC 6120 §13.12 asks for at least 10000 bytes.
    pub authenticated: xml::Limits,
    /// All that is received before authentication.
    pub bytes_preauth: usize,
    /// From connecting to a bound resource.
    pub negotiation: Duration,
    /// Failed log-ins; §6.4.5 asks for 2 to 5 retries.
    pub auth_attempts: u32,
    /// Silence of the client after which something is sent, so that a dead connection is found (§4.6).
    pub keepalive: Duration,
    /// How long an answer to `<r/>` may take before the client is taken for dead (XEP-0198 §4, RFC 6120 §4.6.2).
    pub ack_wait: Duration,
}

/// What is offered beside resource binding, by domain.
pub type OfferedFeatures = BTreeMap<String, Vec<Bytes>>;

/// All that a stream may send before it is authenticated, in elements of the largest size: header, STARTTLS, header, and some log-ins.
const PREAUTH_ELEMENTS: usize = 8;

impl Policy {
    /// What the sections say. `features` are offered beside resource binding, by domain, each a whole element.
    #[must_use]
    pub fn new(
        domains: Vec<String>,
        c2s: &campanile_config::C2s,
        auth: &campanile_config::Auth,
        limits: &campanile_config::Limits,
        features: OfferedFeatures,
    ) -> Self {
        let xml = |bytes_max| xml::Limits { bytes_max, depth_max: limits.stanza_depth };
        Self {
            domains,
            require_tls: c2s.require_tls,
            registration: auth.registration,
            anonymous: auth.anonymous,
            features,
            limits: Limits {
                preauth: xml(limits.stanza_bytes_preauth),
                authenticated: xml(limits.stanza_bytes),
                bytes_preauth: limits.stanza_bytes_preauth.saturating_mul(PREAUTH_ELEMENTS),
                negotiation: Duration::from_secs(limits.handshake_s),
                auth_attempts: limits.auth_attempts,
                keepalive: Duration::from_secs(limits.keepalive_s),
                ack_wait: Duration::from_secs(limits.ack_wait_s),
            },
        }
    }

    /// What a reload may change (`config/src/live.rs`); hosts, features and sizes stay.
    #[must_use]
    pub fn reloaded(&self, c2s: &campanile_config::C2s, auth: &campanile_config::Auth, limits: &campanile_config::Limits) -> Self {
        let new = Self::new(Vec::new(), c2s, auth, limits, BTreeMap::new());
        Self {
            require_tls: new.require_tls,
            registration: new.registration,
            anonymous: new.anonymous,
            limits: Limits {
                negotiation: new.limits.negotiation,
                auth_attempts: new.limits.auth_attempts,
                keepalive: new.limits.keepalive,
                ack_wait: new.limits.ack_wait,
                ..self.limits.clone()
            },
            ..self.clone()
        }
    }
}
