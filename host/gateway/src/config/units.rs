//! Durations and sizes as people write them, and other text that has a form.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::plugin::Source;

/// A duration: `500ms`, `30s`, `5m`, `12h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

/// A number of bytes: `512B`, `64KiB`, `4MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Why a text is not of a form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a whole number and a unit.
    #[error("not a duration")]
    Period,
    /// Not a whole number and a unit.
    #[error("not a size")]
    Size,
    /// Not a number of percent with at most two places.
    #[error("not a share")]
    Share,
    /// Not two times of a day.
    #[error("not hours")]
    Hours,
    /// No time zone of this name.
    #[error("not a time zone")]
    Zone,
    /// Neither `builtin:` nor `file:` nor `oci:`.
    #[error("neither builtin:NAME nor file:PATH nor oci:HOST/REPOSITORY:TAG")]
    Source,
}

/// Units of a duration and their milliseconds, the longest first.
const PERIOD_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units of a size and their bytes, the largest first.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many days.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 24 * 60 * 60))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// Bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A whole number and a unit without anything between them.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// In the largest unit that needs no fraction.
fn show(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |scale: u64| value >= scale && value.is_multiple_of(scale);
    match units.iter().find(|(_, scale)| fits(*scale)).or(units.last()) {
        Some((unit, scale)) => write!(f, "{}{unit}", value / scale),
        None => write!(f, "{value}"),
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &PERIOD_UNITS).map(Self::millis).ok_or(UnitError::Period)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &SIZE_UNITS).map(Self).ok_or(UnitError::Size)
    }
}

impl FromStr for Source {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.split_once(':') {
            Some(("builtin", name)) if !name.is_empty() => Ok(Self::Builtin(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("oci", _)) => text.parse().map(Self::Registry).map_err(|_| UnitError::Source),
            _ => Err(UnitError::Source),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &PERIOD_UNITS)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, &SIZE_UNITS)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Registry(reference) => write!(f, "oci:{reference}"),
        }
    }
}

/// A type that is written as text of a form that [`super::forms`] knows.
macro_rules! text {
    ($name:ident, $form:literal, $description:literal, $examples:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": $description,
                    "x-form": $form,
                    "examples": $examples,
                })
            }
        }
    };
}

pub(super) use text;

text!(Period, "period", "A duration: a whole number and ms, s, m, h or d.", ["500ms", "30s", "5m", "12h", "1d"]);
text!(Size, "size", "A number of bytes: a whole number and B, KiB, MiB or GiB.", ["64KiB", "4MiB"]);
text!(
    Source,
    "source",
    "`builtin:NAME` for a plugin that ships with the gateway, `file:PATH` for a component of your own, \
     `oci:HOST/REPOSITORY:TAG` for one in a registry.",
    ["builtin:acknowledge", "file:plugins/router.wasm", "oci:ghcr.io/acme/router:1.2.0"]
);

/// URLs as text, for `#[serde(with)]`.
pub(super) mod url_text {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};
    use url::Url;

    pub(in crate::config) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str().trim_end_matches('/'))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        Url::parse(&Cow::<'de, str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_come_back_as_they_were_written() {
        for text in ["0ms", "500ms", "1s", "90s", "5m", "12h", "1d"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["0B", "512B", "64KiB", "4MiB", "1GiB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<Period>().unwrap(), Period::seconds(60));
        assert_eq!(Period::seconds(60).to_string(), "1m");
        assert_eq!("4MiB".parse::<Size>().unwrap().get(), 4_194_304);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "5", "5 s", "-5s", "1.5s", "5S", "5min", "99999999999999999999s", "999999999999999999d"] {
            assert_eq!(text.parse::<Period>(), Err(UnitError::Period), "{text}");
        }
        for text in ["4MB", "4", "4 MiB", "MiB", "4mib", "99999999999GiB"] {
            assert_eq!(text.parse::<Size>(), Err(UnitError::Size), "{text}");
        }
    }
}
