//! The documents, cut into chunks.

use std::ops::Range;

use rayon::prelude::*;

use super::super::choose::{block, body_at};
use super::super::text::word_ends;
use crate::build::Workshop;
use crate::source::{Exchange, Passage};
use crate::{CorpusError, Measure};

/// A piece of a document, with its tokens when it stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) document: u32,
    /// In the document's text, its title not counted.
    start: u32,
    end: u32,
    pub(super) tokens: u32,
}

/// All chunks, those of a document one after the other.
#[derive(Debug)]
pub(super) struct Collection<'m> {
    passages: &'m [Passage],
    pub(super) chunks: Vec<Chunk>,
    /// The chunks of each document.
    of: Vec<Range<u32>>,
}

/// How documents are cut: tokens of a chunk, and of those how many the next one has too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutting {
    pub(super) tokens: u32,
    pub(super) overlap: u32,
}

impl<'m> Collection<'m> {
    /// Cuts the documents, all cores at work; without a cutting each is one chunk.
    pub(super) fn new(shop: &Workshop<'m>, cutting: Option<Cutting>) -> Result<Self, CorpusError> {
        let passages = &shop.material.passages;
        let counter = shop.counter;
        let mut all = Self { passages, chunks: Vec::new(), of: Vec::with_capacity(passages.len()) };
        for lot in (0..passages.len()).collect::<Vec<_>>().chunks(1024) {
            let pieces: Vec<Vec<Chunk>> = shop.pool.install(|| {
                lot.par_iter()
                    .map(|&at| {
                        let measure = counter.measure(&block(&passages[at]))?;
                        Ok(chunks(at as u32, &passages[at], &measure, cutting))
                    })
                    .collect::<Result<_, CorpusError>>()
            })?;
            for pieces in pieces {
                let start = all.chunks.len() as u32;
                all.chunks.extend(pieces);
                all.of.push(start..all.chunks.len() as u32);
            }
        }
        Ok(all)
    }

    /// How many documents there are.
    pub(super) fn documents(&self) -> usize {
        self.of.len()
    }

    /// Whether a document may stand beside questions that were not asked about it.
    pub(super) fn fills(&self, document: u32) -> bool {
        self.passages[document as usize].fills
    }

    /// The numbers of a document's chunks.
    pub(super) fn of(&self, document: u32) -> Range<u32> {
        self.of[document as usize].clone()
    }

    /// A chunk as it stands in a prompt: the title, a line feed, the text.
    pub(super) fn text(&self, chunk: u32) -> String {
        let Chunk { document, start, end, .. } = self.chunks[chunk as usize];
        let passage = &self.passages[document as usize];
        let body = &passage.text[start as usize..end as usize];
        match &passage.title {
            Some(title) => format!("{title}\n{body}"),
            None => body.to_owned(),
        }
    }

    /// Where the text begins in it.
    pub(super) fn body_at(&self, chunk: u32) -> usize {
        body_at(&self.passages[self.chunks[chunk as usize].document as usize])
    }

    /// The chunk of the document asked about that holds the answer; the first where none does.
    pub(super) fn answering(&self, exchange: &Exchange) -> Option<u32> {
        let document = exchange.passage? as u32;
        let answer = exchange.answer.as_deref().map(str::trim).filter(|a| !a.is_empty());
        let holds = |&chunk: &u32| {
            let Chunk { start, end, .. } = self.chunks[chunk as usize];
            let text = &self.passages[document as usize].text[start as usize..end as usize];
            answer.is_some_and(|answer| text.contains(answer))
        };
        self.of(document).find(holds).or_else(|| self.of(document).next())
    }
}

fn chunks(
    document: u32,
    passage: &Passage,
    measure: &Measure,
    cutting: Option<Cutting>,
) -> Vec<Chunk> {
    let body = body_at(passage);
    let title = measure.tokens_before(body);
    let all = measure.tokens();
    let length = passage.text.len() as u32;
    let whole = Chunk { document, start: 0, end: length, tokens: all };
    let Some(Cutting { tokens, overlap }) = cutting.filter(|cut| cut.tokens < all) else {
        return vec![whole];
    };
    // The title is part of each chunk.
    let most = tokens.saturating_sub(title).max(8);
    let step = most.saturating_sub(overlap).max(1);
    // Where a cut may be: before each word, and at the end.
    let mut words: Vec<(u32, u32)> = Vec::with_capacity(passage.text.len() / 5);
    words.push((0, 0));
    let places = word_ends(&passage.text).map(|end| end as u32).chain([length]);
    words.extend(places.map(|at| (at, measure.tokens_before(body + at as usize) - title)));
    let mut chunks = Vec::new();
    let mut first = 0;
    loop {
        let from = words[first];
        let last = words.partition_point(|word| word.1 <= from.1 + most).saturating_sub(1);
        let last = last.max(first + 1).min(words.len() - 1);
        let to = words[last];
        let text = &passage.text[from.0 as usize..to.0 as usize];
        let start = from.0 + (text.len() - text.trim_start().len()) as u32;
        chunks.push(Chunk { document, start, end: to.0, tokens: title + to.1 - from.1 });
        if last == words.len() - 1 {
            return chunks;
        }
        let next = words.partition_point(|word| word.1 <= from.1 + step).saturating_sub(1);
        first = next.clamp(first + 1, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuiltInCounter, TokenCounter};

    #[test]
    fn chunks_cover_the_document_and_overlap_as_asked() {
        let text: String = (0..400).map(|i| format!("w{i} ")).collect();
        let passage =
            Passage { title: Some("Title".into()), text: text.trim().into(), fills: true };
        let measure = BuiltInCounter::new().measure(&block(&passage)).expect("counts");
        for overlap in [0, 10] {
            let all = chunks(0, &passage, &measure, Some(Cutting { tokens: 60, overlap }));
            let words = |chunk: &Chunk| -> Vec<String> {
                let text = &passage.text[chunk.start as usize..chunk.end as usize];
                text.split(' ').map(str::to_owned).collect()
            };
            assert!(all.len() > 5 && all.iter().all(|c| c.tokens <= 60), "{all:?}");
            let mut seen: Vec<String> = words(&all[0]);
            for pair in all.windows(2) {
                let (before, after) = (words(&pair[0]), words(&pair[1]));
                let shared = before.iter().rev().take_while(|word| after.contains(word)).count();
                if overlap == 0 {
                    assert_eq!(shared, 0, "{before:?} {after:?}");
                } else {
                    assert!((2..=5).contains(&shared), "{shared}: two tokens and more a word");
                }
                seen.extend(after.into_iter().skip(shared));
            }
            assert_eq!(seen.join(" "), passage.text, "nothing is lost");
            let counted = BuiltInCounter::new()
                .measure(&format!(
                    "Title\n{}",
                    &passage.text[all[1].start as usize..all[1].end as usize]
                ))
                .expect("counts");
            assert!(counted.tokens().abs_diff(all[1].tokens) <= 1);
        }
        assert_eq!(chunks(0, &passage, &measure, None).len(), 1);
    }
}
