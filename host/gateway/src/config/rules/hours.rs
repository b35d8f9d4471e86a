//! Times of the day and time zones.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use patchbay_model::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Day, Time};
use crate::config::units::{UnitError, text};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Hours of the day, in minutes from midnight: the first minute in, the last one out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    to: u16,
}

impl FromStr for Hours {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (from, to) = text.split_once('-').ok_or(UnitError::Hours)?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        // Nothing at all is never meant; `00:00-24:00` is the whole day.
        if from == to || from == DAY || to == 0 { Err(UnitError::Hours) } else { Ok(Self { from, to }) }
    }
}

/// `09:30` in minutes from midnight; `24:00` is the end of the day.
fn minutes(text: &str) -> Result<u16, UnitError> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten().ok_or(UnitError::Hours)
    };
    let (hours, minutes) = text.split_once(':').ok_or(UnitError::Hours)?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let all = hours * 60 + minutes;
    if minutes < 60 && all <= DAY { Ok(all) } else { Err(UnitError::Hours) }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// A time zone by its name in the IANA database.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }
}

impl FromStr for Zone {
    type Err = UnitError;

    fn from_str(name: &str) -> Result<Self, UnitError> {
        let zone = TimeZone::get(name).map_err(|_| UnitError::Zone)?;
        Ok(Self { name: name.to_owned(), zone })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

text!(Hours, "hours", "Hours of the day, `FROM-TO`.", ["09:00-17:30", "22:00-06:00"]);
text!(Zone, "time-zone", "A time zone of the IANA database.", ["Europe/Berlin", "UTC"]);

impl Day {
    /// Its place in the week, Monday 0.
    const fn place(self) -> i8 {
        self as i8
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

impl Time {
    /// Whether a moment is in it.
    ///
    /// # Errors
    /// A sentence that says what time it was, and what it would have to be.
    pub(super) fn judge(&self, at: Timestamp) -> Result<(), String> {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let Ok(moment) = jiff::Timestamp::from_millisecond(millis) else {
            return Err("its time is beyond every calendar".into());
        };
        let local = moment.to_zoned(self.time_zone.zone.clone());
        let day = local.weekday().to_monday_zero_offset();
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
        let on = |day: i8| self.days.is_empty() || self.days.iter().any(|one| one.place() == day);
        let yesterday = (day + 6) % 7;
        let within = |hours: &Hours| {
            if hours.from < hours.to {
                on(day) && (hours.from..hours.to).contains(&minute)
            } else {
                (on(day) && minute >= hours.from) || (on(yesterday) && minute < hours.to)
            }
        };
        if if self.between.is_empty() { on(day) } else { self.between.iter().any(within) } {
            return Ok(());
        }
        let days: Vec<&str> = self.days.iter().map(|day| day.as_str()).collect();
        let hours: Vec<String> = self.between.iter().map(ToString::to_string).collect();
        let wanted: Vec<String> =
            [days.join(", "), hours.join(", ")].into_iter().filter(|part| !part.is_empty()).collect();
        Err(format!(
            "its time is {}, and it was {} in {}",
            wanted.join(" "),
            local.strftime("%a %H:%M"),
            self.time_zone
        ))
    }
}
