//! What a schema takes, in words and as an example.

use serde_json::{Value, json};

use super::{Walk, form_of, list_of};

impl<'a> Walk<'a> {
    /// Some value of this schema.
    pub(super) fn any(&self, schema: &'a Value) -> Value {
        let schema = self.target(schema);
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(choice) = list_of(schema, "oneOf").or_else(|| list_of(schema, "anyOf")).and_then(<[Value]>::first) {
            return self.any(choice);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => {
                list_of(schema, "examples").and_then(<[Value]>::first).cloned().unwrap_or_else(|| json!(""))
            }
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            _ => {
                let required = list_of(schema, "required").unwrap_or_default().iter().filter_map(Value::as_str);
                let member = |name: &str| Some((name.to_owned(), self.any(schema.get("properties")?.get(name)?)));
                Value::Object(required.filter_map(member).collect())
            }
        }
    }

    /// A line that could be written for a key.
    pub(super) fn example(&self, name: &str, schema: &'a Value, key: &str) -> String {
        let schema = self.target(schema);
        if let Some(refusal) = form_of(schema).and_then(|form| (form.check)("", key).err()).filter(|it| it.secret) {
            return refusal.fix;
        }
        let name = name.split('[').next().unwrap_or(name);
        let example = list_of(schema, "examples").and_then(<[Value]>::first).and_then(Value::as_str);
        let inner = schema.get("items").map(|inner| self.target(inner));
        match (schema.get("type").and_then(Value::as_str), inner) {
            (Some("array"), Some(inner)) if inner.get("type") == Some(&json!("object")) => match key.contains('[') {
                true => format!("write {name} = [{{ … }}]"),
                false => format!("add a section [[{key}]]"),
            },
            (Some("array"), Some(inner)) => {
                let example = list_of(inner, "examples").and_then(<[Value]>::first).and_then(Value::as_str);
                format!("write {name} = [\"{}\"]", example.unwrap_or("…"))
            }
            (Some("object"), _) if key.contains('[') => {
                let required = list_of(schema, "required").unwrap_or_default().iter().filter_map(Value::as_str);
                let members: Vec<String> = required.map(|name| format!("{name} = …")).collect();
                format!("write {{ {} }}", members.join(", "))
            }
            (Some("object"), _) => format!("add a section [{key}]"),
            (Some("boolean"), _) => format!("write {name} = true"),
            (Some("integer" | "number"), _) => format!("write {name} = {}", schema.get("default").unwrap_or(&json!(1))),
            _ => format!("write {name} = \"{}\"", example.unwrap_or("…")),
        }
    }

    /// What a schema takes, for people.
    pub(super) fn expected(&self, schema: &'a Value) -> String {
        let schema = self.target(schema);
        if let Some(choices) = list_of(schema, "oneOf").or_else(|| list_of(schema, "anyOf")) {
            let mut words: Vec<String> = choices.iter().map(|choice| self.expected(choice)).collect();
            words.dedup();
            return words.join(" or ");
        }
        let word = match schema.get("type").and_then(Value::as_str) {
            Some("string") => "text",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("array") => "a list",
            _ => "a table",
        };
        word.to_owned()
    }

    pub(super) fn mentions_secret(&self, schema: &'a Value) -> bool {
        let schema = self.target(schema);
        match schema {
            Value::Object(object) => {
                object.get("x-form") == Some(&json!("secret"))
                    || object.values().any(|inner| self.mentions_secret(inner))
            }
            Value::Array(items) => items.iter().any(|inner| self.mentions_secret(inner)),
            _ => false,
        }
    }
}
