//! One request as the analysis holds it: the scalar columns, and its chunks in flat columns.

use std::ops::Range;
use std::time::Duration;

use vllm_bench_record::{
    ChunkTokenSource, FailureCause, ServerTimings, Timestamp, TokenCountSource,
    inter_chunk_latencies, inter_token_latencies,
};

/// One row of `requests/*.parquet`, without answer and reasoning texts.
///
/// Fields are those of [`RequestRecord`](vllm_bench_record::RequestRecord); the metrics are the
/// columns that it wrote. Chunks are had from [`Dataset::chunks`](crate::Dataset::chunks).
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of RequestRecord and documented there")]
pub struct RequestRow {
    pub request_id: String,
    pub stage_index: u32,
    pub user: u32,
    pub session: u32,
    pub turn: u32,
    pub server_index: u32,
    pub prompt_id: String,
    pub corpus_prompt_tokens: Option<u32>,
    pub max_tokens: Option<u32>,
    pub scheduled_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub written_at: Option<Timestamp>,
    pub headers_at: Option<Timestamp>,
    pub first_token_at: Option<Timestamp>,
    pub last_token_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub connect: Option<Duration>,
    pub outcome: RowOutcome,
    pub error_message: Option<String>,
    pub retry_after_s: Option<u32>,
    pub http_status: Option<u16>,
    pub prompt_tokens: Option<u32>,
    pub output_tokens: Option<u32>,
    pub output_tokens_source: Option<TokenCountSource>,
    pub cached_tokens: Option<u32>,
    pub finish_reason: Option<String>,
    pub chunk_token_source: ChunkTokenSource,
    pub server: ServerTimings,
    pub ttft: Option<Duration>,
    pub ttft_from_schedule: Option<Duration>,
    pub e2e: Option<Duration>,
    pub e2e_from_schedule: Option<Duration>,
    pub tpot: Option<Duration>,
    pub send_lag: Option<Duration>,
    /// Its chunks in the dataset's flat columns.
    pub(crate) chunks: Range<usize>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// A whole, well-formed answer.
    Completed,
    /// It failed, for this cause.
    Failed(FailureCause),
    /// Stopped by the run's own end.
    Cancelled,
}

impl RowOutcome {
    /// The word on disk: `completed`, `failed`, `cancelled`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl RequestRow {
    /// Whether its latencies count: only a completed request's do.
    pub fn completed(&self) -> bool {
        self.outcome == RowOutcome::Completed
    }

    /// Output tokens per second of end-to-end latency.
    pub fn output_throughput(&self) -> Option<f64> {
        let seconds = self.e2e?.as_secs_f64();
        (seconds > 0.0).then_some(f64::from(self.output_tokens?) / seconds)
    }

    /// End-to-end latency divided by output tokens.
    pub fn normalised_latency(&self) -> Option<Duration> {
        let tokens = self.output_tokens.filter(|&n| n > 0)?;
        Some(self.e2e? / tokens)
    }

    /// Its time in flight: from sending to the end, as far as both are known.
    pub fn in_flight(&self) -> Option<(Timestamp, Timestamp)> {
        let sent = self.sent_at?;
        let end = self.finished_at.or(self.last_token_at)?;
        Some((sent, end.max(sent)))
    }
}

/// The token-bearing chunks of one request, in order; all slices are equally long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chunks<'a> {
    /// Arrivals.
    pub at: &'a [Timestamp],
    /// Tokens of each.
    pub tokens: &'a [u32],
    /// Whether it came in one read with the next one (interval-censored).
    pub coalesced: &'a [bool],
    /// How late the client was; `None` without a kernel stamp.
    pub client_lag: &'a [Option<Duration>],
}

impl<'a> Chunks<'a> {
    /// Those at `range`, which lies within them.
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        Self {
            at: &self.at[range.clone()],
            tokens: &self.tokens[range.clone()],
            coalesced: &self.coalesced[range.clone()],
            client_lag: &self.client_lag[range],
        }
    }

    /// Inter-token latencies.
    pub fn itl(self) -> impl Iterator<Item = Duration> + 'a {
        inter_token_latencies(self.at.iter().copied().zip(self.tokens.iter().copied()))
    }

    /// Inter-chunk latencies.
    pub fn icl(self) -> impl Iterator<Item = Duration> + 'a {
        inter_chunk_latencies(self.at.iter().copied())
    }
}

/// The flat columns behind [`Chunks`].
#[derive(Debug, Clone, Default)]
pub(crate) struct ChunkColumns {
    pub(crate) at: Vec<Timestamp>,
    pub(crate) tokens: Vec<u32>,
    pub(crate) coalesced: Vec<bool>,
    pub(crate) client_lag: Vec<Option<Duration>>,
}

impl ChunkColumns {
    /// The chunks in `range`, which came from this table.
    pub(crate) fn slice(&self, range: &Range<usize>) -> Chunks<'_> {
        let all = Chunks {
            at: &self.at,
            tokens: &self.tokens,
            coalesced: &self.coalesced,
            client_lag: &self.client_lag,
        };
        all.part(range.clone())
    }
}
