//! The part of WASI 0.2 that a plugin sees.
//!
//! The standard library of most languages imports a dozen interfaces whether it uses them or not. They are all there and
//! most of them are empty: no arguments, no environment, no files, a closed standard input. Sockets are there since Python's
//! library imports them whether it uses them or not, and whoever asks for one is denied it: the network is `wasi:http` and
//! `uploads`, behind grants.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use patchbay_model::Timestamp;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::sockets::network::LinkOptions;
use wasmtime_wasi::p2::bindings::{cli, filesystem, random, sockets};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiView as _};
use wasmtime_wasi_config::WasiConfig;

use crate::call::Call;
use crate::capabilities::stdio::Capture;
use crate::capabilities::{keyvalue, lengths};
use crate::limits;
use crate::state::State;

/// Links what every plugin may import.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::network::add_to_linker::<State, WasiSockets>(linker, &LinkOptions::default(), State::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::tcp::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::udp::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(linker, State::sockets)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    lengths::link(linker)?;
    wasmtime_wasi_config::add_to_linker(linker, |state: &mut State| WasiConfig::from(state.settings()))?;
    keyvalue::link(linker)
}

/// The WASI side of one call.
pub(crate) fn context(plugin: &str, call: &Call, stdout: &Capture, stderr: &Capture) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .max_random_size(limits::RANDOM)
        // Checked before a socket is made or a name is looked up: there are none.
        .allow_ip_name_lookup(false)
        .allow_tcp(false)
        .allow_udp(false);
    if call.deterministic {
        let seed = seed(plugin, &call.subject);
        builder
            .wall_clock(Standing(call.now))
            .monotonic_clock(Counting::default())
            .secure_random(ChaCha12Rng::from_seed(seed))
            .insecure_random(ChaCha12Rng::from_seed(seed))
            .insecure_random_seed(seed.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte)));
    }
    builder.build()
}

/// The same for the same plugin and subject, and for no other.
fn seed(plugin: &str, subject: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"patchbay random\0");
    hash.update((plugin.len() as u64).to_le_bytes());
    hash.update(plugin);
    hash.update(subject);
    hash.finalize().into()
}

/// A wall clock that shows one moment.
struct Standing(Timestamp);

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.as_millis())
    }
}

/// A monotonic clock that begins at zero and goes on by a microsecond whenever it is read. It must not stand still:
/// code that waits for it to move would never end.
#[derive(Default)]
struct Counting(AtomicU64);

impl HostMonotonicClock for Counting {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(1_000, Ordering::Relaxed)
    }
}
