//! `oci:` in the configuration: pulled at the start, written into the lock file, and not followed when the tag moves until
//! somebody says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::PathBuf;

use anyhow::Result;
use patchbay_tests::command::text;
use patchbay_tests::components::Version;
use patchbay_tests::{ContainerRegistry, House, Patchbay};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A registry with a plugin in it, and a house that has not begun to use it.
struct Shop {
    registry: ContainerRegistry,
    folder: TempDir,
    house: House,
}

impl Shop {
    async fn open() -> Result<Self> {
        let (registry, folder) = (ContainerRegistry::open()?, tempfile::tempdir()?);
        let shop = Self { registry, folder, house: House::open().await? };
        shop.push("1.0.0").await?;
        Ok(shop)
    }

    /// The plugin's tag; it is moved by each version.
    fn name(&self) -> String {
        self.registry.name("acme/router:stable")
    }

    /// Pushes a version under the tag. Gives the digest of its component.
    async fn push(&self, version: &str) -> Result<Value> {
        let file = Version::of(version).of_router(self.folder.path())?;
        let push = ["plugin", "push", text(&file), &self.name(), "--json"];
        Ok(Patchbay::offline().rows(&push).await?.remove(0)["component"].clone())
    }

    fn lock(&self) -> PathBuf {
        self.house.config().with_file_name("patchbay.lock")
    }

    /// Has the configuration's router come from the registry, and starts the gateway again.
    async fn start_with_it(&mut self) -> Result<Patchbay> {
        let toml = std::fs::read_to_string(self.house.config())?;
        let source = format!("source = \"oci:{}\"", self.name());
        std::fs::write(self.house.config(), toml.replace("source = \"builtin:keyword-router\"", &source))?;
        self.restart().await
    }

    async fn restart(&mut self) -> Result<Patchbay> {
        if let Some(gateway) = self.house.gateway.take() {
            gateway.terminate().await?;
        }
        self.house.start().await?;
        Patchbay::of(self.house.gateway()?).await
    }
}

async fn router(patchbay: &Patchbay) -> Result<(u64, Value)> {
    let rows = patchbay.rows(&["plugin", "list", "--json"]).await?;
    let row = rows.into_iter().find(|row| row["deployment"] == "router").unwrap();
    Ok((row["active"].as_u64().unwrap(), row["version"].clone()))
}

#[tokio::test]
async fn a_tag_is_looked_up_once_and_followed_when_somebody_says_so() -> Result<()> {
    let mut shop = Shop::open().await?;
    let patchbay = shop.start_with_it().await?;
    assert_eq!(router(&patchbay).await?, (2, json!("1.0.0")));
    let lock = std::fs::read_to_string(shop.lock())?;
    assert!(lock.contains(&format!("reference = \"{}\"", shop.name())), "{lock}");

    // The tag moves. Neither a reload nor a start follows it.
    let moved = shop.push("2.0.0").await?;
    patchbay.done(&["reload"]).await?;
    assert_eq!(router(&patchbay).await?, (2, json!("1.0.0")));
    let patchbay = shop.restart().await?;
    assert_eq!(router(&patchbay).await?, (2, json!("1.0.0")));
    assert_eq!(std::fs::read_to_string(shop.lock())?, lock);
    // Nor does a gateway that begins anew beside the same lock file.
    shop.house.gateway.take().unwrap().terminate().await?;
    std::fs::remove_dir_all(shop.house.config().with_file_name("data"))?;
    let patchbay = shop.restart().await?;
    assert_eq!(router(&patchbay).await?, (1, json!("1.0.0")));

    let (file, lock_file) = (shop.folder.path().join("pulled.wasm"), shop.lock());
    let pull = ["plugin", "pull", &shop.name(), "--output", text(&file), "--lock", text(&lock_file)].map(str::to_owned);
    let pull: Vec<&str> = pull.iter().map(String::as_str).collect();
    let refused = Patchbay::offline().run(&pull).await?;
    assert!(refused.code == 3 && refused.err.contains("--update"), "{refused:?}");
    Patchbay::offline().done(&[&pull[..], &["--update"]].concat()).await?;
    assert!(std::fs::read_to_string(shop.lock())?.contains(moved.as_str().unwrap()));
    let told = patchbay.done(&["reload"]).await?;
    assert!(told.contains("the plugin router runs as generation 2"), "{told}");
    assert_eq!(router(&patchbay).await?, (2, json!("2.0.0")));
    Ok(())
}

#[tokio::test]
async fn what_is_not_what_the_lock_file_says_is_not_run() -> Result<()> {
    let mut shop = Shop::open().await?;
    let first = shop.push("1.0.0").await?;
    let patchbay = shop.start_with_it().await?;
    assert_eq!(router(&patchbay).await?, (2, json!("1.0.0")));
    let good = std::fs::read_to_string(shop.lock())?;

    // The image is the one that the file names; its component is another one.
    let other = format!("sha256:{}", "0".repeat(64));
    std::fs::write(shop.lock(), good.replace(first.as_str().unwrap(), &other))?;
    let refused = patchbay.run(&["reload"]).await?;
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in ["nothing was changed", "sha256:000000000000", "patchbay plugin pull oci:", "--update"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    // An image that is not there.
    let line = good.lines().find(|line| line.starts_with("digest")).unwrap();
    let gone = good.replace(line, &format!("digest = \"{other}\"")).replace(first.as_str().unwrap(), &other);
    std::fs::write(shop.lock(), gone)?;
    let refused = patchbay.run(&["reload"]).await?;
    assert!(refused.code == 2 && refused.err.contains("cannot pull oci:"), "{refused:?}");
    assert_eq!(router(&patchbay).await?, (2, json!("1.0.0")), "what runs goes on");
    std::fs::write(shop.lock(), good)?;
    assert_eq!(patchbay.done(&["reload"]).await?, "the configuration was read again; it says the same as before\n");
    Ok(())
}
