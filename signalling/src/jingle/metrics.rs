//! What Prometheus is told of calls. Labels are words of closed lists, never an address.
//!
//! A call is counted when it is one ([`Kind::Call`]): file transfers are followed, but appear in none of these.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

use super::calls::{Calls, Effect, Ignored, Kind};
use super::reason::Outcome;

/// From session-initiate to session-accept, in seconds: a device that answers at once, a person at the telephone.
const SETUP_BUCKETS_S: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0];
/// How long calls last, in seconds.
const DURATION_BUCKETS_S: &[f64] = &[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10_800.0];

/// The metrics of calls.
#[derive(Debug, Clone)]
pub struct CallMetrics {
    active: IntGauge,
    proposed: IntGauge,
    total: IntCounterVec,
    proposals: IntCounterVec,
    setup: Histogram,
    duration: Histogram,
    links: IntCounterVec,
    ignored: IntCounterVec,
}

impl CallMetrics {
    /// Makes the metrics, every label at zero, and registers them.
    ///
    /// # Errors
    /// A metric of that name is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            active: IntGauge::new("campanile_calls_active", "Calls whose Jingle session has begun and not ended")?,
            proposed: IntGauge::new("campanile_calls_proposed", "Calls proposed by message (XEP-0353) that have no session yet")?,
            total: IntCounterVec::new(Opts::new("campanile_calls_total", "Calls that have ended, by what became of them"), &["outcome"])?,
            proposals: IntCounterVec::new(
                Opts::new("campanile_calls_proposals_total", "Proposals (XEP-0353) by what became of them; answered: a device proceeded"),
                &["outcome"],
            )?,
            setup: Histogram::with_opts(
                HistogramOpts::new("campanile_calls_setup_seconds", "From session-initiate to session-accept")
                    .buckets(SETUP_BUCKETS_S.to_vec()),
            )?,
            duration: Histogram::with_opts(
                HistogramOpts::new("campanile_calls_duration_seconds", "From session-accept to the end")
                    .buckets(DURATION_BUCKETS_S.to_vec()),
            )?,
            links: IntCounterVec::new(
                Opts::new(
                    "campanile_calls_relayed_candidates_total",
                    "Relayed addresses named in calls by accounts of this server; own: an allocation of theirs here",
                ),
                &["relay"],
            )?,
            ignored: IntCounterVec::new(
                Opts::new("campanile_calls_stanzas_ignored_total", "Stanzas of Jingle that moved no call; they are routed all the same"),
                &["cause"],
            )?,
        };
        registry.register(Box::new(metrics.active.clone()))?;
        registry.register(Box::new(metrics.proposed.clone()))?;
        registry.register(Box::new(metrics.total.clone()))?;
        registry.register(Box::new(metrics.proposals.clone()))?;
        registry.register(Box::new(metrics.setup.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.links.clone()))?;
        registry.register(Box::new(metrics.ignored.clone()))?;
        for outcome in Outcome::ALL {
            metrics.total.with_label_values(&[outcome.as_str()]);
            metrics.proposals.with_label_values(&[outcome.as_str()]);
        }
        for relay in [true, false] {
            metrics.links.with_label_values(&[relay_label(relay)]);
        }
        for cause in Ignored::ALL {
            metrics.ignored.with_label_values(&[cause.as_str()]);
        }
        Ok(metrics)
    }

    /// Counts an effect.
    pub(super) fn count(&self, effect: &Effect) {
        match effect {
            Effect::ProposalDone { outcome, .. } => self.proposals.with_label_values(&[outcome.as_str()]).inc(),
            Effect::Accepted { kind: Kind::Call, setup, .. } => self.setup.observe(setup.as_secs_f64()),
            Effect::Ended { kind: Kind::Call, outcome, active, .. } => {
                self.total.with_label_values(&[outcome.as_str()]).inc();
                if let Some(active) = active {
                    self.duration.observe(active.as_secs_f64());
                }
            }
            Effect::Ignored(cause) => self.ignored.with_label_values(&[cause.as_str()]).inc(),
            // Links are counted by what the relay says of them, the gauges are read off the table.
            Effect::Started { .. } | Effect::Accepted { .. } | Effect::Ended { .. } | Effect::Link { .. } | Effect::Offered(_) => {}
        }
    }

    /// Counts a relayed candidate: an allocation of its sender here, or an address of another relay.
    pub(super) fn count_link(&self, own: bool) {
        self.links.with_label_values(&[relay_label(own)]).inc();
    }

    /// Shows how many calls there are now.
    pub(super) fn show(&self, calls: &Calls) {
        self.active.set(i64::try_from(calls.in_session()).unwrap_or(i64::MAX));
        self.proposed.set(i64::try_from(calls.proposed()).unwrap_or(i64::MAX));
    }
}

const fn relay_label(own: bool) -> &'static str {
    if own { "own" } else { "other" }
}
