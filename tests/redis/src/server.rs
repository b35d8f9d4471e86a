//! One server.

use std::path::PathBuf;
use std::time::Duration;

use redis::{Connection, FromRedisValue};
use rustix::process::Signal;

use crate::process::{Process, free_port, listens, wait_for};

/// How long a command of a test may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep an append-only file. On by default.
    pub appendonly: bool,
    /// `always`, `everysec` or `no`. `everysec` by default.
    pub appendfsync: &'static str,
    /// The password of the default user.
    pub password: Option<String>,
    /// Also listen for TLS, on a port of its own.
    pub tls: Option<Tls>,
    /// It is kept in a `static`, which is never dropped: remove its folder when the process ends.
    pub shared: bool,
    /// More lines of configuration, as `("maxmemory-policy", "noeviction")`.
    pub more: Vec<(String, String)>,
}

/// The files of a server that talks TLS, PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that signed it.
    pub ca: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self { appendonly: true, appendfsync: "everysec", password: None, tls: None, shared: false, more: Vec::new() }
    }
}

impl Options {
    /// Adds a line of configuration.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.more.push((key.into(), value.to_string()));
        self
    }
}

/// A server in a folder of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    options: Options,
    port: u16,
    tls_port: Option<u16>,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    #[must_use]
    pub fn start(options: Options) -> Self {
        // Between choosing a port and taking it, somebody else may.
        for _ in 0..5 {
            let tls_port = options.tls.as_ref().map(|_| free_port());
            let folder = tempfile::tempdir().unwrap();
            let mut redis = Self { process: None, options: options.clone(), port: free_port(), tls_port, folder };
            redis.launch();
            if redis.is_ready() {
                return redis;
            }
        }
        panic!("redis-server does not start");
    }

    fn launch(&mut self) {
        let mut lines = vec![
            ("port", self.port.to_string()),
            ("bind", "127.0.0.1".into()),
            ("dir", self.folder.path().display().to_string()),
            ("daemonize", "no".into()),
            ("save", String::new()),
            ("appendonly", if self.options.appendonly { "yes" } else { "no" }.into()),
            ("appendfsync", self.options.appendfsync.into()),
            ("enable-debug-command", "local".into()),
            ("repl-diskless-sync-delay", "0".into()),
        ];
        if let Some(password) = &self.options.password {
            lines.push(("requirepass", password.clone()));
        }
        if let (Some(tls), Some(port)) = (&self.options.tls, self.tls_port) {
            lines.push(("tls-port", port.to_string()));
            lines.push(("tls-cert-file", tls.certificate.display().to_string()));
            lines.push(("tls-key-file", tls.key.display().to_string()));
            lines.push(("tls-ca-cert-file", tls.ca.display().to_string()));
            lines.push(("tls-auth-clients", "no".into()));
        }
        let more = self.options.more.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let arguments: Vec<_> = lines
            .into_iter()
            .chain(more)
            .flat_map(|(key, value)| {
                // A value of several words is several arguments, as in the configuration file.
                let words: Vec<_> = value.split(' ').map(str::to_owned).collect();
                std::iter::once(format!("--{key}")).chain(words)
            })
            .collect();
        let tidy = self.options.shared.then(|| self.folder.path());
        self.process = Some(Process::start("redis-server", &self.folder.path().join("log"), &arguments, tidy));
    }

    /// Whether it has come up; `false`: it has ended.
    fn is_ready(&self) -> bool {
        wait_for("redis-server to come up", || {
            if self.log().contains("Address already in use") || self.log().contains("FATAL") {
                return Some(false);
            }
            (listens(self.port) && self.try_ask::<String>(&["PING"]).is_ok()).then_some(true)
        })
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(Signal::KILL);
        }
    }

    /// Stops it where it is: it keeps its connections and answers nobody.
    pub fn stop_signal(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`stop_signal`](Self::stop_signal).
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("the server runs").signal(signal);
    }

    /// Ends it and starts it again on the same port and in the same folder.
    pub fn restart(&mut self) {
        self.kill();
        wait_for("the port to be free", || (!listens(self.port)).then_some(()));
        self.launch();
        assert!(self.is_ready(), "redis-server does not start again: {}", self.log());
    }

    /// Ends it and starts it again without what it had stored.
    pub fn restart_empty(&mut self) {
        self.kill();
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else if path.extension().is_some_and(|ending| ending == "rdb") {
                std::fs::remove_file(path).unwrap();
            }
        }
        self.restart();
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `localhost:port` of the TLS port.
    #[must_use]
    pub fn tls_addr(&self) -> String {
        format!("localhost:{}", self.tls_port.expect("started with TLS"))
    }

    /// `redis://…`, with the password where there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}{}/", self.addr())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs a command as the default user.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// As [`ask`](Self::ask), where it may fail.
    ///
    /// # Errors
    /// The server's error, or the connection's.
    pub fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut connection = self.connect()?;
        let (name, arguments) = command.split_first().expect("a command");
        let mut asked = redis::cmd(name);
        for argument in arguments {
            asked.arg(argument);
        }
        asked.query(&mut connection)
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let connection = redis::Client::open(self.url())?.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        Ok(connection)
    }
}
