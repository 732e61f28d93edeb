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
    /// uint32: the stage's users at once; null in an open loop
    pub const CONCURRENCY: &str = "concurrency";
    /// float64: requests a second that the stage asked for; null in a closed loop
    pub const RATE: &str = "rate";
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

/// Columns of `gpu/*.parquet`: one row a GPU and reading. Nullable columns are
/// null where the device or driver does not tell.
pub mod gpu {
    /// int64: when it was read
    pub const AT_NS: &str = "at_ns";
    /// uint32: index of the device on its host
    pub const GPU_INDEX: &str = "gpu_index";
    /// utf8, nullable
    pub const UUID: &str = "uuid";
    /// utf8, nullable
    pub const NAME: &str = "name";
    /// utf8: `nvml`, `dcgm`, `simulated`
    pub const SOURCE: &str = "source";
    /// float32, nullable: percent
    pub const UTILIZATION_PCT: &str = "utilization_pct";
    /// float32, nullable: percent
    pub const MEMORY_UTILIZATION_PCT: &str = "memory_utilization_pct";
    /// uint64, nullable
    pub const MEMORY_USED_BYTES: &str = "memory_used_bytes";
    /// uint64, nullable
    pub const MEMORY_TOTAL_BYTES: &str = "memory_total_bytes";
    /// float32, nullable
    pub const TEMPERATURE_C: &str = "temperature_c";
    /// uint64, nullable: milliwatts
    pub const POWER_MW: &str = "power_mw";
    /// uint64, nullable: millijoules since the driver was loaded
    pub const ENERGY_MJ: &str = "energy_mj";
    /// uint32, nullable
    pub const SM_CLOCK_MHZ: &str = "sm_clock_mhz";
    /// uint32, nullable
    pub const MEMORY_CLOCK_MHZ: &str = "memory_clock_mhz";
    /// uint64, nullable: NVML's bit mask
    pub const THROTTLE_REASONS: &str = "throttle_reasons";
    /// uint32, nullable: kB/s
    pub const PCIE_TX_KB_S: &str = "pcie_tx_kb_s";
    /// uint32, nullable: kB/s
    pub const PCIE_RX_KB_S: &str = "pcie_rx_kb_s";
    /// uint32, nullable: processes with a context on it
    pub const PROCESSES: &str = "processes";
}

/// Columns of `engine/*.parquet`: one row a server and reading of its
/// `/metrics`. Counters are cumulative since the server's start.
pub mod engine {
    /// int64: when the answer had arrived
    pub const AT_NS: &str = "at_ns";
    /// uint32: index into the manifest's `servers`
    pub const SERVER_INDEX: &str = "server_index";
    /// float64, nullable: requests
    pub const RUNNING: &str = "running";
    /// float64, nullable: requests
    pub const WAITING: &str = "waiting";
    /// float64, nullable: share from 0 to 1
    pub const KV_CACHE_USAGE: &str = "kv_cache_usage";
    /// uint64, nullable: tokens
    pub const PREFIX_CACHE_QUERIES: &str = "prefix_cache_queries";
    /// uint64, nullable: tokens
    pub const PREFIX_CACHE_HITS: &str = "prefix_cache_hits";
    /// uint64, nullable
    pub const PREEMPTIONS: &str = "preemptions";
    /// uint64, nullable
    pub const PROMPT_TOKENS: &str = "prompt_tokens";
    /// uint64, nullable
    pub const GENERATION_TOKENS: &str = "generation_tokens";
    /// uint64, nullable
    pub const REQUESTS_STOP: &str = "requests_stop";
    /// uint64, nullable
    pub const REQUESTS_LENGTH: &str = "requests_length";
    /// uint64, nullable
    pub const REQUESTS_ABORT: &str = "requests_abort";
    /// uint64, nullable
    pub const REQUESTS_ERROR: &str = "requests_error";
    /// float64, nullable: seconds since the Unix epoch
    pub const PROCESS_START_UNIX_S: &str = "process_start_unix_s";
    /// float64, nullable: seconds
    pub const QUEUE_TIME_SUM_S: &str = "queue_time_sum_s";
    /// uint64, nullable: requests
    pub const QUEUE_TIME_COUNT: &str = "queue_time_count";
    /// float64, nullable: seconds
    pub const PREFILL_TIME_SUM_S: &str = "prefill_time_sum_s";
    /// uint64, nullable: requests
    pub const PREFILL_TIME_COUNT: &str = "prefill_time_count";
    /// float64, nullable: seconds
    pub const DECODE_TIME_SUM_S: &str = "decode_time_sum_s";
    /// uint64, nullable: requests
    pub const DECODE_TIME_COUNT: &str = "decode_time_count";
    /// float64, nullable: seconds
    pub const INFERENCE_TIME_SUM_S: &str = "inference_time_sum_s";
    /// uint64, nullable: requests
    pub const INFERENCE_TIME_COUNT: &str = "inference_time_count";
    /// float64, nullable: seconds
    pub const TTFT_SUM_S: &str = "ttft_sum_s";
    /// uint64, nullable: requests
    pub const TTFT_COUNT: &str = "ttft_count";
    /// float64, nullable: seconds
    pub const E2E_LATENCY_SUM_S: &str = "e2e_latency_sum_s";
    /// uint64, nullable: requests
    pub const E2E_LATENCY_COUNT: &str = "e2e_latency_count";
}

/// Keys of every part's key-value metadata.
pub mod metadata {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION) of the program that wrote the part.
    pub const SCHEMA_VERSION: &str = "vllm_bench.schema_version";
    /// The manifest's `run_id`.
    pub const RUN_ID: &str = "vllm_bench.run_id";
    /// The table: `requests`, `gpu`, `engine`.
    pub const TABLE: &str = "vllm_bench.table";
}
