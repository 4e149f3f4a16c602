//! `campanile drain`: a server that takes nobody new, and when it may end. No I/O, no clock.
//!
//! Calls are those whose Jingle session, or the proposal of one (XEP-0353), goes through this server. Media of others' calls, under credentials of a
//! TURN REST secret say, shows as packets through the relay: those are waited for, too.

use std::time::{Duration, Instant};

/// A relay that has carried nothing for so long carries no call: both sides of one ask each other for consent every five seconds, give or take
/// a fifth (RFC 7675 §5.1).
pub const SILENCE: Duration = Duration::from_secs(8);

/// What the server has left at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Calls in session, and those that ring.
    pub calls: usize,
    /// Live allocations of the relay.
    pub allocations: u64,
    /// Packets that the relay has carried since the start.
    pub packets: u64,
    /// How often each thread of the relay, the slowest one, has told its part of both since the server drains.
    pub told: u64,
}

/// What a thread of the relay tells for the second time is of the time since the server drains; the first word may have been under way.
const TOLD_ANEW: u64 = 2;

/// Why a server that drains ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its calls have ended.
    NothingLeft,
    /// `server.drain_s` are over.
    TimeIsUp,
}

/// A server that drains.
#[derive(Debug)]
pub struct Drain {
    until: Instant,
    /// What was left when it was looked at last.
    left: Left,
    /// The relay may have carried something until then.
    carried_at: Instant,
}

impl Drain {
    /// It begins now, and ends after `within` at the latest; `check` bounds that by a year.
    #[must_use]
    pub fn new(left: Left, within: Duration, now: Instant) -> Self {
        Self { until: now + within, left, carried_at: now }
    }

    /// To be called once a second with what is left then; the server is to end when this says so.
    pub fn handle_left(&mut self, left: Left, now: Instant) -> Option<End> {
        if left.packets != self.left.packets {
            self.carried_at = now;
        }
        self.left = left;
        let is_silent = left.allocations == 0 || now.duration_since(self.carried_at) >= SILENCE;
        if left.calls == 0 && is_silent && left.told >= TOLD_ANEW {
            Some(End::NothingLeft)
        } else {
            (now >= self.until).then_some(End::TimeIsUp)
        }
    }

    /// What was left when it was looked at last.
    #[must_use]
    pub fn left(&self) -> Left {
        self.left
    }

    /// How long it may still take.
    #[must_use]
    pub fn time_left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn left(calls: usize, allocations: u64, packets: u64) -> Left {
        Left { calls, allocations, packets, told: 0 }
    }

    /// Looks once a second at what `left` says, which the relay tells as often; gives the second in which it ends, and why.
    fn ends(within: Duration, left: impl Fn(u64) -> Left) -> (u64, End) {
        let start = Instant::now();
        let left = |second| Left { told: second, ..left(second) };
        let mut drain = Drain::new(left(0), within, start);
        (0..10_000)
            .find_map(|second| drain.handle_left(left(second), start + Duration::from_secs(second)).map(|end| (second, end)))
            .expect("it ends")
    }

    #[test]
    fn a_server_without_calls_ends_as_soon_as_that_is_known() {
        assert_eq!(ends(HOUR, |_| left(0, 0, 700)), (TOLD_ANEW, End::NothingLeft));
    }

    #[test]
    fn what_the_relay_told_before_does_not_count() {
        let start = Instant::now();
        let mut drain = Drain::new(left(0, 0, 0), HOUR, start);
        let mut ends = |second, told, allocations| {
            drain.handle_left(Left { told, ..left(0, allocations, second) }, start + Duration::from_secs(second))
        };
        // A call of others began in the second before; its relay thread is behind with telling of it.
        assert_eq!([ends(0, 0, 0), ends(1, 1, 0), ends(5, 1, 0)], [None; 3]);
        assert_eq!([ends(6, 2, 2), ends(7, 3, 2)], [None; 2]);
        assert_eq!(ends(8, 4, 0), Some(End::NothingLeft));
    }

    #[test]
    fn calls_are_waited_for_also_those_that_carry_nothing_here() {
        assert_eq!(ends(HOUR, |second| left(usize::from(second < 90), 0, 0)), (90, End::NothingLeft));
    }

    #[test]
    fn media_of_calls_that_are_not_seen_is_waited_for() {
        // one packet each five seconds, until the thirtieth
        let end = ends(HOUR, |second| left(0, 2, second.min(30) / 5));
        assert_eq!(end, (30 + SILENCE.as_secs(), End::NothingLeft));
        // its allocations are given back
        assert_eq!(ends(HOUR, |second| left(0, if second < 30 { 2 } else { 0 }, second)), (30, End::NothingLeft));
    }

    #[test]
    fn an_allocation_that_nobody_uses_is_not_waited_for() {
        assert_eq!(ends(HOUR, |_| left(0, 1, 5)), (SILENCE.as_secs(), End::NothingLeft));
    }

    #[test]
    fn after_its_time_it_ends_whatever_is_left() {
        assert_eq!(ends(Duration::from_secs(20), |second| left(1, 2, second)), (20, End::TimeIsUp));
        assert_eq!(ends(Duration::ZERO, |_| left(3, 0, 0)), (0, End::TimeIsUp));
        assert_eq!(ends(Duration::ZERO, |_| left(0, 0, 0)), (0, End::TimeIsUp), "it is not known yet that nothing is left");
    }
}
