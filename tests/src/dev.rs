//! `patchbay dev`: a gateway with everything around it simulated, in a process of its own.

use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running `patchbay dev`. It ends when it is dropped, and what it leaves behind then goes with it.
#[derive(Debug)]
pub struct Dev {
    child: Child,
    addresses: Value,
    _folder: TempDir,
}

impl Dev {
    /// Starts it on free ports and waits for its addresses. `command` is `patchbay dev` with what the test adds to it.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(mut command: Command) -> Result<Self> {
        // It takes its folder away when it is asked to end, and a test that is over kills it.
        let folder = tempfile::tempdir()?;
        let mut child = command
            .args(["--port", "0", "--json"])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("`patchbay dev` cannot be started")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line).await?;
        let addresses =
            serde_json::from_str(&line).with_context(|| format!("`patchbay dev` did not start: {line:?}"))?;
        Ok(Self { child, addresses, _folder: folder })
    }

    /// One of the addresses that it prints (`gateway`, `simulator`, …), or the token of the API (`admin_token`).
    ///
    /// # Errors
    /// If it printed none of that name.
    pub fn address(&self, name: &str) -> Result<&str> {
        self.addresses.get(name).and_then(Value::as_str).with_context(|| format!("`patchbay dev` printed no `{name}`"))
    }

    /// Ends it, and waits until it has ended.
    ///
    /// # Errors
    /// If it cannot be ended.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
