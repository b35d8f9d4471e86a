//! What the configuration's `oci:` sources lead to, and the lock file that says so.

use anyhow::{Context as _, bail};
use patchbay_artefact::{Lock, Reference, lock};

use super::fetch::{self, Fetched, Trust};
use crate::config::{Config, Source};

/// Reads what a section names. Where the lock file knows a registry's source, it is that and nothing else.
///
/// # Errors
/// A sentence that says what cannot be read, or is another thing than the lock file says.
pub(super) async fn own(config: &Config, name: &str) -> anyhow::Result<Fetched> {
    let Some(plugin) = config.plugins.get(name) else { bail!("there is no [plugins.{name}]") };
    let fetched = fetch::fetch(config, name, &plugin.source, Trust::Configured).await?;
    if let Source::Registry(reference) = &plugin.source
        && let Some(entry) = Lock::read(&config.deployments.lock)?.get(reference)
        && entry.component != fetched.digest
    {
        bail!(
            "plugin `{name}`: oci:{reference} leads to {}, and {} says {}: somebody has changed one of them. If what is \
             there now is right: patchbay plugin pull oci:{reference} --update --lock {}",
            fetched.digest.short(),
            config.deployments.lock.display(),
            entry.component.short(),
            config.deployments.lock.display()
        );
    }
    Ok(fetched)
}

/// The line of the lock file for what was fetched; none where it needs none: it is no registry's, its section names a digest,
/// or the file has one.
pub(super) fn to_lock(config: &Config, name: &str, fetched: &Fetched) -> Option<lock::Entry> {
    let Source::Registry(reference) = &config.plugins.get(name)?.source else { return None };
    if reference.digest().is_some() || Lock::read(&config.deployments.lock).ok()?.get(reference).is_some() {
        return None;
    }
    // What was fetched is named by the digest of its manifest.
    let led_to: Reference = fetched.source.strip_prefix("oci:")?.parse().ok()?;
    Some(lock::Entry {
        reference: reference.clone(),
        digest: *led_to.digest()?,
        component: fetched.digest,
        size: fetched.component.len() as u64,
        pulled_at: jiff::Timestamp::now(),
        signed_by: None,
    })
}

/// Writes lines into the lock file. What cannot be written is said, and no reason not to run: the deployment's record has the
/// digest too.
pub(super) async fn lock(config: &Config, entries: Vec<lock::Entry>) {
    let file = config.deployments.lock.clone();
    let write = move || {
        for entry in entries {
            let reference = entry.reference.clone();
            Lock::remember(&file, entry).with_context(|| {
                format!("what oci:{reference} led to is not in the lock file; `patchbay plugin pull oci:{reference}` writes it")
            })?;
        }
        anyhow::Ok(())
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("{error:#}"),
        Err(error) => tracing::warn!(%error, "the lock file was not written"),
    }
}
