//! Services at domains of their own: which domains of accounts each serves, who administers them, and who may make something there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};

use campanile_config::{HostTemplate, MayCreate};

use crate::jid::{BareJid, Jid};

/// What the operator has said about the hosts of one kind of service.
#[derive(Debug)]
pub struct Hosts {
    /// Domains of hosts, each with the domains of accounts that it serves.
    all: BTreeMap<String, BTreeSet<String>>,
    /// `MayCreate`, which a reload may change.
    create: AtomicU8,
    admins: Vec<BareJid>,
}

impl Hosts {
    /// The hosts of these domains.
    #[must_use]
    pub fn new(template: &HostTemplate, domains: &[String], create: MayCreate, admins: Vec<BareJid>) -> Self {
        let mut all: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for domain in domains {
            all.entry(template.host(domain)).or_default().insert(domain.clone());
        }
        Self { all, create: AtomicU8::new(create as u8), admins }
    }

    /// The domains of hosts.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// Those that serve a domain of accounts.
    pub fn of<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a str> {
        self.all.iter().filter(move |(_, domains)| domains.contains(domain)).map(|(host, _)| host.as_str())
    }

    /// Another policy, from now on.
    pub fn set_create(&self, create: MayCreate) {
        self.create.store(create as u8, Ordering::Relaxed);
    }

    /// Whether this is one of the server's administrators.
    #[must_use]
    pub fn is_admin(&self, jid: &Jid) -> bool {
        self.admins.iter().any(|admin| admin.as_str() == jid.bare_str())
    }

    /// Whether an entity may make something at a host. `local` says that it is an account of this server, and not an anonymous one.
    #[must_use]
    pub fn may_create(&self, jid: &Jid, local: bool) -> bool {
        let create = self.create.load(Ordering::Relaxed);
        self.is_admin(jid) || create == MayCreate::Anyone as u8 || (create == MayCreate::Local as u8 && local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(domains: &[&str]) -> Hosts {
        let domains: Vec<_> = domains.iter().map(|domain| (*domain).to_owned()).collect();
        let admins = vec![BareJid::parse("root@a.example").unwrap()];
        Hosts::new(&campanile_config::Pubsub::default().host, &domains, MayCreate::Local, admins)
    }

    #[test]
    fn each_host_serves_the_domains_whose_template_makes_it() {
        let hosts = hosts(&["a.example", "b.example"]);
        assert_eq!(hosts.all().collect::<Vec<_>>(), ["pubsub.a.example", "pubsub.b.example"]);
        assert_eq!(hosts.of("b.example").collect::<Vec<_>>(), ["pubsub.b.example"]);
    }

    #[test]
    fn who_makes_something_there() {
        let hosts = hosts(&["a.example"]);
        for (create, expected) in
            [(MayCreate::Anyone, [true, true, true]), (MayCreate::Local, [true, true, false]), (MayCreate::Admins, [true, false, false])]
        {
            hosts.set_create(create);
            let may = [("root@a.example/x", true), ("b@a.example", true), ("c@elsewhere", false)];
            assert_eq!(may.map(|(from, local)| hosts.may_create(&Jid::parse(from).unwrap(), local)), expected, "{create:?}");
        }
    }
}
