//! What a validator found, in sentences.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::schema::Schema;
use super::{Misfit, nearest, toml};

/// Letters of a value that is shown in a sentence; what is longer is no choice among a few.
const SHOWN: usize = 40;
/// What bounds a number.
const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
/// Names of settings that are listed in a sentence.
const LISTED: usize = 12;

/// What one error of the validator says about these settings: a sentence for each one that it is about.
pub(super) fn told(root: &Value, settings: &Value, error: &ValidationError<'_>) -> Vec<Misfit> {
    let at = place(settings, error.instance_path().into_iter());
    let schema = Schema::at(root, error.evaluation_path());
    let misfit = |at: &str, problem: String, fix: String| Misfit { at: at.to_owned(), problem, fix, hidden: false };
    let name = last(&at);
    let one = |problem: String, fix: String| vec![misfit(&at, problem, fix)];
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = schema.names();
            let unknown = |wrong: &String| {
                let problem = format!("there is no setting `{wrong}` here");
                Misfit { hidden: true, ..misfit(&below(&at, wrong), problem, instead(wrong, &known)) }
            };
            unexpected.iter().map(unknown).collect()
        }
        Kind::Required { property } => {
            let missing = property.as_str().unwrap_or_default();
            let problem = format!("`{missing}` is missing");
            vec![misfit(&below(&at, missing), problem, assign(missing, schema.property(missing)))]
        }
        Kind::Type { kind } => {
            let wanted = match kind {
                TypeKind::Single(one) => kind_word(one.as_str()).to_owned(),
                TypeKind::Multiple(several) => {
                    several.iter().map(|one| kind_word(one.as_str())).collect::<Vec<_>>().join(" or ")
                }
            };
            one(format!("`{name}` takes {wanted}, not {}", kind_of(error.instance())), assign(name, schema))
        }
        Kind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
            let fix = match options.as_slice() {
                [only] => format!("write {only}"),
                several => format!("write one of {}", several.join(", ")),
            };
            one(format!("`{name}` does not take {}", shown(error.instance())), fix)
        }
        Kind::Constant { expected_value } => {
            one(format!("`{name}` does not take {}", shown(error.instance())), format!("write {expected_value}"))
        }
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MultipleOf { .. } => one(format!("`{name}` is out of range"), range(schema)),
        Kind::MinLength { limit: 1 } | Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => {
            one(format!("`{name}` is empty"), assign(name, schema))
        }
        Kind::MinLength { limit } => one(format!("`{name}` is too short"), format!("write at least {limit} letters")),
        Kind::MaxLength { limit } => one(format!("`{name}` is too long"), format!("write at most {limit} letters")),
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            one(format!("`{name}` has too few in it"), format!("write at least {limit}"))
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            one(format!("`{name}` has too many in it"), format!("write at most {limit}"))
        }
        Kind::UniqueItems => one(format!("`{name}` has the same twice"), "write each once".into()),
        Kind::Pattern { .. } | Kind::Format { .. } => {
            one(format!("`{name}` has not the form that it needs"), assign(name, schema))
        }
        Kind::PropertyNames { error } => {
            let key = error.instance().as_str().unwrap_or_default();
            // The keyword may be the one in the schema of the names.
            let names = schema.below("propertyNames").unwrap_or(schema);
            let fix = match example(names).or_else(|| about(names)) {
                Some(form) => format!("write one such as {form}"),
                None => format!("write another name: {}", error.masked()),
            };
            vec![misfit(&below(&at, key), format!("`{key}` is no name that may stand here"), fix)]
        }
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
            one(format!("`{name}` has none of the forms that it may have"), assign(name, schema))
        }
        // Whatever else a schema may ask, in the validator's words and without the value.
        _ => one(format!("`{name}`: {}", error.masked()), assign(name, schema)),
    }
}

/// `rules[0].queue`; a setting can be called `49` as well.
fn place<'a>(settings: &Value, segments: impl Iterator<Item = LocationSegment<'a>>) -> String {
    let (mut at, mut inner) = (String::new(), Some(settings));
    for segment in segments {
        let name = segment.to_string();
        match (inner, &segment) {
            (Some(Value::Array(items)), LocationSegment::Index(index)) => {
                at = format!("{at}[{index}]");
                inner = items.get(*index);
            }
            (table, _) => {
                at = below(&at, &name);
                inner = table.and_then(|table| table.get(&name));
            }
        }
    }
    at
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// What the innermost setting of a place is called; an item of a list by its list.
fn last(at: &str) -> &str {
    match at.rsplit('.').next().unwrap_or(at) {
        "" => "settings",
        name => name,
    }
}

/// What was probably meant by a name that is not known.
fn instead(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("write `{name}`"),
        None if known.is_empty() => "take it out".into(),
        None => {
            let more = if known.len() > LISTED { ", …" } else { "" };
            let listed: Vec<&str> = known.iter().take(LISTED).copied().collect();
            format!("take it out; the settings here are {}{more}", listed.join(", "))
        }
    }
}

/// `write queue = "billing"`, by an example of the schema's; otherwise its bounds, or what it says about itself. An item of a
/// list has no name to be given with.
fn assign(name: &str, schema: Schema<'_>) -> String {
    let given = if name.ends_with(']') { String::new() } else { format!("{name} = ") };
    if let Some(example) = example(schema) {
        return format!("write {given}{example}");
    }
    if BOUNDS.iter().any(|bound| schema.get(bound).is_some()) {
        return range(schema);
    }
    match about(schema) {
        Some(about) => format!("write {given}…: {about}"),
        None => format!("write {given}…, as the plugin's documentation says"),
    }
}

/// The first example of a schema, its default, its first choice, or the simplest value of its type, as TOML.
fn example(schema: Schema<'_>) -> Option<String> {
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|list| list.first());
    let given = first("examples").or_else(|| schema.get("default")).or_else(|| first("enum"));
    if let Some(given) = given {
        return Some(toml::value(given));
    }
    match schema.get("type").and_then(Value::as_str)? {
        "boolean" => Some("true".into()),
        "array" => Some(format!("[{}]", example(schema.below("items")?)?)),
        _ => None,
    }
}

/// The first sentence of what a schema says about itself.
fn about(schema: Schema<'_>) -> Option<String> {
    let text = schema.get("description").or_else(|| schema.get("title"))?.as_str()?;
    let first = text.split(". ").next().unwrap_or(text);
    Some(first.trim_end_matches('.').to_owned())
}

fn range(schema: Schema<'_>) -> String {
    let bound = |key: &str| schema.get(key).filter(|bound| bound.is_number());
    let least = bound("minimum").map(ToString::to_string);
    let least = least.or_else(|| bound("exclusiveMinimum").map(|bound| format!("more than {bound}")));
    let most = bound("maximum").map(ToString::to_string);
    let most = most.or_else(|| bound("exclusiveMaximum").map(|bound| format!("less than {bound}")));
    let step = bound("multipleOf").map(|step| format!(", a multiple of {step}")).unwrap_or_default();
    match (least, most) {
        (Some(least), Some(most)) => format!("write a number from {least} to {most}{step}"),
        (Some(least), None) => format!("write a number of at least {least}{step}"),
        (None, Some(most)) => format!("write a number of at most {most}{step}"),
        (None, None) => format!("write a number{step}"),
    }
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > SHOWN { "what stands there".into() } else { format!("`{text}`") }
}

fn kind_word(kind: &str) -> &'static str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a whole number",
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
        Value::Null => "nothing",
    }
}
