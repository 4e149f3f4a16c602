//! What one account may make the relay hold and carry: permissions and channels over all of its allocations, and bytes per second.
//!
//! The rate is kept in two steps, so that a packet costs two plain fields: an [`Allowance`] belongs to one allocation and so to one
//! thread; it is refilled, some tens of times a second at the most, from the account's [`Share`], which all threads see.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A refill is the rate of this time: twenty a second if an account uses all that it may.
const REFILL: Duration = Duration::from_millis(50);
/// How long an allowance that got nothing waits before it asks again; what comes meanwhile is dropped.
const PAUSE: Duration = Duration::from_millis(5);
/// A bucket holds what flows in this time.
const BURST: Duration = Duration::from_secs(1);
/// At the least: one packet of the longest kind must fit in.
const BURST_BYTES_MIN: u64 = 65_536;

/// What one account may use, whatever number of allocations it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    /// Permissions of all its allocations.
    pub permissions: usize,
    /// Channels of all its allocations.
    pub channels: usize,
    /// Bytes of payload per second, both directions together.
    pub bytes_per_second: u64,
    /// The same of what serves no accepted call yet.
    pub early_bytes_per_second: u64,
}

/// What one account uses; shared by its allocations on all threads.
#[derive(Debug)]
pub struct Share {
    limits: AccountLimits,
    permissions: AtomicUsize,
    channels: AtomicUsize,
    /// What flows in accepted calls, and what flows before.
    buckets: Mutex<[Bucket; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: u64,
    bytes: u64,
    at: Instant,
}

impl Bucket {
    fn full(per_second: u64, now: Instant) -> Self {
        Self { per_second, bytes: burst(per_second), at: now }
    }

    /// Takes up to `wanted`; `None` for less than `least`.
    fn take(&mut self, wanted: u64, least: u64, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.at);
        let gained = (passed.as_nanos() * u128::from(self.per_second) / 1_000_000_000).min(u128::from(u64::MAX)) as u64;
        if gained > 0 {
            self.bytes = self.bytes.saturating_add(gained).min(burst(self.per_second));
            self.at = now;
        }
        let granted = wanted.max(least).min(self.bytes);
        if granted < least {
            return None;
        }
        self.bytes -= granted;
        Some(granted)
    }
}

fn burst(per_second: u64) -> u64 {
    let bytes = (u128::from(per_second) * BURST.as_millis() / 1000).min(u128::from(u64::MAX)) as u64;
    bytes.max(BURST_BYTES_MIN)
}

impl Share {
    fn new(limits: AccountLimits, now: Instant) -> Self {
        let buckets = [limits.bytes_per_second, limits.early_bytes_per_second].map(|rate| Bucket::full(rate, now));
        Self { limits, permissions: AtomicUsize::new(0), channels: AtomicUsize::new(0), buckets: Mutex::new(buckets) }
    }

    /// Counts what an allocation adds to its permissions and channels. False, and nothing is counted, if that is too much.
    pub fn admit(&self, permissions: usize, channels: usize) -> bool {
        if !add(&self.permissions, permissions, self.limits.permissions) {
            return false;
        }
        let admitted = add(&self.channels, channels, self.limits.channels);
        if !admitted {
            self.permissions.fetch_sub(permissions, Ordering::Relaxed);
        }
        admitted
    }

    /// Counts that so many have ended.
    pub fn withdraw(&self, permissions: usize, channels: usize) {
        self.permissions.fetch_sub(permissions, Ordering::Relaxed);
        self.channels.fetch_sub(channels, Ordering::Relaxed);
    }

    /// Permissions and channels counted.
    pub fn used(&self) -> (usize, usize) {
        (self.permissions.load(Ordering::Relaxed), self.channels.load(Ordering::Relaxed))
    }

    fn refill(&self, early: bool, least: u64, now: Instant) -> Option<u64> {
        let bucket = &mut self.buckets()[usize::from(early)];
        let wanted = (u128::from(bucket.per_second) * REFILL.as_millis() / 1000) as u64;
        bucket.take(wanted, least, now)
    }

    /// Whether no bucket lacks anything.
    fn is_full(&self, now: Instant) -> bool {
        self.buckets().iter().all(|bucket| now.saturating_duration_since(bucket.at) >= BURST)
    }

    fn buckets(&self) -> MutexGuard<'_, [Bucket; 2]> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(count: &AtomicUsize, more: usize, max: usize) -> bool {
    let sum = |count: usize| count.checked_add(more).filter(|sum| *sum <= max || more == 0);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
}

/// What one allocation may still relay before it asks again.
#[derive(Debug)]
pub struct Allowance {
    share: Arc<Share>,
    bytes: u64,
    /// It serves no accepted call.
    early: bool,
    /// The account had nothing left: it is not asked before this.
    pause_until: Option<Instant>,
}

impl Allowance {
    /// An allocation's part of its account's share. `early` for one whose call is still to be accepted.
    pub fn new(share: Arc<Share>, early: bool) -> Self {
        Self { share, bytes: 0, early, pause_until: None }
    }

    /// Whether so many bytes may pass now; then they are counted.
    pub fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let bytes = bytes as u64;
        if self.bytes < bytes && !self.refill(bytes, now) {
            return false;
        }
        self.bytes -= bytes;
        true
    }

    #[cold]
    fn refill(&mut self, bytes: u64, now: Instant) -> bool {
        if self.pause_until.is_some_and(|until| now < until) {
            return false;
        }
        let granted = self.share.refill(self.early, bytes - self.bytes, now);
        self.pause_until = if granted.is_some() { None } else { Some(now + PAUSE) };
        self.bytes += granted.unwrap_or(0);
        granted.is_some()
    }

    /// A call that it serves is accepted, or the last of those has ended.
    pub fn set_early(&mut self, early: bool) {
        if self.early != early {
            (self.early, self.bytes, self.pause_until) = (early, 0, None);
        }
    }

    /// Whether it serves no accepted call.
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// The account's share.
    pub fn share(&self) -> &Share {
        &self.share
    }
}

/// The shares of the accounts that have allocations.
#[derive(Debug)]
pub struct Shares {
    limits: AccountLimits,
    by_account: Mutex<HashMap<Arc<str>, Arc<Share>>>,
}

impl Shares {
    /// Shares of these sizes.
    pub fn new(limits: AccountLimits) -> Self {
        Self { limits, by_account: Mutex::default() }
    }

    /// The share of an account: the same for all of its allocations.
    pub fn of(&self, account: &Arc<str>, now: Instant) -> Arc<Share> {
        let mut shares = self.locked();
        if let Some(share) = shares.get(account) {
            return share.clone();
        }
        let share = Arc::new(Share::new(self.limits, now));
        shares.insert(account.clone(), share.clone());
        share
    }

    /// Forgets accounts without allocations whose buckets are full again: nobody gets a second burst by allocating anew. Called once a second.
    pub fn sweep(&self, now: Instant) {
        self.locked().retain(|_, share| Arc::strong_count(share) > 1 || !share.is_full(now));
    }

    /// Accounts kept in mind.
    pub fn len(&self) -> usize {
        self.locked().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Share>>> {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: AccountLimits =
        AccountLimits { permissions: 5, channels: 3, bytes_per_second: 1_000_000, early_bytes_per_second: 65_536 };

    fn shares() -> (Shares, Arc<str>, Instant) {
        (Shares::new(LIMITS), "juliet@example.org".into(), Instant::now())
    }

    #[test]
    fn permissions_and_channels_are_counted_over_all_allocations() {
        let (shares, juliet, now) = shares();
        let (one, other) = (shares.of(&juliet, now), shares.of(&juliet, now));
        assert!(one.admit(3, 2) && other.admit(2, 0));
        assert!(!one.admit(1, 0), "no permission left");
        one.withdraw(1, 0);
        assert!(!other.admit(1, 2), "no channel left");
        assert_eq!(one.used(), (4, 2), "what is refused counts nothing");
        assert!(other.admit(0, 0) && shares.of(&"romeo".into(), now).admit(5, 3));
    }

    #[test]
    fn a_new_allocation_gets_no_second_burst() {
        let (shares, juliet, now) = shares();
        let mut allowance = Allowance::new(shares.of(&juliet, now), false);
        let spend = |allowance: &mut Allowance, now| (0..2_000).filter(|_| allowance.take(1_000, now)).count();
        assert_eq!(spend(&mut allowance, now), 1_000);
        drop(allowance);
        shares.sweep(now + Duration::from_millis(500));
        let mut again = Allowance::new(shares.of(&juliet, now), false);
        assert_eq!(spend(&mut again, now + Duration::from_millis(500)), 500);
        drop(again);
        shares.sweep(now + Duration::from_millis(1_499));
        assert_eq!(shares.len(), 1);
        shares.sweep(now + Duration::from_millis(1_500));
        assert!(shares.is_empty());
    }

    #[test]
    fn before_a_call_is_accepted_less_may_pass() {
        let (shares, juliet, now) = shares();
        let mut allowance = Allowance::new(shares.of(&juliet, now), true);
        assert_eq!((0..2_000).filter(|_| allowance.take(1_024, now)).count(), 64);
        allowance.set_early(false);
        assert!(allowance.take(65_527, now));
        allowance.set_early(true);
        assert!(!allowance.take(1, now), "what was granted for calls is not for what comes after");
    }

    #[test]
    fn the_longest_packet_passes_at_the_lowest_rate() {
        let shares = Shares::new(AccountLimits { bytes_per_second: 1, early_bytes_per_second: 1, ..LIMITS });
        let now = Instant::now();
        assert!(Allowance::new(shares.of(&"juliet".into(), now), true).take(65_527, now));
    }

    proptest! {
        /// However packets fall on allocations and times: no more than the burst and what flows, and of a steady demand nearly all that may flow.
        #[test]
        fn an_account_gets_its_rate_and_no_more(packets in prop::collection::vec((0..4usize, 1..65_527usize, 0..20u64), 1..400)) {
            let (shares, juliet, start) = shares();
            let mut allowances: Vec<_> = (0..4).map(|_| Allowance::new(shares.of(&juliet, start), false)).collect();
            let (mut now, mut passed, mut demanded) = (start, 0u64, 0u64);
            for (which, bytes, ms) in packets {
                now += Duration::from_millis(ms);
                demanded += bytes as u64;
                if allowances[which].take(bytes, now) {
                    passed += bytes as u64;
                }
                let flowed = now.duration_since(start).as_millis() as u64 * LIMITS.bytes_per_second / 1000;
                prop_assert!(passed <= burst(LIMITS.bytes_per_second) + flowed, "{passed}");
                // What waits in four allowances, and a packet that did not fit.
                let idle = 4 * LIMITS.bytes_per_second / 20 + 5 * 65_527;
                prop_assert!(demanded > LIMITS.bytes_per_second || passed + idle >= demanded, "{passed} of {demanded}");
            }
        }
    }
}
