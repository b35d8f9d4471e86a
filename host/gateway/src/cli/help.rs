//! `patchbay --help` with its commands in groups.

use std::fmt::Write;

use clap::{Command, CommandFactory};

use super::Cli;

/// The groups of commands, in the order in which an operator meets them. A command without a group stands at the end.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Run", &["serve", "dev"]),
    ("Configuration", &["check", "schema"]),
    ("Plugins", &["plugin"]),
    ("What happened", &["journal", "explain", "route", "dead-letters"]),
    ("Store", &["store", "backup", "restore", "migrate"]),
    ("Operation", &["reload", "token", "completions"]),
];

/// The command line with the groups in its help.
#[must_use]
pub fn command() -> Command {
    let command = Cli::command();
    let groups = groups(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}"
    ))
}

fn groups(command: &Command) -> String {
    let style = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let shown: Vec<&str> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(Command::get_name).collect();
    let rest: Vec<&str> = shown.iter().copied().filter(|name| !grouped(name)).collect();
    let width = shown.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (title, names) in GROUPS.into_iter().chain([("More", rest.as_slice())]).filter(|(_, names)| !names.is_empty()) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{style}{title}:{style:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {about}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_stands_in_a_group_and_is_there() {
        let command = command();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let there: Vec<&str> = shown.map(Command::get_name).collect();
        assert_eq!(grouped, there, "in the same order");
    }

    #[test]
    fn help_shows_the_groups_with_what_each_command_does() {
        let help = command().render_long_help().to_string();
        assert!(help.contains("Run:\n  serve         Run the gateway\n"), "{help}");
        assert!(help.contains("Configuration:\n  check         Check a configuration\n"), "{help}");
        assert!(help.contains("Exit codes:\n  0  done\n"), "{help}");
    }
}
