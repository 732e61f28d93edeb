//! Column names of the Parquet tables: the interface between writing and
//! reading, documented for people in `docs/data.md`.

/// Columns of `requests/*.parquet`. All `_ns` instants count from run start.
pub mod requests {
    /// utf8
    pub const REQUEST_ID: &str = "request_id";
    /// uint32: index into the manifest's `stages`
    pub const STAGE_INDEX: &str = "stage_index";
    /// utf8: the stage's label
    pub const STAGE: &str = "stage";
    /// utf8: `warmup` or `measure`
    pub const PHASE: &str = "phase";
    /// uint32: the stage's target concurrency
    pub const CONCURRENCY: &str = "concurrency";
    /// uint32: index into the manifest's `servers`
    pub const SERVER_INDEX: &str = "server_index";
    /// uint32
    pub const USER: &str = "user";
    /// uint32
    pub const SESSION: &str = "session";
    /// uint32
    pub const TURN: &str = "turn";
    /// utf8
    pub const PROMPT_ID: &str = "prompt_id";
    /// uint32, nullable
    pub const CORPUS_PROMPT_TOKENS: &str = "corpus_prompt_tokens";
    /// uint32, nullable
    pub const MAX_TOKENS: &str = "max_tokens";
    /// int64
    pub const SCHEDULED_AT_NS: &str = "scheduled_at_ns";
    /// int64, nullable
    pub const SENT_AT_NS: &str = "sent_at_ns";
    /// int64, nullable
    pub const WRITTEN_AT_NS: &str = "written_at_ns";
    /// int64, nullable
    pub const HEADERS_AT_NS: &str = "headers_at_ns";
    /// int64, nullable
    pub const FIRST_TOKEN_AT_NS: &str = "first_token_at_ns";
    /// int64, nullable
    pub const LAST_TOKEN_AT_NS: &str = "last_token_at_ns";
    /// int64, nullable
    pub const FINISHED_AT_NS: &str = "finished_at_ns";
    /// int64, nullable
    pub const CONNECT_NS: &str = "connect_ns";
    /// utf8: `completed`, `failed`, `cancelled`
    pub const OUTCOME: &str = "outcome";
    /// utf8, nullable: a `FailureCause`
    pub const ERROR_CAUSE: &str = "error_cause";
    /// utf8, nullable
    pub const ERROR_MESSAGE: &str = "error_message";
    /// uint32, nullable
    pub const RETRY_AFTER_S: &str = "retry_after_s";
    /// uint16, nullable
    pub const HTTP_STATUS: &str = "http_status";
    /// uint32, nullable
    pub const PROMPT_TOKENS: &str = "prompt_tokens";
    /// uint32, nullable
    pub const OUTPUT_TOKENS: &str = "output_tokens";
    /// utf8, nullable: a `TokenCountSource`
    pub const OUTPUT_TOKENS_SOURCE: &str = "output_tokens_source";
    /// uint32, nullable
    pub const CACHED_TOKENS: &str = "cached_tokens";
    /// utf8, nullable
    pub const FINISH_REASON: &str = "finish_reason";
    /// int64, nullable: TTFT
    pub const TTFT_NS: &str = "ttft_ns";
    /// int64, nullable
    pub const TTFT_FROM_SCHEDULE_NS: &str = "ttft_from_schedule_ns";
    /// int64, nullable
    pub const E2E_NS: &str = "e2e_ns";
    /// int64, nullable
    pub const E2E_FROM_SCHEDULE_NS: &str = "e2e_from_schedule_ns";
    /// int64, nullable
    pub const TPOT_NS: &str = "tpot_ns";
    /// int64, nullable
    pub const SEND_LAG_NS: &str = "send_lag_ns";
    /// list of int64: arrival of each token-bearing chunk
    pub const CHUNK_AT_NS: &str = "chunk_at_ns";
    /// list of uint32: tokens of each chunk
    pub const CHUNK_TOKENS: &str = "chunk_tokens";
    /// list of bool: interval-censored
    pub const CHUNK_COALESCED: &str = "chunk_coalesced";
    /// list of nullable int64
    pub const CHUNK_CLIENT_LAG_NS: &str = "chunk_client_lag_ns";
    /// utf8: a `ChunkTokenSource`
    pub const CHUNK_TOKEN_SOURCE: &str = "chunk_token_source";
    /// float64, nullable
    pub const SERVER_TTFT_MS: &str = "server_ttft_ms";
    /// float64, nullable
    pub const SERVER_QUEUE_MS: &str = "server_queue_ms";
    /// float64, nullable
    pub const SERVER_GENERATION_MS: &str = "server_generation_ms";
    /// float64, nullable
    pub const SERVER_MEAN_ITL_MS: &str = "server_mean_itl_ms";
    /// utf8, nullable
    pub const MODEL: &str = "model";
    /// utf8, nullable
    pub const ANSWER: &str = "answer";
    /// utf8, nullable
    pub const REASONING: &str = "reasoning";
}
