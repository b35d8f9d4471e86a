//! The configuration, read again while the gateway runs: checked as a whole first, and then all of it or nothing.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use tokio::sync::Mutex;

use super::build;
use super::deploy::Deploy;
use crate::config::{Checked, Config, Problem, Problems, Secrets, environment};
use crate::http::Surface;

/// How the configuration is read again: as it was read at the start.
#[derive(Clone)]
pub struct Reading(Arc<dyn Fn() -> Checked + Send + Sync>);

impl Reading {
    /// From a file, with the secrets that it names.
    #[must_use]
    pub fn of_file(file: PathBuf) -> Self {
        Self::by(move || Config::check(&file, Secrets::Required(&environment)))
    }

    /// In this way. It may read files: it is called where it may take its time.
    #[must_use]
    pub fn by(read: impl Fn() -> Checked + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

/// Reads the configuration again.
#[derive(Debug)]
pub struct Reloader {
    /// How; none: the gateway was started without a file.
    reading: Option<Reading>,
    /// What counts now. One reload at a time has it.
    running: Mutex<Config>,
    deploy: Arc<dyn Deploy>,
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Sections that are written otherwise now, and plugins that are others. Secrets that have changed behind the same
    /// reference are taken anew and not told.
    pub changes: Vec<String>,
    /// What is probably not meant.
    pub warnings: Vec<Problem>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// There is no file to read.
    #[error("this gateway was started without a configuration file: there is nothing to read again")]
    NoFile,
    /// Something is wrong with the file.
    #[error("nothing was changed, since the configuration is wrong:\n{0}")]
    Wrong(Problems),
    /// Some of it counts only from a start.
    #[error(
        "nothing was changed: {} can only be changed by a restart; put back what was there, or restart the gateway",
        .0.join(", ")
    )]
    Restart(Vec<String>),
    /// Something that the configuration names could not be made.
    #[error("nothing was changed: {0:#}")]
    Failed(anyhow::Error),
}

impl Reloader {
    /// For a gateway that runs with this, and reads it again in this way.
    #[must_use]
    pub fn new(reading: Option<Reading>, running: Config, deploy: Arc<dyn Deploy>) -> Self {
        for outcome in [DONE, REFUSED] {
            // An alarm on the first refusal needs a zero before it.
            count(outcome, 0);
        }
        now_read();
        Self { reading, running: Mutex::new(running), deploy }
    }

    /// Reads the file again and goes on with it. A reload that is begun is finished: whoever waits for it may go away only if
    /// it runs in a task of its own.
    ///
    /// # Errors
    /// [`NotReloaded`]: everything is as it was.
    pub async fn reload(&self, surface: &Surface) -> Result<Reloaded, NotReloaded> {
        let done = self.read_again(surface).await;
        count(if done.is_ok() { DONE } else { REFUSED }, 1);
        if done.is_ok() {
            now_read();
        }
        done
    }

    async fn read_again(&self, surface: &Surface) -> Result<Reloaded, NotReloaded> {
        let Reading(read) = self.reading.clone().ok_or(NotReloaded::NoFile)?;
        let mut running = self.running.lock().await;
        let checked = tokio::task::spawn_blocking(move || read()).await.context("the check broke off");
        let checked = checked.map_err(NotReloaded::Failed)?;
        let Some(config) = checked.config else { return Err(NotReloaded::Wrong(checked.problems)) };
        let restart = only_by_a_restart(&running, &config);
        if !restart.is_empty() {
            return Err(NotReloaded::Restart(restart));
        }
        let live = build::live(&config).map_err(NotReloaded::Failed)?;
        let plugins = self.deploy.prepare(&config).await.map_err(NotReloaded::Failed)?;
        let routing = build::routing(&config, &*plugins).map_err(NotReloaded::Failed)?;
        let mut changes = changed_sections(&running, &config);
        changes.extend(plugins.apply().await.map_err(NotReloaded::Failed)?);
        // From here on nothing can fail.
        let shared = surface.shared();
        shared.reroute(routing);
        surface.live.store(Arc::new(live));
        for name in shared.slots.all().keys().filter(|name| !config.plugins.contains_key(*name)) {
            shared.slots.remove(name);
        }
        *running = config;
        Ok(Reloaded { changes, warnings: checked.problems.as_slice().to_vec() })
    }

    /// Reads the file again, and says in the log what came of it.
    pub async fn reload_and_tell(&self, surface: &Surface) {
        match self.reload(surface).await {
            Ok(Reloaded { changes, warnings }) => {
                for warning in warnings {
                    tracing::warn!(line = warning.line, key = warning.key, fix = warning.fix, "{}", warning.message);
                }
                tracing::info!(?changes, "the configuration was read again");
            }
            Err(error) => tracing::error!("the configuration was not read again: {error}"),
        }
    }
}

/// The configuration that was read counts now.
const DONE: &str = "done";
/// Nothing has changed.
const REFUSED: &str = "refused";

fn count(outcome: &'static str, times: u64) {
    metrics::counter!("patchbay_config_reloads_total", "outcome" => outcome).increment(times);
}

/// The configuration that counts was read now.
fn now_read() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("patchbay_config_read_timestamp_seconds").set(now.as_secs_f64());
}

/// A part of a configuration: its name, and where it is.
type Part = (&'static str, fn(&Config) -> &dyn Debug);

/// The keys that differ and count only from a start.
fn only_by_a_restart(running: &Config, config: &Config) -> Vec<String> {
    let keys: [Part; 11] = [
        ("gateway.listen", |config| &config.gateway.listen),
        ("gateway.data_dir", |config| &config.gateway.data_dir),
        ("gateway.node_name", |config| &config.gateway.node_name),
        ("store.kind", |config| &config.store.kind),
        ("store.path", |config| &config.store.path),
        ("store.partitions", |config| &config.store.partitions),
        ("store.quick_repair", |config| &config.store.quick_repair),
        ("store.redis", |config| &config.store.redis),
        ("spool", |config| &config.spool),
        ("telemetry.log", |config| &config.telemetry.log),
        ("telemetry.format", |config| &config.telemetry.format),
    ];
    differing(&keys, running, config).map(|key| format!("`{key}`")).collect()
}

/// The sections that are written otherwise now.
fn changed_sections(running: &Config, config: &Config) -> Vec<String> {
    let sections: [Part; 10] = [
        ("gateway", |config| &config.gateway),
        ("retention", |config| &config.retention),
        ("whatsapp", |config| &config.whatsapp),
        ("plugins", |config| &config.plugins),
        ("deployments", |config| &config.deployments),
        ("credentials", |config| &config.credentials),
        ("desks", |config| &config.desks),
        ("chains", |config| &config.chains),
        ("retry", |config| &config.retry),
        ("admin", |config| &config.admin),
    ];
    differing(&sections, running, config).map(|section| format!("[{section}] has changed")).collect()
}

/// The written form of a configuration is as good as the file's: it shows references to secrets, and all else as it is.
fn differing<'a>(
    parts: &'a [Part],
    running: &'a Config,
    config: &'a Config,
) -> impl Iterator<Item = &'static str> + 'a {
    let differs = |part: &fn(&Config) -> &dyn Debug| format!("{:?}", part(running)) != format!("{:?}", part(config));
    parts.iter().filter(move |(_, part)| differs(part)).map(|(name, _)| *name)
}
