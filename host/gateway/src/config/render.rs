//! Problems as text for people: the line of the file with a mark under the place, in the manner of rustc.

use std::fmt::Write;
use std::ops::Range;

use owo_colors::Style as Paint;

use super::problem::{Problem, Problems, Severity};

/// With or without terminal colours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Coloured,
}

impl Style {
    fn paint(self, paint: Paint) -> Paint {
        if self == Self::Coloured { paint } else { Paint::new() }
    }
}

/// Line and column (in characters), both from 1, of a byte of the text.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    (line, before.get(start..).map_or(0, |rest| rest.chars().count()) + 1)
}

/// All problems and a last line that counts them.
pub(super) fn all(problems: &Problems, style: Style) -> String {
    let mut out = String::new();
    for problem in problems.as_slice() {
        // Writing to a string does not fail.
        let _ = one(&mut out, problems, problem, style);
        out.push('\n');
    }
    let counted = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let counts = [counted(problems.errors(), "error"), counted(problems.warnings(), "warning")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if !counts.is_empty() {
        let _ = writeln!(out, "{}: {}", printable(&problems.file), counts.join(", "));
    }
    out
}

fn one(out: &mut String, problems: &Problems, problem: &Problem, style: Style) -> std::fmt::Result {
    let word = match problem.severity {
        Severity::Error => style.paint(Paint::new().red().bold()),
        Severity::Warning => style.paint(Paint::new().yellow().bold()),
    };
    let edge = style.paint(Paint::new().blue().bold());
    let bold = style.paint(Paint::new().bold());
    let file = printable(&problems.file);
    let message = printable(&problem.message);
    writeln!(out, "{}{} {}", word.style(problem.severity.as_str()), bold.style(":"), bold.style(message))?;
    let gutter = problem.line.to_string().len();
    if problem.line == 0 {
        writeln!(out, "{:gutter$}{} {file}", "", edge.style("-->"))?;
    } else {
        writeln!(out, "{:gutter$}{} {file}:{}:{}", "", edge.style("-->"), problem.line, problem.column)?;
        let (line, mark) = snippet(problems, problem);
        writeln!(out, "{:gutter$} {}", "", edge.style("|"))?;
        writeln!(out, "{} {} {line}", edge.style(problem.line), edge.style("|"))?;
        writeln!(
            out,
            "{:gutter$} {} {:mark$}{}",
            "",
            edge.style("|"),
            "",
            word.style(carets(&mark)),
            mark = mark.start
        )?;
    }
    if !problem.key.is_empty() {
        writeln!(out, "{:gutter$} {} key: {}", "", edge.style("="), printable(&problem.key))?;
    }
    if !problem.fix.is_empty() {
        writeln!(out, "{:gutter$} {} fix: {}", "", edge.style("="), printable(&problem.fix))?;
    }
    Ok(())
}

fn carets(mark: &Range<usize>) -> String {
    "^".repeat(mark.len().max(1))
}

/// Nothing from a file moves the cursor or changes colours.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// The problem's line as it is shown, and the columns to mark (from 0). What is hidden shows as `…`.
fn snippet(problems: &Problems, problem: &Problem) -> (String, Range<usize>) {
    let text = problems.text.as_str();
    let at = problem.span.start.min(text.len());
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |index| index + 1);
    let end = text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |index| at + index);
    let line = text.get(start..end).unwrap_or_default();
    let unreadable = if problem.syntax { suspicious(line) } else { None };

    let mut shown = String::new();
    let mut columns = 0;
    let (mut first, mut last) = (None, 0);
    let mut hiding = false;
    for (index, char) in line.char_indices() {
        let offset = start + index;
        let hidden =
            unreadable.is_some_and(|from| index >= from) || problems.hidden.iter().any(|range| range.contains(&offset));
        if !(hidden && hiding) {
            shown.push(if hidden {
                '…'
            } else if char.is_control() {
                ' '
            } else {
                char
            });
            columns += 1;
        }
        hiding = hidden;
        if problem.span.contains(&offset) || (first.is_none() && offset >= at) {
            first.get_or_insert(columns - 1);
            last = columns;
        }
    }
    let first = first.unwrap_or(columns);
    (shown.trim_end().to_owned(), first..last.max(first))
}

/// From where on a line that is no TOML could show a secret, in bytes.
fn suspicious(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    match lower.find('=') {
        Some(equals) => {
            let value = line.len() - line.get(equals + 1..).unwrap_or_default().trim_start().len();
            (super::forms::sounds_secret(&lower) || lower.contains("value")).then_some(value)
        }
        None => (!lower.trim_start().starts_with(['[', '#'])).then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, span: Range<usize>, hidden: Vec<Range<usize>>) -> String {
        let problem = Problem::new(Severity::Error, span, "a.b", "wrong".into(), "write c".into());
        Problems::new("x.toml".into(), text.into(), vec![problem], hidden).to_string()
    }

    #[test]
    fn marks_the_place_under_the_line() {
        let text = "[a]\nb = \"ü\" # x\n";
        assert_eq!(
            show(text, 8..12, Vec::new()),
            "error: wrong\n --> x.toml:2:5\n  |\n2 | b = \"ü\" # x\n  |     ^^^\n  = key: a.b\n  = fix: write c\n\nx.toml: 1 error"
        );
    }

    #[test]
    fn a_hidden_range_shows_as_an_ellipsis() {
        let shown = show("b = \"hunter2\" # x", 4..13, std::iter::once(4..13).collect());
        assert!(shown.contains("1 | b = … # x\n  |     ^\n"), "{shown}");
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn a_mark_beyond_the_text_and_over_several_lines_stays_in_its_line() {
        assert!(show("b = 1", 5..5, Vec::new()).contains("1 | b = 1\n  |      ^\n"));
        assert!(show("b = [\n1]\n", 4..8, Vec::new()).contains("1 | b = [\n  |     ^\n"));
    }

    #[test]
    fn positions_count_characters_from_one() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("a\nüb", 4), (2, 2));
        assert_eq!(position("a", 9), (1, 2));
    }
}
