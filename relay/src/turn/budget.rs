//! How many unauthenticated answers a source gets over UDP: a forged source must not be flooded by our answers.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use crate::endpoint::{Ip, Keyed};

/// Sources are told apart by their hash in a table of this size; two that collide share one budget.
const BUCKETS: usize = 8_192;

/// One token bucket per source.
pub struct AnswerBudget {
    buckets: Box<[Bucket]>,
    hash: Keyed,
    per_second: u32,
    burst: u32,
    start: Instant,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: u32,
    /// Milliseconds since `start` at which `tokens` was right.
    at_ms: u32,
}

impl AnswerBudget {
    /// Full buckets that hold `burst` answers and gain `per_second`.
    pub fn new(per_second: u32, burst: u32, start: Instant) -> Self {
        Self { buckets: vec![Bucket { tokens: burst, at_ms: 0 }; BUCKETS].into(), hash: Keyed::new(), per_second, burst, start }
    }

    /// Takes one answer from the source's budget; false when there is none left.
    pub fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        let index = self.hash.hash_one(source_of(source)) as usize % BUCKETS;
        let bucket = &mut self.buckets[index];
        // Wraps after 49 days: then a bucket gains at most what it lacks.
        let now_ms = now.saturating_duration_since(self.start).as_millis() as u32;
        let gained = u64::from(now_ms.wrapping_sub(bucket.at_ms)) * u64::from(self.per_second) / 1000;
        if gained > 0 {
            bucket.tokens = u64::from(bucket.tokens).saturating_add(gained).min(u64::from(self.burst)) as u32;
            bucket.at_ms = now_ms;
        }
        let granted = bucket.tokens > 0;
        bucket.tokens = bucket.tokens.saturating_sub(1);
        granted
    }
}

/// What counts as one source: an IPv4 address, an IPv6 network of 64 bits.
pub fn source_of(ip: IpAddr) -> Ip {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip).into(),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut budget = AnswerBudget::new(10, 20, start);
        let mut take = |ip: &str, ms| budget.take(ip.parse().unwrap(), start + Duration::from_millis(ms));
        assert_eq!((0..50).filter(|_| take("192.0.2.1", 0)).count(), 20);
        assert_eq!((0..1000).filter(|ms| take("192.0.2.1", *ms)).count(), 9);
        assert_eq!((0..50).filter(|_| take("192.0.2.1", 600_000)).count(), 20);
        assert_eq!((0..50).filter(|host| take(&format!("2001:db8::{host}"), 0)).count(), 20, "one /64 is one source");
    }
}
