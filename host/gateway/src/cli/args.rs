//! The flags of the commands by which an operator looks after a gateway and its store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::SecretString;
use url::Url;

/// Where a gateway listens by default.
pub const GATEWAY_URL: &str = "http://127.0.0.1:8080";

/// A running gateway.
#[derive(Clone, Debug, Args)]
pub struct GatewayArgs {
    /// The running gateway's address.
    #[arg(long, value_name = "URL", env = "PATCHBAY_URL", default_value = GATEWAY_URL, value_parser = gateway_url)]
    pub url: Url,
    /// A token for its API; `patchbay token issue` makes one. In the environment nobody else on the machine sees it.
    #[arg(long, value_name = "TOKEN", env = "PATCHBAY_TOKEN", hide_env_values = true, value_parser = secret)]
    pub token: Option<SecretString>,
}

/// A running gateway, or a store that no gateway runs on.
#[derive(Clone, Debug, Args)]
pub struct SourceArgs {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// Instead of asking a gateway, open the store that this configuration names. No gateway may run on it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

fn gateway_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write {GATEWAY_URL}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("{other}:// is no address of a gateway; write {GATEWAY_URL}")),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

/// `patchbay journal …`
#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// List events, newest first
    #[command(
        long_about = "Lists events, newest first: when they were accepted, their kind, conversation and id. What \
                      customers wrote is not shown; `journal show` does that, and --bodies for a whole listing.",
        after_long_help = "Examples:\n  \
                           patchbay journal list --kind message --since 2h\n  \
                           patchbay journal list --pending                      what waits to be handled\n  \
                           patchbay journal list --kind unknown --json | jq -r .id"
    )]
    List(JournalListArgs),
    /// Show one event with everything that is kept of it
    #[command(after_long_help = "Examples:\n  \
                                 patchbay journal show ev_l2kjm5d4xqmr3rwhtg6dyjzb\n  \
                                 patchbay journal show ev_l2kjm5d4xqmr3rwhtg6dyjzb --raw | jq    as WhatsApp sent it")]
    Show(JournalShowArgs),
    /// Run events through today's normaliser, or handle them again
    #[command(
        long_about = "Runs what is kept of events through today's normaliser. An event that was taken before is not \
                      handled twice: only what is new is, such as a kind that had no name when it came, so replaying \
                      too much does no harm.\n\n\
                      With --as-new an event is appended once more under a new id and handled again with all its \
                      effects: customers may be answered again, and tickets written again.",
        after_long_help = "Examples:\n  \
                           patchbay journal replay --kind unknown --since 7d --dry-run    what would come of it\n  \
                           patchbay journal replay --kind unknown --since 7d\n  \
                           patchbay journal replay ev_l2kjm5d4xqmr3rwhtg6dyjzb --as-new"
    )]
    Replay(ReplayArgs),
}

/// `patchbay journal list`
#[derive(Clone, Debug, Args)]
pub struct JournalListArgs {
    /// From where.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which.
    #[command(flatten)]
    pub filter: EventArgs,
    /// Only this conversation's.
    #[arg(long, value_name = "ID")]
    pub conversation: Option<String>,
    /// Only those that wait to be handled.
    #[arg(long)]
    pub pending: bool,
    /// With what customers wrote, and who they are; only with --json.
    #[arg(long, requires = "json")]
    pub bodies: bool,
    /// Write one JSON object a line: id, kind, conversation, occurred_at, received_at.
    #[arg(long)]
    pub json: bool,
}

/// Which events.
#[derive(Clone, Debug, Args)]
pub struct EventArgs {
    /// Only this kind, or those below it: `message` is `message.text`, `message.image` and so on.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Only those accepted since: `2h`, `7d`, or a time as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

/// `patchbay journal show`
#[derive(Clone, Debug, Args)]
pub struct JournalShowArgs {
    /// From where.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The event's id.
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Only what WhatsApp sent; of an `unparsed` event its bytes as base64.
    #[arg(long)]
    pub raw: bool,
    /// Write one JSON object in one line.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay journal replay`
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// Ids of events.
    #[arg(value_name = "EVENT", required_unless_present = "kind", conflicts_with_all = ["kind", "since"])]
    pub events: Vec<String>,
    /// Which.
    #[command(flatten)]
    pub filter: EventArgs,
    /// Handle them again, with all their effects.
    #[arg(long)]
    pub as_new: bool,
    /// Only say what would happen.
    #[arg(long)]
    pub dry_run: bool,
    /// With --as-new: what makes doing it twice harmless. Give the word of a run whose answer was lost to repeat it; drawn
    /// anew for each run, and told.
    #[arg(long, value_name = "WORD", requires = "as_new")]
    pub key: Option<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Write one JSON object a line: replayed, event, kind, outcome.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay dead-letters …`
#[derive(Clone, Debug, Subcommand)]
pub enum LettersCommand {
    /// List dead letters, newest first
    #[command(
        long_about = "Lists what the gateway gave up on, newest first, with the reason. What customers wrote is not \
                      shown; `dead-letters show` does that.",
        after_long_help = "Examples:\n  \
                           patchbay dead-letters list\n  \
                           patchbay dead-letters list --lane desk:zendesk    of one lane\n  \
                           patchbay dead-letters list --lane whatsapp        of all numbers"
    )]
    List(LettersListArgs),
    /// Show one dead letter with its effect
    #[command(after_long_help = "Examples:\n  \
                                 patchbay dead-letters show ta_3ibk5o6mwzcyw5jzq2l7p4xa")]
    Show(LettersShowArgs),
    /// Change a dead letter's effect; it stays a dead letter
    #[command(
        long_about = "Changes the effect of a dead letter: with $EDITOR, or from a file. What has changed is shown. The \
                      kind of the effect stays, and so does the letter: `dead-letters retry` tries it again.",
        after_long_help = "Examples:\n  \
                           patchbay dead-letters edit ta_3ibk5o6mwzcyw5jzq2l7p4xa\n  \
                           patchbay dead-letters show ta_3ibk5o6mwzcyw5jzq2l7p4xa --json | jq .effect > effect.json\n  \
                           patchbay dead-letters edit ta_3ibk5o6mwzcyw5jzq2l7p4xa --file effect.json"
    )]
    Edit(LettersEditArgs),
    /// Try dead letters again
    #[command(after_long_help = "Examples:\n  \
                                 patchbay dead-letters retry ta_3ibk5o6mwzcyw5jzq2l7p4xa\n  \
                                 patchbay dead-letters retry --all --lane desk:zendesk")]
    Retry(LettersRetryArgs),
    /// Give dead letters up for good
    #[command(after_long_help = "Examples:\n  \
                                 patchbay dead-letters drop ta_3ibk5o6mwzcyw5jzq2l7p4xa\n  \
                                 patchbay dead-letters drop ta_3ibk5o6mwzcyw5jzq2l7p4xa --yes    in a script")]
    Drop(LettersDropArgs),
}

/// `patchbay dead-letters list`
#[derive(Clone, Debug, Args)]
pub struct LettersListArgs {
    /// From where.
    #[command(flatten)]
    pub source: SourceArgs,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Only this lane's (`desk:zendesk`), or those of this sort of lane (`desk`).
    #[arg(long, value_name = "LANE")]
    pub lane: Option<String>,
    /// Write one JSON object a line: task, lane, effect, conversation, event, attempts, created_at, died_at, reason.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay dead-letters show`
#[derive(Clone, Debug, Args)]
pub struct LettersShowArgs {
    /// From where.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The letter's task.
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Write one JSON object in one line.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay dead-letters edit`
#[derive(Clone, Debug, Args)]
pub struct LettersEditArgs {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The letter's task.
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Take the new effect from this file instead of asking $EDITOR; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `patchbay dead-letters retry`
#[derive(Clone, Debug, Args)]
pub struct LettersRetryArgs {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The letters' tasks.
    #[arg(value_name = "TASK", required_unless_present = "all", conflicts_with = "all")]
    pub tasks: Vec<String>,
    /// All of them.
    #[arg(long)]
    pub all: bool,
    /// With --all: only this lane's.
    #[arg(long, value_name = "LANE", requires = "all")]
    pub lane: Option<String>,
    /// Write one JSON object a line: task, outcome, reason.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay dead-letters drop`
#[derive(Clone, Debug, Args)]
pub struct LettersDropArgs {
    /// Which gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The letters' tasks.
    #[arg(value_name = "TASK", required = true)]
    pub tasks: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Write one JSON object a line: task, outcome, reason.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay store …`
#[derive(Clone, Debug, Subcommand)]
pub enum StoreCommand {
    /// Print the store in numbers
    #[command(after_long_help = "Examples:\n  \
                                 patchbay store stats\n  \
                                 patchbay store stats --config patchbay.toml    while no gateway runs")]
    Stats(StoreArgs),
    /// Read the whole store, and check what refers to each other
    #[command(
        long_about = "Reads the whole store and holds what refers to each other against each other. Exits with 1 when \
                      something is wrong. It takes as long as reading everything does.",
        after_long_help = "Examples:\n  \
                           patchbay store verify\n  \
                           patchbay store verify --config patchbay.toml --json"
    )]
    Verify(StoreArgs),
}

/// `patchbay store stats`, `patchbay store verify`
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// Of what.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Write one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay backup`
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// Of what.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The file to write; it must not be there yet.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Without customers' files.
    #[arg(long, conflicts_with = "no_store")]
    pub no_media: bool,
    /// Only customers' files: for a store that has backups of its own, such as Redis.
    #[arg(long)]
    pub no_store: bool,
    /// Write one JSON object: file, bytes, manifest.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay restore`
#[derive(Clone, Debug, Args)]
pub struct RestoreArgs {
    /// What `patchbay backup` has written.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The configuration that says where to. No gateway may run on it.
    #[command(flatten)]
    pub config: super::ConfigArgs,
    /// Move aside what is there.
    #[arg(long)]
    pub force: bool,
    /// Write one JSON object: store, media, aside, manifest.
    #[arg(long)]
    pub json: bool,
}

/// `patchbay migrate`
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// The store to read: embedded:PATH, redis://HOST:PORT (also redis+sentinel:, redis+cluster:), or config:FILE for the
    /// one of a configuration.
    #[arg(long, value_name = "STORE")]
    pub from: String,
    /// The store to write, in the same form.
    #[arg(long, value_name = "STORE")]
    pub to: String,
    /// Go on with a migration from the same store that was broken off.
    #[arg(long = "continue")]
    pub go_on: bool,
    /// Write one JSON object: moved, from, to.
    #[arg(long)]
    pub json: bool,
}
