//! `patchbay plugin approve`

use serde_json::json;

use super::deployed::{conclude, order, refused_by_a_rule};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;

/// What its help says.
pub const ABOUT: &str = "Lets a held generation have what it asks for, and lets it begin as it was deployed: in full, as a canary \
                  or as a shadow. Hosts are granted over HTTPS and without a credential; one that needs a credential \
                  belongs into the configuration. `patchbay plugin diff NAME` shows what it asks for.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin approve router\n  \
                       patchbay plugin approve router --generation 4 --wait";

/// `patchbay plugin approve`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The deployment.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Which generation; without it the one that is held.
    #[arg(long, value_name = "N")]
    pub generation: Option<u64>,
    /// Wait until every node runs it.
    #[arg(long)]
    pub wait: bool,
    /// Write one JSON object: deployment, generation, state, active, stages.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let done = order(&client, &args.name, "approve", &json!({ "generation": args.generation })).await;
    conclude(&client, &args.name, done.map_err(refused_by_a_rule)?, args.wait, args.json).await
}
