//! The built-in encyclopedia: a seeded, endless source of English-like articles with questions about them.
//!
//! Everything in it is invented and written here: it needs no file, no network and has no licence but this project's.

mod grammar;
mod kinds;
mod names;
mod words;

use grammar::{Topic, expand, free_sentence, sentence};
use kinds::{KINDS, SMALL_TALK};
use names::Names;

use crate::dice::{Dice, DiceKey};

/// An endless encyclopedia. Article number `i` of a seed is the same on every machine, and no two begin alike.
///
/// ```
/// use vllm_bench_corpus::Encyclopedia;
///
/// let article = Encyclopedia::new(1).article(42);
/// assert!(article.text.starts_with(&article.title));
/// assert_eq!(article, Encyclopedia::new(1).article(42));
/// ```
#[derive(Debug, Clone)]
pub struct Encyclopedia {
    key: DiceKey,
    names: Names,
}

/// One article: a passage of 60 to 220 words, and a question that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Article {
    /// Its name, which no other article has.
    pub title: String,
    /// One paragraph; it begins with the title.
    pub text: String,
    /// A question about it.
    pub question: String,
    /// The answer, which is in the text.
    pub answer: String,
}

impl Encyclopedia {
    /// The encyclopedia of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            key: DiceKey::new(seed, "encyclopedia"),
            names: Names::new(&mut Dice::new(seed, "encyclopedia names")),
        }
    }

    /// Article number `index`.
    pub fn article(&self, index: u64) -> Article {
        let mut dice = self.key.stream(index);
        let topic = Topic::new(self.names.unique(2 * index), &mut dice);
        let kind = &KINDS[dice.small(KINDS.len() as u32) as usize];
        let mut text = String::with_capacity(1024);
        sentence(&mut text, kind.opening, &topic, &mut dice);
        let facts = kind.facts;
        let asked = dice.small(facts.len() as u32) as usize;
        // The fact that is asked for stands somewhere among the free sentences, others may too.
        let free = dice.between(3, 9);
        let place = dice.small(free + 1);
        for at in 0..=free {
            if at == place {
                sentence(&mut text, facts[asked].told, &topic, &mut dice);
            } else if at % 3 == 2 {
                let other = (asked + 1 + at as usize / 3) % facts.len();
                if other != asked {
                    sentence(&mut text, facts[other].told, &topic, &mut dice);
                }
            }
            if at < free {
                free_sentence(&mut text, &topic, &mut dice);
            }
        }
        let mut question = String::new();
        expand(&mut question, facts[asked].question, &topic, &mut dice);
        let mut answer = String::new();
        sentence(&mut answer, facts[asked].told, &topic, &mut dice);
        Article { title: topic.name, text, question, answer }
    }

    /// Question and answer number `index` of small talk about the same world, for earlier turns of a conversation.
    pub fn exchange(&self, index: u64) -> (String, String) {
        // Names of articles and exchanges interleave, so that no question names an article that is a passage.
        let mut dice = self.key.stream(u64::MAX - index);
        let topic = Topic::new(self.names.unique(2 * index + 1), &mut dice);
        let mut question = String::new();
        let opening = SMALL_TALK[dice.small(SMALL_TALK.len() as u32) as usize];
        expand(&mut question, opening, &topic, &mut dice);
        let mut answer = String::new();
        for _ in 0..dice.between(1, 4) {
            free_sentence(&mut answer, &topic, &mut dice);
        }
        (question, answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn articles_differ_from_their_first_words_on_and_answer_their_question() {
        let book = Encyclopedia::new(1);
        let mut openings = HashSet::new();
        for i in 0..5000 {
            let article = book.article(i);
            assert!(article.text.starts_with(&article.title), "{article:?}");
            assert!(article.text.contains(&article.answer), "{article:?}");
            assert!(
                !article.text.contains(['{', '}']) && !article.question.contains(['{', '}']),
                "{article:?}"
            );
            let first: Vec<&str> = article.text.split(' ').take(2).collect();
            assert!(openings.insert(first.join(" ")), "{}", article.text);
        }
        assert_ne!(book.article(0), Encyclopedia::new(2).article(0));
    }

    #[test]
    fn sentences_have_natural_lengths() {
        let book = Encyclopedia::new(1);
        let text: String = (0..500).map(|i| book.article(i).text + " ").collect();
        let lengths: Vec<usize> =
            text.split(". ").map(|s| s.split_whitespace().count()).filter(|&n| n > 0).collect();
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert!((12.0..22.0).contains(&mean), "mean sentence {mean} words");
        assert!(lengths.iter().any(|&n| n < 8) && lengths.iter().any(|&n| n > 30), "{lengths:?}");
    }

    #[test]
    fn word_frequencies_fall_like_zipf() {
        let book = Encyclopedia::new(1);
        let mut counts = std::collections::HashMap::new();
        for i in 0..2000 {
            for word in
                book.article(i).text.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty())
            {
                *counts.entry(word.to_lowercase()).or_insert(0u64) += 1;
            }
        }
        let mut counts: Vec<u64> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let share = counts[0] as f64 / counts.iter().sum::<u64>() as f64;
        assert!((0.04..0.2).contains(&share), "the most frequent word has a share of {share}");
        assert!(counts[9] > 5 * counts[99] && counts[99] > 2 * counts[400], "{:?}", &counts[..20]);
    }

    #[test]
    fn exchanges_are_all_different() {
        let book = Encyclopedia::new(1);
        let all: HashSet<_> = (0..3000).map(|i| book.exchange(i).0).collect();
        assert_eq!(all.len(), 3000);
    }
}
