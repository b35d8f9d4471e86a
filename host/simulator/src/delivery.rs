//! Webhooks on their way out: signed, concurrent, delivered again until they are taken.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::oneshot;

use crate::faults::{Fault, FaultTarget};
use crate::ids;
use crate::shared::{Shared, lock, millis, seconds};

/// Meta gives a webhook up after seven days.
const META_GIVES_UP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Zendesk tries a webhook again this often after a timeout or a broken connection.
const ZENDESK_RETRIES: u32 = 5;
/// Zendesk tries again after 409 this often.
const ZENDESK_CONFLICT_RETRIES: u32 = 3;
/// Zendesk honours `Retry-After` below this, in seconds, and gives up otherwise.
const ZENDESK_PATIENCE: u64 = 60;
/// How often the pause between two handshakes doubles.
const HANDSHAKE_GROWTH: u32 = 2;
/// How many finished deliveries are remembered.
const REMEMBERED: usize = 20_000;

/// Who sends a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sender {
    Whatsapp,
    Zendesk,
}

/// One webhook and what became of it, as `GET /_sim/whatsapp/deliveries` shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    #[serde(rename = "from")]
    pub(crate) sender: Sender,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
    pub(crate) at: String,
    /// `pending`, `delivered`, `lost` (by a fault) or `given-up`.
    pub(crate) state: &'static str,
    pub(crate) attempts: u32,
    /// The last HTTP status.
    pub(crate) status: Option<u16>,
    /// Why the last attempt got no answer.
    pub(crate) error: Option<String>,
    /// When it was taken or given up.
    pub(crate) finished_at: Option<String>,
}

/// A webhook to deliver.
pub(crate) struct Parcel {
    pub(crate) sender: Sender,
    pub(crate) kind: &'static str,
    pub(crate) body: Bytes,
    /// Customers' messages inside; they count as delivered when the webhook is taken.
    pub(crate) messages: Vec<String>,
}

/// What the first attempt of a delivery gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstAttempt {
    /// The receiver's HTTP status; `None` without an answer.
    pub(crate) status: Option<u16>,
}

/// Starts a delivery; gives its number and what tells when it was tried for the first time.
pub(crate) fn deliver(shared: &Arc<Shared>, parcel: Parcel) -> (u64, oneshot::Receiver<FirstAttempt>) {
    let id = shared.number();
    let (tried, first) = oneshot::channel();
    {
        let mut deliveries = lock(&shared.deliveries);
        if deliveries.len() >= REMEMBERED {
            let half = deliveries.len() / 2;
            deliveries.drain(..half);
        }
        deliveries.push(Delivery {
            id,
            sender: parcel.sender,
            kind: parcel.kind,
            body: String::from_utf8_lossy(&parcel.body).into_owned(),
            at: millis(Timestamp::now()),
            state: "pending",
            attempts: 0,
            status: None,
            error: None,
            finished_at: None,
        });
    }
    let task = shared.clone();
    let session = shared.session();
    shared.tasks.spawn(async move {
        session.run_until_cancelled(carry(&task, id, parcel, tried)).await;
    });
    (id, first)
}

fn update(shared: &Shared, id: u64, change: impl FnOnce(&mut Delivery)) {
    if let Some(delivery) = lock(&shared.deliveries).iter_mut().rev().find(|delivery| delivery.id == id) {
        change(delivery);
    }
}

fn finish(shared: &Shared, id: u64, state: &'static str) {
    update(shared, id, |delivery| {
        delivery.state = state;
        delivery.finished_at = Some(millis(Timestamp::now()));
    });
}

/// How often a waiting client's delivery is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until a delivery was taken, lost or given up, and gives the receiver's last status.
pub(crate) async fn finished(shared: &Shared, id: u64) -> Option<u16> {
    loop {
        let found = lock(&shared.deliveries)
            .iter()
            .rev()
            .find(|delivery| delivery.id == id)
            .map(|delivery| (delivery.finished_at.is_some(), delivery.status));
        match found {
            Some((false, _)) => tokio::time::sleep(LOOK).await,
            Some((true, status)) => return status,
            // So many came after it that it is forgotten.
            None => return None,
        }
    }
}

/// The receiver's address, as soon as there is one.
async fn address(shared: &Shared, sender: Sender) -> Option<String> {
    let mut hooks = shared.hooks.subscribe();
    loop {
        let url = {
            let hooks = hooks.borrow_and_update();
            match sender {
                Sender::Whatsapp => hooks.whatsapp.clone(),
                Sender::Zendesk => hooks.zendesk.clone(),
            }
        };
        if url.is_some() {
            return url;
        }
        hooks.changed().await.ok()?;
    }
}

async fn carry(shared: &Arc<Shared>, id: u64, parcel: Parcel, tried: oneshot::Sender<FirstAttempt>) {
    let Some(url) = address(shared, parcel.sender).await else { return };
    let path = url::Url::parse(&url).map(|url| url.path().to_owned()).unwrap_or_default();
    let fault = shared.faults.strike(FaultTarget::Webhooks, "POST", &path, |fault| {
        fault.order.is_none() && fault.kind.as_deref().is_none_or(|kind| kind == parcel.kind)
    });
    let mut tried = Some(tried);
    let mut first = |status| {
        if let Some(tried) = tried.take() {
            tried.send(FirstAttempt { status }).ok();
        }
    };
    if let Some(fault) = &fault {
        if fault.lose {
            finish(shared, id, "lost");
            return first(None);
        }
        if let Some(delay) = fault.delay_ms {
            // A late webhook does not hold its successors back.
            first(None);
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        for _ in 0..fault.duplicate.unwrap_or(0) {
            attempt(shared, id, &parcel, Some(fault)).await;
        }
    }
    let started = Timestamp::now();
    let mut failures = 0_u32;
    loop {
        let outcome = attempt(shared, id, &parcel, fault.as_ref()).await;
        first(outcome.status);
        if outcome.taken(parcel.sender) {
            finish(shared, id, "delivered");
            crate::whatsapp::chat::delivered(shared, &parcel.messages);
            return;
        }
        let pause = match parcel.sender {
            Sender::Whatsapp if Timestamp::now().duration_since(started) > META_GIVES_UP => None,
            Sender::Whatsapp => {
                let options = &shared.options.whatsapp;
                Some(options.retry_base.saturating_mul(2_u32.saturating_pow(failures)).min(options.retry_cap))
            }
            Sender::Zendesk => outcome.zendesk_pause(failures, shared.options.zendesk.retry_base),
        };
        let Some(pause) = pause else {
            tracing::info!(delivery = id, status = outcome.status, "the webhook is given up");
            return finish(shared, id, "given-up");
        };
        failures += 1;
        rest(shared, pause).await;
    }
}

/// Waits, but not longer than until the receivers have another address.
async fn rest(shared: &Shared, pause: Duration) {
    let mut hooks = shared.hooks.subscribe();
    tokio::time::timeout(pause, hooks.changed()).await.ok();
}

/// One attempt's result.
struct Outcome {
    status: Option<u16>,
    retry_after: Option<u64>,
}

impl Outcome {
    fn taken(&self, sender: Sender) -> bool {
        match (sender, self.status) {
            // Meta takes nothing but 200 for a yes.
            (Sender::Whatsapp, status) => status == Some(200),
            (Sender::Zendesk, status) => status.is_some_and(|status| (200..300).contains(&status)),
        }
    }

    fn zendesk_pause(&self, failures: u32, base: Duration) -> Option<Duration> {
        let backoff = base.saturating_mul(2_u32.saturating_pow(failures));
        match self.status {
            None if failures < ZENDESK_RETRIES => Some(backoff),
            Some(409) if failures < ZENDESK_CONFLICT_RETRIES => Some(backoff),
            Some(429 | 503) if failures < ZENDESK_RETRIES => {
                self.retry_after.filter(|after| *after < ZENDESK_PATIENCE).map(Duration::from_secs)
            }
            _ => None,
        }
    }
}

async fn attempt(shared: &Shared, id: u64, parcel: &Parcel, fault: Option<&Fault>) -> Outcome {
    // The address is read each time: a receiver may come back on another port.
    let Some(url) = address(shared, parcel.sender).await else { return Outcome { status: None, retry_after: None } };
    if parcel.sender == Sender::Whatsapp {
        greet(shared, &url).await;
    }
    let Ok(_slot) = shared.delivery_slots.acquire().await else {
        return Outcome { status: None, retry_after: None };
    };
    let body = parcel.body.clone();
    let wrong = fault.is_some_and(|fault| fault.wrong_signature);
    let request = shared.client.post(url).header("content-type", "application/json");
    let request = match parcel.sender {
        Sender::Whatsapp => {
            let secret = if wrong { "another secret" } else { &shared.options.whatsapp.app_secret };
            request
                .header("user-agent", "facebookexternalua")
                .header("x-hub-signature-256", format!("sha256={}", hex::encode(mac(secret, &[&body]))))
                .timeout(shared.options.whatsapp.delivery_timeout)
        }
        Sender::Zendesk => {
            let stale = fault.and_then(|fault| fault.stale_seconds).unwrap_or(0);
            let signed_at = seconds(Timestamp::now() - SignedDuration::from_secs(stale));
            let secret = if wrong { "another secret" } else { &shared.options.zendesk.webhook_secret };
            let signature = STANDARD.encode(mac(secret, &[signed_at.as_bytes(), &body]));
            request
                .header("user-agent", "Zendesk Webhook")
                .header("x-zendesk-account-id", shared.options.zendesk.account_id.to_string())
                .header("x-zendesk-webhook-id", "01SIMULATEDWEBHOOK00000000")
                .header("x-zendesk-webhook-invocation-id", ids::uuid())
                .header("x-zendesk-webhook-signature", signature)
                .header("x-zendesk-webhook-signature-timestamp", signed_at)
                .timeout(shared.options.zendesk.delivery_timeout)
        }
    };
    let (outcome, error) = match request.body(body).send().await {
        Ok(answer) => {
            let retry_after =
                answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            let status = answer.status().as_u16();
            // Read to the end, so that the connection can be used again.
            answer.bytes().await.ok();
            (Outcome { status: Some(status), retry_after }, None)
        }
        Err(error) => (Outcome { status: None, retry_after: None }, Some(error.without_url().to_string())),
    };
    update(shared, id, |delivery| {
        delivery.attempts += 1;
        delivery.status = outcome.status;
        delivery.error = error;
    });
    outcome
}

/// HMAC-SHA256 over the parts in order.
fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Meta's handshake, once for every new address, before the first webhook goes there.
async fn greet(shared: &Shared, url: &str) {
    let mut greeted = shared.greeted.lock().await;
    let mut failures = 0_u32;
    while greeted.as_deref() != Some(url) {
        let challenge = (rand::random::<u32>() % 900_000_000 + 100_000_000).to_string();
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.challenge", challenge.as_str()),
            ("hub.verify_token", shared.options.whatsapp.verify_token.as_str()),
        ];
        let answer = shared.client.get(url).query(&query).timeout(shared.options.whatsapp.delivery_timeout).send();
        let accepted = match answer.await {
            Ok(answer) if answer.status() == 200 => answer.text().await.is_ok_and(|text| text == challenge),
            _ => false,
        };
        if accepted {
            *greeted = Some(url.to_owned());
            return;
        }
        if shared.hooks.borrow().whatsapp.as_deref() != Some(url) {
            return;
        }
        tracing::warn!("the receiver of webhooks did not answer the handshake");
        // A person would press the button again before long, so that this does not grow like the pauses of webhooks.
        let growth = 2_u32.saturating_pow(failures.min(HANDSHAKE_GROWTH));
        rest(shared, shared.options.whatsapp.retry_base.saturating_mul(growth)).await;
        failures += 1;
    }
}
