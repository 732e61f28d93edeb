//! The evidence of a run directory, for the verdict that `vllm_bench_record` gives on it.

use std::collections::HashMap;

use vllm_bench_record::{
    Ended, Evidence, FINISHED_BY_LENGTH, RequestFacts, StageEvidence, SteadyEvidence, Verdict,
};

use crate::dataset::Dataset;
use crate::rows::{RequestRow, RowOutcome};
use crate::stage::{FiguresFrom, StageSummary};

/// All checks of a run.
pub(crate) fn judge(dataset: &Dataset, stages: &[StageSummary]) -> Verdict {
    Verdict::of(&evidence(dataset, stages))
}

fn evidence(dataset: &Dataset, stages: &[StageSummary]) -> Evidence {
    let mut evidence = Evidence::of_manifest(dataset.manifest());
    let head = evidence.cached_head_tokens;
    // Both are the measured stages of the plan, in its order.
    for (stage, summary) in evidence.stages.iter_mut().zip(stages) {
        for row in dataset.of_stage(summary.index) {
            let facts = facts(dataset, row);
            stage.counts.add(&facts, head);
            stage.arrivals.add(&facts);
        }
        figures(stage, summary);
    }
    (evidence.prompts_sent, evidence.prompts_repeated) = prompts(dataset);
    dataset.engine().iter().for_each(|sample| evidence.servers.add(sample));
    let spans: Vec<_> = dataset
        .measured_stages()
        .filter_map(|(_, stage)| {
            Some((stage.started_at_ns?, stage.finished_at_ns.or(dataset.last_instant())?))
        })
        .collect();
    for sample in dataset.gpu() {
        let measured = spans.iter().any(|(from, to)| (*from..=*to).contains(&sample.at));
        evidence.gpu.add(sample, measured);
    }
    evidence
}

/// The stage's figures that the checks look at.
fn figures(stage: &mut StageEvidence, summary: &StageSummary) {
    let whole = summary.whole.as_ref();
    stage.send_lag_p99_ns = whole.and_then(|w| Some(w.send_lag_ns?.p99.value));
    stage.ttft_p50_ns = whole.and_then(|w| Some(w.ttft_ns?.p50.value));
    stage.client_lag_p99_ns = whole.and_then(|w| Some(w.client_lag_ns?.p99.value));
    stage.itl_p50_ns = whole.and_then(|w| Some(w.itl_ns?.p50.value));
    stage.itl_mean_ns = whole.and_then(|w| Some(w.itl_ns?.mean));
    stage.output_tokens_per_s = whole.and_then(|w| w.output_tokens_per_s);
    stage.steady = summary.steady.as_ref().map(|w| SteadyEvidence {
        seconds: w.seconds,
        e2e_p50_ns: w.e2e_ns.map(|e2e| e2e.p50.value),
    });
    stage.steady_stands = summary.figures_from == FiguresFrom::Steady;
    stage.ttft_samples = summary.figures().and_then(|w| Some(w.ttft_ns?.count));
}

/// Different prompts and turns that were sent, and how many of them more than once.
fn prompts(dataset: &Dataset) -> (u64, u64) {
    let mut times: HashMap<(&str, u32), u64> = HashMap::new();
    for row in dataset.requests().iter().filter(|row| row.sent_at.is_some()) {
        *times.entry((&row.prompt_id, row.turn)).or_default() += 1;
    }
    (times.len() as u64, times.values().filter(|n| **n > 1).count() as u64)
}

fn facts(dataset: &Dataset, row: &RequestRow) -> RequestFacts {
    let chunks = dataset.chunks(row);
    RequestFacts {
        scheduled_at: row.scheduled_at,
        sent_at: row.sent_at,
        ended: match row.outcome {
            RowOutcome::Completed => Ended::Completed,
            RowOutcome::Failed(_) => Ended::Failed,
            RowOutcome::Cancelled => Ended::Cancelled,
        },
        max_tokens: row.max_tokens,
        output_tokens: row.output_tokens,
        output_source: row.output_tokens_source,
        ended_by_length: row.finish_reason.as_deref() == Some(FINISHED_BY_LENGTH),
        prompt_tokens: row.prompt_tokens,
        cached_tokens: row.cached_tokens,
        chunk_source: row.chunk_token_source,
        chunks: chunks.at.len() as u64,
        coalesced: chunks.coalesced.iter().filter(|c| **c).count() as u64,
        unstamped: chunks.client_lag.iter().filter(|lag| lag.is_none()).count() as u64,
    }
}
