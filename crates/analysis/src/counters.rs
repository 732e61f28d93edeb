//! What the servers' counters say of a stage, beside what this program counted.

use vllm_bench_record::{EngineDelta, StageInfo, TokenCountSource};

use crate::rows::RequestRow;
use crate::stage::ServerCounts;

/// The counters' deltas over `stage` beside our own counts; `None` when no server was read both
/// before and after.
pub(crate) fn of(stage: &StageInfo, rows: &[&RequestRow]) -> Option<ServerCounts> {
    let delta = EngineDelta::of(stage)?;
    let sent = || rows.iter().filter(|row| row.sent_at.is_some());
    Some(ServerCounts {
        restarted: delta.restarted,
        requests: delta.requests,
        client_requests: sent().count() as u64,
        prompt_tokens: delta.prompt_tokens,
        client_prompt_tokens: sent().filter_map(|row| row.prompt_tokens).map(u64::from).sum(),
        generation_tokens: delta.generation_tokens,
        client_output_tokens: sent().filter_map(|row| row.output_tokens).map(u64::from).sum(),
        client_unknown: sent().filter(|row| !counted(row)).count() as u64,
        prefix_cache_queries: delta.prefix_cache_queries,
        prefix_cache_hits: delta.prefix_cache_hits,
        preemptions: delta.preemptions,
    })
}

/// Whether the server's own count of this request is known to us.
fn counted(row: &RequestRow) -> bool {
    row.completed()
        && row.prompt_tokens.is_some()
        && row.output_tokens_source == Some(TokenCountSource::Usage)
}
