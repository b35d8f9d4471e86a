//! Misbehaviour on demand: what `POST /_sim/faults` arms.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// Whom a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultTarget {
    /// Requests to the Graph API.
    Whatsapp,
    /// Requests to the Zendesk API.
    Zendesk,
    /// Webhooks on their way to the gateway.
    Webhooks,
}

/// The order of the statuses of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusOrder {
    /// `read`, `delivered`, `sent`.
    Reversed,
    /// `sent`, `read`, `delivered`.
    Swapped,
    /// All three at the same moment.
    Together,
    /// None at all.
    Silent,
}

/// One armed fault. Without `next` it lasts until it is cleared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Given by the simulator; `DELETE /_sim/faults?id=` clears this one.
    #[serde(default)]
    pub id: u64,
    /// Whom it concerns.
    pub target: FaultTarget,
    /// `METHOD /path`: the path counts as a prefix that ends at a slash; `*` stands for any run of characters, a `$`
    /// at the end forbids anything after it. For webhooks it is matched against the receiver's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// How many matching requests it still concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
    /// Answer with this HTTP status, without carrying anything out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<u16>,
    /// Seconds for a `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The body of the answer: a text goes out as plain text, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Meta's error code in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Never answer, until the fault is cleared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hang: bool,
    /// Carry the request out, then break the connection off without an answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_after_commit: bool,
    /// Carry the request out, then never answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hang_after_commit: bool,
    /// Wait this many milliseconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Searches and listings do not see what is younger than this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_search_ms: Option<u64>,
    /// Download addresses of media live this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_url_lifetime_ms: Option<u64>,
    /// Webhooks only: just these (`messages`, `statuses`, `comment_added`, `status_changed`, `raw`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Webhooks only: how many further copies are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<u32>,
    /// Webhooks only: sign with another secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wrong_signature: bool,
    /// Webhooks only: never deliver it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lose: bool,
    /// Zendesk webhooks only: the signed timestamp lies this many seconds in the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_seconds: Option<i64>,
    /// Statuses of sent messages: another order than the natural one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<StatusOrder>,
    /// How often it has struck.
    #[serde(default)]
    pub hits: u64,
}

impl Fault {
    /// Whether it does something to a request, rather than to what a search sees or how long an address lives.
    pub(crate) fn acts(&self) -> bool {
        self.answer.is_some()
            || self.code.is_some()
            || self.hang
            || self.hang_after_commit
            || self.drop_after_commit
            || self.delay_ms.is_some()
    }
}

/// The armed faults.
#[derive(Debug)]
pub(crate) struct Faults {
    list: Mutex<Vec<Fault>>,
    changed: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { list: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, mut fault: Fault) -> Fault {
        let mut list = self.lock();
        fault.id = list.iter().map(|other| other.id).max().unwrap_or(0) + 1;
        fault.hits = 0;
        list.push(fault.clone());
        fault
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Clears one fault or all; hanging requests are let go.
    pub(crate) fn clear(&self, id: Option<u64>) {
        self.lock().retain(|fault| id.is_some_and(|id| fault.id != id));
        self.changed.send_modify(|version| *version += 1);
    }

    /// Takes the first fault that matches and is accepted by `wanted`, and counts it.
    pub(crate) fn strike(
        &self,
        target: FaultTarget,
        method: &str,
        path: &str,
        wanted: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let mut list = self.lock();
        let fault = list.iter_mut().find(|fault| {
            fault.target == target
                && fault.next != Some(0)
                && wanted(fault)
                && fault.route.as_deref().is_none_or(|route| matches_route(route, method, path))
        })?;
        if let Some(next) = &mut fault.next {
            *next -= 1;
        }
        fault.hits += 1;
        Some(fault.clone())
    }

    /// Returns when the fault has been cleared.
    pub(crate) async fn until_cleared(&self, id: u64) {
        let mut changed = self.changed.subscribe();
        while self.lock().iter().any(|fault| fault.id == id) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether `METHOD /path` (or just `/path`) describes a request.
fn matches_route(route: &str, method: &str, path: &str) -> bool {
    let (wanted, pattern) = match route.trim().split_once(char::is_whitespace) {
        Some((wanted, pattern)) => (wanted, pattern.trim()),
        None if route.starts_with('/') => ("*", route.trim()),
        None => (route.trim(), "*"),
    };
    if wanted != "*" && !wanted.eq_ignore_ascii_case(method) {
        return false;
    }
    let path = path.strip_suffix(".json").unwrap_or(path);
    let (pattern, exact) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let pattern = pattern.strip_suffix(".json").unwrap_or(pattern);
    glob(pattern, path, exact)
}

/// `*` matches any run; without `exact` the rest of the path may follow after a slash.
fn glob(pattern: &str, path: &str, exact: bool) -> bool {
    match pattern.split_once('*') {
        None => match path.strip_prefix(pattern) {
            Some("") => true,
            Some(rest) => !exact && (rest.starts_with('/') || pattern.ends_with('/')),
            None => false,
        },
        Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| {
            tail.is_empty() || (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| glob(tail, rest, exact)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_match_by_prefix_and_wildcard() {
        for (route, method, path, expected) in [
            ("POST /api/v2/tickets", "POST", "/api/v2/tickets", true),
            ("POST /api/v2/tickets", "POST", "/api/v2/tickets.json", true),
            ("POST /api/v2/tickets", "PUT", "/api/v2/tickets", false),
            ("PUT /api/v2/tickets", "PUT", "/api/v2/tickets/7", true),
            ("PUT /api/v2/tick", "PUT", "/api/v2/tickets/7", false),
            ("GET /api/v2/tickets$", "GET", "/api/v2/tickets/7/audits", false),
            ("GET /api/v2/tickets/*/audits", "GET", "/api/v2/tickets/7/audits", true),
            ("POST /*/messages", "POST", "/v24.0/106/messages", true),
            ("POST /*/messages", "POST", "/v24.0/106/media", false),
            ("/v24.0", "GET", "/v24.0/77", true),
            ("GET", "GET", "/anything", true),
            ("* /api", "DELETE", "/api/v2", true),
        ] {
            assert_eq!(matches_route(route, method, path), expected, "{route} on {method} {path}");
        }
    }
}
