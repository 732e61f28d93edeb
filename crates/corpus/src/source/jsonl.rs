//! Walking a JSON Lines file, or one JSON array of rows.

use std::path::Path;

use serde_json::{Map, Value};

use super::array;
use crate::CorpusError;
use crate::unpack::{self, Lines};

/// Calls `row` with each line's object until `take` of them were read; gives how many, and the sha256 of the whole file.
pub(super) fn for_each(
    path: &Path,
    take: u64,
    mut row: impl FnMut(u64, Map<String, Value>) -> Result<(), CorpusError>,
) -> Result<(u64, String), CorpusError> {
    if unpack::first_byte(path)? == Some(b'[') {
        return array::for_each(path, take, row);
    }
    let mut lines = Lines::open(path)?;
    let mut count = 0;
    while count < take {
        let Some((number, line)) = lines.next()? else { break };
        let value: Value = serde_json::from_str(line)
            .map_err(|e| CorpusError::line(path, number, format!("not JSON: {e}")))?;
        match value {
            Value::Object(object) => row(number, object)?,
            other => {
                let message = format!("expected an object, found {}", kind(&other));
                return Err(CorpusError::line(path, number, message));
            }
        }
        count += 1;
    }
    Ok((count, lines.finish()?))
}

/// The first of `keys` that holds a text.
pub(super) fn text<'a>(row: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| row.get(*key).and_then(Value::as_str))
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The keys of a row, for an error.
pub(super) fn keys(row: &Map<String, Value>) -> String {
    row.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
}
