//! A handler that is written with the SDK: it knows an event again.

use patchbay_plugin::{Context, Event, Failure, Handler, NoSettings, Outcome, handler};

struct Remember;

#[handler]
impl Handler for Remember {
    type Settings = NoSettings;

    fn handle(_: &NoSettings, event: &Event, cx: &Context) -> Result<Outcome, Failure> {
        let (store, key) = (cx.store(), format!("seen/{}", event.id));
        let times = store.get_json::<u32>(&key)?.unwrap_or_default() + 1;
        store.set_json(&key, &times)?;
        store.set("passing", "by")?;
        let there = store.exists("passing")?;
        store.delete("passing")?;
        let said = format!("{times} {there} {} {:?}", store.exists("passing")?, store.keys()?);
        if event.text() == Some("too much") {
            store.set("large", vec![0; 1 << 20])?;
        }
        Ok(Outcome::next().set_attribute("said", said))
    }
}
