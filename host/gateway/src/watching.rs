//! Files that change, as the operating system tells it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// A change is over when nothing has changed for so long: editors write a file in several steps, and version control many
/// files at once.
const QUIET: Duration = Duration::from_millis(50);
/// What tools write themselves, in folders that people write in too.
const NOT_LOOKED_AT: [&str; 5] = [".git", ".venv", "__pycache__", "node_modules", "target"];

/// Looks at files and folders until it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    _watcher: RecommendedWatcher,
    changed: Arc<Notify>,
}

impl Watching {
    /// Looks at these files, and at everything in these folders. What is not there yet is waited for in its folder.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub(crate) fn of(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let paths: Result<Vec<PathBuf>, _> = paths.iter().map(std::path::absolute).collect();
        let paths = paths.context("there is no current folder")?;
        let (changed, wanted) = (Arc::new(Notify::new()), paths.clone());
        let tell = Arc::clone(&changed);
        let heard = move |event: notify::Result<Event>| {
            // An error may have swallowed events: whoever waits looks for himself.
            if event.map_or(true, |event| is_change(&event, &wanted)) {
                tell.notify_one();
            }
        };
        let mut watcher = notify::recommended_watcher(heard).context("files cannot be watched here")?;
        let mut places: BTreeMap<&Path, RecursiveMode> = BTreeMap::new();
        for path in &paths {
            // An editor puts a new file in the place of the old one: that is seen in its folder.
            let (place, mode) = match path.parent() {
                Some(folder) if !path.is_dir() => (folder, RecursiveMode::NonRecursive),
                _ => (path.as_path(), RecursiveMode::Recursive),
            };
            if place.is_dir() && places.get(place) != Some(&RecursiveMode::Recursive) {
                places.insert(place, mode);
            }
        }
        for (place, mode) in places {
            watcher.watch(place, mode).with_context(|| {
                format!(
                    "cannot watch {}; where there are too many files, raise fs.inotify.max_user_watches",
                    place.display()
                )
            })?;
        }
        Ok(Self { _watcher: watcher, changed })
    }

    /// Waits until something has changed since the last time, and then until nothing changes any more.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
        while tokio::time::timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }
}

/// Whether something else is in these files now. Reading them is none.
fn is_change(event: &Event, wanted: &[PathBuf]) -> bool {
    let of_ours = |path: &PathBuf| wanted.iter().any(|ours| path.strip_prefix(ours).is_ok_and(|rest| !is_tools(rest)));
    !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(of_ours)
}

fn is_tools(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part, Component::Normal(name) if NOT_LOOKED_AT.iter().any(|tool| name == *tool)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Longer than any event takes to arrive.
    const LONG: Duration = Duration::from_secs(20);
    /// Longer than a change that is told takes usually.
    const NOTHING: Duration = Duration::from_millis(400);

    async fn seen(watching: &Watching) -> bool {
        tokio::time::timeout(LONG, watching.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_change_is_seen_once_it_is_over_and_reading_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("src/deep")).unwrap();
        fs::create_dir_all(at("src/target")).unwrap();
        fs::write(at("src/lib.rs"), "1").unwrap();
        fs::write(at("plugin.toml"), "1").unwrap();
        let watching = Watching::of(&[at("src"), at("plugin.toml"), at("absent/x")]).unwrap();
        // Neither reading, nor what tools write, nor a neighbour.
        assert_eq!(fs::read_to_string(at("src/lib.rs")).unwrap(), "1");
        fs::write(at("src/target/x"), "1").unwrap();
        fs::write(at("other.toml"), "1").unwrap();
        assert!(tokio::time::timeout(NOTHING, watching.changed()).await.is_err());
        fs::write(at("src/deep/mod.rs"), "2").unwrap();
        assert!(seen(&watching).await);
        // As editors do it.
        fs::write(at("plugin.toml.new"), "2").unwrap();
        fs::rename(at("plugin.toml.new"), at("plugin.toml")).unwrap();
        assert!(seen(&watching).await);
        fs::remove_file(at("src/lib.rs")).unwrap();
        assert!(seen(&watching).await);
        assert!(tokio::time::timeout(NOTHING, watching.changed()).await.is_err(), "each change is told once");
    }
}
