//! The relayed ports of this server: which are taken, which are live, and on which local address each is bound.
//!
//! A port number is given out once per address family, over all local addresses: so a port alone tells a relayed address, in its
//! bound and in its advertised form, and the worker and socket behind it. The table is read by all workers for packets from relay to relay
//! and written only when an allocation comes or goes: plain loads of memory that rarely changes, no lock.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use campanile_ice::stun::turn::Family;

use super::advertised::Advertised;
use crate::datapath::flow::SocketId;
use crate::endpoint::{Endpoint, Ip};

const FREE: u64 = 0;
const TAKEN: u64 = u16::MAX as u64;
/// Different local addresses that relayed sockets may ever be bound to while the process lives.
const LOCALS_MAX: usize = 4_096;
/// Ports tried at random before the range is walked.
const RANDOM_TRIES: usize = 16;

/// What kind of port is wanted (RFC 8656 §18.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// Any.
    Any,
    /// An even one.
    Even,
    /// An even one whose successor is free too; both are taken.
    EvenPair,
}

/// Which worker a relayed address belongs to, and what that one calls its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The worker.
    pub worker: u16,
    /// Its socket.
    pub socket: SocketId,
}

/// A live relayed address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its local form.
    pub bound: Endpoint,
    /// Where its packets are judged.
    pub home: Home,
}

/// The table; see the module.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    last: u16,
    families: [FamilyPorts; 2],
    /// Local addresses by number, only ever added to.
    locals: Box<[OnceLock<Ip>]>,
    advertised: Advertised,
}

#[derive(Debug)]
struct FamilyPorts {
    /// `FREE`, `TAKEN` (being bound, or reserved), else live: see `pack`.
    slots: Box<[AtomicU64]>,
    taken: AtomicU32,
}

impl Ports {
    /// A table for the ports of `range`. `public` holds the advertised addresses, at most one per family counts.
    pub fn new(range: RangeInclusive<u16>, public: &[IpAddr]) -> Self {
        let (first, last) = (*range.start(), *range.end());
        let count = (usize::from(last) + 1).saturating_sub(usize::from(first));
        let family = || FamilyPorts { slots: (0..count).map(|_| AtomicU64::new(FREE)).collect(), taken: AtomicU32::new(0) };
        Self {
            first,
            last,
            families: [family(), family()],
            locals: (0..LOCALS_MAX).map(|_| OnceLock::new()).collect(),
            advertised: Advertised::new(public),
        }
    }

    /// Takes a free port of the wanted kind; `random` yields uniform numbers (RFC 6056). None when there is none left.
    pub fn take(&self, family: Family, kind: PortKind, mut random: impl FnMut() -> u64) -> Option<u16> {
        let slots = &self.of(family).slots;
        let count = slots.len();
        if count == 0 {
            return None;
        }
        let take = |index: usize| {
            let port = self.first + index as u16;
            let is_taken = match kind {
                PortKind::Any => self.claim(family, port),
                PortKind::Even => port.is_multiple_of(2) && self.claim(family, port),
                PortKind::EvenPair => port.is_multiple_of(2) && self.claim_pair(family, port),
            };
            is_taken.then_some(port)
        };
        let mut index = 0;
        for _ in 0..RANDOM_TRIES {
            index = (random() % count as u64) as usize;
            if let Some(port) = take(index) {
                return Some(port);
            }
        }
        (0..count).find_map(|step| take((index + step) % count))
    }

    /// Makes a taken port live on a local address, and known as `home`'s. False when the table of local addresses is full.
    pub fn publish(&self, bound: SocketAddr, home: Home) -> bool {
        let Some(slot) = self.slot(Family::of(bound), bound.port()) else { return false };
        let ip = Ip::from(bound.ip());
        let found = self.locals.iter().position(|local| *local.get_or_init(|| ip) == ip);
        let Some(number) = found else { return false };
        slot.store(pack(number, home), Ordering::Release);
        true
    }

    /// Gives a port back.
    pub fn release(&self, family: Family, port: u16) {
        if let Some(slot) = self.slot(family, port)
            && slot.swap(FREE, Ordering::AcqRel) != FREE
        {
            self.of(family).taken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The addresses told from now on; those of before stay good for what is live.
    pub fn set_advertised(&self, public: &[IpAddr]) {
        self.advertised.set(public);
    }

    /// The advertised address of a family, where one is configured.
    pub fn advertised_ip(&self, family: Family) -> Option<IpAddr> {
        self.advertised.now(family).map(IpAddr::from)
    }

    /// Whether an address of the outside leads to this machine: the advertised one, and others beside it.
    pub fn is_public(&self, ip: IpAddr) -> bool {
        self.advertised.is_own(ip.into())
    }

    /// Whether an address is, or was, the advertised one or one beside it: what is live may have been told it.
    pub fn is_advertised(&self, ip: IpAddr) -> bool {
        self.advertised.holds(ip.into())
    }

    /// The advertised addresses of now and of before: the first for which `found` gives something.
    pub fn find_told<T>(&self, family: Family, mut found: impl FnMut(IpAddr) -> Option<T>) -> Option<T> {
        self.advertised.find(family, |ip| found(ip.into()))
    }

    /// The form of a bound relayed address that clients and peers are told.
    pub fn advertise(&self, bound: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.advertised_ip(Family::of(bound)).unwrap_or(bound.ip()), bound.port())
    }

    /// The local form of a live relayed address given in its bound or advertised form; None for any other address.
    pub fn resolve(&self, address: Endpoint) -> Option<Endpoint> {
        self.find(address).map(|live| live.bound)
    }

    /// A live relayed address, given in its bound or advertised form.
    pub fn find(&self, address: Endpoint) -> Option<Live> {
        let live = self.live(address)?;
        (live.bound.ip == address.ip || self.advertised.holds(address.ip)).then_some(live)
    }

    /// Whose a live relayed address in its bound form is.
    pub fn home(&self, bound: Endpoint) -> Option<Home> {
        self.live(bound).filter(|live| live.bound == bound).map(|live| live.home)
    }

    /// Whether `address` is a live relayed address in its bound form: what the source of a packet from a relay of ours looks like.
    pub fn is_bound(&self, address: Endpoint) -> bool {
        self.live(address).is_some_and(|live| live.bound == address)
    }

    /// The advertised forms of a live relayed address given in its bound form, of now and of before: the first for which `found` gives
    /// something.
    pub fn find_advertised<T>(&self, source: Endpoint, mut found: impl FnMut(Endpoint) -> Option<T>) -> Option<T> {
        if !self.is_bound(source) {
            return None;
        }
        let port = source.port;
        self.advertised.find(family_of(source), |ip| if ip == source.ip { None } else { found(Endpoint { ip, port }) })
    }

    /// Ports taken and ports there are, for both families together.
    pub fn usage(&self) -> (u32, u32) {
        let taken = self.families.iter().map(|family| family.taken.load(Ordering::Relaxed)).sum();
        (taken, self.families.iter().map(|family| family.slots.len() as u32).sum())
    }

    /// Ports of a family taken, and ports that there are.
    pub fn usage_of(&self, family: Family) -> (u32, u32) {
        let family = self.of(family);
        (family.taken.load(Ordering::Relaxed), family.slots.len() as u32)
    }

    /// What is live on the port of `address`, on whatever local address.
    fn live(&self, address: Endpoint) -> Option<Live> {
        match self.slot(family_of(address), address.port)?.load(Ordering::Acquire) {
            FREE | TAKEN => None,
            packed => {
                let (number, home) = unpack(packed);
                let ip = *self.locals[number].get()?;
                Some(Live { bound: Endpoint { ip, port: address.port }, home })
            }
        }
    }

    fn claim(&self, family: Family, port: u16) -> bool {
        let claimed =
            self.slot(family, port).is_some_and(|slot| slot.compare_exchange(FREE, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok());
        if claimed {
            self.of(family).taken.fetch_add(1, Ordering::Relaxed);
        }
        claimed
    }

    fn claim_pair(&self, family: Family, port: u16) -> bool {
        if port >= self.last || !self.claim(family, port) {
            return false;
        }
        let has_both = self.claim(family, port + 1);
        if !has_both {
            self.release(family, port);
        }
        has_both
    }

    fn slot(&self, family: Family, port: u16) -> Option<&AtomicU64> {
        self.of(family).slots.get(usize::from(port.checked_sub(self.first)?))
    }

    fn of(&self, family: Family) -> &FamilyPorts {
        &self.families[index(family)]
    }
}

/// One word, so that readers see all of it or nothing: the number of the local address and one in the low 16 bits, the worker in the next
/// 16, its socket in the rest.
fn pack(local: usize, home: Home) -> u64 {
    const { assert!(LOCALS_MAX < TAKEN as usize) };
    (local as u64 + 1) | u64::from(home.worker) << 16 | u64::from(home.socket.0) << 32
}

fn unpack(packed: u64) -> (usize, Home) {
    let local = usize::from(packed as u16).wrapping_sub(1);
    (local, Home { worker: (packed >> 16) as u16, socket: SocketId((packed >> 32) as u32) })
}

fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

fn family_of(address: Endpoint) -> Family {
    if address.ip.is_ipv4() { Family::V4 } else { Family::V6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> impl FnMut() -> u64 {
        let mut next = 0;
        move || {
            next += 7;
            next
        }
    }

    fn endpoint(text: &str) -> Endpoint {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn each_port_is_given_once_until_none_is_left() {
        let ports = Ports::new(50_000..=50_009, &[]);
        let mut taken: Vec<u16> = std::iter::from_fn(|| ports.take(Family::V4, PortKind::Any, counter())).collect();
        taken.sort_unstable();
        assert_eq!(taken, (50_000..=50_009).collect::<Vec<_>>());
        assert_eq!(ports.usage(), (10, 20));
        ports.release(Family::V4, 50_004);
        ports.release(Family::V4, 50_004);
        ports.release(Family::V4, 49_999);
        assert_eq!(ports.usage(), (9, 20));
        assert_eq!(ports.take(Family::V4, PortKind::Any, counter()), Some(50_004));
        assert!(ports.take(Family::V6, PortKind::Any, counter()).is_some());
    }

    #[test]
    fn s18_7_even_ports_and_pairs() {
        let ports = Ports::new(50_001..=50_006, &[]);
        assert!(ports.take(Family::V4, PortKind::Even, counter()).is_some_and(|port| port % 2 == 0));
        let pair = ports.take(Family::V4, PortKind::EvenPair, counter()).unwrap();
        assert_eq!(pair % 2, 0);
        assert_eq!(ports.usage().0, 3);
        // 50006 is even, but its successor is out of range; the other two pairs are gone or broken.
        assert_eq!(ports.take(Family::V4, PortKind::EvenPair, counter()).map(|port| port < 50_006), None.or(None));
        assert!(ports.usage().0 == 3, "a pair that cannot be had leaves nothing taken");
    }

    #[test]
    fn live_addresses_resolve_in_both_forms() {
        let ports = Ports::new(50_000..=50_009, &["203.0.113.7".parse().unwrap()]);
        let bound: SocketAddr = "10.0.0.5:50003".parse().unwrap();
        while ports.take(Family::V4, PortKind::Any, counter()).is_some() {}
        assert_eq!(ports.resolve(bound.into()), None, "taken, but not live yet");
        let home = Home { worker: u16::MAX, socket: SocketId(u32::MAX) };
        assert!(ports.publish(bound, home));
        let live = Some(Live { bound: bound.into(), home });
        assert_eq!((ports.find(bound.into()), ports.find(endpoint("203.0.113.7:50003"))), (live, live));
        assert_eq!((ports.home(bound.into()), ports.home(endpoint("203.0.113.7:50003"))), (Some(home), None));
        assert_eq!(ports.advertise(bound), "203.0.113.7:50003".parse().unwrap());
        assert_eq!(ports.resolve(bound.into()), Some(bound.into()));
        assert_eq!(ports.resolve(endpoint("203.0.113.7:50003")), Some(bound.into()));
        let form = |address: Endpoint| ports.find_advertised(address, Some);
        assert_eq!(form(bound.into()), Some(endpoint("203.0.113.7:50003")));
        for other in ["10.0.0.6:50003", "10.0.0.5:50004", "203.0.113.7:50004", "10.0.0.5:53", "[2001:db8::1]:50003"] {
            assert_eq!(ports.resolve(endpoint(other)), None, "{other}");
            assert_eq!(form(endpoint(other)), None, "{other}");
        }
        // Told another one from now on: both are good, and the new one is told.
        ports.set_advertised(&["198.51.100.1".parse().unwrap()]);
        assert_eq!(ports.advertise(bound), "198.51.100.1:50003".parse().unwrap());
        for told in ["198.51.100.1:50003", "203.0.113.7:50003"] {
            assert_eq!(ports.resolve(endpoint(told)), Some(bound.into()), "{told}");
            assert_eq!(ports.find_advertised(bound.into(), |form| (form == endpoint(told)).then_some(())), Some(()), "{told}");
        }
        ports.release(Family::V4, 50_003);
        assert_eq!(ports.resolve(bound.into()), None);
    }

    #[test]
    fn an_empty_range_gives_nothing() {
        #[allow(clippy::reversed_empty_ranges)]
        let ports = Ports::new(2..=1, &[]);
        assert_eq!(ports.take(Family::V4, PortKind::Any, counter()), None);
    }
}
