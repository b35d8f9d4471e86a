//! A desk that does what the ticket's id says, and shows what it was given.

use std::fmt::Debug;

mod http;

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "desk-plugin",
    generate_all,
});

use exports::patchbay::plugin::desk::{Added, Draft, Entry, Guest, Snapshot, Webhook};
use patchbay::plugin::types::{Activity, AgentEntry, Attributes, DeskActivity, Failure, Notice, RemoteFile, Ticket};
use patchbay::plugin::{blobs, context, uploads};

use http::{Said, http};

struct Desk;

fn ticket(id: &str, data: Vec<(&str, String)>) -> Ticket {
    Ticket {
        desk: String::new(),
        id: id.to_owned(),
        url: Some(format!("https://desk.example/{id}")),
        status: "open".to_owned(),
        data: data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

fn show(value: &impl Debug) -> String {
    format!("{value:?}")
}

impl Guest for Desk {
    fn find_ticket(key: String) -> Result<Option<Added>, Failure> {
        Ok((key != "nothing").then(|| Added { entry: None, ticket: ticket("7", vec![("key", key)]) }))
    }

    fn create_ticket(key: String, draft: Draft) -> Result<Added, Failure> {
        Ok(Added { entry: Some("e1".into()), ticket: ticket("7", vec![("key", key), ("draft", show(&draft))]) })
    }

    fn find_entry(key: String, before: Ticket) -> Result<Option<Added>, Failure> {
        Ok((key != "nothing").then(|| Added { entry: Some(key), ticket: before }))
    }

    fn add_entry(key: String, before: Ticket, entry: Entry) -> Result<Added, Failure> {
        Ok(Added { entry: Some(key), ticket: ticket(&before.id, vec![("entry", show(&entry))]) })
    }

    fn update_ticket(_key: String, before: Ticket, fields: Attributes) -> Result<Ticket, Failure> {
        Ok(Ticket { data: fields, status: "solved".into(), ..before })
    }

    /// The id is a command; the entries are what came of it.
    fn read_ticket(id: String) -> Result<Snapshot, Failure> {
        let words: Vec<&str> = id.split(' ').collect();
        let answer = match words.as_slice() {
            ["http", method, url, headers @ ..] => http(method, url, headers, &[]),
            ["post", size, url] => http("POST", url, &[], &vec![b'p'; size.parse().unwrap_or(0)]),
            ["send", method, url, body, headers @ ..] => http(method, url, headers, body.as_bytes()),
            ["upload", url, media] => upload(url, media),
            ["blob", media] => blob(media),
            ["shout", text @ ..] => {
                eprintln!("{}", text.join(" "));
                panic!("{}", text.join(" "));
            }
            _ => Ok(vec![("unknown".to_owned(), id.clone())]),
        };
        match answer {
            Ok(entries) => Ok(Snapshot { ticket: ticket("7", vec![]), entries }),
            Err(why) => Err(Failure::Permanent(why)),
        }
    }

    fn receive(request: Webhook) -> Result<Vec<DeskActivity>, Failure> {
        let header = |name: &str| request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let signature = header("x-signature").unwrap_or_default();
        let signature = match header("x-algorithm") {
            Some("equal") => signature.as_bytes().to_vec(),
            _ => (0..signature.len() / 2)
                .filter_map(|at| u8::from_str_radix(signature.get(at * 2..at * 2 + 2)?, 16).ok())
                .collect(),
        };
        let secret = header("x-secret").unwrap_or("webhook");
        match context::verify(secret, header("x-algorithm").unwrap_or("hmac-sha256"), &request.body, &signature) {
            Ok(true) => {}
            Ok(false) => return Err(Failure::Credential("the signature is wrong".into())),
            Err(why) => return Err(Failure::Permanent(why)),
        }
        let activity = |what| DeskActivity {
            id: "a1".into(),
            desk: String::new(),
            ticket: "7".into(),
            key: None,
            occurred_at: 1_700_000_000_000,
            what,
        };
        let attachments =
            vec![RemoteFile { name: "f".into(), mime: "image/png".into(), url: "https://x".into(), size: Some(3) }];
        let (id, author, text) = ("e9".into(), "Ann".into(), String::from_utf8_lossy(&request.body).into_owned());
        Ok(vec![
            activity(Activity::Entry(AgentEntry { id, public: true, author, text, attachments })),
            activity(Activity::Status("solved".into())),
            activity(Activity::Assigned("Bea".into())),
            activity(Activity::MergedInto("8".into())),
            activity(Activity::Other(Notice {
                kind: "seen".into(),
                data: format!("{} {} {}", request.method, request.path, request.query),
            })),
        ])
    }
}

fn upload(url: &str, media: &str) -> Said {
    let answer = uploads::send(&uploads::Request {
        method: "POST".into(),
        url: url.into(),
        headers: vec![("content-type".into(), "text/plain".into()), ("authorization".into(), "mine".into())],
        body: vec![
            uploads::Part::Bytes(b"head|".to_vec()),
            uploads::Part::Media(media.into()),
            uploads::Part::Bytes(b"|".to_vec()),
            uploads::Part::MediaBase64(media.into()),
            uploads::Part::Bytes(b"|tail".to_vec()),
        ],
    })?;
    let mut said = vec![("status".to_owned(), answer.status.to_string())];
    said.extend(answer.headers);
    said.push(("body".to_owned(), String::from_utf8_lossy(&answer.body).into_owned()));
    Ok(said)
}

fn blob(media: &str) -> Said {
    let blob = blobs::open(media)?;
    let (mut offset, mut sum) = (0, 0_u64);
    loop {
        let piece = blob.read(offset, 1000)?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    Ok(vec![
        ("size".into(), blob.size().to_string()),
        ("read".into(), offset.to_string()),
        ("sum".into(), sum.to_string()),
    ])
}

export!(Desk);
