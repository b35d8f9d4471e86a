//! What an operator types, against a running gateway and against its store while it is stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use patchbay_model::conversation::Channel;
use patchbay_model::event::Unparsed;
use patchbay_model::{Arrival, Body, EventId, Private, Route, Timestamp};
use patchbay_store::embedded::EmbeddedOptions;
use patchbay_store::{EmbeddedStore, Store};
use patchbay_tests::command::text;
use patchbay_tests::house::text_webhook;
use patchbay_tests::{Gateway, House, Patchbay, eventually};
use serde_json::{Value, json};

const ADA: &str = "447700900001";
const BOB: &str = "447700900002";
const ANSWER: &str = "We have found your parcel.";
const SECRET_WORDS: &str = "my account is 4711-0815";

/// The commands of an operator of this house.
async fn operator(house: &House) -> Result<Patchbay> {
    Patchbay::of(house.gateway()?).await
}

/// WhatsApp refuses the next messages for good.
async fn refuse_messages(house: &House, count: u32) -> Result<()> {
    let error = json!({ "error": { "message": "(#131047) Re-engagement message", "type": "OAuthException", "code": 131_047,
        "error_data": { "messaging_product": "whatsapp", "details": "More than 24 hours have passed" }, "fbtrace_id": "x" } });
    let route = "POST /*/messages";
    house.fault(json!({ "target": "whatsapp", "route": route, "next": count, "answer": 400, "body": error })).await
}

/// An agent's answer to this customer becomes a dead letter.
async fn refuse_answer(house: &House, phone: &str) -> Result<()> {
    house.text(phone, "hello").await?;
    house.expect_entries(phone, &["hello"]).await?;
    // The receipt and the acknowledgement are out of the way then.
    eventually("the acknowledgement", || async {
        let sent = house.sent().await?;
        Ok(if sent.iter().any(|row| row["to"] == phone) { Ok(()) } else { Err(format!("{sent:?}")) })
    })
    .await?;
    let tickets = house.tickets().await?;
    let of_customer = |ticket: &&Value| {
        let number = ticket["requester"]["phone"].as_str().unwrap_or_default();
        number.chars().filter(char::is_ascii_digit).collect::<String>() == phone
    };
    let id = &tickets.iter().find(of_customer).unwrap()["id"];
    refuse_messages(house, 1).await?;
    house.agent(json!({ "ticket": id, "public": true, "text": ANSWER })).await?;
    Ok(())
}

/// Waits for so many dead letters, and gives their tasks.
async fn letters(patchbay: &Patchbay, count: usize) -> Result<Vec<String>> {
    eventually("the dead letters", || async {
        let rows = patchbay.rows(&["dead-letters", "list", "--json"]).await?;
        let tasks: Vec<String> = rows.iter().map(|row| row["task"].as_str().unwrap().to_owned()).collect();
        Ok(if tasks.len() == count { Ok(tasks) } else { Err(format!("{rows:?}")) })
    })
    .await
}

async fn sent(house: &House, text: &str) -> Result<()> {
    eventually(text, || async {
        let sent = house.sent().await?;
        Ok(if sent.iter().any(|row| row["text"] == text) { Ok(()) } else { Err(format!("{sent:?}")) })
    })
    .await
}

#[tokio::test]
async fn a_dead_letter_is_looked_at_changed_and_tried_again() -> Result<()> {
    let house = House::open().await?;
    let patchbay = operator(&house).await?;
    refuse_answer(&house, ADA).await?;
    let task = letters(&patchbay, 1).await?.remove(0);

    let list = patchbay.done(&["dead-letters", "list"]).await?;
    assert!(list.contains(&task) && list.contains("whatsapp:support") && list.contains("131047"), "{list}");
    assert!(!list.contains(ADA) && !list.contains(ANSWER), "{list}");
    assert!(!list.contains('\u{1b}'), "no colours without a terminal");
    assert_eq!(patchbay.rows(&["dead-letters", "list", "--lane", "whatsapp", "--json"]).await?.len(), 1);
    let none = patchbay.run(&["dead-letters", "list", "--lane", "desk:zendesk"]).await?;
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (0, "", "no dead letters\n"));
    let shown = patchbay.done(&["dead-letters", "show", &task]).await?;
    assert!(shown.contains(ANSWER) && shown.contains(ADA), "{shown}");

    let letter = patchbay.rows(&["dead-letters", "show", &task, "--json"]).await?.remove(0);
    let effect = serde_json::to_string_pretty(&letter["effect"])?;
    let edit = ["dead-letters", "edit", &task, "--file", "-"];
    let broken = patchbay.feed(&edit, &effect.replacen(',', "", 1)).await?;
    assert_eq!(broken.code, 2);
    assert!(
        broken.err.contains("this is not JSON") && broken.err.contains(" at line ") && broken.err.contains(" column "),
        "{}",
        broken.err
    );
    let other = patchbay.feed(&edit, &effect.replace("\"send\"", "\"mark-read\"")).await?;
    assert_eq!(other.code, 2);
    assert!(other.err.contains("of the kind `send`"), "{}", other.err);
    let same = patchbay.feed(&edit, &effect).await?;
    assert_eq!((same.code, same.err.as_str()), (0, "nothing has changed\n"));
    let changed = patchbay.feed(&edit, &effect.replace(ANSWER, "We are here.")).await?;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert!(changed.out.contains(&format!(": \"{ANSWER}\"\n+ ")), "{}", changed.out);
    // As a person does it.
    let editing = patchbay.clone().with("EDITOR", "sed -i 's/We are here/We are there/'");
    let changed = editing.run(&["dead-letters", "edit", &task]).await?;
    assert!(changed.code == 0 && changed.out.contains(": \"We are there.\""), "{changed:?}");
    assert_eq!(letters(&patchbay, 1).await?, std::slice::from_ref(&task), "it is a dead letter still");

    let tried = patchbay.run(&["dead-letters", "retry", &task]).await?;
    assert_eq!((tried.code, tried.out), (0, format!("{task}  back in its lane\n")));
    sent(&house, "We are there.").await?;
    letters(&patchbay, 0).await?;
    let gone = patchbay.run(&["dead-letters", "retry", &task]).await?;
    assert_eq!((gone.code, gone.out), (1, format!("{task}  no such dead letter\n")));
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_tried_all_at_once_or_dropped() -> Result<()> {
    let house = House::open().await?;
    let patchbay = operator(&house).await?;
    refuse_answer(&house, ADA).await?;
    letters(&patchbay, 1).await?;
    refuse_answer(&house, BOB).await?;
    let tasks = letters(&patchbay, 2).await?;

    let drop = ["dead-letters", "drop", &tasks[0]];
    let unasked = patchbay.run(&drop).await?;
    assert_eq!(unasked.code, 2);
    assert!(unasked.err.contains("add --yes"), "{}", unasked.err);
    let dropped = patchbay.run(&[&drop[..], &["--yes"]].concat()).await?;
    assert_eq!((dropped.code, dropped.out), (0, format!("{}  dropped\n", tasks[0])));
    assert_eq!(letters(&patchbay, 1).await?, tasks[1..]);

    let elsewhere = patchbay.run(&["dead-letters", "retry", "--all", "--lane", "desk"]).await?;
    assert_eq!((elsewhere.code, elsewhere.out.as_str()), (0, ""));
    // It dies once more: the command says so, or that it is on its way.
    refuse_messages(&house, 1).await?;
    let again = patchbay.run(&["dead-letters", "retry", "--all", "--json"]).await?;
    let row: Value = serde_json::from_str(again.out.trim())?;
    assert_eq!(row["task"], tasks[1].as_str());
    assert!(matches!((again.code, row["outcome"].as_str()), (1, Some("died again")) | (0, Some("back in its lane"))));
    letters(&patchbay, 1).await?;
    let tried = patchbay.rows(&["dead-letters", "retry", "--all", "--lane", "whatsapp:support", "--json"]).await?;
    assert_eq!(tried[0]["outcome"], "back in its lane");
    sent(&house, ANSWER).await
}

#[tokio::test]
async fn the_journal_is_listed_without_what_customers_wrote() -> Result<()> {
    let house = House::open().await?;
    let patchbay = operator(&house).await?;
    house.text(ADA, SECRET_WORDS).await?;
    house.expect_entries(ADA, &[SECRET_WORDS]).await?;

    let list = patchbay.done(&["journal", "list", "--kind", "message", "--since", "1h"]).await?;
    assert!(list.starts_with("ACCEPTED AT") && list.contains("message.text"), "{list}");
    assert!(!list.contains(SECRET_WORDS) && !list.contains(ADA), "{list}");
    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json"]).await?;
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["conversation", "id", "kind", "occurred_at", "received_at"]);
    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json", "--bodies"]).await?;
    assert_eq!(rows[0]["customer"]["phone"], ADA);
    let (id, conversation) = (rows[0]["id"].as_str().unwrap(), rows[0]["conversation"].as_str().unwrap());
    let of_her = patchbay.rows(&["journal", "list", "--conversation", conversation, "--json"]).await?;
    assert!(of_her.iter().any(|row| row["id"] == id), "{of_her:?}");
    eventually("nothing is pending", || async {
        let pending = patchbay.rows(&["journal", "list", "--pending", "--json"]).await?;
        Ok(if pending.is_empty() { Ok(()) } else { Err(format!("{pending:?}")) })
    })
    .await?;

    let shown = patchbay.done(&["journal", "show", id]).await?;
    assert!(shown.contains(SECRET_WORDS) && shown.contains("\"raw\""), "{shown}");
    let raw: Value = serde_json::from_str(&patchbay.done(&["journal", "show", id, "--raw"]).await?)?;
    assert_eq!(raw["text"]["body"], SECRET_WORDS);
    let absent = patchbay.run(&["journal", "show", "ev_aaaaaaaaaaaaaaaaaaaaaaaa"]).await?;
    assert_eq!(absent.code, 1);
    assert!(absent.err.contains("patchbay journal list"), "{}", absent.err);
    let odd = patchbay.run(&["journal", "list", "--since", "yesterday"]).await?;
    assert!(odd.code == 2 && odd.err.contains("is no time"), "{odd:?}");
    Ok(())
}

#[tokio::test]
async fn a_replay_changes_nothing_that_was_handled_unless_told_to() -> Result<()> {
    let house = House::open().await?;
    let patchbay = operator(&house).await?;
    house.text(ADA, "hello").await?;
    house.expect_entries(ADA, &["hello"]).await?;
    let rows = patchbay.rows(&["journal", "list", "--kind", "message", "--json"]).await?;
    let id = rows[0]["id"].as_str().unwrap();

    for arguments in [&["journal", "replay", id, "--json"][..], &["journal", "replay", "--kind", "message", "--json"]] {
        let replayed = patchbay.rows(arguments).await?;
        let expected = json!({ "replayed": id, "event": id, "kind": "message.text", "outcome": "already-handled" });
        assert_eq!(replayed, [expected]);
    }

    let anew = ["journal", "replay", id, "--as-new", "--json"];
    let unasked = patchbay.run(&anew).await?;
    assert!(unasked.code == 2 && unasked.err.contains("add --yes"), "{unasked:?}");
    let dry = patchbay.rows(&[&anew[..], &["--dry-run"]].concat()).await?;
    assert_eq!(dry[0]["outcome"], "would-be-new");
    let keyed = [&anew[..], &["--yes", "--key", "tuesday"]].concat();
    let first = patchbay.rows(&keyed).await?;
    assert_eq!(first[0]["outcome"], "new");
    assert_ne!(first[0]["event"], id);
    house.expect_entries(ADA, &["hello", "hello"]).await?;
    // The answer was lost, and the operator repeats it.
    let second = patchbay.rows(&keyed).await?;
    assert_eq!((&second[0]["event"], &second[0]["outcome"]), (&first[0]["event"], &json!("already-handled")));
    house.text(ADA, "and another").await?;
    house.expect_entries(ADA, &["hello", "hello", "and another"]).await?;

    let ticket = &house.tickets().await?[0]["id"];
    house.agent(json!({ "ticket": ticket, "public": true, "text": ANSWER })).await?;
    sent(&house, ANSWER).await?;
    let of_desk = patchbay.run(&["journal", "replay", "--kind", "desk.entry"]).await?;
    assert!(of_desk.code == 3 && of_desk.out.contains("did not come from WhatsApp"), "{of_desk:?}");
    Ok(())
}

/// A body that a version before this one could not read, as it would stand in the store.
fn once_unreadable(body: &[u8]) -> Arrival {
    let channel =
        Channel { id: "whatsapp".into(), platform: "whatsapp".into(), account: String::new(), address: String::new() };
    let now = Timestamp::now();
    let base64 = Private::new(BASE64_STANDARD.encode(body));
    Arrival {
        id: EventId::derive(&[b"unparsed", body]),
        route: Route::Account(channel),
        occurred_at: now,
        received_at: now,
        body: Body::Unparsed(Unparsed { reason: "an older version did not know it".into(), base64 }),
        raw: None,
    }
}

#[tokio::test]
async fn what_an_older_version_could_not_read_is_handled_by_a_replay() -> Result<()> {
    let mut house = House::open().await?;
    house.text(BOB, "before").await?;
    house.expect_entries(BOB, &["before"]).await?;
    house.gateway.take().unwrap().terminate().await?;
    let store = EmbeddedStore::open(&data(&house).join("patchbay.redb"), EmbeddedOptions::default())?;
    let body = String::from_utf8(text_webhook("wamid.old", BOB, "from an old body", &json!({})))?;
    let body = body.replace("1764000000", &(Timestamp::now().as_millis() / 1000).to_string());
    store.append(vec![once_unreadable(body.as_bytes())]).await?;
    store.close().await;
    drop(store);
    house.start().await?;
    let patchbay = operator(&house).await?;

    let replay = ["journal", "replay", "--kind", "unparsed", "--since", "1d", "--json"];
    let dry = patchbay.rows(&[&replay[..], &["--dry-run"]].concat()).await?;
    assert_eq!((&dry[0]["kind"], &dry[0]["outcome"]), (&json!("message.text"), &json!("would-be-new")));
    assert_eq!(house.entries_of(BOB).await?, ["before"]);
    assert_eq!(patchbay.rows(&replay).await?[0]["outcome"], "new");
    house.expect_entries(BOB, &["before", "from an old body"]).await?;
    assert_eq!(patchbay.rows(&replay).await?[0]["outcome"], "already-handled");
    house.text(BOB, "and a new one").await?;
    house.expect_entries(BOB, &["before", "from an old body", "and a new one"]).await
}

fn data(house: &House) -> PathBuf {
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
