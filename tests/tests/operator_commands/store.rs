//! `patchbay store`, `backup`, `restore` and `migrate`, on the embedded store.

use std::path::{Path, PathBuf};

use anyhow::Result;
use patchbay_tests::command::text;
use patchbay_tests::{Gateway, House, Patchbay, eventually};
use serde_json::{Value, json};

use crate::{ADA, BOB, operator};

pub(crate) fn data(house: &House) -> PathBuf {
    house.config().with_file_name("data")
}

#[tokio::test]
async fn the_store_is_counted_and_checked_with_and_without_a_gateway() -> Result<()> {
    let mut house = House::open().await?;
    house.text(ADA, "hello").await?;
    house.expect_entries(ADA, &["hello"]).await?;
    let (patchbay, config) = (operator(&house).await?, house.config());
    let config = text(&config);

    let stats = patchbay.done(&["store", "stats"]).await?;
    assert!(stats.contains("store           embedded") && stats.contains("\nconversations   1\n"), "{stats}");
    let stats = &patchbay.rows(&["store", "stats", "--json"]).await?[0];
    assert!(stats["events"].as_u64() > Some(0) && stats["partitions"] == 16, "{stats}");
    let checked = patchbay.done(&["store", "verify"]).await?;
    assert!(checked.ends_with(": all is well\n"), "{checked}");
    let locked = patchbay.run(&["store", "stats", "--config", config]).await?;
    assert!(locked.code == 3 && locked.err.contains("--url URL"), "{locked:?}");

    let nobody = Patchbay::offline().with("PATCHBAY_URL", house.gateway()?.url());
    let stranger = nobody.run(&["store", "stats"]).await?;
    assert!(stranger.code == 1 && stranger.err.contains("patchbay token issue"), "{stranger:?}");
    house.gateway.take().unwrap().terminate().await?;
    let away = patchbay.run(&["store", "stats"]).await?;
    assert!(away.code == 1 && away.err.contains("is the gateway running?"), "{away:?}");

    let offline = &patchbay.rows(&["store", "stats", "--config", config, "--json"]).await?[0];
    assert_eq!(offline["conversations"], 1);
    let checked = patchbay.done(&["store", "verify", "--config", config]).await?;
    assert!(checked.ends_with(": all is well\n"), "{checked}");
    let listed = patchbay.rows(&["journal", "list", "--config", config, "--kind", "message", "--json"]).await?;
    assert_eq!(listed.len(), 1);
    let shown = patchbay.done(&["journal", "show", "--config", config, listed[0]["id"].as_str().unwrap()]).await?;
    assert!(shown.contains("hello"), "{shown}");
    assert_eq!(patchbay.rows(&["dead-letters", "list", "--config", config, "--json"]).await?, Vec::<Value>::new());
    let elsewhere = house.config().with_file_name("none.toml");
    std::fs::write(&elsewhere, std::fs::read_to_string(house.config())?.replace("\"data\"", "\"nowhere\""))?;
    let absent = patchbay.run(&["store", "stats", "--config", text(&elsewhere)]).await?;
    assert!(absent.code == 1 && absent.err.contains("there is no store at"), "{absent:?}");
    assert!(!house.config().with_file_name("nowhere").exists(), "looking makes nothing");
    Ok(())
}

/// The house's configuration with a data folder of its own.
fn another(house: &House, name: &str) -> Result<PathBuf> {
    let path = house.config().with_file_name(format!("{name}.toml"));
    std::fs::write(&path, std::fs::read_to_string(house.config())?.replace("\"data\"", &format!("\"{name}\"")))?;
    Ok(path)
}

/// The stored files below a folder, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_backup_of_a_running_gateway_is_a_gateway_again() -> Result<()> {
    let mut house = House::open().await?;
    let patchbay = operator(&house).await?;
    house.text(ADA, "hello").await?;
    let media = house.upload("photo.png", "image/png", b"\x89PNG\r\n\x1a\nnot much of a picture").await?;
    house.inbound(json!({ "from": ADA, "type": "image", "image": { "id": media, "mime_type": "image/png" } })).await?;
    eventually("the file is stored", || async {
        let stored = house.events("kind=media.stored").await?;
        Ok(if stored.len() == 1 { Ok(()) } else { Err(format!("{stored:?}")) })
    })
    .await?;
    let folder = house.config().with_file_name("backups");
    std::fs::create_dir(&folder)?;
    let (whole, alone) = (folder.join("whole.tar"), folder.join("alone.tar"));

    let row = patchbay.rows(&["backup", text(&whole), "--json"]).await?.remove(0);
    assert_eq!((&row["manifest"]["format"], &row["manifest"]["media"]["files"]), (&json!(1), &json!(1)));
    assert_eq!(row["bytes"], std::fs::metadata(&whole)?.len());
    let said = patchbay.done(&["backup", text(&alone), "--no-media"]).await?;
    assert!(said.contains("in 1 conversation, no files"), "{said}");
    let there = patchbay.run(&["backup", text(&whole)]).await?;
    assert!(there.code == 3 && there.err.contains("is there already"), "{there:?}");
    assert_eq!(std::fs::read_dir(&folder)?.count(), 2, "nothing unfinished is left");

    let config = another(&house, "restored")?;
    let busy = patchbay.run(&["restore", text(&whole), "--force", "--config", text(&house.config())]).await?;
    assert!(busy.code == 3 && busy.err.contains("stop the gateway first"), "{busy:?}");
    let mut damaged = std::fs::read(&whole)?;
    let place = damaged.windows(4).position(|window| window == b"much").unwrap();
    damaged[place] = b'M';
    std::fs::write(folder.join("damaged.tar"), damaged)?;
    let refused = patchbay.run(&["restore", text(&folder.join("damaged.tar")), "--config", text(&config)]).await?;
    assert!(refused.code == 1 && refused.err.contains("is not what was written there"), "{refused:?}");
    assert!(!config.with_file_name("restored").join("patchbay.redb").exists());
    let restored = patchbay.done(&["restore", text(&whole), "--config", text(&config)]).await?;
    assert!(restored.contains("restored, as of 2"), "{restored}");
    assert_eq!(files(&data(&house).join("media")), files(&config.with_file_name("restored").join("media")));
    let again = patchbay.run(&["restore", text(&whole), "--config", text(&config)]).await?;
    assert!(again.code == 3 && again.err.contains("--force"), "{again:?}");
    let again = patchbay.done(&["restore", text(&whole), "--config", text(&config), "--force"]).await?;
    assert!(again.contains("moved aside: ") && again.contains(".before-"), "{again}");

    let listen = house.gateway()?.url().trim_start_matches("http://").to_owned();
    house.gateway.take().unwrap().terminate().await?;
    house.gateway = Some(Gateway::start(&config, &listen).await?);
    house.text(ADA, "after the restore").await?;
    eventually("it goes on in the same ticket", || async {
        let entries = house.entries_of(ADA).await?;
        Ok(if entries.last().is_some_and(|text| text == "after the restore") {
            Ok(())
        } else {
            Err(format!("{entries:?}"))
        })
    })
    .await?;
    assert_eq!(house.tickets().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_store_is_backed_up_and_moved_while_no_gateway_runs() -> Result<()> {
    let mut house = House::open().await?;
    house.text(ADA, "hello").await?;
    house.text(BOB, "hello").await?;
    house.expect_entries(BOB, &["hello"]).await?;
    let patchbay = Patchbay::offline();
    let (from, copy) = (format!("config:{}", text(&house.config())), house.config().with_file_name("copy.redb"));
    let to = format!("embedded:{}", text(&copy));
    let migrate = ["migrate", "--from", &from, "--to", &to, "--json"];
    let running = patchbay.run(&migrate).await?;
    assert!(running.code == 3 && running.err.contains("in use by another process"), "{running:?}");
    assert!(!copy.exists());
    house.expect_entries(ADA, &["hello"]).await?;
    house.gateway.take().unwrap().terminate().await?;

    let backup = house.config().with_file_name("backup.tar");
    let said = patchbay.done(&["backup", "--config", text(&house.config()), text(&backup)]).await?;
    assert!(said.contains("in 2 conversations"), "{said}");

    let moved = patchbay.rows(&migrate).await?.remove(0);
    assert_eq!(moved["from"]["events"], moved["to"]["events"]);
    assert_eq!((&moved["to"]["conversations"], &moved["to"]["partitions"]), (&json!(2), &json!(16)));
    let occupied = patchbay.run(&migrate).await?;
    assert!(occupied.code == 3 && occupied.err.contains("--continue"), "{occupied:?}");
    let again = patchbay.rows(&[&migrate[..], &["--continue"]].concat()).await?.remove(0);
    assert_eq!(again["to"]["events"], moved["to"]["events"], "taking it again changes nothing");
    let same = patchbay.run(&["migrate", "--from", &to, "--to", &to]).await?;
    assert!(same.code == 2 && same.err.contains("are the same store"), "{same:?}");

    // The copy is a store that a gateway goes on with.
    let config = another(&house, "moved")?;
    std::fs::create_dir(config.with_file_name("moved"))?;
    std::fs::rename(&copy, config.with_file_name("moved").join("patchbay.redb"))?;
    let checked = patchbay.done(&["store", "verify", "--config", text(&config)]).await?;
    assert!(checked.ends_with(": all is well\n"), "{checked}");
    let listen = std::fs::read_to_string(&config)?;
    let listen = listen.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap().trim_matches('"').to_owned();
    house.gateway = Some(Gateway::start(&config, &listen).await?);
    house.text(ADA, "after the move").await?;
    house.expect_entries(ADA, &["hello", "after the move"]).await?;
    assert_eq!(house.tickets().await?.len(), 2);
    Ok(())
}
