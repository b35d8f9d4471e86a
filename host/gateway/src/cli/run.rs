//! What each command does.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::FromArgMatches;
use patchbay_model::Timestamp;
use secrecy::ExposeSecret;
use serde_json::json;

use super::failure::{DONE, FAILED, Failure, WRONG};
use super::output::print;
use super::{
    CheckArgs, Cli, Colour, Command, DevArgs, IssueArgs, ServeArgs, TokenCommand, backup, compile, explain, help,
    journal, letters, migrate, plugin, reload, route, upkeep,
};
use crate::config::{self, Components, Config, Problems, Secrets};
use crate::{telemetry, token};

/// Runs a command line, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = help::command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to complain about help.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG));
        }
    };
    match cli.color {
        Colour::Auto => anstream::ColorChoice::Auto,
        Colour::Always => anstream::ColorChoice::Always,
        Colour::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    ExitCode::from(command(cli.command).unwrap_or_else(|error| complain(&error)))
}

/// Says why a command did not work, and gives its exit code.
fn complain(error: &anyhow::Error) -> u8 {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        show(problems);
        return WRONG;
    }
    // A reader that has gone away (`patchbay schema | head`) has what it wanted.
    let broken_pipe = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(broken_pipe) {
        return DONE;
    }
    anstream::eprintln!(
        "{}: {error:#}",
        owo_colors::OwoColorize::style(&"error", owo_colors::Style::new().red().bold())
    );
    error.downcast_ref().map_or(FAILED, |failure: &Failure| failure.code)
}

fn show(problems: &Problems) {
    anstream::eprint!("{}", problems.coloured());
}

fn command(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => serve(&args),
        Command::Dev(args) => dev(args),
        Command::Check(args) => check(&args),
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&config::schema::published())?;
            print(&(schema + "\n")).map(|()| DONE)
        }
        Command::Plugin(command) => runtime()?.block_on(plugin::run(command)),
        Command::Journal(command) => runtime()?.block_on(journal::run(command)),
        Command::Explain(args) => runtime()?.block_on(explain::run(args)),
        Command::Route(args) => route::run(&args),
        Command::DeadLetters(command) => runtime()?.block_on(letters::run(command)),
        Command::Store(command) => runtime()?.block_on(upkeep::run(command)),
        Command::Backup(args) => runtime()?.block_on(backup::backup(args)),
        Command::Restore(args) => runtime()?.block_on(backup::restore(args)),
        Command::Migrate(args) => runtime()?.block_on(migrate::run(args)),
        Command::Reload(args) => runtime()?.block_on(reload::run(args)),
        Command::Token(TokenCommand::Issue(args)) => issue(&args),
        Command::CompileComponent(args) => Ok(compile::run(args)),
        Command::PullComponent => Ok(crate::pulling::pull_stdin()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut help::command(), "patchbay", &mut script);
            print(&String::from_utf8(script)?).map(|()| DONE)
        }
    }
}

fn serve(args: &ServeArgs) -> anyhow::Result<u8> {
    let checked = Config::check(&args.config.config, Secrets::Required(&config::environment));
    let Some(config) = checked.config else { return Err(checked.problems.into()) };
    telemetry::init(&config.telemetry, args.log.as_deref())?;
    for warning in checked.problems.as_slice() {
        tracing::warn!(line = warning.line, key = warning.key, fix = warning.fix, "{}", warning.message);
    }
    runtime()?.block_on(crate::serve::run(config, &args.config.config)).map(|()| DONE)
}

fn dev(args: DevArgs) -> anyhow::Result<u8> {
    runtime()?.block_on(crate::dev::run(args)).map(|()| DONE)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the threads")
}

fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let secrets = if args.no_secrets { Secrets::Unseen } else { Secrets::Required(&config::environment) };
    let checked = Config::check_with(&args.config.config, secrets, Components::Read);
    let problems = &checked.problems;
    if args.json {
        print(&problems.json_lines())?;
    } else if problems.is_empty() {
        print(&format!("{}: in order\n", args.config.config.display()))?;
    } else {
        show(problems);
    }
    let wrong = checked.config.is_none() || (args.strict && problems.warnings() > 0);
    Ok(if wrong { WRONG } else { DONE })
}

fn issue(args: &IssueArgs) -> anyhow::Result<u8> {
    // The other secrets are none of this command's business, and are often not on this machine.
    let checked = Config::check(&args.config.config, Secrets::Unseen);
    let Some(config) = checked.config else { return Err(checked.problems.into()) };
    let secret = match config.signing_secret() {
        Ok(secret) => secret,
        Err(problem) => {
            anstream::eprintln!("error: {}: {problem}", args.config.config.display());
            return Ok(WRONG);
        }
    };
    let lifetime = Duration::from_secs(u64::from(args.days) * 24 * 60 * 60);
    let now = Timestamp::now();
    let (token, claims) = token::issue(&secret, &args.subject, now, lifetime)?;
    let token = token.expose_secret();
    if args.json {
        let expires_at = Timestamp::from_millis(claims.exp * 1000).to_string();
        print(&format!("{}\n", json!({ "token": token, "subject": claims.sub, "expires_at": expires_at })))?;
    } else {
        print(&format!("{token}\n"))?;
    }
    Ok(DONE)
}
