//! A token bucket: how many bytes a stream may send per second. Pure.
//!
//! A stream that is over its rate is not read from until it is below again; nothing is dropped (XEP-0205 §3.4).

use std::time::{Duration, Instant};

/// 24 bytes of state per stream.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Tokens (bytes) left at `at`; below zero: a debt that must be waited for.
    tokens: i64,
    at: Instant,
    rate: u32,
    burst: u32,
}

impl Bucket {
    /// A full bucket that gains `rate` bytes each second up to `burst`. A rate of 0 switches the limit off.
    pub fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { tokens: i64::from(burst), at: now, rate, burst }
    }

    /// Takes what has been read, and says until when nothing more may be read.
    pub fn take(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        self.refill(now);
        self.tokens = self.tokens.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        if self.tokens >= 0 {
            return None;
        }
        let debt = self.tokens.unsigned_abs();
        let wait = Duration::from_micros(debt.saturating_mul(1_000_000) / u64::from(self.rate));
        Some(now + wait)
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let gained = elapsed.as_micros().saturating_mul(u128::from(self.rate)) / 1_000_000;
        if gained == 0 {
            return;
        }
        self.at = now;
        self.tokens = i64::try_from(gained).unwrap_or(i64::MAX).saturating_add(self.tokens).min(i64::from(self.burst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, 5000, start);
        assert_eq!(bucket.take(5000, start), None);
        assert_eq!(bucket.take(500, start), Some(start + Duration::from_millis(500)));
        let later = start + Duration::from_millis(500);
        assert_eq!(bucket.take(1000, later), Some(later + Duration::from_secs(1)));
        let much_later = start + Duration::from_secs(60);
        assert_eq!(bucket.take(5000, much_later), None);
        assert!(bucket.take(1, much_later).is_some());
    }

    #[test]
    fn many_small_reads_gain_no_more_than_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, 0, start);
        let mut now = start;
        let mut taken = 0;
        while now < start + Duration::from_secs(10) {
            taken += 7;
            now = bucket.take(7, now).unwrap_or(now + Duration::from_micros(300));
        }
        assert!((9_900..=10_100).contains(&taken), "{taken}");
    }

    #[test]
    fn no_rate_no_limit() {
        let now = Instant::now();
        assert_eq!(Bucket::new(0, 0, now).take(usize::MAX, now), None);
    }
}
