//! When a worker that is woken for single packets, thousands of times a second, had better let some gather. No clock: it is told the time.
//!
//! A wake-up costs more than a packet. A worker whose turns follow each other closely and bring little sleeps for a fraction of a
//! millisecond before it looks again; one that has few packets, or full batches, never does.

use std::time::{Duration, Instant};

/// How long packets gather: what is added to their latency at most.
pub const NAP: Duration = Duration::from_micros(100);
/// How exact a nap is.
pub const SLACK: Duration = Duration::from_micros(10);
/// Turns that follow each other faster than this, on average, are too many.
const CLOSE: Duration = Duration::from_micros(160);
/// A pause counts as no more than this, so that the average follows.
const PAUSE_MAX: Duration = Duration::from_millis(1);
/// A turn that brings so many packets is no waste.
const PACKETS: u64 = 16;

/// See the module.
#[derive(Debug)]
pub struct Pace {
    last_at: Instant,
    /// Between turns with packets, on average.
    spacing: Duration,
}

impl Pace {
    /// Of a worker that has not worked yet.
    pub fn new(now: Instant) -> Self {
        Self { last_at: now, spacing: PAUSE_MAX }
    }

    /// A turn that began at `now` brought so many packets. Returns whether the worker should nap before the next one.
    pub fn turned(&mut self, now: Instant, packets: u64) -> bool {
        if packets == 0 {
            return false;
        }
        let pause = now.saturating_duration_since(self.last_at).min(PAUSE_MAX);
        self.last_at = now;
        self.spacing = (self.spacing * 7 + pause) / 8;
        packets < PACKETS && self.spacing < CLOSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there was a nap after each of the turns, which come every `micros`.
    fn naps(pace: &mut Pace, now: &mut Instant, turns: usize, micros: u64, packets: u64) -> usize {
        let mut nap = || {
            *now += Duration::from_micros(micros);
            usize::from(pace.turned(*now, packets))
        };
        (0..turns).map(|_| nap()).sum()
    }

    #[test]
    fn only_many_small_turns_make_a_worker_nap() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        // A call or two, a burst of a video frame, a flood.
        assert_eq!(naps(&mut pace, &mut now, 1_000, 10_000, 1), 0);
        assert_eq!(naps(&mut pace, &mut now, 10, 5, 1), 0);
        assert_eq!(naps(&mut pace, &mut now, 1_000, 10_000, 1), 0);
        assert_eq!(naps(&mut pace, &mut now, 1_000, 50, 64), 0);
        // A hundred calls: it begins soon, goes on while naps space the turns out, and ends soon.
        let mut pace = Pace::new(now);
        assert!(naps(&mut pace, &mut now, 1_000, 50, 1) > 950);
        assert_eq!(naps(&mut pace, &mut now, 1_000, 150, 3), 1_000);
        assert!(naps(&mut pace, &mut now, 1_000, 500, 1) < 10);
    }
}
