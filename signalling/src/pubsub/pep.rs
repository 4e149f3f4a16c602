//! XEP-0163: accounts as publish-subscribe services. What XEP-0222 and XEP-0223 keep there, public and private, is configured by publish-options
//! (XEP-0060 §7.1.5).

use super::access;
use super::config::AccessModel;
use super::context::Relation;
use super::error;
use super::host;
use super::model::{Affiliation, Node};
use super::request::{Action, Request};
use crate::iq::{Identity, IqTable, To};
use crate::jid::{BareJid, Jid};
use crate::stanza::error::StanzaError;

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

/// What a stranger is told whose request is refused: the same, whether there is such a node, and such an account, or not. `None` for the account
/// itself, for contacts who see its presence, for whoever has something to do with the node, and for nodes that show themselves.
pub(super) fn told_to_strangers(
    account: &BareJid,
    exists: bool,
    node: Option<&Node>,
    requester: &Jid,
    relation: &Relation,
    request: &Request,
) -> Option<StanzaError> {
    let bare = requester.to_bare();
    if bare == *account || (exists && relation.sees_presence) {
        return None;
    }
    if let Some(node) = node {
        let has_part = node.affiliation(&bare) != Affiliation::None || node.subscriptions_of(&bare).next().is_some();
        let shows = node.config.access_model == AccessModel::Authorize || access::may_discover(node, requester, relation);
        if has_part || shows {
            return None;
        }
    }
    Some(match request.action {
        Action::Subscribe { .. }
        | Action::Unsubscribe { .. }
        | Action::Options { .. }
        | Action::SetOptions { .. }
        | Action::Items(_)
        | Action::Subscriptions
        | Action::Affiliations => error::presence_subscription_required(),
        _ => StanzaError::forbidden(),
    })
}
