//! Waiting until replicas have what was written: many callers share one round.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::server::{Server, lock};

/// Who waits for the next round.
type Waiter = oneshot::Sender<Result<(), String>>;

/// The rounds of one server.
#[derive(Debug, Default)]
pub(super) struct Settler {
    /// Whether a round is under way, and who waits for the next one.
    queue: Mutex<(bool, Vec<Waiter>)>,
}

impl Server {
    /// Waits until so many replicas have everything that was written here before.
    ///
    /// A round that has begun has its mark already: who comes later waits for the next one.
    pub(super) async fn settle(self: &Arc<Self>, mark: &str, replicas: u8) -> Result<(), String> {
        let (sender, settled) = oneshot::channel();
        let begin = {
            let mut queue = lock(&self.settler.queue);
            queue.1.push(sender);
            !std::mem::replace(&mut queue.0, true)
        };
        if begin {
            let (server, mark) = (Arc::clone(self), mark.to_owned());
            tokio::spawn(async move { server.rounds(&mark, replicas).await });
        }
        settled.await.unwrap_or_else(|_| Err("the store was closed".into()))
    }

    async fn rounds(&self, mark: &str, replicas: u8) {
        loop {
            let waiters = {
                let mut queue = lock(&self.settler.queue);
                let waiters = std::mem::take(&mut queue.1);
                queue.0 = !waiters.is_empty();
                waiters
            };
            if waiters.is_empty() {
                return;
            }
            let before = self.identity();
            let outcome = match self.wait(mark, replicas).await {
                // Another process at the same address never had what the one before it was told.
                Ok(_) if before.is_some() && before != self.identity() => Err("the server was replaced".to_owned()),
                Ok(count) if count >= u64::from(replicas) => Ok(()),
                Ok(count) => Err(format!("{count} of {replicas} replicas have confirmed in time")),
                Err(trouble) => Err(trouble.into_error().to_string()),
            };
            for waiter in waiters {
                // A waiter that has gone away does not want to know.
                let _gone = waiter.send(outcome.clone());
            }
        }
    }
}
