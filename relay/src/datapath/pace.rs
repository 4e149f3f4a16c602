//! How long a worker sleeps on purpose before it looks at its sockets again. Being woken costs several times what a packet does; where many
//! streams come one packet at a time (voice calls), a worker that is woken for each of them does little else. So, as network cards do with
//! their interrupts, a busy worker lets some come together. One that is not busy never does: a call alone waits for nothing.

use std::time::{Duration, Instant};

/// For how long packets are counted before their rate says anything.
const WINDOW: Duration = Duration::from_millis(5);
/// Datagrams in a window from which on a worker is busy: 8,000 a second, of which an interval holds more than one.
const BUSY: u64 = 40;
/// The sleep. The kernel may add 50 µs.
const NAP: Duration = Duration::from_micros(150);
/// Datagrams of one turn that already share its cost well: then there is nothing to gain.
const ENOUGH: u64 = 16;

/// What a worker knows of its packets' rate.
pub struct Pace {
    window_from: Instant,
    received_before: u64,
    received: u64,
    is_busy: bool,
}

impl Pace {
    /// Of a worker that has received nothing.
    pub fn new(now: Instant) -> Self {
        Self { window_from: now, received_before: 0, received: 0, is_busy: false }
    }

    /// Called before each wait, with the number of datagrams received so far: how long to sleep before it.
    pub fn nap(&mut self, received: u64, now: Instant) -> Option<Duration> {
        let turn = received - std::mem::replace(&mut self.received, received);
        let age = now.saturating_duration_since(self.window_from);
        if age >= WINDOW {
            let windows = age.as_nanos() / WINDOW.as_nanos();
            self.is_busy = u128::from(received - self.received_before) >= windows * u128::from(BUSY);
            (self.window_from, self.received_before) = (now, received);
        }
        (self.is_busy && (1..ENOUGH).contains(&turn)).then_some(NAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of `each` datagrams every `interval`; how many of the last hundred are followed by a sleep.
    fn naps(each: u64, interval: Duration) -> usize {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let mut naps = 0;
        for turn in 1..=1_100 {
            now += interval;
            let nap = pace.nap(turn * each, now);
            naps += usize::from(turn > 1_000 && nap.is_some());
        }
        naps
    }

    #[test]
    fn only_a_busy_worker_with_short_turns_sleeps() {
        for (each, interval_us, expected) in [
            // one call, fifty calls
            (1, 10_000, 0),
            (1, 200, 0),
            // a hundred calls and more, one packet at a time; with the sleeps between
            (1, 100, 100),
            (1, 20, 100),
            (8, 200, 100),
            // at saturation
            (64, 64, 0),
        ] {
            assert_eq!(naps(each, Duration::from_micros(interval_us)), expected, "{each} every {interval_us} µs");
        }
    }

    #[test]
    fn the_first_packet_after_silence_is_not_kept_waiting() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for received in 1..=1_000 {
            now += Duration::from_micros(20);
            let _ = pace.nap(received, now);
        }
        assert!(pace.nap(1_001, now + Duration::from_micros(20)).is_some());
        assert_eq!(pace.nap(1_002, now + Duration::from_millis(40)), None);
    }
}
