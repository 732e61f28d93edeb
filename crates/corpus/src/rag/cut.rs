//! Cutting a passage to a number of tokens.

use super::text::{sentence_ends, word_ends};
use crate::Measure;

/// What is left of a cut passage has at least this many tokens of text, in a prompt that aims at `target`.
pub(super) fn least_left(target: u32) -> u32 {
    (target / 80).clamp(4, 16)
}

/// Where to cut `block` (its body begins at `body`) so that about `want` tokens are left: behind a sentence if one ends
/// within `slack` tokens of that, else behind a word. `None` when fewer than `least` would be left.
pub(super) fn cut(
    block: &str,
    body: usize,
    measure: &Measure,
    want: u32,
    slack: u32,
    least: u32,
) -> Option<usize> {
    if want >= measure.tokens() {
        return Some(block.len());
    }
    let ends = sentence_ends(&block[body..]).map(|end| body + end);
    let best = ends
        .map(|end| (measure.tokens_before(end), end))
        .filter(|&(tokens, _)| tokens >= least)
        .min_by_key(|&(tokens, end)| (tokens.abs_diff(want), end));
    if let Some((tokens, end)) = best.filter(|&(tokens, _)| tokens.abs_diff(want) <= slack) {
        debug_assert!(tokens >= least);
        return Some(end);
    }
    let mut last = None;
    for end in word_ends(&block[body..]).map(|end| body + end) {
        if measure.tokens_before(end) > want {
            break;
        }
        last = Some(end);
    }
    last.filter(|&end| measure.tokens_before(end) >= least)
        .or_else(|| unspaced(block, body, measure, want, least))
}

/// Text without spaces, such as Chinese: behind any character.
fn unspaced(block: &str, body: usize, measure: &Measure, want: u32, least: u32) -> Option<usize> {
    let ends = block[body..].char_indices().map(|(at, c)| body + at + c.len_utf8());
    ends.take_while(|&end| measure.tokens_before(end) <= want)
        .last()
        .filter(|&end| measure.tokens_before(end) >= least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuiltInCounter, TokenCounter};

    #[test]
    fn sentences_are_preferred_to_words() {
        let block = format!("Title\n{}", "One sentence has exactly eight words in it. ".repeat(8));
        let measure = BuiltInCounter::new().measure(&block).expect("counts");
        let left = |want, slack| {
            cut(&block, 6, &measure, want, slack, 18)
                .map(|end| (&block[..end], measure.tokens_before(end)))
        };
        let (text, tokens) = left(40, 6).expect("long enough");
        assert!(text.ends_with("it.") && tokens.abs_diff(40) <= 6, "{text}");
        let (text, tokens) = left(43, 0).expect("long enough");
        assert!(!text.ends_with(' ') && tokens.abs_diff(43) <= 1, "{text} {tokens}");
        assert_eq!(left(10, 5), None, "nearly nothing");
        assert_eq!(left(10_000, 5).expect("all").0, block);
    }

    #[test]
    fn text_without_spaces_is_cut_too() {
        let block = "语".repeat(200);
        let measure = BuiltInCounter::new().measure(&block).expect("counts");
        let end = cut(&block, 0, &measure, 20, 2, 4).expect("long enough");
        assert!(measure.tokens_before(end) <= 20 && block.is_char_boundary(end));
    }
}
