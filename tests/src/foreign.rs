//! Other people's servers, which check what the host signs and asks with: `tests/python/servers.py`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::binary::{python_servers, root};

/// A running server. It ends when this is dropped, or the test is killed: its standard input ends then.
#[derive(Debug)]
pub struct Foreign {
    child: Child,
    input: Option<ChildStdin>,
    described: Value,
}

impl Foreign {
    /// Starts one of the servers, with this environment.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(which: &str, environment: &[(&str, String)]) -> Result<Self> {
        let mut child = Command::new(python_servers()?)
            .arg(root().join("tests/python/servers.py"))
            .arg(which)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Python")?;
        let input = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let described = serde_json::from_str(&line)
            .with_context(|| format!("the server does not start; see `python tests/python/servers.py {which}`"))?;
        Ok(Self { child, input, described })
    }

    /// A text at this place of what it says about itself.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self, place: &str) -> Result<&str> {
        self.described.pointer(place).and_then(Value::as_str).with_context(|| format!("the server says no {place}"))
    }

    /// `http://127.0.0.1:PORT`
    ///
    /// # Errors
    /// When it says none.
    pub fn url(&self) -> Result<&str> {
        self.text("/url")
    }

    /// Its port.
    ///
    /// # Errors
    /// When it says none.
    pub fn port(&self) -> Result<u16> {
        Ok(self.url()?.rsplit(':').next().context("no port")?.parse()?)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.child.wait();
    }
}
