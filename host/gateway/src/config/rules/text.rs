//! Words and patterns in a text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::units::text;

/// The most bytes of a pattern's program, and of what matching it may cache: a pattern that an operator can read takes some
/// tens of KiB. Matching takes time in proportion to the text, whatever the pattern.
const PATTERN_MOST: usize = 1 << 20;

/// A regular expression. It is compiled once, when the configuration is read.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it is found in a text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl FromStr for Pattern {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(text).size_limit(PATTERN_MOST).dfa_size_limit(PATTERN_MOST).build().map(Self)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

text!(Pattern, "pattern", "A regular expression.", ["(?i)order\\s+\\d{6}"]);

/// A text as a row of words in lower case, with a space before, between and after them. In scripts that write without
/// spaces each character is a word.
pub(super) fn row(text: &str) -> String {
    let mut row = String::with_capacity(text.len() + 2);
    row.push(' ');
    for char in text.chars() {
        if !char.is_alphanumeric() {
            if !row.ends_with(' ') {
                row.push(' ');
            }
        } else if stands_alone(char) {
            if !row.ends_with(' ') {
                row.push(' ');
            }
            row.push(char);
            row.push(' ');
        } else {
            row.extend(char.to_lowercase());
        }
    }
    if !row.ends_with(' ') {
        row.push(' ');
    }
    row
}

/// Scripts that write without spaces, or whose words carry their endings: Thai to Khmer, kana, ideographs, Hangul.
const fn stands_alone(char: char) -> bool {
    matches!(
        char,
        '\u{0e00}'..='\u{0eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// Whether a text has no letter and no digit.
#[must_use]
pub fn has_no_letter(text: &str) -> bool {
    row(text).len() <= 1
}

/// Whether a word or phrase is in a row. One without a letter or digit is in none.
pub(super) fn has(row_of_text: &str, word: &str) -> bool {
    let word = row(word);
    word.len() > 1 && row_of_text.contains(&word)
}
