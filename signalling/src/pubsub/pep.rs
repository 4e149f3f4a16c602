//! XEP-0163: accounts as publish-subscribe services.

use super::host;
use crate::iq::{Identity, IqTable, To};

/// §5 and §6.1, XEP-0060 §9: what only accounts do, and their default access model.
const FEATURES: &[&str] = &[
    "http://jabber.org/protocol/pubsub#access-presence",
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#presence-subscribe",
    "http://jabber.org/protocol/pubsub#pubsub-on-a-jid",
];

/// Announces what accounts do, to themselves and to those who see their presence.
pub(super) fn announce(table: &mut IqTable) {
    for to in [To::Account, To::Contact] {
        table.identity(to, Identity { category: "pubsub", kind: "pep", name: "" });
        for feature in host::features().chain(FEATURES.iter().copied()) {
            table.feature(to, feature);
        }
    }
}
