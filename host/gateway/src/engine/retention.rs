//! Removing what is past its time from this node's partitions.

use std::sync::Arc;
use std::time::Duration;

use patchbay_store::{Removed, StoreError};

use super::Shared;

/// The first time after the start: not while everything is being loaded.
const FIRST: Duration = Duration::from_secs(60);
/// Between two rounds. Times are days, so that an hour more or less is nothing.
const ROUND: Duration = Duration::from_secs(60 * 60);
/// The pause after each piece, so that others get their turn.
const PIECE_PAUSE: Duration = Duration::from_millis(200);

/// Thins the store out, in rounds, until the gateway stops.
pub async fn thin_out(shared: Arc<Shared>) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = ROUND;
        let total = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            total = round(&shared) => total,
        };
        let Removed { raw, events, conversations, dead_letters, reports } = total;
        if total != Removed::default() {
            tracing::info!(raw, events, conversations, dead_letters, reports, "removed what was past its time");
        }
    }
}

/// Removes until there is nothing more to remove.
async fn round(shared: &Shared) -> Removed {
    let mut total = Removed::default();
    loop {
        let leases = shared.owners.leases();
        if leases.is_empty() {
            return total;
        }
        let removed = shared.store.thin_out(&leases, &shared.routing().retention, shared.store.now()).await;
        match removed {
            Ok(removed) if removed == Removed::default() => return total,
            Ok(removed) => add(&mut total, removed),
            // A partition has just changed hands.
            Err(StoreError::Fenced(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "what is past its time could not be removed; the next try is in an hour");
                return total;
            }
        }
        tokio::time::sleep(PIECE_PAUSE).await;
    }
}

fn add(total: &mut Removed, removed: Removed) {
    let Removed { raw, events, conversations, dead_letters, reports } = removed;
    let all = [
        ("raw", &mut total.raw, raw),
        ("event", &mut total.events, events),
        ("conversation", &mut total.conversations, conversations),
        ("dead-letter", &mut total.dead_letters, dead_letters),
        ("report", &mut total.reports, reports),
    ];
    for (what, sum, count) in all {
        *sum += count;
        metrics::counter!("patchbay_removed_total", "what" => what).increment(count);
    }
}
