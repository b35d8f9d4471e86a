//! Whose components run: the policy is asked as it reads now, by everything that loads a generation or lets it decide.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};

use anyhow::Result;
use patchbay_tests::command::{Ran, text};
use patchbay_tests::components::Version;
use patchbay_tests::config::Options;
use patchbay_tests::{House, Patchbay, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A house with a policy, two keys that it may name, and a folder for components.
struct Vendors {
    house: House,
    patchbay: Patchbay,
    folder: TempDir,
}

impl Vendors {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for key in ["acme", "bolt"] {
            Patchbay::offline().done(&["plugin", "keygen", text(&folder.path().join(key))]).await?;
        }
        believe(&folder, &["acme"]);
        let more = format!("\n[deployments]\npolicy = \"{}\"\n", folder.path().join("policy.toml").display());
        let house = House::with(Options { more, ..Options::default() }).await?;
        let patchbay = Patchbay::of(house.gateway()?).await?;
        Ok(Self { house, patchbay, folder })
    }

    /// A version that asks for these hosts, signed with a key.
    async fn signed(&self, version: &str, hosts: &[&str], key: &str) -> Result<PathBuf> {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        let file = Version { hosts, ..Version::of(version) }.of_router(self.folder.path())?;
        let key = self.folder.path().join(format!("{key}.key"));
        Patchbay::offline().done(&["plugin", "sign", text(&file), "--key", text(&key)]).await?;
        Ok(file)
    }

    async fn deploy(&self, file: &Path, more: &[&str]) -> Result<Ran> {
        self.patchbay.run(&[&["plugin", "deploy", "router", text(file), "--wait"], more].concat()).await
    }

    async fn router(&self) -> Result<Value> {
        let rows = self.patchbay.rows(&["plugin", "list", "--json"]).await?;
        Ok(rows.into_iter().find(|row| row["deployment"] == "router").unwrap())
    }

    async fn restart(&mut self) -> Result<()> {
        self.house.gateway.take().unwrap().terminate().await?;
        self.house.start().await?;
        self.patchbay = Patchbay::of(self.house.gateway()?).await?;
        Ok(())
    }

    /// The last line of the history.
    async fn last(&self) -> Result<Value> {
        Ok(self.patchbay.rows(&["plugin", "history", "router", "--json"]).await?.pop().unwrap())
    }
}

/// Writes a policy that names these keys.
fn believe(folder: &TempDir, keys: &[&str]) {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}.pub\"")).collect();
    let policy = format!("[[allow]]\nnames = [\"acme-*\"]\nkeys = [{}]\n", keys.join(", "));
    std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
}

#[tokio::test]
async fn a_key_that_is_taken_out_while_a_generation_is_held_is_noticed() -> Result<()> {
    let vendors = Vendors::open().await?;
    let file = vendors.signed("2.0.0", &["api.example.com"], "acme").await?;
    let held = vendors.deploy(&file, &[]).await?;
    assert!(held.code == 3 && held.out.contains("generation 2 is held"), "{held:?}");
    believe(&vendors.folder, &["bolt"]);
    let refused = vendors.patchbay.run(&["plugin", "approve", "router"]).await?;
    assert_eq!(refused.code, 3, "{refused:?}");
    for part in [
        "generation 2 of `router` is not allowed any more",
        "signed by acme.pub",
        "policy.toml allows: bolt.pub",
        "patchbay plugin sign FILE --key KEY",
        "add their public key to `keys`",
        "patchbay plugin rollback router --to N",
    ] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let row = vendors.router().await?;
    assert_eq!((&row["active"], &row["held"]), (&json!(1), &json!(2)), "it stays held: {row}");
    let last = vendors.last().await?;
    assert_eq!((&last["what"], &last["generation"]), (&json!("refused"), &json!(2)), "{last}");
    assert!(last["why"].as_str().unwrap().contains("bolt.pub"), "{last}");

    // Another signature for the same component comes beside the first one, and the key may come back.
    believe(&vendors.folder, &["acme", "bolt"]);
    let approved = vendors.patchbay.done(&["plugin", "approve", "router", "--wait"]).await?;
    assert!(approved.contains("signed by acme.pub") && approved.contains("generation 2 is active"), "{approved}");
    Ok(())
}

#[tokio::test]
async fn what_the_policy_does_not_allow_any_more_is_not_gone_back_to_nor_promoted() -> Result<()> {
    let vendors = Vendors::open().await?;
    for (version, key) in [("2.0.0", "acme"), ("3.0.0", "acme")] {
        let file = vendors.signed(version, &[], key).await?;
        assert_eq!(vendors.deploy(&file, &[]).await?.code, 0);
    }
    believe(&vendors.folder, &["bolt"]);
    let refused = vendors.patchbay.run(&["plugin", "rollback", "router"]).await?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("generation 2 of `router` is not allowed any more"), "{}", refused.err);
    assert_eq!(vendors.router().await?["active"], 3, "what runs goes on");
    assert_eq!(vendors.last().await?["what"], "refused");
    // The gateway's own is always allowed.
    let back = vendors.patchbay.rows(&["plugin", "rollback", "router", "--to", "1", "--wait", "--json"]).await?;
    assert_eq!(back[0]["active"], 1, "{back:?}");

    let file = vendors.signed("4.0.0", &[], "bolt").await?;
    assert_eq!(vendors.deploy(&file, &["--canary", "10%"]).await?.code, 0);
    believe(&vendors.folder, &["acme"]);
    let refused = vendors.patchbay.run(&["plugin", "promote", "router"]).await?;
    assert!(refused.code == 3 && refused.err.contains("generation 4 of `router`"), "{refused:?}");
    // A canary can be ended whatever the policy says of it.
    vendors.patchbay.done(&["plugin", "rollback", "router", "--wait"]).await?;
    assert_eq!(vendors.router().await?["canary"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_reload_and_a_restart_say_what_the_policy_does_not_allow_and_the_chain_goes_on() -> Result<()> {
    let mut vendors = Vendors::open().await?;
    let file = vendors.signed("2.0.0", &[], "acme").await?;
    assert_eq!(vendors.deploy(&file, &[]).await?.code, 0);
    vendors.restart().await?;
    let row = vendors.router().await?;
    assert_eq!((&row["active"], &row["nodes"][0]["active"]), (&json!(2), &json!(2)), "its signature is known: {row}");

    believe(&vendors.folder, &["bolt"]);
    let refused = vendors.patchbay.run(&["reload"]).await?;
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in ["nothing was changed", "generation 2 of `router` is not allowed any more", "rollback router --to N"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert_eq!(vendors.router().await?["nodes"][0]["active"], 2, "what runs goes on");

    vendors.restart().await?;
    let row = vendors.router().await?;
    assert_eq!((&row["active"], &row["nodes"][0]["active"]), (&json!(2), &json!(0)), "the configuration's own: {row}");
    let problem = row["nodes"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("generation 2 cannot be loaded") && problem.contains("bolt.pub"), "{problem}");
    assert!(vendors.house.gateway()?.log().contains("is not allowed any more"));
    vendors.house.text("447700900001", "hello").await?;
    vendors.house.expect_entries("447700900001", &["hello"]).await?;

    // It heals by itself when the policy is put right.
    believe(&vendors.folder, &["bolt", "acme"]);
    eventually("the second generation", || async {
        let row = vendors.router().await?;
        let node = &row["nodes"][0];
        Ok(if node["active"] == 2 && node["problem"].is_null() { Ok(()) } else { Err(row.to_string()) })
    })
    .await
}
