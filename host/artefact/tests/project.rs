//! A plugin's project, as its vendor writes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use patchbay_artefact::Project;
use serde_json::json;

const GOOD: &str = r#"
name = "acme-router"
version = "1.2.0"
description = "Routes."
settings = "settings.schema.json"

[wants]
media = true
keyvalue = "1MiB"

[[wants.http]]
host = "*.acme.example"
methods = ["GET"]
paths = ["/api/"]
about = "Orders."

[[secrets]]
name = "webhook"
about = "Signs webhooks."

[build]
command = ["cargo", "build"]
output = "target/acme_router.wasm"
"#;

/// A project with this plugin.toml and these other files.
fn project(text: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Project, String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plugin.toml"), text).unwrap();
    for (name, content) in files {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    let project = Project::read(folder.path()).map_err(|error| error.to_string());
    (folder, project)
}

const SCHEMA: (&str, &str) = ("settings.schema.json", r#"{"type":"object","properties":{"queue":{"type":"string"}}}"#);

#[test]
fn a_project_is_read_with_everything_that_it_names() {
    let golden = include_str!("golden.json");
    let named = golden.replacen('{', "{\"name\":\"said by itself\",", 1);
    let files = [
        SCHEMA,
        ("tests/golden/b.json", golden),
        ("tests/golden/a.json", golden),
        ("tests/golden/c.json", &named),
        ("tests/golden/README.md", "no golden event"),
    ];
    let (folder, project) = project(GOOD, &files);
    let project = project.unwrap();
    let manifest = project.manifest();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("acme-router", "1.2.0"));
    assert_eq!((manifest.wants.media, manifest.wants.keyvalue), (true, Some(1 << 20)));
    assert_eq!(manifest.wants.http[0].host, "*.acme.example");
    assert_eq!(manifest.settings, Some(json!({ "type": "object", "properties": { "queue": { "type": "string" } } })));
    assert_eq!(manifest.secrets[0].name, "webhook");
    let names: Vec<_> = project.golden().iter().map(|golden| golden.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "said by itself"]);
    let build = project.build.as_ref().unwrap();
    assert_eq!((build.command.join(" "), build.watch.len()), ("cargo build".to_owned(), 2));
    assert_eq!(project.packed(), folder.path().join("acme-router.wasm"));
}

#[test]
fn files_beside_golden_events_go_along() {
    let asks = |file: &str| {
        json!({
            "inspect": { "mime": "image/png", "bytes": { "file": file } },
            "files": { "me_1": { "base64": "AQID" } },
            "expect": { "verdict": { "decision": "pass" } },
        })
        .to_string()
    };
    let with = |file: &str, content: &str| {
        let files = [SCHEMA, ("tests/golden/a.json", asks(file).as_str()), ("tests/golden/media/b.png", content)]
            .map(|(name, content)| (name.to_owned(), content.to_owned()));
        let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
        project(GOOD, &files).1
    };
    let read = with("media/b.png", "bytes").unwrap();
    let packed = serde_json::to_value(&read.golden()[0]).unwrap();
    assert_eq!(packed["inspect"]["bytes"], json!({ "base64": "Ynl0ZXM=" }));

    for (file, what) in [
        ("no.png", "no.png cannot be read ("),
        ("../../plugin.toml", "the file `../../plugin.toml` does not lie beside it: put it into this folder"),
        ("/etc/hostname", "the file `/etc/hostname` does not lie beside it"),
    ] {
        let said = with(file, "bytes").unwrap_err();
        assert!(said.contains("tests/golden/a.json: ") && said.contains(what), "{said}");
    }
    let said = with("media/b.png", &"x".repeat(600 << 10)).unwrap_err();
    assert!(said.contains("its file `media/b.png` has more than 524288 bytes"), "{said}");

    let names: Vec<String> = (0..9).map(|place| format!("tests/golden/{place}.json")).collect();
    let (golden, content) = (asks("b.png"), "x".repeat(512 << 10));
    let mut files = vec![SCHEMA, ("tests/golden/b.png", content.as_str())];
    files.extend(names.iter().map(|name| (name.as_str(), golden.as_str())));
    let said = project(GOOD, &files).1.unwrap_err();
    assert!(said.contains("7.json: with its files") && said.contains("more than 4194304 bytes together"), "{said}");
}

#[test]
fn little_is_enough() {
    let (_folder, project) = project("name = \"a\"\nversion = \"0.1.0\"\n", &[]);
    let project = project.unwrap();
    assert!(project.build.is_none() && project.golden().is_empty());
}

#[test]
fn what_is_wrong_is_told_with_the_file_the_key_and_what_to_write() {
    let changed = |from: &str, to: &str| GOOD.replacen(from, to, 1);
    for (text, what) in [
        (changed("name = \"acme-router\"\n", ""), "plugin.toml: has no name; write: name = "),
        (changed("version = \"1.2.0\"\n", ""), "plugin.toml: has no version; write: version = "),
        (changed("\"1.2.0\"", "\"1.2\""), "plugin.toml: version: `1.2` is no version"),
        (changed("description", "descripton"), "plugin.toml: line 4: descripton: unknown field `descripton`"),
        (changed("media = true", "media = \"yes\""), "plugin.toml: line 8: wants.media: invalid type: string \"yes\""),
        (changed("\"1MiB\"", "\"1 MB\""), "plugin.toml: wants.keyvalue: `1 MB` is no size; write a whole number"),
        (changed("\"1MiB\"", "\"99999999999GiB\""), "wants.keyvalue: `99999999999GiB` is no size"),
        (
            changed("*.acme.example", "https://acme.example/"),
            "wants.http[0].host: `https://acme.example/` is an address",
        ),
        (changed("[\"cargo\", \"build\"]", "[]"), "plugin.toml: build.command: names no program"),
        (changed("output = \"target/acme_router.wasm\"\n", ""), "plugin.toml: build.output: is missing"),
        (format!("{GOOD}watch = [\"../other\"]\n"), "build.watch: `../other` is outside of the project"),
        (changed("settings.schema.json", "no.json"), "no.json: cannot be read"),
        (changed("[wants]", "[wants"), "plugin.toml: line 7: "),
    ] {
        let (_folder, project) = project(&text, &[SCHEMA]);
        let said = project.unwrap_err();
        assert!(said.contains(what), "{said}\nis not about\n{what}");
    }
}

#[test]
fn what_is_wrong_in_other_files_is_told_there() {
    let told = |files: &[(&str, &str)]| project(GOOD, files).1.unwrap_err();
    assert!(told(&[("settings.schema.json", "{")]).contains("settings.schema.json: is no JSON: "));
    let said = told(&[("settings.schema.json", r#"{"type":"object","properties":{"a":{"type":"nothing"}}}"#)]);
    assert!(said.contains("settings.schema.json: this is no JSON Schema"), "{said}");
    let golden = include_str!("golden.json");
    let said = told(&[SCHEMA, ("tests/golden/a.json", &golden.replace("\"flow\"", "\"folw\""))]);
    assert!(said.contains("tests/golden/a.json: is no golden event: expect.outcome"), "{said}");
    let said = told(&[SCHEMA, ("tests/golden/a.json", &format!("{golden}{golden}"))]);
    assert!(said.contains("a.json: is no golden event: trailing characters"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let said = Project::read(folder.path()).unwrap_err().to_string();
    assert!(said.contains("plugin.toml: there is no such file; `patchbay plugin new NAME`"), "{said}");
}
