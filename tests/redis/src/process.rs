//! A process that ends with us.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long a process may take until it does what is waited for: Sentinels take up to 20 s to turn an old master.
const PATIENCE: Duration = Duration::from_secs(45);

/// A shell waits for the end of its input and then ends the program: the input also ends when the test is killed.
///
/// `$TIDY` is a folder that nobody else removes at the end.
const KEEPER: &str = r#"program="$1"; log="$2"; shift 2
"$program" "$@" >"$log" 2>&1 </dev/null & echo $!
read -r _; kill -9 $! 2>/dev/null; wait; [ -z "$TIDY" ] || rm -rf "$TIDY""#;

/// A program that is running.
#[derive(Debug)]
pub(crate) struct Process {
    keeper: Child,
    pid: Pid,
}

impl Process {
    /// Starts `program` with its output in the file `log`. At its end the folder `tidy` is removed.
    pub(crate) fn start(program: &str, log: &Path, arguments: &[String], tidy: Option<&Path>) -> Self {
        assert!(is_installed(program), "{program} is not installed: apt-get install redis-server redis-sentinel");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", program])
            .arg(log)
            .args(arguments)
            .env("TIDY", tidy.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().ok().and_then(Pid::from_raw).expect("the program's process id");
        Self { keeper, pid }
    }

    /// Sends a signal; a process that has ended does not mind.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ended = rustix::process::kill_process(self.pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}

fn is_installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}

/// A port on loopback that nobody listens on, below those that the system gives to clients.
pub(crate) fn free_port() -> u16 {
    for _ in 0..200 {
        let port = rand::random_range(11_000..31_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// Whether somebody listens there.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_millis(200)).is_ok()
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_longer_for(what, PATIENCE, ask)
}

/// Asks again and again, so long, until there is an answer.
#[allow(clippy::disallowed_methods, reason = "it waits for a condition, and its callers need no executor")]
pub(crate) fn wait_longer_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited {patience:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
