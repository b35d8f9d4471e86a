//! Dead letters: looked up, replaced, settled.

use patchbay_model::Task;
use patchbay_store::Commit;

use super::data::{at, conversation_id, dead, task, task_id};
use super::{Instance, own};

pub(crate) async fn a_dead_letter_is_found_by_its_task(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    assert_eq!(store.dead_letter(&task_id("one")).await.unwrap(), None);
    let letters = ["one", "two"].map(|name| dead(task(name, &id, 1), 5));
    store.commit(&lease, Commit { put_tasks: vec![task("one", &id, 1)], ..Commit::default() }).await.unwrap();
    assert_eq!(store.dead_letter(&task_id("one")).await.unwrap(), None, "it lives");
    for letter in &letters {
        // Also one whose task never stood in a lane.
        let commit = Commit {
            put_tasks: vec![task("next", &id, 2)],
            conversation: None,
            dead_letters: vec![letter.clone()],
            ..Commit::default()
        };
        let put = Commit { put_tasks: vec![letter.task.clone()], ..Commit::default() };
        store.commit(&lease, put).await.unwrap();
        store.commit(&lease, commit).await.unwrap();
    }
    instance.reopen().await;
    let store = instance.store();
    for letter in letters {
        assert_eq!(store.dead_letter(&letter.task.id).await.unwrap(), Some(letter));
    }
    assert_eq!(store.dead_letter(&task_id("three")).await.unwrap(), None);
}

pub(crate) async fn a_dead_letter_is_replaced(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let (lease, one) = (own(&store, &id).await, task("one", &id, 1));
    let put = |task: &Task| Commit { put_tasks: vec![task.clone()], ..Commit::default() };
    let die =
        |letter: &patchbay_model::task::DeadLetter| Commit { dead_letters: vec![letter.clone()], ..Commit::default() };
    store.commit(&lease, put(&one)).await.unwrap();
    store.commit(&lease, die(&dead(one.clone(), 5))).await.unwrap();
    // It lives and dies again: the letter is the new one, at the new time.
    let again = dead(Task { attempts: 9, ..one.clone() }, 3);
    store.commit(&lease, put(&one)).await.unwrap();
    store.commit(&lease, die(&again)).await.unwrap();
    assert_eq!(store.dead_letter(&one.id).await.unwrap().as_ref(), Some(&again));
    assert_eq!(store.dead_letters(10).await.unwrap(), [again]);
    // An operator's change is carried out with the event that ordered it: the task is not in a lane.
    store.append(vec![super::data::known("order", &id)]).await.unwrap();
    let order = store.event(&super::data::event_id("order")).await.unwrap().unwrap().position;
    let edited = dead(Task { effect: task("edited", &id, 1).effect, ..one.clone() }, 5);
    store.commit(&lease, Commit { handled: Some(order), ..die(&edited) }).await.unwrap();
    assert_eq!(store.dead_letters(10).await.unwrap(), [edited]);
    assert_eq!(store.task(&one.id).await.unwrap(), None);
}

pub(crate) async fn a_dead_letter_is_settled(instance: &mut impl Instance) {
    let store = instance.store();
    let id = conversation_id("a");
    let lease = own(&store, &id).await;
    let letters = ["one", "two", "three"].map(|name| dead(task(name, &id, 1), 5));
    let put = Commit { put_tasks: letters.iter().map(|letter| letter.task.clone()).collect(), ..Commit::default() };
    store.commit(&lease, put).await.unwrap();
    store.commit(&lease, Commit { dead_letters: letters.to_vec(), ..Commit::default() }).await.unwrap();
    let revived = Task { due_at: at(60), ..letters[1].task.clone() };
    let settle = Commit {
        put_tasks: vec![revived.clone()],
        settled_letters: vec![task_id("one"), task_id("two"), task_id("never there")],
        ..Commit::default()
    };
    store.commit(&lease, settle.clone()).await.unwrap();
    // It has no witness: again, it changes nothing.
    store.commit(&lease, settle).await.unwrap();
    assert_eq!(store.dead_letters(10).await.unwrap(), [letters[2].clone()]);
    assert_eq!(store.dead_letter(&task_id("one")).await.unwrap(), None);
    assert_eq!(store.load(&lease).await.unwrap().tasks, [revived]);
    instance.reopen().await;
    assert_eq!(instance.store().dead_letters(10).await.unwrap().len(), 1);
}
