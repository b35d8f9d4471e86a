//! What lies in a folder.

use std::path::Path;

use anyhow::Result;

/// Every file below a folder, by its path, and what it holds.
///
/// # Errors
/// When one of them cannot be read.
pub fn below(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(below(&path)?);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(found)
}
