//! Values that fit a JSON schema, for answers that must be one: `response_format` and tool calls.

use serde_json::{Map, Value, json};

/// Schemas can refer to themselves; deeper than this, a value is null.
const DEEPEST: usize = 16;

/// The plainest value that fits the schema; null where the schema says nothing that is understood.
pub(crate) fn instance(schema: &Value) -> Value {
    value(schema, schema, DEEPEST)
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let within = |schema: &Value| value(schema, root, depth - 1);
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return target
            .strip_prefix('#')
            .and_then(|at| root.pointer(at))
            .map_or(Value::Null, within);
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema.get(key)?.get(0))
    {
        return within(first);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None => schema.get("properties").map(|_| "object"),
    };
    match kind {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            Value::Object(
                fields.map(|(name, schema)| (name.clone(), within(schema))).collect::<Map<_, _>>(),
            )
        }
        Some("array") => {
            let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 64);
            let item = schema.get("items").map_or(Value::Null, within);
            Value::Array((0..count).map(|_| item.clone()).collect())
        }
        Some("string") => json!("river"),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_their_schemas() {
        let cases = [
            (json!({"enum": ["Paris", "Oslo"]}), json!("Paris")),
            (json!({"type": "integer", "minimum": 7}), json!(7)),
            (json!({"type": ["string", "null"]}), json!("river")),
            (json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), json!(true)),
            (
                json!({"type": "array", "items": {"type": "number"}, "minItems": 2}),
                json!([1.5, 1.5]),
            ),
            (
                json!({"$defs": {"n": {"const": 3}}, "properties": {"n": {"$ref": "#/$defs/n"}}}),
                json!({"n": 3}),
            ),
            (json!({}), Value::Null),
        ];
        for (schema, expected) in cases {
            assert_eq!(instance(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_without_end_has_one() {
        let schema = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(instance(&schema).is_object());
    }
}
