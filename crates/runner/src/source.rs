//! Prompts of the corpus as prepared requests, each handed out once in a run.

use std::collections::VecDeque;

use vllm_bench_corpus::{Corpus, CorpusError};
use vllm_bench_loadgen::PreparedRequest;

use crate::body::BodyWriter;

/// Hands out the corpus in order. What a stage took and did not send comes back
/// by [`give_back`](Self::give_back) and goes out first.
#[derive(Debug)]
pub(crate) struct PromptSource<'a> {
    corpus: &'a Corpus,
    bodies: BodyWriter,
    id_prefix: String,
    max_tokens: u32,
    /// The prompt that preflight already sent, if any.
    spent: Option<usize>,
    next: usize,
    returned: VecDeque<PreparedRequest>,
    error: Option<CorpusError>,
}

impl<'a> PromptSource<'a> {
    pub(crate) fn new(
        corpus: &'a Corpus,
        bodies: BodyWriter,
        id_prefix: String,
        max_tokens: u32,
        spent: Option<usize>,
    ) -> Self {
        Self {
            corpus,
            bodies,
            id_prefix,
            max_tokens,
            spent,
            next: 0,
            returned: VecDeque::new(),
            error: None,
        }
    }

    /// Takes back what was not sent, to hand it out again first.
    pub(crate) fn give_back(&mut self, unsent: Vec<PreparedRequest>) {
        for request in unsent.into_iter().rev() {
            self.returned.push_front(request);
        }
    }

    /// Why the corpus could not be read on, if that is why it ended.
    pub(crate) fn take_error(&mut self) -> Option<CorpusError> {
        self.error.take()
    }
}

impl Iterator for PromptSource<'_> {
    type Item = PreparedRequest;

    fn next(&mut self) -> Option<PreparedRequest> {
        if let Some(request) = self.returned.pop_front() {
            return Some(request);
        }
        if self.spent == Some(self.next) {
            self.next += 1;
        }
        if self.next >= self.corpus.len() || self.error.is_some() {
            return None;
        }
        let index = self.next;
        let prompt = match self.corpus.prompt(index) {
            Ok(prompt) => prompt,
            Err(error) => {
                self.error = Some(error);
                return None;
            }
        };
        self.next += 1;
        Some(PreparedRequest {
            request_id: format!("{}-{index}", self.id_prefix),
            session: index as u32,
            turn: 0,
            body: self.bodies.body(&prompt),
            prompt_tokens: Some(prompt.tokens),
            max_tokens: Some(self.max_tokens),
            due: None,
            prompt_id: prompt.id,
        })
    }
}
