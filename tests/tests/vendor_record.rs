//! `patchbay plugin test --record`: the shipped Zendesk desk asks the simulated Zendesk once, what that answers stands in the
//! golden event's file, and from then on nobody is asked any more. And a desk's golden events count when it is deployed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::Path;

use anyhow::Result;
use patchbay_artefact::component;
use patchbay_model::golden::Golden;
use patchbay_tests::command::text;
use patchbay_tests::config::Options;
use patchbay_tests::outside::Outside;
use patchbay_tests::{House, Patchbay};
use serde_json::{Value, json};

/// A project whose component is the shipped desk, with one golden event that opens a ticket.
fn project(folder: &Path, simulator: u16) -> Result<()> {
    fs::create_dir_all(folder.join("tests/golden"))?;
    fs::write(folder.join("zendesk.wasm"), patchbay_builtin::component("zendesk").unwrap())?;
    let about = "name = \"zendesk\"\nversion = \"0.1.0\"\n[wants]\nmedia = true\n[[wants.http]]\nhost = \"*.zendesk.com\"\n\
                 [build]\ncommand = [\"true\"]\noutput = \"zendesk.wasm\"\n";
    fs::write(folder.join("plugin.toml"), about)?;
    let servers = format!(
        "[[plugins.zendesk.grants.http]]\nhost = \"127.0.0.1\"\nports = [{simulator}]\nplain_http = true\n\
         private_network = true\ncredential = \"zendesk\"\n[credentials.zendesk]\ntype = \"basic\"\n\
         username = \"agent@example.com/token\"\npassword = \"env:PB_ZENDESK_TOKEN\"\n"
    );
    fs::write(folder.join("servers.toml"), servers)?;
    let customer = json!({ "id": "cu_aaaaaaaaaaaaaaaaaaaaaaaa", "phone": "447700900001", "name": "Ada" });
    let golden = json!({
        "settings": { "base_url": format!("http://127.0.0.1:{simulator}/zendesk") },
        "desk": "zendesk",
        "create-ticket": {
            "key": "ta_aaaaaaaaaaaaaaaaaaaaaaaa",
            "draft": {
                "subject": "My parcel is late",
                "conversation": {
                    "id": "co_aaaaaaaaaaaaaaaaaaaaaaaa",
                    "channel": { "id": "main", "platform": "whatsapp", "account": "100", "address": "200" },
                    "customer": customer,
                },
                "entries": [{
                    "author": { "type": "customer", "value": customer },
                    "text": "My parcel is late",
                    "public": true,
                    "at": 1_795_255_200_000_u64,
                }],
            },
        },
        "expect": { "failure": "permanent" },
    });
    Ok(fs::write(folder.join("tests/golden/opened.json"), serde_json::to_string_pretty(&golden)?)?)
}

#[tokio::test]
async fn what_a_server_answers_is_recorded_once_and_played_from_then_on() -> Result<()> {
    let outside = Outside::start().await?;
    let folder = tempfile::tempdir()?;
    project(folder.path(), outside.port())?;
    let file = folder.path().join("tests/golden/opened.json");
    let (before, servers) = (fs::read_to_string(&file)?, folder.path().join("servers.toml"));
    let patchbay = Patchbay::offline().with("HOME", text(folder.path()));
    let test = ["plugin", "test", "--folder", text(folder.path())];

    // Nobody granted this server: nothing leaves, and nothing is written.
    let refused = patchbay.run(&[&test[..], &["--record"]].concat()).await?;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.out.contains("was not sent: plugin `zendesk` is not granted the host 127.0.0.1"), "{refused:?}");
    assert!(refused.out.contains("nothing was recorded") && outside.tickets().await?.is_empty(), "{refused:?}");
    assert_eq!(fs::read_to_string(&file)?, before);

    let recording = ["--record", "--update", "--config", text(&servers)];
    let recorded = patchbay.run(&[&test[..], &recording[..]].concat()).await?;
    assert_eq!(recorded.code, 0, "{recorded:?}");
    for part in ["✓ opened", "  recorded ", "    POST http://127.0.0.1:", "/api/v2/tickets", " → 201", "written: "]
    {
        assert!(recorded.out.contains(part), "no {part}: {recorded:?}");
    }
    assert!(recorded.out.contains("read it, and take people out of it"), "{recorded:?}");
    assert_eq!(outside.tickets().await?.len(), 1);
    let after = fs::read_to_string(&file)?;
    let golden: Value = serde_json::from_str(&after)?;
    let (was, http) = (serde_json::from_str::<Value>(&before)?, golden["http"].as_array().unwrap());
    assert_eq!((&golden["create-ticket"], &golden["settings"]), (&was["create-ticket"], &was["settings"]));
    assert_eq!(golden["expect"]["added"]["ticket"]["desk"], "zendesk", "{after}");
    assert!(http.iter().any(|one| one["request"]["body"].is_object() && one["answer"]["body"].is_object()), "{after}");
    let token = "the-zendesk-token";
    assert!(!after.contains(token) && !after.to_lowercase().contains("authorization"), "{after}");

    // It is played without the server, and asked of it again it would make another ticket.
    drop(outside);
    let rows = patchbay.rows(&[&test[..], &["--json"]].concat()).await?;
    assert_eq!((rows.len(), &rows[0]["passed"], &rows[0]["recorded"]), (1, &json!(true), &Value::Null), "{rows:?}");
    let gone = patchbay.run(&[&test[..], &recording[..]].concat()).await?;
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.out.contains(" got no answer: ") && gone.out.contains("nothing was recorded"), "{gone:?}");
    assert_eq!(fs::read_to_string(&file)?, after);
    Ok(())
}

#[tokio::test]
async fn a_recording_that_makes_no_sense_is_refused_before_anything_leaves() -> Result<()> {
    let folder = tempfile::tempdir()?;
    project(folder.path(), 9)?;
    let servers = folder.path().join("servers.toml");
    let patchbay = Patchbay::offline().with("HOME", text(folder.path()));
    let record = ["plugin", "test", "--folder", text(folder.path()), "--record", "--config", text(&servers)];
    for (content, said) in [
        ("[credentials]\n", "grants the plugin `zendesk` nothing. Write there:\n[[plugins.zendesk.grants.http]]"),
        (
            "[[plugins.zendesk.grants.http]]\nhost = \"a.example\"\ncredential = \"z\"\n[credentials.z]\n\
             type = \"oauth2-refresh-token\"\ntoken_url = \"https://a.example/token\"\nrefresh_token = \"env:HOME\"\n",
            "is a refresh token, which a recording may use up",
        ),
        (
            "[[plugins.zendesk.grants.http]]\nhost = \"a.example\"\ncredential = \"gone\"\n",
            "there is no [credentials.gone]",
        ),
        ("[plugins.zendesk.grants]\nhttp = 7\n", "servers.toml: line 2: "),
    ] {
        fs::write(&servers, content)?;
        let refused = patchbay.run(&record).await?;
        assert!(refused.code == 2 && refused.err.contains(said), "{said}: {refused:?}");
    }
    let alone = patchbay.run(&["plugin", "test", "--config", text(&servers)]).await?;
    assert!(alone.code == 2 && alone.err.contains("--record"), "{alone:?}");
    Ok(())
}

#[tokio::test]
async fn a_desk_that_does_not_answer_as_its_golden_events_say_is_not_deployed() -> Result<()> {
    let more = "[deployments]\nunsigned = true\n".to_owned();
    let house = House::with(Options { more, ..Options::default() }).await?;
    let patchbay = Patchbay::of(house.gateway()?).await?;
    let folder = tempfile::tempdir()?;
    let shipped = patchbay_builtin::component("zendesk").unwrap();
    let manifest = component::manifest(shipped)?.unwrap();
    let file = folder.path().join("zendesk.wasm");
    let deploy = async |expect: Value| -> Result<_> {
        let golden: Golden = serde_json::from_value(json!({
            "name": "a webhook that nobody signed",
            "settings": { "base_url": "https://acme.zendesk.com" },
            "secrets": { "webhook": "made-up" },
            "receive": { "body": "{}" },
            "expect": expect,
        }))?;
        fs::write(&file, component::pack(shipped, &manifest, &[golden])?)?;
        patchbay.run(&["plugin", "deploy", "zendesk", text(&file), "--wait", "--json"]).await
    };
    let refused = deploy(json!({ "activities": [] })).await?;
    for told in ["1 of its 1 golden events", "`a webhook that nobody signed`: expected activities, got a failure: "] {
        assert!(refused.code == 3 && refused.err.contains(told), "{refused:?}");
    }
    let deployed = deploy(json!({ "failure": "credential" })).await?;
    assert!(deployed.code == 0 && deployed.out.contains("1 of 1 as expected"), "{deployed:?}");
    Ok(())
}
