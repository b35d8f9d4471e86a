//! A configuration's parts against each other and against the world.

mod components;
mod grants;
mod references;
mod rules;
mod store;
mod values;

use super::plugin::PRIVATE_KEY;
use super::problem::Severity;
use super::shape::Findings;
use super::tree::Node;
use super::{Components, Config, Secrets, gateway, secret};

/// Reports everything that the shape alone does not show.
pub(super) fn check(
    config: &Config,
    tree: &Node,
    secrets: Secrets<'_>,
    components: Components,
    findings: &mut Findings,
) {
    let mut check = Check { config, tree, findings };
    values::check(&mut check);
    references::check(&mut check);
    rules::check(&mut check);
    grants::check(&mut check);
    store::check(&mut check);
    if components == Components::Read {
        components::check(&mut check);
    }
    if let Secrets::Required(lookup) = secrets {
        check_secrets(&mut check, lookup);
    }
}

/// What every check needs.
struct Check<'a> {
    config: &'a Config,
    tree: &'a Node,
    findings: &'a mut Findings,
}

impl Check<'_> {
    fn error(&mut self, key: &str, message: impl Into<String>, fix: impl Into<String>) {
        self.findings.report(self.tree, Severity::Error, key, message.into(), fix.into());
    }

    fn warning(&mut self, key: &str, message: impl Into<String>, fix: impl Into<String>) {
        self.findings.report(self.tree, Severity::Warning, key, message.into(), fix.into());
    }
}

/// Every secret is there, and those that sign tokens are long enough.
fn check_secrets(check: &mut Check<'_>, lookup: secret::Lookup<'_>) {
    let mut config = check.config.clone();
    for (key, reference) in config.secrets_mut() {
        // A stand-in's variable is nobody's business.
        if check.findings.is_broken(&key) {
            continue;
        }
        let several_lines = key.starts_with("credentials.") && key.ends_with(PRIVATE_KEY);
        let resolved =
            if several_lines { reference.resolve_lines_with(lookup) } else { reference.resolve_with(lookup) };
        match resolved {
            Err(error) => {
                check.error(&key, error.to_string(), error.fix());
            }
            Ok(value) if key.starts_with("admin.") && secret::length(&value) < gateway::TOKEN_SECRET_LEAST => {
                check.error(&key, gateway::short_secret(reference), gateway::SHORT_SECRET_FIX);
            }
            Ok(_) => {}
        }
    }
}
