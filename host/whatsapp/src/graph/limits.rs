//! What Meta takes, checked before it is asked: its own refusal comes late and says less.
//!
//! The numbers are Meta's (message reference of the Cloud API, September 2026). Lengths are in characters.

use std::collections::BTreeSet;

use patchbay_model::Failure;

/// A text message, and the question above a list.
pub(super) const TEXT: usize = 4096;
/// The question above buttons.
pub(super) const BUTTONS_BODY: usize = 1024;
/// Buttons below a question.
pub(super) const BUTTONS: usize = 3;
/// A button's id.
pub(super) const BUTTON_ID: usize = 256;
/// What stands on a button, also on the one that opens a list.
pub(super) const BUTTON_TITLE: usize = 20;
/// Rows in all sections of a list together.
pub(super) const ROWS: usize = 10;
/// A row's id.
pub(super) const ROW_ID: usize = 200;
/// A row's title, and a section's.
pub(super) const ROW_TITLE: usize = 24;
/// The line below a row's title.
pub(super) const ROW_DESCRIPTION: usize = 72;
/// A template's name.
pub(super) const TEMPLATE_NAME: usize = 512;

/// Text that is there and not too long.
pub(super) fn text(what: &str, text: &str, limit: usize) -> Result<(), Failure> {
    if text.trim().is_empty() {
        return Err(Failure::permanent(format!("{what} is empty")));
    }
    at_most(what, text, limit)
}

/// Text that is not too long.
pub(super) fn at_most(what: &str, text: &str, limit: usize) -> Result<(), Failure> {
    // Bytes are never fewer than characters: most texts need no counting.
    if text.len() <= limit {
        return Ok(());
    }
    match text.chars().count() {
        length if length > limit => {
            Err(Failure::permanent(format!("{what} has {length} characters, and WhatsApp takes {limit}")))
        }
        _ => Ok(()),
    }
}

/// At least one, and not too many.
pub(super) fn count(what: &str, count: usize, limit: usize) -> Result<(), Failure> {
    if (1..=limit).contains(&count) {
        return Ok(());
    }
    Err(Failure::permanent(format!("there are {count} {what}, and WhatsApp takes 1 to {limit}")))
}

/// No two the same: the customer's answer would not say which.
pub(super) fn different<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Failure::permanent(format!("two {what} have the same id or title")));
        }
    }
    Ok(())
}
