//! A settings schema as rows of a table.

use serde_json::{Value, json};

/// One setting.
#[derive(Debug, PartialEq)]
pub(super) struct Setting {
    /// With dots where settings are tables in tables.
    pub(super) name: String,
    /// `text`, `number`, `one of …`.
    pub(super) kind: String,
    /// The operator has to give it.
    pub(super) required: bool,
    /// What counts without it.
    pub(super) default: Option<Value>,
    /// It is given as a reference under `secrets`, never as a value.
    pub(super) secret: bool,
    /// What it means.
    pub(super) about: String,
}

impl Setting {
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "required": self.required,
            "default": self.default,
            "secret": self.secret,
            "about": self.about,
        })
    }

    pub(super) fn row(&self) -> Vec<String> {
        let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
        let default = self.default.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![
            self.name.clone(),
            self.kind.clone(),
            yes(self.required),
            default,
            yes(self.secret),
            self.about.split_whitespace().collect::<Vec<_>>().join(" "),
        ]
    }
}

/// The settings that a schema names, those of tables within tables as well.
pub(super) fn read(schema: &Value) -> Vec<Setting> {
    let mut found = Vec::new();
    collect(schema, schema, "", true, DEPTH, &mut found);
    found
}

/// Tables in tables that are shown; a schema may refer to itself.
const DEPTH: usize = 4;

fn collect(root: &Value, schema: &Value, before: &str, needed: bool, depth: usize, found: &mut Vec<Setting>) {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, own) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let property = resolve(root, own);
        let name = format!("{before}{key}");
        let needed = needed && required.contains(&key.as_str());
        if depth > 1 && property.get("properties").is_some() {
            collect(root, property, &format!("{name}."), needed, depth - 1, found);
            continue;
        }
        // What stands beside a reference counts first.
        let said = |key: &str| own.get(key).or_else(|| property.get(key));
        let text = |key: &str| said(key).and_then(Value::as_str);
        found.push(Setting {
            kind: kind(root, property),
            required: needed,
            default: said("default").cloned(),
            secret: said("writeOnly").and_then(Value::as_bool).unwrap_or_default(),
            about: text("description").or_else(|| text("title")).unwrap_or_default().to_owned(),
            name,
        });
    }
}

/// What a reference within the schema refers to.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn kind(root: &Value, schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        return format!("one of {}", values.join(", "));
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return "any".to_owned(),
    };
    let word = |name: &&str| match *name {
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", kind(root, resolve(root, items))),
            None => "list".to_owned(),
        },
        other => other.to_owned(),
    };
    names.iter().map(word).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_becomes_rows() {
        let schema = json!({
            "type": "object",
            "required": ["queue", "desk"],
            "properties": {
                "queue": { "$ref": "#/$defs/word", "description": "Where to\nput it" },
                "tier": { "enum": [1, 2], "default": 1 },
                "token": { "type": ["string", "null"], "writeOnly": true },
                "words": { "type": "array", "items": { "$ref": "#/$defs/word" } },
                "desk": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" }, "x": {} } }
            },
            "$defs": { "word": { "type": "string" } }
        });
        let rows: Vec<String> = read(&schema).iter().map(|setting| setting.row().join("|")).collect();
        assert_eq!(
            rows,
            [
                "desk.name|string|yes|||",
                "desk.x|any||||",
                "queue|string|yes|||Where to put it",
                "tier|one of 1, 2||1||",
                "token|string or null|||yes|",
                "words|list of string||||",
            ]
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "properties": { "again": { "$ref": "#" }, "end": { "type": "boolean" } } });
        assert!(read(&schema).len() >= DEPTH);
    }
}
