//! An operator's orders about dead letters.

use patchbay_model::event::{LetterOrder, LetterVerb};
use patchbay_model::task::{DeadLetter, Origin};

use super::super::letters::carry_out;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_764_000_200_000);

fn dead() -> DeadLetter {
    let commit = simple(Some(opened()), &record(2, text("hello?")), vec![Action::Send(Outgoing::text("hi"))]);
    let mut task = commit.put_tasks.into_iter().find(|task| task.effect.kind() == "send").unwrap();
    task.attempts = 5;
    task.broken = 2;
    task.last_error = Some("gone".into());
    task.uncertain_since = Some(Timestamp::from_millis(7));
    DeadLetter { task, reason: "gone".into(), died_at: Timestamp::from_millis(9) }
}

fn order(verb: LetterVerb, letter: Option<DeadLetter>) -> Commit {
    let order = LetterOrder { task: dead().task.id, verb, by: "ops".into() };
    let record = record(9, Body::LetterOrder(order.clone()));
    carry_out(&record, &order, letter, NOW)
}

fn send(words: &str) -> Effect {
    Effect::Send { to: Vec::new(), message: Outgoing::text(words), origin: Origin::Plugin("router".into()) }
}

#[test]
fn a_retry_is_the_task_as_new() {
    let commit = order(LetterVerb::Retry, Some(dead()));
    assert_eq!(commit.settled_letters, [dead().task.id]);
    let expected = Task { attempts: 0, broken: 0, due_at: NOW, created_at: NOW, last_error: None, ..dead().task };
    assert_eq!(commit.put_tasks, [expected], "what is uncertain stays so, that it is not sent twice");
    assert_eq!(commit.handled, Some(Position(9)));
    assert_eq!(commit.conversation, None);
}

#[test]
fn an_edit_replaces_the_effect_and_leaves_the_letter_dead() {
    let commit = order(LetterVerb::Edit { effect: Box::new(send("better")) }, Some(dead()));
    assert!(commit.put_tasks.is_empty() && commit.settled_letters.is_empty());
    let letter = &commit.dead_letters[0];
    assert_eq!(letter.task.effect, send("better"));
    assert_eq!((&letter.task.id, letter.died_at, letter.task.uncertain_since), (&dead().task.id, dead().died_at, None));
}

#[test]
fn an_edit_to_another_kind_of_effect_is_reported_and_not_made() {
    let effect = Box::new(Effect::UpdateTicket { fields: Attributes::new() });
    let commit = order(LetterVerb::Edit { effect }, Some(dead()));
    assert!(commit.dead_letters.is_empty() && commit.put_tasks.is_empty());
    assert!(commit.reports[0].detail.contains("`update-ticket`"), "{:?}", commit.reports);
}

#[test]
fn a_dropped_letter_is_gone() {
    let commit = order(LetterVerb::Drop, Some(dead()));
    assert_eq!(commit.settled_letters, [dead().task.id]);
    assert!(commit.put_tasks.is_empty() && commit.dead_letters.is_empty());
}

#[test]
fn a_letter_that_is_gone_or_anothers_is_left_alone() {
    let handled = Commit { handled: Some(Position(9)), ..Commit::default() };
    for verb in [LetterVerb::Retry, LetterVerb::Drop, LetterVerb::Edit { effect: Box::new(send("x")) }] {
        assert_eq!(order(verb.clone(), None), handled);
        let mut other = dead();
        other.task.conversation = patchbay_model::ConversationId::derive(&[b"other"]);
        assert_eq!(order(verb, Some(other)), handled);
    }
}
