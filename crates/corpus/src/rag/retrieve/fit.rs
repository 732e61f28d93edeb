//! Writing a draft and cutting one passage until the whole has its length, counted as the server counts it.

use vllm_bench_protocol::ChatMessage;

use super::super::cut::cut;
use super::super::text::{sentence_ends, word_ends};
use super::collection::Collection;
use super::compose::{Parts, Template};
use super::draft::{Draft, LEAST, SLACK};
use crate::source::Exchange;
use crate::{CorpusError, Measure, TokenCounter};

/// A prompt that was counted.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) messages: Vec<ChatMessage>,
    pub(super) ids: Vec<u32>,
    pub(super) key: Option<[u8; 32]>,
}

/// What drafts are written with.
pub(super) struct Writer<'a> {
    pub(super) templates: &'a [Template],
    pub(super) exchanges: &'a [Exchange],
    pub(super) collection: &'a Collection<'a>,
    pub(super) counter: &'a dyn TokenCounter,
}

/// Times that a prompt is counted.
const ROUNDS: usize = 10;

impl Writer<'_> {
    /// Writes a draft.
    pub(super) fn write(&self, draft: &Draft) -> Result<Written, CorpusError> {
        let mut texts = Vec::with_capacity(draft.passages.len());
        for (i, placed) in draft.passages.iter().enumerate() {
            let mut text = self.collection.text(placed.chunk);
            if let Some(tokens) = placed.tokens.filter(|_| draft.flexible != Some(i)) {
                let measure = self.counter.measure(&text)?;
                let body = self.collection.body_at(placed.chunk);
                let least = measure.tokens_before(body) + LEAST / 2;
                let end = cut(&text, body, &measure, tokens, (tokens / 8).clamp(2, SLACK), least);
                text.truncate(end.unwrap_or(text.len()));
            }
            texts.push(text);
        }
        match (draft.flexible, draft.target) {
            (Some(at), Some(target)) => self.to_length(draft, texts, at, target),
            _ => self.count(draft, &texts, None),
        }
    }

    /// Cuts the passage at `at` until the whole has `target` tokens, or cannot be nearer.
    fn to_length(
        &self,
        draft: &Draft,
        texts: Vec<String>,
        at: usize,
        target: u32,
    ) -> Result<Written, CorpusError> {
        let placed = draft.passages[at];
        let measure = self.counter.measure(&texts[at])?;
        let body = self.collection.body_at(placed.chunk);
        let least = i64::from(measure.tokens_before(body)) + 2;
        let mut want = i64::from(placed.tokens.unwrap_or(measure.tokens()));
        let mut best: Option<(u64, Written)> = None;
        let mut tried = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            want = want.clamp(least.min(i64::from(measure.tokens())), i64::from(measure.tokens()));
            let end = cut_at(&texts[at], body, &measure, want as u32);
            if tried.contains(&end) {
                break;
            }
            tried.push(end);
            let written = self.count(draft, &texts, Some((at, end)))?;
            let off = written.ids.len() as i64 - i64::from(target);
            if best.as_ref().is_none_or(|(b, _)| off.unsigned_abs() < *b) {
                best = Some((off.unsigned_abs(), written));
            }
            if off == 0 {
                break;
            }
            want -= off;
        }
        let (_, written) = best.expect("counted at least once");
        Ok(written)
    }

    fn count(
        &self,
        draft: &Draft,
        texts: &[String],
        cut: Option<(usize, usize)>,
    ) -> Result<Written, CorpusError> {
        let passages: Vec<&str> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| match cut {
                Some((at, end)) if at == i => &text[..end],
                _ => text.as_str(),
            })
            .collect();
        let template = &self.templates[draft.template];
        let question = &self.exchanges[draft.exchange].question;
        let messages = template.messages(Parts { line: draft.line, question, passages: &passages });
        let ids = self.counter.prompt_ids(&messages)?;
        let key = template.opening.key(&ids);
        Ok(Written { messages, ids, key })
    }
}

/// Where `want` tokens of a text end: behind a sentence or a word if one ends there, else inside a word.
fn cut_at(text: &str, body: usize, measure: &Measure, want: u32) -> usize {
    if want >= measure.tokens() {
        return text.len();
    }
    let fits = |end: &usize| measure.tokens_before(*end) == want;
    if let Some(end) = sentence_ends(&text[body..]).map(|end| body + end).find(fits) {
        return end;
    }
    if let Some(end) = word_ends(&text[body..]).map(|end| body + end).find(fits) {
        return end;
    }
    // The last character boundary that leaves no more than is wanted.
    let (mut low, mut high) = (body, text.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        if measure.tokens_before(middle) <= want { low = middle } else { high = middle - 1 }
    }
    while !text.is_char_boundary(low) {
        low -= 1;
    }
    low
}
