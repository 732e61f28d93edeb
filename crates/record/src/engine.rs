//! One reading of a vLLM server's `/metrics`.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One reading of one server's `/metrics`. One row of `engine/*.parquet`.
/// Counters are cumulative since the server's start; `None` is "not exported".
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EngineSample {
    /// When the answer had arrived.
    pub at: Timestamp,
    /// Index into the manifest's `servers`.
    pub server_index: u32,
    /// `vllm:num_requests_running`.
    pub running: Option<f64>,
    /// `vllm:num_requests_waiting`.
    pub waiting: Option<f64>,
    /// `vllm:kv_cache_usage_perc`, a share from 0 to 1.
    pub kv_cache_usage: Option<f64>,
    /// `vllm:prefix_cache_queries_total`, tokens.
    pub prefix_cache_queries: Option<u64>,
    /// `vllm:prefix_cache_hits_total`, tokens.
    pub prefix_cache_hits: Option<u64>,
    /// `vllm:num_preemptions_total`.
    pub preemptions: Option<u64>,
    /// `vllm:prompt_tokens_total`.
    pub prompt_tokens: Option<u64>,
    /// `vllm:generation_tokens_total`.
    pub generation_tokens: Option<u64>,
    /// `vllm:request_success_total{finished_reason="stop"}`.
    pub requests_stop: Option<u64>,
    /// `vllm:request_success_total{finished_reason="length"}`.
    pub requests_length: Option<u64>,
    /// `vllm:request_success_total{finished_reason="abort"}`.
    pub requests_abort: Option<u64>,
    /// `vllm:request_success_total{finished_reason="error"}`.
    pub requests_error: Option<u64>,
    /// `process_start_time_seconds`: tells a restarted server.
    pub process_start_unix_s: Option<f64>,
}
