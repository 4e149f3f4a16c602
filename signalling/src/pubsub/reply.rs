//! Answers: the payload of results. Pure.

use bytes::Bytes;

use super::model::{Affiliation, Item, Node, Subscription, SubscriptionState};
use super::request::ItemsRequest;
use crate::jid::BareJid;
use crate::ns;
use crate::rsm;
use crate::stanza::error::StanzaError;
use crate::xml::XmlWriter;

/// What answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A result without payload.
    Empty,
    /// A result with this payload.
    Payload(Bytes),
    /// These items, which the store has: [`items`] writes them. At a collection, those of the leaf nodes below it (XEP-0248 §6.2).
    Items(ItemsRequest),
    /// An error that names what could not be done; the rest of the request is done nevertheless (§8.8.2.4, §8.9.2.4).
    Partly(StanzaError),
}

/// `<pubsub/>` with what `content` writes into it.
pub(super) fn pubsub(ns: &str, content: impl FnOnce(&mut XmlWriter)) -> Bytes {
    let mut out = XmlWriter::new();
    out.open("pubsub").ns(ns);
    content(&mut out);
    out.finish()
}

/// `<subscription/>`; §6.1.6: with its SubID whenever it is shown.
pub(super) fn write_subscription(out: &mut XmlWriter, node: Option<&str>, subscription: &Subscription, state: SubscriptionState) {
    out.open("subscription").attr_opt("node", node).attr("jid", subscription.jid.as_str());
    out.attr("subid", &subscription.subid).attr("subscription", state.name()).close();
}

/// §5.6: subscriptions of one entity, each with its node; `node` if only that one was asked for.
#[must_use]
pub fn subscriptions(node: Option<&str>, subscriptions: &[(String, Subscription)]) -> Bytes {
    pubsub(ns::PUBSUB, |out| {
        out.open("subscriptions").attr_opt("node", node);
        for (node, subscription) in subscriptions {
            write_subscription(out, Some(node), subscription, subscription.state);
        }
        out.close();
    })
}

/// §5.7: affiliations of one entity, each with its node; `node` if only that one was asked for.
#[must_use]
pub fn affiliations(node: Option<&str>, affiliations: &[(String, Affiliation)]) -> Bytes {
    pubsub(ns::PUBSUB, |out| {
        out.open("affiliations").attr_opt("node", node);
        for (node, affiliation) in affiliations {
            out.open("affiliation").attr("node", node).attr("affiliation", affiliation.name()).close();
        }
        out.close();
    })
}

/// §8.9.1.2, §8.9.2.4.
pub(super) fn write_affiliation(out: &mut XmlWriter, jid: &BareJid, affiliation: Affiliation) {
    out.open("affiliation").attr("jid", jid.as_str()).attr("affiliation", affiliation.name()).close();
}

/// Items of one node, oldest first.
#[derive(Debug)]
pub struct NodeItems<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its items.
    pub items: &'a [Item],
}

/// §6.5, XEP-0248 §6.2: items, and the page that they are.
#[must_use]
pub fn items(nodes: &[NodeItems<'_>], page: Option<&rsm::Answer>) -> Bytes {
    pubsub(ns::PUBSUB, |out| {
        for NodeItems { node, items } in nodes {
            out.open("items").attr("node", &node.address.node);
            for item in *items {
                node.retrieved(item).write(out);
            }
            out.close();
        }
        if let Some(page) = page {
            page.write(out);
        }
    })
}
