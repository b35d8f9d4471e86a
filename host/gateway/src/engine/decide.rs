//! One event from the journal to its commit.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::{Conversation, Task, Timestamp};
use patchbay_store::{ClearedTimer, Commit, EventRecord, Report, StoreError, Timer};

use super::chain::{self, AskAgain, Chain};
use super::owner::{NotCommitted, Owner};
use super::plan::{ChainEnd, Plan, Policy, begin_conversation};

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
    let started = std::time::Instant::now();
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
                let delay = Timestamp::now().since(record.event.received_at);
                metrics::histogram!("patchbay_event_age_seconds").record(delay.as_secs_f64());
                carry_out(owner, committed);
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
            () = tokio::time::sleep(pause) => {}
            () = owner.gone() => return ControlFlow::Break(()),
        }
    }
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
struct Committed {
    tasks: Vec<Task>,
    timers: Vec<Timer>,
    cleared: Vec<ClearedTimer>,
}

async fn decide(
    owner: &Arc<Owner>,
    record: &EventRecord,
    attempt: u32,
    reports: &[Report],
) -> Result<Committed, Undecided> {
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
        let commit = Commit { handled: Some(record.position), ..Commit::default() };
        owner.commit(commit).await.map_err(Undecided::NotCommitted)?;
        return Ok(Committed { tasks: Vec::new(), timers: Vec::new(), cleared: Vec::new() });
    };
    let now = Timestamp::now();
    let desks: Vec<String> = before.desks.keys().cloned().collect();
    let links = if desks.is_empty() { Vec::new() } else { store.links(id).await? };
    let chain = chain_for(owner, record, &before);
    let mut plan = Plan::new(record, before, links, &shared.desks, now);
    for report in reports {
        plan.report(report.clone());
    }
    plan.arrive();
    let end = match &chain {
        Some(chain) => chain::run(chain, &mut plan, &record.event, attempt, now).await.map_err(Undecided::AskAgain)?,
        None => ChainEnd { degraded: false, stopped: false },
    };
    let fallback = chain.as_ref().and_then(|chain| chain.fallback.as_ref());
    plan.conclude(Policy { read_receipts: shared.options.read_receipts, fallback }, end, &desks);
    let commit = plan.into_commit(version);
    let committed = Committed {
        tasks: commit.put_tasks.clone(),
        timers: commit.set_timers.clone(),
        cleared: commit.cleared_timers.clone(),
    };
    owner.commit(commit).await.map_err(Undecided::NotCommitted)?;
    Ok(committed)
}

fn chain_for(owner: &Owner, record: &EventRecord, conversation: &Conversation) -> Option<Arc<Chain>> {
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
        owner.run_task(task, false);
    }
}
