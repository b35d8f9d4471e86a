//! Values about a person, redacted wherever they could be printed.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A phone number, a name, a text: something that a log, an error or a panic must not show.
///
/// It is written to the store and to a plugin as it is (`serde` sees the inner value); only `Debug` hides it, and there
/// is no `Display`, so it cannot be formatted by accident. Read it with [`Private::reveal`], which is easy to search for.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for a purpose other than printing it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, no longer protected.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: Deref> Private<T> {
    /// The value as its target: `&str` of a `Private<String>`.
    pub fn as_deref(&self) -> &T::Target {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl From<&str> for Private<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_and_serde_shows() {
        let phone = Private::new("447700900001".to_owned());
        assert!(!format!("{phone:?} {:?}", Some(&phone)).contains("4477"));
        assert_eq!(serde_json::to_string(&phone).ok().as_deref(), Some("\"447700900001\""));
    }
}
