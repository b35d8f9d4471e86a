//! The command line, as a script uses it.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::binary;
use crate::config::ENVIRONMENT;
use crate::gateway::Gateway;

/// `patchbay` with nothing of this process's environment but a path to commands.
#[derive(Clone, Debug, Default)]
pub struct Patchbay {
    environment: Vec<(String, String)>,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Patchbay {
    /// For commands that ask no gateway.
    #[must_use]
    pub fn offline() -> Self {
        Self::default()
    }

    /// For commands that ask this gateway, with a token.
    ///
    /// # Errors
    /// When there is no token.
    pub async fn of(gateway: &Gateway) -> Result<Self> {
        let token = gateway.token().await?;
        Ok(Self::offline().with("PATCHBAY_URL", gateway.url()).with("PATCHBAY_TOKEN", &token))
    }

    /// With a variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it; there is no terminal, and nothing on standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.feed(arguments, "").await
    }

    /// Runs it with this on standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn feed(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        let mut child = Command::new(binary::patchbay()?)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(ENVIRONMENT)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the command")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        // A command that reads nothing may have ended already.
        let _ended = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await?;
        let code = output.status.code().context("a signal ended the command")?;
        Ok(Ran { code, out: String::from_utf8(output.stdout)?, err: String::from_utf8(output.stderr)? })
    }

    /// Runs it; it has to succeed. Gives what it printed.
    ///
    /// # Errors
    /// When it exits with another code than 0.
    pub async fn done(&self, arguments: &[&str]) -> Result<String> {
        let ran = self.run(arguments).await?;
        if ran.code != 0 {
            bail!("patchbay {}: {ran:?}", arguments.join(" "));
        }
        Ok(ran.out)
    }

    /// Runs it; it has to succeed. Gives the JSON objects that it printed, one a line.
    ///
    /// # Errors
    /// When it exits with another code than 0, or prints something else.
    pub async fn rows(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let out = self.done(arguments).await?;
        out.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }
}

/// A path as an argument.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
