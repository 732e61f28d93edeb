//! One request as it was observed, and every per-request metric, defined once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Everything observed of one request. One row of `requests/*.parquet`.
///
/// Instants are `None` when the request did not come that far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Unique in the run; sent to the server as `X-Request-Id`.
    pub request_id: String,
    /// Index into the manifest's `stages`.
    pub stage_index: u32,
    /// Index into the manifest's `servers`: which one it was sent to.
    pub server_index: u32,
    /// The closed-loop user that sent it, 0-based within its stage.
    pub user: u32,
    /// The session it belongs to, unique in the run.
    pub session: u32,
    /// 0-based turn of its session.
    pub turn: u32,
    /// The corpus line it came from.
    pub prompt_id: String,
    /// Prompt length by the corpus, tokens; `None` when the corpus does not say.
    pub corpus_prompt_tokens: Option<u32>,
    /// `max_tokens` asked for; `None` when the request set none.
    pub max_tokens: Option<u32>,
    /// When the load plan wanted it to start.
    pub scheduled_at: Timestamp,
    /// Just before the first byte went to the kernel, on an open connection.
    pub sent_at: Option<Timestamp>,
    /// After the last byte of the request went to the kernel, as this program was
    /// told; a quick answer can have arrived before.
    pub written_at: Option<Timestamp>,
    /// Arrival of the response head.
    pub headers_at: Option<Timestamp>,
    /// Arrival of each token-bearing event, in order.
    pub chunks: Vec<ChunkArrival>,
    /// End of the answer (or of the attempt, when it failed).
    pub finished_at: Option<Timestamp>,
    /// Time to open the connection used, when it was opened for this request
    /// (a replaced connection); `None` on a connection opened before the stage.
    pub connect: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status, when a response head arrived.
    pub http_status: Option<u16>,
    /// `usage.prompt_tokens` of the answer.
    pub prompt_tokens: Option<u32>,
    /// Generated tokens and who counted them; `None` when nothing told.
    pub output_tokens: Option<TokenCount>,
    /// How the tokens of each chunk were counted.
    pub chunk_token_source: ChunkTokenSource,
    /// `usage.prompt_tokens_details.cached_tokens`; absent is unknown, not 0.
    pub cached_tokens: Option<u32>,
    /// The first choice's `finish_reason`.
    pub finish_reason: Option<String>,
    /// The server's own timings, when the answer carried `metrics`.
    pub server: Option<ServerTimings>,
    /// The model name in the answer.
    pub model: Option<String>,
    /// The answer's text (first choice); `None` when not kept or never begun.
    pub answer: Option<String>,
    /// Reasoning text (first choice), when the model sent any.
    pub reasoning: Option<String>,
}

/// Arrival of one token-bearing event of a stream (of the whole body, when not streamed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkArrival {
    /// Arrival of the socket read that completed the event.
    pub at: Timestamp,
    /// Tokens it carried.
    pub tokens: u32,
    /// It was not the last event of its read: it arrived after the previous
    /// read and not after `at` (interval-censored).
    pub coalesced: bool,
    /// How late this program was: clock after the read minus the kernel's
    /// receive stamp. `None` where the kernel gave no stamp.
    pub client_lag: Option<Duration>,
}

/// Generated tokens of one request and where the count comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCount {
    /// Tokens.
    pub count: u32,
    /// Who counted.
    pub source: TokenCountSource,
}

/// Who counted a request's output tokens, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenCountSource {
    /// The server's final `usage.completion_tokens`.
    Usage,
    /// The running usage of the last chunk that came (a cut stream).
    RunningUsage,
    /// The sum of the chunks' `token_ids`.
    TokenIds,
    /// One token a chunk, assumed: nothing told.
    Chunks,
}

impl TokenCountSource {
    /// The word on disk.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::RunningUsage => "running_usage",
            Self::TokenIds => "token_ids",
            Self::Chunks => "chunks",
        }
    }

    /// The source whose word on disk is `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Usage, Self::RunningUsage, Self::TokenIds, Self::Chunks]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// How the tokens of each chunk were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChunkTokenSource {
    /// From each chunk's `token_ids` (vLLM `return_token_ids`). Exact.
    TokenIds,
    /// From differences of the running usage (vLLM `continuous_usage_stats`). Exact.
    RunningUsage,
    /// One token a chunk, assumed.
    Assumed,
    /// The answer was not streamed: one chunk with all its tokens.
    WholeAnswer,
}

impl ChunkTokenSource {
    /// The word on disk.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenIds => "token_ids",
            Self::RunningUsage => "running_usage",
            Self::Assumed => "assumed",
            Self::WholeAnswer => "whole_answer",
        }
    }

    /// The source whose word on disk is `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::TokenIds, Self::RunningUsage, Self::Assumed, Self::WholeAnswer]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A whole, well-formed answer.
    Completed,
    /// Anything else that the server, the network or a timeout did.
    Failed(Failure),
    /// Stopped by the run's own end (Ctrl-C, end of the stage).
    Cancelled,
}

impl Outcome {
    /// The word on disk: `completed`, `failed`, `cancelled`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, for grouping.
    pub cause: FailureCause,
    /// In the server's own words where it said anything, at most a few hundred characters.
    pub message: String,
    /// `Retry-After` of the answer, seconds. Recorded; nothing is retried.
    pub retry_after_s: Option<u32>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureCause {
    /// The connection could not be opened (refused, DNS, TLS).
    Connect,
    /// Opening it took longer than `timeouts.connect`.
    ConnectTimeout,
    /// No token within `timeouts.first_token`.
    FirstTokenTimeout,
    /// No next token within `timeouts.between_tokens`.
    BetweenTokensTimeout,
    /// Not finished within `timeouts.total`.
    TotalTimeout,
    /// A status other than 200.
    HttpStatus,
    /// An error object inside a 200 answer.
    ErrorInStream,
    /// The stream ended cleanly but without `[DONE]`.
    NoDone,
    /// The connection was cut in mid-answer.
    Cut,
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is not what the protocol says (bad JSON, unterminated event).
    Malformed,
    /// The HTTP exchange itself broke (bad framing, closed before the head).
    Http,
}

impl FailureCause {
    /// All causes.
    pub const ALL: [Self; 12] = [
        Self::Connect,
        Self::ConnectTimeout,
        Self::FirstTokenTimeout,
        Self::BetweenTokensTimeout,
        Self::TotalTimeout,
        Self::HttpStatus,
        Self::ErrorInStream,
        Self::NoDone,
        Self::Cut,
        Self::NotUtf8,
        Self::Malformed,
        Self::Http,
    ];

    /// The word on disk.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::BetweenTokensTimeout => "between_tokens_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::HttpStatus => "http_status",
            Self::ErrorInStream => "error_in_stream",
            Self::NoDone => "no_done",
            Self::Cut => "cut",
            Self::NotUtf8 => "not_utf8",
            Self::Malformed => "malformed",
            Self::Http => "http",
        }
    }

    /// The cause whose word on disk is `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

/// The server's own figures of one request (vLLM `--enable-per-request-metrics`).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerTimings {
    /// `metrics.time_to_first_token_ms`, milliseconds.
    pub ttft_ms: Option<f64>,
    /// `metrics.queue_time_ms`, milliseconds.
    pub queue_ms: Option<f64>,
    /// `metrics.generation_time_ms`, milliseconds.
    pub generation_ms: Option<f64>,
    /// `metrics.mean_itl_ms`, milliseconds.
    pub mean_itl_ms: Option<f64>,
}

/// The per-request metrics; see `docs/metrics.md` for the words.
///
/// They are defined for completed requests; on others they return what the
/// instants allow, and summaries leave such requests out.
impl RequestRecord {
    /// The row of a request that is due and of which nothing has happened yet: what it stays when
    /// it is never sent.
    pub fn due(request_id: impl Into<String>, scheduled_at: Timestamp) -> Self {
        Self {
            request_id: request_id.into(),
            stage_index: 0,
            server_index: 0,
            user: 0,
            session: 0,
            turn: 0,
            prompt_id: String::new(),
            corpus_prompt_tokens: None,
            max_tokens: None,
            scheduled_at,
            sent_at: None,
            written_at: None,
            headers_at: None,
            chunks: Vec::new(),
            finished_at: None,
            connect: None,
            outcome: Outcome::Cancelled,
            http_status: None,
            prompt_tokens: None,
            output_tokens: None,
            chunk_token_source: ChunkTokenSource::Assumed,
            cached_tokens: None,
            finish_reason: None,
            server: None,
            model: None,
            answer: None,
            reasoning: None,
        }
    }

    /// Arrival of the first event that carries a generated token.
    pub fn first_token_at(&self) -> Option<Timestamp> {
        self.chunks.first().map(|c| c.at)
    }

    /// Arrival of the last event that carries a generated token.
    pub fn last_token_at(&self) -> Option<Timestamp> {
        self.chunks.last().map(|c| c.at)
    }

    /// Time to first token: `first_token_at − sent_at`.
    pub fn ttft(&self) -> Option<Duration> {
        Some(self.first_token_at()?.since(self.sent_at?))
    }

    /// The user's wait: `first_token_at − scheduled_at`.
    pub fn ttft_from_schedule(&self) -> Option<Duration> {
        Some(self.first_token_at()?.since(self.scheduled_at))
    }

    /// End-to-end latency: `last_token_at − sent_at`.
    pub fn e2e(&self) -> Option<Duration> {
        Some(self.last_token_at()?.since(self.sent_at?))
    }

    /// End-to-end latency as the user waits for it: `last_token_at − scheduled_at`.
    pub fn e2e_from_schedule(&self) -> Option<Duration> {
        Some(self.last_token_at()?.since(self.scheduled_at))
    }

    /// How late it was sent: `sent_at − scheduled_at`.
    pub fn send_lag(&self) -> Option<Duration> {
        Some(self.sent_at?.since(self.scheduled_at))
    }

    /// Time per output token: `(last_token_at − first_token_at) / (output
    /// tokens − tokens of the first chunk)`. `None` for fewer than two chunks.
    pub fn tpot(&self) -> Option<Duration> {
        let first = self.chunks.first()?;
        let last = self.chunks.last()?;
        if self.chunks.len() < 2 {
            return None;
        }
        let rest = self.output_tokens?.count.checked_sub(first.tokens).filter(|&n| n > 0)?;
        Some(last.at.since(first.at) / rest)
    }

    /// Inter-token latencies: [`inter_token_latencies`] of its chunks.
    pub fn itl(&self) -> impl Iterator<Item = Duration> + '_ {
        inter_token_latencies(self.chunks.iter().map(|c| (c.at, c.tokens)))
    }

    /// Inter-chunk latencies: [`inter_chunk_latencies`] of its chunks.
    pub fn icl(&self) -> impl Iterator<Item = Duration> + '_ {
        inter_chunk_latencies(self.chunks.iter().map(|c| c.at))
    }

    /// End-to-end latency divided by output tokens.
    pub fn normalised_latency(&self) -> Option<Duration> {
        let tokens = self.output_tokens?.count;
        (tokens > 0).then(|| self.e2e().map(|d| d / tokens)).flatten()
    }

    /// Output tokens per second of end-to-end latency.
    pub fn output_throughput(&self) -> Option<f64> {
        let secs = self.e2e()?.as_secs_f64();
        (secs > 0.0).then(|| self.output_tokens.map(|t| f64::from(t.count) / secs)).flatten()
    }
}

/// Inter-token latencies of one request's chunks (arrival, tokens) in order: for every token
/// after the first chunk, the gap to the previous chunk divided by the tokens of its own chunk.
pub fn inter_token_latencies(
    chunks: impl IntoIterator<Item = (Timestamp, u32)>,
) -> impl Iterator<Item = Duration> {
    let mut previous = None;
    chunks.into_iter().flat_map(move |(at, tokens)| {
        let gap = previous.replace(at).map(|before| at.since(before));
        let times = if gap.is_some() { tokens as usize } else { 0 };
        std::iter::repeat_n(gap.unwrap_or_default() / tokens.max(1), times)
    })
}

/// Inter-chunk latencies of one request's chunk arrivals in order: the gap itself, once a chunk.
pub fn inter_chunk_latencies(
    arrivals: impl IntoIterator<Item = Timestamp>,
) -> impl Iterator<Item = Duration> {
    let mut previous = None;
    arrivals.into_iter().filter_map(move |at| previous.replace(at).map(|before| at.since(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn chunk(ms: u64, tokens: u32) -> ChunkArrival {
        ChunkArrival { at: at(ms), tokens, coalesced: false, client_lag: None }
    }

    fn record(chunks: Vec<ChunkArrival>, output: u32) -> RequestRecord {
        RequestRecord {
            sent_at: Some(at(12)),
            written_at: Some(at(12)),
            headers_at: Some(at(20)),
            chunks,
            finished_at: Some(at(200)),
            outcome: Outcome::Completed,
            http_status: Some(200),
            prompt_tokens: Some(5),
            output_tokens: Some(TokenCount { count: output, source: TokenCountSource::Usage }),
            chunk_token_source: ChunkTokenSource::TokenIds,
            ..RequestRecord::due("r", at(10))
        }
    }

    #[test]
    fn metrics_of_a_stream_with_coalesced_tokens() {
        let r = record(vec![chunk(112, 2), chunk(122, 1), chunk(142, 2)], 5);
        let ms = Duration::from_millis;
        assert_eq!(r.ttft(), Some(ms(100)));
        assert_eq!(r.ttft_from_schedule(), Some(ms(102)));
        assert_eq!(r.e2e(), Some(ms(130)));
        assert_eq!(r.e2e_from_schedule(), Some(ms(132)));
        assert_eq!(r.send_lag(), Some(ms(2)));
        assert_eq!(r.tpot(), Some(ms(10)));
        assert_eq!(r.itl().collect::<Vec<_>>(), [ms(10), ms(10), ms(10)]);
        assert_eq!(r.icl().collect::<Vec<_>>(), [ms(10), ms(20)]);
        assert_eq!(r.normalised_latency(), Some(ms(26)));
    }

    #[test]
    fn one_chunk_has_no_tpot_and_no_chunk_has_no_ttft() {
        let r = record(vec![chunk(112, 5)], 5);
        assert_eq!((r.tpot(), r.itl().count(), r.ttft().is_some()), (None, 0, true));
        let r = record(vec![], 0);
        assert_eq!((r.ttft(), r.e2e(), r.normalised_latency()), (None, None, None));
    }

    #[test]
    fn words_round_trip() {
        for cause in FailureCause::ALL {
            assert_eq!(FailureCause::from_word(cause.as_str()), Some(cause));
            assert_eq!(serde_json::to_value(cause).expect("plain enum"), cause.as_str());
        }
    }
}
