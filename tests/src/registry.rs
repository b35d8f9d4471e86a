//! A real container registry: the reference implementation, as Debian packages it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};

/// The only user of a registry that wants to know who asks.
pub const USER: &str = "ada";
/// That user's password.
pub const PASSWORD: &str = "analytical";
/// The same as bcrypt has it.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuxkleb1NWew3dFCVW4PrlVhUVEPBBgm.";

/// A shell waits for the end of its input and then ends the registry: the input also ends when the test is killed.
const KEEPER: &str = r#"docker-registry serve "$1" 2>&1 </dev/null & read -r _; kill $! 2>/dev/null; wait"#;

/// A registry on a free port of loopback, in a folder of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct ContainerRegistry {
    keeper: Child,
    input: Option<ChildStdin>,
    host: String,
    _folder: tempfile::TempDir,
}

impl ContainerRegistry {
    /// One that everybody may use.
    ///
    /// # Errors
    /// When it does not start.
    pub fn open() -> Result<Self> {
        Self::start(false)
    }

    /// One for [`USER`] alone.
    ///
    /// # Errors
    /// When it does not start.
    pub fn guarded() -> Result<Self> {
        Self::start(true)
    }

    fn start(guarded: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yml");
        std::fs::write(&config, configuration(folder.path(), guarded)?)?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("there is no shell")?;
        let input = keeper.stdin.take();
        let mut log = BufReader::new(keeper.stdout.take().context("no output")?);
        let mut said = String::new();
        let host = loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                bail!("docker-registry does not start; on Debian: apt-get install docker-registry\n{said}");
            }
            if let Some((_, after)) = line.split_once("listening on ") {
                break after.split(['"', ' ', '\n', ',']).next().unwrap_or_default().to_owned();
            }
            said.push_str(&line);
        };
        // Nobody may have to wait because nobody reads on.
        std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Ok(Self { keeper, input, host, _folder: folder })
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `127.0.0.1:PORT/acme/router:1.0.0`
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }
}

impl Drop for ContainerRegistry {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.keeper.wait();
    }
}

fn configuration(folder: &Path, guarded: bool) -> Result<String> {
    let mut text = format!(
        "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
         rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n  secret: of-a-test\n",
        folder.join("storage").display()
    );
    if guarded {
        let users = folder.join("htpasswd");
        std::fs::write(&users, format!("{USER}:{HASH}\n"))?;
        write!(text, "auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())?;
    }
    Ok(text)
}
