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
            (Some(at), Some(target)) => {
                let tokens = draft.passages[at].tokens;
                let (written, end) = self.to_length(draft, &mut texts, at, tokens, target)?;
                let lacking = target.saturating_sub(written.ids.len() as u32);
                let Some(other) = self.most_left(draft, &texts, at).filter(|_| lacking > 0) else {
                    return Ok(written);
                };
                // All of it stands there and it is too little: another one that was cut gets longer.
                texts[at].truncate(end);
                let had = self.counter.measure(&texts[other])?.tokens();
                texts[other] = self.collection.text(draft.passages[other].chunk);
                let wanted = Some(had + lacking);
                Ok(self.to_length(draft, &mut texts, other, wanted, target)?.0)
            }
            _ => self.count(draft, &texts, None),
        }
    }

    /// The passage but for `at` of which most was cut off; `None` where nothing was.
    fn most_left(&self, draft: &Draft, texts: &[String], at: usize) -> Option<usize> {
        let left = |i: usize| self.collection.text(draft.passages[i].chunk).len() - texts[i].len();
        (0..texts.len()).filter(|&i| i != at && left(i) > 0).max_by_key(|&i| (left(i), i))
    }

    /// Cuts the passage at `at`, first to `tokens`, until the whole has `target` tokens or cannot be nearer. Gives where it
    /// was cut, too.
    fn to_length(
        &self,
        draft: &Draft,
        texts: &mut [String],
        at: usize,
        tokens: Option<u32>,
        target: u32,
    ) -> Result<(Written, usize), CorpusError> {
        let placed = draft.passages[at];
        let measure = self.counter.measure(&texts[at])?;
        let body = self.collection.body_at(placed.chunk);
        let least = i64::from(measure.tokens_before(body)) + 2;
        let mut want = i64::from(tokens.unwrap_or(measure.tokens()));
        let mut best: Option<(u64, Written, usize)> = None;
        let mut tried = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            if want < least && round + 2 < ROUNDS {
                // It cannot be so short: the longest of the others makes place.
                let lacking = least - want + i64::from(LEAST);
                if self.shorten_another(draft, texts, at, lacking as u32)? {
                    want += lacking;
                    tried.clear();
                }
            }
            want = want.clamp(least.min(i64::from(measure.tokens())), i64::from(measure.tokens()));
            let end = cut_at(&texts[at], body, &measure, want as u32);
            if tried.contains(&end) {
                break;
            }
            tried.push(end);
            let written = self.count(draft, texts, Some((at, end)))?;
            let off = written.ids.len() as i64 - i64::from(target);
            if best.as_ref().is_none_or(|(b, ..)| off.unsigned_abs() < *b) {
                best = Some((off.unsigned_abs(), written, end));
            }
            if off == 0 {
                break;
            }
            want -= off;
        }
        let (_, written, end) = best.expect("counted at least once");
        Ok((written, end))
    }

    /// Takes about `by` tokens off the longest passage that may be cut; false when none is long enough.
    fn shorten_another(
        &self,
        draft: &Draft,
        texts: &mut [String],
        at: usize,
        by: u32,
    ) -> Result<bool, CorpusError> {
        let longest = (0..texts.len())
            .filter(|&i| i != at && !draft.passages[i].answers)
            .max_by_key(|&i| (texts[i].len(), i));
        let Some(longest) = longest else { return Ok(false) };
        let measure = self.counter.measure(&texts[longest])?;
        let body = self.collection.body_at(draft.passages[longest].chunk);
        let least = measure.tokens_before(body) + LEAST;
        let kept = measure.tokens().saturating_sub(by);
        let end = cut(&texts[longest], body, &measure, kept, 2, least);
        if let Some(end) = end.filter(|_| kept >= least) {
            texts[longest].truncate(end);
            return Ok(true);
        }
        Ok(false)
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
