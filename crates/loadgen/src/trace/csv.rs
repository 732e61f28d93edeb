//! One line of CSV, taken apart (RFC 4180, without line ends in quotes).

use std::borrow::Cow;

/// A field and its 1-based column, characters.
pub(crate) type Field<'a> = (usize, Cow<'a, str>);

/// The fields of `line`.
///
/// # Errors
/// A quote that is not closed, or text after one, with its column.
pub(crate) fn split(line: &str) -> Result<Vec<Field<'_>>, (usize, String)> {
    let column = |byte: usize| line[..byte].chars().count() + 1;
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let rest = &line[start..];
        let (text, end) = if rest.starts_with('"') {
            let (text, length) = quoted(rest)
                .ok_or_else(|| (column(start), "the quote is not closed on its line".to_owned()))?;
            (text, start + length)
        } else {
            let length = rest.find(',').unwrap_or(rest.len());
            (Cow::Borrowed(&rest[..length]), start + length)
        };
        fields.push((column(start), text));
        match line.as_bytes().get(end) {
            None => return Ok(fields),
            Some(b',') => start = end + 1,
            Some(_) => return Err((column(end), "text after the closing quote".into())),
        }
    }
}

/// The content of the quotes that `text` begins with, and their length in it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, usize)> {
    let mut from = 1;
    loop {
        let quote = from + text[from..].find('"')?;
        if text[quote + 1..].starts_with('"') {
            from = quote + 2;
            continue;
        }
        let inner = &text[1..quote];
        let content =
            if inner.contains('"') { inner.replace("\"\"", "\"").into() } else { inner.into() };
        return Some((content, quote + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[(usize, &str)]) {
        let got = split(line).expect(line);
        let got: Vec<(usize, &str)> = got.iter().map(|(c, t)| (*c, t.as_ref())).collect();
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn fields_know_their_columns() {
        check("a,bb,c", &[(1, "a"), (3, "bb"), (6, "c")]);
        check("é,1,", &[(1, "é"), (3, "1"), (5, "")]);
        check("\"a,b\",\"say \"\"hi\"\"\",\"\"", &[(1, "a,b"), (7, "say \"hi\""), (20, "")]);
        check("", &[(1, "")]);
    }

    #[test]
    fn broken_quotes_are_errors() {
        assert_eq!(split("a,\"b").expect_err("open").0, 3);
        assert_eq!(split("a,\"b\"c,d").expect_err("text after").0, 6);
        assert_eq!(split("\"a\"\"").expect_err("open").0, 1);
    }
}
