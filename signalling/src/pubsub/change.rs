//! What a command changes of a node. The store writes the changes of one command in one transaction, then the node in memory takes them over: neither
//! ever sees half a command.

use std::time::SystemTime;

use super::config::NodeConfig;
use super::model::{Affiliation, Item, Node, Subscription};
use crate::jid::{BareJid, Jid};

/// One change of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The node comes to be, with affiliations and subscriptions; a redirection that its name had is gone.
    Create(Box<Node>),
    /// The node is gone with all it has; those who look for it are sent to `redirect`, a URI, if there is one (§8.4). Nodes that had it as a
    /// collection have one less.
    Delete {
        /// `xmpp:` URI of another node.
        redirect: Option<String>,
    },
    /// The configuration is another one. What exceeds it goes: items beyond `max_items`, items past `item_expire`, all items of a node that does not
    /// persist them any more.
    Configure(Box<NodeConfig>),
    /// An affiliation; `Affiliation::None` takes it away.
    Affiliate(BareJid, Affiliation),
    /// A subscription, new or in the place of the one with its JID and subid.
    Subscribe(Box<Subscription>),
    /// A subscription ends.
    Unsubscribe {
        /// Whose.
        jid: Jid,
        /// Which of them.
        subid: String,
    },
    /// Items are published, in order: each is now the newest, in the place of the one with its id. They are stored if `persist`, and with each the
    /// oldest go while there are more than `max_items`.
    Publish {
        /// The items.
        items: Vec<Item>,
        /// `pubsub#persist_items` of the node.
        persist: bool,
        /// `pubsub#max_items` of the node, resolved.
        max_items: usize,
        /// When they expire (`pubsub#item_expire`).
        expires_at: Option<SystemTime>,
    },
    /// Items are gone, by their ids.
    Retract(Vec<String>),
    /// All items are gone.
    Purge,
}

impl Change {
    /// Whether the database has anything to write down.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !matches!(self, Self::Publish { persist: false, .. })
    }
}
