//! How many accounts may be made without anybody's say-so, in the client (XEP-0077) or for one session (XEP-0175): so many an hour, and as
//! many at once; by source (an IPv4 address, an IPv6 /64) and by all together. Pure: time is an argument.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Instant;

use super::throttle::{Fingerprint, Table, Weight, network};

/// Sources that are remembered.
const PLACES: usize = 1 << 14;
const HOUR_S: f64 = 3600.0;

/// Bounds for one hour.
#[derive(Debug, Clone, Copy)]
pub struct PerHour {
    /// One source.
    pub source: u32,
    /// All sources together.
    pub all: u32,
}

/// What has been used of the bounds.
pub struct Rates {
    bounds: PerHour,
    all: Used,
    sources: Table<Used>,
    keys: [RandomState; 2],
}

/// A count that falls by its bound in an hour.
#[derive(Debug, Clone, Copy)]
struct Used {
    count: f64,
    at: Instant,
}

impl Used {
    fn now(&mut self, bound: u32, now: Instant) -> &mut f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.count = (self.count - passed * f64::from(bound) / HOUR_S).max(0.0);
        self.at = now;
        &mut self.count
    }
}

impl Weight for Used {
    fn weight(&self, now: Instant) -> f64 {
        self.count - now.saturating_duration_since(self.at).as_secs_f64() / 60.0
    }
}

impl Rates {
    /// Nothing used yet.
    #[must_use]
    pub fn new(bounds: PerHour) -> Self {
        let start = Used { count: 0.0, at: Instant::now() };
        Self { bounds, all: start, sources: Table::new(PLACES), keys: [RandomState::new(), RandomState::new()] }
    }

    /// One more from this source; false if it would be too many.
    pub fn take(&mut self, source: IpAddr, now: Instant) -> bool {
        let (bounds, key) = (self.bounds, self.key(source));
        let all = self.all.now(bounds.all, now);
        let of_source = self.sources.entry(key, now, || Used { count: 0.0, at: now }).now(bounds.source, now);
        let allowed = *all + 1.0 <= f64::from(bounds.all) && *of_source + 1.0 <= f64::from(bounds.source);
        if allowed {
            *all += 1.0;
            *of_source += 1.0;
        }
        allowed
    }

    /// What was taken came to nothing: only a part of it counts, since trying for ever must not be free either.
    pub fn give_back(&mut self, source: IpAddr, part: f64, now: Instant) {
        let key = self.key(source);
        self.all.count = (self.all.count - part).max(0.0);
        if let Some(used) = self.sources.get(key) {
            let count = used.now(self.bounds.source, now);
            *count = (*count - part).max(0.0);
        }
    }

    fn key(&self, source: IpAddr) -> Fingerprint {
        let source = network(source);
        Fingerprint::of(self.keys.each_ref().map(|key| key.hash_one(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_share_of_an_hour_and_all_have_one_together() {
        let start = Instant::now();
        let mut rates = Rates::new(PerHour { source: 2, all: 3 });
        assert!(rates.take(ip("192.0.2.1"), start) && rates.take(ip("192.0.2.1"), start));
        assert!(!rates.take(ip("192.0.2.1"), start), "the third of one source");
        assert!(rates.take(ip("2001:db8::1"), start));
        assert!(!rates.take(ip("2001:db8::2"), start) && !rates.take(ip("192.0.2.2"), start), "the fourth of all");
        let later = start + Duration::from_secs(1801);
        assert!(rates.take(ip("192.0.2.1"), later) && !rates.take(ip("192.0.2.1"), later));
    }

    #[test]
    fn what_came_to_nothing_costs_less() {
        let start = Instant::now();
        let mut rates = Rates::new(PerHour { source: 1, all: 100 });
        let mut tries = 0;
        while rates.take(ip("192.0.2.1"), start) {
            rates.give_back(ip("192.0.2.1"), 0.75, start);
            tries += 1;
            assert!(tries < 10);
        }
        // the last one needs a whole place
        assert_eq!(tries, 1);
        let mut rates = Rates::new(PerHour { source: 5, all: 100 });
        let tries = (0..100)
            .take_while(|_| {
                let taken = rates.take(ip("192.0.2.1"), start);
                rates.give_back(ip("192.0.2.1"), 0.75, start);
                taken
            })
            .count();
        assert_eq!(tries, 17);
    }
}
