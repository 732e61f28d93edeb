//! Whether all requests are there, were sent once, and were answered whole.

use super::evidence::Evidence;
use super::judge::{doubt, pass};
use super::{Check, CheckKind, CheckStatus};
use crate::manifest::{RunStatus, StageEnd};
use crate::words;

pub(super) fn run_complete(evidence: &Evidence) -> Check {
    let kind = CheckKind::RunComplete;
    let stages = &evidence.stages;
    let begun = stages.iter().filter(|s| s.counts.requests > 0).count();
    let figure = format!("{begun} of {}", words::of(stages.len() as u64, "stage", "stages"));
    let missing: u64 = stages
        .iter()
        .filter(|s| s.ended == Some(StageEnd::Requests))
        .filter_map(|s| s.planned?.checked_sub(s.counts.requests))
        .sum::<u64>()
        .max(evidence.lost_rows);
    match evidence.status {
        RunStatus::Complete if missing > 0 => doubt(
            kind,
            CheckStatus::Fail,
            format!("{} not recorded", words::of(missing, "request is", "requests are")),
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

pub(super) fn errors(evidence: &Evidence) -> Check {
    let kind = CheckKind::Errors;
    let failed = evidence.total(|s| s.counts.failed);
    let judged = failed + evidence.total(|s| s.counts.completed);
    if judged == 0 {
        return doubt(
            kind,
            CheckStatus::Fail,
            "no request ended",
            "There is nothing to measure.",
            "Look at the run's warnings; try one request by hand.",
        );
    }
    let share = failed as f64 / judged as f64;
    let figure = format!(
        "{} of {} failed ({})",
        words::count(failed),
        words::count(judged),
        words::percent(share)
    );
    if failed == 0 {
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

/// Warm-up counts too: what it sends warms the cache.
pub(super) fn sent_once(evidence: &Evidence) -> Check {
    let kind = CheckKind::SentOnce;
    let repeated = evidence.prompts_repeated;
    if repeated == 0 {
        let figure =
            format!("{}, none twice", words::of(evidence.prompts_sent, "prompt", "prompts"));
        return pass(kind, figure, "No prompt was sent twice, warm-up included.");
    }
    doubt(
        kind,
        CheckStatus::Fail,
        format!("{} sent more than once", words::of(repeated, "prompt was", "prompts were")),
        "The server can answer a repeated prompt from its prefix cache: TTFT and throughput look better than they are.",
        "Make a larger corpus with vllm-bench-prepare.",
    )
}

pub(super) fn early_stops(evidence: &Evidence) -> Check {
    let kind = CheckKind::EarlyStops;
    if evidence.total(|s| s.counts.lengths_asked) == 0 {
        return pass(kind, "no length was asked for", "Answers end where the model ends them.");
    }
    let early = evidence.total(|s| s.counts.early_stops);
    let completed = evidence.total(|s| s.counts.completed);
    let figure = format!(
        "{} of {} shorter than asked ({})",
        words::count(early),
        words::of(completed, "answer", "answers"),
        words::percent(early as f64 / completed.max(1) as f64)
    );
    if early == 0 {
        return pass(kind, figure, "Every answer has the tokens that were asked for.");
    }
    let by_limit = evidence.total(|s| s.counts.cut_by_limit);
    if by_limit > 0 || evidence.ignore_eos {
        return doubt(
            kind,
            CheckStatus::Fail,
            format!("{figure}, {} by the server's length limit", words::count(by_limit)),
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
