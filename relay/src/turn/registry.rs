//! What all workers must agree on: quotas, who owns which relayed address, which calls use it, reserved ports, own addresses.
//! Locked only when an allocation comes or goes or a call is linked, never for a packet.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use campanile_ice::stun::turn::Family;

use super::budget::AnswerBudget;
use super::data_connections::DataConnections;
use super::fence::Fence;
use super::peers::PeerRules;
use super::ports::Ports;
use super::quota::{AccountLimits, Shares};
use crate::endpoint::Ip;
use crate::quality::report::{CallQuality, RelayQuality};
use crate::settings::Limits;

/// A call, as the signalling numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// One allocation among those of all workers, past ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationKey {
    /// The worker that owns it.
    pub worker: u16,
    /// Its place there.
    pub index: u32,
    /// Which of the allocations that ever had this place.
    pub serial: u64,
}

/// Which quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The account's, or the source's (486).
    Quota,
    /// The server's (508).
    Server,
}

/// How long the quality of an ended call can still be asked for.
const ENDED_CALLS_KEPT: Duration = Duration::from_secs(60);
/// How long a reserved port waits for its allocation (RFC 8656 §7.2: at least 30 s).
const RESERVATION: Duration = Duration::from_secs(30);
/// Live calls linked to one allocation.
const CALLS_PER_ALLOCATION_MAX: usize = 32;

/// The shared part of the relay; see the module.
pub struct Registry {
    /// Relayed ports.
    pub ports: Ports,
    /// Which peers may be reached.
    pub rules: PeerRules,
    /// Data connections of TCP allocations.
    pub data: Arc<DataConnections>,
    /// Bounds.
    pub limits: Limits,
    /// What each account uses.
    pub shares: Shares,
    /// What sources get before they authenticate.
    pub budget: AnswerBudget,
    /// What the parties of live calls may reach.
    pub fence: Fence,
    hosts: RwLock<Arc<Hosts>>,
    /// How often the addresses of this host have become others.
    addresses: AtomicU64,
    state: Mutex<State>,
    reservations: Mutex<HashMap<[u8; 8], Reservation>>,
}

#[derive(Default)]
struct State {
    admitted: usize,
    /// No more are admitted.
    draining: bool,
    accounts: HashMap<Arc<str>, usize>,
    sources: HashMap<Ip, usize>,
    relayed: HashMap<SocketAddr, (AllocationKey, Arc<str>)>,
    /// The advertised form of each, where it is not the bound one: what is advertised may have changed since.
    advertised: HashMap<SocketAddr, SocketAddr>,
    calls: HashMap<CallId, Call>,
    /// Live calls per allocation.
    links: HashMap<AllocationKey, usize>,
}

#[derive(Default)]
struct Call {
    allocations: Vec<AllocationKey>,
    quality: Vec<(AllocationKey, RelayQuality)>,
    ended: Option<Instant>,
}

/// A socket that is held for the second half of a pair (RFC 8656 §7.2). It counts as an allocation of its holder.
struct Reservation {
    socket: UdpSocket,
    bound: SocketAddr,
    expires: Instant,
    owner: Owner,
}

/// Who answers for a reservation's place in the quotas.
enum Owner {
    /// Whoever opens the pair.
    Opening,
    /// The account and source that reserved it.
    Holder(Arc<str>, Ip),
    /// The allocation that is being made of it.
    Claimed,
}

impl Registry {
    /// A registry without allocations.
    pub fn new(ports: Ports, rules: PeerRules, limits: Limits, hosts: Hosts) -> Self {
        let budget = AnswerBudget::new(limits.answers_per_second, limits.answers_burst);
        let shares = Shares::new(AccountLimits {
            permissions: limits.permissions_per_account,
            channels: limits.channels_per_account,
            bytes_per_second: limits.bytes_per_second,
            early_bytes_per_second: limits.early_bytes_per_second,
        });
        let data = Arc::new(DataConnections::new(&limits));
        Self {
            ports,
            rules,
            data,
            limits,
            shares,
            budget,
            fence: Fence::default(),
            hosts: RwLock::new(Arc::new(hosts)),
            addresses: AtomicU64::new(0),
            state: Mutex::default(),
            reservations: Mutex::default(),
        }
    }

    /// The addresses of this host.
    pub fn hosts(&self) -> Arc<Hosts> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the addresses of this host.
    pub fn set_hosts(&self, hosts: Hosts) {
        let mut known = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if **known != hosts {
            *known = Arc::new(hosts);
            drop(known);
            self.addresses_changed();
        }
    }

    /// Addresses of this host, advertised ones among them, have become others: what was granted is judged anew.
    pub fn addresses_changed(&self) {
        self.addresses.fetch_add(1, Ordering::Release);
    }

    /// How often that was said.
    pub fn addresses(&self) -> u64 {
        self.addresses.load(Ordering::Acquire)
    }

    /// Counts a new allocation against all quotas, as `places` of them: two if a port is to be reserved along with it.
    ///
    /// # Errors
    /// One is used up; nothing was counted.
    pub fn admit(&self, account: &Arc<str>, source: Ip, places: usize) -> Result<(), Full> {
        let mut state = self.state();
        if state.draining || state.admitted + places > self.limits.allocations {
            return Err(Full::Server);
        }
        if count(&state.accounts, account) + places > self.limits.allocations_per_account
            || count(&state.sources, &source) + places > self.limits.allocations_per_source
        {
            return Err(Full::Quota);
        }
        state.admitted += places;
        *state.accounts.entry(account.clone()).or_default() += places;
        *state.sources.entry(source).or_default() += places;
        Ok(())
    }

    /// Admits no more.
    pub fn drain(&self) {
        self.state().draining = true;
    }

    /// Takes back one place that `admit` counted.
    pub fn withdraw(&self, account: &Arc<str>, source: Ip) {
        let mut state = self.state();
        state.admitted -= 1;
        release(&mut state.accounts, account);
        release(&mut state.sources, &source);
    }

    /// Makes a relayed address known, by its bound and its advertised form.
    pub fn add(&self, key: AllocationKey, account: &Arc<str>, bound: SocketAddr) {
        let advertised = self.ports.advertise(bound);
        let mut state = self.state();
        for address in [bound, advertised] {
            state.relayed.insert(address, (key, account.clone()));
        }
        if advertised != bound {
            state.advertised.insert(bound, advertised);
        }
    }

    /// Forgets a relayed address and gives its port back.
    pub fn remove(&self, bound: SocketAddr) {
        let mut state = self.state();
        let advertised = state.advertised.remove(&bound);
        for address in [bound].into_iter().chain(advertised) {
            state.relayed.remove(&address);
        }
        self.ports.release(Family::of(bound), bound.port());
    }

    /// Links a call to the allocation behind a relayed address, if that belongs to the account. Returns the allocation.
    pub fn link(&self, account: &str, relayed: SocketAddr, call: CallId) -> Option<AllocationKey> {
        let mut state = self.state();
        let (key, owner) = state.relayed.get(&relayed)?;
        if owner.as_ref() != account {
            return None;
        }
        let key = *key;
        let calls_max = self.limits.allocations.saturating_mul(4).max(64);
        let links = state.links.get(&key).copied().unwrap_or(0);
        if links >= CALLS_PER_ALLOCATION_MAX || (state.calls.len() >= calls_max && !state.calls.contains_key(&call)) {
            return None;
        }
        let call = state.calls.entry(call).or_default();
        call.ended = None;
        if !call.allocations.contains(&key) {
            call.allocations.push(key);
            *state.links.entry(key).or_default() += 1;
        }
        Some(key)
    }

    /// The allocations that a live call is linked to.
    pub fn allocations_of(&self, call: CallId) -> Vec<AllocationKey> {
        self.state().calls.get(&call).map(|call| call.allocations.clone()).unwrap_or_default()
    }

    /// Ends a call; returns its allocations.
    pub fn end_call(&self, call: CallId, now: Instant) -> Vec<AllocationKey> {
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&call) else { return Vec::new() };
        call.ended = Some(now);
        let allocations = std::mem::take(&mut call.allocations);
        for key in &allocations {
            release(&mut state.links, key);
        }
        allocations
    }

    /// Keeps what an allocation carried for a call.
    pub fn record(&self, call: CallId, key: AllocationKey, quality: RelayQuality) {
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&call) else { return };
        match call.quality.iter_mut().find(|(known, _)| *known == key) {
            Some((_, before)) => *before = quality,
            None => call.quality.push((key, quality)),
        }
    }

    /// What the relays of a call saw; none for a call that no allocation was ever linked to, and a minute after its end.
    pub fn quality(&self, call: CallId) -> Option<CallQuality> {
        let state = self.state();
        let call = state.calls.get(&call)?;
        Some(CallQuality { relays: call.quality.iter().map(|(_, quality)| quality.clone()).collect() })
    }

    /// Holds a bound socket for the allocation that will show `token`; `hold` says for whom.
    pub fn reserve(&self, token: [u8; 8], socket: UdpSocket, bound: SocketAddr, now: Instant) {
        self.reservations().insert(token, Reservation { socket, bound, expires: now + RESERVATION, owner: Owner::Opening });
    }

    /// Hands a place that `admit` counted for this account and source over to a reservation.
    pub fn hold(&self, token: [u8; 8], account: &Arc<str>, source: Ip) {
        match self.reservations().get_mut(&token) {
            Some(reservation) => reservation.owner = Owner::Holder(account.clone(), source),
            None => self.withdraw(account, source),
        }
    }

    /// Hands the place of a reservation over to the allocation that will redeem it. False if there is no such reservation of the
    /// account, or no longer.
    ///
    /// # Errors
    /// It came from another source, and the quota of this one is used up; nothing has changed.
    pub fn claim(&self, token: [u8; 8], account: &str, source: Ip, now: Instant) -> Result<bool, Full> {
        let mut reservations = self.reservations();
        let Some(reservation) = reservations.get_mut(&token).filter(|reservation| reservation.expires > now) else { return Ok(false) };
        let Owner::Holder(holder, from) = &reservation.owner else { return Ok(false) };
        if holder.as_ref() != account {
            return Ok(false);
        }
        if *from != source {
            let mut state = self.state();
            if count(&state.sources, &source) >= self.limits.allocations_per_source {
                return Err(Full::Quota);
            }
            release(&mut state.sources, from);
            *state.sources.entry(source).or_default() += 1;
        }
        reservation.owner = Owner::Claimed;
        Ok(true)
    }

    /// Takes a reserved socket that was claimed.
    pub fn redeem(&self, token: [u8; 8]) -> Option<(UdpSocket, SocketAddr)> {
        let mut reservations = self.reservations();
        if !matches!(reservations.get(&token)?.owner, Owner::Claimed) {
            return None;
        }
        reservations.remove(&token).map(|reservation| (reservation.socket, reservation.bound))
    }

    /// Drops a reservation that nobody has claimed: the allocation that made it has ended, or was never made.
    pub fn cancel(&self, token: [u8; 8]) {
        let mut reservations = self.reservations();
        if reservations.get(&token).is_some_and(|reservation| !matches!(reservation.owner, Owner::Claimed))
            && let Some(reservation) = reservations.remove(&token)
        {
            self.drop_reservation(&reservation);
        }
    }

    /// Gives back port and place of a reservation that is over.
    fn drop_reservation(&self, reservation: &Reservation) {
        self.ports.release(Family::of(reservation.bound), reservation.bound.port());
        if let Owner::Holder(account, source) = &reservation.owner {
            self.withdraw(account, *source);
        }
    }

    /// Forgets what is over: reservations not redeemed, calls ended long ago, accounts without allocations. Called once a second.
    pub fn sweep(&self, now: Instant) {
        self.shares.sweep(now);
        self.reservations().retain(|_, reservation| {
            let keep = reservation.expires > now;
            if !keep {
                self.drop_reservation(reservation);
            }
            keep
        });
        self.state().calls.retain(|_, call| call.ended.is_none_or(|ended| now.duration_since(ended) < ENDED_CALLS_KEPT));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reservations(&self) -> MutexGuard<'_, HashMap<[u8; 8], Reservation>> {
        self.reservations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count<K: std::hash::Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

/// Counts one less, and forgets what has none.
fn release<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The addresses of this host's interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    addresses: Vec<IpAddr>,
    /// Where packets to the Internet leave from, IPv4 and IPv6.
    outward: [Option<IpAddr>; 2],
}

impl Hosts {
    /// From a list of interface addresses.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut addresses: Vec<IpAddr> = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Self { addresses, outward: [None; 2] }
    }

    /// Tells from which addresses the kernel sends to the Internet. What is no routed address of this host does not count.
    pub fn with_outward(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        for ip in addresses.into_iter().map(|ip| ip.to_canonical()) {
            if is_routed(ip) && self.contains(ip) {
                self.outward[usize::from(ip.is_ipv6())] = Some(ip);
            }
        }
        self
    }

    /// Whether an address is one of this host.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.addresses.binary_search(&ip.to_canonical()).is_ok()
    }

    /// The address to bind a relayed socket of `family` to, for a client that came to `local`; `advertised` is what clients and peers
    /// are told. None if the host has no fitting address.
    ///
    /// The first there is of: the advertised address itself; where nothing is advertised, the address the client came to, or a loopback
    /// address for a client on loopback; the address that the kernel sends to the Internet from (behind a NAT that is where its mapping
    /// leads); the address the client came to; a public address; a private one; a loopback address, for a client on loopback alone.
    pub fn bind_ip(&self, local: IpAddr, family: Family, advertised: Option<IpAddr>) -> Option<IpAddr> {
        let is_fitting = |ip: &IpAddr| ip.is_ipv4() == (family == Family::V4);
        let addresses = || self.addresses.iter().copied().filter(is_fitting);
        if let Some(ip) = advertised.filter(|ip| is_fitting(ip) && self.contains(*ip)) {
            return Some(ip);
        }
        let came_to = Some(local).filter(is_fitting);
        let loopback = || came_to.filter(IpAddr::is_loopback).or_else(|| addresses().find(IpAddr::is_loopback));
        let loopback = || if local.is_loopback() { loopback() } else { None };
        let came_to = came_to.filter(|ip| is_routed(*ip));
        let nearest = || if advertised.is_none() { came_to.or_else(loopback) } else { None };
        let routed = |is_wanted: fn(IpAddr) -> bool| addresses().find(|ip| is_routed(*ip) && is_wanted(*ip));
        nearest()
            .or(self.outward[usize::from(family == Family::V6)])
            .or(came_to)
            .or_else(|| routed(|ip| !is_private(ip)))
            .or_else(|| routed(is_private))
            .or_else(loopback)
    }
}

/// Whether packets from other hosts can have this destination.
fn is_routed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_unspecified()),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_multicast() || ip.is_unspecified()),
    }
}

/// RFC 1918, RFC 6598 and RFC 4193: networks of a site, a carrier, a container bridge.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(limits: Limits) -> Registry {
        Registry::new(Ports::new(50_000..=50_100, &[]), PeerRules::default(), limits, Hosts::default())
    }

    fn key(index: u32) -> AllocationKey {
        AllocationKey { worker: 0, index, serial: 1 }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn quotas_per_account_source_and_server() {
        let registry = registry(Limits { allocations: 4, allocations_per_account: 2, allocations_per_source: 3, ..Limits::default() });
        let (juliet, romeo): (Arc<str>, Arc<str>) = ("juliet".into(), "romeo".into());
        let (here, there) = (ip("192.0.2.1").into(), ip("192.0.2.2").into());
        assert_eq!(registry.admit(&juliet, here, 1), Ok(()));
        assert_eq!(registry.admit(&juliet, there, 1), Ok(()));
        assert_eq!(registry.admit(&juliet, there, 1), Err(Full::Quota));
        assert_eq!(registry.admit(&romeo, here, 1), Ok(()));
        assert_eq!(registry.admit(&romeo, here, 1), Ok(()));
        assert_eq!(registry.admit(&"nurse".into(), there, 1), Err(Full::Server));
        registry.withdraw(&romeo, here);
        assert_eq!(registry.admit(&juliet, there, 1), Err(Full::Quota));
        registry.withdraw(&juliet, here);
        assert_eq!(registry.admit(&juliet, there, 1), Ok(()));
    }

    #[test]
    fn s7_2_a_reservation_is_a_place_in_the_quotas() {
        let registry = registry(Limits { allocations_per_account: 2, allocations_per_source: 2, ..Limits::default() });
        let (juliet, romeo): (Arc<str>, Arc<str>) = ("juliet".into(), "romeo".into());
        let (here, there) = (ip("192.0.2.1").into(), ip("192.0.2.2").into());
        let now = Instant::now();
        let token = [1; 8];
        let reserve = || {
            assert_eq!(registry.admit(&juliet, here, 2), Ok(()));
            let pair = registry.ports.take(Family::V4, super::super::ports::PortKind::EvenPair, || 0).unwrap();
            registry.reserve(token, UdpSocket::bind("127.0.0.1:0").unwrap(), SocketAddr::new(ip("192.0.2.9"), pair + 1), now);
            registry.hold(token, &juliet, here);
            pair
        };
        let is_idle = || registry.ports.usage().0 == 0 && registry.state().admitted == 0 && registry.state().accounts.is_empty();
        let end = |pair, source| {
            registry.ports.release(Family::V4, pair);
            registry.withdraw(&juliet, source);
        };

        // Over at its expiry.
        let pair = reserve();
        assert_eq!(registry.admit(&juliet, there, 1), Err(Full::Quota));
        assert_eq!(registry.admit(&romeo, here, 1), Err(Full::Quota));
        registry.sweep(now + RESERVATION - Duration::from_secs(1));
        assert_eq!(registry.admit(&juliet, there, 1), Err(Full::Quota));
        assert_eq!(registry.claim(token, "juliet", here, now + RESERVATION), Ok(false));
        registry.sweep(now + RESERVATION);
        assert_eq!(registry.admit(&juliet, here, 1), Ok(()));
        registry.withdraw(&juliet, here);
        end(pair, here);
        assert!(is_idle());

        // Over with its allocation.
        let pair = reserve();
        registry.cancel(token);
        registry.cancel(token);
        end(pair, here);
        assert!(is_idle());

        // Handed over, to another source too where that has a place.
        let pair = reserve();
        assert!(registry.redeem(token).is_none(), "not claimed");
        assert_eq!(registry.claim(token, "romeo", here, now), Ok(false));
        assert_eq!(registry.admit(&romeo, there, 2), Ok(()));
        assert_eq!(registry.claim(token, "juliet", there, now), Err(Full::Quota));
        registry.withdraw(&romeo, there);
        registry.withdraw(&romeo, there);
        assert_eq!(registry.claim(token, "juliet", there, now), Ok(true));
        assert_eq!(registry.claim(token, "juliet", there, now), Ok(false));
        registry.cancel(token);
        assert!(registry.redeem(token).is_some());
        assert!(registry.redeem(token).is_none());
        assert_eq!(registry.admit(&juliet, there, 1), Err(Full::Quota), "still two places");
        assert_eq!(registry.admit(&romeo, here, 1), Ok(()));
        registry.withdraw(&romeo, here);
        end(pair, here);
        end(pair + 1, there);
        assert!(is_idle() && registry.state().sources.is_empty());
    }

    #[test]
    fn a_call_is_linked_only_to_an_allocation_of_the_account() {
        let registry = registry(Limits::default());
        let relayed: SocketAddr = "192.0.2.9:50001".parse().unwrap();
        registry.add(key(1), &"juliet".into(), relayed);
        assert_eq!(registry.link("romeo", relayed, CallId(1)), None);
        assert_eq!(registry.link("juliet", "192.0.2.9:50002".parse().unwrap(), CallId(1)), None);
        assert_eq!(registry.quality(CallId(1)), None);
        assert_eq!(registry.link("juliet", relayed, CallId(1)), Some(key(1)));
        assert_eq!(registry.quality(CallId(1)), Some(CallQuality::default()));
        let now = Instant::now();
        assert_eq!(registry.end_call(CallId(1), now), [key(1)]);
        assert_eq!(registry.end_call(CallId(1), now), []);
        registry.sweep(now + ENDED_CALLS_KEPT / 2);
        assert!(registry.quality(CallId(1)).is_some());
        registry.sweep(now + ENDED_CALLS_KEPT);
        assert_eq!(registry.quality(CallId(1)), None);
        registry.remove(relayed);
        assert_eq!(registry.link("juliet", relayed, CallId(2)), None);
    }

    fn check_bind(hosts: &Hosts, cases: &[(&str, Family, Option<&str>, Option<&str>)]) {
        for &(local, family, advertised, expected) in cases {
            assert_eq!(hosts.bind_ip(ip(local), family, advertised.map(ip)), expected.map(ip), "{local} {family:?} {advertised:?}");
        }
    }

    #[test]
    fn relayed_sockets_are_bound_where_the_client_came() {
        let hosts = Hosts::new(["127.0.0.1", "::1", "fe80::1", "10.0.0.5", "fd00::5"].map(ip));
        let nat = Some("203.0.113.77");
        check_bind(
            &hosts,
            &[
                ("10.0.0.5", Family::V4, None, Some("10.0.0.5")),
                ("10.0.0.5", Family::V4, nat, Some("10.0.0.5")),
                ("127.0.0.1", Family::V4, None, Some("127.0.0.1")),
                ("127.0.0.2", Family::V4, None, Some("127.0.0.2")),
                ("127.0.0.1", Family::V4, nat, Some("10.0.0.5")),
                ("::1", Family::V4, None, Some("127.0.0.1")),
                ("10.0.0.5", Family::V6, None, Some("fd00::5")),
                ("fe80::1", Family::V6, None, Some("fd00::5")),
                ("fe80::1", Family::V4, None, Some("10.0.0.5")),
                ("ff02::1", Family::V6, None, Some("fd00::5")),
            ],
        );
        let only_v6 = Hosts::new(["127.0.0.1", "::1", "fd00::5"].map(ip));
        check_bind(&only_v6, &[("fd00::5", Family::V4, None, None), ("127.0.0.1", Family::V4, nat, Some("127.0.0.1"))]);
    }

    #[test]
    fn of_several_addresses_the_one_that_the_internet_reaches_is_bound() {
        const BRIDGE: &str = "172.17.0.1";
        const PUBLIC: &str = "203.0.113.9";
        const VPN: &str = "10.8.0.1";
        let addresses = ["127.0.0.1", VPN, BRIDGE, PUBLIC, "::1", "fd00::5", "2001:db8::9"].map(ip);
        let (here, nat) = (Some(PUBLIC), Some("203.0.113.77"));
        let hosts = Hosts::new(addresses);
        check_bind(
            &hosts,
            &[
                // By the other family: the public one, though it is the highest.
                ("2001:db8::9", Family::V4, None, here),
                ("2001:db8::9", Family::V4, here, here),
                ("2001:db8::9", Family::V4, nat, here),
                (PUBLIC, Family::V6, None, Some("2001:db8::9")),
                // What is advertised is bound, wherever the client came.
                (BRIDGE, Family::V4, here, here),
                ("127.0.0.1", Family::V4, here, here),
                ("::1", Family::V4, here, here),
                // Else where the client came.
                (VPN, Family::V4, None, Some(VPN)),
                (PUBLIC, Family::V4, None, here),
                ("127.0.0.1", Family::V4, None, Some("127.0.0.1")),
            ],
        );
        // Behind a NAT all addresses are private; the kernel's route tells which one it leads to.
        let hosts = Hosts::new(["127.0.0.1", VPN, BRIDGE, "192.168.1.5", "::1"].map(ip)).with_outward([ip("192.168.1.5"), ip("::1")]);
        let lan = Some("192.168.1.5");
        check_bind(
            &hosts,
            &[
                ("2001:db8::9", Family::V4, None, lan),
                ("2001:db8::9", Family::V4, nat, lan),
                ("127.0.0.1", Family::V4, nat, lan),
                (BRIDGE, Family::V4, nat, lan),
                (BRIDGE, Family::V4, None, Some(BRIDGE)),
                (VPN, Family::V6, None, None),
            ],
        );
        // An address that is not ours is never bound, and loopback only for clients on loopback.
        let strange = Hosts::new([ip("127.0.0.1")]).with_outward([ip("198.51.100.1")]);
        check_bind(&strange, &[("2001:db8::9", Family::V4, nat, None), ("::1", Family::V4, nat, Some("127.0.0.1"))]);
    }
}
