//! A handler that asks a server before it decides: a text `call URL` names the request, `storm URL` makes it for ever.

mod http;

wit_bindgen::generate!({
    path: "../../../../wit/0.2",
    world: "handler-plugin",
    generate_all,
});

use exports::patchbay::plugin::handler::{Action, Event, Failure, Flow, Guest, Outcome};
use patchbay::plugin::context;
use patchbay::plugin::types::{Body, Content};

struct Caller;

impl Guest for Caller {
    /// Says what came of the request, and lets the chain go on whatever that was.
    fn handle(event: Event) -> Result<Outcome, Failure> {
        let mut actions = Vec::new();
        if let Body::Message(message) = &event.body
            && let Content::Text(text) = &message.content
            && let Some((verb, url)) = text.split_once(' ')
            && (verb == "call" || verb == "storm")
        {
            while verb == "storm" {
                drop(http::http("GET", url, &[], &[]));
            }
            let answer = match http::http("GET", url, &[], &[]) {
                Ok(said) => said.first().map(|(_, status)| status.clone()).unwrap_or_default(),
                Err(why) => why,
            };
            context::log(context::Level::Info, &format!("the server answered {answer}"));
            actions.push(Action::SetAttribute(("answer".to_owned(), Some(answer))));
        }
        Ok(Outcome { actions, flow: Flow::Next })
    }
}

export!(Caller);
