//! Embeds what `patchbay plugin new` writes: the templates, the SDKs of the three languages, and the contract.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Folders of the repository, and the names that their files are embedded under.
const FOLDERS: [(&str, &str); 5] = [
    ("plugin-sdk/templates", "templates"),
    ("plugin-sdk/rust", "rust"),
    ("plugin-sdk/javascript", "javascript"),
    ("plugin-sdk/python", "python"),
    ("wit/0.2", "wit"),
];
/// What tools leave behind.
const LEFT_BEHIND: [&str; 5] = [".venv", "__pycache__", "Cargo.lock", "node_modules", "target"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let mut source = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for (folder, name) in FOLDERS {
        let folder = root.join(folder);
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        for file in files {
            let inside = file.strip_prefix(&folder)?.to_str().ok_or("a name that is no text")?.replace('\\', "/");
            writeln!(source, "    ({:?}, include_bytes!({:?})),", format!("{name}/{inside}"), file)?;
        }
    }
    source.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("plugin_files.rs"), source)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    // Folder by folder and not the whole tree: what tools leave behind changes all the time.
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if LEFT_BEHIND.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
