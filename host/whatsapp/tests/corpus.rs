//! What the fuzzers start from, run through what the fuzzers run. `UPDATE_CORPUS=1` writes it anew from the fixtures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod common;
#[allow(dead_code, unreachable_pub, reason = "it is a library for the fuzzers")]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a fuzzer runs.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("body", fuzz::body),
    ("normalise", fuzz::normalise),
    ("reference", fuzz::reference),
    ("signature", fuzz::signature),
];

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// The corpus as it follows from the fixtures.
fn corpus() -> BTreeMap<(&'static str, String), Vec<u8>> {
    let mut corpus = BTreeMap::new();
    for (name, body) in common::fixtures() {
        let name = name.trim_end_matches(".json").to_owned();
        let Ok(webhook) = serde_json::from_slice::<Value>(&body) else {
            corpus.insert(("body", name), body);
            continue;
        };
        corpus.insert(("body", name.clone()), webhook.to_string().into_bytes());
        let changes = webhook["entry"].as_array().into_iter().flatten().filter_map(|entry| entry["changes"].as_array());
        for (at, change) in changes.flatten().enumerate() {
            let field = change["field"].as_str().unwrap_or_default();
            let field = fuzz::FIELDS.iter().position(|known| *known == field).unwrap_or(fuzz::FIELDS.len() - 1);
            let mut value = change["value"].clone();
            let ours = value.as_object_mut().and_then(|value| value.remove("metadata")).is_some();
            let mut seed = vec![u8::try_from(field).unwrap(), if ours { 1 } else { 3 }];
            seed.extend(fuzz::encode(&value));
            corpus.insert(("normalise", if at == 0 { name.clone() } else { format!("{name}-{at}") }), seed);
        }
    }
    let (conversation, task) =
        (patchbay_model::ConversationId::derive(&[b"c"]), patchbay_model::TaskId::derive(&[b"t"]));
    let reference = patchbay_whatsapp::reference::format(&conversation, &task);
    corpus.insert(("reference", "ours".to_owned()), reference.into_bytes());
    corpus.insert(("reference", "another".to_owned()), b"order 17".to_vec());
    let header = patchbay_whatsapp::signature::sign(&fuzz::SECRET.into(), b"{}");
    corpus.insert(("signature", "right".to_owned()), format!("{header}\n{{}}").into_bytes());
    corpus.insert(("signature", "wrong".to_owned()), format!("{header}\n[]").into_bytes());
    corpus.insert(("signature", "malformed".to_owned()), b"sha1=00\n{}".to_vec());
    corpus
}

#[test]
fn the_corpus_is_what_the_fixtures_say_and_every_file_of_it_holds() {
    let expected = corpus();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        for (target, _) in TARGETS {
            let _ = fs::remove_dir_all(folder(target));
            fs::create_dir_all(folder(target)).unwrap();
        }
        for ((target, name), seed) in &expected {
            fs::write(folder(target).join(name), seed).unwrap();
        }
    }
    for ((target, name), seed) in &expected {
        let kept = fs::read(folder(target).join(name)).unwrap_or_default();
        assert!(kept == *seed, "{target}/{name} is not what its fixture says: UPDATE_CORPUS=1 writes it anew");
    }
    for (target, run) in TARGETS {
        let files: Vec<_> = fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{target} has a corpus");
        for file in files {
            println!("{}", file.display());
            run(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn what_is_encoded_for_a_fuzzer_is_decoded_as_it_was() {
    for (name, body) in common::fixtures() {
        let Ok(value) = serde_json::from_slice::<Value>(&body) else { continue };
        assert_eq!(fuzz::decode(&fuzz::encode(&value)), value, "{name}");
    }
}
