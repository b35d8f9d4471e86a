//! What the components that a file names say about themselves, against what the file says of them.

use patchbay_artefact::Manifest;
use patchbay_artefact::component::pack;
use patchbay_artefact::manifest::{WantedSecret, Wants};
use serde_json::json;

use super::*;

const EXAMPLE: &str = include_str!("../../../../../patchbay.example.toml");
const DEV: &str = include_str!("../../dev/dev.toml");

fn read(text: &str, folder: &Path) -> Checked {
    let secrets = Secrets::Required(&every_variable);
    Config::from_toml_with("x.toml", text.to_owned(), folder, secrets, Components::Read)
}

/// The problems of a text with its components, as `severity key | message | fix`.
fn with_components(text: &str, folder: &Path) -> Vec<String> {
    let line = |problem: &Problem| {
        let Problem { severity, key, message, fix, .. } = problem;
        format!("{} {key} | {message} | {fix}", severity.as_str())
    };
    read(text, folder).problems.as_slice().iter().map(line).collect()
}

/// The good configuration with the shipped router, and these lines about it.
fn router(more: &str) -> String {
    GOOD.replace("acknowledge", "keyword-router") + more
}

#[test]
fn files_that_ship_are_in_order() {
    for text in [EXAMPLE, DEV] {
        let found = with_components(text, Path::new("/nowhere"));
        assert!(!found.iter().any(|line| line.starts_with("error")), "{found:#?}");
    }
    assert_eq!(with_components(&router(""), Path::new("/nowhere")), [""; 0]);
}

#[test]
fn settings_of_a_shipped_plugin_are_held_against_its_schema() {
    let text = router(
        "[plugins.keyword-router.settings]\ndefualt_queue = \"a\"\n[[plugins.keyword-router.settings.rules]]\nwords = \
         [\"a\"]\nqueue = \"b\"\npriority = \"hihg\"\n",
    );
    assert_eq!(
        with_components(&text, Path::new("/nowhere")),
        [
            "error plugins.keyword-router.settings.defualt_queue | there is no setting `defualt_queue` here | write \
             `default_queue`",
            "error plugins.keyword-router.settings.rules[0].priority | `priority` does not take `hihg` | write one of \"low\", \
             \"normal\", \"high\", \"urgent\"",
        ]
    );
    assert_eq!(problems(&text), [""; 0], "a gateway may run another component: it asks when it loads it");
    let places = read(&text, Path::new("/nowhere"));
    let places: Vec<_> = places.problems.as_slice().iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(places, [(15, 17), (19, 12)]);
}

#[test]
fn what_is_required_and_not_there() {
    assert_eq!(
        with_components(GOOD, Path::new("/nowhere")),
        [
            "error plugins.acknowledge.settings.texts | `texts` is missing | write texts = { en = \"Thanks, {name}! We have \
             your message and will answer soon.\" }",
            "error plugins.acknowledge.settings.default_language | `default_language` is missing | write default_language = \
             \"en\"",
        ]
    );
}

#[test]
fn a_component_in_a_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest {
        name: "acme".into(),
        version: "1.0.0".into(),
        description: String::new(),
        wants: Wants::default(),
        settings: Some(json!({
            "type": "object",
            "properties": {
                "limit": { "type": "integer", "maximum": 9 },
                "token": { "type": "string", "writeOnly": true },
            },
            "required": ["token"],
        })),
        secrets: vec![WantedSecret { name: "signing".into(), about: "Settings, Keys.".into() }],
    };
    let plain = patchbay_builtin::component("keyword-router").unwrap();
    std::fs::write(folder.path().join("acme.wasm"), pack(plain, &manifest, &[]).unwrap()).unwrap();
    std::fs::write(folder.path().join("damaged.wasm"), b"\0asm\x0d\0\x01\0rest").unwrap();
    let text = |more: &str| GOOD.replace("builtin:acknowledge", "file:acme.wasm") + more;
    let secrets = "[plugins.acknowledge.secrets]\ntoken = \"env:A\"\nsigning = \"env:B\"\n";
    assert_eq!(with_components(&text(secrets), folder.path()), [""; 0]);
    let wrong = text("[plugins.acknowledge.settings]\nlimit = 10\ntoken = { of = \"hunter2\" }\n");
    assert_eq!(
        with_components(&wrong, folder.path()),
        [
            "error plugins.acknowledge.secrets.token | the secret `token` is missing | write token = \"env:…\" under \
             [plugins.acknowledge.secrets]",
            "warning plugins.acknowledge.secrets | the plugin `acknowledge` wants the secret `signing` (Settings, Keys.) | write \
             signing = \"env:…\" under [plugins.acknowledge.secrets]",
            "error plugins.acknowledge.settings.limit | `limit` is out of range | write a number of at most 9",
            "error plugins.acknowledge.settings.token | `token` is a secret, and settings reach the plugin | take it out, and \
             write token = \"env:…\" among the plugin's secrets",
        ]
    );
    assert!(!read(&wrong, folder.path()).problems.to_string().contains("hunter2"));
    let damaged = with_components(&text("").replace("acme.wasm", "damaged.wasm"), folder.path());
    assert!(damaged.len() == 1 && damaged[0].starts_with("error plugins.acknowledge.source | "), "{damaged:#?}");
}

#[test]
fn what_a_component_cannot_do_or_is_not_granted() {
    let text = format!(
        "{}[desks.tickets]\nplugin = \"keyword-router\"\n[plugins.zendesk]\nsource = \"builtin:zendesk\"\n\
         settings.base_url = \"https://acme.zendesk.com\"\nsecrets.webhook = \"env:A\"\n\
         [[plugins.zendesk.grants.http]]\nhost = \"acme.zendesk.com\"\n[desks.zendesk]\nplugin = \"zendesk\"\n",
        router("")
    );
    let found: Vec<String> =
        with_components(&text, Path::new("/nowhere")).into_iter().filter(|line| line.starts_with("error")).collect();
    assert_eq!(
        found,
        [
            "error desks.tickets.plugin | the plugin `keyword-router` is no desk: its roles are handler | name a desk",
            "error plugins.zendesk.grants | the plugin `zendesk` handles stored media, which are not granted to it | write media \
             = true under [plugins.zendesk.grants]",
        ]
    );
}
