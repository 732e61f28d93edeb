//! What speaks for and against believing a run's figures: one check a line of `docs/metrics.md`'s list.

mod cache;
mod client;
mod server;

use vllm_bench_record::{Check, CheckKind, CheckStatus, RunStatus, Verdict};

use crate::dataset::Dataset;
use crate::rows::RequestRow;
use crate::stage::{FiguresFrom, StageSummary};
use crate::summary::RunTotals;
use crate::text;

/// All checks of a run.
pub(crate) fn judge(dataset: &Dataset, stages: &[StageSummary], totals: &RunTotals) -> Verdict {
    let check = |kind| match kind {
        CheckKind::Errors => errors(totals),
        CheckKind::SentOnce => client::sent_once(dataset),
        CheckKind::CacheFree => cache::cache_free(dataset, stages, totals),
        CheckKind::TokenCounts => server::token_counts(stages),
        CheckKind::EarlyStops => early_stops(dataset, stages, totals),
        CheckKind::ScheduleKept => client::schedule_kept(dataset),
        CheckKind::ClientLag => client::client_lag(dataset),
        CheckKind::ChunkTokens => client::chunk_tokens(dataset),
        CheckKind::ChunksApart => client::chunks_apart(dataset),
        CheckKind::SteadyWindow => steady_window(stages),
        CheckKind::Samples => samples(stages),
        CheckKind::Preemptions => server::preemptions(stages),
        CheckKind::SameServer => server::same_server(dataset, stages),
        CheckKind::OtherTraffic => server::other_traffic(stages),
        CheckKind::GpuClocks => server::gpu_clocks(dataset),
        CheckKind::GpuShared => server::gpu_shared(dataset),
        // `CheckKind` is non-exhaustive: what is left is the first of the list.
        _ => run_complete(dataset, stages),
    };
    Verdict { checks: CheckKind::ALL.into_iter().map(check).collect() }
}

fn pass(kind: CheckKind, figure: impl Into<String>, meaning: &str) -> Check {
    Check {
        kind,
        status: CheckStatus::Pass,
        figure: figure.into(),
        meaning: meaning.into(),
        advice: None,
    }
}

fn unknown(kind: CheckKind, figure: impl Into<String>, meaning: &str, advice: &str) -> Check {
    doubt(kind, CheckStatus::Unknown, figure, meaning, advice)
}

fn doubt(
    kind: CheckKind,
    status: CheckStatus,
    figure: impl Into<String>,
    meaning: &str,
    advice: &str,
) -> Check {
    Check {
        kind,
        status,
        figure: figure.into(),
        meaning: meaning.into(),
        advice: Some(advice.into()),
    }
}

fn run_complete(dataset: &Dataset, stages: &[StageSummary]) -> Check {
    let kind = CheckKind::RunComplete;
    let begun = stages.iter().filter(|s| s.requests > 0).count();
    let figure = format!("{begun} of {}", text::of(stages.len() as u64, "stage", "stages"));
    let missing: u64 = stages
        .iter()
        .filter(|s| s.ended == Some(vllm_bench_record::StageEnd::Requests))
        .filter_map(|s| s.planned?.checked_sub(s.requests))
        .sum();
    match dataset.manifest().status {
        RunStatus::Complete if missing > 0 => doubt(
            kind,
            CheckStatus::Fail,
            format!("{} not recorded", text::of(missing, "request is", "requests are")),
            "Requests were sent whose rows are missing: every count and rate is too low.",
            "Look for unreadable parts in the run directory, and whether the disk was full.",
        ),
        RunStatus::Complete if begun < stages.len() => doubt(
            kind,
            CheckStatus::Fail,
            figure,
            "A measured stage holds no request.",
            "Look at the run's warnings, and for unreadable parts in the run directory.",
        ),
        RunStatus::Complete => pass(kind, figure, "Every planned stage ran to its end."),
        RunStatus::Running => doubt(
            kind,
            CheckStatus::Warn,
            format!("{figure}, no end recorded"),
            "The run is still under way or was killed; its last seconds may be missing.",
            "Report again when it has ended, or run it again.",
        ),
        RunStatus::Interrupted => doubt(
            kind,
            CheckStatus::Warn,
            format!("{figure}, interrupted"),
            "The run was stopped; the stage it was stopped in is shorter than planned.",
            "Use whole stages only, or run it again.",
        ),
        RunStatus::Failed => doubt(
            kind,
            CheckStatus::Fail,
            format!("{figure}, failed"),
            "The run could not go on; its warnings say why.",
            "Mend the cause and run it again.",
        ),
    }
}

/// Up to this share of failures is a warning, more fails.
const FEW_ERRORS: f64 = 0.01;

fn errors(totals: &RunTotals) -> Check {
    let kind = CheckKind::Errors;
    let judged = totals.completed + totals.failed;
    if judged == 0 {
        return doubt(
            kind,
            CheckStatus::Fail,
            "no request ended",
            "There is nothing to measure.",
            "Look at the run's warnings; try one request by hand.",
        );
    }
    let share = totals.failed as f64 / judged as f64;
    let figure = format!(
        "{} of {} failed ({})",
        text::count(totals.failed),
        text::count(judged),
        text::percent(share)
    );
    if totals.failed == 0 {
        return pass(kind, figure, "Every request was answered whole.");
    }
    doubt(
        kind,
        if share <= FEW_ERRORS { CheckStatus::Warn } else { CheckStatus::Fail },
        figure,
        "Latencies are of the answered requests only; those that failed might have been the slow ones.",
        "Look at the causes: `vllm-bench-report inspect RUN_DIR --outcome failed`.",
    )
}

fn early_stops(dataset: &Dataset, stages: &[StageSummary], totals: &RunTotals) -> Check {
    let kind = CheckKind::EarlyStops;
    let Some(early) = stages.iter().filter_map(|s| s.early_stops).reduce(|a, b| a + b) else {
        return pass(kind, "no length was asked for", "Answers end where the model ends them.");
    };
    let share = early as f64 / totals.completed.max(1) as f64;
    let figure = format!(
        "{} of {} shorter than asked ({})",
        text::count(early),
        text::of(totals.completed, "answer", "answers"),
        text::percent(share)
    );
    if early == 0 {
        return pass(kind, figure, "Every answer has the tokens that were asked for.");
    }
    let by_limit =
        dataset.measured().filter(|row| row.completed() && cut_by_limit(row)).count() as u64;
    if by_limit > 0 || dataset.manifest().scenario.ignore_eos {
        return doubt(
            kind,
            CheckStatus::Fail,
            format!("{figure}, {} by the server's length limit", text::count(by_limit)),
            "Answers are shorter than asked though the model did not end them: the work done is not the work planned.",
            "Look whether prompt and max_tokens together pass the server's max_model_len.",
        );
    }
    doubt(
        kind,
        CheckStatus::Warn,
        figure,
        "The model ended answers early: lengths depend on model and prompts, so throughput compares only between runs with the same ones.",
        "For equal lengths set `ignore_eos = true` in the scenario's [request].",
    )
}

/// `length` says that a limit ended the answer; when it was not `max_tokens`, it was the server's.
fn cut_by_limit(row: &RequestRow) -> bool {
    row.finish_reason.as_deref() == Some("length")
        && row.output_tokens.zip(row.max_tokens).is_some_and(|(got, asked)| got < asked)
}

/// The steady window should hold this many generations of requests.
const GENERATIONS: f64 = 3.0;

fn steady_window(stages: &[StageSummary]) -> Check {
    let kind = CheckKind::SteadyWindow;
    let sent: Vec<&StageSummary> = stages.iter().filter(|s| s.whole.is_some()).collect();
    let short: Vec<&str> =
        sent.iter().filter(|s| !long_enough(s)).map(|s| s.label.as_str()).collect();
    let shortest =
        sent.iter().filter_map(|s| s.steady.as_ref()).map(|w| w.seconds).reduce(f64::min);
    match (sent.is_empty(), short.is_empty(), shortest) {
        (true, ..) => unknown(kind, "no stage", "Nothing was sent.", "Look at the run's warnings."),
        (_, true, Some(seconds)) => pass(
            kind,
            format!("{} or more in every stage", text::time(seconds * 1e9)),
            "Full load held long enough.",
        ),
        _ => doubt(
            kind,
            CheckStatus::Warn,
            format!(
                "too short in {}: {}",
                text::of(short.len() as u64, "stage", "stages"),
                short.join(", ")
            ),
            "Full load held for less than three generations of requests or half of them: start and end weigh much in these stages' figures.",
            "Give these stages more requests a user, or a longer duration.",
        ),
    }
}

fn long_enough(stage: &StageSummary) -> bool {
    let Some(steady) = stage.steady.as_ref().filter(|_| stage.figures_from == FiguresFrom::Steady)
    else {
        return false;
    };
    steady.e2e_ns.is_none_or(|e2e| steady.seconds * 1e9 >= GENERATIONS * e2e.p50.value)
}

fn samples(stages: &[StageSummary]) -> Check {
    let kind = CheckKind::Samples;
    let figures: Vec<_> =
        stages.iter().filter_map(|s| s.figures()).filter_map(|f| f.ttft_ns).collect();
    let Some(fewest) = figures.iter().map(|ttft| ttft.count).min() else {
        return unknown(kind, "no answer", "There are no percentiles.", "Look at the errors.");
    };
    let few =
        |marked: fn(&crate::stat::Stat) -> bool| figures.iter().filter(|ttft| marked(ttft)).count();
    let (p99, p95) = (few(|s| s.p99.low_samples), few(|s| s.p95.low_samples));
    if p99 == 0 {
        let figure = format!("{} requests or more a stage", text::count(fewest));
        return pass(kind, figure, "Samples are enough for every percentile printed.");
    }
    let figure = format!(
        "p99 of {p99} and p95 of {p95} of {} (fewest: {})",
        text::of(figures.len() as u64, "stage", "stages"),
        text::of(fewest, "request", "requests")
    );
    doubt(
        kind,
        CheckStatus::Warn,
        figure,
        "Percentiles marked * rest on too few requests: the next run may well give another figure.",
        "p95 needs 130 requests a stage, p99 needs 662; or read the intervals instead.",
    )
}
