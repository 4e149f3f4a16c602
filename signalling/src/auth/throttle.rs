//! How failed log-ins slow further ones down. Pure: time is an argument.
//!
//! Three counters, each forgiven little by little:
//! - **account and source**: the strictest. Attempts wait in a row, each behind the one before, and one that is under way counts already for
//!   a part of a failure, so attempts made at once gain little; several devices of one owner that come back together pass.
//! - **source** (an IPv4 address, an IPv6 /64): guesses of one source at many accounts. They wait in a row too, but nobody waits longer than
//!   [`LONGEST`], since many people may share an address.
//! - **account**: guesses from many sources at one account. A fixed, short wait for everybody, never a refusal: nobody can lock an owner out.
//!
//! A source that has lately logged in to the account is *known*: it passes by the last two, so an attack on an account, or from an address shared
//! with its owner, does not slow the owner down. A success forgives what this account's attempts from this source had added, and nothing else: who owns
//! an account cannot launder guesses at others with it.
//!
//! Each table is bounded. When one is full, the least guilty of a random few makes room: to push out a counter one must fail as often with
//! as many names as the table has places. Keys are kept as keyed 128-bit fingerprints, so long names cost nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// No attempt waits longer than this.
pub const LONGEST: Duration = Duration::from_secs(10);
/// What an attempt under way counts for at its account and source; with 5 free failures, 16 may be under way at once.
const PENDING: f64 = 0.25;
/// The same where the source is known to the account.
const PENDING_KNOWN: f64 = 0.0625;
/// How long a source stays known to an account.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Places in each table.
const PLACES: usize = 1 << 16;
/// Of how many random places the least guilty one is given away.
const SAMPLE: usize = 8;

/// How one kind of counter turns failures into waiting.
#[derive(Debug, Clone, Copy)]
struct Policy {
    /// Failures without consequence.
    free: f64,
    /// The wait after those; each further failure doubles it.
    first: Duration,
    /// Where doubling ends.
    longest: Duration,
    /// Where counting ends, and so how long it takes until all is forgiven.
    counted_max: f64,
    /// One failure is forgiven in this time.
    forgiven_in: Duration,
}

const PAIR: Policy =
    Policy { free: 5.0, first: Duration::from_secs(1), longest: LONGEST, counted_max: 15.0, forgiven_in: Duration::from_secs(60) };
const SOURCE: Policy =
    Policy { free: 30.0, first: Duration::from_millis(250), longest: LONGEST, counted_max: 60.0, forgiven_in: Duration::from_secs(20) };
const ACCOUNT: Policy = Policy {
    free: 30.0,
    first: Duration::from_millis(250),
    longest: Duration::from_secs(4),
    counted_max: 60.0,
    forgiven_in: Duration::from_secs(60),
};

impl Policy {
    fn is_free(&self, failures: f64) -> bool {
        failures.ceil() < self.free // a failure forgiven in part counts whole
    }

    fn wait(&self, failures: f64) -> Duration {
        if self.is_free(failures) {
            return Duration::ZERO;
        }
        let doublings = (failures.ceil() - self.free).min(16.0);
        self.first.mul_f64(doublings.exp2()).min(self.longest)
    }
}

/// The attempt would have to wait longer than [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// An attempt that was let in; give it back with what became of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticket {
    pair: Fingerprint,
    account: Fingerprint,
    source: Fingerprint,
    /// What the attempt has counted for so far.
    pending: f64,
}

/// The counters of all accounts and sources.
pub struct Throttle {
    pairs: Table<Counter>,
    sources: Table<Counter>,
    accounts: Table<Counter>,
    /// Account and source of past successes, with the time of the last.
    known: Table<Instant>,
    keys: [RandomState; 2],
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// Empty tables, of 65 536 places each.
    #[must_use]
    pub fn new() -> Self {
        Self::with_places(PLACES)
    }

    fn with_places(places: usize) -> Self {
        Self {
            pairs: Table::new(places),
            sources: Table::new(places),
            accounts: Table::new(places),
            known: Table::new(places),
            keys: [RandomState::new(), RandomState::new()],
        }
    }

    /// Lets an attempt in after a wait. Unknown accounts are treated like others.
    ///
    /// # Errors
    /// [`Refused`] when so many attempts of this account and source wait already that this one would wait longer than [`LONGEST`]; it does not count.
    pub fn admit(&mut self, account: &str, source: IpAddr, now: Instant) -> Result<(Ticket, Duration), Refused> {
        let mut ticket = self.ticket(account, source);
        let known = self.knows(ticket.pair, now);
        ticket.pending = if known { PENDING_KNOWN } else { PENDING };

        let pair = self.pairs.entry(ticket.pair, now, || Counter::new(now));
        let innocent = PAIR.is_free(pair.failures(&PAIR, now));
        let turn = pair.next.max(now);
        if turn > now + LONGEST {
            return Err(Refused);
        }
        let failures = pair.add(ticket.pending, &PAIR, now);
        pair.next = turn + PAIR.wait(failures);
        if known && innocent {
            return Ok((ticket, turn - now));
        }

        let mut until = turn;
        if let Some(source) = self.sources.get(ticket.source) {
            let gap = SOURCE.wait(source.failures(&SOURCE, now));
            if !gap.is_zero() {
                let turn = source.next.clamp(now, now + LONGEST);
                source.next = turn + gap;
                until = until.max(turn);
            }
        }
        if let Some(account) = self.accounts.get(ticket.account) {
            until = until.max(now + ACCOUNT.wait(account.failures(&ACCOUNT, now)));
        }
        Ok((ticket, until - now))
    }

    /// The attempt failed.
    pub fn failed(&mut self, ticket: Ticket, now: Instant) {
        self.pairs.entry(ticket.pair, now, || Counter::new(now)).add(1.0 - ticket.pending, &PAIR, now);
        self.sources.entry(ticket.source, now, || Counter::new(now)).add(1.0, &SOURCE, now);
        self.accounts.entry(ticket.account, now, || Counter::new(now)).add(1.0, &ACCOUNT, now);
    }

    /// The attempt succeeded: this account's failures from this source are forgiven, and the source is known to it from now on.
    pub fn succeeded(&mut self, ticket: Ticket, now: Instant) {
        if let Some(pair) = self.pairs.remove(ticket.pair) {
            let forgiven = (pair.failures(&PAIR, now) - ticket.pending).max(0.0);
            for (table, key, policy) in [(&mut self.sources, ticket.source, &SOURCE), (&mut self.accounts, ticket.account, &ACCOUNT)] {
                if let Some(counter) = table.get(key) {
                    counter.add(-forgiven, policy, now);
                }
            }
        }
        *self.known.entry(ticket.pair, now, || now) = now;
    }

    /// The attempt came to nothing for a reason of ours: it was none.
    pub fn withdrawn(&mut self, ticket: Ticket, now: Instant) {
        if let Some(pair) = self.pairs.get(ticket.pair) {
            pair.add(-ticket.pending, &PAIR, now);
        }
    }

    fn knows(&mut self, pair: Fingerprint, now: Instant) -> bool {
        self.known.get(pair).is_some_and(|last| now.saturating_duration_since(*last) < KNOWN_FOR)
    }

    fn ticket(&self, account: &str, source: IpAddr) -> Ticket {
        let source = network(source);
        let fingerprint = |value: (Option<&str>, Option<Network>)| Fingerprint(self.keys.each_ref().map(|key| key.hash_one(value)));
        Ticket {
            pair: fingerprint((Some(account), Some(source))),
            account: fingerprint((Some(account), None)),
            source: fingerprint((None, Some(source))),
            pending: 0.0,
        }
    }
}

/// Whom a source address stands for: one IPv4 address, or the /64 in which a host picks its IPv6 addresses freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4(u32),
    V6(u64),
}

pub(super) fn network(source: IpAddr) -> Network {
    match source.to_canonical() {
        IpAddr::V4(address) => Network::V4(address.to_bits()),
        IpAddr::V6(address) => Network::V6(u64::try_from(address.to_bits() >> 64).expect("64 bits are left")),
    }
}

/// Two keyed hashes of what it stands for: nobody outside can make two names meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u64; 2]);

impl Fingerprint {
    pub(super) fn of(hashes: [u64; 2]) -> Self {
        Self(hashes)
    }
}

/// Failures that fade.
#[derive(Debug, Clone, Copy)]
struct Counter {
    /// As of `at`.
    failures: f64,
    at: Instant,
    /// When the next attempt in the row may be made.
    next: Instant,
}

impl Counter {
    fn new(now: Instant) -> Self {
        Self { failures: 0.0, at: now, next: now }
    }

    fn failures(&self, policy: &Policy, now: Instant) -> f64 {
        let forgiven = now.saturating_duration_since(self.at).as_secs_f64() / policy.forgiven_in.as_secs_f64();
        (self.failures - forgiven).max(0.0)
    }

    fn add(&mut self, count: f64, policy: &Policy, now: Instant) -> f64 {
        self.failures = (self.failures(policy, now) + count).clamp(0.0, policy.counted_max);
        self.at = now;
        self.failures
    }
}

/// What a place in a table is worth keeping for.
pub(super) trait Weight {
    fn weight(&self, now: Instant) -> f64;
}

impl Weight for Counter {
    fn weight(&self, now: Instant) -> f64 {
        // Fading is left to the policy; for the order it is enough that old failures weigh less. A row of waiting attempts weighs most.
        let age_minutes = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        self.failures - age_minutes + self.next.saturating_duration_since(now).as_secs_f64()
    }
}

impl Weight for Instant {
    fn weight(&self, now: Instant) -> f64 {
        -now.saturating_duration_since(*self).as_secs_f64()
    }
}

/// A bounded map; see the head of this file for what it forgets.
pub(super) struct Table<T> {
    places: usize,
    index: HashMap<Fingerprint, usize>,
    entries: Vec<(Fingerprint, T)>,
    /// State of the sampling; xorshift, begun with a random number.
    random: u64,
}

impl<T: Weight> Table<T> {
    pub(super) fn new(places: usize) -> Self {
        let random = RandomState::new().hash_one(0) | 1;
        Self { places, index: HashMap::new(), entries: Vec::new(), random }
    }

    pub(super) fn get(&mut self, key: Fingerprint) -> Option<&mut T> {
        let place = *self.index.get(&key)?;
        Some(&mut self.entries[place].1)
    }

    pub(super) fn entry(&mut self, key: Fingerprint, now: Instant, new: impl FnOnce() -> T) -> &mut T {
        let place = match self.index.get(&key) {
            Some(place) => *place,
            None => {
                if self.entries.len() >= self.places {
                    self.make_room(now);
                }
                self.entries.push((key, new()));
                let place = self.entries.len() - 1;
                self.index.insert(key, place);
                place
            }
        };
        &mut self.entries[place].1
    }

    fn remove(&mut self, key: Fingerprint) -> Option<T> {
        let place = self.index.remove(&key)?;
        let (_, value) = self.entries.swap_remove(place);
        if let Some((moved, _)) = self.entries.get(place) {
            self.index.insert(*moved, place);
        }
        Some(value)
    }

    fn make_room(&mut self, now: Instant) {
        let sample: [usize; SAMPLE] = std::array::from_fn(|_| self.random_place());
        let lightest = sample.into_iter().min_by(|a, b| {
            let weight = |place: &usize| self.entries[*place].1.weight(now);
            weight(a).total_cmp(&weight(b))
        });
        if let Some(place) = lightest {
            let key = self.entries[place].0;
            self.remove(key);
        }
    }

    fn random_place(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let len = u64::try_from(self.entries.len()).expect("a table has fewer than 2^64 places");
        usize::try_from(self.random % len.max(1)).expect("below the table's length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.1";

    /// A throttle with a clock of its own.
    struct Bench {
        throttle: Throttle,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { throttle: Throttle::with_places(64), now: Instant::now() }
        }

        fn admit(&mut self, account: &str, source: &str) -> Result<(Ticket, Duration), Refused> {
            self.throttle.admit(account, source.parse().unwrap(), self.now)
        }

        /// One attempt that waits its turn and fails; how long it waited.
        fn fail(&mut self, account: &str, source: &str) -> Duration {
            let (ticket, wait) = self.admit(account, source).unwrap();
            self.now += wait;
            self.throttle.failed(ticket, self.now);
            wait
        }

        fn succeed(&mut self, account: &str, source: &str) -> Duration {
            let (ticket, wait) = self.admit(account, source).unwrap();
            self.now += wait;
            self.throttle.succeeded(ticket, self.now);
            wait
        }

        fn failures(&mut self, account: &str, source: &str) -> (f64, f64) {
            let ticket = self.throttle.ticket(account, source.parse().unwrap());
            let now = self.now;
            (
                self.throttle.accounts.get(ticket.account).map_or(0.0, |counter| counter.failures(&ACCOUNT, now)),
                self.throttle.sources.get(ticket.source).map_or(0.0, |counter| counter.failures(&SOURCE, now)),
            )
        }
    }

    #[test]
    fn some_typing_errors_are_free_then_the_wait_doubles_up_to_ten_seconds() {
        let mut bench = Bench::new();
        let waits: Vec<u64> = (0..12).map(|_| bench.fail("romeo", HOME).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 10, 10, 10]);
    }

    #[test]
    fn time_spent_elsewhere_counts_as_waiting() {
        let mut bench = Bench::new();
        for _ in 0..8 {
            bench.fail("romeo", HOME);
        }
        bench.now += Duration::from_secs(10);
        assert_eq!(bench.fail("romeo", HOME), Duration::ZERO);
    }

    #[test]
    fn failures_are_forgiven_in_time() {
        let mut bench = Bench::new();
        for _ in 0..20 {
            bench.fail("romeo", HOME);
        }
        bench.now += Duration::from_secs(60 * 60);
        let waits: Vec<u64> = (0..6).map(|_| bench.fail("romeo", HOME).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn attempts_made_at_once_wait_in_a_row_and_then_are_refused() {
        let mut bench = Bench::new();
        let waits: Vec<_> = (0..26).map(|_| bench.admit("romeo", HOME).map(|(_, wait)| wait.as_secs())).collect();
        assert!(waits[..17].iter().all(|wait| *wait == Ok(0)));
        assert_eq!(waits[17..], [Ok(1), Ok(2), Ok(3), Ok(4), Ok(6), Ok(8), Ok(10), Err(Refused), Err(Refused)]);
    }

    #[test]
    fn an_owners_devices_that_come_back_together_pass() {
        let mut bench = Bench::new();
        bench.succeed("romeo", HOME);
        let tickets: Vec<_> = (0..64)
            .map(|_| {
                let (ticket, wait) = bench.admit("romeo", HOME).unwrap();
                assert!(wait.is_zero());
                ticket
            })
            .collect();
        for ticket in tickets {
            bench.throttle.succeeded(ticket, bench.now);
        }
        assert_eq!(bench.failures("romeo", HOME), (0.0, 0.0));
    }

    #[test]
    fn guesses_made_at_once_count_when_they_have_failed() {
        let mut bench = Bench::new();
        let tickets: Vec<_> = (0..16).map(|_| bench.admit("romeo", HOME).unwrap().0).collect();
        for ticket in tickets {
            bench.throttle.failed(ticket, bench.now);
        }
        bench.fail("romeo", HOME);
        assert_eq!(bench.fail("romeo", HOME), LONGEST);
    }

    #[test]
    fn a_success_resets_the_account_at_this_source_only() {
        let mut bench = Bench::new();
        for _ in 0..8 {
            bench.fail("romeo", HOME);
            bench.fail("romeo", "198.51.100.7");
        }
        bench.succeed("romeo", HOME);
        let at_home: Vec<_> = (0..5).map(|_| bench.fail("romeo", HOME)).collect();
        assert!(at_home.iter().all(Duration::is_zero));
        bench.fail("romeo", "198.51.100.7");
        assert!(bench.fail("romeo", "198.51.100.7") >= Duration::from_secs(8));
    }

    #[test]
    fn one_source_guessing_at_many_accounts_is_slowed_down() {
        let mut bench = Bench::new();
        let waits: Vec<Duration> = (0..60).map(|number| bench.fail(&format!("user{number}"), HOME)).collect();
        assert!(waits[..30].iter().all(Duration::is_zero));
        assert!(waits[59] > Duration::from_secs(3), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
    }

    #[test]
    fn an_ipv6_source_is_its_64_bit_prefix_and_a_mapped_one_its_ipv4_address() {
        let mut bench = Bench::new();
        for host in 0..5 {
            bench.fail("romeo", &format!("2001:db8:0:1::{host}"));
        }
        assert!(!bench.fail("romeo", "2001:db8:0:1:ffff::9").is_zero());
        assert!(bench.fail("romeo", "2001:db8:0:2::1").is_zero());
        for _ in 0..5 {
            bench.fail("juliet", HOME);
        }
        assert!(!bench.fail("juliet", "::ffff:192.0.2.1").is_zero());
    }

    #[test]
    fn an_attack_from_many_sources_delays_a_stranger_a_little_and_a_known_source_not_at_all() {
        let mut bench = Bench::new();
        bench.succeed("romeo", HOME);
        for number in 0..100 {
            bench.fail("romeo", &format!("198.51.100.{number}"));
        }
        let (_, stranger) = bench.admit("romeo", "203.0.113.9").unwrap();
        assert!(stranger > Duration::from_secs(1) && stranger <= ACCOUNT.longest, "{stranger:?}");
        assert_eq!(bench.succeed("romeo", HOME), Duration::ZERO);
    }

    #[test]
    fn an_attacker_behind_the_same_address_does_not_slow_a_known_account_down() {
        let mut bench = Bench::new();
        bench.succeed("romeo", HOME);
        for number in 0..60 {
            bench.fail(&format!("user{number}"), HOME);
        }
        assert_eq!(bench.succeed("romeo", HOME), Duration::ZERO);
        assert!(!bench.fail("stranger", HOME).is_zero());
    }

    #[test]
    fn many_at_once_behind_one_address_are_no_attack() {
        let mut bench = Bench::new();
        let tickets: Vec<_> = (0..500)
            .map(|number| {
                let (ticket, wait) = bench.admit(&format!("user{number}"), HOME).unwrap();
                assert!(wait.is_zero());
                ticket
            })
            .collect();
        for ticket in tickets {
            bench.throttle.succeeded(ticket, bench.now);
        }
        assert_eq!(bench.failures("user1", HOME), (0.0, 0.0));
    }

    #[test]
    fn an_own_account_does_not_launder_guesses_at_others() {
        let mut bench = Bench::new();
        for number in 0..20 {
            bench.fail(&format!("victim{number}"), HOME);
        }
        let before = bench.failures("mallory", HOME).1;
        for _ in 0..20 {
            bench.fail("mallory", HOME);
            bench.succeed("mallory", HOME);
        }
        assert!(bench.failures("mallory", HOME).1 >= before - 1.0);
    }

    #[test]
    fn what_failed_for_a_reason_of_ours_does_not_count() {
        let mut bench = Bench::new();
        for _ in 0..20 {
            let (ticket, wait) = bench.admit("romeo", HOME).unwrap();
            assert!(wait.is_zero());
            bench.throttle.withdrawn(ticket, bench.now);
        }
        assert_eq!(bench.failures("romeo", HOME), (0.0, 0.0));
    }

    #[test]
    fn tables_are_bounded_and_a_flood_of_names_does_not_push_a_counter_out() {
        let mut bench = Bench::new();
        for _ in 0..9 {
            bench.fail("romeo", HOME);
        }
        for number in 0..10_000_u32 {
            let source = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
            let (ticket, _) = bench.throttle.admit(&format!("name{number}"), source, bench.now).unwrap();
            bench.throttle.failed(ticket, bench.now);
        }
        assert!(bench.fail("romeo", HOME) >= Duration::from_secs(8));
        for table in [&bench.throttle.pairs, &bench.throttle.sources, &bench.throttle.accounts] {
            assert_eq!(table.entries.len(), 64);
            assert_eq!(table.index.len(), 64);
        }
    }

    #[test]
    fn a_table_finds_every_entry_after_removals() {
        let now = Instant::now();
        let mut table: Table<Instant> = Table::new(100);
        let key = |number: u64| Fingerprint([number, 0]);
        for number in 0..100 {
            table.entry(key(number), now, || now);
        }
        for number in (0..100).step_by(3) {
            assert!(table.remove(key(number)).is_some());
        }
        for number in 0..100 {
            assert_eq!(table.get(key(number)).is_some(), number % 3 != 0);
        }
        for (place, (fingerprint, _)) in table.entries.iter().enumerate() {
            assert_eq!(table.index[fingerprint], place);
        }
    }
}
