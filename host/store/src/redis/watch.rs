//! What goes on in the background: the clock, failovers, wake-ups.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use ::redis::{PushInfo, PushKind, Value};
use futures::future::join_all;
use patchbay_model::Timestamp;
use tokio::sync::mpsc;

use super::Shared;
use super::options::RedisMode;
use super::server::{Server, Trouble, lock};

/// How often the clock is compared and servers are asked who they are.
const TICK: Duration = Duration::from_millis(500);

/// How long the listener waits before it connects again.
const AGAIN: Duration = Duration::from_millis(250);

/// The servers' time, kept up with a clock that never jumps.
#[derive(Debug)]
pub(super) struct Clock {
    /// At that moment the servers had that time, in microseconds since the epoch.
    mark: Mutex<(Instant, u64)>,
}

impl Clock {
    /// Reads a server's clock. Gives how far this machine's clock is before it, in milliseconds.
    pub(super) async fn read(server: &Server) -> Result<(Self, i64), Trouble> {
        let (at, micros) = time(server).await?;
        let own = Timestamp::now().as_millis();
        let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        let ahead = signed(own).saturating_sub(signed(micros / 1_000));
        Ok((Self { mark: Mutex::new((at, micros)) }, ahead))
    }

    async fn compare(&self, server: &Server) -> Result<(), Trouble> {
        let mark = time(server).await?;
        *lock(&self.mark) = mark;
        Ok(())
    }

    /// Microseconds since the epoch.
    pub(super) fn micros(&self) -> u64 {
        let (at, micros) = *lock(&self.mark);
        micros.saturating_add(u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.micros() / 1_000)
    }
}

/// A server's time in microseconds, and when it was that: in the middle of asking.
async fn time(server: &Server) -> Result<(Instant, u64), Trouble> {
    let begun = Instant::now();
    let answer = server.send(&::redis::cmd("TIME")).await?;
    let at = begun + begun.elapsed() / 2;
    let wrong = |_| Trouble::Refused("it does not say the time".into());
    let (seconds, micros): (u64, u64) = ::redis::from_redis_value(answer).map_err(wrong)?;
    Ok((at, seconds.saturating_mul(1_000_000).saturating_add(micros)))
}

/// Compares the clock, and notices when others take the servers' places.
pub(super) async fn watch(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        let servers = &shared.servers;
        if let Ok(map) = servers.map().await {
            // Who cannot be reached now will be compared when it can.
            let probes = join_all(map.servers.iter().map(|server| server.probe())).await;
            let well = probes.iter().all(Result::is_ok);
            if let Some(first) = map.servers.first() {
                let _unreachable = shared.clock.compare(first).await;
            }
            if well && servers.options.mode == RedisMode::Standalone {
                servers.observe();
                continue;
            }
        }
        if let Err(error) = servers.refresh().await {
            tracing::debug!(%error, "the Redis is away");
        }
    }
}

/// Passes wake-ups on, and wakes everybody whenever some may have been missed.
pub(super) async fn listen(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let (sender, mut published) = mpsc::unbounded_channel();
        let map = strong.servers.map().await.ok();
        let server = map.as_ref().and_then(|map| map.servers.first().cloned());
        let channel = strong.keys.wake();
        let listening = match &server {
            Some(server) => server.listen(&channel, sender).await.ok(),
            None => None,
        };
        if let (Some(mut connection), Some(server)) = (listening, server) {
            strong.keys.all().for_each(|partition| strong.wake(partition));
            drop(strong);
            loop {
                // A connection that is silent may be dead: ask now and then.
                match tokio::time::timeout(TICK * 2, published.recv()).await {
                    Ok(Some(push)) if push.kind == PushKind::Disconnection => break,
                    Ok(Some(push)) => {
                        let Some(strong) = shared.upgrade() else { return };
                        heard(&strong, push);
                    }
                    Ok(None) => break,
                    Err(_silent) => {
                        let Some(strong) = shared.upgrade() else { return };
                        let current = strong.servers.current();
                        let ours = current.is_some_and(|map| map.servers.iter().any(|one| Arc::ptr_eq(one, &server)));
                        let alive = connection.send_packed_command(&::redis::cmd("PING")).await.is_ok();
                        if !ours || !alive {
                            break;
                        }
                    }
                }
            }
        } else {
            drop(strong);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn heard(shared: &Shared, push: PushInfo) {
    if push.kind == PushKind::Message
        && let Some(Value::BulkString(number)) = push.data.get(1)
        && let Some(number) = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok())
    {
        shared.wake(crate::Partition(number));
    }
}
