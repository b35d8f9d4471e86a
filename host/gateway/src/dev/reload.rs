//! The configuration file, read again when it changes, and at each SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::http::Surface;
use crate::serve::reload::Reloaded;
use crate::watching::Watching;

/// Looks at the file from now on; none where that cannot be done.
pub(super) fn watch(file: PathBuf) -> Option<Watching> {
    match Watching::of(&[file]) {
        Ok(watching) => Some(watching),
        Err(error) => {
            tracing::warn!("changes of the configuration are not seen by themselves; type patchbay reload: {error:#}");
            None
        }
    }
}

/// Reads it again until it is told to stop. What came of it goes to standard error: whoever has just saved the file looks there.
pub(super) async fn run(surface: Arc<Surface>, mut hangups: Signal, watching: Option<Watching>) {
    let changed = async || match &watching {
        Some(watching) => watching.changed().await,
        None => std::future::pending().await,
    };
    loop {
        tokio::select! {
            hangup = hangups.recv() => if hangup.is_none() { return },
            () = changed() => {}
        }
        match surface.reloader.reload(&surface).await {
            Ok(Reloaded { changes, warnings }) => {
                for warning in warnings {
                    anstream::eprintln!("warning, line {}: {}; {}", warning.line, warning.message, warning.fix);
                }
                let changes =
                    if changes.is_empty() { "it says the same as before".to_owned() } else { changes.join("; ") };
                anstream::eprintln!("the configuration was read again: {changes}");
            }
            Err(error) => anstream::eprintln!("the configuration was not read again: {error}"),
        }
    }
}
