//! One call, from a free slot to an answer or a report.
//!
//! The call runs on the guests' own threads, in a store of its own that is dropped with it. Whatever happens in there
//! (a trap, a spent budget, a deadline, a panic of the host) becomes a value here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use patchbay_model::Failure;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::call::Call;
use crate::capabilities::logging::shorten;
use crate::capabilities::stdio::Capture;
use crate::contract::{Answer, Ask, Start};
use crate::engine::Inner;
use crate::limits;
use crate::meter::Meter;
use crate::plugin::Generation;
use crate::report::{CallError, Cause, PluginReport};
use crate::state::{Facts, Instead, State};
use crate::stop::Stop;

/// How a call ended that gave no answer.
struct Broken {
    stop: Stop,
    frames: Vec<String>,
}

impl From<Stop> for Broken {
    fn from(stop: Stop) -> Self {
        Self { stop, frames: Vec::new() }
    }
}

type Ended = Result<Result<Answer, Failure>, Broken>;

/// Asks a plugin.
pub(crate) async fn run(
    generation: &Arc<Generation>,
    ask: Ask<'_>,
    call: &Call,
    instead: Instead,
) -> Result<Answer, CallError> {
    let begun = Instant::now();
    let facts = generation.facts();
    let (stdout, stderr) = (Capture::default(), Capture::default());
    let ended = admit_and_run(generation, ask, call, instead, begun, &stdout, &stderr).await;
    tell(facts, call, &stdout, &stderr);

    let outcome = match &ended {
        Ok(Ok(_)) => "ok",
        Ok(Err(Failure::Retry { .. })) => "retry",
        Ok(Err(Failure::Permanent { .. })) => "permanent",
        Ok(Err(Failure::Credential { .. })) => "credential",
        Err(broken) => broken.stop.cause.as_str(),
    };
    let function = ask.function();
    metrics::counter!("patchbay_plugin_calls_total",
        "plugin" => facts.name.clone(), "role_fn" => function, "outcome" => outcome)
    .increment(1);
    metrics::histogram!("patchbay_plugin_call_seconds", "plugin" => facts.name.clone(), "role_fn" => function)
        .record(begun.elapsed().as_secs_f64());

    match ended {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(CallError::Failed(failure)),
        Err(broken) => Err(CallError::Broken(PluginReport {
            plugin: facts.name.clone(),
            generation: facts.generation,
            subject: call.subject.clone(),
            cause: broken.stop.cause,
            detail: facts.redactor.clean(shorten(&broken.stop.detail, limits::QUOTED)),
            frames: broken.frames,
            stderr: facts.redactor.clean(&stderr.text()),
        })),
    }
}

/// What the plugin printed, for whoever looks for it.
fn tell(facts: &Facts, call: &Call, stdout: &Capture, stderr: &Capture) {
    for (stream, capture) in [("stdout", stdout), ("stderr", stderr)] {
        if !capture.is_empty() && tracing::enabled!(target: "patchbay::plugin", tracing::Level::DEBUG) {
            tracing::debug!(target: "patchbay::plugin", plugin = facts.name, generation = facts.generation,
                subject = call.subject, stream, "{}", facts.redactor.clean(&capture.text()));
        }
    }
}

async fn admit_and_run(
    generation: &Arc<Generation>,
    ask: Ask<'_>,
    call: &Call,
    instead: Instead,
    begun: Instant,
    stdout: &Capture,
    stderr: &Capture,
) -> Ended {
    let engine = generation.engine();
    let allowed = call.timeout.min(limits::WALL_MOST);
    if !generation.roles().contains(&ask.role()) {
        return Err(Stop::new(Cause::Role, format!("it is not a {}", ask.role().as_str())).into());
    }

    let waiting = tokio::time::timeout(allowed.min(limits::ADMISSION), engine.slots.clone().acquire_owned());
    let Ok(Ok(slot)) = waiting.await else {
        let all = engine.concurrent_calls;
        return Err(Stop::new(Cause::Busy, format!("all {all} sandboxes were busy")).into());
    };
    metrics::gauge!("patchbay_plugin_slots_free").set(engine.slots.available_permits() as f64);

    let left = allowed.saturating_sub(begun.elapsed());
    let start = generation.bound()?.start(ask, call.desk.as_deref());
    let state = State::new(generation.facts().clone(), call, instead, stdout, stderr);
    let running = engine.handle()?.spawn(inside(engine.clone(), state, start, slot, left));
    match tokio::time::timeout(left + limits::WALL_GRACE, AbortOnDropHandle::new(running)).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) if error.is_panic() => {
            tracing::error!(plugin = generation.facts().name, subject = call.subject, "a host function panicked");
            Err(Stop::new(Cause::Host, "a function of the host failed").into())
        }
        Ok(Err(_)) => Err(Stop::new(Cause::Host, "the engine is shutting down").into()),
        Err(_) => Err(deadline(allowed).into()),
    }
}

fn deadline(allowed: Duration) -> Stop {
    Stop::new(Cause::Deadline, format!("it took longer than {:.1} s", allowed.as_secs_f64()))
}

/// The part that runs on the guests' threads. The slot is free again when the store is gone.
async fn inside(engine: Arc<Inner>, state: State, start: Start, slot: OwnedSemaphorePermit, left: Duration) -> Ended {
    let meter = Meter::default();
    let cpu = state.facts.limits.cpu;
    let clock = meter.clone();
    let mut store = Store::new(&engine.wasmtime, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits::HOST_BYTES);
    store.epoch_deadline_callback(move |_| {
        if clock.spent() > cpu {
            let detail = format!("it used more than {} ms of processor time", cpu.as_millis());
            return Err(Stop::new(Cause::CpuTime, detail).into());
        }
        // To the end of the queue: a plain yield would come back at once.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store.set_epoch_deadline(1);

    let ended = tokio::time::timeout(left, async {
        let answered = meter.measure(start(&mut store)).await?;
        // What it wrote is kept before its answer counts, and only if it has one.
        let State { overlay, facts, .. } = store.data_mut();
        wasmtime::Result::Ok(match answered {
            Ok(answer) => overlay.keep(facts).await.map(|()| answer),
            failure => failure,
        })
    });
    let ended = ended.await;
    let ended = match ended {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(diagnose(&error, store.data_mut().limiter.refused.take())),
        Err(_) => Err(deadline(left).into()),
    };
    // After an error a store cannot be used again: every call has its own, and it ends here.
    drop(store);
    drop(slot);
    ended
}

/// Why wasmtime ended a call.
fn diagnose(error: &wasmtime::Error, refused: Option<Stop>) -> Broken {
    let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    let stop = if let Some(stop) = error.downcast_ref::<Stop>() {
        stop.clone()
    } else if let Some(I32Exit(code)) = error.downcast_ref() {
        Stop::new(Cause::Trap, format!("it ended itself with exit code {code}"))
    } else if error.downcast_ref::<ResourceTableError>().is_some_and(|error| matches!(error, ResourceTableError::Full))
    {
        Stop::new(Cause::Handles, format!("it held more than {} handles at once", limits::HANDLES))
    } else if error.is::<PoolConcurrencyLimitError>() {
        Stop::new(Cause::Busy, format!("the pool has no room for it: {error}"))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        match (trap, refused) {
            (Trap::StackOverflow, _) => {
                Stop::new(Cause::Stack, format!("its calls went deeper than {} KiB of stack", limits::WASM_STACK >> 10))
            }
            // Compilers keep a second stack at the lower end of linear memory; beyond it is nothing.
            (Trap::MemoryOutOfBounds, None) if all_the_same(&frames) => {
                Stop::new(Cause::Stack, "its calls went deeper than the stack in its memory")
            }
            // Out of memory is an `unreachable` or an abort in most languages.
            (_, Some(refused)) => refused,
            (trap, None) => Stop::new(Cause::Trap, trap.to_string()),
        }
    } else {
        let text = error.root_cause().to_string();
        if text.contains("allocated for hostcalls") {
            Stop::new(Cause::HostBytes, format!("it handed more than {} MiB over at once", limits::HOST_BYTES >> 20))
        } else {
            refused.unwrap_or_else(|| Stop::new(Cause::Trap, text))
        }
    };
    Broken { stop, frames }
}

/// A function that calls itself fills the whole of the trace.
fn all_the_same(frames: &[String]) -> bool {
    frames.len() >= limits::FRAMES && frames.iter().all(|frame| Some(frame) == frames.first())
}

/// One line for each frame, as wasmtime writes them: names where the component has them, without mangling.
fn frames(trace: &WasmBacktrace) -> Vec<String> {
    let text = trace.to_string();
    let names = text.lines().filter_map(|line| line.split_once(" - ").map(|(_, name)| without_hash(name.trim())));
    names.take(limits::FRAMES).map(ToOwned::to_owned).collect()
}

/// Rust ends its names with a hash that tells nobody anything.
fn without_hash(name: &str) -> &str {
    let hash =
        |tail: &str| tail.len() == 17 && tail.starts_with('h') && tail.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
    name.rsplit_once("::").filter(|(_, tail)| hash(tail)).map_or(name, |(head, _)| head)
}
