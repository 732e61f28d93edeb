//! What sources are read into.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use vllm_bench_protocol::ChatMessage;

/// A piece of text for the context.
#[derive(Debug, Clone)]
pub(crate) struct Passage {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    /// May it fill up contexts? Otherwise it only stands beside the question that was asked about it.
    pub(crate) fills: bool,
}

/// A question and its human answer.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) question: String,
    pub(crate) answer: Option<String>,
    /// The passage that it was asked about: an index into the passages.
    pub(crate) passage: Option<usize>,
    /// Other passages that the source has beside it: further evidence first, then distractors.
    pub(crate) near: Vec<usize>,
    pub(crate) as_question: bool,
    pub(crate) as_history: bool,
}

/// A ready-made prompt.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) reference: Option<String>,
}

/// Everything that the sources gave, without repeats.
#[derive(Debug, Default)]
pub(crate) struct Material {
    pub(crate) passages: Vec<Passage>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) ready: Vec<Ready>,
    seen_passages: HashMap<u128, usize>,
    seen_questions: HashSet<u128>,
    /// Records that gave nothing new, of the source being read.
    pub(crate) left_out: u64,
}

impl Material {
    /// Adds a passage and gives its index; `None` when it is empty. One that is there already keeps its index.
    pub(crate) fn passage(
        &mut self,
        title: Option<&str>,
        text: &str,
        fills: bool,
    ) -> Option<usize> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let fingerprint = fingerprint(&[text]);
        if let Some(&at) = self.seen_passages.get(&fingerprint) {
            if let Some(passage) = self.passages.get_mut(at) {
                passage.fills |= fills;
            }
            return Some(at);
        }
        self.seen_passages.insert(fingerprint, self.passages.len());
        let title = title.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        self.passages.push(Passage { title, text: text.to_owned(), fills });
        Some(self.passages.len() - 1)
    }

    /// Adds a question. One that was asked already about the same passage, or without one, is left out.
    pub(crate) fn exchange(&mut self, exchange: Exchange) -> bool {
        let about = exchange.passage.map_or(String::new(), |at| at.to_string());
        let new = !exchange.question.trim().is_empty()
            && self.seen_questions.insert(fingerprint(&[&exchange.question, &about]));
        if new {
            self.exchanges.push(exchange);
        } else {
            self.left_out += 1;
        }
        new
    }

    /// Adds a ready-made prompt. A repeat is left out.
    pub(crate) fn ready(&mut self, ready: Ready) {
        let texts: Vec<&str> = ready.messages.iter().map(|m| m.content.as_str()).collect();
        if texts.iter().all(|t| t.trim().is_empty())
            || !self.seen_questions.insert(fingerprint(&texts))
        {
            self.left_out += 1;
        } else {
            self.ready.push(ready);
        }
    }
}

/// Words of a text: two texts that differ only in their spaces are the same.
fn folded(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// Only for sets within one process: nothing of it gets into a corpus.
fn fingerprint(texts: &[&str]) -> u128 {
    let mut halves = [0u64; 2];
    for (salt, half) in halves.iter_mut().enumerate() {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        for text in texts {
            folded(text).for_each(|word| word.hash(&mut hasher));
            0xffu8.hash(&mut hasher);
        }
        *half = hasher.finish();
    }
    u128::from(halves[0]) << 64 | u128::from(halves[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_left_out() {
        let mut material = Material::default();
        assert_eq!(material.passage(Some("T"), " One  two. ", false), Some(0));
        assert_eq!(material.passage(None, "One two.", true), Some(0));
        assert_eq!(material.passage(None, "  ", true), None);
        assert_eq!(material.passage(None, "Three.", true), Some(1));
        assert!(material.passages[0].fills && material.passages.len() == 2);
        let ask = |question: &str, passage| Exchange {
            question: question.into(),
            answer: None,
            passage,
            near: Vec::new(),
            as_question: true,
            as_history: true,
        };
        let added = [ask("Why?", None), ask(" Why? ", None), ask("Why?", Some(0)), ask("", None)]
            .map(|e| material.exchange(e));
        assert_eq!((added, material.left_out), ([true, false, true, false], 2));
    }
}
