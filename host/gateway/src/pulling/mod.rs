//! Pulling from a registry in a process of its own.
//!
//! What a registry answers is read by a library that takes manifests, tokens and errors of any size into memory, and that stops
//! at some answers that no registry should give. So the gateway never asks one itself: it starts its own binary anew, which
//! limits itself before it connects, and takes from it a component whose digest it looks at again. Whatever a registry does,
//! it ends in an error here.
//!
//! # Layout
//! - here: what the gateway sees
//! - `child`: what the process does

mod child;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use patchbay_artefact::component::COMPONENT_MOST;
use patchbay_artefact::registry::{Login, Pulled};
use patchbay_artefact::{Digest, Reference, Signature};
use patchbay_runtime::helper::{self, Ended, Excess, Lost};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::Semaphore;

pub use self::child::pull_stdin;

/// What stands on the command line of a pulling process.
pub const COMMAND: &str = "pull-component";
/// What a pulling process calls itself.
const NAME: &str = "patchbay-pull";
/// The most bytes of what is said about a component before its own: signatures above all, with the same bound as the file that
/// keeps them.
const HEAD_MOST: usize = 4 << 20;
/// Pulling processes at once: each may take [`PullLimits::memory`].
static GATE: Semaphore = Semaphore::const_new(2);
/// What such a process needs of the gateway's environment: whom to believe, and the way out. Secrets may stand in the rest.
const ENVIRONMENT: [&str; 10] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// What one pulling process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// Processor time: reading and hashing the largest component takes a second or two.
    pub cpu: Duration,
    /// Address space, bytes: the largest component twice, its signatures, and what the program itself takes.
    pub memory: u64,
    /// From its start to its end: the largest component at 1 Mbit/s takes nine minutes.
    pub wall: Duration,
}

impl Default for PullLimits {
    fn default() -> Self {
        Self { cpu: Duration::from_secs(60), memory: 512 << 20, wall: Duration::from_secs(15 * 60) }
    }
}

/// Who pulls.
#[derive(Clone, Debug)]
pub struct Puller {
    /// The program.
    pub program: PathBuf,
    /// What each process may take.
    pub limits: PullLimits,
}

impl Default for Puller {
    fn default() -> Self {
        Self { program: helper::this_program(), limits: PullLimits::default() }
    }
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// What the pulling process says of the registry.
    #[error("{0}")]
    Refused(String),
    /// It took more than it may.
    #[error("the registry {host} {what}; nothing was kept")]
    Excess {
        /// The registry.
        host: String,
        /// What it does.
        what: String,
    },
    /// The process stopped at an answer.
    #[error("the registry {0} answers in a way that stopped the process that read it; nothing was kept")]
    Stopped(String),
    /// A fault of the host.
    #[error("the process that pulls {0}")]
    Host(String),
}

/// What a pulling process is told, on its standard input.
#[derive(Serialize, Deserialize)]
struct Order {
    reference: Reference,
    /// Name and password.
    login: Option<(String, String)>,
    /// Seconds.
    cpu: u64,
    /// Bytes.
    memory: u64,
    /// Milliseconds.
    wall: u64,
}

/// What a pulling process says, in one line before the component's bytes.
#[derive(Serialize, Deserialize)]
struct Head {
    digest: Digest,
    signatures: Vec<String>,
}

impl Puller {
    /// Pulls a component and the signatures over it. Nobody has looked at those yet.
    ///
    /// # Errors
    /// A sentence that says what the registry did, or why it was not asked.
    pub async fn pull(&self, reference: &Reference, login: Option<&Login>) -> Result<Pulled, PullError> {
        // It is never closed.
        let _pass = GATE.acquire().await;
        let login = login.map(|login| (login.user.clone(), login.password.expose_secret().to_owned()));
        let PullLimits { cpu, memory, wall } = self.limits;
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let order = Order { reference: reference.clone(), login, cpu: cpu.as_secs(), memory, wall: wall_ms };
        let order = serde_json::to_vec(&order).map(Zeroizing::new).map_err(|error| lost(&error))?;
        let mut command = Command::new(&self.program);
        command.arg0(NAME).arg(COMMAND).env_clear().stdout(Stdio::piped());
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Each arena reserves address space, and there is one for each processor otherwise.
        command.env("MALLOC_ARENA_MAX", "1");
        let most = (COMPONENT_MOST + HEAD_MOST) as u64;
        let host = reference.host().to_owned();
        match helper::run(command, &order, most, wall).await {
            Ok(ended) => self.judge(reference, ended),
            Err(late @ Lost::Late(_)) => Err(PullError::Excess { host, what: late.to_string() }),
            Err(other) => Err(lost(&other)),
        }
    }

    fn judge(&self, reference: &Reference, ended: Ended) -> Result<Pulled, PullError> {
        let host = reference.host().to_owned();
        match (ended.code(), ended.excess()) {
            (Some(0), _) => {
                unpack(reference, &ended.output).ok_or_else(|| lost(&"gives something else than was asked for"))
            }
            (Some(child::REFUSED), _) => Err(PullError::Refused(ended.said)),
            (Some(child::HOST), _) => Err(lost(&ended.said)),
            (_, Some(Excess::Cpu)) => {
                let what = format!(
                    "sends something that takes more than {} s of processor time to read",
                    self.limits.cpu.as_secs()
                );
                Err(PullError::Excess { host, what })
            }
            (_, Some(Excess::Memory)) => {
                let what =
                    format!("sends something that takes more than {} MiB of memory to read", self.limits.memory >> 20);
                Err(PullError::Excess { host, what })
            }
            (_, Some(Excess::Machine)) => Err(lost(&format!(
                "was killed: the machine or its container has too little memory; {} MiB are enough",
                self.limits.memory >> 20
            ))),
            _ => Err(PullError::Stopped(host)),
        }
    }
}

fn lost(why: &dyn std::fmt::Display) -> PullError {
    PullError::Host(why.to_string())
}

/// Reads what the process wrote, and believes none of it that can be looked at.
fn unpack(reference: &Reference, output: &[u8]) -> Option<Pulled> {
    let end = output.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = output.split_at_checked(end)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let bytes = rest.get(1..)?.to_vec();
    let signatures = head.signatures.iter().filter_map(|line| Signature::from_line(line)).collect();
    let wanted = reference.digest().is_none_or(|wanted| *wanted == head.digest);
    wanted.then(|| Pulled { component: Digest::of(&bytes), bytes, digest: head.digest, signatures })
}
