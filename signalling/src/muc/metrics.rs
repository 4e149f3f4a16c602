//! What Prometheus is told of rooms.

use prometheus::{IntCounter, Registry};

/// What Prometheus is told of rooms.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) messages: IntCounter,
    pub(super) delivered: IntCounter,
    pub(super) joins: IntCounter,
    pub(super) waits: IntCounter,
    pub(super) unreachable: IntCounter,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// They are registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("campanile_muc_{name}_total"), help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        Ok(Self {
            messages: counter("messages", "Messages to all who are in a room, as far as rooms have taken them")?,
            delivered: counter("deliveries", "Stanzas that rooms have sent, each recipient counted")?,
            joins: counter("joins", "Sessions that have entered a room")?,
            waits: counter(
                "outbox_waits",
                "Stanzas that had to wait since more of the same sender's were under way in their room than may be",
            )?,
            unreachable: counter("unreachable", "Stanzas of rooms that came back from occupants as errors")?,
        })
    }
}
