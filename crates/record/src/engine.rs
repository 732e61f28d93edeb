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
    /// `vllm:request_queue_time_seconds`: from queued to first scheduled
    /// (`scheduled_ts - queued_ts`), the engine core's monotonic clock.
    #[serde(default)]
    pub queue_time: Option<HistogramTotals>,
    /// `vllm:request_prefill_time_seconds`: from first scheduled to first token
    /// (`first_token_ts - scheduled_ts`), same clock; preemptions are in it.
    #[serde(default)]
    pub prefill_time: Option<HistogramTotals>,
    /// `vllm:request_decode_time_seconds`: from first to last token
    /// (`last_token_ts - first_token_ts`), same clock; preemptions are in it.
    #[serde(default)]
    pub decode_time: Option<HistogramTotals>,
    /// `vllm:request_inference_time_seconds`: from first scheduled to last token
    /// (`last_token_ts - scheduled_ts`): prefill and decode.
    #[serde(default)]
    pub inference_time: Option<HistogramTotals>,
    /// `vllm:time_to_first_token_seconds`: from the request's arrival at the API server, before it
    /// is tokenised, until that process takes the first token over from the engine. Wall clock.
    /// Counted when the first token comes, so that aborted requests are in it.
    #[serde(default)]
    pub ttft: Option<HistogramTotals>,
    /// `vllm:e2e_request_latency_seconds`: from the same arrival until the API server takes the
    /// last token over. Wall clock.
    #[serde(default)]
    pub e2e_latency: Option<HistogramTotals>,
}

/// The `_sum` and `_count` of one of vLLM's latency histograms, cumulative since the server's start.
///
/// What they time is from vLLM 0.32.0: `vllm/v1/metrics/stats.py` (`IterationStats.update_from_output`
/// and `update_from_finished_request`), observed in `vllm/v1/metrics/loggers.py`
/// (`PrometheusStatLogger.record`). All but TTFT are observed when a request finishes; a request
/// whose client left is in none of these. One observation a sequence: a request with `n = 2` makes two.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct HistogramTotals {
    /// Sum of what was observed, seconds.
    pub sum_s: f64,
    /// How often something was observed.
    pub count: u64,
}
