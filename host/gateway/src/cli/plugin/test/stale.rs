//! Whether a component was built before its source was last changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use patchbay_artefact::Project;
use patchbay_artefact::project::{FILE, GOLDEN_FOLDER};

/// Folders within folders that are looked into: no source lies deeper.
const DEPTH: usize = 16;

/// A file of the project that is newer than its component, if there is one. What cannot be read is not newer.
pub(super) fn newer(project: &Project, component: &Path) -> Option<PathBuf> {
    let built = changed(component)?;
    let golden = project.folder.join(GOLDEN_FOLDER);
    let watched = project.build.iter().flat_map(|build| &build.watch).filter(|path| path.as_path() != Path::new(FILE));
    watched.map(|path| project.folder.join(path)).find_map(|path| within(&path, built, &golden, DEPTH))
}

fn within(path: &Path, built: SystemTime, golden: &Path, depth: usize) -> Option<PathBuf> {
    if path == golden || depth == 0 {
        return None;
    }
    if path.is_dir() {
        let entries = std::fs::read_dir(path).ok()?;
        return entries.flatten().find_map(|entry| within(&entry.path(), built, golden, depth - 1));
    }
    (changed(path)? > built).then(|| path.to_owned())
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
