//! XEP-0082: XMPP Date and Time Profiles, version 1.1: the DateTime profile, written in UTC and read with any offset.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// §3.2: `2026-11-25T22:05:52Z`. Times before 1970 are shown as its start.
pub fn xep0082(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// §3.2 with milliseconds: `2026-11-25T22:05:52.004Z`.
pub fn xep0082_millis(time: SystemTime) -> String {
    let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_millis());
    let mut text = xep0082(time);
    text.truncate(text.len() - 1);
    format!("{text}.{millis:03}Z")
}

/// §3.2: reads a DateTime. Times before 1970 are its start, what is finer than a nanosecond is left out.
pub fn parse_xep0082(text: &str) -> Option<SystemTime> {
    let number = |text: &str, digits: usize, max: u64| {
        let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|value| well_formed && *value <= max)
    };
    let (date, rest) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (number(parts.next()?, 4, 9999)?, number(parts.next()?, 2, 12)?, number(parts.next()?, 2, 31)?);
    let (clock, zone) = rest.split_at_checked(8)?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (number(parts.next()?, 2, 24)?, number(parts.next()?, 2, 59)?, number(parts.next()?, 2, 60)?);
    let (nanos, zone) = match zone.strip_prefix('.') {
        Some(zone) => {
            let digits = zone.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = zone.split_at(digits);
            let padded = format!("{:0<9.9}", fraction);
            (padded.parse::<u32>().ok().filter(|_| digits > 0)?, zone)
        }
        None => (0, zone),
    };
    let offset_s = match (zone.as_bytes().first()?, &zone[1..]) {
        (b'Z', "") => 0,
        (sign @ (b'+' | b'-'), offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let seconds = i64::try_from(number(hours, 2, 14)? * 3600 + number(minutes, 2, 59)? * 60).ok()?;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day)?;
    // 24:00:00 is the midnight that ends the day.
    if hour == 24 && (minute, second, nanos) != (0, 0, 0) {
        return None;
    }
    let seconds = days * 86_400 + i64::try_from(hour * 3600 + minute * 60 + second).ok()? - offset_s;
    match u64::try_from(seconds) {
        Ok(seconds) => Some(UNIX_EPOCH + Duration::new(seconds, nanos)),
        Err(_) => Some(UNIX_EPOCH),
    }
}

/// Days from 1970-01-01 to this date; `None` for a day that the month does not have.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Years are counted from March, see `civil`; one more era keeps the first year of the calendar from going below zero.
    let (year, month) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    i64::try_from(days).ok().map(|days| days - 719_468 - 146_097)
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
            assert_eq!(xep0082(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
    #[test]
    fn s3_2_a_datetime_is_read_with_any_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2026-11-25T22:05:52Z", Some((1_795_644_352, 0))),
            ("2026-11-25T22:05:52.004Z", Some((1_795_644_352, 4_000_000))),
            ("2026-11-25T22:05:52.0040000009Z", Some((1_795_644_352, 4_000_000))),
            ("2026-11-25T23:35:52+01:30", Some((1_795_644_352, 0))),
            ("2026-11-25T17:05:52-05:00", Some((1_795_644_352, 0))),
            ("2000-02-29T00:00:00Z", Some((951_782_400, 0))),
            ("2000-02-28T24:00:00Z", Some((951_782_400, 0))),
            ("1969-07-21T02:56:15Z", Some((0, 0))),
            ("0000-01-01T00:00:00Z", Some((0, 0))),
            ("9999-12-31T23:59:59Z", Some((253_402_300_799, 0))),
            ("2100-02-29T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-11-31T00:00:00Z", None),
            ("2026-11-25T25:00:00Z", None),
            ("2026-11-25T24:00:01Z", None),
            ("2026-11-25T22:05:52", None),
            ("2026-11-25T22:05:52.Z", None),
            ("2026-11-25T22:05:52+0130", None),
            ("2026-11-25 22:05:52Z", None),
            ("2026-11-25T22:05:52ZZ", None),
            ("2026-11-25T22:05:5\u{fc}Z", None),
            ("2026-1-25T22:05:52Z", None),
            ("+026-11-25T22:05:52Z", None),
            ("T", None),
            ("", None),
        ] {
            let found = parse_xep0082(text).map(|time| time.duration_since(UNIX_EPOCH).unwrap());
            assert_eq!(found, expected.map(|(seconds, nanos)| Duration::new(seconds, nanos)), "{text}");
        }
    }

    #[test]
    fn s3_2_what_is_written_is_read() {
        for millis in (0..4_200_000_000_000).step_by(86_400_000 * 3 / 2 + 123) {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            assert_eq!(parse_xep0082(&xep0082_millis(time)), Some(time));
        }
    }
}
