//! How many unauthenticated answers a source gets over UDP: a forged source must not be flooded by our answers. One table for all workers: a
//! source has what it has, whichever of them the kernel gives its packets to.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::endpoint::{Ip, Keyed};

/// Sources are told apart by their hash in a table of this size; two that collide share one budget.
const BUCKETS: usize = 8_192;

/// One token bucket per source.
#[derive(Debug)]
pub struct AnswerBudget {
    /// Each a [`Bucket`].
    buckets: Box<[AtomicU64]>,
    hash: Keyed,
    per_second: u32,
    burst: u32,
    /// When the first worker began.
    start: OnceLock<Instant>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: u32,
    /// Milliseconds since the start at which `tokens` was right.
    at_ms: u32,
}

impl Bucket {
    fn packed(self) -> u64 {
        (u64::from(self.tokens) << 32) | u64::from(self.at_ms)
    }

    fn unpacked(word: u64) -> Self {
        Self { tokens: (word >> 32) as u32, at_ms: word as u32 }
    }

    /// One answer less; `None` when there is none left. What is gained by less than a whole answer is not lost.
    fn take(self, per_second: u32, burst: u32, now_ms: u32) -> Option<Self> {
        // Wraps after 49 days: then a bucket gains at most what it lacks. Another worker may have looked at its clock a moment later.
        let passed_ms = now_ms.wrapping_sub(self.at_ms);
        let passed_ms = if passed_ms > u32::MAX / 2 { 0 } else { passed_ms };
        let gained = u64::from(passed_ms) * u64::from(per_second) / 1000;
        let tokens = u64::from(self.tokens) + gained;
        let is_full = tokens >= u64::from(burst);
        let at_ms = if is_full { now_ms } else { self.at_ms.wrapping_add((gained * 1000).div_ceil(u64::from(per_second).max(1)) as u32) };
        let tokens = tokens.min(u64::from(burst)) as u32;
        Some(Self { tokens: tokens.checked_sub(1)?, at_ms })
    }
}

impl AnswerBudget {
    /// Full buckets that hold `burst` answers and gain `per_second`.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let full = Bucket { tokens: burst, at_ms: 0 }.packed();
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(full)).collect(),
            hash: Keyed::new(),
            per_second,
            burst,
            start: OnceLock::new(),
        }
    }

    /// Time begins, if it has not yet.
    pub fn begin(&self, now: Instant) -> Instant {
        *self.start.get_or_init(|| now)
    }

    /// Takes one answer from the source's budget; false when there is none left.
    pub fn take(&self, source: impl Into<Ip>, now: Instant) -> bool {
        let index = self.hash.hash_one(source.into().network()) as usize % BUCKETS;
        let since = now.saturating_duration_since(self.begin(now));
        // `as_millis` counts in 128 bits.
        let now_ms = (since.as_secs() as u32).wrapping_mul(1000).wrapping_add(since.subsec_millis());
        let take = |word| Bucket::unpacked(word).take(self.per_second, self.burst, now_ms).map(Bucket::packed);
        self.buckets[index].fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// What counts as one source: an IPv4 address, an IPv6 network of 64 bits.
pub fn source_of(ip: IpAddr) -> Ip {
    Ip::from(ip).network()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let budget = AnswerBudget::new(10, 20);
        let take = |ip: &str, ms| budget.take(ip.parse::<IpAddr>().unwrap(), start + Duration::from_millis(ms));
        assert_eq!((0..50).filter(|_| take("192.0.2.1", 0)).count(), 20);
        assert_eq!((0..1000).filter(|ms| take("192.0.2.1", *ms)).count(), 9);
        assert_eq!((0..50).filter(|_| take("192.0.2.1", 600_000)).count(), 20);
        assert_eq!((0..50).filter(|host| take(&format!("2001:db8::{host}"), 0)).count(), 20, "one /64 is one source");
    }

    #[test]
    fn the_rate_is_that_however_seldom_it_is_asked_for() {
        for (per_second, every_ms) in [(13, 150), (13, 76), (7, 1), (1, 333), (200, 3)] {
            let start = Instant::now();
            let budget = AnswerBudget::new(per_second, 1);
            let asked = (0..100_000).step_by(every_ms).map(|ms| start + Duration::from_millis(ms as u64));
            let granted = asked.filter(|now| budget.take(IpAddr::from([192, 0, 2, 1]), *now)).count() as u64;
            let possible = (100 * u64::from(per_second)).min(100_000 / every_ms as u64);
            // With a burst of one what comes while the bucket is full is lost: one asking interval for each answer at the most.
            let lost = granted * every_ms as u64 * u64::from(per_second) / 1000;
            assert!(
                granted <= possible + 1 && granted + lost + 1 >= possible,
                "{granted} of {possible} at {per_second}/s every {every_ms} ms"
            );
        }
        let start = Instant::now();
        let budget = AnswerBudget::new(13, 10);
        let asked =
            (0..100_000).step_by(70).filter(|ms| budget.take(IpAddr::from([192, 0, 2, 1]), start + Duration::from_millis(*ms))).count();
        assert!((1_300..=1_311).contains(&asked), "{asked}");
    }

    #[test]
    fn all_workers_together_grant_no_more() {
        let start = Instant::now();
        let budget = AnswerBudget::new(1, 1_000);
        let granted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).filter(|_| budget.take(IpAddr::from([192, 0, 2, 1]), start)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 1_000);
    }
}
