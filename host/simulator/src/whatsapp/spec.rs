//! Request bodies against Meta's own OpenAPI description.
//!
//! The description (v23.0) lags behind the API and in places refuses its own examples. [`overlay`] corrects exactly
//! that, and nothing else; everything that it leaves alone is checked as Meta wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The schemas for the bodies of `POST /{version}/{phone_number_id}/messages`.
pub(crate) struct GraphSpec {
    by_type: BTreeMap<String, Validator>,
    mark_read: Validator,
}

impl GraphSpec {
    /// Reads the description and compiles its schemas.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let document: Value =
            serde_saphyr::from_str(&text).with_context(|| format!("{} is no valid YAML", path.display()))?;
        let mut schemas = document
            .pointer("/components/schemas")
            .and_then(Value::as_object)
            .cloned()
            .context("the description has no components.schemas")?;
        let mapping = schemas
            .get("Message")
            .and_then(|message| message.pointer("/discriminator/mapping"))
            .and_then(Value::as_object)
            .cloned()
            .context("the description's Message schema names no types")?;
        overlay(&mut schemas);
        let mut by_type = BTreeMap::new();
        for (kind, reference) in &mapping {
            let name = reference.as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
            let schema = bundle(&schemas, name);
            let validator = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .offline()
                .build(&schema)
                .map_err(|error| anyhow::anyhow!("the schema {name} cannot be compiled: {error}"))?;
            by_type.insert(kind.clone(), validator);
        }
        let mark_read = jsonschema::validator_for(&mark_read_schema())
            .map_err(|error| anyhow::anyhow!("the schema of read marks cannot be compiled: {error}"))?;
        Ok(Self { by_type, mark_read })
    }

    /// What is wrong with a body; empty when it conforms.
    pub(crate) fn check(&self, body: &Value) -> Vec<String> {
        let validator = if body.get("status").is_some() {
            &self.mark_read
        } else {
            // The description's own example leaves the type out for texts.
            let kind = body.get("type").map_or(Some("text"), Value::as_str);
            match kind.and_then(|kind| self.by_type.get(kind)) {
                Some(validator) => validator,
                None => return vec!["Param type is not one that the description knows.".into()],
            }
        };
        validator
            .iter_errors(body)
            .map(|error| {
                let text: String = error.to_string().chars().take(300).collect();
                format!("{}: {text}", error.instance_path())
            })
            .collect()
    }
}

/// A schema with the schemas that it refers to, and no others.
fn bundle(schemas: &Map<String, Value>, root: &str) -> Value {
    fn collect(value: &Value, schemas: &Map<String, Value>, names: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    if let (true, Some(reference)) = (key == "$ref", value.as_str())
                        && let Some(name) = reference.strip_prefix("#/components/schemas/")
                        && names.insert(name.to_owned())
                        && let Some(schema) = schemas.get(name)
                    {
                        collect(schema, schemas, names);
                    }
                    collect(value, schemas, names);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, schemas, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::from([root.to_owned()]);
    if let Some(schema) = schemas.get(root) {
        collect(schema, schemas, &mut names);
    }
    let used: Map<String, Value> =
        names.into_iter().filter_map(|name| schemas.get(&name).cloned().map(|schema| (name, schema))).collect();
    json!({"$ref": format!("#/components/schemas/{root}"), "components": {"schemas": used}})
}

/// Read marks have examples in the description but no schema.
fn mark_read_schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["messaging_product", "status", "message_id"],
        "properties": {
            "messaging_product": {"const": "whatsapp"}, "status": {"const": "read"},
            "message_id": {"type": "string", "minLength": 1},
            "typing_indicator": {"type": "object", "additionalProperties": false, "required": ["type"],
                "properties": {"type": {"const": "text"}}},
        },
    })
}

/// The known gaps of the description.
fn overlay(schemas: &mut Map<String, Value>) {
    // 1. Every message is `allOf [base, own]` where `own` forbids additional properties, so that it forbids those of
    //    the base: no message at all would conform. Both parts become one object with the same strictness.
    // 2. `recipient_type` has a default, and since July 2026 `recipient` can stand in for `to`.
    // 3. `biz_opaque_callback_data` and `recipient_identity_key_hash` are documented in prose only.
    let base = schemas.get("BaseMessageProperties").and_then(|base| base.get("properties")).cloned();
    let mut base = base.and_then(|base| base.as_object().cloned()).unwrap_or_default();
    base.insert("messaging_product".into(), json!({"const": "whatsapp"}));
    base.insert("recipient".into(), json!({"type": "string", "minLength": 1}));
    base.insert("biz_opaque_callback_data".into(), json!({"type": "string", "maxLength": 512}));
    base.insert("recipient_identity_key_hash".into(), json!({"type": "string"}));
    for (name, schema) in schemas.iter_mut() {
        let own = schema
            .get("allOf")
            .and_then(Value::as_array)
            .filter(|parts| parts.iter().any(|part| part.pointer("/$ref") == Some(&json!(BASE))))
            .and_then(|parts| parts.iter().find(|part| part.get("properties").is_some()))
            .cloned();
        if let (Some(mut own), true) = (own, name.ends_with("Message")) {
            if let Some(properties) = own.get_mut("properties").and_then(Value::as_object_mut) {
                properties.extend(base.clone().into_iter().filter(|(key, _)| key != "type"));
            }
            if let Some(own) = own.as_object_mut() {
                own.insert("additionalProperties".into(), json!(false));
                own.insert("anyOf".into(), json!([{"required": ["to"]}, {"required": ["recipient"]}]));
                if let Some(required) = own.get_mut("required").and_then(Value::as_array_mut) {
                    required.push(json!("messaging_product"));
                }
            }
            *schema = own;
        }
    }
    for (pointer, replacement) in [
        // 4. Coordinates are numbers in every example, and strings in the schema: both are taken.
        ("/LocationMessage/properties/location/properties/latitude", json!({"type": ["number", "string"]})),
        ("/LocationMessage/properties/location/properties/longitude", json!({"type": ["number", "string"]})),
        // 5. `policy` is gone from the reference and from the description's own examples.
        ("/LanguageObject/required", json!(["code"])),
        // 6. The pattern for a button's index is no pattern of numbers; examples use 0 and "0".
        ("/TemplateComponent/properties/index", json!({"type": ["string", "integer"], "pattern": "^[0-9]$"})),
        ("/ButtonComponent/allOf/1/properties/index", json!({"type": ["string", "integer"], "pattern": "^[0-9]$"})),
        // 7. Kinds of buttons, parameters and interactive messages that came later or are only in the examples.
        ("/TemplateComponent/properties/sub_type", json!({"type": "string"})),
        ("/InteractiveObject/properties/type/enum", json!(INTERACTIVE)),
        // 8. The body of a list may have 4,096 characters; the 1,024 of the others are checked by the simulator.
        ("/BodyObject/properties/text/maxLength", json!(4096)),
    ] {
        if let Some((name, rest)) = pointer.trim_start_matches('/').split_once('/')
            && let Some(place) = schemas.get_mut(name).and_then(|schema| schema.pointer_mut(&format!("/{rest}")))
        {
            *place = replacement;
        }
    }
    if let Some(variants) = schemas.get_mut("ActionObject").and_then(|action| action.get_mut("oneOf"))
        && let Some(variants) = variants.as_array_mut()
    {
        variants.push(json!({
            "required": ["name", "parameters"],
            "properties": {"name": {"const": "cta_url"}, "parameters": {"type": "object",
                "required": ["display_text", "url"], "additionalProperties": false,
                "properties": {"display_text": {"type": "string", "maxLength": 20}, "url": {"type": "string"}}}},
        }));
        variants.push(json!({
            "required": ["name"], "not": {"required": ["parameters"]},
            "properties": {"name": {"enum": ["send_location", "request_contact_info"]}},
        }));
    }
}

const BASE: &str = "#/components/schemas/BaseMessageProperties";
/// The description's kinds of interactive messages, and those that came later.
const INTERACTIVE: [&str; 10] = [
    "button",
    "call_permission_request",
    "catalog_message",
    "list",
    "product",
    "product_list",
    "flow",
    "cta_url",
    "location_request_message",
    "request_contact_info",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> (GraphSpec, Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/specs/whatsapp-business-messaging-v23.yaml");
        let document: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (GraphSpec::load(&path).unwrap(), document)
    }

    #[test]
    fn metas_own_examples_conform_and_slips_do_not() {
        let (spec, document) = spec();
        let examples = document
            .pointer(
                "/paths/~1{Version}~1{Phone-Number-ID}~1messages/post/requestBody/content/application~1json/examples",
            )
            .and_then(Value::as_object)
            .unwrap();
        let refused: Vec<_> = examples
            .iter()
            .filter_map(|(name, example)| {
                let problems = spec.check(example.get("value")?);
                (!problems.is_empty()).then_some((name.as_str(), problems))
            })
            .collect();
        // Payment messages are in the examples only. One example has a placeholder where a choice belongs, and one
        // forgets the type of an interactive message.
        let names: Vec<_> = refused.iter().map(|(name, _)| *name).collect();
        let known = [
            "Send Multi-Product Message",
            "Send Order Details Message",
            "Send Order Status Message",
            "Send Reply to List Message",
        ];
        assert_eq!(names, known, "{refused:#?}");

        let good = json!({"messaging_product": "whatsapp", "recipient": "GB.123", "type": "text",
            "text": {"body": "a"}, "biz_opaque_callback_data": "pb1:c:t"});
        assert!(spec.check(&good).is_empty(), "{:?}", spec.check(&good));
        for slip in [
            json!({"messaging_product": "whatsapp", "to": "4477", "type": "text", "text": {"boddy": "a"}}),
            json!({"messaging_product": "whatsapp", "to": "4477", "type": "text", "text": {"body": 7}}),
            json!({"messaging_product": "whatsapp", "to": 4477, "type": "text", "text": {"body": "a"}}),
            json!({"messaging_product": "whatsapp", "to": "4477", "type": "text", "text": {"body": "a"}, "refernce": "x"}),
            json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "a"}}),
            json!({"messaging_product": "whatsapp", "to": "4477", "type": "image", "image": {"caption": "a"}}),
            json!({"messaging_product": "whatsapp", "status": "read"}),
            json!({"messaging_product": "whatsapp", "to": "4477", "type": "interactive", "interactive": {"type": "button",
                "body": {"text": "?"}, "action": {"buttons": [{"type": "reply", "reply": {"title": "no id"}}]}}}),
        ] {
            assert!(!spec.check(&slip).is_empty(), "{slip}");
        }
    }
}
