//! Waiting for a condition instead of a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take on a busy machine. Nothing waits this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Looks until `probe` gives something, and gives it.
///
/// # Errors
/// After [`PATIENCE`], with `what` and what was seen last; or when the probe itself fails for good.
pub async fn eventually<T, F>(what: &str, probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<std::result::Result<T, String>>>,
{
    eventually_within(PATIENCE, what, probe).await
}

/// Looks until `probe` gives something, for at most `patience`.
///
/// # Errors
/// As [`eventually`].
pub async fn eventually_within<T, F>(patience: Duration, what: &str, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<std::result::Result<T, String>>>,
{
    let until = Instant::now() + patience;
    loop {
        match probe().await? {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() >= until => {
                bail!("{what} did not happen within {patience:?}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
