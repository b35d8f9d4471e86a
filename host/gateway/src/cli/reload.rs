//! `patchbay reload`

use clap::Args;
use serde_json::Value;

use super::args::GatewayArgs;
use super::client::Client;
use super::failure::DONE;
use super::output::{json_lines, print, text_of};

/// `patchbay reload`
#[derive(Clone, Debug, Args)]
pub struct ReloadArgs {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// Write one JSON object: changes, warnings.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// Nothing was changed: 2 when the configuration is wrong, 3 when it needs a restart.
pub async fn run(args: ReloadArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let answer = client.post("/v1/reload", &Value::Null, None).await?;
    if args.json {
        json_lines([&answer])?;
        return Ok(DONE);
    }
    let list = |key: &str| answer.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for warning in list("warnings") {
        let (line, message, fix) = (text_of(&warning, "line"), text_of(&warning, "message"), text_of(&warning, "fix"));
        anstream::eprintln!("warning: line {line}: {message}; {fix}");
    }
    let changes = list("changes");
    if changes.is_empty() {
        print("the configuration was read again; it says the same as before\n")?;
    }
    for change in changes.iter().filter_map(Value::as_str) {
        print(&format!("{change}\n"))?;
    }
    Ok(DONE)
}
