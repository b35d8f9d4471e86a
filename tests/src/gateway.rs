//! One gateway process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::binary;
use crate::config::ENVIRONMENT;
use crate::wait::eventually;

/// A running gateway. Dropping it kills it.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    url: String,
    config: PathBuf,
    log: PathBuf,
    client: reqwest::Client,
}

impl Gateway {
    /// Starts the binary with a configuration file, and waits until it is ready.
    ///
    /// # Errors
    /// With the end of its log, when it does not get there.
    pub async fn start(config: impl AsRef<Path>, listen: impl AsRef<str>) -> Result<Self> {
        Self::start_with(config.as_ref(), listen.as_ref(), &[]).await
    }

    /// The same, with these variables more in its environment.
    ///
    /// # Errors
    /// With the end of its log, when it does not get there.
    pub async fn start_with(config: &Path, listen: &str, environment: &[(String, String)]) -> Result<Self> {
        let mut gateway = Self::spawn_with(config, listen, environment)?;
        gateway.ready().await?;
        Ok(gateway)
    }

    /// Starts the binary, without waiting for anything.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(config: &Path, listen: &str) -> Result<Self> {
        Self::spawn_with(config, listen, &[])
    }

    fn spawn_with(config: &Path, listen: &str, environment: &[(String, String)]) -> Result<Self> {
        let log = config.with_extension("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let child = Command::new(binary::patchbay()?)
            .args(["serve", "--config"])
            .arg(config)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .envs(ENVIRONMENT)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(file))
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the gateway")?;
        let (url, config) = (format!("http://{listen}"), config.to_owned());
        Ok(Self { child, url, config, log, client: reqwest::Client::new() })
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// With the end of its log, when it does not get there.
    pub async fn ready(&mut self) -> Result<()> {
        let client = self.client.clone();
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

    /// A `GET` on the admin API.
    ///
    /// # Errors
    /// When the gateway does not answer with 200.
    pub async fn api(&self, path: &str) -> Result<Value> {
        let token = self.token().await?;
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(token).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{path}: {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// A `POST` on the admin API.
    ///
    /// # Errors
    /// When the gateway does not answer with success.
    pub async fn api_post(&self, path: &str) -> Result<()> {
        let token = self.token().await?;
        let answer = self.client.post(format!("{}{path}", self.url)).bearer_auth(token).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// One of its metrics without labels.
    ///
    /// # Errors
    /// When it does not answer, or has no such metric yet.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.client.get(format!("{}/metrics", self.url)).send().await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.with_context(|| format!("no metric {name}"))
    }

    /// A token from the command that an operator would use.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn token(&self) -> Result<String> {
        let output = Command::new(binary::patchbay()?)
            .args(["token", "issue", "--config"])
            .arg(&self.config)
            .env_clear()
            .envs(ENVIRONMENT)
            .output()
            .await?;
        if !output.status.success() {
            bail!("patchbay token issue: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Sends it a signal: `STOP` and `CONT` pause it and let it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
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
