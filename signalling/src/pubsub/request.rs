//! What is asked of a service: the elements of both namespaces of XEP-0060, and of XEP-0248 §7, as values. Pure.

mod read;

use bytes::Bytes;

use super::model::{Affiliation, SubscriptionState};
use crate::forms::Form;
use crate::jid::{BareJid, Jid};
use crate::rsm;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The node asked for, where one is named. An empty name is none.
    pub node: Option<String>,
    /// What is asked.
    pub action: Action,
}

/// A request's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// §5.6: the requester's subscriptions, at the node or everywhere.
    Subscriptions,
    /// §5.7: the requester's affiliations, at the node or everywhere.
    Affiliations,
    /// §6.1.
    Subscribe {
        /// Who is to be subscribed.
        jid: Jid,
        /// §6.3.7: options that come along.
        options: Option<Form>,
    },
    /// §6.2.
    Unsubscribe {
        /// Whose subscription.
        jid: Jid,
        /// Which of them.
        subid: Option<String>,
    },
    /// §6.3.2: the form.
    Options {
        /// Whose subscription.
        jid: Jid,
        /// Which of them.
        subid: Option<String>,
    },
    /// §6.3.5: the form filled in.
    SetOptions {
        /// Whose subscription.
        jid: Jid,
        /// Which of them.
        subid: Option<String>,
        /// The form.
        form: Form,
    },
    /// §6.4: the options of a subscription that comes without.
    DefaultOptions,
    /// §6.5.
    Items(ItemsRequest),
    /// §7.1.
    Publish {
        /// The items, in order.
        items: Vec<NewItem>,
        /// §7.1.5.
        options: Option<Form>,
    },
    /// §7.2.
    Retract {
        /// ItemIDs.
        ids: Vec<String>,
        /// Subscribers are to be told; `None`: as the node is configured.
        notify: Option<bool>,
    },
    /// §8.1; without a node, an instant one.
    Create {
        /// §8.1.3.
        form: Option<Form>,
    },
    /// §8.2.1: the form.
    Configuration,
    /// §8.2.4: the form filled in, or cancelled.
    Configure(Form),
    /// §8.3: the configuration of a node that comes without.
    DefaultConfiguration {
        /// XEP-0248 §7.3: of a collection.
        collection: bool,
    },
    /// §8.4.
    Delete {
        /// Where to look instead: a URI.
        redirect: Option<String>,
    },
    /// §8.5.
    Purge,
    /// §8.6: an owner's answer to a subscription request; it comes in a message.
    Decide {
        /// Whose subscription.
        jid: Jid,
        /// Which of them.
        subid: Option<String>,
        /// Whether it is approved.
        allow: bool,
    },
    /// §8.7: an owner wants the pending requests sent again; it comes as an ad-hoc command.
    Pending,
    /// §8.8.1: all of the node, page by page.
    AllSubscriptions(rsm::Request),
    /// §8.8.2.
    SetSubscriptions(Vec<SubscriptionChange>),
    /// §8.9.1: all of the node, page by page.
    AllAffiliations(rsm::Request),
    /// §8.9.2.
    SetAffiliations(Vec<(BareJid, Affiliation)>),
    /// XEP-0248 §7.5: the node becomes a collection of another one.
    Associate {
        /// The other one.
        child: String,
    },
    /// XEP-0248 §7.6.
    Dissociate {
        /// The other one.
        child: String,
    },
}

/// Which items are wanted: §6.5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemsRequest {
    /// Under which subscription (§6.5.9.1).
    pub subid: Option<String>,
    /// §6.5.7: only the newest.
    pub max_items: Option<u64>,
    /// §6.5.8: these alone.
    pub ids: Vec<String>,
    /// §6.5.4.
    pub rsm: Option<rsm::Request>,
}

/// An item to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    /// `None`: the service gives one.
    pub id: Option<String>,
    /// The payload element, self-contained as to namespaces.
    pub payload: Option<Bytes>,
    /// The namespace of the payload element.
    pub payload_ns: String,
}

/// What an owner wants of a subscription: §8.8.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// Whose.
    pub jid: Jid,
    /// Which of them; `None`: all of that JID, or a new one.
    pub subid: Option<String>,
    /// Its state from now on.
    pub state: SubscriptionState,
}

#[cfg(test)]
mod tests;
