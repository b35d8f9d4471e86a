//! One gateway process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::binary;
use crate::config::ENVIRONMENT;
use crate::wait::eventually;

/// A running gateway. Dropping it kills it.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Gateway {
    /// Starts the binary with a configuration file, and waits until it is ready.
    ///
    /// # Errors
    /// With the end of its log, when it does not get there.
    pub async fn start(config: &Path, listen: &str) -> Result<Self> {
        let log = config.with_extension("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let child = Command::new(binary::patchbay()?)
            .args(["serve", "--config"])
            .arg(config)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .envs(ENVIRONMENT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(file))
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the gateway")?;
        let mut gateway = Self { child, url: format!("http://{listen}"), log };
        gateway.ready().await?;
        Ok(gateway)
    }

    async fn ready(&mut self) -> Result<()> {
        let client = reqwest::Client::new();
        let url = format!("{}/readyz", self.url);
        let pid = self.pid()?;
        let log = self.log.clone();
        let ready = eventually("the gateway's being ready", || async {
            if !alive(pid) {
                bail!("the gateway ended");
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => Ok(Ok(())),
                Ok(answer) => Ok(Err(format!("{}", answer.status()))),
                Err(error) => Ok(Err(error.to_string())),
            }
        });
        ready.await.with_context(|| format!("its log ends with:\n{}", tail(&log)))
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything that it has written to standard error, in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When it had ended before.
    pub async fn kill(mut self) -> Result<()> {
        kill_process(self.pid()?, Signal::KILL)?;
        self.child.wait().await?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// When it had ended before.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        kill_process(self.pid()?, Signal::TERM)?;
        Ok(self.child.wait().await?)
    }

    /// Its resident memory, bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?.as_raw_nonzero()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024)
    }

    fn pid(&self) -> Result<Pid> {
        let id = self.child.id().context("the gateway has ended")?;
        Pid::from_raw(i32::try_from(id)?).context("no process id")
    }
}

fn alive(pid: Pid) -> bool {
    // A zombie still takes signals, so ask what state it is in.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']) && !rest.is_empty())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}
