//! What Prometheus is told of publish-subscribe.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::change::Change;
use super::model::ServiceKind;

/// What Prometheus is told of publish-subscribe.
#[derive(Clone, Debug)]
pub struct Metrics {
    publications: IntCounterVec,
    pub(super) notifications: IntCounter,
    pub(super) waits: IntCounter,
    pub(super) bounces: IntCounter,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// They are registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let publications = Opts::new("campanile_pubsub_publications_total", "Items published, at hosts and at accounts");
        let publications = IntCounterVec::new(publications, &["service"])?;
        let notifications = IntCounter::new("campanile_pubsub_notifications_total", "Messages that tell subscribers of events")?;
        let waits = "Requests that had to wait since more notifications of their node were under way than may be";
        let waits = IntCounter::new("campanile_pubsub_outbox_waits_total", waits)?;
        let bounces = IntCounter::new("campanile_pubsub_bounces_total", "Notifications that came back as errors")?;
        registry.register(Box::new(publications.clone()))?;
        for counter in [&notifications, &waits, &bounces] {
            registry.register(Box::new(counter.clone()))?;
        }
        for kind in [ServiceKind::Host, ServiceKind::Pep] {
            publications.with_label_values(&[label(kind)]);
        }
        Ok(Self { publications, notifications, waits, bounces })
    }

    pub(super) fn count(&self, kind: ServiceKind, changes: &[Change]) {
        for change in changes {
            if let Change::Publish { items, .. } = change {
                self.publications.with_label_values(&[label(kind)]).inc_by(items.len() as u64);
            }
        }
    }
}

fn label(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Host => "host",
        ServiceKind::Pep => "account",
    }
}
