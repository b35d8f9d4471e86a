//! Telling the operator what a plugin was refused, with the lines that would allow it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;

use super::policy::Denial;
use crate::limits;
use crate::state::Facts;

/// What was refused in one call. Clones share it.
#[derive(Clone)]
pub(crate) struct Denials {
    facts: Arc<Facts>,
    /// What the call is about.
    subject: Arc<str>,
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Denials {
    pub(crate) fn new(facts: Arc<Facts>, subject: &str) -> Self {
        Self { facts, subject: subject.into(), told: Arc::default() }
    }

    /// Writes a line into the log: once in a call for what the same lines of configuration would allow, and at most
    /// [`limits::DENIALS`] in all. A plugin that tries a thousand times has told nothing more than one that tries once.
    pub(crate) fn tell(&self, denial: &Denial, uri: Option<&Uri>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= limits::DENIALS || !told.insert(format!("{} {}", denial.reason, denial.remedy)) {
            return;
        }
        drop(told);
        let Facts { name: plugin, generation, redactor, .. } = &*self.facts;
        let subject = &*self.subject;
        let host = uri.and_then(Uri::host);
        let path = uri.map(|uri| redactor.clean(uri.path()));
        // As it is to be pasted: without quotes and escapes around it.
        let (reason, add) = (denial.reason, tracing::field::display(&denial.remedy));
        if reason == REHEARSAL {
            // Nothing is missing in the real run: a shadow says this once for every event.
            tracing::info!(
                plugin,
                generation,
                subject,
                host,
                path,
                reason,
                add,
                "a request of a plugin was refused: {}",
                denial.why
            );
        } else {
            tracing::warn!(
                plugin,
                generation,
                subject,
                host,
                path,
                reason,
                add,
                "a request of a plugin was refused: {}",
                denial.why
            );
        }
    }
}

/// The reason of a denial that only a rehearsal has.
pub(super) const REHEARSAL: &str = "rehearsal";
