//! Compiling in a process of its own, as its parent sees it.

use std::fs::File;
use std::path::Path;

use tokio::process::Command;

use super::{CompileError, child};
use crate::helper::{self, Ended, Excess, Lost};
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
        let lost = |lost: Lost| match lost {
            Lost::Start(_) => CompileError::Host(format!("the compiling process {} {lost}", self.program.display())),
            Lost::Late(_) => CompileError::Limit(format!("it {lost}")),
            Lost::Wait(_) | Lost::Flood(_) => CompileError::Host(format!("the compiling process {lost}")),
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
            .stdout(artefact.try_clone().map_err(Lost::Start).map_err(lost)?);
        // What it compiles goes to the file.
        let ended = helper::run(command, component, 0, limits.wall).await.map_err(lost)?;
        verdict(&ended, &limits)
    }
}

/// What the end of the process means.
fn verdict(ended: &Ended, limits: &CompileLimits) -> Result<(), CompileError> {
    let said = &ended.said;
    match (ended.code(), ended.excess()) {
        (Some(0), _) => Ok(()),
        (Some(child::REFUSED), _) => Err(CompileError::Refused(said.clone())),
        (Some(child::ANOTHER_ENGINE), _) => Err(CompileError::Host(format!(
            "the gateway and its compiling process are not the same program ({said}): restart the gateway"
        ))),
        (Some(child::HOST), _) => Err(CompileError::Host(format!("the compiling process: {said}"))),
        (_, Some(Excess::Cpu)) => {
            Err(CompileError::Limit(format!("it takes more than {} s of processor time", limits.cpu.as_secs())))
        }
        (_, Some(Excess::File)) => {
            Err(CompileError::Limit(format!("its code has more than {} MiB", limits.artefact >> 20)))
        }
        (_, Some(Excess::Memory)) => {
            Err(CompileError::Limit(format!("it takes more than {} MiB of memory", limits.memory >> 20)))
        }
        (_, Some(Excess::Machine)) => Err(CompileError::Host(format!(
            "the compiling process was killed: the machine or its container has too little memory; {} MiB are enough for \
             a component of this size",
            limits.memory >> 20
        ))),
        _ => Err(CompileError::Refused(format!("the compiler broke off ({}): {}", ended.status, ended.last()))),
    }
}
