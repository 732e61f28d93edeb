//! Numbers and foreign text as people read them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use vllm_bench_record::words::plain;
pub(crate) use vllm_bench_record::words::{count, number, of, percent, time};

/// What stands where there is no figure.
pub(crate) const NONE: &str = "-";

/// [`number`] in at most `width` columns: without commas, then with a magnitude (`12.3M`), then as
/// a power of ten.
pub(crate) fn fit(value: f64, width: usize) -> String {
    let whole = number(value);
    if whole.len() <= width {
        return whole;
    }
    let without_commas = plain(value);
    if without_commas.len() <= width {
        return without_commas;
    }
    for (size, unit) in [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")] {
        let scaled = value / size;
        for decimals in [1, 0] {
            let text = format!("{scaled:.decimals$}{unit}");
            if scaled.abs() < 999.5 && text.len() <= width {
                return text;
            }
        }
    }
    let power = format!("{value:.0e}");
    if power.len() <= width { power } else { "#".repeat(width) }
}

/// [`count`] in at most `width` columns, as [`fit`] does it.
pub(crate) fn fit_count(n: u64, width: usize) -> String {
    let whole = count(n);
    if whole.len() <= width {
        return whole;
    }
    let without_commas = n.to_string();
    if without_commas.len() <= width { without_commas } else { fit(n as f64, width) }
}

/// Nanoseconds as milliseconds, [`number`].
pub(crate) fn ms(ns: f64) -> String {
    number(ns / 1e6)
}

/// `text` with everything that could steer a terminal or change its reading order made visible:
/// control characters (escape, carriage return, backspace and C1 among them), bidirectional
/// overrides and isolates, line and paragraph separators. Line feeds and tabs stay when `lines`.
pub(crate) fn shown(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hostile = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{61c}');
        match c {
            '\n' | '\t' if lines => out.push(c),
            c if hostile => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Columns that `text` takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` with its first letter as a sentence begins.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `text` cut to at most `max` columns, with `…` in place of what was cut.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.width() <= max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > max {
            break;
        }
        used += wide;
        out.push(c);
    }
    if max > 0 {
        out.push('…');
    }
    out
}

/// `text` in lines of at most `max` columns, broken at spaces, words that are too long anywhere;
/// spaces before its first word stay, lines after the first are indented by `indent`.
pub(crate) fn wrap(text: &str, max: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let margin = " ".repeat(indent);
    let rest = text.trim_start_matches(' ');
    let mut line = text[..text.len() - rest.len()].to_owned();
    let mut begun = false;
    for word in rest.split(' ') {
        let fits = |line: &str, word: &str| line.width() + 1 + word.width() <= max;
        if !begun {
            line.push_str(word);
            begun = true;
        } else if fits(&line, word) {
            line = format!("{line} {word}");
        } else {
            lines.push(line);
            line = format!("{margin}{word}");
        }
        while line.width() > max {
            let (head, tail) = split_at(&line, max);
            lines.push(head);
            line = format!("{margin}{tail}");
        }
    }
    lines.push(line);
    lines
}

/// Parts joined by ` · ` and [`wrap`]ped between them, so that a number stays with its unit;
/// a part that is too long for a line is broken all the same.
pub(crate) fn wrap_parts(parts: &[String], max: usize, first: usize, indent: usize) -> Vec<String> {
    const GLUE: &str = "\u{a0}";
    let glued: Vec<String> = parts.iter().map(|part| part.replace(' ', GLUE)).collect();
    let text = format!("{}{}", " ".repeat(first), glued.join(&format!("{GLUE}· ")));
    wrap(&text, max, indent).iter().map(|line| line.replace(GLUE, " ")).collect()
}

/// Splits at `max` columns; takes at least one character beyond the spaces at its start, so that
/// wrapping ends.
fn split_at(line: &str, max: usize) -> (String, String) {
    let margin = line.chars().take_while(|c| *c == ' ').count();
    let mut used = 0;
    let mut at = line.len();
    for (seen, (i, c)) in line.char_indices().enumerate() {
        used += c.width().unwrap_or(0);
        if used > max && seen > margin {
            at = i;
            break;
        }
    }
    let (head, tail) = line.split_at(at);
    (head.to_owned(), tail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_column() {
        let check =
            |value: f64, width: usize, expected: &str| assert_eq!(fit(value, width), expected);
        check(600_000.0, 7, "600,000");
        check(600_000.0, 6, "600000");
        check(600_000.0, 5, "600k");
        check(12_345_678.0, 6, "12.3M");
        check(9.99e15, 6, "1e16");
        check(999_960.0, 5, "1.0M");
        check(1e300, 3, "###");
        assert_eq!(
            [7, 1_234, 123_456, u64::MAX].map(|n| fit_count(n, 5)),
            ["7", "1,234", "123k", "2e19"]
        );
    }

    #[test]
    fn hostile_text_is_made_visible() {
        assert_eq!(shown("a\u{1b}[31mred\u{7}\r\n", false), "a\\u{1b}[31mred\\u{7}\\r\\n");
        assert_eq!(shown("a\nb\tc\u{9b}2J", true), "a\nb\tc\\u{9b}2J");
        assert_eq!(shown("x\u{202e}y\u{2066}z", true), "x\\u{202e}y\\u{2066}z");
        assert_eq!(shown("naïve 漢字 🙂", true), "naïve 漢字 🙂");
    }

    #[test]
    fn cutting_and_wrapping_count_columns() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(wrap("one two three", 8, 2), ["one two", "  three"]);
        assert_eq!(wrap("  one two", 7, 4), ["  one", "    two"]);
        assert_eq!(wrap("", 6, 4), [""]);
        let parts = ["lag 0 ms".to_owned(), "in 3 chunks".to_owned(), "x".to_owned()];
        assert_eq!(wrap_parts(&parts, 20, 2, 4), ["  lag 0 ms ·", "    in 3 chunks · x"]);
        assert_eq!(wrap("abcdefghij", 4, 2), ["abcd", "  ef", "  gh", "  ij"]);
        assert_eq!(wrap("漢字漢字", 5, 2), ["漢字", "  漢", "  字"]);
    }
}
