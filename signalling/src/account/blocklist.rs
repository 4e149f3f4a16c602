//! Whom an account has blocked, and how addresses match: XEP-0191 §6.

use std::collections::BTreeSet;

use crate::jid::{BareJid, Jid};

/// The block list of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockList(BTreeSet<Jid>);

impl BlockList {
    /// Whether a rule of the list hits this address: the address itself, its bare address, its domain (§6).
    #[must_use]
    pub fn matches(&self, jid: &Jid) -> bool {
        !self.0.is_empty() && (self.0.contains(jid) || self.0.contains(jid.bare_str()) || self.0.contains(jid.domain()))
    }

    /// Blocks these as well.
    pub fn extend(&mut self, jids: impl IntoIterator<Item = Jid>) {
        self.0.extend(jids);
    }

    /// Blocks one no longer.
    pub fn remove(&mut self, jid: &Jid) {
        self.0.remove(jid);
    }

    /// The addresses in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Jid> {
        self.0.iter()
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very rule stands in the list.
    #[must_use]
    pub fn has(&self, rule: &Jid) -> bool {
        self.0.contains(rule)
    }
}

impl FromIterator<Jid> for BlockList {
    fn from_iter<T: IntoIterator<Item = Jid>>(jids: T) -> Self {
        Self(jids.into_iter().collect())
    }
}

/// What a list must not touch: the account's own resources (§5, note), and the server itself, which answers in the account's name.
#[must_use]
pub fn is_exempt(account: &BareJid, jid: &Jid) -> bool {
    jid.bare_str() == account.as_str() || (jid.local().is_none() && jid.domain() == account.domain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_full_bare_domain_resource_and_domain() {
        for (rule, jid, hit) in [
            ("romeo@montague.net/home", "romeo@montague.net/home", true),
            ("romeo@montague.net/home", "romeo@montague.net/work", false),
            ("romeo@montague.net/home", "romeo@montague.net", false),
            ("romeo@montague.net", "romeo@montague.net/work", true),
            ("romeo@montague.net", "romeo@montague.net", true),
            ("romeo@montague.net", "juliet@montague.net", false),
            ("romeo@montague.net", "montague.net", false),
            ("montague.net/gate", "montague.net/gate", true),
            ("montague.net/gate", "montague.net/door", false),
            ("montague.net/gate", "montague.net", false),
            ("montague.net/gate", "romeo@montague.net/gate", false),
            ("montague.net", "montague.net", true),
            ("montague.net", "montague.net/gate", true),
            ("montague.net", "romeo@montague.net", true),
            ("montague.net", "romeo@montague.net/home", true),
            ("montague.net", "romeo@chat.montague.net", false),
        ] {
            let list: BlockList = std::iter::once(Jid::parse(rule).unwrap()).collect();
            assert_eq!(list.matches(&Jid::parse(jid).unwrap()), hit, "{rule} against {jid}");
        }
        assert!(!BlockList::default().matches(&Jid::parse("romeo@montague.net").unwrap()));
    }

    #[test]
    fn s5_own_resources_and_the_own_server_are_never_blocked() {
        let account = BareJid::parse("juliet@capulet.com").unwrap();
        for (jid, exempt) in [
            ("juliet@capulet.com", true),
            ("juliet@capulet.com/chamber", true),
            ("capulet.com", true),
            ("capulet.com/echo", true),
            ("nurse@capulet.com", false),
            ("montague.net", false),
        ] {
            assert_eq!(is_exempt(&account, &Jid::parse(jid).unwrap()), exempt, "{jid}");
        }
    }
}
