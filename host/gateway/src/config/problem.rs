//! What is wrong with a configuration: where, why, and what to write instead.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::render;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The gateway does not start with it.
    Error,
    /// It starts, and probably does not do what was meant.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// From 1; 0 when it is about the whole file.
    pub line: usize,
    /// In characters, from 1; 0 when it is about the whole file.
    pub column: usize,
    /// `whatsapp.numbers[0].access_token`; empty when there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub fix: String,
    /// Its bytes in the text; empty at 0 when it is about the whole file.
    #[serde(skip)]
    pub(super) span: Range<usize>,
    /// The text could not be read as TOML: nothing of the line is known to be harmless.
    #[serde(skip)]
    pub(super) syntax: bool,
}

impl Problem {
    pub(super) fn new(severity: Severity, span: Range<usize>, key: &str, message: String, fix: String) -> Self {
        Self { severity, line: 0, column: 0, key: key.to_owned(), message, fix, span, syntax: false }
    }

    pub(super) fn of_file(message: String, fix: String) -> Self {
        Self::new(Severity::Error, 0..0, "", message, fix)
    }

    pub(super) fn syntax(span: Range<usize>, message: String) -> Self {
        let fix = "correct the TOML here; keys are `name = value`, text stands in double quotes".to_owned();
        Self { syntax: true, ..Self::new(Severity::Error, span, "", format!("this is not TOML: {message}"), fix) }
    }
}

/// Everything that is wrong with one file.
#[derive(Clone)]
pub struct Problems {
    /// The file's name, as it was given.
    pub(super) file: String,
    pub(super) text: String,
    list: Vec<Problem>,
    /// Bytes that are never shown: secrets that were written into the file.
    pub(super) hidden: Vec<Range<usize>>,
}

impl Problems {
    /// Sorts them by place and works out lines and columns.
    pub(super) fn new(file: String, text: String, mut list: Vec<Problem>, hidden: Vec<Range<usize>>) -> Self {
        list.sort_by_key(|problem| (problem.span.start, problem.severity));
        for problem in &mut list {
            // The whole file has no line, unless it is the syntax of its very first character.
            if problem.span != (0..0) || problem.syntax {
                (problem.line, problem.column) = render::position(&text, problem.span.start);
            }
        }
        Self { file, text, list, hidden }
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.list
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// For people, with the lines of the file, with colours for a terminal. Ends with a line break.
    #[must_use]
    pub fn coloured(&self) -> String {
        render::all(self, render::Style::Coloured)
    }

    /// One JSON object a line: `file`, `severity`, `line`, `column`, `key`, `message`, `fix`.
    #[must_use]
    pub fn json_lines(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            file: &'a str,
            #[serde(flatten)]
            problem: &'a Problem,
        }
        let line = |problem| serde_json::to_string(&Line { file: &self.file, problem }).unwrap_or_default() + "\n";
        self.list.iter().map(line).collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(render::all(self, render::Style::Plain).trim_end())
    }
}

impl fmt::Debug for Problems {
    /// Without the file's text, which could hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problems").field("file", &self.file).field("list", &self.list).finish_non_exhaustive()
    }
}

impl std::error::Error for Problems {}
