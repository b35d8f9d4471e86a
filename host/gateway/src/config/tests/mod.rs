//! One file with everything wrong, and each problem alone: where it is shown, and what it says to write.

mod components;
mod credentials;
mod references;
mod schema_file;
mod secrets;
mod store;

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::*;

/// A configuration that nothing is wrong with, without secrets that have to be looked up.
const GOOD: &str = r#"
[whatsapp]
app_secrets = ["env:A"]
verify_token = "env:B"
[[whatsapp.numbers]]
name = "support"
phone_number_id = "1"
access_token = "env:C"
[plugins.acknowledge]
source = "builtin:acknowledge"
[[chains]]
name = "default"
steps = [{ plugin = "acknowledge" }]
"#;

fn every_variable(_: &str) -> Option<OsString> {
    Some("0123456789abcdef0123456789abcdef".into())
}

fn check(text: &str) -> Checked {
    Config::from_toml("x.toml", text.to_owned(), Path::new("/nowhere"), Secrets::Required(&every_variable))
}

/// The problems of a text as `severity line:column key | message | fix`.
fn problems(text: &str) -> Vec<String> {
    let line = |problem: &Problem| {
        let Problem { severity, line, column, key, message, fix, .. } = problem;
        format!("{} {line}:{column} {key} | {message} | {fix}", severity.as_str())
    };
    check(text).problems.as_slice().iter().map(line).collect()
}

/// The only problem of the good configuration with `more` at its end, without line and column.
#[track_caller]
fn only(more: &str) -> String {
    let found = problems(&format!("{GOOD}{more}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

/// The only problem after one replacement in the good configuration.
#[track_caller]
fn instead(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old));
    let found = problems(&GOOD.replace(old, new));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn the_smallest_configuration_has_the_documented_defaults() {
    let config = check(GOOD).config.unwrap();
    assert_eq!(problems(GOOD), Vec::<String>::new());
    assert_eq!(config.gateway.listen.to_string(), "0.0.0.0:8080");
    assert!(config.gateway.max_body.get() > 4 << 20, "a body of exactly 4 MiB is accepted");
    assert_eq!(config.store_path(), Path::new("/nowhere/./data/patchbay.redb"));
    assert_eq!(config.whatsapp.graph_url.as_str(), "https://graph.facebook.com/");
    assert_eq!(config.whatsapp.graph_version, "v24.0");
    assert!(config.whatsapp.read_receipts);
    assert_eq!(config.whatsapp.reconcile_wait, Period::seconds(30));
    assert_eq!(config.whatsapp.rate_per_second, 80);
    assert!(config.admin.token_secrets.is_empty());
    assert_eq!(config.chains[0].name, "default");
    assert!(config.chains[0].matches.accepts("message.text", "support"));
    assert!(!config.chains[0].matches.accepts("delivery.read", "support"));
}

#[test]
fn unknown_and_missing_keys() {
    assert_eq!(
        only("[gateway]\nlisen = 1\n"),
        "error 15:1 gateway.lisen | there is no key `lisen` here | write `listen`"
    );
    assert_eq!(
        only("[admin]\nxyz = 1\n"),
        "error 15:1 admin.xyz | there is no key `xyz` here | take it out; the keys here are token_secrets"
    );
    assert_eq!(
        instead("verify_token = \"env:B\"", ""),
        "error 2:2 whatsapp.verify_token | `verify_token` is missing | write \"env:WHATSAPP_VERIFY_TOKEN\" and set that \
         variable, or \"file:/run/secrets/whatsapp-verify-token\""
    );
    assert_eq!(
        instead("steps = [{ plugin = \"acknowledge\" }]", "steps = [{ plugin = \"acknowledge\" }, {}]"),
        "error 13:38 chains[0].steps[1].plugin | `plugin` is missing | write plugin = \"…\""
    );
    assert_eq!(
        problems(""),
        [
            "error 0:0 whatsapp | `whatsapp` is missing | add a section [whatsapp]",
            "warning 0:0 chains | there is no chain: events are kept, and nothing is done about them | add a section \
             [[chains]]",
        ]
    );
}

#[test]
fn wrong_types_and_forms() {
    for (more, expected) in [
        (
            "[gateway]\nshutdown_grace = 20\n",
            "error 15:18 gateway.shutdown_grace | `shutdown_grace` takes text, not a whole number | write \"20s\": a whole \
             number and ms, s, m, h or d, without a space",
        ),
        (
            "[gateway]\nmax_body = \"4MB\"\n",
            "error 15:12 gateway.max_body | `4MB` is not a size | write \"4MiB\": a whole number and B, KiB, MiB or GiB, \
             without a space",
        ),
        (
            "[gateway]\nmax_body = \"2MiB\"\n",
            "error 15:12 gateway.max_body | 2MiB is out of range | write a size from 3MiB to 64MiB",
        ),
        (
            "[store]\npartitions = 0\n",
            "error 15:14 store.partitions | `partitions` is out of range | write a number from 1 to 1024",
        ),
        (
            "[store]\nkind = \"mongo\"\n",
            "error 15:8 store.kind | `kind` does not take `mongo` | write one of \"embedded\", \"redis\"",
        ),
        (
            "[retry]\nfactor = nan\n",
            "error 15:10 retry.factor | `factor` is out of range | write a number from 1 to 10",
        ),
        (
            "[retry]\nattempts = 1.5\n",
            "error 15:12 retry.attempts | `attempts` takes a whole number, not a fraction | write attempts = 1",
        ),
        (
            "[retry]\nfirst = \"10m\"\n",
            // A key that is not in the file is shown at its section.
            "error 14:2 retry.longest | the longest wait (5m) is shorter than the first one (10m) | write a duration of at \
             least 10m",
        ),
        ("[[admin]]\n", "error 14:3 admin | `admin` takes a table, not a list | add a section [admin]"),
    ] {
        assert_eq!(only(more), expected);
    }
}

#[test]
fn text_that_is_no_toml_says_where() {
    let found = problems("[gateway]\nlisten = 0.0.0.0:8080\n[store\n");
    assert!(found.len() >= 2, "every one of them is shown: {found:#?}");
    assert!(found[0].starts_with("error 2:"), "{found:#?}");
    let shown = check("[gateway]\nlisten = 0.0.0.0:8080\n").problems.to_string();
    assert!(shown.contains("2 | listen = 0.0.0.0:8080"), "{shown}");
    let shown = check("verify_token = \"env:A\r\n").problems;
    assert_eq!(shown.errors(), 1, "one slip, one problem: {shown}");
    assert!(shown.to_string().contains("1 | verify_token = …\n"), "{shown}");
}

#[test]
fn everything_wrong_is_shown_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replace("env:A", "hunter2")
        .replace("name = \"support\"", "nam = \"support\"")
        .replace("plugin = \"acknowledge\"", "plugin = \"other\", timeout = \"2h\"");
    let lines: Vec<(usize, String)> =
        check(&text).problems.as_slice().iter().map(|problem| (problem.line, problem.key.clone())).collect();
    let expected = [
        (3, "whatsapp.app_secrets[0]"),
        (5, "whatsapp.numbers[0].name"),
        (6, "whatsapp.numbers[0].nam"),
        (9, "plugins.acknowledge"),
        (13, "chains[0].steps[0].plugin"),
        (13, "chains[0].steps[0].timeout"),
    ];
    assert_eq!(lines, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn json_lines_have_every_field() {
    let text = format!("{GOOD}[gateway]\nlisen = 1\n");
    let problem: Value = serde_json::from_str(&check(&text).problems.json_lines()).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "file": "x.toml", "severity": "error", "line": 15, "column": 1, "key": "gateway.lisen",
            "message": "there is no key `lisen` here", "fix": "write `listen`",
        })
    );
}
