//! `patchbay plugin new`
//!
//! # Layout
//! - here: the flags, where it goes, and what to type next
//! - `layers`: the files of a project, from the templates and the SDK that this binary brings along

mod layers;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use crate::cli::failure::{DONE, failed, wrong};
use crate::cli::output::print;

/// What its help says.
pub const ABOUT: &str = "Makes a folder with a plugin that builds, is tested and runs at once, with the SDK of its language in \
                  it. The commands that follow are printed.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin new acme-router --role handler --lang rust\n  \
                       patchbay plugin new acme-tickets --role desk --lang javascript --path plugins/tickets";

/// `patchbay plugin new`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The plugin's name: lower-case letters, digits and hyphens.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it does in the gateway.
    #[arg(long, value_enum)]
    pub role: Role,
    /// What it is written in.
    #[arg(long, value_enum)]
    pub lang: Language,
    /// The folder to make, instead of one of the plugin's name.
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
}

/// What a plugin does in the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Decides what should be done about an event
    Handler,
    /// Speaks one ticket system's API
    Desk,
    /// Looks at files that customers send
    Inspector,
}

impl Role {
    /// As templates are called.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Desk => "desk",
            Self::Inspector => "inspector",
        }
    }
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust, for wasm32-wasip2
    Rust,
    /// JavaScript, with Node
    #[value(alias = "js")]
    Javascript,
    /// TypeScript, with Node
    #[value(alias = "ts")]
    Typescript,
    /// Python 3.11 or later
    #[value(alias = "py")]
    Python,
}

impl Language {
    /// As templates are called.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Python => "python",
        }
    }

    /// How its own tests are run.
    const fn tests(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::Javascript | Self::Typescript => "npm test",
            Self::Python => "python3 -m unittest",
        }
    }
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When the name is none, the folder exists, or cannot be written; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let Args { name, role, lang, path } = args;
    if !is_name(&name) {
        return Err(wrong(format!(
            "`{name}` is no name of a plugin: write lower-case letters, digits and single hyphens, beginning with a \
             letter, such as acme-router"
        )));
    }
    let folder = path.unwrap_or_else(|| PathBuf::from(&name));
    if folder.exists() {
        return Err(failed(format!(
            "{} exists already: choose another name, or another folder with --path DIR",
            folder.display()
        )));
    }
    let files = layers::project(lang, role, &name)?;
    for (file, content) in &files {
        write(&folder.join(file), content)?;
    }
    print(&next(&folder, lang, &name))?;
    Ok(DONE)
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let wrong = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(wrong)?;
    }
    fs::write(path, content).with_context(wrong)
}

/// What to type next.
fn next(folder: &Path, lang: Language, name: &str) -> String {
    let rows = [
        (format!("cd {}", folder.display()), ""),
        ("patchbay plugin build".to_owned(), "make the component"),
        (lang.tests().to_owned(), "test the logic by itself"),
        ("patchbay plugin test".to_owned(), "ask the component the golden events in tests/golden"),
        (format!("patchbay plugin inspect {name}.wasm"), "see it as an operator does"),
    ];
    let width = rows.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
    let mut text = format!("{} is a plugin in {} now. Next:\n", folder.display(), lang.as_str());
    for (command, about) in rows {
        let line = format!("  {command:width$}  {about}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// As a manifest wants it: words of letters and digits, a letter first, single hyphens between them.
fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_manifests() {
        for name in ["a", "acme-router", "v2-x"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Acme", "acme_router", "-a", "a--b", "a-", "2x", "../x", "ä"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_to_type_next_fits_the_language() {
        let text = next(Path::new("x"), Language::Javascript, "x");
        assert!(text.contains("\n  npm test ") && text.contains("\n  patchbay plugin test "), "{text}");
        let text = next(Path::new("x"), Language::Rust, "x");
        assert!(text.contains("\n  cargo test "), "{text}");
    }
}
