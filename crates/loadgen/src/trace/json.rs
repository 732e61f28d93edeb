//! One line of JSON Lines, taken apart.

use serde_json::{Map, Value};

/// The object in `line`.
///
/// # Errors
/// What is wrong, with its 1-based column.
pub(crate) fn parse(line: &str) -> Result<Map<String, Value>, (usize, String)> {
    serde_json::from_str(line).map_err(|e| {
        let byte = e.column();
        let head = line.get(..byte.saturating_sub(1)).unwrap_or(line);
        let column = head.chars().count() + 1;
        // The parser stops within the word.
        for word in ["-Infinity", "Infinity", "NaN"] {
            let near = byte.saturating_sub(3)..=byte;
            if near.into_iter().any(|at| line.get(at..).is_some_and(|text| text.starts_with(word)))
            {
                return (column, format!("{word} is not a number"));
            }
        }
        let text = e.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        (column, format!("not a JSON object: {reason}"))
    })
}

/// 1-based column of the value of `key` in `line`; 1 where it is not found.
pub(crate) fn column(line: &str, key: &str) -> usize {
    let quoted = format!("\"{key}\"");
    for (at, found) in line.match_indices(&quoted) {
        let after = &line[at + found.len()..];
        let Some(value) = after.trim_start().strip_prefix(':') else { continue };
        let byte = line.len() - value.trim_start().len();
        return line[..byte].chars().count() + 1;
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_of_values() {
        let line = r#"{"é": "b", "b" : 3}"#;
        assert_eq!(column(line, "é"), 7);
        assert_eq!(column(line, "b"), 18);
        assert_eq!(column(line, "c"), 1);
    }

    #[test]
    fn errors_have_a_column_and_words() {
        for (line, at, says) in [
            (r#"{"timestamp": NaN}"#, 15, "NaN is not a number"),
            (r#"{"timestamp": -Infinity}"#, 16, "-Infinity is not a number"),
            (r#"{"timestamp": 3"#, 15, "EOF while parsing an object"),
            ("[1, 2]", 1, "not a JSON object: invalid type: sequence"),
            ("timestamp,input", 2, "not a JSON object: expected"),
        ] {
            let (column, message) = parse(line).expect_err(line);
            assert!(message.contains(says), "{line}: {message}");
            assert!(column.abs_diff(at) <= 1, "{line}: column {column}");
            assert!(!message.contains("at line"), "{message}");
        }
    }
}
