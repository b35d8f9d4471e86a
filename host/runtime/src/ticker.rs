//! The engine's tick, from a thread of its own: a guest that never gives its thread back must not stop the clock.

use std::io;
use std::thread;

use wasmtime::EngineWeak;

use crate::limits;

/// Ticks until the engine is gone.
pub(crate) fn start(engine: EngineWeak) -> io::Result<()> {
    thread::Builder::new().name("patchbay-ticker".to_owned()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::park_timeout(limits::TICK);
        }
    })?;
    Ok(())
}
