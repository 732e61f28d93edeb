//! Whether full load held long enough, and samples suffice.

use super::evidence::{Evidence, StageEvidence};
use super::judge::{doubt, pass, unknown};
use super::{Check, CheckKind, CheckStatus};
use crate::percentile::sample_floor;
use crate::words;

/// The steady window should hold this many generations of requests.
const GENERATIONS: f64 = 3.0;

pub(super) fn steady_window(evidence: &Evidence) -> Check {
    let kind = CheckKind::SteadyWindow;
    let sent: Vec<&StageEvidence> =
        evidence.stages.iter().filter(|s| s.counts.requests > 0).collect();
    let short: Vec<&str> =
        sent.iter().filter(|s| !long_enough(s)).map(|s| s.label.as_str()).collect();
    let shortest = sent.iter().filter_map(|s| s.steady).map(|w| w.seconds).reduce(f64::min);
    match (sent.is_empty(), short.is_empty(), shortest) {
        (true, ..) => unknown(kind, "no stage", "Nothing was sent.", "Look at the run's warnings."),
        (_, true, Some(seconds)) => pass(
            kind,
            format!("{} or more in every stage", words::time(seconds * 1e9)),
            "Full load held long enough.",
        ),
        _ => doubt(
            kind,
            CheckStatus::Warn,
            format!(
                "too short in {}: {}",
                words::of(short.len() as u64, "stage", "stages"),
                short.join(", ")
            ),
            "Full load held for less than three generations of requests or half of them: start and end weigh much in these stages' figures.",
            "Give these stages more requests a user, or a longer duration.",
        ),
    }
}

fn long_enough(stage: &StageEvidence) -> bool {
    let Some(steady) = stage.steady.filter(|_| stage.steady_stands) else {
        return false;
    };
    steady.e2e_p50_ns.is_none_or(|e2e| steady.seconds * 1e9 >= GENERATIONS * e2e)
}

pub(super) fn samples(evidence: &Evidence) -> Check {
    let kind = CheckKind::Samples;
    let counts: Vec<u64> = evidence.stages.iter().filter_map(|s| s.ttft_samples).collect();
    let Some(fewest) = counts.iter().min().copied() else {
        return unknown(kind, "no answer", "There are no percentiles.", "Look at the errors.");
    };
    let few = |floor: u64| counts.iter().filter(|count| **count < floor).count();
    let (p99, p95) = (few(sample_floor(0.99)), few(sample_floor(0.95)));
    if p99 == 0 {
        let figure = format!("{} requests or more a stage", words::count(fewest));
        return pass(kind, figure, "Samples are enough for every percentile printed.");
    }
    let figure = format!(
        "p99 of {p99} and p95 of {p95} of {} (fewest: {})",
        words::of(counts.len() as u64, "stage", "stages"),
        words::of(fewest, "request", "requests")
    );
    doubt(
        kind,
        CheckStatus::Warn,
        figure,
        "Percentiles marked * rest on too few requests: the next run may well give another figure.",
        &format!(
            "p95 needs {} requests a stage, p99 needs {}; or read the intervals instead.",
            sample_floor(0.95),
            sample_floor(0.99)
        ),
    )
}
