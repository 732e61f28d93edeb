//! What the prompts so far have used: openings, passages, questions.

use std::collections::HashSet;

use super::collection::Collection;
use super::draft::Draft;
use crate::header::Retrieval;
use crate::uniqueness::opening_text;

/// Kept while prompts are made, in their order.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Beginnings of texts that open a prompt.
    openings: HashSet<String>,
    /// Leading blocks.
    keys: HashSet<[u8; 32]>,
    /// Prompts that a document stands in.
    documents: Vec<u32>,
    chunks: Vec<bool>,
    asked: Vec<u32>,
    passages: u64,
    pub(super) repeated: u64,
    with_answer: u32,
}

impl Ledger {
    pub(super) fn new(collection: &Collection<'_>, exchanges: usize) -> Self {
        Self {
            openings: HashSet::new(),
            keys: HashSet::new(),
            documents: vec![0; collection.documents()],
            chunks: vec![false; collection.chunks.len()],
            asked: vec![0; exchanges],
            passages: 0,
            repeated: 0,
            with_answer: 0,
        }
    }

    /// Takes the beginning of a text for a prompt; false when another has it.
    pub(super) fn open(&mut self, text: &str) -> bool {
        self.openings.insert(opening_text(text))
    }

    /// Takes a leading block for a prompt; false when another has it. A prompt without one shares none.
    pub(super) fn lead(&mut self, key: Option<[u8; 32]>) -> bool {
        key.is_none_or(|key| self.keys.insert(key))
    }

    /// A prompt was made of this.
    pub(super) fn note(&mut self, draft: &Draft, collection: &Collection<'_>) {
        for placed in &draft.passages {
            let at = placed.chunk as usize;
            self.passages += 1;
            self.repeated += u64::from(std::mem::replace(&mut self.chunks[at], true));
            self.documents[collection.chunks[at].document as usize] += 1;
        }
        self.with_answer += u32::from(draft.passages.iter().any(|placed| placed.answers));
        self.asked[draft.exchange] += 1;
    }

    /// The figures for the header.
    pub(super) fn figures(&self, collection: &Collection<'_>) -> Retrieval {
        let mut counts = self.documents.clone();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let top: u64 = counts.iter().take(10).map(|&count| u64::from(count)).sum();
        let share = |part: u64| (part as f64 / self.passages.max(1) as f64 * 1e6).round() / 1e6;
        Retrieval {
            documents: collection.documents() as u32,
            chunks: collection.chunks.len() as u32,
            documents_used: counts.iter().filter(|&&count| count > 0).count() as u32,
            passages: self.passages,
            top10_share: share(top),
            repeated_share: share(self.repeated),
            with_answer: self.with_answer,
            questions_repeated: self.asked.iter().filter(|&&times| times > 1).count() as u32,
        }
    }
}
