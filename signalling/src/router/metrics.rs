//! What Prometheus is told of sessions.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// What Prometheus is told of the router.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) sessions: IntGauge,
    hibernated: IntGauge,
    resumptions: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// They are registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let sessions = IntGauge::new("campanile_c2s_sessions", "Client sessions that have bound a resource")?;
        let hibernated = IntGauge::new("campanile_c2s_sessions_hibernated", "Those of them that wait for their client to resume them")?;
        let resumptions = Opts::new("campanile_c2s_resumptions_total", "Attempts of clients to resume a session");
        let resumptions = IntCounterVec::new(resumptions, &["result"])?;
        registry.register(Box::new(sessions.clone()))?;
        registry.register(Box::new(hibernated.clone()))?;
        registry.register(Box::new(resumptions.clone()))?;
        for result in ["resumed", "item-not-found", "not-authorized", "handled-count-too-high"] {
            resumptions.with_label_values(&[result]);
        }
        Ok(Self { sessions, hibernated, resumptions })
    }

    pub(super) fn show_hibernated(&self, count: usize) {
        self.hibernated.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn count_resumption(&self, result: &str) {
        self.resumptions.with_label_values(&[result]).inc();
    }
}
