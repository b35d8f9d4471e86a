//! The sections about the gateway itself: where it listens, what it keeps, how patient it is, what it says.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretRef;
use super::units::{Period, Size};

/// Where the gateway listens and keeps its files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Address and port of the HTTP surface. Put a TLS proxy in front of it: Meta delivers to https:// only.
    #[schemars(with = "String", extend("x-form" = "listen"))]
    pub listen: SocketAddr,
    /// The largest request body that is accepted; above it the answer is 413. At least 3MiB: Meta sends up to 3 MB.
    pub max_body: Size,
    /// How long running work may take to finish after the signal to stop. Each partition goes to another node as soon as
    /// its own is finished.
    pub shutdown_grace: Period,
    /// What this node is called among those that share a store; without it the machine's name.
    #[schemars(extend("x-form" = "name"))]
    pub node_name: Option<String>,
    /// The folder for everything that is kept. A relative path counts from the configuration file.
    #[schemars(extend("x-form" = "path"))]
    pub data_dir: PathBuf,
}

/// The least that [`Gateway::max_body`] can be: Meta documents webhook bodies of up to 3 MB.
pub const MAX_BODY_LEAST: Size = Size::mebibytes(3);
/// The most that [`Gateway::max_body`] can be: a body is held in memory while its signature is checked.
pub const MAX_BODY_MOST: Size = Size::mebibytes(64);

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            // Room above 4 MiB, so that a body of exactly that size is never refused.
            max_body: Size::mebibytes(5),
            shutdown_grace: Period::seconds(20),
            node_name: None,
            data_dir: PathBuf::from("./data"),
        }
    }
}

/// How often, and for how long, something that failed is tried again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// The wait before the second try.
    pub first: Period,
    /// By how much each wait is longer than the one before.
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: f64,
    /// No wait is longer than this.
    pub longest: Period,
    /// After this long the task becomes a dead letter.
    pub give_up_after: Period,
    /// After this many tries the task becomes a dead letter, however little time has passed. Without it only time counts.
    #[schemars(range(min = 1, max = 10000))]
    pub attempts: Option<u32>,
    /// The share of each wait that is drawn at random, so that tasks that failed together do not return together.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Period::seconds(1),
            factor: 2.0,
            longest: Period::seconds(5 * 60),
            give_up_after: Period::seconds(24 * 60 * 60),
            attempts: None,
            jitter: 0.2,
        }
    }
}

impl Retry {
    /// The wait after try number `attempt` (from 1) failed, before jitter.
    #[must_use]
    pub fn wait_after(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.get().as_secs_f64() * self.factor.powi(exponent);
        // `from_secs_f64` refuses what does not fit; a longer wait than the longest is the longest anyway.
        Duration::try_from_secs_f64(seconds).map_or(self.longest.get(), |wait| wait.min(self.longest.get()))
    }
}

/// The admin and sending API under `/v1`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Secrets that sign bearer tokens (JWT, HS256), 32 bytes or more each. The first one signs, all of them verify:
    /// put a new one in front to rotate. Without any the API is off.
    pub token_secrets: Vec<SecretRef>,
}

/// The fewest bytes of a token secret: RFC 7518 section 3.2 asks for a key as long as the hash.
pub const TOKEN_SECRET_LEAST: usize = 32;

/// What to say about a token secret that is too short.
pub(super) fn short_secret(reference: &SecretRef) -> String {
    format!("{reference} is shorter than {TOKEN_SECRET_LEAST} bytes: too short to sign tokens")
}

/// What to do about it.
pub(super) const SHORT_SECRET_FIX: &str = "put 32 random bytes there: openssl rand -hex 32";

/// What the gateway writes to standard error.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter for each module: `info,patchbay_runtime=debug`.
    #[schemars(extend("x-form" = "filter"))]
    pub log: String,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log: "info".into(), format: LogFormat::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        let retry = Retry::default();
        assert_eq!(retry.wait_after(1), Duration::from_secs(1));
        assert_eq!(retry.wait_after(4), Duration::from_secs(8));
        assert_eq!(retry.wait_after(10), Duration::from_secs(300));
        assert_eq!(retry.wait_after(u32::MAX), Duration::from_secs(300));
    }
}
