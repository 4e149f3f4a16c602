//! XEP-0060 §4.1, §5.7 and §8.9: affiliations.

use super::{Outcome, PAGE_MAX, must_own, owner_reply};
use crate::jid::BareJid;
use crate::ns;
use crate::pubsub::access;
use crate::pubsub::change::Change;
use crate::pubsub::context::Context;
use crate::pubsub::event::{Audience, EventKind, Notification};
use crate::pubsub::model::{Affiliation, Node, ServiceKind, SubscriptionState};
use crate::pubsub::reply::{self, Reply};
use crate::rsm;
use crate::stanza::error::StanzaError;

/// Affiliations of one node.
const AFFILIATIONS_MAX: usize = 2_000;

/// §5.7, of one node.
pub(super) fn own(node: &Node, context: &Context<'_>) -> Outcome {
    let name = &node.address.node;
    let own = match node.affiliation(&context.requester.to_bare()) {
        Affiliation::None => Vec::new(),
        affiliation => vec![(name.clone(), affiliation)],
    };
    Outcome::new(name, Reply::Payload(reply::affiliations(None, &own)))
}

/// §8.9.1.
pub(super) fn list(node: &Node, page: &rsm::Request, context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let name = &node.address.node;
    let all: Vec<_> = node.affiliations.iter().collect();
    let page = rsm::page(&all, |(jid, _)| jid.as_str(), page, PAGE_MAX)?;
    let reply = owner_reply(|out| {
        out.open("affiliations").attr("node", name);
        for (jid, affiliation) in page.entries {
            reply::write_affiliation(out, jid, **affiliation);
        }
        out.close();
        page.answer.iter().for_each(|answer| answer.write(out));
    });
    Ok(Outcome::new(name, reply))
}

/// §8.9.2: what can be done is done, and the rest is named in the error (§8.9.2.4).
pub(super) fn set(node: &Node, changes: &[(BareJid, Affiliation)], context: &Context<'_>) -> Result<Outcome, StanzaError> {
    must_own(node, context)?;
    let mut outcome = Outcome::new(&node.address.node, Reply::Empty);
    let mut after = Node { affiliations: node.affiliations.clone(), ..node.shallow() };
    let mut failed = Vec::new();
    // Owners go last, so that one who hands the node over may do it in one request.
    let resigns =
        |(jid, affiliation): &&(BareJid, Affiliation)| node.affiliation(jid) == Affiliation::Owner && *affiliation != Affiliation::Owner;
    for (jid, affiliation) in changes.iter().filter(|change| !resigns(change)).chain(changes.iter().filter(resigns)) {
        let before = after.affiliation(jid);
        if *affiliation == before {
            continue;
        }
        if !may_become(&after, jid, *affiliation) {
            failed.push((jid, before));
            continue;
        }
        match affiliation {
            Affiliation::None => after.affiliations.remove(jid),
            other => after.affiliations.insert(jid.clone(), *other),
        };
        outcome.changes.push(Change::Affiliate(jid.clone(), *affiliation));
        // §8.9.4.
        if jid.as_str() != context.requester.bare_str() {
            let event = node.event(EventKind::Affiliation { jid: jid.clone(), affiliation: *affiliation });
            outcome.notifications.push(Notification { event, audience: Audience::These(super::these(vec![jid.into()])) });
        }
        adjust_subscriptions(node, &after, jid, context, &mut outcome);
    }
    if !failed.is_empty() {
        let payload = reply::pubsub(ns::PUBSUB_OWNER, |out| {
            out.open("affiliations").attr("node", &node.address.node);
            for (jid, affiliation) in failed {
                reply::write_affiliation(out, jid, affiliation);
            }
            out.close();
        });
        outcome.reply = Reply::Partly(StanzaError { payload: Some(Box::new(payload)), ..StanzaError::not_acceptable() });
    }
    Ok(outcome)
}

/// §4.1, the state chart: owners only resign, and a publisher is not made a member. An owner remains; at an account, that is the account.
fn may_become(node: &Node, jid: &BareJid, affiliation: Affiliation) -> bool {
    match (node.affiliation(jid), affiliation) {
        (Affiliation::Owner, _) if node.service == ServiceKind::Pep && *jid == node.address.service => false,
        (Affiliation::Owner, Affiliation::None) => node.owners().nth(1).is_some(),
        (Affiliation::Owner, _) | (Affiliation::Publisher, Affiliation::Member) => false,
        (Affiliation::None, _) => node.affiliations.len() < AFFILIATIONS_MAX,
        _ => true,
    }
}

/// What another affiliation does to subscriptions: §8.7.4 (note), §12.14.
fn adjust_subscriptions(before: &Node, after: &Node, jid: &BareJid, context: &Context<'_>, outcome: &mut Outcome) {
    let relation = Node::relation(context, jid);
    let receives = access::may_receive(after, jid, &relation);
    let at_once = matches!(after.affiliation(jid), Affiliation::Owner | Affiliation::Publisher | Affiliation::Member);
    for subscription in before.subscriptions_of(jid) {
        if !receives {
            let (changes, notifications) = after.end_subscription(subscription);
            outcome.changes.extend(changes);
            outcome.notifications.extend(notifications);
        } else if at_once && subscription.state == SubscriptionState::Pending {
            let (change, notifications) = after.approve(subscription, context);
            outcome.changes.push(change);
            outcome.notifications.extend(notifications);
        }
    }
}
