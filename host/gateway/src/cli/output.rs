//! What the commands print: tables, numbers, questions, progress.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::{OwoColorize, Style};
use serde_json::Value;

use super::failure::wrong;

/// The least that stands between two columns.
const GAP: usize = 2;

/// Writes to standard output, with colours on a terminal only.
///
/// # Errors
/// When nobody reads it.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Writes one JSON object a line.
///
/// # Errors
/// As [`print()`].
pub fn json_lines<'a>(rows: impl IntoIterator<Item = &'a Value>) -> anyhow::Result<()> {
    let text: String = rows.into_iter().map(|row| format!("{row}\n")).collect();
    print(&text)
}

/// Rows under a heading, in columns as wide as they need to be.
#[must_use]
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = heading
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title.len()]).max().unwrap_or_default()
        })
        .collect();
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    let mut text = format!("{}\n", line(&heading, &widths).style(Style::new().bold()));
    for row in rows {
        text.push_str(&line(row, &widths));
        text.push('\n');
    }
    text
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(cell);
        let missing = width.saturating_sub(cell.chars().count()) + GAP;
        text.extend(std::iter::repeat_n(' ', missing));
    }
    text.truncate(text.trim_end().len());
    text
}

/// The text at this key of a row; empty where there is none.
#[must_use]
pub fn text_of(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// `1,234,567`
#[must_use]
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 event`, `2,000 events`
#[must_use]
pub fn count(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { several })
}

/// `1.5 GiB`, rounded down.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            // In tenths; a backup has no 2⁶⁰ bytes.
            let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
            format!("{}.{} {unit}", number(tenths / 10), tenths % 10)
        }
        None => format!("{} B", number(bytes)),
    }
}

/// `3 days`, `5 minutes`: in the largest unit that there are two of.
#[must_use]
pub fn age(age: Duration) -> String {
    indicatif::HumanDuration(age).to_string()
}

/// Asks on the terminal. Without one nothing is done that was not confirmed.
///
/// # Errors
/// There is no terminal: exit code 2, and what to type.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(wrong(format!("{question} There is no terminal to answer on: add --yes to do it")));
    }
    anstream::eprint!("{question} [y/N] ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A bar for this many bytes, or without an end where that is not known. It is drawn on a terminal only.
#[must_use]
pub fn progress_of_bytes(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        None => "{msg} {spinner} {bytes}, {bytes_per_sec}",
    };
    progress(total, template)
}

/// A bar for this many things.
#[must_use]
pub fn progress_of_things(total: u64) -> ProgressBar {
    progress(Some(total), "{msg} {bar:30} {human_pos} of {human_len}, {eta} left")
}

fn progress(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    // A template of our own that could not be read would show the usual bar.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            (count(1, "event", "events"), count(1_000, "event", "events")),
            ("1 event".into(), "1,000 events".into())
        );
        assert_eq!([0, 1_023, 1_536, 3 << 30].map(bytes), ["0 B", "1,023 B", "1.5 KiB", "3.0 GiB"]);
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let row = |one: &str, two: &str| vec![one.to_owned(), two.to_owned()];
        let table = table(&["ID", "REASON"], &[row("ta_1", "no"), row("é", "")]);
        assert_eq!(anstream::adapter::strip_str(&table).to_string(), "ID    REASON\nta_1  no\né\n");
    }
}
