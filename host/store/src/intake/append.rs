//! Appending, with a second look at tickets that nobody here seems to have.

use std::time::Duration;

use patchbay_model::{Arrival, Body, Route, TaskId};

use crate::{Appended, Store, StoreError};

/// [`append`], but only for so long: whoever sent a webhook does not wait for ever, and appending again is harmless.
pub(super) async fn append_within(
    time: Duration,
    store: &dyn Store,
    arrivals: Vec<Arrival>,
) -> Result<Vec<Appended>, StoreError> {
    let appended = tokio::time::timeout(time, append(store, arrivals)).await;
    appended.unwrap_or_else(|_| Err(StoreError::Unavailable(format!("it gave no answer within {} s", time.as_secs()))))
}

/// Appends what has arrived.
///
/// A ticket whose creation has not been committed yet is no stranger's: its key is the task that creates it.
pub(super) async fn append(store: &dyn Store, arrivals: Vec<Arrival>) -> Result<Vec<Appended>, StoreError> {
    let by_ticket = |(_, arrival): &(usize, &Arrival)| matches!(arrival.route, Route::Ticket { .. });
    let tickets = arrivals.iter().enumerate().filter(by_ticket);
    let tickets: Vec<(usize, Arrival)> = tickets.map(|(place, arrival)| (place, arrival.clone())).collect();
    let mut appended = store.append(arrivals).await?;
    let (mut places, mut again) = (Vec::new(), Vec::new());
    for (place, mut arrival) in tickets {
        if !matches!(appended.get(place), Some(Appended::Stranger)) {
            continue;
        }
        let Body::DeskActivity(activity) = &arrival.body else { continue };
        let Some(key) = activity.key.as_deref().and_then(TaskId::parse) else { continue };
        if let Some(task) = store.task(&key).await? {
            arrival.route = Route::Conversation(task.conversation);
        }
        // Without a task the link may have been committed in between: it is worth a second look either way.
        places.push(place);
        again.push(arrival);
    }
    if !again.is_empty() {
        for (place, found) in places.into_iter().zip(store.append(again).await?) {
            if let Some(one) = appended.get_mut(place) {
                *one = found;
            }
        }
    }
    Ok(appended)
}

/// What to keep of arrivals that the store has taken: with the conversations that it found, because what leads from a
/// ticket to its conversation may be lost with them, and without those that belong to nobody here.
pub(super) fn found(arrivals: Vec<Arrival>, appended: &[Appended]) -> Vec<Arrival> {
    let arrivals = arrivals.into_iter().zip(appended);
    let kept = arrivals.filter_map(|(mut arrival, one)| match one {
        Appended::New { conversation, .. } => {
            arrival.route = Route::Conversation(conversation.clone());
            Some(arrival)
        }
        Appended::Duplicate => Some(arrival),
        Appended::Stranger => None,
    });
    kept.collect()
}
