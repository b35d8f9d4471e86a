//! Reading JSON of which only the outline is certain.
//!
//! Meta adds fields, omits them, writes numbers as text and text as numbers, and documents all of it late. So nothing
//! here fails over the type of a field: an object is a list of names and slices of the input ([`Fields`]), and each
//! slice is read when somebody asks for it, as what they ask for ([`text`], [`number`] …).
//!
//! None of these types can be printed: all that they hold is what customers wrote.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use patchbay_model::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object: its members as slices of the input. Of members with the same name the last one counts, as in JavaScript.
#[derive(Default)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The object that `raw` is, if it is one.
    pub(crate) fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// A member that is there and not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.0.iter().rev().find(|(key, _)| key == name)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// A member that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::of(self.get(name)?)
    }

    /// A member that is text, or a number as text; empty text counts as missing.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?).filter(|text| !text.is_empty())
    }

    /// A member that is a list; a missing one is empty.
    pub(crate) fn list(&self, name: &str) -> Vec<&'a RawValue> {
        self.get(name).and_then(list).unwrap_or_default()
    }

    /// A member that is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|raw| raw.get() == "true")
    }

    /// A member that is a moment.
    pub(crate) fn moment(&self, name: &str) -> Option<Timestamp> {
        moment(&self.text(name)?)
    }

    /// All members, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, raw)| (key.as_ref(), *raw))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Name(name), raw)) = map.next_entry()? {
                    members.push((name, raw));
                }
                Ok(Fields(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A value that may only be an object. Derived structs also take lists, member by member.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// Text, or a number exactly as it is written.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    match json.as_bytes().first()? {
        b'"' => string(json),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

/// A JSON string. Half of a surrogate pair, as it remains where text was cut in the middle of an emoji, is shown as
/// U+FFFD and does not cost the rest of the text.
fn string(json: &str) -> Option<String> {
    /// The three bytes of half a pair, each of them shown on its own.
    const HALF: &str = "\u{fffd}\u{fffd}\u{fffd}";

    struct Lenient(String);

    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Units;

            impl Visitor<'_> for Units {
                type Value = Lenient;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }

                fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Lenient, E> {
                    Ok(Lenient(String::from_utf8_lossy(bytes).replace(HALF, "\u{fffd}")))
                }
            }

            deserializer.deserialize_bytes(Units)
        }
    }

    serde_json::from_str(json).ok().or_else(|| serde_json::from_str::<Lenient>(json).ok().map(|lenient| lenient.0))
}

/// A number, written as one or as text. Never infinite, never NaN.
pub(crate) fn number(raw: &RawValue) -> Option<f64> {
    text(raw)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// A list.
pub(crate) fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// From here on a number of seconds would be a moment after the year 33658: it counts milliseconds.
const FIRST_MILLIS: u64 = 1_000_000_000_000;

/// A Unix time in seconds, or in milliseconds where it is too large for that. Zero says that nobody set it.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    match text.trim().parse().ok()? {
        0 => None,
        millis @ FIRST_MILLIS.. => Some(Timestamp::from_millis(millis)),
        seconds => Some(Timestamp::from_millis(seconds * 1000)),
    }
}

/// The digits of a phone number, however it is written.
pub(crate) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

/// A word of Meta's for use in our own names: what is not a short lower-case identifier is `other`.
pub(crate) fn word(text: Option<String>, other: &str) -> String {
    let known = |text: &String| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    text.map(|text| text.to_ascii_lowercase()).filter(known).unwrap_or_else(|| other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn members_are_slices_of_the_input() {
        let fields = Fields::of(raw(r#"{"a": {"b" : [1, 2]}, "n": null, "\u0063": "x", "d": 1, "d": 2}"#)).unwrap();
        assert_eq!(fields.get("a").unwrap().get(), r#"{"b" : [1, 2]}"#);
        assert!(fields.get("n").is_none());
        assert_eq!(fields.text("c").as_deref(), Some("x"));
        assert_eq!(fields.text("d").as_deref(), Some("2"));
        assert_eq!(fields.iter().count(), 5);
        for other in ["[]", "1", "\"{}\"", "null"] {
            assert!(Fields::of(raw(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn text_is_read_from_strings_and_numbers() {
        for (json, expected) in [
            (r#""a\u00e9\/\ud83d\ude00""#, Some("aé/😀")),
            (r#""cut \ud83d""#, Some("cut \u{fffd}")),
            ("12345678901234567890", Some("12345678901234567890")),
            ("-1.50", Some("-1.50")),
            ("true", None),
            ("{}", None),
            ("null", None),
        ] {
            assert_eq!(text(raw(json)).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn moments_are_seconds_or_milliseconds() {
        for (text, millis) in [
            ("1764000000", Some(1_764_000_000_000)),
            ("999999999999", Some(999_999_999_999_000)),
            ("1000000000000", Some(1_000_000_000_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("0", None),
            ("-5", None),
            ("yesterday", None),
            ("1764000000.5", None),
            ("", None),
        ] {
            assert_eq!(moment(text).map(Timestamp::as_millis), millis, "{text}");
        }
    }

    #[test]
    fn only_short_lower_case_identifiers_become_words() {
        for (text, expected) in [
            ("image", "image"),
            ("BUTTON", "button"),
            ("a b", "other"),
            ("", "other"),
            ("é", "other"),
            ("a.b", "other"),
        ] {
            assert_eq!(word(Some(text.to_owned()), "other"), expected);
        }
        assert_eq!(word(Some("x".repeat(65)), "other"), "other");
        assert_eq!(word(None, "other"), "other");
    }
}
