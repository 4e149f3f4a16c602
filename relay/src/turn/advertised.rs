//! Under which addresses relayed ones are told, one of each family: behind NAT not those they are bound to. They may change while relays live,
//! where the outside gets its address from a provider; what was told before stays good for what lives.

use std::net::IpAddr;

use arc_swap::ArcSwap;
use campanile_ice::stun::turn::Family;

use crate::endpoint::Ip;

/// Addresses of before that are remembered per family; who changes more often than this in the life of a call has lost it anyway.
const FORMER_MAX: usize = 8;

/// The addresses. Read per packet between relays without a lock, written when the outside changes.
#[derive(Debug, Default)]
pub struct Advertised(ArcSwap<[OfFamily; 2]>);

#[derive(Clone, Debug, Default)]
struct OfFamily {
    now: Option<Ip>,
    /// Others that lead to this machine, and are not told.
    alike: Vec<Ip>,
    /// The latest first.
    former: Vec<Ip>,
}

impl Advertised {
    /// `public` holds the addresses: the first of each family is told, the others are this machine's as well.
    pub fn new(public: &[IpAddr]) -> Self {
        let advertised = Self::default();
        advertised.set(public);
        advertised
    }

    /// Others from now on, for new allocations.
    pub fn set(&self, public: &[IpAddr]) {
        self.0.rcu(|families| {
            let mut families = <[OfFamily; 2]>::clone(families);
            for (index, family) in families.iter_mut().enumerate() {
                let mut of_family = public.iter().map(IpAddr::to_canonical).filter(|ip| ip.is_ipv4() == (index == 0)).map(Ip::from);
                let now = of_family.next();
                family.alike = of_family.filter(|ip| Some(*ip) != now).collect();
                let before = std::mem::replace(&mut family.now, now);
                let OfFamily { alike, former, .. } = family;
                former.retain(|ip| Some(*ip) != now && !alike.contains(ip));
                if let Some(before) = before.filter(|ip| before != now && !alike.contains(ip)) {
                    family.former.insert(0, before);
                    family.former.truncate(FORMER_MAX);
                }
            }
            families
        });
    }

    /// What a new allocation of a family is told, where something is configured.
    pub fn now(&self, family: Family) -> Option<Ip> {
        self.0.load()[index(family)].now
    }

    /// Whether an address leads to this machine now.
    pub fn is_own(&self, ip: Ip) -> bool {
        let family = &self.0.load()[usize::from(!ip.is_ipv4())];
        family.now == Some(ip) || family.alike.contains(&ip)
    }

    /// Whether an address is, or was, one of these.
    pub fn holds(&self, ip: Ip) -> bool {
        let family = &self.0.load()[usize::from(!ip.is_ipv4())];
        family.now == Some(ip) || family.alike.contains(&ip) || family.former.contains(&ip)
    }

    /// The addresses of now and those of before, the first for which `found` gives something.
    pub fn find<T>(&self, family: Family, found: impl FnMut(Ip) -> Option<T>) -> Option<T> {
        let families = self.0.load();
        let family = &families[index(family)];
        family.now.iter().chain(&family.alike).chain(&family.former).copied().find_map(found)
    }
}

fn index(family: Family) -> usize {
    usize::from(family == Family::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_of_each_family_counts_and_former_ones_are_remembered() {
        let advertised = Advertised::new(&ips(&["203.0.113.7", "203.0.113.8", "::ffff:192.0.2.1"]));
        let holds = |text: &str| advertised.holds(text.parse::<IpAddr>().unwrap().into());
        let now = |family| advertised.now(family).map(|ip| IpAddr::from(ip).to_string());
        assert_eq!((now(Family::V4).as_deref(), now(Family::V6)), (Some("203.0.113.7"), None));
        assert!(holds("203.0.113.7") && holds("203.0.113.8") && !holds("203.0.113.9"));
        let is_own = |text: &str| advertised.is_own(text.parse::<IpAddr>().unwrap().into());
        assert!(is_own("203.0.113.7") && is_own("203.0.113.8"));
        advertised.set(&ips(&["2001:db8::7", "198.51.100.1"]));
        assert_eq!((now(Family::V4).as_deref(), now(Family::V6).as_deref()), (Some("198.51.100.1"), Some("2001:db8::7")));
        assert!(holds("203.0.113.7") && holds("198.51.100.1") && holds("2001:db8::7"));
        assert!(!is_own("203.0.113.7") && !is_own("203.0.113.8") && is_own("198.51.100.1"));
        // The same again changes nothing, and what comes back is no former one.
        advertised.set(&ips(&["2001:db8::7", "198.51.100.1"]));
        advertised.set(&ips(&["203.0.113.7"]));
        let mut all = Vec::new();
        let none: Option<()> = advertised.find(Family::V4, |ip| {
            all.push(IpAddr::from(ip).to_string());
            None
        });
        assert_eq!((none, all.as_slice()), (None, ["203.0.113.7".to_owned(), "198.51.100.1".to_owned()].as_slice()));
        assert_eq!(now(Family::V6), None);
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let advertised = Advertised::new(&[]);
        for host in 1..=20u8 {
            advertised.set(&[[192, 0, 2, host].into()]);
        }
        let holds = |host: u8| advertised.holds(IpAddr::from([192, 0, 2, host]).into());
        assert!((12..=20).all(holds) && !(1..12).any(holds));
    }
}
