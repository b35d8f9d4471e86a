//! Golden events from files, with the bytes of the files that they name.

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use patchbay_model::golden::{Asked, FILE_MOST, FILES_MOST, FileBytes, Golden};

use super::ProjectError;

/// The golden events in this folder, which need not be there.
pub(super) fn read(folder: &Path) -> Result<Vec<(PathBuf, Golden)>, ProjectError> {
    let unreadable =
        |error: std::io::Error| ProjectError { file: folder.to_owned(), problem: format!("cannot be read ({error})") };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    let mut total = 0;
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let mut golden = one_golden(file.clone())?;
        for bytes in files_of(&mut golden) {
            total += embed(bytes, &file)?;
        }
        if total > FILES_MOST {
            let problem = format!(
                "with its files, the files of the golden events have more than {FILES_MOST} bytes together: take smaller ones"
            );
            return Err(ProjectError { file, problem });
        }
        all.push((file, golden));
    }
    Ok(all)
}

/// The files that a golden event has.
fn files_of(golden: &mut Golden) -> impl Iterator<Item = &mut FileBytes> {
    let inspected = match &mut golden.asked {
        Asked::Inspect { inspect, .. } => Some(&mut inspect.bytes),
        _ => None,
    };
    golden.files.values_mut().chain(inspected)
}

/// Puts the bytes in the place of the name of a file beside the golden event's; gives their number.
fn embed(bytes: &mut FileBytes, golden: &Path) -> Result<usize, ProjectError> {
    let name = match bytes {
        FileBytes::Base64(bytes) => return Ok(bytes.len()),
        FileBytes::File(name) => Path::new(name.as_str()),
    };
    let wrong = |problem: String| ProjectError { file: golden.to_owned(), problem };
    let shown = name.display();
    if !name.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(wrong(format!(
            "the file `{shown}` does not lie beside it: put it into this folder, or one below, and write its name alone"
        )));
    }
    let place = golden.parent().unwrap_or(Path::new("")).join(name);
    let unread = |error: std::io::Error| wrong(format!("its file {} cannot be read ({error})", place.display()));
    // A file that grows meanwhile is cut off, and is too large.
    let mut content = Vec::new();
    let most = u64::try_from(FILE_MOST).unwrap_or(u64::MAX);
    fs::File::open(&place).map_err(unread)?.take(most + 1).read_to_end(&mut content).map_err(unread)?;
    if content.len() > FILE_MOST {
        return Err(wrong(format!(
            "its file `{shown}` has more than {FILE_MOST} bytes, which would go to every node with the plugin: take a smaller \
             one"
        )));
    }
    *bytes = FileBytes::Base64(content.into());
    match bytes {
        FileBytes::Base64(bytes) => Ok(bytes.len()),
        FileBytes::File(_) => Ok(0),
    }
}

fn one_golden(file: PathBuf) -> Result<Golden, ProjectError> {
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return Err(ProjectError { file, problem: format!("cannot be read ({error})") }),
    };
    let mut json = serde_json::Deserializer::from_str(&text);
    let golden: Result<Golden, _> = serde_path_to_error::deserialize(&mut json);
    match golden.map_err(|error| error.to_string()).and_then(|golden| {
        json.end().map_err(|error| error.to_string())?;
        Ok(golden)
    }) {
        Ok(mut golden) => {
            if golden.name.is_empty() {
                golden.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            }
            Ok(golden)
        }
        Err(problem) => Err(ProjectError { file, problem: format!("is no golden event: {problem}") }),
    }
}
