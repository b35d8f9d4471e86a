//! One event from the journal to its commit.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use patchbay_model::decision::StepTaken;
use patchbay_model::event::{LetterOrder, LetterVerb};
use patchbay_model::{Body, ConversationId, Effect, Event, Task};
use patchbay_store::{ClearedTimer, Commit, EventRecord, StoreError, Timer};

use super::chain::{self, AskAgain, Question};
use super::course::Course;
use super::decision::{Weighed, record_of, weigh};
use super::kept::Kept;
use super::owner::{NotCommitted, Owner};
use super::parked;
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
    let mut course = Course::begin(owner.shared().routing());
    loop {
        // A place among those who decide, for this try only: a chain that is to be asked again holds nobody else up.
        let turn = tokio::select! {
            biased;
            () = owner.gone() => return ControlFlow::Break(()),
            turn = owner.shared().deciding.acquire() => turn,
        };
        let decided = decide(owner, record, &course).await;
        drop(turn);
        let error = match decided {
            Ok(committed) => {
                metrics::histogram!("patchbay_decide_seconds").record(course.begun.elapsed().as_secs_f64());
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
                course.reports.extend(again.report);
                let doubling = 2_u32.saturating_pow(course.attempt.saturating_sub(1));
                course.attempt += 1;
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
pub(super) enum Undecided {
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
pub(super) struct Committed {
    tasks: Vec<Task>,
    /// The tasks may have been begun before.
    begun: bool,
    timers: Vec<Timer>,
    cleared: Vec<ClearedTimer>,
}

async fn decide(owner: &Arc<Owner>, record: &EventRecord, course: &Course) -> Result<Committed, Undecided> {
    if let Body::LetterOrder(order) = &record.event.body {
        return order_letter(owner, record, order, course).await;
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
    let routing = &course.routing;
    let mut plan = Plan::new(record, before, links, Configured::of(routing), now);
    for report in &course.reports {
        plan.report(report.clone());
    }
    plan.unite();
    plan.arrive();
    if let Some(survivor) = plan.conversation.joined.clone() {
        let beyond = look_beyond(owner, &survivor).await?;
        plan.pass_on(&beyond);
        return commit(owner, plan.into_commit(version)).await;
    }
    let weighed = weigh(&routing.chains, &record.event, &plan.conversation);
    let asked = ask(owner, course, weighed.as_ref(), &mut plan, &record.event).await?;
    let fallback = weighed.as_ref().and_then(Weighed::fallback);
    plan.conclude(Policy { read_receipts: routing.read_receipts, fallback }, asked.end, &desks);
    let remarks = plan.remarks();
    let mut whole = plan.into_commit(version);
    whole.decision = weighed.map(|weighed| record_of(owner, course, &record.event.id, weighed, asked.steps, remarks));
    commit(owner, whole).await
}

/// What came of asking a chain.
pub(super) struct Asked {
    pub(super) steps: Vec<StepTaken>,
    pub(super) end: ChainEnd,
    /// The event was put aside.
    pub(super) parked: bool,
}

/// Asks the chain that was chosen, with the generations that the event has been asked with before. When a step says so, the
/// plan is put back to what it was, and the event aside. What the handlers keep becomes part of the plan.
pub(super) async fn ask(
    owner: &Owner,
    course: &Course,
    weighed: Option<&Weighed>,
    plan: &mut Plan<'_>,
    event: &Event,
) -> Result<Asked, Undecided> {
    let quiet = ChainEnd { degraded: false, stopped: false };
    let Some(chain) = weighed.and_then(|weighed| weighed.chain.as_deref()) else {
        return Ok(Asked { steps: Vec::new(), end: quiet, parked: false });
    };
    // All of them now: what is swapped while the first ones answer is none of this event's business.
    for step in &chain.steps {
        course.pins.of(&step.slot, &plan.conversation.id);
    }
    let before = chain.parks().then(|| plan.clone());
    let store = &owner.shared().store;
    let kept = Arc::new(Kept::new(Arc::clone(store)));
    let question = Question { event, attempt: course.attempt, now: store.now(), kept: &kept };
    let taken = chain::run(chain, &course.pins, plan, question).await.map_err(Undecided::AskAgain)?;
    let (Some(report), Some(before)) = (taken.parked, before) else {
        plan.keep(kept.documents());
        return Ok(Asked { steps: taken.steps, end: taken.end, parked: false });
    };
    *plan = before;
    plan.park(&event.id, &chain.name, report);
    Ok(Asked { steps: taken.steps, end: ChainEnd { stopped: true, ..quiet }, parked: true })
}

async fn order_letter(
    owner: &Arc<Owner>,
    record: &EventRecord,
    order: &LetterOrder,
    course: &Course,
) -> Result<Committed, Undecided> {
    let store = &owner.shared().store;
    let letter = store.dead_letter(&order.task).await?;
    if order.verb == LetterVerb::Retry
        && let Some(Effect::Decide { event }) = letter.as_ref().map(|letter| &letter.task.effect)
    {
        return parked::decide_anew(owner, record, order, event, course).await;
    }
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

pub(super) async fn commit(owner: &Arc<Owner>, commit: Commit) -> Result<Committed, Undecided> {
    let committed = Committed {
        tasks: commit.put_tasks.clone(),
        begun: false,
        timers: commit.set_timers.clone(),
        cleared: commit.cleared_timers.clone(),
    };
    let given_up: Vec<String> = commit.dead_letters.iter().map(|letter| letter.task.lane.to_string()).collect();
    owner.commit(commit).await.map_err(Undecided::NotCommitted)?;
    for lane in given_up {
        metrics::counter!("patchbay_dead_letters_total", "lane" => lane).increment(1);
    }
    Ok(committed)
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
