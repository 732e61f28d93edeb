//! Tidying text: footnote marks, line ends, runs of empty lines.

use crate::spec::Footnotes;

/// Line feeds only, no spaces at line ends, at most one empty line in a row, no control characters.
pub(super) fn tidy(text: &str, footnotes: Footnotes) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        empty = 0;
        out.extend(line.chars().filter(|&c| !c.is_control() || c == '\t'));
    }
    match footnotes {
        Footnotes::Strip => without_footnotes(&out),
        Footnotes::Keep => out,
    }
}

/// The text without Wikipedia's marks: `[3]`, `[12]`, `[note 1]`, `[nb 2]`, `[a]`, `[citation needed]` and the like. A mark
/// stands directly behind a word or a stop; other brackets, such as those of a transcription or of code, stay.
fn without_footnotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        match from.find(']') {
            Some(close) if is_mark(&from[1..close]) && attached(&out) => rest = &from[close + 1..],
            _ => {
                out.push('[');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn attached(before: &str) -> bool {
    before.chars().next_back().is_some_and(|c| {
        c.is_alphanumeric() && !c.is_ascii_punctuation() || ".,;:!?)\"'”’]%".contains(c)
    })
}

fn is_mark(inside: &str) -> bool {
    const WORDS: [&str; 7] = ["note", "nb", "n", "n.", "list", "p", "fn"];
    const REMARKS: [&str; 9] = [
        "citation needed",
        "who?",
        "when?",
        "by whom?",
        "which?",
        "where?",
        "page needed",
        "clarification needed",
        "needs update",
    ];
    let number = |s: &str| !s.is_empty() && s.len() <= 3 && s.bytes().all(|b| b.is_ascii_digit());
    let lower = inside.to_lowercase();
    number(inside)
        || REMARKS.contains(&lower.as_str())
        || (inside.len() == 1 && inside.bytes().all(|b| b.is_ascii_lowercase()))
        || lower
            .split_once(' ')
            .is_some_and(|(word, n)| WORDS.contains(&word) && (number(n) || n.len() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_other_brackets_stay() {
        let cases = [
            (
                "In 1066.[3] Then[note 1] it[nb 2][4] was[a] so.[citation needed]",
                "In 1066. Then it was so.",
            ),
            (
                "Hawaii [həˈvɐjʔi] and [The SCMs] and v[i+1]",
                "Hawaii [həˈvɐjʔi] and [The SCMs] and v[i+1]",
            ),
            ("a list [1] to [2]", "a list [1] to [2]"),
            ("open [ and [3", "open [ and [3"),
            ("x[1000]", "x[1000]"),
        ];
        for (text, expected) in cases {
            assert_eq!(tidy(text, Footnotes::Strip), expected);
            assert_eq!(tidy(text, Footnotes::Keep), text);
        }
    }

    #[test]
    fn lines_are_tidied() {
        assert_eq!(tidy("\r\n a \r\n\n\n\nb\u{0}\t1\n \n", Footnotes::Keep), " a\n\nb\t1");
        assert_eq!(tidy("", Footnotes::Strip), "");
    }
}
