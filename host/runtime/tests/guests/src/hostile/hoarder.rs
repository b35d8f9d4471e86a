//! A handler that has the host hold things for it, as many and as large as it is let: requests that are never sent.
//!
//! `WHAT LENGTH` with `method`, `authority`, `path` or `body`; it says how many were taken, or how long the first body's
//! room is.

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "handler-plugin",
    generate_all,
});

use exports::patchbay::plugin::handler::{Action, Event, Failure, Flow, Guest, Outcome};
use patchbay::plugin::types::{Body, Content};
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest};

struct Hoarder;

/// Requests that are made.
const REQUESTS: usize = 200;

impl Guest for Hoarder {
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let Body::Message(message) = &event.body else { return Err(Failure::Permanent("no message".into())) };
        let Content::Text(text) = &message.content else { return Err(Failure::Permanent("no text".into())) };
        let Some((what, length)) = text.split_once(' ') else { return Err(Failure::Permanent("no length".into())) };
        let length: usize = length.parse().unwrap_or_default();
        let said = if what == "body" { bodies(length) } else { words(what, length) };
        let action = Action::SetAttribute(("said".into(), Some(said.to_string())));
        Ok(Outcome { actions: vec![action], flow: Flow::Next })
    }
}

/// How many requests took a word of this length.
fn words(what: &str, length: usize) -> usize {
    let word = "A".repeat(length);
    let take = |request: &OutgoingRequest| match what {
        "method" => request.set_method(&Method::Other(word.clone())),
        "authority" => request.set_authority(Some(&word)),
        "path" => request.set_path_with_query(Some(&format!("/{word}"))),
        _ => Err(()),
    };
    let requests: Vec<_> = (0..REQUESTS).map(|_| OutgoingRequest::new(Fields::new())).collect();
    requests.iter().filter(|request| take(request).is_ok()).count()
}

/// How much the bodies of requests that are never sent have taken, none of which is written more than `length` to.
fn bodies(length: usize) -> usize {
    let bytes = vec![b'x'; length];
    let mut taken = 0;
    let mut held: Vec<(OutgoingBody, OutgoingRequest)> = Vec::new();
    for _ in 0..REQUESTS {
        let request = OutgoingRequest::new(Fields::new());
        let Ok(body) = request.body() else { break };
        if let Ok(stream) = body.write() {
            let mut rest = bytes.as_slice();
            while let Ok(room @ 1..) = stream.check_write() {
                let (now, later) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or_default()));
                if now.is_empty() || stream.write(now).is_err() {
                    break;
                }
                taken += now.len();
                rest = later;
            }
        }
        held.push((body, request));
    }
    taken
}

export!(Hoarder);
