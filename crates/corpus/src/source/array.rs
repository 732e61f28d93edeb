//! Walking one JSON array of objects, as ShareGPT is published: row by row, however long it is.

use std::cell::RefCell;
use std::io::BufReader;
use std::path::Path;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::jsonl::kind;
use crate::CorpusError;
use crate::unpack::Hashed;

/// As [`for_each`](super::jsonl::for_each) of lines; errors name the row.
pub(super) fn for_each(
    path: &Path,
    take: u64,
    row: impl FnMut(u64, Map<String, Value>) -> Result<(), CorpusError>,
) -> Result<(u64, String), CorpusError> {
    let mut file = Hashed::open(path)?;
    let failed = RefCell::new(None);
    let rows = Rows { path, take, row, failed: &failed };
    let read = {
        let mut json =
            serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 18, &mut file));
        json.deserialize_seq(rows).and_then(|count| json.end().map(|()| count))
    };
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let count = read.map_err(|e| CorpusError::Value {
        path: path.to_owned(),
        line: e.line() as u64,
        column: e.column().max(1),
        message: format!("not a JSON array of objects: {e}"),
    })?;
    Ok((count, file.finish().map_err(CorpusError::io("read", path))?))
}

struct Rows<'a, F> {
    path: &'a Path,
    take: u64,
    row: F,
    /// The caller's own error: serde has no room for it.
    failed: &'a RefCell<Option<CorpusError>>,
}

impl<'de, F> Visitor<'de> for Rows<'_, F>
where
    F: FnMut(u64, Map<String, Value>) -> Result<(), CorpusError>,
{
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<u64, A::Error> {
        let mut count = 0;
        while count < self.take {
            let Some(value) = rows.next_element::<Value>()? else { return Ok(count) };
            count += 1;
            let outcome = match value {
                Value::Object(object) => (self.row)(count, object),
                other => {
                    let message = format!("expected an object, found {}", kind(&other));
                    Err(CorpusError::line(self.path, count, message))
                }
            };
            if let Err(error) = outcome {
                // What a reader of lines calls a line is a row here.
                self.failed.replace(Some(match error {
                    CorpusError::SourceLine { path, line, message } => {
                        CorpusError::source(&path, format!("row {line}: {message}"))
                    }
                    other => other,
                }));
                return Err(serde::de::Error::custom("a row cannot be used"));
            }
        }
        while rows.next_element::<IgnoredAny>()?.is_some() {}
        Ok(count)
    }
}
