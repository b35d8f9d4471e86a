//! The guide's examples are what it says they are.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use patchbay_artefact::{Algorithm, Lock, Policy, Project, SigningKey};

const GUIDE: &str = include_str!("../../../docs/vendors/shipping.md");

/// The guide's block of TOML with this in it.
fn block(with: &str) -> &'static str {
    let mut blocks = GUIDE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(with)).unwrap_or_else(|| panic!("the guide shows no {with}"))
}

#[test]
fn its_project_is_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plugin.toml"), block("[build]")).unwrap();
    std::fs::write(folder.path().join("settings.schema.json"), "{\"type\":\"object\"}").unwrap();
    let project = Project::read(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(project.manifest().wants.http[0].host, "*.acme.example");
}

#[test]
fn its_policy_is_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    std::fs::write(folder.path().join("keys/acme.pub"), key.public().to_pem()).unwrap();
    std::fs::write(folder.path().join("policy.toml"), block("[[allow]]")).unwrap();
    Policy::read(folder.path().join("policy.toml")).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn its_lock_file_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let digest = format!("sha256:{}", "0".repeat(64));
    std::fs::write(folder.path().join("patchbay.lock"), block("[[source]]").replace("sha256:…", &digest)).unwrap();
    let lock = Lock::read(&folder.path().join("patchbay.lock")).unwrap_or_else(|error| panic!("{error}"));
    let entry = lock.get(&"ghcr.io/acme/router:1.2.0".parse().unwrap()).unwrap();
    assert_eq!(entry.digest.to_string(), digest);
}
