//! Writes what a plugin answers, and what servers answered it, into a golden event's file, and leaves the rest of the file
//! as it is.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use patchbay_model::golden::{Exchange, Expected};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::layout::layout;

/// The parts of the file that change.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    expect: &'a RawValue,
    #[serde(borrow)]
    http: Option<&'a RawValue>,
}

/// Puts `answered` in the place of `expect`.
pub(super) fn expect(file: &Path, answered: &Expected) -> anyhow::Result<()> {
    change(file, |text| with_expect(text, answered))
}

/// Puts these exchanges in the place of `http`, or before `expect` where there are none yet.
pub(super) fn http(file: &Path, exchanges: &[Exchange]) -> anyhow::Result<()> {
    change(file, |text| with_http(text, exchanges))
}

fn change(file: &Path, change: impl FnOnce(&str) -> anyhow::Result<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let changed = change(&text).with_context(|| format!("cannot change {}", file.display()))?;
    replace(file, &changed).with_context(|| format!("cannot write {}", file.display()))
}

fn with_expect(text: &str, answered: &Expected) -> anyhow::Result<String> {
    let parts: Parts<'_> = serde_json::from_str(text)?;
    swap(text, parts.expect.get(), &serde_json::to_string(answered)?)
}

fn with_http(text: &str, exchanges: &[Exchange]) -> anyhow::Result<String> {
    let parts: Parts<'_> = serde_json::from_str(text)?;
    let new = serde_json::to_string(exchanges)?;
    if let Some(old) = parts.http {
        return swap(text, old.get(), &new);
    }
    // The key is the last thing before its value.
    let value = place(text, parts.expect.get());
    let key = text.get(..value).and_then(|before| before.rfind("\"expect\"")).context("the key is not in the file")?;
    let (before, after) = text.split_at_checked(key).context("the key is not in the file")?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    let indent = indent(line);
    let laid = layout(&new, indent, line.chars().count() + "\"http\": ".len())?;
    // A line of its own where `expect` has one.
    let gap = if line == indent { format!("\n{indent}") } else { " ".to_owned() };
    Ok(format!("{before}\"http\": {laid},{gap}{after}"))
}

/// The text with a value of it in another form.
fn swap(text: &str, old: &str, new: &str) -> anyhow::Result<String> {
    let begin = place(text, old);
    let before = text.get(..begin).context("the value is not in the file")?;
    let after = text.get(begin + old.len()..).context("the value is not in the file")?;
    // As deep as the line that it begins in.
    let line = before.rsplit('\n').next().unwrap_or_default();
    let laid = layout(new, indent(line), line.chars().count())?;
    Ok(format!("{before}{laid}{after}"))
}

/// Where a value begins, which is a slice of the text.
fn place(text: &str, value: &str) -> usize {
    value.as_ptr().addr() - text.as_ptr().addr()
}

fn indent(line: &str) -> &str {
    let end = line.find(|letter: char| !letter.is_whitespace()).unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

/// Whole or not at all.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.as_file().set_permissions(fs::metadata(file)?.permissions())?;
    draft.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use patchbay_model::Flow;
    use patchbay_model::golden::{ExpectedRequest, ScriptedAnswer};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_the_expectation_changes() {
        let text = "{\n  \"zebra\": [1,  2],\n  \"expect\": {\"failure\": \"retry\"},\n  \"about\": \"expect\"\n}\n";
        let answered = Expected::Outcome { actions: Vec::new(), flow: Flow::Stop };
        assert_eq!(
            with_expect(text, &answered).unwrap(),
            "{\n  \"zebra\": [1,  2],\n  \"expect\": { \"outcome\": { \"actions\": [], \"flow\": \"stop\" } },\n  \
             \"about\": \"expect\"\n}\n"
        );
        assert!(with_expect("{}", &answered).is_err());
    }

    #[test]
    fn only_the_exchanges_change() {
        let exchange = |url: &str, body: Value| Exchange {
            request: ExpectedRequest { method: "GET".into(), url: url.into(), body: None },
            answer: ScriptedAnswer { status: 200, headers: Vec::new(), body, base64: None },
        };
        let recorded = [exchange("https://a.example/", json!({ "a": "x".repeat(40) }))];
        let line = format!("{{ \"status\": 200, \"headers\": [], \"body\": {{ \"a\": \"{}\" }} }}", "x".repeat(40));
        let http = format!(
            "\"http\": [\n    {{\n      \"request\": {{ \"method\": \"GET\", \"url\": \"https://a.example/\" }},\n      \
             \"answer\": {line}\n    }}\n  ]"
        );
        let before = "{\n  \"read\": [\"expect\",  1],\n  \"expect\": {\"found\": null}\n}\n";
        let after = with_http(before, &recorded).unwrap();
        let expected = format!("{{\n  \"read\": [\"expect\",  1],\n  {http},\n  \"expect\": {{\"found\": null}}\n}}\n");
        assert_eq!(after, expected);
        assert_eq!(with_http(&after, &recorded).unwrap(), after, "again, and nothing changes");
        assert_eq!(with_http("{\"expect\": 1}", &[]).unwrap(), "{\"http\": [], \"expect\": 1}");
    }
}
