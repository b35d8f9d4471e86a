//! Dead letters, and what an operator orders about them.
//!
//! An order goes into the journal of the letter's conversation, and the partition's owner carries it out: the answer is
//! 202, and what became of it shows in the letter.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use patchbay_model::event::{LetterOrder, LetterVerb};
use patchbay_model::task::DeadLetter;
use patchbay_model::{Effect, TaskId};
use patchbay_store::{Store, StoreError};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Asked, Bearer, Given, Refusal, rows};
use crate::http::Surface;

/// Letters that are looked at for those of one lane.
const SEARCHED: usize = 100_000;

/// Which letters are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LettersQuery {
    /// Only this lane's (`desk:zendesk`), or those of this sort of lane (`desk`).
    pub lane: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// `GET /v1/dead-letters?lane=&limit=`: what was given up, newest first.
pub(super) async fn list(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Asked(query): Asked<LettersQuery>,
) -> Result<Json<Vec<Value>>, Refusal> {
    Ok(Json(listed(&*surface.shared().store, &query).await?))
}

/// `GET /v1/dead-letters/{task}`: one letter, with its effect.
pub(super) async fn show(
    _: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(task): Path<String>,
) -> Result<Json<Value>, Refusal> {
    shown(&*surface.shared().store, &task).await?.map(Json).ok_or_else(none)
}

/// `POST /v1/dead-letters/{task}/retry`: back into its lane.
pub(super) async fn retry(
    bearer: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(task): Path<String>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    order(&surface, bearer, &task, LetterVerb::Retry).await
}

/// `POST /v1/dead-letters/{task}/drop`: it is nobody's business any more.
pub(super) async fn drop(
    bearer: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(task): Path<String>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    order(&surface, bearer, &task, LetterVerb::Drop).await
}

/// The body of an edit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    effect: Box<RawValue>,
}

/// `POST /v1/dead-letters/{task}/edit` with `{"effect":{…}}`: another effect of the same kind.
pub(super) async fn edit(
    bearer: Bearer,
    State(surface): State<Arc<Surface>>,
    Path(task): Path<String>,
    Given(edit): Given<Edit>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let id = TaskId::parse(&task).ok_or_else(none)?;
    let letter = surface.shared().store.dead_letter(&id).await?.ok_or_else(none)?;
    let effect = effect(edit.effect.get(), letter.task.effect.kind());
    let effect = effect.map_err(|reason| Refusal(StatusCode::UNPROCESSABLE_ENTITY, reason))?;
    order(&surface, bearer, &task, LetterVerb::Edit { effect: Box::new(effect) }).await
}

async fn order(
    surface: &Surface,
    Bearer(claims): Bearer,
    task: &str,
    verb: LetterVerb,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let task = TaskId::parse(task).ok_or_else(none)?;
    let word = verb.as_str();
    tracing::info!(%task, verb = word, by = claims.sub, "an order about a dead letter");
    let order = LetterOrder { task: task.clone(), verb, by: claims.sub };
    if !surface.engine.order_letter(order).await? {
        return Err(none());
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "task": task, "order": word }))))
}

fn none() -> Refusal {
    Refusal::absent("no such dead letter")
}

/// The effect that a text spells, if it is of this kind and every key in it means something.
///
/// # Errors
/// A sentence with the line and column, or the key, that is wrong.
pub fn effect(text: &str, kind: &str) -> Result<Effect, String> {
    let given: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
    let said = given.get("type").and_then(Value::as_str).unwrap_or_default();
    if said != kind {
        let found = if said.is_empty() { "it has no `type`".to_owned() } else { format!("its `type` is `{said}`") };
        return Err(format!(
            "the letter's effect is of the kind `{kind}`, and this is another: {found}{}",
            at(text, said)
        ));
    }
    let effect: Effect = serde_json::from_str(text).map_err(|error| {
        // The reader of a tagged value knows no place; the text up to " at line" is what it has to say.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or(&reason).to_owned();
        let place = reason.split('`').nth(1).or_else(|| reason.split('"').nth(1)).map(|word| at(text, word));
        format!("this is not an effect `{kind}`: {reason}{}", place.unwrap_or_default())
    })?;
    let understood = serde_json::to_value(&effect).map_err(|error| error.to_string())?;
    match unknown(&given, &understood) {
        Some(key) => {
            let name = key.rsplit('/').next().unwrap_or_default();
            Err(format!("`{key}` means nothing in an effect `{kind}`{}", at(text, name)))
        }
        None => Ok(effect),
    }
}

/// Where a word first stands in a text, if it does: ` (line 3, column 5)`.
fn at(text: &str, word: &str) -> String {
    let quoted = format!("\"{word}\"");
    let place = (!word.is_empty()).then(|| text.find(&quoted)).flatten();
    let Some(before) = place.and_then(|place| text.get(..place)) else { return String::new() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(" (line {line}, column {column})")
}

/// The first key that was given and not understood, as a JSON pointer. A missing `null` is no loss.
fn unknown(given: &Value, understood: &Value) -> Option<String> {
    let below = |key: &str, given, understood| unknown(given, understood).map(|rest| format!("/{key}{rest}"));
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => {
            given.iter().find_map(|(key, value)| match understood.get(key) {
                Some(understood) => below(key, value, understood),
                None if is_empty(value) => None,
                None => Some(format!("/{key}")),
            })
        }
        (Value::Array(given), Value::Array(understood)) => {
            let pairs = given.iter().zip(understood).enumerate();
            pairs.into_iter().find_map(|(index, (given, understood))| below(&index.to_string(), given, understood))
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// The letters that match, as the API shows them: without what is in them.
///
/// # Errors
/// When the store cannot be read.
pub async fn listed(store: &dyn Store, query: &LettersQuery) -> Result<Vec<Value>, StoreError> {
    let limit = rows(query.limit);
    let letters = match &query.lane {
        None => store.dead_letters(limit).await?,
        Some(wanted) => {
            let mut letters = store.dead_letters(SEARCHED).await?;
            letters.retain(|letter| is_lane(&letter.task.lane.to_string(), wanted));
            letters.truncate(limit);
            letters
        }
    };
    Ok(letters.iter().map(row).collect())
}

/// `desk:zendesk` is `desk:zendesk`, and one of `desk`.
fn is_lane(lane: &str, wanted: &str) -> bool {
    lane.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// One letter as the API shows it, with its effect.
///
/// # Errors
/// When the store cannot be read.
pub async fn shown(store: &dyn Store, task: &str) -> Result<Option<Value>, StoreError> {
    let Some(id) = TaskId::parse(task) else { return Ok(None) };
    let Some(letter) = store.dead_letter(&id).await? else { return Ok(None) };
    let mut row = row(&letter);
    if let Some(object) = row.as_object_mut() {
        let task = &letter.task;
        object.insert("kind".into(), task.effect.kind().into());
        object.insert("effect".into(), serde_json::to_value(&task.effect).unwrap_or_default());
        object.insert("last_error".into(), json!(task.last_error));
        object.insert("uncertain_since".into(), json!(task.uncertain_since.map(|at| at.to_string())));
    }
    Ok(Some(row))
}

fn row(letter: &DeadLetter) -> Value {
    let task = &letter.task;
    json!({
        "task": task.id,
        "lane": task.lane.to_string(),
        "effect": task.effect.kind(),
        "conversation": task.conversation,
        "event": task.event,
        "attempts": task.attempts,
        "created_at": task.created_at.to_string(),
        "died_at": letter.died_at.to_string(),
        "reason": letter.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_itself_and_of_its_sort() {
        assert!(is_lane("desk:zendesk", "desk:zendesk") && is_lane("desk:zendesk", "desk"));
        assert!(!is_lane("desk:zendesk", "desk:zen") && !is_lane("desk:zendesk", "whatsapp"));
    }

    #[test]
    fn an_effect_of_the_same_kind_is_taken() {
        let text = r#"{"type":"update-ticket","fields":{}}"#;
        assert_eq!(effect(text, "update-ticket").map(|effect| effect.kind()), Ok("update-ticket"));
    }

    #[test]
    fn what_is_wrong_with_an_effect_is_said_with_its_place() {
        let refused = |text: &str| effect(text, "mark-read").unwrap_err();
        let good = "{\n  \"type\": \"mark-read\",\n  \"message\": \"wamid.1\",\n  \"typing\": false\n}";
        assert!(effect(good, "mark-read").is_ok());
        assert_eq!(refused("{\n  \"type\" \"mark-read\"}"), "this is not JSON: expected `:` at line 2 column 10");
        let other = refused("{\n  \"type\": \"send\"\n}");
        assert!(other.ends_with("its `type` is `send` (line 2, column 11)"), "{other}");
        let missing = refused("{\"type\": \"mark-read\", \"typing\": true}");
        assert_eq!(missing, "this is not an effect `mark-read`: missing field `message`");
        let more = refused(&good.replace("typing\": false", "typing\": false, \"tpying\": 1"));
        assert_eq!(more, "`/tpying` means nothing in an effect `mark-read` (line 4, column 20)");
    }
}
