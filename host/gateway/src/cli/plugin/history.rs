//! `patchbay plugin history`

use super::deployed::{list, whole};
use crate::cli::args::GatewayArgs;
use crate::cli::client::Client;
use crate::cli::failure::DONE;
use crate::cli::output::{json_lines, print, table, text_of};

/// What its help says.
pub const ABOUT: &str = "Shows what has happened to a deployment, oldest first: who deployed, approved, promoted and rolled back \
                  which generation, and why; what was refused before it became a generation has no number. A node that \
                  took a generation back by itself stands there as `node NAME`.";

/// What its help shows.
pub const EXAMPLES: &str = "Examples:\n  \
                       patchbay plugin history router\n  \
                       patchbay plugin history router --json | jq 'select(.what == \"rolled-back\")'";

/// `patchbay plugin history`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The deployment.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Write one JSON object a line: at, generation, what, who, why.
    #[arg(long)]
    pub json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(args: Args) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let whole = whole(&client, &args.name).await?;
    let history = list(&whole, "history");
    if args.json {
        json_lines(history)?;
        return Ok(DONE);
    }
    let keys = ["at", "generation", "what", "who", "why"];
    let rows: Vec<Vec<String>> = history.iter().map(|row| keys.iter().map(|key| text_of(row, key)).collect()).collect();
    print(&table(&["AT", "GENERATION", "WHAT", "WHO", "WHY"], &rows))?;
    Ok(DONE)
}
