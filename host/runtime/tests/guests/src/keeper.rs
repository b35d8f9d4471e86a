//! A handler that remembers: each line of the message's text is something to do with its store, and each answer is an
//! attribute with the line's number.

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "handler-plugin",
    generate_all,
});

use exports::patchbay::plugin::handler::{Action, Event, Failure, Flow, Guest, Outcome};
use patchbay::plugin::types::{Body, Content};
use wasi::keyvalue::store::{self, Bucket, Error};

struct Keeper;

impl Guest for Keeper {
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let Body::Message(message) = &event.body else { return Err(Failure::Permanent("no message".into())) };
        let Content::Text(text) = &message.content else { return Err(Failure::Permanent("no text".into())) };
        let mut actions = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let said = obey(line)?;
            actions.push(Action::SetAttribute((number.to_string(), Some(said))));
        }
        Ok(Outcome { actions, flow: Flow::Next })
    }
}

fn obey(line: &str) -> Result<String, Failure> {
    let words: Vec<&str> = line.split(' ').collect();
    let bucket = match words.as_slice() {
        ["open", name] => {
            let opened = store::open(name);
            return Ok(format!("{:?}", opened.map(|_| "opened")));
        }
        ["fail"] => return Err(Failure::Permanent("as it was told".into())),
        ["trap"] => panic!("as it was told"),
        ["spin"] => loop {
            std::hint::spin_loop();
        },
        _ => store::open("default").map_err(|error| Failure::Permanent(format!("{error:?}")))?,
    };
    let number = |word: &str| word.parse::<usize>().unwrap_or_default();
    let said = match words.as_slice() {
        ["get", key] => bucket.get(key).map(|value| match value {
            Some(value) => String::from_utf8_lossy(&value).into_owned(),
            None => "none".to_owned(),
        }),
        ["exists", key] => bucket.exists(key).map(|there| there.to_string()),
        ["set", key, value] => bucket.set(key, value.as_bytes()).map(|()| "set".to_owned()),
        ["delete", key] => bucket.delete(key).map(|()| "deleted".to_owned()),
        ["keys"] => keys(&bucket),
        // A key and a value of so many bytes.
        ["long", key, value] => {
            bucket.set(&"k".repeat(number(key)), &vec![b'v'; number(value)]).map(|()| "set".to_owned())
        }
        // So many keys.
        ["many", count] => {
            (0..number(count)).try_for_each(|each| bucket.set(&format!("{each:05}"), b"v")).map(|()| "set".to_owned())
        }
        _ => Ok("what?".to_owned()),
    };
    Ok(said.unwrap_or_else(|error: Error| format!("{error:?}")))
}

/// How many keys there are, in how many pages, and the first and last one.
fn keys(bucket: &Bucket) -> Result<String, Error> {
    let (mut all, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = bucket.list_keys(cursor)?;
        all.extend(page.keys);
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let (first, last) = (all.first().cloned().unwrap_or_default(), all.last().cloned().unwrap_or_default());
    Ok(format!("{} in {pages}: {first} to {last}", all.len()))
}

export!(Keeper);
