//! Who may do what with a node: XEP-0060 §4.1 and §4.5 as plain functions of affiliation, subscription and relation. Pure.

use super::config::{AccessModel, PublishModel};
use super::context::Relation;
use super::error;
use super::model::{Affiliation, Node, ServiceKind, Subscription, SubscriptionState};
use crate::jid::{BareJid, Jid};
use crate::stanza::error::StanzaError;

/// What becomes of a subscription request that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It holds at once.
    Subscribed,
    /// An owner has to approve it (§6.1.4).
    Pending,
}

impl Node {
    /// The affiliation of an entity.
    #[must_use]
    pub fn affiliation(&self, jid: &BareJid) -> Affiliation {
        self.affiliations.get(jid).copied().unwrap_or(Affiliation::None)
    }

    /// Its owners.
    pub fn owners(&self) -> impl Iterator<Item = &BareJid> {
        self.affiliations.iter().filter(|(_, affiliation)| **affiliation == Affiliation::Owner).map(|(jid, _)| jid)
    }

    /// Subscriptions of an account, whichever resource.
    pub fn subscriptions_of(&self, account: &BareJid) -> impl Iterator<Item = &Subscription> {
        // By address: the account itself, then, not always right behind it, its resources.
        let bare = self.subscriptions.range((Jid::from(account), String::new())..);
        let bare = bare.take_while(move |((jid, _), _)| jid.as_str() == account.as_str());
        let start = format!("{account}/");
        let full = account.with_resource("!").ok().map(|first| (Jid::from(first), String::new()));
        let full = full.into_iter().flat_map(|first| self.subscriptions.range(first..));
        let full = full.take_while(move |((jid, _), _)| jid.as_str().starts_with(&start));
        bare.chain(full).map(|(_, subscription)| subscription)
    }

    /// Whether an account has a subscription that holds.
    fn is_subscribed(&self, account: &BareJid) -> bool {
        self.subscriptions_of(account).any(|subscription| subscription.state == SubscriptionState::Subscribed)
    }
}

/// Whether an entity may do what owners may: §8.
#[must_use]
pub fn owns(node: &Node, requester: &Jid, relation: &Relation) -> bool {
    relation.administers || node.affiliations.get(requester.bare_str()) == Some(&Affiliation::Owner)
}

/// The same as an answer.
///
/// # Errors
/// `forbidden`.
pub fn must_own(node: &Node, requester: &Jid, relation: &Relation) -> Result<(), StanzaError> {
    if owns(node, requester, relation) { Ok(()) } else { Err(StanzaError::forbidden()) }
}

/// Whether the access model lets in an entity that is neither let in nor kept out by its affiliation. `Ok` of the models that look at the
/// subscription itself means that there may be one.
fn model(node: &Node, relation: &Relation) -> Result<(), StanzaError> {
    match node.config.access_model {
        AccessModel::Open | AccessModel::Authorize => Ok(()),
        AccessModel::Presence if relation.sees_presence => Ok(()),
        AccessModel::Presence => Err(error::presence_subscription_required()),
        AccessModel::Roster
            if relation.sees_presence && relation.groups.iter().any(|group| node.config.roster_groups_allowed.contains(group)) =>
        {
            Ok(())
        }
        AccessModel::Roster => Err(error::not_in_roster_group()),
        AccessModel::Whitelist => Err(error::closed_node()),
    }
}

/// Whether an entity may subscribe: §6.1.3.
///
/// # Errors
/// The error that answers a request that it may not make.
pub fn may_subscribe(node: &Node, subscriber: &BareJid, relation: &Relation) -> Result<Grant, StanzaError> {
    let affiliation = node.affiliation(subscriber);
    if matches!(affiliation, Affiliation::Outcast | Affiliation::PublishOnly) && !relation.administers {
        return Err(StanzaError::forbidden());
    }
    if !node.config.subscribe {
        return Err(error::unsupported("subscribe"));
    }
    if relation.administers || matches!(affiliation, Affiliation::Owner | Affiliation::Publisher | Affiliation::Member) {
        return Ok(Grant::Subscribed);
    }
    model(node, relation)?;
    Ok(if node.config.access_model == AccessModel::Authorize { Grant::Pending } else { Grant::Subscribed })
}

/// Whether an entity may retrieve items: §6.5.1, §6.5.9.
///
/// # Errors
/// The error that answers a request that it may not make.
pub fn may_retrieve(node: &Node, requester: &Jid, relation: &Relation) -> Result<(), StanzaError> {
    if relation.administers {
        return Ok(());
    }
    let requester = requester.to_bare();
    match node.affiliation(&requester) {
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => Ok(()),
        Affiliation::PublishOnly | Affiliation::Outcast => Err(StanzaError::forbidden()),
        Affiliation::None => {
            model(node, relation)?;
            if node.config.access_model == AccessModel::Authorize && !node.is_subscribed(&requester) {
                return Err(error::not_subscribed_to_retrieve());
            }
            Ok(())
        }
    }
}

/// Whether a subscriber may still be one, by the access model and its affiliation: asked for each notification where access rests on presence or
/// roster, and when either changes (§12.14, §14.3).
#[must_use]
pub fn may_receive(node: &Node, subscriber: &BareJid, relation: &Relation) -> bool {
    match node.affiliation(subscriber) {
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => true,
        Affiliation::PublishOnly | Affiliation::Outcast => relation.administers,
        Affiliation::None => relation.administers || model(node, relation).is_ok(),
    }
}

/// Whether what [`may_receive`] says depends on the relation at all: with the other models, whoever is subscribed may be.
#[must_use]
pub fn depends_on_relation(node: &Node) -> bool {
    matches!(node.config.access_model, AccessModel::Presence | AccessModel::Roster)
}

/// Whether an entity may publish: §7.1.3.1.
///
/// # Errors
/// The error that answers a request that it may not make.
pub fn may_publish(node: &Node, requester: &Jid, relation: &Relation) -> Result<(), StanzaError> {
    let requester = requester.to_bare();
    let may = relation.administers
        || match node.affiliation(&requester) {
            Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly => true,
            Affiliation::Outcast => false,
            Affiliation::Member | Affiliation::None => match node.config.publish_model {
                PublishModel::Publishers => false,
                PublishModel::Subscribers => node.is_subscribed(&requester),
                PublishModel::Open => true,
            },
        };
    if may { Ok(()) } else { Err(StanzaError::forbidden()) }
}

/// Whether an entity may put an item in the place of another one's: owners and publishers (§7.1.3, note). To others that would be what
/// [`may_retract`] does not allow.
#[must_use]
pub fn may_overwrite(node: &Node, requester: &Jid, relation: &Relation) -> bool {
    relation.administers || matches!(node.affiliation(&requester.to_bare()), Affiliation::Owner | Affiliation::Publisher)
}

/// Whether an entity may delete an item: owners any, everybody else what it has published itself (§4.1, §7.2.3.1).
#[must_use]
pub fn may_retract(node: &Node, requester: &Jid, relation: &Relation, publisher: &Jid) -> bool {
    owns(node, requester, relation)
        || publisher.bare_str() == requester.bare_str() && node.affiliations.get(requester.bare_str()) != Some(&Affiliation::Outcast)
}

/// Whether an entity may know that the node exists: service discovery lists what it may subscribe to or retrieve from (XEP-0163 §6.2), and at hosts
/// what it may publish to (§5.2).
#[must_use]
pub fn may_discover(node: &Node, requester: &Jid, relation: &Relation) -> bool {
    may_retrieve(node, requester, relation).is_ok()
        || may_subscribe(node, &requester.to_bare(), relation).is_ok()
        || node.service == ServiceKind::Host && may_publish(node, requester, relation).is_ok()
}

#[cfg(test)]
mod tests;
