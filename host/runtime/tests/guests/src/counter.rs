//! A handler that counts: the messages of each conversation, and those of all together. It answers `1 of 17`.

use patchbay_plugin::{Context, Event, Failure, Handler, NoSettings, Outcome, handler};

struct Counter;

#[handler]
impl Handler for Counter {
    type Settings = NoSettings;

    fn handle(_: &NoSettings, event: &Event, cx: &Context) -> Result<Outcome, Failure> {
        if event.text().is_none() {
            return Ok(Outcome::next());
        }
        let own = add_one(cx, &format!("conversation/{}", event.conversation.id))?;
        let all = add_one(cx, "all")?;
        Ok(Outcome::next().send_text(format!("{own} of {all}")))
    }
}

fn add_one(cx: &Context, key: &str) -> Result<u64, Failure> {
    let store = cx.store();
    let count = store.get_json::<u64>(key)?.unwrap_or_default() + 1;
    store.set_json(key, &count)?;
    Ok(count)
}
