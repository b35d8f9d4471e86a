//! A share of the conversations.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use patchbay_model::ConversationId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::{UnitError, text};

/// A share of the conversations, in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

/// Hundredths of a percent that are all of them.
const WHOLE: u16 = 10_000;

impl Share {
    /// All of them.
    pub const ALL: Self = Self(WHOLE);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// So many percent, to two places; 0 to 100.
    #[must_use]
    pub fn percent(percent: f64) -> Option<Self> {
        let hundredths = (percent * 100.0).round();
        // In range, and whole: nothing is lost.
        (0.0..=f64::from(WHOLE)).contains(&hundredths).then_some(Self(hundredths as u16))
    }

    /// In percent.
    #[must_use]
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Whether a conversation belongs to it. Always the same ones for the same `of`; a larger share has those of a smaller
    /// one and more.
    #[must_use]
    pub fn has(self, of: &str, conversation: &ConversationId) -> bool {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in of.bytes().chain([0]).chain(conversation.as_str().bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The low bits of FNV depend on the low bits of the text only; the high ones on all of it.
        (hash >> 32) % u64::from(WHOLE) < u64::from(self.0)
    }
}

impl FromStr for Share {
    type Err = UnitError;

    /// `20%`, `0.5%`: at most two places.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = text.strip_suffix('%').ok_or(UnitError::Share)?;
        let (whole, places) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(places) || places.len() > 2 {
            return Err(UnitError::Share);
        }
        number.parse().ok().and_then(Self::percent).ok_or(UnitError::Share)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.as_percent())
    }
}

text!(Share, "share", "A share of the conversations, always the same ones.", ["20%", "0.5%"]);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conversation(number: u32) -> ConversationId {
        ConversationId::derive(&[&number.to_le_bytes()])
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        for text in ["0%", "0.5%", "20%", "33.33%", "100%"] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
        }
        for text in ["", "%", "20", "20 %", "-1%", "100.01%", "101%", "1e1%", "0.333%", ".5%", "5.%", "nan%"] {
            assert_eq!(text.parse::<Share>(), Err(UnitError::Share), "{text}");
        }
    }

    #[test]
    fn it_is_about_that_share() {
        for percent in [0.0, 1.0, 20.0, 50.0, 100.0] {
            let share = Share::percent(percent).unwrap();
            let has = (0..20_000).filter(|number| share.has("router", &conversation(*number))).count();
            let expected = 200.0 * percent;
            assert!((has as f64 - expected).abs() <= 260.0, "{share}: {has}");
        }
        assert!((0..1_000).all(|number| Share::ALL.has("router", &conversation(number))));
    }

    proptest! {
        #[test]
        fn a_larger_share_has_those_of_a_smaller_one(
            number in any::<u32>(),
            smaller in 0_u16..=10_000,
            larger in 0_u16..=10_000,
            of in "[a-z]{1,8}",
        ) {
            let (smaller, larger) = (Share(smaller.min(larger)), Share(smaller.max(larger)));
            let conversation = conversation(number);
            prop_assert!(!smaller.has(&of, &conversation) || larger.has(&of, &conversation));
            let known_again = ConversationId::parse(conversation.as_str()).unwrap();
            prop_assert_eq!(larger.has(&of, &conversation), larger.has(&of, &known_again));
        }
    }
}
