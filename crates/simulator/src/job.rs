//! A generating request after all checks: what to compute and how to answer.

mod answer;
mod chat;
mod completions;
mod limits;
mod tools;

use std::sync::Arc;

use vllm_bench_protocol::{Endpoint, Stop, StreamOptions};

pub(crate) use answer::AnswerPlan;
pub(crate) use tools::ToolPlan;

/// What the engine computes for a request, and the form of its answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) endpoint: Endpoint,
    pub(crate) prompts: Vec<Prompt>,
    /// Answers a prompt.
    pub(crate) n: u32,
    pub(crate) ignore_eos: bool,
    pub(crate) min_tokens: u32,
    pub(crate) stop: Vec<String>,
    pub(crate) cache_salt: Option<Arc<str>>,
    pub(crate) answer: AnswerPlan,
    /// Seed of the answers; those of one request differ by their index.
    pub(crate) seed: u64,
    pub(crate) tool: Option<ToolPlan>,
    /// How many log-probabilities beside the token's own; none without `logprobs`.
    pub(crate) logprobs: Option<u32>,
    pub(crate) return_token_ids: bool,
    pub(crate) echo: bool,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) continuous_usage: bool,
}

/// One prompt of a request.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) tokens: Arc<[u32]>,
    /// What `echo` repeats.
    pub(crate) text: String,
    /// Most tokens of an answer: as asked, or the room that the prompt leaves.
    pub(crate) max_tokens: u32,
}

impl Job {
    /// Number of answers.
    pub(crate) fn choices(&self) -> u32 {
        self.prompts.len() as u32 * self.n
    }
}

fn stop_texts(stop: Option<&Stop>) -> Vec<String> {
    stop.map(|stop| stop.texts().to_vec()).unwrap_or_default()
}

/// Whether usage is asked for at the end, and in every chunk.
fn usage_wanted(options: Option<&StreamOptions>) -> (bool, bool) {
    let include = options.and_then(|options| options.include_usage).unwrap_or(false);
    let continuous = options.and_then(|options| options.continuous_usage_stats).unwrap_or(false);
    (include, include && continuous)
}
