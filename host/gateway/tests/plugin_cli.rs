//! `patchbay plugin test` and `patchbay plugin inspect`, through the binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use patchbay_artefact::{Project, component};
use patchbay_model::MediaId;
use patchbay_model::golden::{Exchange, FileBytes, Golden};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A project whose component is the shipped keyword router.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(folder.path().join("tests/golden")).unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        fs::write(folder.path().join("out/router.wasm"), patchbay_builtin::component("keyword-router").unwrap())
            .unwrap();
        folder.write(
            "plugin.toml",
            r#"
name = "router"
version = "1.2.0"
description = "Puts conversations into queues."
settings = "settings.schema.json"

[[wants.http]]
host = "*.acme.example"
methods = ["GET"]
about = "Looks orders up."

[[secrets]]
name = "webhook"

[build]
command = ["true"]
output = "out/router.wasm"
"#,
        );
        let schema = json!({
            "type": "object",
            "required": ["default_queue"],
            "properties": {
                "default_queue": { "type": "string", "description": "For everything else." },
                "desk": { "type": "string" },
                "token": { "type": "string", "writeOnly": true },
            }
        });
        folder.write("settings.schema.json", &schema.to_string());
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn golden(&self, name: &str, words: &str, queue: &str) -> PathBuf {
        let golden = json!({
            "name": format!("{words} goes to {queue}"),
            "settings": { "default_queue": "general", "rules": [{ "words": ["invoice"], "queue": "billing" }] },
            "event": {
                "id": "ev_a", "conversation": "co_a", "occurred_at": 1_700_000_000_000_u64,
                "received_at": 1_700_000_001_000_u64,
                "body": { "type": "message", "value": { "id": "wamid.A", "content": { "type": "text", "value": words } } },
            },
            "conversation": {
                "id": "co_a",
                "channel": { "id": "main", "platform": "whatsapp", "account": "1", "address": "2" },
                "customer": { "id": "cu_a", "phone": "447700900001" },
            },
            "expect": { "outcome": { "actions": [{ "type": "assign", "value": {
                "queue": queue, "tier": 1, "priority": "normal", "reason": "to be filled in",
            } }] } },
        });
        let file = self.path().join("tests/golden").join(name);
        fs::write(&file, serde_json::to_string_pretty(&golden).unwrap()).unwrap();
        file
    }

    /// Runs the binary in the folder, with nothing in its environment but a place for what it keeps.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_patchbay"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
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
fn golden_events_fail_are_updated_and_pass() {
    let folder = Folder::new();
    let file = folder.golden("invoice.json", "my invoice", "sales");
    let output = folder.run(&["plugin", "test"]);
    let text = out(&output);
    assert_eq!(code(&output), 1, "{text}{}", err(&output));
    assert!(text.starts_with("router 1.2.0 (./out/router.wasm), 1 golden event\n"), "{text}");
    assert!(text.contains("✗ my invoice goes to sales  "), "{text}");
    assert!(text.contains("    /actions/0/value/queue: expected \"sales\", got \"billing\"\n"), "{text}");
    assert!(text.contains("0 passed, 1 failed") && text.contains("patchbay plugin test --update"), "{text}");

    let before = fs::read_to_string(&file).unwrap();
    let output = folder.run(&["plugin", "test", "--update"]);
    let text = out(&output);
    assert_eq!(code(&output), 0, "{text}{}", err(&output));
    assert!(text.contains("✓ my invoice") && text.contains("written: ./tests/golden/invoice.json"), "{text}");
    let after = fs::read_to_string(&file).unwrap();
    let (before, after): (Value, Value) =
        (serde_json::from_str(&before).unwrap(), serde_json::from_str(&after).unwrap());
    assert_eq!(after["event"], before["event"]);
    assert_eq!(after["expect"]["outcome"]["actions"][0]["value"]["queue"], "billing");

    let output = folder.run(&["plugin", "test"]);
    assert_eq!(code(&output), 0, "{}", out(&output));
    assert!(out(&output).contains("1 passed, 0 failed"), "{}", out(&output));
    assert!(folder.path().join(".cache/patchbay/compiled").is_dir(), "compiled once");
}

#[test]
fn a_component_that_is_older_than_its_source_is_noted() {
    let folder = Folder::new();
    folder.golden("a.json", "hello", "general");
    let output = folder.run(&["plugin", "test", "--update"]);
    assert!(!err(&output).contains("note"), "{}", err(&output));
    fs::create_dir_all(folder.path().join("src/deeper")).unwrap();
    folder.write("src/deeper/lib.rs", "");
    let an_hour_on = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    fs::File::open(folder.path().join("src/deeper/lib.rs")).unwrap().set_modified(an_hour_on).unwrap();
    let output = folder.run(&["plugin", "test"]);
    assert_eq!(code(&output), 0);
    let said = err(&output);
    assert!(said.contains("./src/deeper/lib.rs was changed after") && said.contains("patchbay plugin build"), "{said}");
}

#[test]
fn some_of_several_and_for_scripts() {
    let folder = Folder::new();
    folder.golden("a.json", "hello", "general");
    folder.golden("b.json", "my invoice", "billing");
    folder.run(&["plugin", "test", "--update"]);
    folder.golden("c.json", "hello again", "nowhere");
    let output = folder.run(&["plugin", "test", "--json"]);
    assert_eq!(code(&output), 1);
    let rows: Vec<Value> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let passed: Vec<_> = rows.iter().map(|row| row["passed"].as_bool().unwrap()).collect();
    assert_eq!(passed, [true, true, false]);
    assert!(rows[2]["differences"][0].as_str().unwrap().starts_with("/actions/0/value/"), "{rows:#?}");
    assert_eq!(rows[0]["file"], "./tests/golden/a.json");
    assert!(rows[0]["took_ms"].as_f64().unwrap() > 0.0);

    let output = folder.run(&["plugin", "test", "invoice"]);
    assert_eq!((code(&output), out(&output).contains("1 golden event\n")), (0, true), "{}", out(&output));
    let output = folder.run(&["plugin", "test", "no such"]);
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains("no golden event has `no such` in its name: there are hello goes"),
        "{}",
        err(&output)
    );
}

#[test]
fn what_is_missing_is_said_with_what_to_type() {
    let folder = Folder::new();
    let output = folder.run(&["plugin", "test"]);
    assert_eq!(code(&output), 1);
    assert!(
        err(&output).contains("there are no golden events: write one into ./tests/golden/first.json"),
        "{}",
        err(&output)
    );
    folder.golden("a.json", "hello", "general");
    fs::remove_file(folder.path().join("out/router.wasm")).unwrap();
    let output = folder.run(&["plugin", "test"]);
    assert!(err(&output).contains("patchbay plugin build"), "{}", err(&output));
    folder.write("out/router.wasm", "hello");
    let output = folder.run(&["plugin", "test"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("do not begin like WebAssembly"), "{}", err(&output));
    fs::remove_file(folder.path().join("plugin.toml")).unwrap();
    let output = folder.run(&["plugin", "test"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("patchbay plugin new"), "{}", err(&output));
}

/// The project's component with its manifest and golden events in it.
fn packed(folder: &Folder) -> PathBuf {
    let project = Project::read(folder.path()).unwrap();
    let plain = fs::read(folder.path().join("out/router.wasm")).unwrap();
    let file = folder.path().join("elsewhere.wasm");
    fs::write(&file, component::pack(&plain, project.manifest(), project.golden()).unwrap()).unwrap();
    file
}

#[test]
fn a_component_carries_its_golden_events() {
    let folder = Folder::new();
    folder.golden("a.json", "hello", "general");
    folder.run(&["plugin", "test", "--update"]);
    packed(&folder);
    fs::remove_file(folder.path().join("plugin.toml")).unwrap();
    let output = folder.run(&["plugin", "test", "--component", "elsewhere.wasm"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    assert!(out(&output).starts_with("router 1.2.0 (elsewhere.wasm), 1 golden event\n"), "{}", out(&output));
    let output = folder.run(&["plugin", "test", "--component", "elsewhere.wasm", "--update"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("nothing to write into"), "{}", err(&output));
}

#[test]
fn inspect_shows_what_a_component_is_and_wants() {
    let folder = Folder::new();
    folder.golden("a.json", "hello", "general");
    packed(&folder);
    let output = folder.run(&["plugin", "inspect", "elsewhere.wasm"]);
    let text = out(&output);
    assert_eq!(code(&output), 0, "{}", err(&output));
    for line in [
        "router 1.2.0\n",
        "Puts conversations into queues.\n",
        "  Roles     handler\n",
        "  Contract  0.",
        "  Digest    sha256:",
        "  Signed    none beside it\n",
        "  Golden    1 event\n",
        "Imports that every plugin may have\n",
        "default_queue  string  yes                        For everything else.\n",
        "[plugins.router]\nsource = \"file:elsewhere.wasm\"\n",
        "default_queue = \"…\"  # required\n",
        "token = \"env:TOKEN\"\nwebhook = \"env:WEBHOOK\"\n",
        "# Looks orders up.\n[[plugins.router.grants.http]]\nhost = \"*.acme.example\"\nmethods = [\"GET\"]\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }

    let output = folder.run(&["plugin", "inspect", "elsewhere.wasm", "--json"]);
    let shown: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(shown["roles"], json!(["handler"]));
    assert_eq!(shown["manifest"]["name"], "router");
    assert_eq!(shown["settings"][2]["secret"], true, "{shown:#}");
    assert!(shown["memory"].as_u64().unwrap() > 0 && shown["size"].as_u64().unwrap() > 10_000);

    fs::write(folder.path().join("bare.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    let output = folder.run(&["plugin", "inspect", "bare.wasm"]);
    assert!(out(&output).contains("without a manifest: `patchbay plugin pack`"), "{}", out(&output));
    let output = folder.run(&["plugin", "inspect", "plugin.toml"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("do not begin like WebAssembly"), "{}", err(&output));
    let output = folder.run(&["plugin", "inspect", "no-such.wasm"]);
    assert_eq!(code(&output), 1);
}

#[test]
fn inspect_shows_what_ships_with_the_gateway() {
    let folder = Folder::new();
    let output = folder.run(&["plugin", "inspect", "builtin:zendesk"]);
    let text = out(&output);
    assert_eq!(code(&output), 0, "{}", err(&output));
    for line in [
        "  Roles     desk\n",
        "  Signed    ships with the gateway\n",
        "needs http and media\n",
        "[plugins.zendesk]\nsource = \"builtin:zendesk\"\n",
        "base_url = \"…\"  # required\n",
        "[plugins.zendesk.secrets]\nwebhook = \"env:WEBHOOK\"\n",
        "[[plugins.zendesk.grants.http]]\nhost = \"*.zendesk.com\"\nmethods = [\"GET\", \"POST\", \"PUT\"]\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    let output = folder.run(&["plugin", "inspect", "builtin:zendsk"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("there are builtin:acknowledge, builtin:keyword-router"), "{}", err(&output));
}

#[test]
fn settings_of_a_golden_event_have_to_fit_the_schema() {
    let folder = Folder::new();
    let file = folder.golden("a.json", "hello", "general");
    folder.run(&["plugin", "test", "--update"]);
    let golden = fs::read_to_string(&file).unwrap();
    let wrong = golden.replace("\"default_queue\": \"general\"", "\"default_queue\": \"general\", \"desk\": 7");
    fs::write(&file, wrong).unwrap();
    let output = folder.run(&["plugin", "test", "--update"]);
    let text = out(&output);
    assert_eq!(code(&output), 1, "{text}{}", err(&output));
    assert!(text.contains("    settings.desk: `desk` takes text, not a whole number: write desk = …"), "{text}");
}

#[test]
fn what_the_guide_shows_is_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = fs::read_to_string(root.join("docs/vendors/testing.md")).unwrap();
    let blocks: Vec<&str> = guide.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    for (place, file) in [
        "examples/vip-router/tests/golden/a-vip-number.json",
        "plugin-sdk/templates/common/desk/tests/golden/a-webhook-with-the-wrong-key.json",
        "plugin-sdk/templates/common/inspector/tests/golden/a-letter-that-says-it-is-a-picture.json",
    ]
    .into_iter()
    .enumerate()
    {
        let shown: Golden = serde_json::from_str(blocks[place]).unwrap();
        assert_eq!(shown, serde_json::from_str(&fs::read_to_string(root.join(file)).unwrap()).unwrap(), "{file}");
    }
    let files: BTreeMap<MediaId, FileBytes> = serde_json::from_str(blocks[3]).unwrap();
    assert!(MediaId::parse(files.keys().next().unwrap().as_str()).is_some(), "{files:?}");
    let http: Vec<Exchange> = serde_json::from_str(blocks[4]).unwrap();
    assert_eq!((http.len(), http[1].answer.status), (2, 503));
}
