//! Errors of XEP-0060: a defined condition of RFC 6120 with one of `http://jabber.org/protocol/pubsub#errors`. Pure.

use std::borrow::Cow;

use crate::ns;
use crate::stanza::error::{Condition, ErrorType, StanzaError};
use crate::xml::XmlWriter;

/// Declares errors as functions, so that each stands in one line.
macro_rules! errors {
    ($($(#[$doc:meta])* $function:ident: $condition:ident $type_:ident $name:literal;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $function() -> StanzaError {
                with(Condition::$condition, ErrorType::$type_, $name, None)
            }
        )*
    };
}

errors! {
    /// §6.1.3.1: the JID is another entity's, or none.
    invalid_jid: BadRequest Modify "invalid-jid";
    /// §6.1.3.2, §6.5.9.6.
    presence_subscription_required: NotAuthorized Auth "presence-subscription-required";
    /// §6.1.3.3, §6.5.9.7.
    not_in_roster_group: NotAuthorized Auth "not-in-roster-group";
    /// §6.1.3.4, §6.5.9.8: not on the whitelist.
    closed_node: NotAllowed Cancel "closed-node";
    /// §6.1.3.7.
    pending_subscription: NotAuthorized Auth "pending-subscription";
    /// §6.1.3.9.
    too_many_subscriptions: PolicyViolation Wait "too-many-subscriptions";
    /// §6.2.3.1, §6.3.4.4, §6.5.9.1.
    subid_required: BadRequest Modify "subid-required";
    /// §6.2.3.2: there is nothing to unsubscribe from.
    not_subscribed: UnexpectedRequest Cancel "not-subscribed";
    /// §6.3.4.2: there is no subscription to configure.
    no_subscription_to_configure: UnexpectedRequest Modify "not-subscribed";
    /// §6.5.9.3: only subscribers may retrieve items.
    not_subscribed_to_retrieve: NotAuthorized Auth "not-subscribed";
    /// §6.2.3.5, §6.3.4.5, §6.5.9.2.
    invalid_subid: NotAcceptable Modify "invalid-subid";
    /// §6.3.4.3.
    jid_required: BadRequest Modify "jid-required";
    /// §6.3.6.2.
    invalid_options: BadRequest Modify "invalid-options";
    /// XEP-0248 §7.2.3: what the graph of nodes does not allow.
    invalid_graph: NotAllowed Cancel "invalid-options";
    /// XEP-0248 §7.2.3.3.
    max_nodes_exceeded: NotAllowed Cancel "max-nodes-exceeded";
    /// An owner has as many nodes as `[limits]` allows.
    too_many_nodes: PolicyViolation Wait "max-nodes-exceeded";
    /// §7.1.3.4.
    node_full: Conflict Cancel "node-full";
    /// §7.1.3.5.
    payload_too_big: NotAcceptable Modify "payload-too-big";
    /// §7.1.3.6.
    invalid_payload: BadRequest Modify "invalid-payload";
    /// §7.1.3.7, §7.2.3.4.
    item_required: BadRequest Modify "item-required";
    /// §7.1.3.7.
    payload_required: BadRequest Modify "payload-required";
    /// §7.1.3.7.
    item_forbidden: BadRequest Modify "item-forbidden";
    /// §7.1.5.
    precondition_not_met: Conflict Cancel "precondition-not-met";
    /// §7.2.3.3, §8.2.3.3.
    nodeid_required: BadRequest Modify "nodeid-required";
    /// §8.1.2.
    unsupported_access_model: NotAcceptable Modify "unsupported-access-model";
    /// §12.11.
    max_items_exceeded: NotAllowed Cancel "max-items-exceeded";
}

/// A feature of §10 that a node does not support.
#[must_use]
pub fn unsupported(feature: &str) -> StanzaError {
    with(Condition::FeatureNotImplemented, ErrorType::Cancel, "unsupported", Some(feature))
}

/// §6.1.3.11: the node is somewhere else for good; `uri` is what its owner said when deleting it (§8.4.1).
#[must_use]
pub fn gone(uri: impl Into<Box<str>>) -> StanzaError {
    StanzaError { address: Some(uri.into()), ..StanzaError::new(Condition::Gone, ErrorType::Modify) }
}

/// §8.2.5.2: a configuration that cannot be.
pub(super) fn unacceptable(text: impl Into<Cow<'static, str>>) -> StanzaError {
    StanzaError::not_acceptable().with_text(text)
}

fn with(condition: Condition, type_: ErrorType, name: &str, feature: Option<&str>) -> StanzaError {
    let mut extra = XmlWriter::new();
    extra.open(name).ns(ns::PUBSUB_ERRORS).attr_opt("feature", feature).close();
    StanzaError { extra: Some(extra.finish()), ..StanzaError::new(condition, type_) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(error: &StanzaError) -> String {
        let mut out = XmlWriter::new();
        error.write(&mut out);
        String::from_utf8(out.finish().to_vec()).unwrap()
    }

    #[test]
    fn errors_are_written_as_in_the_examples() {
        for (error, expected) in [
            (
                invalid_jid(),
                "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                <invalid-jid xmlns='http://jabber.org/protocol/pubsub#errors'/></error>",
            ),
            (
                unsupported("publish"),
                "<error type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                <unsupported xmlns='http://jabber.org/protocol/pubsub#errors' feature='publish'/></error>",
            ),
            (
                gone("xmpp:pubsub.shakespeare.lit?;node=some-other-node"),
                "<error type='modify'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>\
                xmpp:pubsub.shakespeare.lit?;node=some-other-node</gone></error>",
            ),
        ] {
            assert_eq!(written(&error), expected);
        }
    }
}
