//! Files: TOML with the places of what is wrong, and writing all or nothing.

#[cfg(feature = "registry")]
use std::path::Path;

use serde::de::DeserializeOwned;

/// Reads TOML; a problem says its line and key.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let line = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: ", before.matches('\n').count() + 1)
    };
    let document = toml::Deserializer::parse(text).map_err(|error| format!("{}{}", line(&error), error.message()))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let key = error.path().to_string();
        let key = if key == "." { String::new() } else { format!("{key}: ") };
        let error = error.into_inner();
        format!("{}{key}{}", line(&error), error.message())
    })
}

/// Writes a file beside its place and moves it there: whoever reads it finds the old content or the new one.
///
/// # Errors
/// When it cannot be written; what was there is there still.
#[cfg(feature = "registry")]
pub fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;

    let mut builder = tempfile::Builder::new();
    // As any file that others may read, but for the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut unfinished = builder.tempfile_in(folder_of(file))?;
    unfinished.write_all(content)?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(file)?;
    Ok(())
}

/// The folder that a file is in.
#[cfg(feature = "registry")]
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
