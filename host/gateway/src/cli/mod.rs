//! The command line.
//!
//! # Layout
//! - here and [`args`]: the commands and their flags, as data
//! - [`run`]: what each command does; [`journal`], [`explain`], [`route`], [`letters`], [`upkeep`], [`backup`], [`migrate`],
//!   [`reload`]: those of operators
//! - [`client`], [`source`]: a running gateway, or a store that no gateway runs on; [`redis`]: one by its address
//! - [`compile`]: the process that plugins are compiled in
//! - [`output`], [`failure`]: what is printed, and exit codes
//! - [`help`]: the commands in groups

pub mod args;
pub mod backup;
pub mod client;
pub mod compile;
pub mod explain;
pub mod failure;
pub mod help;
pub mod journal;
pub mod letters;
pub mod migrate;
pub mod output;
pub mod plugin;
pub mod redis;
pub mod reload;
pub mod route;
pub mod run;
pub mod source;
pub mod upkeep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use self::args::{BackupArgs, JournalCommand, LettersCommand, MigrateArgs, RestoreArgs, StoreCommand};

/// Where the configuration is when nothing else is said.
pub const CONFIG_FILE: &str = "patchbay.toml";

/// The port of `patchbay dev`; the simulators have the next one.
pub const DEV_PORT: u16 = 18080;

/// Everything that stands on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "patchbay",
    version,
    about = "Connects WhatsApp Business numbers with ticket systems",
    long_about = "Patchbay takes the webhooks of WhatsApp Business numbers, lets sandboxed plugins decide about each \
                  event, and carries out what they decide: answers to customers, and tickets in one or several \
                  ticket systems. What was acknowledged is never lost, and nothing is done twice.",
    after_long_help = "Exit codes:\n  \
                       0  done\n  \
                       1  failed\n  \
                       2  wrong usage or configuration\n  \
                       3  refused by a rule\n\n\
                       Begin with:\n  \
                       patchbay dev                             everything on this machine, with simulators\n  \
                       patchbay check --config patchbay.toml    before a new configuration goes live\n  \
                       patchbay serve --config patchbay.toml    the gateway",
    arg_required_else_help = true,
    disable_help_subcommand = true,
    propagate_version = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Whether to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    #[command(
        long_about = "Runs the gateway until it is told to stop (SIGTERM or Ctrl-C). The configuration is checked \
                      first, secrets included; with anything wrong in it the gateway does not start.",
        after_long_help = "Examples:\n  \
                           patchbay serve --config /etc/patchbay/patchbay.toml\n  \
                           patchbay serve --log info,patchbay_runtime=debug"
    )]
    Serve(ServeArgs),
    /// Run the gateway with simulators of WhatsApp and the ticket systems
    #[command(
        long_about = "Runs a gateway and simulators of WhatsApp and the ticket systems, on loopback only and with a \
                      temporary store. Nothing leaves this machine, and nothing has to be signed up for.",
        after_long_help = "Examples:\n  \
                           patchbay dev\n  \
                           patchbay dev --config patchbay.toml    your own chains and plugins\n  \
                           patchbay dev --port 0 --json           for scripts: free ports, addresses as JSON"
    )]
    Dev(DevArgs),
    /// Check a configuration
    #[command(
        long_about = "Checks a configuration: its keys and values, the names that sections call each other by, \
                      plugins' settings, grants and secrets against their components where these ship with the gateway \
                      or are files, and that every secret is where the configuration says. Everything that is wrong is \
                      shown at once, each with its line and with what to write instead. Exits with 2 when \
                      there is an error; warnings alone are no error.",
        after_long_help = "Examples:\n  \
                           patchbay check\n  \
                           patchbay check --config patchbay.toml --no-secrets    in CI, without the secrets\n  \
                           patchbay check --json                                 one JSON object for each problem"
    )]
    Check(CheckArgs),
    /// Print the JSON Schema of the configuration
    #[command(
        long_about = "Prints the JSON Schema (draft 2020-12) of the configuration, with a description of every key. \
                      Editors use it to complete and check as you write.",
        after_long_help = "Examples:\n  \
                           patchbay schema > patchbay.schema.json\n\n\
                           Then, as the first line of the configuration, for editors with Taplo:\n  \
                           #:schema ./patchbay.schema.json"
    )]
    Schema,
    /// Write, ship and run plugins
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Look at events, and run them again
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Tell why an event went where it went
    #[command(
        long_about = "Tells why an event went where it went: the chains that were considered and why each was passed over, \
                      the handlers that were asked, what each of them wanted and how long it took. What customers wrote is \
                      not shown.",
        after_long_help = "Examples:\n  \
                           patchbay explain ev_l2kjm5d4xqmr3rwhtg6dyjzb\n  \
                           patchbay explain ev_l2kjm5d4xqmr3rwhtg6dyjzb --json | jq .steps"
    )]
    Explain(explain::ExplainArgs),
    /// Try a text on the rules
    #[command(
        long_about = "Tries on the rules of a configuration which chain an event would go to, and why not to the ones \
                      before. No gateway is asked, and nothing is sent. Exits with 1 when no chain is for it.",
        after_long_help = "Examples:\n  \
                           patchbay route \"my invoice is wrong\"\n  \
                           patchbay route \"Hallo\" --channel support --phone 4930123456 --at 2026-01-31T22:00:00Z\n  \
                           patchbay route - --kind message.image --attribute tier=gold"
    )]
    Route(route::RouteArgs),
    /// Look at what was given up: change it, try it again, drop it
    #[command(subcommand)]
    DeadLetters(LettersCommand),
    /// Look at the store, and check it
    #[command(subcommand)]
    Store(StoreCommand),
    /// Write the store and customers' files into one file
    #[command(
        long_about = "Writes the store, as of one moment, and customers' files into one tar file, while the gateway goes \
                      on; or of a gateway that is stopped, with --config. The file holds what customers wrote: keep it \
                      as safe as the store.",
        after_long_help = "Examples:\n  \
                           patchbay backup patchbay-$(date +%F).tar\n  \
                           patchbay backup --config patchbay.toml backup.tar    while no gateway runs\n  \
                           patchbay backup --no-media backup.tar                the store alone"
    )]
    Backup(BackupArgs),
    /// Put a backup back
    #[command(
        long_about = "Checks a backup as a whole and puts it where the configuration keeps its store and customers' \
                      files. A backup that is damaged changes nothing. What is there already is left alone, or moved \
                      aside with --force. No gateway may run on it.",
        after_long_help = "Examples:\n  \
                           patchbay restore backup.tar --config patchbay.toml\n  \
                           patchbay restore backup.tar --config patchbay.toml --force"
    )]
    Restore(RestoreArgs),
    /// Move everything from one store into another
    #[command(
        long_about = "Moves everything from one store into another one, which has to be empty: from the embedded file \
                      into Redis, or back. No gateway may run on either. The store that is read stays as it is. \
                      Customers' files are no part of it: they lie in the data folder, and `patchbay backup --no-store` \
                      takes them along.\n\n\
                      A run that was broken off is gone on with by the same command and --continue. Passwords stand in \
                      no command: name a configuration that refers to them, with config:FILE, or set \
                      PATCHBAY_REDIS_PASSWORD.",
        after_long_help = "Examples:\n  \
                           patchbay migrate --from embedded:/var/lib/patchbay/patchbay.redb --to config:patchbay.toml\n  \
                           patchbay migrate --from config:patchbay.toml --to embedded:copy.redb    a copy in one file"
    )]
    Migrate(MigrateArgs),
    /// Have a running gateway read its configuration again
    #[command(
        long_about = "Has a running gateway read its configuration file again, as SIGHUP does. The file is checked first, and \
                      with anything wrong in it nothing changes. Chains, desks, numbers, plugins, credentials, secrets, \
                      limits and retention change at once, without an event or a task being lost; what needs a restart is \
                      named, and nothing changes.",
        after_long_help = "Examples:\n  \
                           patchbay check --config patchbay.toml && patchbay reload\n  \
                           patchbay reload --url http://127.0.0.1:8080"
    )]
    Reload(reload::ReloadArgs),
    /// Make tokens for the admin API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Compile a plugin for a running gateway
    #[command(hide = true)]
    CompileComponent(compile::CompileArgs),
    /// Pull a plugin for a running gateway
    #[command(hide = true)]
    PullComponent,
    /// Print a completion script for a shell
    #[command(after_long_help = "Examples:\n  \
                                 patchbay completions bash > /etc/bash_completion.d/patchbay\n  \
                                 patchbay completions fish > ~/.config/fish/completions/patchbay.fish")]
    Completions {
        /// Which shell.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// The flag that names the configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "PATCHBAY_CONFIG", default_value = CONFIG_FILE)]
    pub config: PathBuf,
}

/// `patchbay serve`
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What to log, instead of `telemetry.log`: `debug`, or `info,patchbay_runtime=debug`.
    #[arg(long, value_name = "FILTER", env = "PATCHBAY_LOG", value_parser = log_filter)]
    pub log: Option<String>,
}

/// `patchbay dev`
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// The gateway's port; the simulators have the next one. 0 picks free ones.
    #[arg(long, value_name = "N", default_value_t = DEV_PORT)]
    pub port: u16,
    /// Write one JSON object with all addresses and secrets as the first line, and nothing else, to standard output.
    #[arg(long)]
    pub json: bool,
    /// Chains, plugins and desks of your own; numbers, addresses and secrets are the simulators'.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the store there instead of in a temporary folder.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Do not open the console in a browser.
    #[arg(long)]
    pub no_browser: bool,
    /// What to log, instead of `telemetry.log`.
    #[arg(long, value_name = "FILTER", env = "PATCHBAY_LOG", value_parser = log_filter)]
    pub log: Option<String>,
}

fn log_filter(text: &str) -> Result<String, String> {
    crate::config::log_filter(text).map(|()| text.to_owned())
}

/// `patchbay check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Write one JSON object for each problem to standard output: severity, line, column, key, message, fix.
    #[arg(long)]
    pub json: bool,
    /// Do not look whether the secrets are there.
    #[arg(long)]
    pub no_secrets: bool,
    /// Exit with 2 for warnings too.
    #[arg(long)]
    pub strict: bool,
}

/// `patchbay token …`
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Print a token for the admin API
    #[command(
        long_about = "Prints a bearer token (a JSON Web Token) for the admin API under /v1, signed with the first of \
                      `admin.token_secrets`. It cannot be called back one by one: taking the secret out of the \
                      configuration ends all of its tokens.",
        after_long_help = "Examples:\n  \
                           export PATCHBAY_TOKEN=$(patchbay token issue --config patchbay.toml)\n  \
                           patchbay token issue --subject grafana --days 365"
    )]
    Issue(IssueArgs),
}

/// `patchbay token issue`
#[derive(Clone, Debug, Args)]
pub struct IssueArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Who the token is for, as the audit log will call them.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub subject: String,
    /// For how many days it is good.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Write one JSON object: token, subject, expires_at.
    #[arg(long)]
    pub json: bool,
}
