//! Writes what a plugin answers into a golden event's file, and leaves the rest of the file as it is.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use patchbay_model::golden::Expected;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The one part of the file that changes.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    expect: &'a RawValue,
}

/// Puts `answered` in the place of `expect`.
pub(super) fn expect(file: &Path, answered: &Expected) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let changed = changed(&text, answered).with_context(|| format!("cannot change {}", file.display()))?;
    replace(file, &changed).with_context(|| format!("cannot write {}", file.display()))
}

fn changed(text: &str, answered: &Expected) -> anyhow::Result<String> {
    let part: Part<'_> = serde_json::from_str(text)?;
    let old = part.expect.get();
    // The value is a slice of the text: its place is where it begins in memory.
    let begin = old.as_ptr().addr() - text.as_ptr().addr();
    let before = text.get(..begin).context("the value is not in the file")?;
    let after = text.get(begin + old.len()..).context("the value is not in the file")?;
    // As deep as the line that it begins in.
    let line = before.rsplit('\n').next().unwrap_or_default();
    let indent: String = line.chars().take_while(|letter| letter.is_whitespace()).collect();
    let new = serde_json::to_string_pretty(answered)?.replace('\n', &format!("\n{indent}"));
    Ok(format!("{before}{new}{after}"))
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

    use super::*;

    #[test]
    fn only_the_expectation_changes() {
        let text = "{\n  \"zebra\": [1,  2],\n  \"expect\": {\"failure\": \"retry\"},\n  \"about\": \"expect\"\n}\n";
        let answered = Expected::Outcome { actions: Vec::new(), flow: Flow::Stop };
        assert_eq!(
            changed(text, &answered).unwrap(),
            "{\n  \"zebra\": [1,  2],\n  \"expect\": {\n    \"outcome\": {\n      \"actions\": [],\n      \"flow\": \
             \"stop\"\n    }\n  },\n  \"about\": \"expect\"\n}\n"
        );
        assert!(changed("{}", &answered).is_err());
    }
}
