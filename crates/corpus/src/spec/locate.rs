//! Lines and columns of a TOML text.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// 1-based line and column (in characters) of a byte offset.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// The byte range of a key's value, such as `["length", "mean_tokens"]` or `["source", "1", "use"]`; of the nearest
/// table around it where the key is not written.
pub(super) fn span_of(text: &str, path: &[&str]) -> Range<usize> {
    let Ok(document) = DeTable::parse(text) else { return 0..0 };
    let mut span = 0..0;
    let mut table = document.get_ref();
    let mut value: Option<&DeValue<'_>> = None;
    for &step in path {
        let next = match value {
            Some(DeValue::Array(array)) => step.parse::<usize>().ok().and_then(|i| array.get(i)),
            Some(DeValue::Table(inner)) => {
                table = inner;
                entry(table, step)
            }
            None => entry(table, step),
            Some(_) => None,
        };
        let Some(next) = next else { break };
        span = next.span();
        value = Some(next.get_ref());
    }
    span
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t toml::Spanned<DeValue<'i>>> {
    table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"ä\"\n[length]\nmean_tokens = 0\n[[source]]\nkind = \"dolly\"\n[[source]]\nkind = \"x\"\n";

    #[test]
    fn offsets_become_lines_and_columns() {
        assert_eq!(line_and_column(TEXT, 0), (1, 1));
        assert_eq!(line_and_column(TEXT, TEXT.find("\"\n").expect("in it")), (1, 10));
        assert_eq!(line_and_column(TEXT, 10_000), (8, 1));
    }

    #[test]
    fn keys_are_found() {
        let at = |path: &[&str]| line_and_column(TEXT, span_of(TEXT, path).start);
        assert_eq!(at(&["length", "mean_tokens"]), (3, 15));
        assert_eq!(at(&["source", "1", "kind"]), (7, 8));
        assert_eq!(at(&["length", "spread"]), (2, 1), "the table, where the key is not written");
        assert_eq!(at(&["nothing"]), (1, 1));
    }
}
