//! Version 0.2 of the contract.

mod bindings;
mod from_guest;
mod host;
mod to_guest;

use patchbay_model::MediaId;
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker, Resource};

use self::bindings::exports::patchbay::plugin::{desk, handler, inspector};
use self::bindings::patchbay::plugin::{blobs, context, types, uploads};
use super::adapter::{Answered, Version, fits, lend, of_role};
use super::{Answer, Ask, words};
use crate::capabilities::blobs::Blob;
use crate::plugin::Role;
use crate::state::State;

/// The roles of a component of version 0.2.
pub(super) struct V0_2 {
    handler: Option<handler::GuestIndices>,
    desk: Option<desk::GuestIndices>,
    inspector: Option<inspector::GuestIndices>,
}

/// A question in the records of version 0.2.
pub(super) enum Question {
    Handle(Box<types::Event>),
    Desk(Verb),
    Inspect(Box<types::Media>, MediaId),
}

/// A desk's verb.
pub(super) enum Verb {
    FindTicket(String),
    CreateTicket(String, Box<desk::Draft>),
    FindEntry(String, types::Ticket),
    AddEntry(String, types::Ticket, Box<desk::Entry>),
    UpdateTicket(String, types::Ticket, types::Attributes),
    ReadTicket(String),
    Receive(desk::Webhook),
}

impl Version for V0_2 {
    const NUMBER: &'static str = "0.2.0";

    type Question = Question;

    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
        types::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
        context::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
        blobs::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
        uploads::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
    }

    fn roles(pre: &InstancePre<State>, roles: &[Role]) -> wasmtime::Result<Self> {
        for role in roles {
            match role {
                Role::Handler => handler_fits(pre)?,
                Role::Desk => desk_fits(pre)?,
                Role::Inspector => inspector_fits(pre)?,
            }
        }
        Ok(Self {
            handler: roles.contains(&Role::Handler).then(|| handler::GuestIndices::new(pre)).transpose()?,
            desk: roles.contains(&Role::Desk).then(|| desk::GuestIndices::new(pre)).transpose()?,
            inspector: roles.contains(&Role::Inspector).then(|| inspector::GuestIndices::new(pre)).transpose()?,
        })
    }

    fn question(ask: Ask<'_>) -> Question {
        let verb = match ask {
            Ask::Handle(input) => return Question::Handle(Box::new(to_guest::event(input))),
            Ask::Inspect(media) => return Question::Inspect(Box::new(to_guest::media(media)), media.id.clone()),
            Ask::FindTicket(key) => Verb::FindTicket(key.to_owned()),
            Ask::CreateTicket(key, draft) => Verb::CreateTicket(key.to_owned(), Box::new(to_guest::draft(draft))),
            Ask::FindEntry(key, ticket) => Verb::FindEntry(key.to_owned(), to_guest::ticket(ticket)),
            Ask::AddEntry(key, ticket, entry) => {
                Verb::AddEntry(key.to_owned(), to_guest::ticket(ticket), Box::new(to_guest::entry(entry)))
            }
            Ask::UpdateTicket(key, ticket, fields) => {
                Verb::UpdateTicket(key.to_owned(), to_guest::ticket(ticket), words::pairs(fields))
            }
            Ask::ReadTicket(id) => Verb::ReadTicket(id.to_owned()),
            Ask::Receive(webhook) => Verb::Receive(to_guest::webhook(webhook)),
        };
        Question::Desk(verb)
    }

    async fn ask(
        &self,
        question: Question,
        instance: &Instance,
        store: &mut Store<State>,
        desk: Option<&str>,
    ) -> Answered {
        match question {
            Question::Handle(event) => {
                let handler = of_role(self.handler.as_ref(), Role::Handler)?.load(&mut *store, instance)?;
                match handler.call_handle(store, &event).await? {
                    Ok(outcome) => Ok(Ok(Answer::Outcome(from_guest::outcome(outcome)?))),
                    Err(failure) => Ok(Err(from_guest::failure(failure))),
                }
            }
            Question::Desk(verb) => {
                let guest = of_role(self.desk.as_ref(), Role::Desk)?.load(&mut *store, instance)?;
                let answered = verb.put(&guest, store, desk).await?;
                Ok(answered.map_err(from_guest::failure))
            }
            Question::Inspect(info, id) => {
                let guest = of_role(self.inspector.as_ref(), Role::Inspector)?.load(&mut *store, instance)?;
                let bytes = lend(store, &id).await?;
                match guest.call_inspect(store, &info, bytes).await? {
                    Ok(verdict) => Ok(Ok(Answer::Verdict(from_guest::verdict(verdict)?))),
                    Err(failure) => Ok(Err(from_guest::failure(failure))),
                }
            }
        }
    }
}

/// What a function answers.
type Answers<T> = (Result<T, types::Failure>,);

fn handler_fits(pre: &InstancePre<State>) -> wasmtime::Result<()> {
    fits::<(&types::Event,), Answers<handler::Outcome>>(pre, "patchbay:plugin/handler@0.2.0", "handle")
}

fn desk_fits(pre: &InstancePre<State>) -> wasmtime::Result<()> {
    const DESK: &str = "patchbay:plugin/desk@0.2.0";
    fits::<(&str,), Answers<Option<desk::Added>>>(pre, DESK, "find-ticket")?;
    fits::<(&str, &desk::Draft), Answers<desk::Added>>(pre, DESK, "create-ticket")?;
    fits::<(&str, &types::Ticket), Answers<Option<desk::Added>>>(pre, DESK, "find-entry")?;
    fits::<(&str, &types::Ticket, &desk::Entry), Answers<desk::Added>>(pre, DESK, "add-entry")?;
    fits::<(&str, &types::Ticket, &[(String, String)]), Answers<types::Ticket>>(pre, DESK, "update-ticket")?;
    fits::<(&str,), Answers<desk::Snapshot>>(pre, DESK, "read-ticket")?;
    fits::<(&desk::Webhook,), Answers<Vec<types::DeskActivity>>>(pre, DESK, "receive")
}

fn inspector_fits(pre: &InstancePre<State>) -> wasmtime::Result<()> {
    const INSPECTOR: &str = "patchbay:plugin/inspector@0.2.0";
    fits::<(&types::Media, Resource<Blob>), Answers<inspector::Verdict>>(pre, INSPECTOR, "inspect")
}

impl Verb {
    /// Calls the verb's function. `name` is the desk's in the configuration.
    async fn put(
        self,
        desk: &desk::Guest,
        store: &mut Store<State>,
        name: Option<&str>,
    ) -> wasmtime::Result<Result<Answer, types::Failure>> {
        let added = |added| from_guest::added(added, name);
        Ok(match self {
            Self::FindTicket(key) => {
                desk.call_find_ticket(store, &key).await?.map(|found| Answer::Found(found.map(added)))
            }
            Self::CreateTicket(key, draft) => {
                desk.call_create_ticket(store, &key, &draft).await?.map(|made| Answer::Added(added(made)))
            }
            Self::FindEntry(key, ticket) => {
                desk.call_find_entry(store, &key, &ticket).await?.map(|found| Answer::Found(found.map(added)))
            }
            Self::AddEntry(key, ticket, entry) => {
                desk.call_add_entry(store, &key, &ticket, &entry).await?.map(|made| Answer::Added(added(made)))
            }
            Self::UpdateTicket(key, ticket, fields) => desk
                .call_update_ticket(store, &key, &ticket, &fields)
                .await?
                .map(|ticket| Answer::Ticket(from_guest::ticket(ticket, name))),
            Self::ReadTicket(id) => desk
                .call_read_ticket(store, &id)
                .await?
                .map(|snapshot| Answer::Snapshot(from_guest::snapshot(snapshot, name))),
            Self::Receive(webhook) => desk.call_receive(store, &webhook).await?.map(|activities| {
                Answer::Activities(
                    activities.into_iter().map(|activity| from_guest::activity(activity, name)).collect(),
                )
            }),
        })
    }
}
