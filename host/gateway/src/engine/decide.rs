//! One event from the journal to its commit.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::event::{DeliveryState, LetterOrder};
use patchbay_model::{Body, Conversation, ConversationId, Task};
use patchbay_store::{ClearedTimer, Commit, EventRecord, Report, StoreError, Timer};

use super::chain::{self, AskAgain, Chain};
use super::owner::{NotCommitted, Owner};
use super::plan::{Beyond, ChainEnd, Configured, Plan, Policy, begin_conversation, letters};

/// The first pause before a chain is asked again; it doubles each time.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(250);
/// The longest pause that a handler can ask for: its conversation waits meanwhile.
const ASK_AGAIN_LONGEST: Duration = Duration::from_secs(30);
/// The pause before the store is asked again after it could not be read.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// The pause before a conversation that somebody else has written is read again.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);

/// Handles one event: asks its chain, commits what follows, and hands the tasks to their lanes. Breaks off when the
/// partition is no longer this node's, or the node is stopping: the event is still in the journal then.
pub async fn handle(owner: &Arc<Owner>, record: &EventRecord) -> ControlFlow<()> {
    let started = tokio::time::Instant::now();
    let mut attempt = 1;
    let mut reports = Vec::new();
    loop {
        // A place among those who decide, for this try only: a chain that is to be asked again holds nobody else up.
        let turn = tokio::select! {
            biased;
            () = owner.gone() => return ControlFlow::Break(()),
            turn = owner.shared().deciding.acquire() => turn,
        };
        let decided = decide(owner, record, attempt, &reports).await;
        drop(turn);
        let error = match decided {
            Ok(committed) => {
                metrics::histogram!("patchbay_decide_seconds").record(started.elapsed().as_secs_f64());
                let delay = owner.shared().store.now().since(record.event.received_at);
                metrics::histogram!("patchbay_event_age_seconds").record(delay.as_secs_f64());
                let begun = committed.begun || may_have_been_decided(owner, record);
                carry_out(owner, Committed { begun, ..committed });
                return ControlFlow::Continue(());
            }
            Err(error) => error,
        };
        let pause = match error {
            Undecided::AskAgain(again) => {
                reports.extend(again.report);
                let doubling = 2_u32.saturating_pow(attempt.saturating_sub(1));
                attempt += 1;
                again.after.unwrap_or_default().clamp(ASK_AGAIN_FIRST.saturating_mul(doubling), ASK_AGAIN_LONGEST)
            }
            Undecided::NotCommitted(NotCommitted::Gone) => return ControlFlow::Break(()),
            Undecided::NotCommitted(NotCommitted::Conflict) => CONFLICT_PAUSE,
            Undecided::NotRead(error) => {
                tracing::error!(%error, event = %record.event.id, "the store cannot be read; trying again");
                STORE_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = owner.gone() => return ControlFlow::Break(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether somebody may have decided the event before, and begun what followed: a store that fails over can lose the commit
/// of an event. The tasks are the same ones then, and their targets are asked first.
fn may_have_been_decided(owner: &Owner, record: &EventRecord) -> bool {
    record.event.received_at < owner.doubtful_until()
}

/// Why an event has not been committed.
enum Undecided {
    AskAgain(AskAgain),
    NotRead(StoreError),
    NotCommitted(NotCommitted),
}

impl From<StoreError> for Undecided {
    fn from(error: StoreError) -> Self {
        Self::NotRead(error)
    }
}

/// What a commit has set going.
#[derive(Default)]
struct Committed {
    tasks: Vec<Task>,
    /// The tasks may have been begun before.
    begun: bool,
    timers: Vec<Timer>,
    cleared: Vec<ClearedTimer>,
}

async fn decide(
    owner: &Arc<Owner>,
    record: &EventRecord,
    attempt: u32,
    reports: &[Report],
) -> Result<Committed, Undecided> {
    if let Body::LetterOrder(order) = &record.event.body {
        return order_letter(owner, record, order).await;
    }
    let shared = owner.shared();
    let store = &shared.store;
    let id = &record.event.conversation;
    let known = store.conversation(id).await?;
    let (version, before) = match known {
        Some(known) => (known.version, Some(known.value)),
        None => (0, begin_conversation(record)),
    };
    let Some(before) = before else {
        // A status of a conversation that we have no state of: kept as an event, with nobody to tell.
        return commit(owner, Commit { handled: Some(record.position), ..Commit::default() }).await;
    };
    let now = store.now();
    let desks: Vec<String> = before.desks.keys().cloned().collect();
    let links = if desks.is_empty() { Vec::new() } else { store.links(id).await? };
    let configured = Configured { desks: &shared.desks, utility_templates: &shared.options.utility_templates };
    let mut plan = Plan::new(record, before, links, configured, now);
    for report in reports {
        plan.report(report.clone());
    }
    plan.unite();
    plan.arrive();
    if let Some(survivor) = plan.conversation.joined.clone() {
        let beyond = look_beyond(owner, &survivor).await?;
        plan.pass_on(&beyond);
        return commit(owner, plan.into_commit(version)).await;
    }
    let chain = chain_for(owner, record, &plan.conversation);
    let end = match &chain {
        Some(chain) => chain::run(chain, &mut plan, &record.event, attempt, now).await.map_err(Undecided::AskAgain)?,
        None => ChainEnd { degraded: false, stopped: false },
    };
    let fallback = chain.as_ref().and_then(|chain| chain.fallback.as_ref());
    plan.conclude(Policy { read_receipts: shared.options.read_receipts, fallback }, end, &desks);
    let whole = plan.into_commit(version);
    let refused: Vec<String> = whole.dead_letters.iter().map(|letter| letter.task.lane.to_string()).collect();
    let committed = commit(owner, whole).await?;
    for lane in refused {
        metrics::counter!("patchbay_dead_letters_total", "lane" => lane).increment(1);
    }
    Ok(committed)
}

async fn order_letter(owner: &Arc<Owner>, record: &EventRecord, order: &LetterOrder) -> Result<Committed, Undecided> {
    let store = &owner.shared().store;
    let letter = store.dead_letter(&order.task).await?;
    let committed = commit(owner, letters::carry_out(record, order, letter, store.now())).await?;
    Ok(Committed { begun: true, ..committed })
}

/// What is known of the conversation in which another one goes on; it may be in another partition.
async fn look_beyond(owner: &Arc<Owner>, survivor: &ConversationId) -> Result<Beyond, Undecided> {
    let store = &owner.shared().store;
    let Some(known) = store.conversation(survivor).await? else { return Ok(Beyond::default()) };
    let desks = known.value.desks.into_keys().collect::<Vec<_>>();
    let links = if desks.is_empty() { Vec::new() } else { store.links(survivor).await? };
    Ok(Beyond { known: true, desks, tickets: links.into_iter().map(|link| link.ticket).collect() })
}

async fn commit(owner: &Arc<Owner>, commit: Commit) -> Result<Committed, Undecided> {
    let committed = Committed {
        tasks: commit.put_tasks.clone(),
        begun: false,
        timers: commit.set_timers.clone(),
        cleared: commit.cleared_timers.clone(),
    };
    owner.commit(commit).await.map_err(Undecided::NotCommitted)?;
    Ok(committed)
}

/// The chain that decides about an event. What happens between the gateway's own parts is nobody's to decide about.
fn chain_for(owner: &Owner, record: &EventRecord, conversation: &Conversation) -> Option<Arc<Chain>> {
    let own = match &record.event.body {
        Body::Join(_) | Body::Joined(_) | Body::LetterOrder(_) => true,
        Body::Delivery(delivery) => delivery.state == DeliveryState::Accepted,
        _ => false,
    };
    if own {
        return None;
    }
    let kind = record.event.body.kind();
    let chains = &owner.shared().options.chains;
    chains.iter().find(|chain| chain.matches.accepts(&kind, &conversation.channel.id)).cloned()
}

fn carry_out(owner: &Arc<Owner>, committed: Committed) {
    for timer in &committed.cleared {
        owner.disarm(&timer.conversation, &timer.name);
    }
    for timer in committed.timers {
        owner.arm(timer);
    }
    for task in committed.tasks {
        owner.run_task(task, committed.begun);
    }
}
