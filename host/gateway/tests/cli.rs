//! The commands that need no gateway, through the binary: what they print, where, and their exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::PathBuf;
use std::process::{Command, Output};

use patchbay_gateway::token::{TokenError, TokenVerifier};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A folder with a configuration whose secrets are files beside it.
struct Folder(TempDir);

impl Folder {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let text = format!(
            r#"
[whatsapp]
app_secrets = ["file:secret"]
verify_token = "file:secret"
[[whatsapp.numbers]]
name = "support"
phone_number_id = "1"
access_token = "file:secret"
[plugins.router]
source = "builtin:keyword-router"
[[chains]]
name = "default"
steps = [{{ plugin = "router" }}]
{more}"#
        );
        std::fs::write(folder.path().join("patchbay.toml"), text).unwrap();
        Self(folder)
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("patchbay.toml")
    }

    /// Runs the binary in the folder, with nothing in its environment that could change what it says.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_patchbay"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .output()
            .unwrap()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn check_says_that_a_configuration_is_in_order() {
    let folder = Folder::new("");
    let output = folder.run(&["check"]);
    assert_eq!((code(&output), out(&output).as_str(), err(&output).as_str()), (0, "patchbay.toml: in order\n", ""));
    let output = folder.run(&["check", "--json", "--config", folder.config().to_str().unwrap()]);
    assert_eq!((code(&output), out(&output).as_str()), (0, ""));
}

#[test]
fn check_shows_the_line_and_what_to_write() {
    let folder = Folder::new("[gateway]\nlisen = \"0.0.0.0:1\"\n");
    let output = folder.run(&["check"]);
    assert_eq!((code(&output), out(&output).as_str()), (2, ""));
    assert_eq!(
        err(&output),
        "error: there is no key `lisen` here\n  --> patchbay.toml:15:1\n   |\n15 | lisen = …\n   | ^^^^^\n   \
         = key: gateway.lisen\n   = fix: write `listen`\n\npatchbay.toml: 1 error\n"
    );
    let output = folder.run(&["check", "--color", "always"]);
    assert!(err(&output).starts_with("\u{1b}["), "{}", err(&output));
    let output = folder.run(&["check", "--json"]);
    assert_eq!((code(&output), err(&output).as_str()), (2, ""));
    let problem: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&problem["line"], &problem["key"]), (&15.into(), &"gateway.lisen".into()));
}

#[test]
fn warnings_alone_are_no_error_unless_asked_for() {
    let folder = Folder::new("[plugins.unused]\nsource = \"builtin:keyword-router\"\n");
    assert_eq!(code(&folder.run(&["check"])), 0);
    assert_eq!(code(&folder.run(&["check", "--strict"])), 2);
}

#[test]
fn secrets_are_looked_for_unless_told_otherwise() {
    let folder = Folder::new("[admin]\ntoken_secrets = [\"env:PATCHBAY_TEST_UNSET\"]\n");
    let output = folder.run(&["check"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("the environment variable `PATCHBAY_TEST_UNSET` is not set"));
    assert_eq!(code(&folder.run(&["check", "--no-secrets"])), 0);
}

#[test]
fn a_missing_file_and_wrong_usage_exit_with_2() {
    let folder = Folder::new("");
    for command in ["check", "serve"] {
        let output = folder.run(&[command, "--config", "nothing.toml"]);
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains("cannot read the configuration: No such file"), "{}", err(&output));
    }
    assert_eq!(code(&folder.run(&["chekc"])), 2);
    assert_eq!(code(&folder.run(&[])), 2);
    assert_eq!(code(&folder.run(&["token", "issue", "--days", "0"])), 2);
    let output = folder.run(&["serve", "--log", "verbose"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("`verbose` is not a log filter"), "{}", err(&output));
}

#[test]
fn serve_does_not_start_with_a_wrong_configuration() {
    let folder = Folder::new("[gateway]\nlisen = 1\n");
    let output = folder.run(&["serve"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("fix: write `listen`"));
}

#[test]
fn settings_that_a_plugin_does_not_take_are_said_by_check_and_by_serve() {
    let settings = "[plugins.router.settings]\n[[plugins.router.settings.rules]]\nwords = [\"a\"]\nqueue = \"b\"\n\
                    priority = \"hihg\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n";
    let folder = Folder::new(settings);
    let output = folder.run(&["check"]);
    assert_eq!((code(&output), out(&output).as_str()), (2, ""));
    assert_eq!(
        err(&output),
        "error: `priority` does not take `hihg`\n  --> patchbay.toml:18:12\n   |\n18 | priority = \"hihg\"\n   |            \
         ^^^^^^\n   = key: plugins.router.settings.rules[0].priority\n   = fix: write one of \"low\", \"normal\", \"high\", \
         \"urgent\"\n\npatchbay.toml: 1 error\n"
    );
    let output = folder.run(&["serve"]);
    assert_ne!(code(&output), 0);
    assert!(
        err(&output).contains(
            "plugins.router.settings.rules[0].priority: `priority` does not take `hihg`: write one of \"low\", \"normal\""
        ),
        "{}",
        err(&output)
    );
}

#[test]
fn schema_is_a_schema() {
    let output = Folder::new("").run(&["schema"]);
    assert_eq!(code(&output), 0);
    let schema: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
}

#[test]
fn completions_know_the_commands() {
    for (shell, word) in [("bash", "_patchbay"), ("fish", "complete -c patchbay"), ("zsh", "#compdef patchbay")] {
        let output = Folder::new("").run(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(out(&output).contains(word) && out(&output).contains("no-browser"), "{shell}");
    }
}

#[test]
fn help_lists_the_commands_that_there_are() {
    let folder = Folder::new("");
    let output = folder.run(&["--help"]);
    assert_eq!(code(&output), 0);
    for command in ["serve", "dev", "check", "schema", "token", "completions"] {
        assert!(out(&output).contains(&format!("\n  {command} ")), "{command}");
        let output = folder.run(&[command, "--help"]);
        assert_eq!(code(&output), 0, "{command}");
        assert!(out(&output).contains("Usage: patchbay"), "{command}");
    }
    assert_eq!(out(&folder.run(&["--version"])), format!("patchbay {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_issued_token_is_good_for_the_api() {
    let folder = Folder::new("[admin]\ntoken_secrets = [\"file:secret\", \"env:PATCHBAY_TEST_UNSET\"]\n");
    let output = folder.run(&["token", "issue", "--subject", "grafana", "--days", "2"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let verifier = TokenVerifier::new(vec![SecretString::from(SECRET)]);
    let claims = verifier.verify(out(&output).trim()).unwrap();
    assert_eq!((claims.sub.as_str(), claims.exp - claims.iat), ("grafana", 2 * 86_400));
    let other = TokenVerifier::new(vec![SecretString::from("x".repeat(32))]);
    assert_eq!(other.verify(out(&output).trim()), Err(TokenError::Signature));

    let output = folder.run(&["token", "issue", "--json"]);
    let issued: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(issued["subject"], "operator");
    assert!(issued["expires_at"].as_str().unwrap().ends_with('Z'));
    assert!(verifier.verify(issued["token"].as_str().unwrap()).is_ok());
}

#[test]
fn a_token_needs_a_secret() {
    let output = Folder::new("").run(&["token", "issue"]);
    assert_eq!((code(&output), out(&output).as_str()), (2, ""));
    assert!(err(&output).contains("write token_secrets = "), "{}", err(&output));
    let output = Folder::new("[admin]\ntoken_secrets = [\"env:PATCHBAY_TEST_UNSET\"]\n").run(&["token", "issue"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("is not set"), "{}", err(&output));
}
