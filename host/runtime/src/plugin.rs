//! A loaded generation of a plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use patchbay_model::desk::{Added, Draft, Entry, Snapshot, Webhook};
use patchbay_model::event::DeskActivity;
use patchbay_model::{Attributes, Media, Outcome, Ticket, Verdict};
use secrecy::SecretString;

use crate::call::{Call, HandlerInput};
use crate::contract::{Answer, Ask, Bound};
use crate::engine::Inner;
use crate::grants::Grants;
use crate::keyvalue::KeyValue;
use crate::limits::Limits;
use crate::report::{CallError, Cause, PluginReport};
use crate::run::run;
use crate::state::{Facts, Instead};
use crate::stop::Stop;

pub use crate::load::LoadError;
pub(crate) use crate::load::load;

/// A plugin to load: one generation.
#[derive(Clone)]
pub struct PluginSpec {
    /// The plugin's name in the configuration.
    pub name: String,
    /// Which generation of it.
    pub generation: u64,
    /// The component's bytes.
    pub component: Bytes,
    /// The plugin's settings, not secret.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// What it is allowed.
    pub grants: Grants,
    /// The secrets that it may verify signatures with, by name; several while one is rotated.
    pub secrets: BTreeMap<String, Vec<SecretString>>,
    /// What it may take.
    pub limits: Limits,
}

/// What a component can do for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Decides about events.
    Handler,
    /// Speaks a ticket system's API.
    Desk,
    /// Looks at media.
    Inspector,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Handler, Self::Desk, Self::Inspector];

    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Desk => "desk",
            Self::Inspector => "inspector",
        }
    }
}

/// A loaded generation of a plugin. Cheap to clone; the code is freed when the last clone is dropped.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) generation: Arc<Generation>,
}

/// The code of a plugin and everything that its calls share.
pub(crate) struct Generation {
    pub(crate) engine: Arc<Inner>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) roles: Vec<Role>,
    pub(crate) contract: &'static str,
    pub(crate) bound: Option<Box<dyn Bound>>,
}

impl Generation {
    pub(crate) const fn engine(&self) -> &Arc<Inner> {
        &self.engine
    }

    pub(crate) const fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    pub(crate) fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// There until the generation is dropped.
    pub(crate) fn bound(&self) -> Result<&dyn Bound, Stop> {
        self.bound.as_deref().ok_or_else(|| Stop::new(Cause::Host, "the generation has ended"))
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // Unmapping megabytes of code takes its time: not on a thread that serves requests.
        let bound = self.bound.take();
        if let Ok(handle) = self.engine.handle() {
            handle.spawn_blocking(move || drop(bound));
        }
    }
}

/// Takes the answer that a question must have.
macro_rules! expect_answer {
    ($self:ident, $call:ident, $ask:expr, $variant:ident) => {
        expect_answer!($self, $call, $ask, $variant, Instead::default())
    };
    ($self:ident, $call:ident, $ask:expr, $variant:ident, $instead:expr) => {
        match run(&$self.generation, $ask, $call, $instead).await? {
            Answer::$variant(value) => Ok(value),
            _ => Err($self.mixed_up($call)),
        }
    };
}

impl Plugin {
    /// The plugin's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.generation.facts.name
    }

    /// Which generation it is.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.facts.generation
    }

    /// What it can do.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.generation.roles
    }

    /// The version of the contract that it was built for, as in `0.1.0`.
    #[must_use]
    pub fn contract(&self) -> &str {
        self.generation.contract
    }

    /// Asks the handler about an event.
    ///
    /// # Errors
    /// The plugin's own failure, or a report.
    pub async fn handle(&self, input: &HandlerInput, call: &Call) -> Result<Outcome, CallError> {
        expect_answer!(self, call, Ask::Handle(input), Outcome)
    }

    /// As [`handle`](Self::handle), with another place for what the plugin keeps than the engine's: an event's, whose
    /// writes wait for its commit.
    ///
    /// # Errors
    /// As [`handle`](Self::handle)'s.
    pub async fn handle_keeping(
        &self,
        input: &HandlerInput,
        call: &Call,
        kept: Arc<dyn KeyValue>,
    ) -> Result<Outcome, CallError> {
        let instead = Instead { kept: Some(kept), stage: None };
        expect_answer!(self, call, Ask::Handle(input), Outcome, instead)
    }

    /// The ticket that an earlier `create_ticket` with this key made, if it made one.
    ///
    /// # Errors
    /// The plugin's own failure, or a report.
    pub async fn find_ticket(&self, key: &str, call: &Call) -> Result<Option<Added>, CallError> {
        expect_answer!(self, call, Ask::FindTicket(key), Found)
    }

    /// Opens a ticket with what was said so far.
    ///
    /// # Errors
    /// The plugin's own failure, or a report. After a report it is not known whether the ticket was opened.
    pub async fn create_ticket(&self, key: &str, draft: &Draft, call: &Call) -> Result<Added, CallError> {
        expect_answer!(self, call, Ask::CreateTicket(key, draft), Added)
    }

    /// The entry that an earlier `add_entry` with this key wrote, if it wrote one.
    ///
    /// # Errors
    /// The plugin's own failure, or a report.
    pub async fn find_entry(&self, key: &str, ticket: &Ticket, call: &Call) -> Result<Option<Added>, CallError> {
        expect_answer!(self, call, Ask::FindEntry(key, ticket), Found)
    }

    /// Adds what was said. Gives the ticket as it is now, which may be another one.
    ///
    /// # Errors
    /// The plugin's own failure, or a report. After a report it is not known whether the entry was written.
    pub async fn add_entry(&self, key: &str, ticket: &Ticket, entry: &Entry, call: &Call) -> Result<Added, CallError> {
        expect_answer!(self, call, Ask::AddEntry(key, ticket, entry), Added)
    }

    /// Changes fields of a ticket.
    ///
    /// # Errors
    /// The plugin's own failure, or a report.
    pub async fn update_ticket(
        &self,
        key: &str,
        ticket: &Ticket,
        fields: &Attributes,
        call: &Call,
    ) -> Result<Ticket, CallError> {
        expect_answer!(self, call, Ask::UpdateTicket(key, ticket, fields), Ticket)
    }

    /// The ticket and its entries as the vendor has them.
    ///
    /// # Errors
    /// The plugin's own failure, or a report.
    pub async fn read_ticket(&self, id: &str, call: &Call) -> Result<Snapshot, CallError> {
        expect_answer!(self, call, Ask::ReadTicket(id), Snapshot)
    }

    /// Reads one webhook of the vendor, before anything of it is kept.
    ///
    /// # Errors
    /// The plugin's own failure ([`Failure::Credential`](patchbay_model::Failure::Credential): the signature is wrong),
    /// or a report.
    pub async fn receive(&self, webhook: &Webhook, call: &Call) -> Result<Vec<DeskActivity>, CallError> {
        expect_answer!(self, call, Ask::Receive(webhook), Activities)
    }

    /// Asks the inspector what it finds in a piece of stored media. The host lends it the bytes for the time of the call.
    ///
    /// # Errors
    /// The plugin's own failure, or a report; [`Cause::Host`] where the media cannot be opened, and [`Cause::Answer`] where
    /// a number of the verdict is none.
    pub async fn inspect(&self, media: &Media, call: &Call) -> Result<Verdict, CallError> {
        expect_answer!(self, call, Ask::Inspect(media), Verdict)
    }

    /// A contract's adapter gave the answer of another question.
    fn mixed_up(&self, call: &Call) -> CallError {
        CallError::Broken(PluginReport {
            plugin: self.name().to_owned(),
            generation: self.generation(),
            subject: call.subject.clone(),
            cause: Cause::Host,
            detail: "the answer belongs to another question".to_owned(),
            frames: Vec::new(),
            stderr: String::new(),
        })
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name())
            .field("generation", &self.generation())
            .field("roles", &self.roles())
            .field("contract", &self.contract())
            .finish()
    }
}
