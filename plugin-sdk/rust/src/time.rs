//! Times and periods, as the contract, vendors and operators write them.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// Milliseconds since the Unix epoch, UTC.
pub type Timestamp = u64;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// Reads an RFC 3339 time with any offset, such as `2026-11-21T10:00:00.123Z`. Times before 1970 are nothing.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let (year, month_day) = date.split_once('-')?;
    let (month, day) = month_day.split_once('-')?;
    let (millis, offset) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (fraction, offset) = rest.split_at_checked(end)?;
            // Three digits are milliseconds; fewer are padded, more are cut.
            let millis = fraction.bytes().chain(*b"00").take(3).fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
            (millis, offset)
        }
    };
    let offset_minutes = match offset {
        "Z" | "z" => 0,
        _ => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
            sign * (digits(hours, 2)? * 60 + digits(minutes, 2)?)
        }
    };
    let day = days(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?)?;
    let seconds = day * 86_400 + seconds_of_day(clock)? - offset_minutes * 60;
    u64::try_from(seconds * 1000 + millis).ok()
}

/// Writes a time as RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn format_rfc3339(at: Timestamp) -> String {
    let (year, month, day) = date(at / DAY);
    let (hour, minute, second) = (at % DAY / HOUR, at % HOUR / MINUTE, at % MINUTE / SECOND);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at % SECOND)
}

/// Reads the date of an HTTP header, such as `Sat, 21 Nov 2026 10:00:00 GMT`. The two obsolete forms are nothing.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day = digits(words.next()?, 2)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = digits(words.next()?, 4)?;
    let clock = words.next()?;
    if (words.next(), words.next()) != (Some("GMT"), None) {
        return None;
    }
    u64::try_from((days(year, month, day)? * 86_400 + seconds_of_day(clock)?) * 1000).ok()
}

/// `10:00:00` as seconds; a leap second counts as the next one.
fn seconds_of_day(clock: &str) -> Option<i64> {
    let (hour, rest) = clock.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// So many digits and nothing else.
fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that the leap day is the
/// last of its year.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

/// The date of a day counted from 1970-01-01.
const fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let day = day % 146_097;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month, day_of_month)
}

/// A length of time in settings: `90s`, `30m`, `12h`, `1d`, `2w`, or several of them, as in `1d12h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    millis: u64,
}

impl Period {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// So many hours.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self { millis: hours * HOUR }
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// Reads a period; nothing else is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut millis = 0_u64;
        let mut rest = text.trim();
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let (number, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
            let (unit, tail) =
                tail.split_at_checked(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()))?;
            let unit = match unit {
                "ms" => 1,
                "s" => SECOND,
                "m" => MINUTE,
                "h" => HOUR,
                "d" => DAY,
                "w" => WEEK,
                _ => return None,
            };
            millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
            rest = tail.trim_start();
        }
        Some(Self { millis })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("w", WEEK), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)];
        let mut left = self.millis;
        for (name, unit) in units {
            if left >= unit {
                write!(f, "{}{name}", left / unit)?;
                left %= unit;
            }
        }
        if self.millis == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no period: write it like 30m, 12h or 1d12h")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_read_in_all_its_forms() {
        for (text, at) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-21T10:00:00Z", Some(1_795_255_200_000)),
            ("2026-11-21t12:00:00+02:00", Some(1_795_255_200_000)),
            ("2026-11-21T04:30:00.5-05:30", Some(1_795_255_200_500)),
            ("2026-11-21T10:00:00.123456789Z", Some(1_795_255_200_123)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-21T24:00:00Z", None),
            ("2026-11-21T10:00:00", None),
            ("2026-11-21", None),
            ("1969-12-31T23:59:59Z", None),
            ("yesterday at noon, or so", None),
        ] {
            assert_eq!(parse_rfc3339(text), at, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for at in [0, 951_782_399_999, 951_782_400_000, 1_709_164_800_000, 1_735_689_599_999, 1_795_255_200_123] {
            assert_eq!(parse_rfc3339(&format_rfc3339(at)), Some(at));
        }
        assert_eq!(format_rfc3339(1_795_255_200_123), "2026-11-21T10:00:00.123Z");
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(parse_http_date("Sat, 21 Nov 2026 10:00:00 GMT"), Some(1_795_255_200_000));
        for wrong in ["Sat, 21 Nov 2026 10:00:00", "Saturday, 21-Nov-26 10:00:00 GMT", "Sat, 32 Nov 2026 10:00:00 GMT"]
        {
            assert_eq!(parse_http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn periods_are_read_and_shown() {
        for (text, millis) in [
            ("12h", Some(43_200_000)),
            ("1d12h", Some(129_600_000)),
            ("1d 30m", Some(88_200_000)),
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("", None),
            ("12", None),
            ("h", None),
            ("12 hours", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(Period::parse(text).map(Period::as_millis), millis, "{text}");
        }
        for text in ["1d12h", "30m", "0s", "2w"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
    }
}
