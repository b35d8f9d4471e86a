//! A released version of the contract does not change: its files have the hashes that `wit/frozen.toml` keeps.
//!
//! The tests of the runtime include this file, so that there is one way to check it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The list of hashes, below `wit`.
const LIST: &str = "frozen.toml";

/// The file that says that a folder is frozen, for people who open it.
const MARKER: &str = "FROZEN";

/// Files by their path below a folder, with their hashes in hexadecimal.
type Files = BTreeMap<String, String>;

/// Compares every frozen folder below `wit` with the list.
///
/// # Errors
/// A sentence for each file that is not as it was, and what to do.
pub(crate) fn check(wit: &Path) -> Result<(), String> {
    let list = wit.join(LIST);
    let text = std::fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let frozen = read(&text)?;
    let mut wrong = Vec::new();
    for (folder, listed) in &frozen {
        let found = hashes(&wit.join(folder))?;
        for path in listed.keys().chain(found.keys().filter(|path| !listed.contains_key(*path))) {
            let what = match (listed.get(path), found.get(path)) {
                (Some(listed), Some(found)) if listed == found => continue,
                (Some(_), Some(_)) => "has changed",
                (Some(_), None) => "is gone",
                (None, _) => "is new",
            };
            let place = place(folder);
            wrong.push(format!(
                "{place}/{path} {what}, but this folder is frozen: plugins in use were built from it. Take the change back \
                 (`git checkout {place}`) and make it in a new folder, for the next version of the contract; \
                 wit/README.md says how"
            ));
        }
    }
    for folder in marked(wit)? {
        if !frozen.contains_key(&folder) {
            let lines = lines(&folder, &hashes(&wit.join(&folder))?);
            wrong.push(format!("wit/{folder} is marked as frozen and not in wit/{LIST}. Add there:\n{lines}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// A folder of the list as seen from the repository's root: most of them are below `wit`.
fn place(folder: &str) -> String {
    folder.strip_prefix("../").map_or_else(|| format!("wit/{folder}"), ToOwned::to_owned)
}

/// The folders of the list. It is TOML with nothing but tables of texts, and read as such: the chores of this repository
/// are compiled before anything else, and do without a parser.
fn read(text: &str) -> Result<BTreeMap<String, Files>, String> {
    let quoted = |text: &str| Some(text.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned());
    let mut folders: BTreeMap<String, Files> = BTreeMap::new();
    let mut current = None;
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("wit/{LIST}, line {}: write [\"folder\"] or \"file\" = \"sha256\"", number + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = quoted(name).ok_or_else(wrong)?;
            folders.entry(name.clone()).or_default();
            current = Some(name);
            continue;
        }
        let (path, hash) = line.split_once('=').ok_or_else(wrong)?;
        let (path, hash) = quoted(path).zip(quoted(hash)).ok_or_else(wrong)?;
        let files = current.as_ref().and_then(|name| folders.get_mut(name)).ok_or_else(wrong)?;
        files.insert(path, hash);
    }
    Ok(folders)
}

/// A folder's part of the list.
fn lines(folder: &str, files: &Files) -> String {
    let mut text = format!("[\"{folder}\"]");
    for (path, hash) in files {
        // Writing to a text cannot fail.
        let _ = write!(text, "\n\"{path}\" = \"{hash}\"");
    }
    text
}

/// All files below a folder, what was built there left out.
fn hashes(folder: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    let mut left = vec![folder.to_owned()];
    while let Some(place) = left.pop() {
        let fault = |error: std::io::Error| format!("{}: {error}", place.display());
        for entry in std::fs::read_dir(&place).map_err(fault)? {
            let path: PathBuf = entry.map_err(fault)?.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    left.push(path);
                }
                continue;
            }
            let bytes = std::fs::read(&path).map_err(fault)?;
            let hash = Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.insert(name, hash);
        }
    }
    Ok(files)
}

/// The folders below `wit` that say of themselves that they are frozen.
fn marked(wit: &Path) -> Result<Vec<String>, String> {
    let fault = |error: std::io::Error| format!("{}: {error}", wit.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(wit).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if entry.path().join(MARKER).exists() {
            folders.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A house with one frozen folder and one that is not.
    fn house(name: &str) -> PathBuf {
        let wit = std::env::temp_dir().join(format!("patchbay-frozen-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&wit);
        for folder in ["0.1/guest", "0.2"] {
            std::fs::create_dir_all(wit.join(folder)).unwrap();
        }
        for (path, text) in [("0.1/a.wit", "a"), ("0.1/guest/b.rs", "b"), ("0.1/FROZEN", "yes"), ("0.2/a.wit", "new")] {
            std::fs::write(wit.join(path), text).unwrap();
        }
        let list = format!("# Why.\n\n{}\n", lines("0.1", &hashes(&wit.join("0.1")).unwrap()));
        std::fs::write(wit.join(LIST), list).unwrap();
        wit
    }

    #[test]
    fn what_is_frozen_stays_as_it_is() {
        let wit = house("change");
        check(&wit).unwrap();
        std::fs::write(wit.join("0.2/a.wit"), "newer").unwrap();
        std::fs::create_dir_all(wit.join("0.1/guest/target/debug")).unwrap();
        std::fs::write(wit.join("0.1/guest/target/debug/x"), "built").unwrap();
        check(&wit).unwrap();

        std::fs::write(wit.join("0.1/a.wit"), "other").unwrap();
        std::fs::write(wit.join("0.1/c.wit"), "more").unwrap();
        std::fs::remove_file(wit.join("0.1/guest/b.rs")).unwrap();
        let wrong = check(&wit).unwrap_err();
        for sentence in
            ["wit/0.1/a.wit has changed", "wit/0.1/c.wit is new", "wit/0.1/guest/b.rs is gone", "new folder"]
        {
            assert!(wrong.contains(sentence), "{wrong}");
        }
        std::fs::remove_dir_all(wit).unwrap();
    }

    #[test]
    fn a_marker_without_hashes_is_told_the_lines() {
        let wit = house("marker");
        std::fs::write(wit.join("0.2/FROZEN"), "yes").unwrap();
        let wrong = check(&wit).unwrap_err();
        assert!(wrong.contains("Add there:\n[\"0.2\"]\n\"FROZEN\" = \""), "{wrong}");
        std::fs::write(wit.join(LIST), "[0.1]\n").unwrap();
        assert!(check(&wit).unwrap_err().contains("line 1"));
        std::fs::remove_dir_all(wit).unwrap();
    }
}
