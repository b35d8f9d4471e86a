//! Removes from the log what the store will not lose any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::log::Log;
use super::state::State;
use crate::Store;

/// How often the store is asked to settle, at most; and how much of the log a crash of the machine may cost.
const EVERY: Duration = Duration::from_secs(1);

/// While the log has less than this part of what it may have, it is kept for longer than it must.
const ROOMY: u64 = 4;

/// How long settling may take. A store that cannot settle says so sooner; this is for one that says nothing.
const SETTLE_TIME: Duration = Duration::from_secs(15);

/// Removes what is settled, for ever.
pub(super) async fn run(log: Arc<Log>, store: Arc<dyn Store>, losses: watch::Receiver<u64>) {
    loop {
        while log.shared().look(State::is_empty) {
            log.shared().unsettled.notified().await;
        }
        let next = Instant::now() + EVERY;
        round(&log, &*store, &losses, false).await;
        tokio::time::sleep_until(next).await;
    }
}

/// Asks the store to settle once, and removes what is settled by that; `all`: the segment that is being written too, even
/// if others have not been settled before.
pub(super) async fn round(log: &Log, store: &dyn Store, losses: &watch::Receiver<u64>, all: bool) {
    let _one_at_a_time = log.shared().settling.lock().await;
    // Segments that could not be settled are enough to try: a new one each second would make many small files.
    let seal = all || !log.shared().look(State::has_sealed);
    if let Some(file) = log.handle(seal).await {
        // Away from the thread that writes: who waits for it wants no flush. If it fails, the machine must not crash now.
        let flushed = tokio::task::spawn_blocking(move || file.sync_data()).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "what the store may lose yet could not be flushed to this node's disk");
        }
    }
    let before = *losses.borrow();
    // A replica that has what was settled need not be the one that is chosen when the master is lost. So a while goes by, as
    // long as there is room.
    let roomy = log.shared().look(|state| state.bytes) < log.shared().max_bytes / ROOMY;
    let keep = if roomy && !all { log.shared().keep } else { Duration::ZERO };
    let Some(sealed) = Instant::now().checked_sub(keep) else { return };
    let Some(mark) = log.shared().look(|state| state.mark(before, sealed)) else { return };
    match timeout(SETTLE_TIME, store.settle()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return tracing::debug!(%error, "the store did not settle"),
        Err(_) => return tracing::debug!("the store did not settle in time"),
    }
    // After a loss it is not known what was settled.
    let after = *losses.borrow();
    let settled = log.shared().change(|state| state.take_settled(mark, after));
    let files: Vec<_> = settled.into_iter().map(|number| log.shared().folder.segment(number)).collect();
    let removing = tokio::task::spawn_blocking(move || {
        for file in files {
            if let Err(error) = std::fs::remove_file(&file) {
                // At the next start the store gets it again, which changes nothing there.
                tracing::error!(%error, file = %file.display(), "a file of the spool that is done cannot be removed");
            }
        }
    });
    // It does not fail by itself, and is not worth failing for.
    let _removed = removing.await;
}
