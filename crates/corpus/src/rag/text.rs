//! Where sentences and words end.

/// Byte offsets just behind each sentence of a text.
pub(crate) fn sentence_ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    let stops =
        text.char_indices().filter(|&(_, c)| matches!(c, '.' | '!' | '?' | '。' | '！' | '？'));
    stops.filter_map(move |(at, stop)| {
        let after = at + stop.len_utf8();
        let closing = text[after..]
            .chars()
            .take_while(|c| "\"'”’)]".contains(*c))
            .map(char::len_utf8)
            .sum::<usize>();
        let end = after + closing;
        let mut rest = text[end..].chars();
        let ends = match rest.next() {
            None => true,
            Some(c) if c.is_whitespace() => {
                rest.find(|c| !c.is_whitespace()).is_none_or(|c| !c.is_lowercase())
            }
            Some(_) => !stop.is_ascii(),
        };
        (ends && !(stop == '.' && abbreviation(&text[..at]))).then_some(end)
    })
}

/// Does a stop behind this text belong to a word: an initial, or a usual short form?
fn abbreviation(before: &str) -> bool {
    const SHORT: [&str; 21] = [
        "Mr", "Mrs", "Ms", "Dr", "St", "Jr", "Sr", "vs", "etc", "ca", "c", "approx", "Prof", "Gen",
        "Col", "Lt", "Sgt", "Rev", "Fig", "e.g", "i.e",
    ];
    let word = before
        .rsplit(|c: char| c.is_whitespace() || "(\"'“‘[".contains(c))
        .next()
        .unwrap_or_default();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let dotted = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1);
    initial || dotted || SHORT.contains(&word)
}

/// Byte offsets just behind each word.
pub(super) fn word_ends(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.char_indices().zip(text.chars().skip(1)).filter_map(|((at, c), next)| {
        (!c.is_whitespace() && next.is_whitespace()).then_some(at + c.len_utf8())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let ends: Vec<usize> = sentence_ends(text).collect();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let got: Vec<&str> =
            starts.zip(&ends).map(|(start, &end)| text[start..end].trim()).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn sentences_end_where_they_end() {
        check("One. Two! Three?", &["One.", "Two!", "Three?"]);
        check("He said \"No.\" Then left. Look, e.g. this", &["He said \"No.\"", "Then left."]);
        check(
            "Mr. J. S. Bach of the U.S. Army had 3.5 apples. Yes.",
            &["Mr. J. S. Bach of the U.S. Army had 3.5 apples.", "Yes."],
        );
        check("no end", &[]);
        check("一。二。", &["一。", "二。"]);
    }

    #[test]
    fn words_end_before_spaces() {
        assert_eq!(word_ends("ab  cé d").collect::<Vec<_>>(), [2, 7]);
    }
}
