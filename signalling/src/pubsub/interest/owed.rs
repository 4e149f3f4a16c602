//! Last items that a session is owed: plain values.

use std::collections::VecDeque;

use crate::interests::Interests;
use crate::jid::BareJid;
use crate::store::Cursor;

/// Debts of one session; beyond, those to single accounts become one to all.
const DEBTS_MAX: usize = 32;
/// How often it is tried to pay one.
const TRIES_MAX: u8 = 5;

/// Last items of some nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    pub(super) nodes: Nodes,
    /// How far it is paid.
    pub(super) after: Option<Cursor>,
    /// How often that could not be read.
    pub(super) failures: u8,
}

/// Which nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nodes {
    /// Those of the own account.
    Own(Interests),
    /// Those of all contacts who show their presence.
    Contacts(Interests),
    /// Those of one account, which may be none.
    Account {
        owner: BareJid,
        names: Interests,
        /// Only those that whoever is in these groups of the owner's roster may not see.
        groups_before: Option<Vec<String>>,
    },
    /// Those that it is subscribed to.
    Subscriptions,
}

impl Debt {
    fn new(nodes: Nodes) -> Self {
        Self { nodes, after: None, failures: 0 }
    }

    /// To a session that has become available, whatever its client can do.
    pub fn of_subscriptions() -> Option<Self> {
        Some(Self::new(Nodes::Subscriptions))
    }

    /// To a session whose client wants to be told of these nodes, and was not told before.
    pub fn of_interests(names: &Interests) -> Vec<Self> {
        if names.is_empty() {
            return Vec::new();
        }
        vec![Self::new(Nodes::Own(names.clone())), Self::new(Nodes::Contacts(names.clone()))]
    }

    /// Those of one account.
    pub fn of_account(owner: BareJid, names: Interests, groups_before: Option<Vec<String>>) -> Option<Self> {
        (!names.is_empty()).then(|| Self::new(Nodes::Account { owner, names, groups_before }))
    }
}

/// What a session is owed, in order. Nothing, mostly.
#[derive(Debug, Default)]
pub struct Owed(VecDeque<Debt>);

impl Owed {
    /// Adds these; whether anything is owed.
    pub fn extend(&mut self, debts: impl IntoIterator<Item = Debt>) -> bool {
        for debt in debts {
            // A contact may be a reason for several.
            if !self.0.contains(&debt) {
                self.0.push_back(debt);
            }
        }
        if self.0.len() > DEBTS_MAX {
            sum_up(&mut self.0);
        }
        !self.is_empty()
    }

    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is paid next.
    pub(super) fn pop(&mut self) -> Option<Debt> {
        let next = self.0.pop_front();
        if self.0.is_empty() {
            // Most sessions owe nothing most of the time, and hold no memory for it.
            self.0 = VecDeque::new();
        }
        next
    }

    /// Puts back what is paid in part.
    pub(super) fn put_back(&mut self, debt: Debt) {
        self.0.push_front(debt);
    }

    /// It could not be read: the others come first, and it is given up in the end.
    pub(super) fn put_off(&mut self, mut debt: Debt) {
        debt.failures += 1;
        if debt.failures < TRIES_MAX {
            self.0.push_back(debt);
        }
    }
}

fn sum_up(queue: &mut VecDeque<Debt>) {
    let mut names = None;
    queue.retain(|debt| match &debt.nodes {
        // All of them have the interests of the session at their time: the last one's are in force.
        Nodes::Account { names: its, .. } => {
            names = Some(its.clone());
            false
        }
        _ => true,
    });
    queue.extend(names.map(|names| Debt::new(Nodes::Contacts(names))));
    while queue.len() > DEBTS_MAX {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Interests {
        ["n".to_owned()].into_iter().collect()
    }

    #[test]
    fn it_is_paid_in_order_and_holds_no_memory_when_it_is_paid() {
        let mut owed = Owed::default();
        assert!(!owed.extend(Debt::of_interests(&Interests::default())));
        assert!(owed.extend(Debt::of_interests(&names())) && owed.extend(Debt::of_interests(&names())));
        let first = owed.pop().unwrap();
        assert_eq!(first.nodes, Nodes::Own(names()));
        owed.put_back(first.clone());
        assert_eq!(owed.pop(), Some(first));
        assert_eq!(owed.pop().unwrap().nodes, Nodes::Contacts(names()));
        assert!(owed.pop().is_none() && owed.0.capacity() == 0);
    }

    #[test]
    fn what_cannot_be_read_waits_behind_the_others_and_not_for_ever() {
        let mut owed = Owed::default();
        owed.extend(Debt::of_interests(&names()));
        let first = owed.pop().unwrap();
        owed.put_off(first);
        assert_eq!(owed.pop().unwrap().nodes, Nodes::Contacts(names()));
        for _ in 1..TRIES_MAX {
            let debt = owed.pop().unwrap();
            assert_eq!(debt.nodes, Nodes::Own(names()));
            owed.put_off(debt);
        }
        assert!(owed.is_empty());
    }

    #[test]
    fn many_accounts_are_summed_up() {
        let mut owed = Owed::default();
        owed.extend(Debt::of_subscriptions());
        for number in 0..DEBTS_MAX {
            owed.extend(Debt::of_account(BareJid::parse(&format!("a{number}@b")).unwrap(), names(), None));
        }
        assert_eq!(owed.pop().unwrap().nodes, Nodes::Subscriptions);
        assert_eq!(owed.pop().unwrap().nodes, Nodes::Contacts(names()));
        assert!(owed.is_empty());
    }
}
