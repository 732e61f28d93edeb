//! Whether the prefix cache had a part in the figures.

use vllm_bench_record::{Check, CheckKind, CheckStatus};

use super::server::sum;
use super::{doubt, pass, unknown};
use crate::dataset::Dataset;
use crate::rows::RequestRow;
use crate::stage::StageSummary;
use crate::summary::RunTotals;
use crate::text;

/// Up to this share of cached prompt tokens is a warning, more fails.
const FEW_CACHED: f64 = 0.01;

/// vLLM's cache block where the server does not tell, tokens.
const BLOCK: u64 = 16;

/// What all prompts begin with (template, system line) comes from the cache in production too;
/// what counts is what was cached beyond it.
pub(super) fn cache_free(dataset: &Dataset, stages: &[StageSummary], totals: &RunTotals) -> Check {
    let kind = CheckKind::CacheFree;
    let shared = dataset.manifest().corpus.shared_leading_blocks;
    let head = cached_head(dataset);
    let told =
        || dataset.measured().filter_map(|row: &RequestRow| row.cached_tokens).map(u64::from);
    let cached: Option<u64> = told().reduce(|a, b| a + b);
    let hits = sum(stages, |s| s.prefix_cache_hits);
    let say = |name: &str, n: Option<u64>| {
        format!("{name} {}", n.map_or_else(|| "unknown".into(), text::count))
    };
    let figure = [
        say("cached tokens", cached),
        say("server's hits", hits),
        say("shared leading blocks", shared),
    ]
    .join(", ");
    if cached.is_none() && hits.is_none() {
        return unknown(
            kind,
            figure,
            "Whether the prefix cache had a part cannot be told: neither answers nor counters speak of it.",
            "Start the server with --enable-prompt-tokens-details, and let it export /metrics.",
        );
    }
    let by_answers: u64 = told().map(|n| n.saturating_sub(head)).sum();
    let by_counters =
        hits.map_or(0, |hits| hits.saturating_sub(head.saturating_mul(totals.requests)));
    let beyond = by_answers.max(by_counters);
    if beyond > 0 {
        let share = beyond as f64 / totals.prompt_tokens.max(1) as f64;
        return doubt(
            kind,
            if share <= FEW_CACHED { CheckStatus::Warn } else { CheckStatus::Fail },
            format!(
                "{figure}: {} beyond the shared head, {} of the prompt tokens",
                text::count(beyond),
                text::percent(share)
            ),
            "Prompt tokens came from the prefix cache: TTFT and throughput look better than a cold cache gives.",
            "Use unique prompts, restart the server or reset its cache between runs; or call it a warm run.",
        );
    }
    if shared.is_some_and(|n| n > 0) {
        return doubt(
            kind,
            CheckStatus::Warn,
            figure,
            "Prompts of the corpus begin alike: this server did not use it, another may.",
            "Make the corpus anew with vllm-bench-prepare.",
        );
    }
    if cached.max(hits).is_some_and(|n| n > 0) {
        return pass(
            kind,
            figure,
            "Only the head that all prompts share came from the cache, as it does in production.",
        );
    }
    pass(kind, figure, "Every prompt was computed in full.")
}

/// How much of the shared head fills whole cache blocks, tokens.
fn cached_head(dataset: &Dataset) -> u64 {
    let manifest = dataset.manifest();
    let told = manifest
        .servers
        .first()
        .and_then(|s| s.cache_config.get("block_size")?.parse::<u64>().ok());
    let block = told.filter(|n| *n > 0).unwrap_or(BLOCK);
    manifest.corpus.shared_head_tokens.map_or(0, |head| u64::from(head) / block * block)
}
