//! `patchbay plugin rollback`

use serde_json::json;

use super::deployed::{conclude, order};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;

/// What its help says.
pub const ABOUT: &str = "Goes back. A canary is ended; where there is none, the generation before the active one takes its place \
                  again, with the settings and grants that it had. It is still loaded, so this takes a second on all \
                  nodes. With --to it is another generation; --to the active one ends a canary and a shadow beside it.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin rollback router --reason 'sends refunds to sales'\n  \
                       patchbay plugin rollback router --to 3 --wait";

/// `patchbay plugin rollback`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The deployment.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// To this generation.
    #[arg(long, value_name = "N")]
    pub to: Option<u64>,
    /// Why, for those who read the history.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Wait until every node runs it.
    #[arg(long)]
    pub wait: bool,
    /// Write one JSON object: deployment, generation, state, active.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let body = json!({ "generation": args.to, "reason": args.reason });
    let done = order(&client, &args.name, "rollback", &body).await?;
    conclude(&client, &args.name, done, args.wait, args.json).await
}
