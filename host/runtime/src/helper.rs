//! Processes of the gateway's own: for work whose cost somebody outside decides, and which must not cost the gateway more
//! than an error. The process is the gateway's own binary, started anew; here is what both of its sides share.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::limits;

/// What a process takes from itself, for good.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Processor time, seconds.
    pub cpu: u64,
    /// Address space, bytes.
    pub memory: u64,
    /// The largest file that it writes, bytes.
    pub file: u64,
    /// Open files, connections among them.
    pub files: u64,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its end.
    pub status: ExitStatus,
    /// Its standard output, where that is a pipe.
    pub output: Vec<u8>,
    /// Its standard error: the beginning, trimmed.
    pub said: String,
}

/// Which bound ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// [`Bounds::cpu`]
    Cpu,
    /// [`Bounds::memory`]
    Memory,
    /// [`Bounds::file`]
    File,
    /// The kernel's: there is no memory left on the machine.
    Machine,
}

/// Why there is no end to look at.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It does not start.
    #[error("does not start: {0}")]
    Start(io::Error),
    /// It cannot be waited for.
    #[error("is lost: {0}")]
    Wait(io::Error),
    /// It took too long, and was killed.
    #[error("takes longer than {} s", .0.as_secs())]
    Late(Duration),
    /// It wrote more than it may, and was killed.
    #[error("writes more than {0} bytes")]
    Flood(u64),
}

/// The binary that runs, whatever lies under its name by now: an upgrade puts another one there.
#[must_use]
pub fn this_program() -> PathBuf {
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() };
    program.unwrap_or_else(|| PathBuf::from("patchbay"))
}

/// Limits this process. Soft limits end it with a signal that says which one it was; hard ones cannot be raised again.
///
/// # Errors
/// When the system does not let it.
pub fn confine(bounds: Bounds) -> io::Result<()> {
    rustix::process::nice(limits::COMPILE_NICE)?;
    at_most(Resource::Cpu, bounds.cpu, bounds.cpu + limits::COMPILE_CPU_GRACE.as_secs())?;
    at_most(Resource::As, bounds.memory, bounds.memory)?;
    at_most(Resource::Fsize, bounds.file, bounds.file)?;
    // A dump is of no use to anybody.
    at_most(Resource::Core, 0, 0)?;
    at_most(Resource::Nofile, bounds.files, bounds.files)
}

/// Where less is allowed already, it stays so.
fn at_most(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let least = |most: u64, now: Option<u64>| Some(now.map_or(most, |now| now.min(most)));
    setrlimit(resource, Rlimit { current: least(soft, now.maximum), maximum: least(hard, now.maximum) })?;
    Ok(())
}

/// Runs a program to its end, with nothing of this process's environment but what `command` names. It is killed after `wall`,
/// when it writes more than `most` bytes to its standard output, and when nobody waits any more.
///
/// # Errors
/// When there is no end to look at.
pub async fn run(mut command: Command, input: &[u8], most: u64, wall: Duration) -> Result<Ended, Lost> {
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(Lost::Start)?;
    match tokio::time::timeout(wall, talk(&mut child, input, most)).await {
        Ok(Ok(ended)) if ended.output.len() as u64 > most => Err(Lost::Flood(most)),
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(error)) => Err(Lost::Wait(error)),
        Err(_) => {
            // It is waited for by the runtime when this fails.
            let _ = child.kill().await;
            Err(Lost::Late(wall))
        }
    }
}

/// Hands the input over and waits for the end.
async fn talk(child: &mut Child, input: &[u8], most: u64) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that ends before it has read everything says why.
            let _ = stdin.write_all(input).await;
        }
    };
    let take = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            // One more tells that it is too much; the writer finds nobody there then, and ends.
            stdout.take(most + 1).read_to_end(&mut output).await?;
        }
        Ok::<_, io::Error>(output)
    };
    let listen = async {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = (&mut stderr).take(limits::COMPILE_SAID as u64).read_to_end(&mut said).await;
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    };
    let (status, (), output, said) = tokio::join!(child.wait(), feed, take, listen);
    Ok(Ended { status: status?, output: output?, said })
}

impl Ended {
    /// The process's own exit code, where it ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        self.status.code().and_then(|code| u8::try_from(code).ok())
    }

    /// Which bound it ran into, if it was one.
    #[must_use]
    pub fn excess(&self) -> Option<Excess> {
        match self.status.signal().and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => Some(Excess::Cpu),
            Some(Signal::XFSZ) => Some(Excess::File),
            // Rust's word for an allocation that fails.
            Some(Signal::ABORT) if self.said.contains("memory allocation") => Some(Excess::Memory),
            // Nobody here killed it: the kernel does where there is no memory left.
            Some(Signal::KILL) => Some(Excess::Machine),
            // A thread's stack is memory too.
            None if self.said.contains("Resource temporarily unavailable") => Some(Excess::Memory),
            _ => None,
        }
    }

    /// The last thing that it said.
    #[must_use]
    pub fn last(&self) -> &str {
        self.said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
    }
}
