//! XEP-0060 §8.8: subscriptions as an owner manages them.

use std::collections::BTreeMap;

use super::{Outcome, PAGE_MAX, must_own, owner_reply};
use crate::ns;
use crate::pubsub::access;
use crate::pubsub::change::Change;
use crate::pubsub::context::Context;
use crate::pubsub::event::Notification;
use crate::pubsub::model::{Node, Subscription, SubscriptionState};
use crate::pubsub::options::SubscribeOptions;
use crate::pubsub::reply::{self, Reply};
use crate::pubsub::request::SubscriptionChange;
use crate::rsm;
use crate::stanza::error::StanzaError;

/// New subscriptions by one request: how many the subscriber has already is looked up for each.
pub(super) const NEW_MAX: usize = 100;

/// §8.8.1: those that wait for approval are not in the list.
pub(super) fn list(node: &Node, page: &rsm::Request, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let name = &node.address.node;
    let all: Vec<_> = node
        .subscriptions
        .values()
        .filter(|one| matches!(one.state, SubscriptionState::Subscribed | SubscriptionState::Unconfigured))
        .collect();
    let page = rsm::page(&all, |one| &one.subid, page, PAGE_MAX)?;
    let reply = owner_reply(|out| {
        out.open("subscriptions").attr("node", name);
        for one in page.entries {
            reply::write_subscription(out, None, one, one.state);
        }
        out.close();
        page.answer.iter().for_each(|answer| answer.write(out));
    });
    Ok(Outcome::new(name, reply))
}

/// §8.8.2: what can be done is done, and the rest is named in the error (§8.8.2.4).
pub(super) fn set(node: &Node, changes: &[SubscriptionChange], context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    let mut work = Work { node, context, count: node.subscriptions.len() as u64, now: BTreeMap::new() };
    let mut failed = Vec::new();
    for change in changes {
        match work.set(change) {
            Some((changes, notifications)) => {
                outcome.changes.extend(changes);
                outcome.notifications.extend(notifications);
            }
            None => failed.push(change),
        }
    }
    if !failed.is_empty() {
        let payload = reply::pubsub(ns::PUBSUB_OWNER, |out| {
            out.open("subscriptions").attr("node", &node.address.node);
            for change in failed {
                let is = original(node, change);
                out.open("subscription").attr("jid", change.jid.as_str()).attr_opt("subid", change.subid.as_deref());
                out.attr("subscription", is.map_or(SubscriptionState::None, |is| is.state).name()).close();
            }
            out.close();
        });
        outcome.reply = Reply::Partly(StanzaError { payload: Some(Box::new(payload)), ..StanzaError::not_acceptable() });
    }
    Ok(outcome)
}

fn original<'n>(node: &'n Node, change: &'n SubscriptionChange) -> Option<&'n Subscription> {
    super::subscribe::of_jid(node, &change.jid).find(|one| change.subid.as_ref().is_none_or(|subid| one.subid == *subid))
}

/// The list while it is changed.
struct Work<'a> {
    node: &'a Node,
    context: &'a Context<'a>,
    count: u64,
    /// What was changed: `None` is gone.
    now: BTreeMap<(crate::jid::Jid, String), Option<Subscription>>,
}

impl Work<'_> {
    /// What one entry changes; `None` if it cannot be.
    fn set(&mut self, change: &SubscriptionChange) -> Option<(Vec<Change>, Vec<Notification>)> {
        let found = self.find(change);
        let (mut changes, mut notifications) = (Vec::new(), Vec::new());
        match change.state {
            // It is none.
            SubscriptionState::None if found.is_empty() && change.subid.is_none() => {}
            SubscriptionState::None if !found.is_empty() => {
                for one in found {
                    let (ends, told) = self.node.end_subscription(&one);
                    changes.extend(ends);
                    notifications.extend(told);
                    self.now.insert((one.jid, one.subid), None);
                    self.count -= 1;
                }
            }
            SubscriptionState::Subscribed if found.is_empty() && change.subid.is_none() => {
                let new = self.new_subscription(change)?;
                let (change, told) = self.node.approve(&new, self.context);
                changes.push(change);
                notifications.extend(told);
                self.now.insert((new.jid.clone(), new.subid.clone()), Some(new));
                self.count += 1;
            }
            SubscriptionState::Subscribed if !found.is_empty() => {
                for one in found.into_iter().filter(|one| one.state != SubscriptionState::Subscribed) {
                    if !self.may_have(&one.jid.to_bare()) {
                        return None;
                    }
                    let (change, told) = self.node.approve(&one, self.context);
                    changes.push(change);
                    notifications.extend(told);
                    self.now
                        .insert((one.jid.clone(), one.subid.clone()), Some(Subscription { state: SubscriptionState::Subscribed, ..one }));
                }
            }
            // As it is already; no owner makes a subscription wait for itself or for its subscriber.
            state if !found.is_empty() && found.iter().all(|one| one.state == state) => {}
            _ => return None,
        }
        Some((changes, notifications))
    }

    /// Subscriptions that an entry means, as they are by now.
    fn find(&self, change: &SubscriptionChange) -> Vec<Subscription> {
        let wanted = |one: &&Subscription| change.subid.as_ref().is_none_or(|subid| one.subid == *subid);
        let before = super::subscribe::of_jid(self.node, &change.jid).filter(wanted);
        let before = before.filter(|one| !self.now.contains_key(&(one.jid.clone(), one.subid.clone())));
        let changed = self.now.range((change.jid.clone(), String::new())..).take_while(|((jid, _), _)| *jid == change.jid);
        before.chain(changed.filter_map(|(_, one)| one.as_ref()).filter(wanted)).cloned().collect()
    }

    /// §14.3: an owner's word is the approval that `authorize` wants; the other access models are for owners, too.
    fn may_have(&self, account: &crate::jid::BareJid) -> bool {
        access::may_receive(self.node, account, &Node::relation(self.context, account))
    }

    /// An owner gives nobody more than half of the subscriptions that one may have: the rest is for what it asks for itself.
    fn new_subscription(&self, change: &SubscriptionChange) -> Option<Subscription> {
        let account = change.jid.to_bare();
        let limits = self.context.limits;
        // What was not looked up is too many of them.
        let has = *self.context.facts.subscriptions.get(&account)?;
        let new = self.now.iter().filter(|((jid, _), one)| one.is_some() && jid.bare_str() == account.as_str()).count() as u64;
        if !self.may_have(&account) || self.count >= limits.subscriptions || has + new >= limits.subscriptions_per_account / 2 {
            return None;
        }
        Some(Subscription {
            jid: change.jid.clone(),
            subid: (self.context.fresh_id)(),
            state: SubscriptionState::Subscribed,
            options: SubscribeOptions::new(),
        })
    }
}
