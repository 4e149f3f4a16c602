//! Counters of the network side, as Prometheus handles taken once.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::sources::Full;
use crate::stream::error::Condition;
use crate::stream::sasl::{Mechanism, SaslFailure};

/// What a client on the port for everything may turn out to speak; or something else, or too little.
const MUX: [&str; 5] = ["xmpp", "http", "turn", "unknown", "none"];
/// What streams are ended for when their time is over.
const TIMEOUTS: [&str; 3] = ["negotiation", "write", "silence"];

/// A commit takes from a fraction of a millisecond to some ten, on a disk that waits.
const ACK_LATENCY: &[f64] = &[0.000_1, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// How a client is connected; the label `transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP with a stream that begins in clear text (and may have become TLS by STARTTLS).
    Tcp,
    /// TLS from the first byte (XEP-0368).
    DirectTls,
    /// TLS on the port for everything, whatever is spoken there.
    Mux,
    /// RFC 7395 on a clear HTTP listener.
    WebSocket,
    /// The same from this machine or a trusted proxy.
    WebSocketTrusted,
    /// RFC 7395 on a TLS listener.
    WebSocketTls,
    /// A plain HTTP connection, before or without an upgrade.
    Http,
}

impl Transport {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Tcp, Self::DirectTls, Self::Mux, Self::WebSocket, Self::WebSocketTrusted, Self::WebSocketTls, Self::Http];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::DirectTls => "direct_tls",
            Self::Mux => "mux",
            Self::WebSocket => "websocket",
            Self::WebSocketTrusted => "websocket_trusted",
            Self::WebSocketTls => "websocket_tls",
            Self::Http => "http",
        }
    }
}

/// What `net` counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    opened: IntCounterVec,
    open: IntGaugeVec,
    refused: IntCounterVec,
    mux: IntCounterVec,
    stream_errors: IntCounterVec,
    sasl_failures: IntCounterVec,
    logins: IntCounterVec,
    registrations: IntCounter,
    tls_failures: IntCounter,
    accept_errors: IntCounter,
    timeouts: IntCounterVec,
    pub(super) bytes_in: IntCounter,
    pub(super) bytes_out: IntCounter,
    pub(super) stanzas_in: IntCounter,
    pub(super) stanzas_out: IntCounter,
    pub(super) paused: IntCounter,
    pub(super) ack_latency: Histogram,
}

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        fn counters(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        }
        fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        }
        let open = IntGaugeVec::new(Opts::new("campanile_connections", "Client connections that are open now."), &["transport"])?;
        registry.register(Box::new(open.clone()))?;
        let bytes = counters(registry, "campanile_c2s_bytes_total", "Bytes on client streams, above TLS and WebSocket.", "direction")?;
        let stanzas = counters(registry, "campanile_c2s_stanzas_total", "Stanzas on client streams.", "direction")?;
        let ack_latency = HistogramOpts::new(
            "campanile_c2s_ack_latency_seconds",
            "From a client's <r/> to the answer, which waits until what it acknowledges is durable.",
        );
        let ack_latency = Histogram::with_opts(ack_latency.buckets(ACK_LATENCY.to_vec()))?;
        registry.register(Box::new(ack_latency.clone()))?;
        let metrics = Self {
            ack_latency,
            opened: counters(registry, "campanile_connections_total", "Client connections accepted since the start.", "transport")?,
            open,
            refused: counters(registry, "campanile_connections_refused_total", "Connections refused at a bound.", "bound")?,
            mux: counters(
                registry,
                "campanile_mux_connections_total",
                "Connections on the port for everything, by what their clients turned out to speak.",
                "protocol",
            )?,
            stream_errors: counters(registry, "campanile_stream_errors_total", "Stream errors sent to clients.", "condition")?,
            sasl_failures: counters(registry, "campanile_sasl_failures_total", "SASL failures sent to clients.", "condition")?,
            logins: counters(registry, "campanile_logins_total", "Successful log-ins.", "mechanism")?,
            registrations: counter(registry, "campanile_registrations_total", "Accounts made in a client (XEP-0077).")?,
            tls_failures: counter(registry, "campanile_tls_failures_total", "TLS handshakes that failed or took too long.")?,
            accept_errors: counter(registry, "campanile_accept_errors_total", "Errors of accept(2), as when file descriptors run out.")?,
            timeouts: counters(registry, "campanile_c2s_timeouts_total", "Client streams ended by a timeout.", "kind")?,
            bytes_in: bytes.with_label_values(&["in"]),
            bytes_out: bytes.with_label_values(&["out"]),
            stanzas_in: stanzas.with_label_values(&["in"]),
            stanzas_out: stanzas.with_label_values(&["out"]),
            paused: counter(registry, "campanile_c2s_paused_total", "Times that a stream was not read from because it exceeded its rate.")?,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// Every label is there from the start: what has not happened is 0, and the first time that it does is a rise.
    fn show_zeros(&self) {
        fn show(counters: &IntCounterVec, labels: impl IntoIterator<Item = &'static str>) {
            labels.into_iter().for_each(|label| drop(counters.with_label_values(&[label])));
        }
        for transport in Transport::ALL {
            self.open.with_label_values(&[transport.as_str()]);
        }
        show(&self.opened, Transport::ALL.map(Transport::as_str));
        show(&self.refused, Full::ALL.map(Full::as_str));
        show(&self.mux, MUX);
        show(&self.stream_errors, Condition::ALL.map(Condition::name));
        show(&self.sasl_failures, SaslFailure::NAMES);
        show(&self.logins, Mechanism::ALL.map(Mechanism::name));
        show(&self.timeouts, TIMEOUTS);
    }

    /// A connection has been accepted.
    pub fn open(&self, transport: Transport) -> Open {
        let label = [transport.as_str()];
        self.opened.with_label_values(&label).inc();
        let gauge = self.open.with_label_values(&label);
        gauge.inc();
        Open(gauge)
    }

    /// A connection has been refused at a bound.
    pub fn refused(&self, full: Full) {
        self.refused.with_label_values(&[full.as_str()]).inc();
    }

    /// What a client on the port for everything turned out to speak: `xmpp`, `http`, `turn`; `unknown`, or `none` if it said too little.
    pub fn mux(&self, protocol: &'static str) {
        self.mux.with_label_values(&[protocol]).inc();
    }

    /// A stream error has been sent; `condition` is the name of RFC 6120 §4.9.3.
    pub fn stream_error(&self, condition: &str) {
        self.stream_errors.with_label_values(&[condition]).inc();
    }

    /// A log-in has failed; `condition` is the name of RFC 6120 §6.5.
    pub fn sasl_failure(&self, condition: &str) {
        self.sasl_failures.with_label_values(&[condition]).inc();
    }

    /// A log-in has succeeded.
    pub fn login(&self, mechanism: &str) {
        self.logins.with_label_values(&[mechanism]).inc();
    }

    /// An account was made in a client.
    pub fn registered(&self) {
        self.registrations.inc();
    }

    /// A TLS handshake has failed.
    pub fn tls_failure(&self) {
        self.tls_failures.inc();
    }

    /// `accept` has failed.
    pub fn accept_error(&self) {
        self.accept_errors.inc();
    }

    /// A stream has been ended by a timeout: `negotiation`, `write` or `silence`.
    pub fn timeout(&self, kind: &str) {
        self.timeouts.with_label_values(&[kind]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_prefix_and_the_gauge_returns_to_zero() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let open = metrics.open(Transport::Tcp);
        let text = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text().contains("campanile_connections{transport=\"tcp\"} 1"));
        drop(open);
        assert!(text().contains("campanile_connections{transport=\"tcp\"} 0"));
        assert!(registry.gather().iter().all(|family| family.name().starts_with("campanile_")));
    }

    #[test]
    fn what_has_not_happened_is_shown_as_0() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let samples = || -> usize { registry.gather().iter().map(|family| family.get_metric().len()).sum() };
        let before = samples();
        Condition::ALL.into_iter().for_each(|condition| metrics.stream_error(condition.name()));
        SaslFailure::NAMES.into_iter().for_each(|name| metrics.sasl_failure(name));
        TIMEOUTS.into_iter().for_each(|kind| metrics.timeout(kind));
        Transport::ALL.into_iter().for_each(|transport| drop(metrics.open(transport)));
        MUX.into_iter().for_each(|protocol| metrics.mux(protocol));
        for failure in [SaslFailure::Aborted, SaslFailure::UnknownBinding, SaslFailure::AccountDisabled(None), SaslFailure::Downgraded] {
            metrics.sasl_failure(failure.name());
        }
        assert_eq!(samples(), before, "no label is new");
    }

    #[test]
    fn the_same_registry_takes_them_once() {
        let registry = Registry::new();
        Metrics::new(&registry).unwrap();
        assert!(Metrics::new(&registry).is_err());
    }
}
