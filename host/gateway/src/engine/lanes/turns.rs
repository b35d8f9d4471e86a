//! Turns: how often a target may be called, by all nodes together.

use std::time::Duration;

use patchbay_model::task::Lane;
use patchbay_model::{Effect, Task};
use patchbay_store::Pace;

use crate::engine::owner::Owner;

/// Messages from one number to one customer: one in six seconds, and 45 at once after a rest. WhatsApp refuses more with
/// error 131056 (Cloud API, "Throughput", pair rate limits).
const TO_ONE_CUSTOMER: Pace = Pace { interval: Duration::from_secs(6), burst: 45 };

/// The pause before the store is asked for a turn again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// So many a second; as many at once after a rest. `None`: there is no limit.
pub(super) fn per_second(count: u32) -> Option<Pace> {
    pace(Duration::from_secs(1), count)
}

/// So many a minute; as many at once after a rest. `None`: there is no limit.
pub(super) fn per_minute(count: u32) -> Option<Pace> {
    pace(Duration::from_secs(60), count)
}

fn pace(period: Duration, count: u32) -> Option<Pace> {
    (count > 0).then(|| Pace { interval: period / count, burst: count })
}

/// Waits for a lane's turn. Without the store there is none: nothing goes out at its own pace.
pub(super) async fn of_lane(owner: &Owner, lane: &Lane, pace: Pace) {
    wait(owner, &format!("lane:{lane}"), pace).await;
}

/// Waits for a message's turn to its customer.
pub(super) async fn of_customer(owner: &Owner, task: &Task) {
    if let (Lane::Whatsapp(channel), Effect::Send { .. }) = (&task.lane, &task.effect) {
        wait(owner, &format!("pair:{channel}:{}", task.conversation), TO_ONE_CUSTOMER).await;
    }
}

async fn wait(owner: &Owner, key: &str, pace: Pace) {
    loop {
        match owner.shared().store.turn(key, pace).await {
            Ok(pause) if pause.is_zero() => return,
            Ok(pause) => return tokio::time::sleep(pause).await,
            Err(error) => tracing::warn!(%error, "no turn could be had; trying again"),
        }
        tokio::time::sleep(STORE_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        assert_eq!(per_second(0), None);
        assert_eq!(per_second(80), Some(Pace { interval: Duration::from_micros(12_500), burst: 80 }));
        assert_eq!(per_minute(400), Some(Pace { interval: Duration::from_millis(150), burst: 400 }));
    }
}
