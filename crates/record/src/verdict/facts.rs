//! What one request contributes to the verdict.

use crate::request::{ChunkTokenSource, Outcome, RequestRecord, TokenCountSource};
use crate::time::Timestamp;

/// What the checks count of one request, from its record or from its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFacts {
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// When it was sent; `None` when it was not.
    pub sent_at: Option<Timestamp>,
    /// How it ended.
    pub ended: Ended,
    /// `max_tokens` asked for.
    pub max_tokens: Option<u32>,
    /// Generated tokens.
    pub output_tokens: Option<u32>,
    /// Who counted them.
    pub output_source: Option<TokenCountSource>,
    /// Its `finish_reason` is `length`.
    pub ended_by_length: bool,
    /// Prompt tokens by the answer's usage.
    pub prompt_tokens: Option<u32>,
    /// Prompt tokens from the prefix cache.
    pub cached_tokens: Option<u32>,
    /// How the tokens of its chunks were counted.
    pub chunk_source: ChunkTokenSource,
    /// Token-bearing chunks.
    pub chunks: u64,
    /// Of these, chunks that came in one read with a later one.
    pub coalesced: u64,
    /// Of these, chunks without a kernel stamp.
    pub unstamped: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A whole answer.
    Completed,
    /// It failed.
    Failed,
    /// Stopped by the run's own end.
    Cancelled,
}

/// The `finish_reason` of an answer that a limit ended.
pub const FINISHED_BY_LENGTH: &str = "length";

impl From<&RequestRecord> for RequestFacts {
    fn from(record: &RequestRecord) -> Self {
        let count = |of: fn(&crate::request::ChunkArrival) -> bool| {
            record.chunks.iter().filter(|chunk| of(chunk)).count() as u64
        };
        Self {
            scheduled_at: record.scheduled_at,
            sent_at: record.sent_at,
            ended: match record.outcome {
                Outcome::Completed => Ended::Completed,
                Outcome::Failed(_) => Ended::Failed,
                Outcome::Cancelled => Ended::Cancelled,
            },
            max_tokens: record.max_tokens,
            output_tokens: record.output_tokens.map(|t| t.count),
            output_source: record.output_tokens.map(|t| t.source),
            ended_by_length: record.finish_reason.as_deref() == Some(FINISHED_BY_LENGTH),
            prompt_tokens: record.prompt_tokens,
            cached_tokens: record.cached_tokens,
            chunk_source: record.chunk_token_source,
            chunks: record.chunks.len() as u64,
            coalesced: count(|chunk| chunk.coalesced),
            unstamped: count(|chunk| chunk.client_lag.is_none()),
        }
    }
}
