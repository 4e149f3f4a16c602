//! The numbers under which messages are kept, in the order in which their account got them.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::super::to_millis;

/// Bits that tell messages of one millisecond apart.
const COUNTER_BITS: u32 = 20;
/// How far two messages of one millisecond lie apart at most.
const STEP_MAX: u32 = 1 << 8;

/// A stored message of an account: milliseconds since 1970, then a number within it. Strictly growing within an account; opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveId(i64);

impl ArchiveId {
    /// The first id of this time.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self(to_millis(time).min(i64::MAX >> COUNTER_BITS) << COUNTER_BITS)
    }

    /// The id that follows `last` for a message that comes at `now`: of a clock that went back, the order stays. What is below the millisecond
    /// comes from `random`, so that nobody can name a message that he was not shown (XEP-0313 §3, XEP-0359 §3).
    #[must_use]
    pub fn after(last: Option<Self>, now: SystemTime, random: u32) -> Self {
        let fresh = Self(Self::at(now).0 | i64::from(random % (1 << (COUNTER_BITS - 1))));
        match last {
            Some(last) if last >= fresh => Self(last.0 + 1 + i64::from(random % STEP_MAX)),
            _ => fresh,
        }
    }

    /// When the message came.
    #[must_use]
    pub fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis((self.0 >> COUNTER_BITS).unsigned_abs())
    }

    /// As the tables hold it.
    #[must_use]
    pub fn to_i64(self) -> i64 {
        self.0
    }

    /// From a table.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self(value)
    }

    /// As clients give it back; `None` for text that is no id of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| well_formed).map(Self)
    }
}

/// As clients see it.
impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_with_time_and_when_the_clock_goes_back() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let first = ArchiveId::after(None, now, 0);
        assert_eq!((first.time(), first), (now, ArchiveId::at(now)));
        let second = ArchiveId::after(Some(first), now, 0);
        let third = ArchiveId::after(Some(second), now - Duration::from_secs(60), u32::MAX);
        assert!(first < second && second < third);
        assert_eq!(ArchiveId::after(Some(third), now + Duration::from_secs(1), u32::MAX).time(), now + Duration::from_secs(1));
        // However many come in one millisecond, their time is at most little ahead.
        let mut last = ArchiveId::after(None, now, u32::MAX);
        for _ in 0..10_000 {
            let next = ArchiveId::after(Some(last), now, u32::MAX);
            assert!(next > last);
            last = next;
        }
        assert!(last.time() <= now + Duration::from_millis(5));
    }

    #[test]
    fn what_clients_send_back_is_read_or_refused() {
        let id = ArchiveId::at(SystemTime::now());
        assert_eq!(ArchiveId::parse(&id.to_string()), Some(id));
        for text in ["", "-1", "+1", "1 ", "abc", "99999999999999999999"] {
            assert_eq!(ArchiveId::parse(text), None, "{text}");
        }
    }
}
