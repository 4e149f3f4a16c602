//! Who hears of a node of an account without a subscription (XEP-0163 §4, XEP-0060 §9), and what whoever comes is told first (XEP-0060 §12.2, XEP-0163
//! §4.3.4): last items, which are owed and paid as the client's connection takes what came before.
//!
//! Interest is known of the sessions of this server. Contacts elsewhere will have theirs from the presence that they send here.

mod last;
mod owed;

use std::collections::BTreeSet;

use super::access;
use super::config::AccessModel;
use super::context::Relation;
use super::model::Node;
use crate::account::Account;
use crate::homes::Home;
use crate::jid::{BareJid, Jid};
use crate::router::Router;

pub use last::pay;
pub use owed::{Debt, Owed};

/// Who hears of a node without a subscription.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Implicit {
    /// Resources of the owner, and of contacts who see the owner's presence, in order.
    pub contacts: Vec<Jid>,
    /// Resources that have sent their presence to the owner and do not see the owner's, in order.
    pub visitors: Vec<Jid>,
    /// Whose they are.
    people: BTreeSet<BareJid>,
}

impl Implicit {
    /// Those who are interested in this node, may see it, and are there now.
    #[must_use]
    pub fn of(router: &Router, owner: &Home, node: &Node) -> Self {
        let name = node.address.node.as_str();
        let (own, watchers, visitors) = owner.with(|account| {
            let watchers = account.watchers().filter(|contact| sees(account, contact, node)).cloned().collect::<Vec<_>>();
            let may_visit = |visitor: &&Jid| !account.shows_presence_to(visitor) && !account.blocks(visitor) && is_open(node, visitor);
            let visitors: Vec<_> = account.visitors.iter().filter(may_visit).cloned().collect();
            (interested(account, name), watchers, visitors)
        });
        let mut implicit = Self { contacts: own, ..Self::default() };
        for contact in watchers {
            implicit.contacts.extend(interested_in(router, owner, &contact, name));
        }
        for visitor in visitors {
            let there = interested_in(router, owner, &visitor.to_bare(), name);
            implicit.visitors.extend(there.into_iter().filter(|resource| *resource == visitor));
        }
        // A rule may be about one resource.
        owner.with(|account| implicit.contacts.retain(|resource| !account.blocks(resource)));
        implicit.contacts.sort_unstable();
        implicit.people = implicit.contacts.iter().chain(&implicit.visitors).map(|resource| resource.to_bare()).collect();
        implicit
    }

    /// XEP-0060 §12.2, case 5: those who may see a node since it is configured otherwise. They are sent its last item.
    #[must_use]
    pub fn gained(router: &Router, owner: &Home, before: &Node, after: &Node) -> Self {
        let same = before.config.access_model == after.config.access_model
            && before.config.roster_groups_allowed == after.config.roster_groups_allowed
            && before.affiliations == after.affiliations;
        if same {
            return Self::default();
        }
        let old = Self::of(router, owner, before);
        let mut new = Self::of(router, owner, after);
        let had = |resource: &Jid| old.contacts.binary_search(resource).is_ok() || old.visitors.binary_search(resource).is_ok();
        new.contacts.retain(|resource| !had(resource));
        new.visitors.retain(|resource| !had(resource));
        new
    }

    /// XEP-0163 §4.3.2: whether a subscriber is among those who hear of it anyway, with the address or with a resource.
    #[must_use]
    pub fn covers(&self, subscriber: &Jid) -> bool {
        let is_among = |resources: &[Jid]| resources.binary_search(subscriber).is_ok();
        match subscriber.is_bare() {
            true => self.people.contains(subscriber.as_str()),
            false => is_among(&self.contacts) || is_among(&self.visitors),
        }
    }
}

/// Whether a contact that sees the account's presence may see what is in a node.
fn sees(account: &Account, contact: &BareJid, node: &Node) -> bool {
    let groups = match node.config.access_model {
        AccessModel::Roster => account.roster.get(contact).map(|item| item.groups.clone()).unwrap_or_default(),
        _ => Vec::new(),
    };
    access::may_retrieve(node, contact, &Relation { sees_presence: true, groups, administers: false }).is_ok()
}

/// XEP-0060 §9.1.3: whoever has sent presence without a subscription hears of open nodes.
fn is_open(node: &Node, visitor: &Jid) -> bool {
    node.config.access_model == AccessModel::Open && access::may_retrieve(node, visitor, &Relation::default()).is_ok()
}

fn interested(account: &Account, node: &str) -> Vec<Jid> {
    account.available().filter(|session| session.interests.contains(node)).map(|session| session.jid.clone().into()).collect()
}

fn interested_in(router: &Router, owner: &Home, contact: &BareJid, node: &str) -> Vec<Jid> {
    let Some(home) = router.home_in_memory(contact) else { return Vec::new() };
    home.with(|account| if account.blocks(&owner.jid) { Vec::new() } else { interested(account, node) })
}

/// XEP-0060 §12.2, case 3: a contact sees the presence of an account from now on.
pub fn presence_begins(router: &Router, owner: &BareJid, contact: &BareJid) {
    owe(router, owner, contact, |_| true, None);
}

/// Case 6: a contact is in other groups of an account's roster.
pub fn groups_changed(router: &Router, owner: &BareJid, contact: &BareJid, before: Vec<String>) {
    owe(router, owner, contact, |_| true, Some(before));
}

/// XEP-0060 §9.1.3: a resource has sent its presence to an account that does not show its own.
pub fn visited(router: &Router, owner: &BareJid, visitor: &Jid) {
    owe(router, owner, &visitor.to_bare(), |resource| *resource == *visitor, None);
}

fn owe(router: &Router, owner: &BareJid, contact: &BareJid, is_meant: impl Fn(&Jid) -> bool, groups_before: Option<Vec<String>>) {
    let Some(home) = router.home_in_memory(contact) else { return };
    home.with(|account| {
        for session in account.sessions.iter_mut().filter(|session| session.is_available() && is_meant(&session.jid)) {
            let names = session.interests.clone();
            session.owe_items(Debt::of_account(owner.clone(), names, groups_before.clone()));
        }
    });
}
