//! The platform's webhooks: each is delivered until some node has taken it, and some are delivered again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchbay_model::arrival::Profile;
use patchbay_model::message::{Media, MediaKind};
use patchbay_model::{Arrival, Body, Content, EventId, Identity, MediaId, Message, Route, Timestamp};
use patchbay_store::Store;

use crate::node::{Node, channel};
use crate::shared::{START, Shared};

/// How long a delivery that was not taken is put off.
const AGAIN: Duration = Duration::from_millis(250);

/// How a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is to be delivered.
    Waiting,
    /// A node has it, and has not answered; which time that is.
    Delivered(usize, u32),
    /// It was taken; the store may still lose it.
    Taken,
    /// It cannot be lost any more.
    Settled,
}

/// One webhook.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) arrival: Arrival,
    pub(crate) due: Timestamp,
    pub(crate) standing: Standing,
    tries: u32,
}

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct Intake {
    webhooks: Arc<Mutex<Vec<Webhook>>>,
}

impl Intake {
    /// Adds one.
    pub(crate) fn add(&self, due: Timestamp, arrival: Arrival) {
        self.webhooks.lock().unwrap().push(Webhook { arrival, due, standing: Standing::Waiting, tries: 0 });
    }

    pub(crate) fn all(&self) -> Vec<Webhook> {
        self.webhooks.lock().unwrap().clone()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.webhooks.lock().unwrap().iter().all(|webhook| webhook.standing == Standing::Settled)
    }

    /// Gives what is due to nodes that answer.
    pub(crate) fn deliver(&self, nodes: &[&Node], shared: &Shared, now: Timestamp) {
        if nodes.is_empty() {
            return;
        }
        let mut webhooks = self.webhooks.lock().unwrap();
        for (number, webhook) in webhooks.iter_mut().enumerate().filter(|(_, webhook)| webhook.due <= now) {
            let settles = match webhook.standing {
                Standing::Waiting => false,
                Standing::Taken => true,
                Standing::Delivered(..) | Standing::Settled => continue,
            };
            let node = nodes[shared.lock().millis(0..nodes.len() as u64).as_millis() as usize];
            webhook.tries += 1;
            let delivered = Standing::Delivered(node.number, webhook.tries);
            webhook.standing = delivered;
            webhook.due = now.after(AGAIN);
            let (intake, network) = (self.clone(), Arc::clone(&node.network));
            let arrival = webhook.arrival.clone();
            node.spawn(async move {
                let losses = network.losses();
                let before = *losses.borrow();
                let taken = settles || network.append(vec![arrival]).await.is_ok();
                // What was taken before a loss is not safe after it.
                let settled = taken && network.settle().await.is_ok();
                let lost = *losses.borrow() != before;
                let standing = match (taken, settled) {
                    _ if lost => Standing::Waiting,
                    (_, true) => Standing::Settled,
                    (true, false) => Standing::Taken,
                    (false, false) => Standing::Waiting,
                };
                let mut webhooks = intake.webhooks.lock().unwrap();
                // What a failover has put back is to be delivered again, whatever was answered before.
                if webhooks[number].standing == delivered {
                    webhooks[number].standing = standing;
                }
            });
            // Once in a while it is delivered twice.
            if !settles && shared.lock().chance(200) {
                let node = nodes[shared.lock().millis(0..nodes.len() as u64).as_millis() as usize];
                let pause = shared.lock().millis(0..4_000);
                let (network, arrival) = (Arc::clone(&node.network), webhook.arrival.clone());
                node.spawn(async move {
                    tokio::time::sleep(pause).await;
                    // Nobody waits for an answer.
                    let _ = network.append(vec![arrival]).await;
                });
            }
        }
    }

    /// What a node had is delivered again: it is no more.
    pub(crate) fn orphaned(&self, node: usize) {
        for webhook in self.webhooks.lock().unwrap().iter_mut() {
            if matches!(webhook.standing, Standing::Delivered(to, _) if to == node) {
                webhook.standing = Standing::Waiting;
            }
        }
    }

    /// What may have been lost is appended again, as the nodes do from their disks.
    pub(crate) fn lost(&self) {
        for webhook in self.webhooks.lock().unwrap().iter_mut() {
            if webhook.standing != Standing::Settled {
                webhook.standing = Standing::Waiting;
            }
        }
    }
}

/// A customer's message.
pub(crate) fn message(
    number: u64,
    customer: u64,
    due: Timestamp,
    identities: Vec<Identity>,
    with_media: bool,
) -> Arrival {
    let name = format!("{customer}.{number}");
    let content = if with_media {
        Content::Media(Media {
            id: MediaId::derive(&[name.as_bytes()]),
            platform_id: name.clone(),
            kind: MediaKind::Image,
            mime: "image/jpeg".into(),
            size: None,
            sha256: None,
            file_name: None,
            caption: None,
        })
    } else {
        Content::Text(name.as_str().into())
    };
    let message = Message {
        id: format!("wamid.{name}").into(),
        content,
        reply_to: None,
        forwarded: false,
        referral: None,
        author: None,
    };
    Arrival {
        id: EventId::derive(&[b"message", name.as_bytes()]),
        route: Route::Customer { channel: channel(), identities, former: Vec::new(), profile: Profile::default() },
        // Says which of them it is.
        occurred_at: START.after(Duration::from_millis(number)),
        received_at: due,
        body: Body::Message(message),
        raw: None,
    }
}
