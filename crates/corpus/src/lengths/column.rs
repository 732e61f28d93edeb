//! Lengths from a trace: one column of a CSV file, one key of JSON Lines, or a number a line.

use std::path::Path;

use serde_json::{Map, Value};

use crate::CorpusError;
use crate::unpack::Lines;

/// Names that traces have for the length of a prompt: Azure's, Mooncake's, vLLM's, BurstGPT's, others'.
const KNOWN: [&str; 6] = [
    "ContextTokens",
    "input_length",
    "prompt_tokens",
    "Request tokens",
    "prompt_len",
    "input_tokens",
];

/// Lengths as they stand in a file.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) values: Vec<u32>,
    /// Lines with a length of 0.
    pub(super) empty: u64,
    pub(super) sha256: String,
}

/// Where in a line a value stands, and what it is.
struct Cell<'l> {
    text: &'l str,
    column: usize,
}

enum Form {
    Csv { at: usize, name: String },
    Json { key: String },
    Numbers,
}

/// Reads the column `name`, or the first known one.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Column, CorpusError> {
    let mut lines = Lines::open(path)?;
    let mut form: Option<Form> = None;
    let (mut values, mut empty) = (Vec::new(), 0);
    while let Some((number, line)) = lines.next()? {
        let wrong = |column: usize, message: String| CorpusError::Value {
            path: path.to_owned(),
            line: number,
            column,
            message,
        };
        let form = match &form {
            Some(form) => form,
            None => {
                let found = Form::of(line, name).map_err(|message| wrong(1, message))?;
                let heads = matches!(found, Form::Csv { .. });
                let form = form.insert(found);
                if heads {
                    continue;
                }
                form
            }
        };
        let value = match form {
            Form::Json { key } => {
                json(line, key).map_err(|(column, message)| wrong(column, message))?
            }
            Form::Csv { at, name } => {
                let cell = cells(line).nth(*at).ok_or_else(|| {
                    let message = format!("this line has no column {} ({name})", at + 1);
                    wrong(line.chars().count().max(1), message)
                })?;
                length(&cell).map_err(|message| wrong(cell.column, message))?
            }
            Form::Numbers => {
                let cell = Cell { text: line.trim(), column: 1 };
                length(&cell).map_err(|message| wrong(1, message))?
            }
        };
        if value == 0 {
            empty += 1;
        } else {
            values.push(value);
        }
    }
    if values.is_empty() {
        return Err(CorpusError::source(path, "has no lengths"));
    }
    Ok(Column { values, empty, sha256: lines.finish()? })
}

impl Form {
    /// Told by the first line.
    fn of(line: &str, name: Option<&str>) -> Result<Self, String> {
        let choose = |names: &[String]| {
            let found = match name {
                Some(name) => names.iter().position(|n| n == name),
                None => KNOWN.iter().find_map(|known| names.iter().position(|n| n == known)),
            };
            found.ok_or_else(|| {
                let wanted = match name {
                    Some(name) => format!("no column `{name}`"),
                    None => format!("none of the known columns ({})", KNOWN.join(", ")),
                };
                format!("{wanted}; found: {}", names.join(", "))
            })
        };
        if line.trim_start().starts_with('{') {
            let row: Map<String, Value> =
                serde_json::from_str(line).map_err(|e| format!("not JSON: {e}"))?;
            let names: Vec<String> = row.keys().cloned().collect();
            return choose(&names).map(|at| Self::Json { key: names[at].clone() });
        }
        if name.is_none() && line.trim().parse::<u32>().is_ok() {
            return Ok(Self::Numbers);
        }
        let names: Vec<String> = cells(line).map(|cell| cell.text.to_owned()).collect();
        choose(&names).map(|at| Self::Csv { at, name: names[at].clone() })
    }
}

/// The cells of a CSV line. Lengths and their names hold no quoted commas.
fn cells(line: &str) -> impl Iterator<Item = Cell<'_>> {
    let mut column = 1;
    line.split(',').map(move |cell| {
        let text = cell.trim().trim_matches('"');
        let here = Cell { text, column };
        column += cell.chars().count() + 1;
        here
    })
}

fn length(cell: &Cell<'_>) -> Result<u32, String> {
    cell.text.parse().map_err(|_| {
        format!("`{}` is not a number of tokens (a whole number, 0 or more)", cell.text)
    })
}

fn json(line: &str, key: &str) -> Result<u32, (usize, String)> {
    let row: Map<String, Value> =
        serde_json::from_str(line).map_err(|e| (e.column(), format!("not JSON: {e}")))?;
    let value = row.get(key).ok_or_else(|| (1, format!("no key `{key}`")))?;
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| {
        let quoted = format!("\"{key}\"");
        let at = line.find(&quoted).map_or(0, |at| at + quoted.len());
        let at = line[at..].find(|c: char| c != ':' && c != ' ').map_or(at, |more| at + more);
        let message = format!("`{value}` is not a number of tokens (a whole number, 0 or more)");
        (line[..at].chars().count() + 1, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: Option<&str>, expected: Result<&[u32], &str>) {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("t");
        std::fs::write(&path, text).expect("written");
        let found = read(&path, name);
        match (found, expected) {
            (Ok(found), Ok(values)) => assert_eq!(found.values, values),
            (Err(error), Err(words)) => {
                let error = error.to_string();
                assert!(error.contains(&format!("t:{words}")), "expected {words}\nfound {error}");
            }
            (found, _) => panic!("{text:?}: {found:?}"),
        }
    }

    #[test]
    fn traces_as_they_are_published() {
        check(
            "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.68,374,44\r\n2023-11-16 18:15:50.99,0,1\r\n2023-11-16 18:15:51,879,55",
            None,
            Ok(&[374, 879]),
        );
        check(
            "{\"timestamp\": 0, \"input_length\": 6755, \"hash_ids\": [1]}\n{\"timestamp\": 0, \"input_length\": 7319}\n",
            None,
            Ok(&[6755, 7319]),
        );
        check("12\n\n34\n", None, Ok(&[12, 34]));
        check("a,\"n\"\n1,\"5\"\n", Some("n"), Ok(&[5]));
    }

    #[test]
    fn what_is_wrong_has_a_line_and_a_column() {
        check(
            "TIMESTAMP,ContextTokens\nä,12\nb,x\n",
            None,
            Err("3:3: `x` is not a number of tokens"),
        );
        check(
            "TIMESTAMP,ContextTokens\na\n",
            None,
            Err("2:1: this line has no column 2 (ContextTokens)"),
        );
        check("a,b\n1,2\n", None, Err("1:1: none of the known columns (ContextTokens,"));
        check("a,b\n1,2\n", Some("c"), Err("1:1: no column `c`; found: a, b"));
        check("{\"input_length\": 5}\n{\"input_length\": -5}\n", None, Err("2:18: `-5` is not"));
        check("{\"input_length\": 5}\n{\"input\": 5}\n", None, Err("2:1: no key `input_length`"));
        check("{\"input_length\": 5}\n{\"input_length\": 5\n", None, Err("2:18: not JSON"));
    }
}
