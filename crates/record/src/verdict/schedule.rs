//! Whether requests left when the load plan wanted them to.

use super::evidence::{Evidence, StageEvidence};
use super::judge::{Finding, doubt, pass, unknown, worst};
use super::{Check, CheckKind, CheckStatus};
use crate::words;

/// Send lag is fine up to the larger of these: a time, and a share of the median TTFT.
const LAG_FINE_NS: f64 = 1e6;
const LAG_FINE_SHARE: f64 = 0.01;
/// Beyond this share of the median TTFT the schedule was not kept.
const LAG_BAD_SHARE: f64 = 0.1;

/// An open loop that sends less than this share of the asked rate is to be doubted.
const RATE_FINE_SHARE: f64 = 0.99;
/// Below this share it is another load than the one asked for.
const RATE_BAD_SHARE: f64 = 0.95;

/// One finding a stage and cause: late, slower than asked, held by `max_in_flight`.
pub(super) fn schedule_kept(evidence: &Evidence) -> Check {
    let kind = CheckKind::ScheduleKept;
    let capped = evidence.total(held);
    let lag = worst(evidence, lag);
    let rate = worst(evidence, rate);
    let found: Vec<Finding> = lag.into_iter().chain(rate).collect();
    let Some(status) = found.iter().map(|f| f.status).max() else {
        return unknown(
            kind,
            "nothing was answered",
            "There is no lag to judge.",
            "Look at the errors.",
        );
    };
    let mut figure = found.into_iter().map(|f| f.figure).collect::<Vec<_>>().join("; ");
    if capped > 0 {
        figure += &format!(
            "; {} for max_in_flight",
            words::of(capped, "request waited", "requests waited")
        );
        let status = status.max(CheckStatus::Warn);
        return doubt(
            kind,
            status,
            figure,
            "The limit of requests in flight held arrivals back: from there on the load was a closed loop, and TTFT from sending hides the wait.",
            "Read TTFT from schedule; raise max_in_flight, or ask for a rate that the server can answer.",
        );
    }
    if status == CheckStatus::Pass {
        return pass(kind, figure, "Requests left when the plan wanted them to.");
    }
    doubt(
        kind,
        status,
        figure,
        "Requests left late: the load was lighter than asked, and TTFT from sending hides the wait.",
        "Read TTFT from schedule; give the load generator more CPU or another machine than the server's.",
    )
}

/// Requests that waited for `max_in_flight`.
fn held(stage: &StageEvidence) -> u64 {
    stage.load.open().map_or(0, |open| open.capped)
}

fn lag(stage: &StageEvidence) -> Option<Finding> {
    let (p99, base) = (stage.send_lag_p99_ns?, stage.ttft_p50_ns?);
    let status = if p99 <= LAG_FINE_NS.max(base * LAG_FINE_SHARE) {
        CheckStatus::Pass
    // Waiting for the limit is no lateness of this program: the rate says what it did to the load.
    } else if p99 <= base * LAG_BAD_SHARE || held(stage) > 0 {
        CheckStatus::Warn
    } else {
        CheckStatus::Fail
    };
    let figure = format!("send lag p99 {} at TTFT p50 {}", words::time(p99), words::time(base));
    Some(Finding { status, weight: p99 / base.max(1.0), figure })
}

fn rate(stage: &StageEvidence) -> Option<Finding> {
    stage.load.open()?;
    let (asked, sent) = stage.arrivals.rates()?;
    let share = sent / asked;
    let status = match share {
        s if s >= RATE_FINE_SHARE => CheckStatus::Pass,
        s if s >= RATE_BAD_SHARE => CheckStatus::Warn,
        _ => CheckStatus::Fail,
    };
    let figure = format!(
        "{} of {} req/s sent ({})",
        words::number(sent),
        words::number(asked),
        words::percent(share.min(1.0))
    );
    Some(Finding { status, weight: -share, figure })
}
