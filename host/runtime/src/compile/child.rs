//! The other side of [`process`](super::process): what the compiling process does.
//!
//! It is the gateway's own binary, started anew. Before it reads a byte it takes from itself what it does not need: time,
//! memory, files, and the right to come back for more. It reads the component from its standard input, writes the
//! artefact to its standard output, and says on its standard error why it did not. It opens no file and no connection.

use std::io::{self, Read as _, Write as _};

use crate::helper::{self, Bounds};
use crate::{engine, limits};

/// Exit code: the compiler refuses the component.
pub(super) const REFUSED: u8 = 3;

/// Exit code: this process would compile for another engine than the one that asked.
pub(super) const ANOTHER_ENGINE: u8 = 4;

/// Exit code: it could not limit itself, read or write.
pub(super) const HOST: u8 = 5;

/// What the compiling process is told on its command line. The numbers are a parent's to choose
/// ([`CompileLimits`](crate::limits::CompileLimits)).
#[derive(Clone, Debug)]
pub struct Order {
    /// The hash of the engine that is to run the code.
    pub engine: String,
    /// Processor time, seconds.
    pub cpu: u64,
    /// Address space, bytes.
    pub memory: u64,
    /// The artefact, bytes.
    pub artefact: u64,
}

/// Compiles what comes on standard input to standard output, and gives the process's exit code.
///
/// It limits the whole process for good, so it must be all that the process is for.
#[must_use]
pub fn compile_stdin(order: &Order) -> u8 {
    match obey(order) {
        Ok(()) => 0,
        Err((code, why)) => {
            // Nobody may be listening any more.
            let _ = writeln!(io::stderr(), "{why}");
            code
        }
    }
}

fn obey(order: &Order) -> Result<(), (u8, String)> {
    let host = |what: &'static str| move |error: &dyn std::fmt::Display| (HOST, format!("{what}: {error}"));
    limit(order).map_err(|error| host("the process cannot limit itself")(&error))?;
    let mut component = Vec::new();
    let most = limits::COMPONENT as u64 + 1;
    io::stdin().lock().take(most).read_to_end(&mut component).map_err(|error| host("cannot read")(&error))?;
    let engine = wasmtime::Engine::new(&engine::configuration())
        .map_err(|error| host("the compiler cannot start")(&format!("{error:#}")))?;
    let own = super::hash(&engine);
    if own != order.engine {
        let asked = &order.engine;
        return Err((ANOTHER_ENGINE, format!("this program compiles for engine {own}, and was asked for {asked}")));
    }
    let artefact = engine.precompile_component(&component).map_err(|error| (REFUSED, format!("{error:#}")))?;
    let mut out = io::stdout().lock();
    out.write_all(&artefact).and_then(|()| out.flush()).map_err(|error| host("cannot write")(&error))
}

fn limit(order: &Order) -> io::Result<()> {
    // Whoever waits for the artefact is gone: so is its purpose.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let Order { cpu, memory, artefact, .. } = *order;
    helper::confine(Bounds { cpu, memory, file: artefact, files: limits::COMPILE_FILES })
}
