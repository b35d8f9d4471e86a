//! Match rules: which events a chain is for, and why it is not for one.
//!
//! # Layout
//! - here: the conditions, as an operator writes them
//! - `facts`: what they are held against
//! - `judge`: holding them against it
//! - `hours`: times of the day and time zones
//! - `text`: words and patterns

mod facts;
mod hours;
mod judge;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::facts::Facts;
pub use self::hours::{Hours, Zone};
pub use self::text::{Pattern, has_no_letter};

/// Which events a chain decides about: those for which everything holds that is said here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// Kinds of event, or their first words: `message` is every message, `message.text` only words.
    #[schemars(length(min = 1), extend("x-items" = "kind"))]
    pub kinds: Vec<String>,
    /// Channels, by the name of their number. Without them all.
    #[schemars(extend("x-items" = "name"))]
    pub channels: Vec<String>,
    /// What was said.
    pub content: Option<Content>,
    /// Attributes of the conversation: `true` for one that is set, `false` for one that is not, a text, or a list of texts
    /// that it may have.
    pub attributes: BTreeMap<String, Wanted>,
    /// Who writes.
    pub customer: Option<Customer>,
    /// When the event was accepted.
    pub time: Option<Time>,
    /// Not those for which all of this holds.
    pub not: Option<Not>,
}

impl Default for Match {
    fn default() -> Self {
        Self {
            kinds: vec!["message".into()],
            channels: Vec::new(),
            content: None,
            attributes: BTreeMap::new(),
            customer: None,
            time: None,
            not: None,
        }
    }
}

/// The events that a chain does not decide about: those for which everything holds that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Not {
    /// Kinds of event, or their first words.
    #[schemars(extend("x-items" = "kind"))]
    pub kinds: Vec<String>,
    /// Channels, by the name of their number.
    #[schemars(extend("x-items" = "name"))]
    pub channels: Vec<String>,
    /// What was said.
    pub content: Option<Content>,
    /// Attributes of the conversation.
    pub attributes: BTreeMap<String, Wanted>,
    /// Who writes.
    pub customer: Option<Customer>,
    /// When the event was accepted.
    pub time: Option<Time>,
}

/// What was said. Of `words` and `pattern` one is enough, of `media` any; the rest has to hold as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Content {
    /// Words or phrases of which one is in the text, whatever their case. In scripts that write without spaces a word is
    /// found anywhere.
    pub words: Vec<String>,
    /// A regular expression that is found in the text; `(?i)` in front makes it blind to case.
    pub pattern: Option<Pattern>,
    /// Sorts of file.
    pub media: Vec<MediaKind>,
    /// Whether there is a file.
    pub has_media: Option<bool>,
}

/// A sort of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediaKind {
    /// A photo or a drawing.
    Image,
    /// A film.
    Video,
    /// Sound that was sent as a file.
    Audio,
    /// Sound that was recorded in the chat.
    Voice,
    /// Anything else with a name.
    Document,
    /// A sticker.
    Sticker,
}

/// What an attribute has to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Wanted {
    /// Set, or not set.
    Present(bool),
    /// This.
    One(String),
    /// One of these.
    AnyOf(Vec<String>),
}

/// Who writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Customer {
    /// What the customer's phone number begins with, digits without `+`: `49` is Germany. A customer whose number is not
    /// known is none of them.
    #[schemars(extend("x-items" = "phone-prefix"))]
    pub phone_prefixes: Vec<String>,
}

/// When the event was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// Days of the week. Hours that go over midnight belong to the day on which they begin.
    pub days: Vec<Day>,
    /// Hours of the day, the first minute in and the last one out: `09:00-17:30`; `22:00-06:00` goes over midnight.
    pub between: Vec<Hours>,
    /// Where it is that time: a name of the IANA database, as `Europe/Berlin`.
    pub time_zone: Zone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Match {
    /// Whether kinds and channels are all that it looks at.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let Self { kinds: _, channels: _, content, attributes, customer, time, not } = self;
        content.is_none() && attributes.is_empty() && customer.is_none() && time.is_none() && not.is_none()
    }
}

/// Whether `kind` is `prefix` or begins with its words.
pub(in crate::config) fn covers(prefix: &str, kind: &str) -> bool {
    kind.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
