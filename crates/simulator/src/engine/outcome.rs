//! What a step brings: its work and end, a token for every sequence that caught up, and the accounts
//! that `/metrics` and the answers need.

use std::time::Duration;

use super::SequenceId;
use crate::cost::StepWork;

/// One step. Times are since the server's start.
#[derive(Debug, Default)]
pub(crate) struct StepOutcome {
    /// When the step is over and its tokens can be sent.
    pub(crate) ends_at: Duration,
    pub(crate) work: StepWork,
    /// Tokens in order of the batch.
    pub(crate) tokens: Vec<TokenOutput>,
    /// Sequences that lost their blocks.
    pub(crate) preemptions: u64,
    /// Tokens looked up in the prefix cache, and tokens found; a preempted sequence is not counted again.
    pub(crate) prefix_queries: u64,
    pub(crate) prefix_hits: u64,
}

/// A new token of one sequence.
#[derive(Clone, Debug)]
pub(crate) struct TokenOutput {
    pub(crate) id: SequenceId,
    pub(crate) token: u32,
    pub(crate) kind: Kind,
    /// Instants of the sequence, this token the last.
    pub(crate) times: Times,
    /// Set with the last token.
    pub(crate) finish: Option<Finish>,
}

/// Whether a token is a sequence's first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    First {
        /// From arrival to this token.
        latency: Duration,
        prompt_tokens: u32,
        /// Prompt tokens that came from the prefix cache.
        cached_tokens: u32,
        /// Prompt tokens that are in the prefix cache now and were not before.
        created_cache_tokens: u32,
    },
    Later {
        /// Since the sequence's previous token.
        gap: Duration,
    },
}

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinishReason {
    Stop,
    Length,
    Abort,
}

impl FinishReason {
    /// vLLM's word for it, in answers and metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Abort => "abort",
        }
    }
}

/// The account of a sequence that ended.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    pub(crate) reason: FinishReason,
    pub(crate) times: Times,
    pub(crate) prompt_tokens: u32,
    pub(crate) cached_tokens: u32,
    pub(crate) output_tokens: u32,
    pub(crate) max_tokens: u32,
    pub(crate) preemptions: u32,
}

/// The instants of a sequence, since the server's start; None for what it did not reach.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) arrived_at: Duration,
    /// Start of the first step that it was part of.
    pub(crate) scheduled_at: Option<Duration>,
    pub(crate) first_token_at: Option<Duration>,
    pub(crate) last_token_at: Option<Duration>,
}
