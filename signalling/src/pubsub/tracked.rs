//! Which node a message came from, so that one that comes back finds its way (XEP-0060 §12.4).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::model::NodeAddress;

/// Messages of which it is remembered which node they came from.
const TRACKED_MAX: usize = 10_000;

/// Which node a message came from, by its id: what comes back says no more than that (§12.4).
#[derive(Debug, Default)]
pub(super) struct Tracked(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    from: HashMap<String, NodeAddress>,
    order: VecDeque<String>,
}

impl Tracked {
    /// A message of this id has come from this node.
    pub fn note(&self, id: String, address: &NodeAddress) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.from.insert(id.clone(), address.clone());
        sent.order.push_back(id);
        if sent.order.len() > TRACKED_MAX
            && let Some(oldest) = sent.order.pop_front()
        {
            sent.from.remove(&oldest);
        }
    }

    /// The node from which the message of this id came.
    pub fn node_of(&self, id: &str) -> Option<NodeAddress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).from.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::BareJid;

    #[test]
    fn s12_4_the_latest_messages_are_remembered() {
        let tracked = Tracked::default();
        let address = NodeAddress { service: BareJid::parse("pubsub.localhost").unwrap(), node: "n".to_owned() };
        for number in 0..=TRACKED_MAX {
            tracked.note(number.to_string(), &address);
        }
        assert_eq!(tracked.node_of("0"), None);
        assert_eq!(tracked.node_of("1"), Some(address));
    }
}
