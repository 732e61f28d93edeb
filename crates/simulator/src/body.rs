//! Request bodies: from bytes to the protocol's types, with pydantic's complaints where they do not fit.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::refusal::{Complaint, Refusal};

/// A body as a JSON object.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Refusal::invalid(&[Complaint {
            kind: "model_attributes_type",
            place: "body".into(),
            message: "Input should be a valid dictionary or object to extract fields from",
            input: python(&other),
            context: None,
        }])),
        Err(problem) => Err(Refusal::invalid(&[not_json(bytes, &problem)])),
    }
}

/// Reads the fields into a request after a look at those that vLLM types.
pub(crate) fn read<T: DeserializeOwned>(
    fields: Map<String, Value>,
    required: &[&str],
    kinds: &[(&str, Kind)],
) -> Result<T, Refusal> {
    let mut complaints = Vec::new();
    for key in required.iter().filter(|key| !fields.contains_key(**key)) {
        complaints.push(Complaint {
            kind: "missing",
            place: format!("body.{key}"),
            message: "Field required",
            input: format!("'<dict of {} items>'", fields.len()),
            context: None,
        });
    }
    for (key, kind) in kinds {
        let value = fields.get(*key).filter(|value| !value.is_null());
        let Some((kind, message)) = value.and_then(|value| kind.problem(value)) else { continue };
        let input = value.map_or_else(String::new, python);
        complaints.push(Complaint {
            kind,
            place: format!("body.{key}"),
            message,
            input,
            context: None,
        });
    }
    if !complaints.is_empty() {
        return Err(Refusal::invalid(&complaints));
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|problem| Refusal::bad(problem.to_string()))
}

/// The type of a field. Null always passes: the field is then as good as absent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Integer,
    Number,
    Boolean,
    Text,
    List,
}

impl Kind {
    fn problem(self, value: &Value) -> Option<(&'static str, &'static str)> {
        match (self, value) {
            (Kind::Integer, Value::Number(number)) if number.is_f64() => Some((
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            )),
            (Kind::Integer, Value::Number(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Text, Value::String(_))
            | (Kind::List, Value::Array(_)) => None,
            (Kind::Integer, Value::String(_)) => Some((
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            )),
            (Kind::Number, Value::String(_)) => Some((
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
            )),
            (Kind::Boolean, Value::String(_) | Value::Number(_)) => {
                Some(("bool_parsing", "Input should be a valid boolean, unable to interpret input"))
            }
            (Kind::Integer, _) => Some(("int_type", "Input should be a valid integer")),
            (Kind::Number, _) => Some(("float_type", "Input should be a valid number")),
            (Kind::Boolean, _) => Some(("bool_type", "Input should be a valid boolean")),
            (Kind::Text, _) => Some(("string_type", "Input should be a valid string")),
            (Kind::List, _) => Some(("list_type", "Input should be a valid list")),
        }
    }
}

/// Where and why bytes are no JSON, in the words of Python's decoder.
fn not_json(bytes: &[u8], problem: &serde_json::Error) -> Complaint {
    let before: usize = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .take(problem.line() - 1)
        .map(<[u8]>::len)
        .sum();
    let mut at = (before + problem.column()).min(bytes.len());
    // serde_json counts the byte at fault, Python stops before it; at the end there is none.
    if !problem.is_eof() {
        at = at.saturating_sub(1);
    }
    let text = problem.to_string();
    let reason = if text.contains("string") && problem.is_eof() {
        "Unterminated string starting at"
    } else if text.contains("key must be a string") {
        "Expecting property name enclosed in double quotes"
    } else if text.contains("expected `,`") {
        "Expecting ',' delimiter"
    } else if text.contains("expected `:`") {
        "Expecting ':' delimiter"
    } else if text.contains("trailing characters") {
        "Extra data"
    } else {
        "Expecting value"
    };
    Complaint {
        kind: "json_invalid",
        place: format!("body.{at}"),
        message: "JSON decode error",
        input: "'<dict of 0 items>'".into(),
        context: Some(reason),
    }
}

/// A value as Python prints it, containers by their size alone.
pub(crate) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.chars().take(200).collect::<String>()),
        Value::Array(items) => format!("'<list of {} items>'", items.len()),
        Value::Object(fields) => format!("'<dict of {} items>'", fields.len()),
    }
}

/// A float as Python prints it: with a point, always.
pub(crate) fn python_float(value: f64) -> String {
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(body: &str) -> String {
        object(body.as_bytes()).expect_err(body).body
    }

    #[test]
    fn broken_json_is_placed_as_python_does() {
        let body = reason(r#"{"model":"tiny","messages":["#);
        assert!(
            body.contains(r#""param":"body.28""#) && body.contains("Expecting value"),
            "{body}"
        );
        let body = reason("{\"a\":1}\n x");
        assert!(body.contains("body.9") && body.contains("Extra data"), "{body}");
        assert!(reason("").contains("body.0"));
        assert!(reason("[1]").contains("<list of 1 items>"));
    }

    #[test]
    fn fields_of_the_wrong_type_are_all_named() {
        let fields =
            object(br#"{"max_tokens":"x","stream":3,"temperature":null}"#).expect("an object");
        let kinds = [
            ("max_tokens", Kind::Integer),
            ("stream", Kind::Boolean),
            ("temperature", Kind::Number),
        ];
        let refusal = read::<Value>(fields, &["messages"], &kinds).expect_err("three complaints");
        assert!(refusal.body.contains("3 validation errors"), "{}", refusal.body);
        for word in ["body.messages", "int_parsing", "bool_parsing"] {
            assert!(refusal.body.contains(word), "{word}: {}", refusal.body);
        }
    }
}
