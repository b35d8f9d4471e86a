//! Tasks, timers and dead letters.

use patchbay_model::Task;
use patchbay_model::task::Lane;
use patchbay_store::{ClearedTimer, Commit};

use super::data::{START, at, cleared, conversation_id, dead, task, task_id, timer};
use super::{Instance, own};

pub(crate) async fn tasks_are_loaded_in_order(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let other = (0..).map(|n| conversation_id(&format!("{n}")));
    let other = other.into_iter().find(|other| store.partition_of(other) == lease.partition).unwrap();
    let mut tasks = Vec::new();
    for (name, conversation, sequence) in [("w", &id, 2), ("x", &other, 9), ("y", &id, 1), ("z", &other, 10)] {
        let in_desk = task(name, conversation, sequence);
        let mut in_channel = task(&format!("{name} channel"), conversation, sequence);
        in_channel.lane = Lane::Whatsapp("support".into());
        tasks.extend([in_desk, in_channel]);
    }
    store.commit(&lease, Commit { put_tasks: tasks.clone(), ..Commit::default() }).await.unwrap();
    tasks.sort_by_key(|task| (task.conversation.clone(), task.lane.clone(), task.sequence));
    assert_eq!(store.load(&lease).await.unwrap().tasks, tasks);
}

pub(crate) async fn a_task_put_again_is_replaced(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let mut one = task("one", &id, 1);
    store.commit(&lease, Commit { put_tasks: vec![one.clone()], ..Commit::default() }).await.unwrap();
    one.attempts = 3;
    one.due_at = at(40);
    one.uncertain_since = Some(START);
    one.last_error = Some("the desk answered 503".into());
    store.commit(&lease, Commit { put_tasks: vec![one.clone()], ..Commit::default() }).await.unwrap();
    assert_eq!(store.task(&one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(store.load(&lease).await.unwrap().tasks, [one]);
}

pub(crate) async fn finished_then_put_is_there(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let one = task("one", &id, 1);
    let first = Commit { put_tasks: vec![one.clone()], set_timers: vec![timer("sla", &id, 1)], ..Commit::default() };
    store.commit(&lease, first).await.unwrap();
    let again = Commit {
        finished_tasks: vec![one.id.clone()],
        put_tasks: vec![one.clone()],
        cleared_timers: vec![cleared("sla", &id)],
        set_timers: vec![timer("sla", &id, 2)],
        ..Commit::default()
    };
    store.commit(&lease, again).await.unwrap();
    let pending = store.load(&lease).await.unwrap();
    assert_eq!((pending.tasks, pending.timers), (vec![one], vec![timer("sla", &id, 2)]));
}

pub(crate) async fn a_timer_is_one_for_each_name(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let set = |timers: Vec<_>| Commit { set_timers: timers, ..Commit::default() };
    store.commit(&lease, set(vec![timer("sla", &id, 10), timer("reminder", &id, 20)])).await.unwrap();
    store.commit(&lease, set(vec![timer("sla", &id, 30)])).await.unwrap();
    let mut timers = store.load(&lease).await.unwrap().timers;
    timers.sort_by_key(|timer| timer.at);
    assert_eq!(timers, [timer("reminder", &id, 20), timer("sla", &id, 30)]);
    let cleared_timers = vec![cleared("reminder", &id), cleared("never set", &id)];
    store.commit(&lease, Commit { cleared_timers, ..Commit::default() }).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().timers, [timer("sla", &id, 30)]);
}

pub(crate) async fn a_timer_that_was_set_anew_is_not_cleared(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let gone_off = |seconds| ClearedTimer { at: Some(at(seconds)), ..cleared("sla", &id) };
    let clear = |timers: Vec<_>| Commit { cleared_timers: timers, ..Commit::default() };
    let set = Commit { set_timers: vec![timer("sla", &id, 10), timer("reminder", &id, 10)], ..Commit::default() };
    store.commit(&lease, set).await.unwrap();
    let anew = Commit { set_timers: vec![timer("sla", &id, 20)], ..Commit::default() };
    store.commit(&lease, anew).await.unwrap();
    store.commit(&lease, clear(vec![gone_off(10)])).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().timers, [timer("reminder", &id, 10), timer("sla", &id, 20)]);
    store.commit(&lease, clear(vec![gone_off(20), gone_off(20)])).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().timers, [timer("reminder", &id, 10)]);
    // Cleared for its moment and set for the same one, it is there.
    let again = Commit { set_timers: vec![timer("sla", &id, 30)], ..clear(vec![gone_off(30)]) };
    store.commit(&lease, again.clone()).await.unwrap();
    store.commit(&lease, again).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().timers.len(), 2);
}

pub(crate) async fn a_dead_letter_leaves_its_lane_and_comes_back(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let mut one = task("one", &id, 1);
    store.commit(&lease, Commit { put_tasks: vec![one.clone()], ..Commit::default() }).await.unwrap();
    one.attempts = 12;
    one.broken = 3;
    one.uncertain_since = Some(at(3));
    let letter = dead(one.clone(), 9);
    store.commit(&lease, Commit { dead_letters: vec![letter.clone()], ..Commit::default() }).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().tasks, []);
    assert_eq!(store.dead_letters(10).await.unwrap(), [letter]);

    // Tried again: it is a task like any other, and has its whole time.
    let revived = Task { attempts: 0, broken: 0, due_at: at(50), created_at: at(50), ..one.clone() };
    let again = Commit {
        put_tasks: vec![revived.clone()],
        settled_letters: vec![one.id.clone(), task_id("another")],
        ..Commit::default()
    };
    store.commit(&lease, again).await.unwrap();
    assert_eq!(store.dead_letters(10).await.unwrap(), []);
    assert_eq!(store.dead_letter(&one.id).await.unwrap(), None);
    assert_eq!(store.task(&one.id).await.unwrap().as_ref(), Some(&revived));
    drop(store);
    instance.reopen().await;
    let store = instance.store();
    let lease = own(&store, &id).await;
    assert_eq!(store.load(&lease).await.unwrap().tasks, std::slice::from_ref(&revived));
    // It may die a second time.
    store.commit(&lease, Commit { dead_letters: vec![dead(revived, 60)], ..Commit::default() }).await.unwrap();
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
    assert_eq!(store.task(&one.id).await.unwrap(), None);
}

pub(crate) async fn dead_letters_are_listed_newest_first(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let letters = [("b", 20), ("c", 30), ("a", 10)].map(|(name, seconds)| dead(task(name, &id, 1), seconds));
    let put = letters.iter().map(|letter| letter.task.clone()).collect();
    store.commit(&lease, Commit { put_tasks: put, ..Commit::default() }).await.unwrap();
    store.commit(&lease, Commit { dead_letters: letters.to_vec(), ..Commit::default() }).await.unwrap();
    let [b, c, a] = letters;
    assert_eq!(store.dead_letters(2).await.unwrap(), [c.clone(), b.clone()]);
    assert_eq!(store.dead_letters(9).await.unwrap(), [c, b, a]);
}
