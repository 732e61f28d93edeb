//! Prompts of the corpus as prepared requests, each handed out once in a run.

use std::collections::VecDeque;

use vllm_bench_corpus::CorpusError;
use vllm_bench_loadgen::{Due, PreparedRequest, Schedule, ScheduleError};

use crate::body::BodyWriter;
use crate::prompts::Prompts;

/// Hands out the corpus in order. What a stage took and did not send comes back
/// by [`give_back`](Self::give_back) and goes out first.
#[derive(Debug)]
pub(crate) struct PromptSource<'a> {
    prompts: &'a Prompts,
    bodies: BodyWriter,
    id_prefix: String,
    max_tokens: u32,
    /// The prompt that preflight already sent, if any.
    spent: Option<usize>,
    next: usize,
    returned: VecDeque<PreparedRequest>,
    error: Option<CorpusError>,
    schedule_error: Option<ScheduleError>,
}

impl<'a> PromptSource<'a> {
    pub(crate) fn new(
        prompts: &'a Prompts,
        bodies: BodyWriter,
        id_prefix: String,
        max_tokens: u32,
        spent: Option<usize>,
    ) -> Self {
        Self {
            prompts,
            bodies,
            id_prefix,
            max_tokens,
            spent,
            next: 0,
            returned: VecDeque::new(),
            error: None,
            schedule_error: None,
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

    /// Why a schedule could not be read on, if that is why it ended.
    pub(crate) fn take_schedule_error(&mut self) -> Option<ScheduleError> {
        self.schedule_error.take()
    }
}

impl Iterator for PromptSource<'_> {
    type Item = PreparedRequest;

    fn next(&mut self) -> Option<PreparedRequest> {
        self.request(None)
    }
}

/// The prompts of an open-loop stage, each with the time when it is due.
#[derive(Debug)]
pub(crate) struct Paced<'s, 'a> {
    prompts: &'s mut PromptSource<'a>,
    schedule: Schedule,
}

impl<'s, 'a> Paced<'s, 'a> {
    pub(crate) const fn new(prompts: &'s mut PromptSource<'a>, schedule: Schedule) -> Self {
        Self { prompts, schedule }
    }
}

impl Iterator for Paced<'_, '_> {
    type Item = PreparedRequest;

    fn next(&mut self) -> Option<PreparedRequest> {
        match self.schedule.next()? {
            Ok(due) => self.prompts.request(Some(&due)),
            Err(error) => {
                self.prompts.schedule_error = Some(error);
                None
            }
        }
    }
}

impl PromptSource<'_> {
    /// The next prompt, as `due` wants it.
    fn request(&mut self, due: Option<&Due>) -> Option<PreparedRequest> {
        let at = due.map(|due| due.at);
        if let Some(request) = self.returned.pop_front() {
            return Some(PreparedRequest { due: at, ..request });
        }
        if self.spent == Some(self.next) {
            self.next += 1;
        }
        if self.prompts.len().is_some_and(|n| self.next >= n) || self.error.is_some() {
            return None;
        }
        let index = self.next;
        let prompt = match self.prompts.prompt(index, due) {
            Ok(prompt) => prompt,
            Err(error) => {
                self.error = Some(error);
                return None;
            }
        };
        self.next += 1;
        // A trace says how long each answer is.
        let max_tokens = due.and_then(|due| due.output_tokens).unwrap_or(self.max_tokens);
        Some(PreparedRequest {
            request_id: format!("{}-{index}", self.id_prefix),
            session: index as u32,
            turn: 0,
            body: self.bodies.body(&prompt, max_tokens),
            prompt_tokens: Some(prompt.tokens),
            max_tokens: Some(max_tokens),
            due: at,
            prompt_id: prompt.id,
        })
    }
}
