//! Who hears of a node of an account without a subscription: XEP-0163 §4.

use crate::homes::Home;
use crate::jid::Jid;
use crate::pubsub::model::Node;
use crate::router::Router;

/// Who hears of a node without a subscription.
#[derive(Debug, Default)]
pub struct Implicit {
    /// Full JIDs that see the owner's presence.
    pub contacts: Vec<Jid>,
    /// Full JIDs that do not.
    pub visitors: Vec<Jid>,
}

impl Implicit {
    /// Those for whom this node is.
    pub fn of(_router: &Router, _owner: &Home, _node: &Node) -> Self {
        Self::default()
    }

    /// Whether an explicit subscription is one of these, too.
    pub fn covers(&self, _subscriber: &Jid) -> bool {
        false
    }
}
