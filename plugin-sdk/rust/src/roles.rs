//! The three roles that a plugin can have.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

#[cfg(target_arch = "wasm32")]
use crate::bindings;
use crate::{
    Added, Context, DeskActivity, Draft, Entry, Event, Failure, Media, MediaReader, Outcome, Snapshot, Ticket, Verdict,
    Webhook,
};

/// Decides what should happen. Runs in a chain; export it with [`#[handler]`](macro@crate::handler).
///
/// The clock of the call is the event's and its randomness is seeded by the event, so that the same event gives the
/// same outcome in a retry, a shadow run and a replay.
pub trait Handler {
    /// The plugin's settings, from `[plugins.NAME.settings]`. Use [`NoSettings`](crate::NoSettings) for none.
    type Settings: DeserializeOwned;

    /// Looks at one event and says what should be done about it. Nothing is done before the whole chain has answered.
    ///
    /// # Errors
    /// A [`Failure`] decides what the gateway does next: say the truth.
    fn handle(settings: &Self::Settings, event: &Event, cx: &Context) -> Result<Outcome, Failure>;
}

/// Speaks one ticket system's API; export it with [`#[desk]`](macro@crate::desk).
///
/// The gateway calls these verbs in order, one conversation at a time, retries them, remembers the tickets and drops
/// echoes. Before it repeats a verb whose answer was lost it asks the `find_` verb with the same key.
///
/// # Errors
/// Every verb's [`Failure`] decides what the gateway does next; [`Response::ok`](crate::Response::ok) maps the usual
/// statuses.
pub trait Desk {
    /// The plugin's settings, from `[plugins.NAME.settings]`. Use [`NoSettings`](crate::NoSettings) for none.
    type Settings: DeserializeOwned;

    /// The ticket that an earlier, interrupted [`create_ticket`](Self::create_ticket) with this key made, if it made one.
    fn find_ticket(settings: &Self::Settings, key: &str, cx: &Context) -> Result<Option<Added>, Failure>;

    /// Opens a ticket with what was said so far, and records `key` with it so that
    /// [`find_ticket`](Self::find_ticket) finds it.
    fn create_ticket(settings: &Self::Settings, key: &str, draft: &Draft, cx: &Context) -> Result<Added, Failure>;

    /// The entry that an earlier, interrupted [`add_entry`](Self::add_entry) with this key wrote, if it wrote one.
    fn find_entry(
        settings: &Self::Settings,
        key: &str,
        ticket: &Ticket,
        cx: &Context,
    ) -> Result<Option<Added>, Failure>;

    /// Adds what was said. Gives the ticket as it is now, which may be another one: a follow-up to a closed one.
    fn add_entry(
        settings: &Self::Settings,
        key: &str,
        ticket: &Ticket,
        entry: &Entry,
        cx: &Context,
    ) -> Result<Added, Failure>;

    /// Changes fields, in this plugin's own words; `priority` and `queue` are known to every desk plugin.
    fn update_ticket(
        settings: &Self::Settings,
        key: &str,
        ticket: &Ticket,
        fields: &[(String, String)],
        cx: &Context,
    ) -> Result<Ticket, Failure>;

    /// The ticket and its entries as the vendor has them, for reconciling.
    fn read_ticket(settings: &Self::Settings, id: &str, cx: &Context) -> Result<Snapshot, Failure>;

    /// One webhook of the vendor, before anything of it is kept. Check its signature first, with [`Context::verify`].
    fn receive(settings: &Self::Settings, request: &Webhook, cx: &Context) -> Result<Vec<DeskActivity>, Failure>;
}

/// Looks at one piece of media and says what it found; export it with [`#[inspector]`](macro@crate::inspector).
pub trait Inspector {
    /// The plugin's settings, from `[plugins.NAME.settings]`. Use [`NoSettings`](crate::NoSettings) for none.
    type Settings: DeserializeOwned;

    /// Looks at the media's bytes, in pieces or as a whole, never more than the plugin's memory limit at once.
    ///
    /// # Errors
    /// A [`Failure`] decides what the gateway does next. Something wrong with the media is a verdict, not a failure.
    fn inspect(
        settings: &Self::Settings,
        info: &Media,
        bytes: &mut MediaReader<'_>,
        cx: &Context,
    ) -> Result<Verdict, Failure>;
}

/// Puts a [`Handler`] behind the generated export.
#[derive(Debug)]
pub struct HandlerRole<T>(PhantomData<T>);

#[cfg(target_arch = "wasm32")]
impl<T: Handler> bindings::handler::exports::patchbay::plugin::handler::Guest for HandlerRole<T> {
    fn handle(event: Event) -> Result<Outcome, Failure> {
        T::handle(&crate::settings::read()?, &event, &Context::of_host())
    }
}

/// Puts a [`Desk`] behind the generated export.
#[derive(Debug)]
pub struct DeskRole<T>(PhantomData<T>);

#[cfg(target_arch = "wasm32")]
impl<T: Desk> bindings::desk::exports::patchbay::plugin::desk::Guest for DeskRole<T> {
    fn find_ticket(key: String) -> Result<Option<Added>, Failure> {
        T::find_ticket(&crate::settings::read()?, &key, &Context::of_host())
    }
    fn create_ticket(key: String, draft: Draft) -> Result<Added, Failure> {
        T::create_ticket(&crate::settings::read()?, &key, &draft, &Context::of_host())
    }
    fn find_entry(key: String, ticket: Ticket) -> Result<Option<Added>, Failure> {
        T::find_entry(&crate::settings::read()?, &key, &ticket, &Context::of_host())
    }
    fn add_entry(key: String, ticket: Ticket, entry: Entry) -> Result<Added, Failure> {
        T::add_entry(&crate::settings::read()?, &key, &ticket, &entry, &Context::of_host())
    }
    fn update_ticket(key: String, ticket: Ticket, fields: Vec<(String, String)>) -> Result<Ticket, Failure> {
        T::update_ticket(&crate::settings::read()?, &key, &ticket, &fields, &Context::of_host())
    }
    fn read_ticket(id: String) -> Result<Snapshot, Failure> {
        T::read_ticket(&crate::settings::read()?, &id, &Context::of_host())
    }
    fn receive(request: Webhook) -> Result<Vec<DeskActivity>, Failure> {
        T::receive(&crate::settings::read()?, &request, &Context::of_host())
    }
}

/// Puts an [`Inspector`] behind the generated export.
#[derive(Debug)]
pub struct InspectorRole<T>(PhantomData<T>);

#[cfg(target_arch = "wasm32")]
impl<T: Inspector> bindings::inspector::exports::patchbay::plugin::inspector::Guest for InspectorRole<T> {
    fn inspect(
        info: Media,
        bytes: &crate::bindings::handler::patchbay::plugin::blobs::Blob,
    ) -> Result<Verdict, Failure> {
        T::inspect(&crate::settings::read()?, &info, &mut MediaReader::borrowed(bytes), &Context::of_host())
    }
}
