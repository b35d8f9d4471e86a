//! `patchbay dev` with a configuration file: what is saved counts at once, and what is wrong changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_tests::dev::Dev;
use patchbay_tests::{Patchbay, binary, eventually};
use serde_json::Value;
use tokio::process::Command;

/// What `patchbay dev` runs without a file of its own.
const DEV: &str = include_str!("../../host/gateway/src/dev/dev.toml");

/// The queue that the router's active generation is set to, and that generation's number.
async fn queue(patchbay: &Patchbay) -> Result<(Value, u64)> {
    let rows = patchbay.rows(&["plugin", "list", "--json"]).await?;
    let active = rows.iter().find(|row| row["deployment"] == "router").unwrap()["active"].as_u64().unwrap();
    let diff = patchbay.rows(&["plugin", "diff", "router", "1", &active.to_string(), "--json"]).await?;
    let queue = diff.iter().find(|row| row["key"] == "settings.default_queue").map(|row| row["after"].clone());
    Ok((queue.unwrap_or_default(), active))
}

#[tokio::test]
async fn what_is_saved_counts_at_once_and_what_is_wrong_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("dev.toml");
    std::fs::write(&file, DEV)?;
    let mut command = Command::new(binary::patchbay()?);
    command.args(["dev", "--config"]).arg(&file);
    let dev = Dev::start(command).await?;
    let patchbay = Patchbay::offline()
        .with("PATCHBAY_URL", dev.address("gateway")?)
        .with("PATCHBAY_TOKEN", dev.address("admin_token")?);
    let line = DEV.lines().find(|line| line.starts_with("default_queue")).unwrap();
    let with = |queue: &str| DEV.replace(line, &format!("default_queue = \"{queue}\""));

    std::fs::write(&file, with("front"))?;
    eventually("the saved file", || async {
        let seen = queue(&patchbay).await?;
        Ok(if seen == ("front".into(), 2) { Ok(()) } else { Err(format!("{seen:?}")) })
    })
    .await?;

    std::fs::write(&file, with("back").replace("[[chains]]", "[[chain]]"))?;
    let refused = patchbay.run(&["reload"]).await?;
    assert!(refused.code == 2 && refused.err.contains("nothing was changed"), "{refused:?}");
    assert_eq!(queue(&patchbay).await?, ("front".into(), 2));

    // As many editors save: a new file in the place of the old one.
    let beside = folder.path().join("dev.toml.new");
    std::fs::write(&beside, with("side"))?;
    std::fs::rename(&beside, &file)?;
    eventually("the file in its place", || async {
        let seen = queue(&patchbay).await?;
        Ok(if seen == ("side".into(), 3) { Ok(()) } else { Err(format!("{seen:?}")) })
    })
    .await?;
    // Numbers, addresses and secrets are the simulators' still.
    assert_eq!(patchbay.done(&["reload"]).await?, "the configuration was read again; it says the same as before\n");
    dev.kill().await
}
