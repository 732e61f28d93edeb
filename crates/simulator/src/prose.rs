//! The text of answers: sentences of common English words that mean nothing.

use std::collections::VecDeque;
use std::sync::LazyLock;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::config::AnswerLength;
use crate::tokenizer::Tokenizer;
use crate::words;

/// An endless or limited run of tokens that spell sentences; equal seeds write equal text.
pub(crate) struct Prose {
    rng: ChaCha8Rng,
    /// Tokens of the sentence begun.
    ready: VecDeque<u32>,
    /// Tokens until the end; None goes on for ever.
    left: Option<u32>,
    sentences: u32,
}

impl Prose {
    /// Text that never ends.
    pub(crate) fn endless(seed: u64) -> Self {
        Prose {
            rng: ChaCha8Rng::seed_from_u64(seed),
            ready: VecDeque::new(),
            left: None,
            sentences: 0,
        }
    }

    /// Text of `tokens` tokens.
    pub(crate) fn limited(seed: u64, tokens: u32) -> Self {
        Prose { left: Some(tokens), ..Prose::endless(seed) }
    }

    fn write_sentence(&mut self) {
        let lexicon = Lexicon::shared();
        let start = self.ready.len();
        self.write_clause(lexicon);
        if self.rng.random_bool(0.3) {
            self.ready.push_back(lexicon.comma);
            self.write(&lexicon.conjunctions);
            self.write_clause(lexicon);
        }
        self.ready.push_back(lexicon.full_stop);
        // The first word takes a capital, and no space before it where a paragraph starts.
        let paragraph = self.sentences.is_multiple_of(5);
        if let Some(first) = self.ready.get_mut(start) {
            *first = lexicon
                .first_words
                .iter()
                .find(|(word, ..)| word == first)
                .map_or(*first, |&(_, spaced, bare)| if paragraph { bare } else { spaced });
        }
        if paragraph && self.sentences > 0 {
            self.ready.push_front(lexicon.blank_line);
        }
        self.sentences += 1;
    }

    fn write_clause(&mut self, lexicon: &Lexicon) {
        self.write_object(lexicon);
        if self.rng.random_bool(0.25) {
            self.write(&lexicon.adverbs);
        }
        self.write(&lexicon.verbs);
        self.write_object(lexicon);
        if self.rng.random_bool(0.55) {
            self.write(&lexicon.prepositions);
            self.write_object(lexicon);
        }
    }

    fn write_object(&mut self, lexicon: &Lexicon) {
        self.write(&lexicon.determiners);
        if self.rng.random_bool(0.45) {
            self.write(&lexicon.adjectives);
        }
        self.write(&lexicon.nouns);
    }

    /// One word, early ones of the list far more often than late ones.
    fn write(&mut self, words: &[u32]) {
        let share = self.rng.random::<f64>().powi(2);
        let at = ((share * words.len() as f64) as usize).min(words.len() - 1);
        self.ready.push_back(words[at]);
    }
}

impl Iterator for Prose {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        while self.ready.is_empty() {
            self.write_sentence();
        }
        self.ready.pop_front()
    }
}

/// Builds the word lists now, so that the first request does not wait for them.
pub(crate) fn warm_up() {
    Lexicon::shared();
}

/// Draws the length of an answer that ends by itself, the end-of-sequence token included: at least one.
pub(crate) fn draw_length(length: AnswerLength, seed: u64) -> u32 {
    // A stream of its own, so that the length says nothing about the text.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    // Box and Muller's normal deviate; 1 - u keeps the logarithm finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * rng.random::<f64>()).cos();
    // The log-normal's mean is exp(mu + sigma²/2).
    let mu = length.mean_tokens.ln() - length.spread.powi(2) / 2.0;
    let tokens = (mu + length.spread * normal).exp().round();
    tokens.clamp(1.0, f64::from(u32::MAX)) as u32
}

/// Tokens of the words by kind; each word is one token with the space before it.
struct Lexicon {
    determiners: Vec<u32>,
    adjectives: Vec<u32>,
    nouns: Vec<u32>,
    verbs: Vec<u32>,
    adverbs: Vec<u32>,
    prepositions: Vec<u32>,
    conjunctions: Vec<u32>,
    /// A determiner, then the same with a capital, then with a capital and no space.
    first_words: Vec<(u32, u32, u32)>,
    full_stop: u32,
    comma: u32,
    blank_line: u32,
}

impl Lexicon {
    fn shared() -> &'static Lexicon {
        static SHARED: LazyLock<Lexicon> = LazyLock::new(Lexicon::build);
        &SHARED
    }

    fn build() -> Self {
        let token = |text: &str| Tokenizer::shared().encode(text)[0];
        let kind = |kind| words::of_kind(kind).map(|word| token(&format!(" {word}"))).collect();
        let first_words = words::of_kind("determiner").map(|word| {
            let capital = words::capitalised(word);
            (token(&format!(" {word}")), token(&format!(" {capital}")), token(&capital))
        });
        Lexicon {
            determiners: kind("determiner"),
            adjectives: kind("adjective"),
            nouns: kind("noun"),
            verbs: kind("verb"),
            adverbs: kind("adverb"),
            prepositions: kind("preposition"),
            conjunctions: kind("conjunction"),
            first_words: first_words.collect(),
            full_stop: token("."),
            comma: token(","),
            blank_line: token("\n\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::EOS;

    fn text(prose: Prose, tokens: usize) -> String {
        Tokenizer::shared().decode(&prose.take(tokens).collect::<Vec<_>>())
    }

    #[test]
    fn equal_seeds_write_equal_text_and_others_do_not() {
        assert_eq!(text(Prose::endless(1), 300), text(Prose::endless(1), 300));
        assert_ne!(text(Prose::endless(1), 20), text(Prose::endless(2), 20));
    }

    #[test]
    fn it_reads_as_sentences_in_paragraphs() {
        let text = text(Prose::endless(3), 400);
        let paragraphs: Vec<_> = text.split("\n\n").collect();
        assert!(paragraphs.len() > 3, "{text}");
        for paragraph in &paragraphs {
            assert!(paragraph.starts_with(|c: char| c.is_ascii_uppercase()), "{paragraph}");
        }
        assert!(text.contains(". ") && !text.contains("  "), "{text}");
    }

    #[test]
    fn a_limit_is_kept_exactly() {
        assert_eq!(Prose::limited(1, 7).count(), 7);
        assert_eq!(Prose::limited(1, 0).count(), 0);
    }

    #[test]
    fn every_word_is_one_token() {
        for kind in
            ["determiner", "adjective", "noun", "verb", "adverb", "preposition", "conjunction"]
        {
            for word in words::of_kind(kind) {
                let tokens = Tokenizer::shared().encode(&format!(" {word}"));
                assert!(tokens.len() == 1 && tokens[0] > EOS, "{word}");
            }
        }
    }

    #[test]
    fn lengths_keep_their_mean_and_never_reach_zero() {
        let length = AnswerLength { mean_tokens: 180.0, spread: 0.5 };
        let lengths: Vec<_> = (0..4000).map(|seed| draw_length(length, seed)).collect();
        let mean = lengths.iter().map(|&n| f64::from(n)).sum::<f64>() / 4000.0;
        assert!((170.0..190.0).contains(&mean), "{mean}");
        assert!(lengths.iter().all(|&n| n >= 1));
        let exact = AnswerLength { mean_tokens: 42.0, spread: 0.0 };
        assert!((0..50).all(|seed| draw_length(exact, seed) == 42));
    }
}
