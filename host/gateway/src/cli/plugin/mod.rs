//! `patchbay plugin …`: one file for each command, with its flags and what it does.

pub mod approve;
pub mod build;
pub mod deploy;
mod deployed;
pub mod diff;
pub mod history;
pub mod inspect;
pub mod keygen;
pub mod list;
pub mod new;
pub mod pack;
pub mod promote;
pub mod pull;
pub mod push;
pub mod rollback;
pub mod shipping;
pub mod sign;
pub mod test;
pub mod verify;
pub mod watch;

use clap::Subcommand;

/// What vendors and operators do with plugins.
#[derive(Clone, Debug, Subcommand)]
pub enum PluginCommand {
    /// Begin a plugin
    #[command(long_about = new::ABOUT, after_long_help = new::EXAMPLES)]
    New(new::Args),
    /// Build a plugin's component
    #[command(long_about = build::ABOUT, after_long_help = build::EXAMPLES)]
    Build(build::Args),
    /// Build at every change, and swap it into a running gateway
    #[command(long_about = watch::ABOUT, after_long_help = watch::EXAMPLES)]
    Watch(watch::Args),
    /// Run a plugin's golden events in the real sandbox
    #[command(long_about = test::ABOUT, after_long_help = test::EXAMPLES)]
    Test(test::Args),
    /// Show what a component is and wants
    #[command(long_about = inspect::ABOUT, after_long_help = inspect::EXAMPLES)]
    Inspect(inspect::Args),
    /// Put the manifest and the golden events into a component
    #[command(long_about = pack::ABOUT, after_long_help = pack::EXAMPLES)]
    Pack(pack::Args),
    /// Make a pair of keys for signatures
    #[command(long_about = keygen::ABOUT, after_long_help = keygen::EXAMPLES)]
    Keygen(keygen::Args),
    /// Sign a component
    #[command(long_about = sign::ABOUT, after_long_help = sign::EXAMPLES)]
    Sign(sign::Args),
    /// Put a component into a registry
    #[command(long_about = push::ABOUT, after_long_help = push::EXAMPLES)]
    Push(push::Args),
    /// Take a component from a registry
    #[command(long_about = pull::ABOUT, after_long_help = pull::EXAMPLES)]
    Pull(pull::Args),
    /// Check a component's signatures
    #[command(long_about = verify::ABOUT, after_long_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Show the deployments, and what runs
    #[command(long_about = list::ABOUT, after_long_help = list::EXAMPLES)]
    List(list::Args),
    /// Make a new generation of a deployment
    #[command(long_about = deploy::ABOUT, after_long_help = deploy::EXAMPLES)]
    Deploy(deploy::Args),
    /// Let a generation have what it asks for
    #[command(long_about = approve::ABOUT, after_long_help = approve::EXAMPLES)]
    Approve(approve::Args),
    /// Make a canary or a shadow the active generation
    #[command(long_about = promote::ABOUT, after_long_help = promote::EXAMPLES)]
    Promote(promote::Args),
    /// Go back to the generation before
    #[command(long_about = rollback::ABOUT, after_long_help = rollback::EXAMPLES)]
    Rollback(rollback::Args),
    /// Show what has become of a deployment's generations
    #[command(long_about = history::ABOUT, after_long_help = history::EXAMPLES)]
    History(history::Args),
    /// Show what differs between two generations
    #[command(long_about = diff::ABOUT, after_long_help = diff::EXAMPLES)]
    Diff(diff::Args),
}

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(command: PluginCommand) -> anyhow::Result<u8> {
    match command {
        PluginCommand::New(args) => new::run(args).await,
        PluginCommand::Build(args) => build::run(args).await,
        PluginCommand::Watch(args) => watch::run(args).await,
        PluginCommand::Test(args) => test::run(args).await,
        PluginCommand::Inspect(args) => inspect::run(args).await,
        PluginCommand::Pack(args) => pack::run(args).await,
        PluginCommand::Keygen(args) => keygen::run(args).await,
        PluginCommand::Sign(args) => sign::run(args).await,
        PluginCommand::Push(args) => push::run(args).await,
        PluginCommand::Pull(args) => pull::run(args).await,
        PluginCommand::Verify(args) => verify::run(args).await,
        PluginCommand::List(args) => list::run(args).await,
        PluginCommand::Deploy(args) => deploy::run(args).await,
        PluginCommand::Approve(args) => approve::run(args).await,
        PluginCommand::Promote(args) => promote::run(args).await,
        PluginCommand::Rollback(args) => rollback::run(args).await,
        PluginCommand::History(args) => history::run(args).await,
        PluginCommand::Diff(args) => diff::run(args).await,
    }
}
