//! What the gateway writes to standard error: lines for people or JSON for machines.
//!
//! Nothing here redacts: values about persons and secrets are types that do not print themselves. What others' code would
//! print of them is left out as a whole.

use std::io::IsTerminal;

use anstream::ColorChoice;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::{LogFormat, Telemetry};

/// Others' code that is never heard, whatever the filter says: the signatures of AWS trace requests with their bodies.
const SILENT: [&str; 1] = ["aws_sigv4=off"];

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("`{0}` is not a log filter; write \"info\" or \"info,patchbay_runtime=debug\"")]
    Filter(String, #[source] ParseError),
    /// It was started before.
    #[error("logging was started twice in this process")]
    Twice(#[from] TryInitError),
}

/// Starts logging for the whole process. `filter` takes the place of the configuration's.
///
/// # Errors
/// [`TelemetryError`] when the filter is wrong or logging has started already.
pub fn init(telemetry: &Telemetry, filter: Option<&str>) -> Result<(), TelemetryError> {
    let filter = filter.unwrap_or(&telemetry.log);
    let mut filter = EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter(filter.to_owned(), error))?;
    for silent in SILENT {
        filter =
            filter.add_directive(silent.parse().map_err(|error| TelemetryError::Filter(silent.to_owned(), error))?);
    }
    let layer = match telemetry.format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_ansi(colours()).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(layer).try_init()?;
    Ok(())
}

/// Whether lines on standard error have colours.
fn colours() -> bool {
    match ColorChoice::global() {
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}
