//! Whether the prefix cache had a part in the figures.

use super::evidence::Evidence;
use super::judge::{doubt, pass, unknown};
use super::{Check, CheckKind, CheckStatus};
use crate::words;

/// Up to this share of cached prompt tokens is a warning, more fails.
const FEW_CACHED: f64 = 0.01;

/// What all prompts begin with (template, system line) comes from the cache in production too;
/// what counts is what was cached beyond it.
pub(super) fn cache_free(evidence: &Evidence) -> Check {
    let kind = CheckKind::CacheFree;
    let shared = evidence.shared_leading_blocks;
    let cached = evidence.sum(|s| (s.counts.cached_told > 0).then_some(s.counts.cached_tokens));
    let hits = evidence.sum(|s| s.server?.prefix_cache_hits);
    let say = |name: &str, n: Option<u64>| {
        format!("{name} {}", n.map_or_else(|| "unknown".into(), words::count))
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
    let heads = evidence.cached_head_tokens.saturating_mul(evidence.total(|s| s.counts.requests));
    let by_counters = hits.map_or(0, |hits| hits.saturating_sub(heads));
    let beyond = evidence.total(|s| s.counts.cached_beyond_head).max(by_counters);
    if beyond > 0 {
        let share = beyond as f64 / evidence.total(|s| s.counts.prompt_tokens).max(1) as f64;
        return doubt(
            kind,
            if share <= FEW_CACHED { CheckStatus::Warn } else { CheckStatus::Fail },
            format!(
                "{figure}: {} beyond the shared head, {} of the prompt tokens",
                words::count(beyond),
                words::percent(share)
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
