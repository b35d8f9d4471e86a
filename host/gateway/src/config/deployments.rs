//! The sections about deployments: whose components are taken, and when a new generation goes back by itself.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::share::Share;
use super::units::Period;

/// Whose components are taken, and when a new generation goes back by itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deployments {
    /// The file that says who may sign what. Components that are deployed need a signature by it; with it those that this
    /// configuration names by `file:` or `oci:` do too. A relative path counts from the configuration file.
    #[schemars(extend("x-form" = "path"))]
    pub policy: Option<PathBuf>,
    /// Take components that nobody signed where there is no policy. For development: whoever has a token can run code then.
    pub unsigned: bool,
    /// The file of digests that the gateway writes when it pulls an `oci:` source of this configuration for the first time, and
    /// `patchbay plugin pull` too: where it knows a source, that digest is pulled and no other. A relative path counts from
    /// the configuration file.
    #[schemars(extend("x-form" = "path"))]
    pub lock: PathBuf,
    /// When a new generation goes back by itself; plugins can say otherwise in `[plugins.NAME.rollout]`.
    pub rollout: Rules,
}

impl Default for Deployments {
    fn default() -> Self {
        let lock = PathBuf::from(patchbay_artefact::lock::FILE);
        Self { policy: None, unsigned: false, lock, rollout: Rules::default() }
    }
}

/// When a new generation goes back by itself. It has to be worse than the one before as well: where both fail, the reason
/// is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The share of its calls that may fail within the window. `"100%"` is never too much. Without a value `"20%"`.
    pub max_failure_rate: Option<Share>,
    /// Calls within the window before anything is concluded from them. Without a value 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_calls: Option<u32>,
    /// How long 99 of 100 calls may take. Without a value time does not count.
    pub max_p99: Option<Period>,
    /// How far back calls count. Without a value `"1m"`.
    pub window: Option<Period>,
    /// How long a generation is watched after it became active; a canary always is. Without a value `"15m"`.
    pub watch_for: Option<Period>,
}

/// [`Rules`] with nothing left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The share of calls that may fail.
    pub max_failure_rate: Share,
    /// Calls before anything is concluded.
    pub min_calls: u64,
    /// How long 99 of 100 calls may take.
    pub max_p99: Option<Duration>,
    /// How far back calls count.
    pub window: Duration,
    /// How long an active generation is watched.
    pub watch_for: Duration,
}

/// Calls before anything is concluded: with fewer, a rate of 20% is four unlucky customers.
const MIN_CALLS: u32 = 20;

impl Rules {
    /// These rules, and `general` where they say nothing.
    #[must_use]
    pub fn or(&self, general: &Self) -> Watch {
        let period = |own: Option<Period>, general: Option<Period>| own.or(general).map(Period::get);
        // A fifth is more than any ticket system's bad minute, and a broken plugin fails far more.
        let rate = self.max_failure_rate.or(general.max_failure_rate).or(Share::percent(20.0));
        Watch {
            max_failure_rate: rate.unwrap_or(Share::ALL),
            min_calls: self.min_calls.or(general.min_calls).unwrap_or(MIN_CALLS).into(),
            max_p99: period(self.max_p99, general.max_p99),
            window: period(self.window, general.window).unwrap_or(Duration::from_secs(60)),
            watch_for: period(self.watch_for, general.watch_for).unwrap_or(Duration::from_secs(15 * 60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_s_own_rules_come_first() {
        let general = Rules { min_calls: Some(7), window: Some(Period::seconds(5)), ..Rules::default() };
        let own = Rules { max_failure_rate: Share::percent(1.0), window: Some(Period::seconds(9)), ..Rules::default() };
        let watch = own.or(&general);
        assert_eq!(watch.max_failure_rate, Share::percent(1.0).unwrap());
        assert_eq!((watch.min_calls, watch.window.as_secs(), watch.max_p99), (7, 9, None));
        assert_eq!(Rules::default().or(&Rules::default()).max_failure_rate.to_string(), "20%");
    }
}
