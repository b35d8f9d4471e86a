//! `patchbay plugin diff`

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::deployed::{list, whole};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::cli::failure::{DONE, failed};
use crate::cli::output::{json_lines, print, text_of};

/// What is compared as it stands.
const PLAIN: [&str; 9] = ["name", "version", "source", "verified", "digest", "size", "settings_hash", "by", "made_at"];
/// What is compared entry by entry.
const LISTS: [&str; 3] = ["asks", "approved", "secrets"];

/// What its help says.
pub const ABOUT: &str = "Shows what differs between two generations: version, component, what it asks for, settings. Without \
                  numbers it is the active one and the one that stands beside it or waits (held, canary, shadow); where \
                  there is none, the one before and the active one.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin diff router\n  \
                       patchbay plugin diff router 3 5";

/// `patchbay plugin diff`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The deployment.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The first generation.
    #[arg(value_name = "A", requires = "second")]
    pub first: Option<u64>,
    /// The second one.
    #[arg(value_name = "B")]
    pub second: Option<u64>,
    /// Write one JSON object a line: key, before, after.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let whole = whole(&client, &args.name).await?;
    let (first, second) = match (args.first, args.second) {
        (Some(first), Some(second)) => (first, second),
        _ => usual(&whole)
            .ok_or_else(|| failed(format!("`{}` has one generation only: nothing to compare", args.name)))?,
    };
    let find = |number: u64| {
        let found = list(&whole, "generations").iter().find(|one| one.get("generation") == Some(&json!(number)));
        found.ok_or_else(|| {
            let there: Vec<String> = list(&whole, "generations").iter().map(|one| text_of(one, "generation")).collect();
            failed(format!(
                "there is no generation {number} of `{}` any more: {} are kept",
                args.name,
                there.join(", ")
            ))
        })
    };
    let (before, after) = (find(first)?, find(second)?);
    let rows = differences(before, after);
    if args.json {
        json_lines(&rows)?;
        return Ok(DONE);
    }
    let mut text = format!(
        "{}: generation {first} ({}) → {second} ({})\n",
        args.name,
        text_of(before, "state"),
        text_of(after, "state")
    );
    if rows.is_empty() {
        text += "nothing differs\n";
    }
    for row in &rows {
        let key = text_of(row, "key");
        for (sign, side) in [("-", "before"), ("+", "after")] {
            let value = text_of(row, side);
            if !value.is_empty() {
                text += &format!("{sign} {key}: {value}\n");
            }
        }
    }
    print(&text)?;
    Ok(DONE)
}

/// Which two are compared when nothing is said.
fn usual(whole: &Value) -> Option<(u64, u64)> {
    let number = |key: &str| whole.get(key).and_then(Value::as_u64);
    let active = number("active")?;
    let canary = whole.pointer("/canary/generation").and_then(Value::as_u64);
    match number("held").or(canary).or(number("shadow")) {
        Some(beside) => Some((active, beside)),
        None => Some((number("previous")?, active)),
    }
}

/// One row for each thing that differs.
fn differences(before: &Value, after: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut differ = |key: String, before: Option<&Value>, after: Option<&Value>| {
        if before != after {
            rows.push(json!({ "key": key, "before": before, "after": after }));
        }
    };
    for key in PLAIN {
        differ(key.to_owned(), before.get(key), after.get(key));
    }
    for key in LISTS {
        let (old, new) = (list(before, key), list(after, key));
        for entry in old.iter().filter(|entry| !new.contains(entry)) {
            differ(key.to_owned(), Some(entry), None);
        }
        for entry in new.iter().filter(|entry| !old.contains(entry)) {
            differ(key.to_owned(), None, Some(entry));
        }
    }
    let settings = |one: &'_ Value| one.get("settings").and_then(Value::as_object).cloned().unwrap_or_default();
    let (old, new) = (settings(before), settings(after));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        differ(format!("settings.{key}"), old.get(key), new.get(key));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let one = |version: &str, asks: &[&str], queue: &str| json!({ "version": version, "asks": asks, "settings": { "queue": queue, "same": 1 }, "size": 7 });
        let rows = differences(&one("1.0.0", &["a", "b"], "x"), &one("1.1.0", &["b", "c"], "y"));
        let text: Vec<String> = rows.iter().map(Value::to_string).collect();
        assert_eq!(
            text,
            [
                r#"{"after":"1.1.0","before":"1.0.0","key":"version"}"#,
                r#"{"after":null,"before":"a","key":"asks"}"#,
                r#"{"after":"c","before":null,"key":"asks"}"#,
                r#"{"after":"y","before":"x","key":"settings.queue"}"#,
            ]
        );
        assert!(differences(&rows[0], &rows[0]).is_empty());
    }

    #[test]
    fn what_waits_is_compared_with_what_runs() {
        let whole = json!({ "active": 3, "previous": 2, "held": 5, "canary": { "generation": 4 }, "shadow": null });
        assert_eq!(usual(&whole), Some((3, 5)));
        assert_eq!(usual(&json!({ "active": 3, "previous": 2, "canary": { "generation": 4 } })), Some((3, 4)));
        assert_eq!(usual(&json!({ "active": 3, "previous": 2 })), Some((2, 3)));
        assert_eq!(usual(&json!({ "active": 1, "previous": null })), None);
    }
}
