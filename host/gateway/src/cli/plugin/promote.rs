//! `patchbay plugin promote`

use serde_json::json;

use super::deployed::{conclude, order};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::config::Share;

/// What its help says.
pub const ABOUT: &str = "Makes a canary or a shadow the active generation. With --canary it becomes, or stays, a canary for \
                  another share of the conversations; those that a smaller share had, a larger one has too.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin promote router --canary 50%\n  \
                       patchbay plugin promote router --wait";

/// `patchbay plugin promote`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The deployment.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Which generation; without it the canary, and without one the shadow.
    #[arg(long, value_name = "N")]
    pub generation: Option<u64>,
    /// Only for this share of the conversations.
    #[arg(long, value_name = "SHARE")]
    pub canary: Option<Share>,
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
    let body = json!({ "generation": args.generation, "share": args.canary });
    let done = order(&client, &args.name, "promote", &body).await?;
    conclude(&client, &args.name, done, args.wait, args.json).await
}
