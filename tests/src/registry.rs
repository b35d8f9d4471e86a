//! A real container registry: the reference implementation, as Debian packages it, and a token server for it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::authority::Authority;

/// The only user of a registry that wants to know who asks.
pub const USER: &str = "ada";
/// That user's password.
pub const PASSWORD: &str = "analytical";
/// The same as bcrypt has it.
const HASH: &str = "$2b$05$abcdefghijklmnopqrstuuxkleb1NWew3dFCVW4PrlVhUVEPBBgm.";

/// Who may use a registry.
#[derive(Clone, Debug)]
pub enum Door {
    /// Everybody.
    Open,
    /// [`USER`] with [`PASSWORD`].
    Password,
    /// Whoever has a token of this server.
    Token {
        /// Its address.
        realm: String,
        /// The certificate (PEM) of the key that it signs with.
        certificate: String,
    },
}

/// What a registry behind a token server calls itself to that.
pub const SERVICE: &str = "registry of a test";
/// What the token server calls itself.
pub const ISSUER: &str = "a test";

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
        Self::start(&Door::Open, None)
    }

    /// One for [`USER`] alone.
    ///
    /// # Errors
    /// When it does not start.
    pub fn guarded() -> Result<Self> {
        Self::start(&Door::Password, None)
    }

    /// One behind this door, and behind TLS with a certificate of this authority's.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(door: &Door, authority: Option<&Authority>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yml");
        std::fs::write(&config, configuration(folder.path(), door, authority)?)?;
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

    /// The same place by an address that nobody takes for this machine's, although it leads here: with TLS, therefore.
    #[must_use]
    pub fn outer_name(&self, rest: &str) -> String {
        self.name(rest).replacen("127.0.0.1", "0.0.0.0", 1)
    }
}

impl Drop for ContainerRegistry {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ended = self.keeper.wait();
    }
}

fn configuration(folder: &Path, door: &Door, authority: Option<&Authority>) -> Result<String> {
    let write = |name: &str, content: &str| -> Result<PathBuf> {
        let file = folder.join(name);
        std::fs::write(&file, content)?;
        Ok(file)
    };
    let mut text = format!(
        "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
         rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n  secret: of-a-test\n",
        folder.join("storage").display()
    );
    if let Some(authority) = authority {
        let (certificate, key) = authority.issue()?;
        let (certificate, key) = (write("tls.pem", &certificate)?, write("tls.key", &key)?);
        write!(text, "  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display())?;
    }
    match door {
        Door::Open => {}
        Door::Password => {
            let users = write("htpasswd", &format!("{USER}:{HASH}\n"))?;
            write!(text, "auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display())?;
        }
        Door::Token { realm, certificate } => {
            let bundle = write("tokens.pem", certificate)?;
            write!(
                text,
                "auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
                 rootcertbundle: {}\n",
                bundle.display()
            )?;
        }
    }
    Ok(text)
}
