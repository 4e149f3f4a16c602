//! XEP-0082: XMPP Date and Time Profiles, version 1.1: the DateTime profile, written in UTC and read from any zone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, as exactly as the database keeps it: memory has the same.
pub fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::new(since.as_secs(), since.subsec_millis() * 1_000_000)
}

/// §3.2: `2026-11-25T22:05:52Z`. Times before 1970 are shown as its start.
pub fn xep0082(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}Z", seconds(since))
}

/// The same with milliseconds: `2026-11-25T22:05:52.120Z`.
pub fn xep0082_ms(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}Z", seconds(since), since.subsec_millis())
}

fn seconds(since: Duration) -> String {
    let (days, of_day) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Reads a DateTime of §3.2: fractions of a second and time zones included. `None` for anything else, and for times before 1970.
pub fn parse_xep0082(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, rest) = rest.strip_prefix('T')?.split_at_checked(8)?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second counts as the one after it.
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let seconds = i64::try_from(days_since_1970(year, month, day)?.checked_mul(86_400)? + hour * 3600 + minute * 60 + second).ok()?;
    let seconds = u64::try_from(seconds - offset(zone)?).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// Numbers of just so many digits with a separator between them.
fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut out = [0; 3];
    for (number, length) in out.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// Nanoseconds of `.sss…`, if there, and what follows it.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = digits.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = digits.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    let nanos = digits.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
    Some((nanos, rest))
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [hours, minutes, _] = numbers(&format!("{}:00", &zone[1..]), ':', [2, 2, 2])?;
    (hours <= 14 && minutes <= 59).then(|| sign * i64::try_from(hours * 3600 + minutes * 60).unwrap_or_default())
}

/// The opposite of [`civil`].
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year.checked_sub(u64::from(month <= 2))?;
    let (era, year_of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

/// The proleptic Gregorian date `days` after 1970-01-01. Years are counted from March, so that the leap day ends one; 400 years
/// always have 146 097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let since = days + 719_468;
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_2_datetime_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_644_352, "2026-11-25T22:05:52Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(xep0082(time), expected);
            assert_eq!(parse_xep0082(expected), Some(time));
            let later = time + Duration::from_millis(120);
            assert_eq!(parse_xep0082(&xep0082_ms(later)), Some(later));
        }
    }

    #[test]
    fn s3_2_zones_and_fractions() {
        let at = |ms| Some(UNIX_EPOCH + Duration::from_millis(ms));
        for (text, expected) in [
            ("1969-07-20T21:56:15-05:00", None), // before 1970
            ("1970-01-01T01:00:00+01:00", at(0)),
            ("1969-12-31T23:30:00-01:00", None), // the year is
            ("1970-01-01T00:00:00.5Z", at(500)),
            ("1970-01-01T00:00:00.1234567891Z", Some(UNIX_EPOCH + Duration::from_nanos(123_456_789))),
            ("1972-06-30T23:59:60Z", at(78_796_800_000)),
        ] {
            assert_eq!(parse_xep0082(text), expected, "{text}");
        }
        for text in [
            "",
            "1970",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00.Z",
            "1970-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00+15:00",
            "1970-01-01T00:00:00+1:00",
            "1970-1-01T00:00:00Z",
            "1970-01-01T00:00:00Z ",
            "äöü-01-01T00:00:00Z",
            "+970-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "1970-01-01T00:00:00+é1:0",
        ] {
            assert_eq!(parse_xep0082(text), None, "{text}");
        }
    }
}
