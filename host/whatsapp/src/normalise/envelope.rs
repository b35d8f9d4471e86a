//! The outline that all webhooks share: entries of accounts, and in them changes of fields.

use std::borrow::Cow;

use patchbay_model::Timestamp;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::wire::{self, Fields, Object};

/// One part of a body, apart from its neighbours.
pub(super) enum Part<'a> {
    /// Something changed.
    Change(Change<'a>),
    /// Of another shape than we know.
    Odd {
        /// What it should have been.
        expected: &'static str,
        /// The WhatsApp business account, where it could be read.
        account: String,
        /// All of it.
        raw: &'a RawValue,
    },
}

/// Something changed.
pub(super) struct Change<'a> {
    /// The WhatsApp business account.
    pub(super) account: String,
    /// When, on those fields where Meta says so.
    pub(super) time: Option<Timestamp>,
    /// What sort of thing.
    pub(super) field: String,
    /// What it is now.
    pub(super) value: &'a RawValue,
}

/// Takes a body apart.
///
/// # Errors
/// Why it is not a webhook's body, without a word of its text.
pub(super) fn parts(body: &[u8]) -> Result<Vec<Part<'_>>, String> {
    let text = str::from_utf8(body).map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))?;
    match serde_json::from_str::<Object<Outline<'_>>>(text) {
        Ok(Object(outline)) if outline.is_usual() => Ok(known(outline)),
        _ => one_by_one(text),
    }
}

/// The usual shape, read in one pass.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    entry: Vec<Object<OutlineEntry<'a>>>,
}

#[derive(Deserialize)]
struct OutlineEntry<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    changes: Vec<Object<OutlineChange<'a>>>,
}

#[derive(Deserialize)]
struct OutlineChange<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Outline<'_> {
    /// A change without a name or a value is none, and must be kept as it is: in this way of reading that is lost.
    fn is_usual(&self) -> bool {
        let mut changes = self.entry.iter().flat_map(|Object(entry)| &entry.changes);
        changes.all(|Object(change)| !change.field.is_empty() && change.value.get() != "null")
    }
}

fn known(outline: Outline<'_>) -> Vec<Part<'_>> {
    let mut parts = Vec::with_capacity(outline.entry.len());
    for Object(entry) in outline.entry {
        let account = account(entry.id.and_then(wire::text));
        let time = entry.time.and_then(wire::text).and_then(|text| wire::moment(&text));
        parts.extend(entry.changes.into_iter().map(|Object(OutlineChange { field, value })| {
            Part::Change(Change { account: account.clone(), time, field: field.into_owned(), value })
        }));
    }
    parts
}

/// Meta's ids of accounts have some twenty digits. What is far longer is none, and would be repeated in every change.
const LONGEST_ACCOUNT: usize = 128;

fn account(id: Option<String>) -> String {
    id.filter(|id| id.len() <= LONGEST_ACCOUNT).unwrap_or_default()
}

/// Any other shape: what can be read of it, and the rest as it is.
fn one_by_one(text: &str) -> Result<Vec<Part<'_>>, String> {
    let envelope: Fields<'_> = serde_json::from_str(text).map_err(|error| {
        let problem = match error.classify() {
            Category::Eof => "the JSON breaks off",
            Category::Data => "the JSON is not an object",
            Category::Syntax | Category::Io => "not JSON",
        };
        format!("{problem}, at line {} column {}", error.line(), error.column())
    })?;
    let entries = envelope.get("entry").and_then(wire::list).ok_or("the JSON has no list `entry`")?;
    let mut parts = Vec::with_capacity(entries.len());
    for raw in entries {
        let entry = Fields::of(raw).unwrap_or_default();
        let account = account(entry.text("id"));
        let Some(changes) = entry.get("changes").and_then(wire::list) else {
            parts.push(Part::Odd { expected: "entry", account, raw });
            continue;
        };
        let time = entry.moment("time");
        for raw in changes {
            let change = Fields::of(raw).unwrap_or_default();
            parts.push(match (change.text("field"), change.get("value")) {
                (Some(field), Some(value)) => Part::Change(Change { account: account.clone(), time, field, value }),
                _ => Part::Odd { expected: "change", account: account.clone(), raw },
            });
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[Part<'_>]) -> Vec<String> {
        let shown = |part: &Part<'_>| match part {
            Part::Change(change) => format!("{} {} {}", change.account, change.field, change.value.get()),
            Part::Odd { expected, account, raw } => format!("odd {expected} of `{account}`: {}", raw.get()),
        };
        parts.iter().map(shown).collect()
    }

    #[test]
    fn both_ways_of_reading_agree() {
        for body in [
            r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"a","value":{"x":1}}]}]}"#,
            r#"{"entry":[{"changes":[{"value":[],"field":"a"},{"value":1,"field":"b"}],"time":1764000000,"id":7}]}"#,
            r#"{"entry":[]}"#,
            r#"{"entry":[{"id":"1","changes":[]},{"changes":[]}]}"#,
        ] {
            let Object(outline) = serde_json::from_str(body).unwrap();
            assert_eq!(shown(&known(outline)), shown(&one_by_one(body).unwrap()), "{body}");
        }
    }

    #[test]
    fn odd_parts_keep_to_themselves() {
        let body = r#"{"entry":[1,{"id":"2"},{"id":"3","changes":[null,{"field":"a"},{"field":"b","value":{}}]}]}"#;
        assert_eq!(
            shown(&parts(body.as_bytes()).unwrap()),
            [
                "odd entry of ``: 1",
                r#"odd entry of `2`: {"id":"2"}"#,
                "odd change of `3`: null",
                r#"odd change of `3`: {"field":"a"}"#,
                "3 b {}",
            ]
        );
    }

    #[test]
    fn a_part_is_read_in_the_same_way_beside_an_odd_one() {
        for change in [r#"{"field":"","value":1}"#, r#"{"field":"a","value":null}"#, r#"{"field":"a","value":1}"#] {
            let alone = format!(r#"{{"entry":[{{"id":"1","changes":[{change}]}}]}}"#);
            let beside = format!(r#"{{"entry":[{{"id":"1","changes":[{change},0]}}]}}"#);
            let (alone, beside) = (parts(alone.as_bytes()).unwrap(), parts(beside.as_bytes()).unwrap());
            assert_eq!(shown(&alone)[0], shown(&beside)[0], "{change}");
        }
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        for (body, reason) in [
            (&b""[..], "the JSON breaks off, at line 1 column 0"),
            (b"{\"entry\":[", "the JSON breaks off, at line 1 column 10"),
            (b"hello", "not JSON, at line 1 column 1"),
            (b"[[]]", "the JSON is not an object, at line 1 column 0"),
            (b"{}", "the JSON has no list `entry`"),
            (b"{\"entry\":{}}", "the JSON has no list `entry`"),
            (b"{\"entry\":\"\xff\"}", "not UTF-8 from byte 10 on"),
        ] {
            assert_eq!(parts(body).map(|parts| shown(&parts)).as_ref().map_err(String::as_str), Err(reason));
        }
    }
}
