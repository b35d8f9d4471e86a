//! Compiling in a process of its own, as its parent sees it.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{CompileError, child};
use crate::limits::{self, CompileLimits};

/// What a compiling process calls itself.
const NAME: &str = "patchbay-compile";

/// A program that compiles, and what stands first on its command line.
pub(super) struct Helper<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [String],
    /// The engine's hash.
    pub(super) engine: &'a str,
}

impl Helper<'_> {
    /// Compiles `component` into `artefact`, within the limits.
    pub(super) async fn compile(
        &self,
        component: &[u8],
        artefact: &File,
        limits: CompileLimits,
    ) -> Result<(), CompileError> {
        let fault = |error: std::io::Error| {
            CompileError::Host(format!("the compiling process {} does not start: {error}", self.program.display()))
        };
        let mut command = Command::new(self.program);
        command
            // As it stands in a list of processes, whatever name the program was found by.
            .arg0(NAME)
            .args(self.args)
            .args(["--engine", self.engine])
            .args(["--cpu", &limits.cpu.as_secs().to_string()])
            .args(["--memory", &limits.memory.to_string()])
            .args(["--artefact", &limits.artefact.to_string()])
            // Secrets may stand in the gateway's.
            .env_clear()
            .env("RAYON_NUM_THREADS", limits::COMPILE_THREADS.to_string())
            // Each arena reserves address space, and there is one for each processor otherwise.
            .env("MALLOC_ARENA_MAX", limits::COMPILE_THREADS.to_string())
            .stdin(Stdio::piped())
            .stdout(artefact.try_clone().map_err(fault)?)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(fault)?;
        match tokio::time::timeout(limits.wall, talk(&mut child, component)).await {
            Ok(Ok((status, said))) => verdict(status, &said, &limits),
            Ok(Err(error)) => Err(CompileError::Host(format!("the compiling process is lost: {error}"))),
            Err(_) => {
                // It is waited for by the runtime when this fails.
                let _ = child.kill().await;
                Err(CompileError::Limit(format!("it takes longer than {} s", limits.wall.as_secs())))
            }
        }
    }
}

/// Hands the component over and waits for the end.
async fn talk(child: &mut Child, component: &[u8]) -> std::io::Result<(ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that ends before it has read everything says why.
            let _ = stdin.write_all(component).await;
        }
    };
    let listen = async {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = (&mut stderr).take(limits::COMPILE_SAID as u64).read_to_end(&mut said).await;
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    };
    let (status, (), said) = tokio::join!(child.wait(), feed, listen);
    Ok((status?, said))
}

/// What the end of the process means.
fn verdict(status: ExitStatus, said: &str, limits: &CompileLimits) -> Result<(), CompileError> {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let signal = status.signal().and_then(Signal::from_named_raw);
    let memory = || CompileError::Limit(format!("it takes more than {} MiB of memory", limits.memory >> 20));
    match (code, signal) {
        (Some(0), _) => Ok(()),
        (Some(child::REFUSED), _) => Err(CompileError::Refused(said.to_owned())),
        (Some(child::ANOTHER_ENGINE), _) => Err(CompileError::Host(format!(
            "the gateway and its compiling process are not the same program ({said}): restart the gateway"
        ))),
        (Some(child::HOST), _) => Err(CompileError::Host(format!("the compiling process: {said}"))),
        (_, Some(Signal::XCPU)) => {
            Err(CompileError::Limit(format!("it takes more than {} s of processor time", limits.cpu.as_secs())))
        }
        (_, Some(Signal::XFSZ)) => {
            Err(CompileError::Limit(format!("its code has more than {} MiB", limits.artefact >> 20)))
        }
        // Rust's word for an allocation that fails.
        (_, Some(Signal::ABORT)) if said.contains("memory allocation") => Err(memory()),
        // Nobody here killed it: the kernel does where there is no memory left.
        (_, Some(Signal::KILL)) => Err(CompileError::Host(format!(
            "the compiling process was killed: the machine or its container has too little memory; {} MiB are enough for \
             a component of this size",
            limits.memory >> 20
        ))),
        // A thread's stack is memory too.
        (Some(_), _) if said.contains("Resource temporarily unavailable") => Err(memory()),
        _ => Err(CompileError::Refused(format!("the compiler broke off ({status}): {}", last(said)))),
    }
}

fn last(said: &str) -> &str {
    said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
}
