//! Whether this client's own error, measured before the run, is small against what was measured.

use super::evidence::{Evidence, StageEvidence};
use super::judge::{Finding, doubt, pass, unknown, worst};
use super::{Check, CheckKind, CheckStatus};
use crate::calibration::Calibration;
use crate::words;

/// The TTFT error may be this share of the median TTFT, or this time, whichever is more.
const TTFT_FINE_SHARE: f64 = 0.01;
const TTFT_FINE_NS: f64 = 100e3;
/// Beyond this many times what is fine, the figure is not to be used.
const TTFT_BAD_TIMES: f64 = 5.0;
/// The ITL error may be this share of the median ITL.
const ITL_FINE_SHARE: f64 = 0.1;
/// Beyond this share it is not to be used.
const ITL_BAD_SHARE: f64 = 0.25;
/// Up to this share of what the host can take in, a rate above the calibrated one is no worry.
const RATE_FINE_SHARE: f64 = 0.5;

pub(super) fn calibrated(evidence: &Evidence) -> Check {
    let kind = CheckKind::Calibrated;
    let Some(calibration) = &evidence.calibration else {
        return unknown(
            kind,
            "not calibrated",
            "How far off this client's times are was not measured before the run.",
            "Run without `--no-calibrate`; it takes seconds.",
        );
    };
    let found = [
        worst(evidence, |stage| ttft(stage, calibration)),
        worst(evidence, |stage| itl(stage, calibration)),
        worst(evidence, |stage| rate(stage, calibration)),
    ];
    let found: Vec<Finding> = found.into_iter().flatten().collect();
    let Some(status) = found.iter().map(|f| f.status).max() else {
        return unknown(
            kind,
            "nothing was answered",
            "There is no time that the client's error could be held against.",
            "Look at the errors.",
        );
    };
    // All of it when all is well, else only what is not.
    let figure = found
        .into_iter()
        .filter(|f| status == CheckStatus::Pass || f.status != CheckStatus::Pass)
        .map(|f| f.figure)
        .collect::<Vec<_>>()
        .join("; ");
    if status == CheckStatus::Pass {
        return pass(kind, figure, "This client's own error is small against what it measured.");
    }
    doubt(
        kind,
        status,
        figure,
        "This client's own error, measured against a server whose writes are known, is not small against these times.",
        "Fewer streams on this host, more workers, an idle machine, or `--clock capture`; read differences below the error as none.",
    )
}

fn ttft(stage: &StageEvidence, calibration: &Calibration) -> Option<Finding> {
    let (error, base) = (calibration.ttft_error.p99_ns, stage.ttft_p50_ns?);
    let fine = (base * TTFT_FINE_SHARE).max(TTFT_FINE_NS);
    let status = match error / fine {
        times if times <= 1.0 => CheckStatus::Pass,
        times if times <= TTFT_BAD_TIMES => CheckStatus::Warn,
        _ => CheckStatus::Fail,
    };
    let figure = format!("TTFT error p99 {} at TTFT p50 {}", words::time(error), words::time(base));
    Some(Finding { status, weight: error / fine, figure })
}

fn itl(stage: &StageEvidence, calibration: &Calibration) -> Option<Finding> {
    let (error, p50, mean) = (calibration.itl_error.p99_ns, stage.itl_p50_ns?, stage.itl_mean_ns?);
    // A median of nothing is of chunks that came together.
    let base = if p50 > 0.0 { p50 } else { mean.max(1.0) };
    let share = error / base;
    let status = match share {
        s if s <= ITL_FINE_SHARE => CheckStatus::Pass,
        s if s <= ITL_BAD_SHARE => CheckStatus::Warn,
        _ => CheckStatus::Fail,
    };
    let figure = format!("ITL error p99 {} at ITL p50 {}", words::time(error), words::time(base));
    Some(Finding { status, weight: share, figure })
}

/// Above what the host can take in, tokens queued in the client. Above the calibrated rate but far
/// below that, the error measured stands.
fn rate(stage: &StageEvidence, calibration: &Calibration) -> Option<Finding> {
    let rate = stage.output_tokens_per_s?;
    let (tried, most) = (calibration.tokens_per_second, calibration.max_tokens_per_second);
    let status = if rate > most {
        CheckStatus::Fail
    } else if rate > tried && rate > most * RATE_FINE_SHARE {
        CheckStatus::Warn
    } else {
        CheckStatus::Pass
    };
    let figure = format!(
        "{} tok/s of {} that this host takes in, calibrated at {}",
        words::number(rate),
        words::number(most),
        words::number(tried)
    );
    Some(Finding { status, weight: rate, figure })
}
