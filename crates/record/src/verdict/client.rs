//! Whether this program kept up: how late it read, how busy its threads were.

use super::evidence::{Evidence, StageEvidence};
use super::judge::{Finding, doubt, pass, unknown, worst};
use super::{Check, CheckKind, CheckStatus};
use crate::manifest::ClockSource;
use crate::words;

/// From this share of the ITL on, client lag is to be doubted.
const LAG_WARN_SHARE: f64 = 0.05;
/// Beyond this share gaps say more of the client than of the server.
const LAG_FAIL_SHARE: f64 = 0.1;
/// A median ITL below this share of the mean is of chunks that came together: the mean stands in.
const MEDIAN_TELLS: f64 = 0.1;

pub(super) fn client_lag(evidence: &Evidence) -> Check {
    let kind = CheckKind::ClientLag;
    let Some(found) = worst(evidence, lag) else {
        return unknown(
            kind,
            "no kernel stamps beside chunk gaps",
            "How late this program was cannot be told: arrivals are stamped by its own clock, or answers came whole.",
            "Nothing where ITL is well above 1 ms; else repeat on an idle machine and compare.",
        );
    };
    if found.status == CheckStatus::Pass {
        return pass(
            kind,
            found.figure,
            "This program read each chunk soon enough not to show in the gaps.",
        );
    }
    if evidence.clock == ClockSource::Capture {
        return pass(
            kind,
            found.figure,
            "This program read late, but the capture stamped each chunk's own segment: arrivals do not depend on reading.",
        );
    }
    doubt(
        kind,
        found.status,
        found.figure,
        "This program read chunks late: arrivals are the kernel's, but several chunks may have come in one read.",
        "Fewer streams on this host, more workers, or CPUs pinned for the load generator; or stamp with `--clock capture`.",
    )
}

fn lag(stage: &StageEvidence) -> Option<Finding> {
    let (p99, p50, mean) =
        (stage.client_lag_p99_ns?, stage.itl_p50_ns?, stage.itl_mean_ns?.max(1.0));
    let (base, name) = match p50 >= mean * MEDIAN_TELLS {
        true => (p50, "p50"),
        false => (mean, "mean (its median is of chunks that came together)"),
    };
    let share = p99 / base;
    let figure = format!(
        "p99 {} at ITL {} {name} ({})",
        words::time(p99),
        words::time(base),
        words::percent(share)
    );
    let status = match share {
        s if s > LAG_FAIL_SHARE => CheckStatus::Fail,
        s if s >= LAG_WARN_SHARE => CheckStatus::Warn,
        _ => CheckStatus::Pass,
    };
    Some(Finding { status, weight: share, figure })
}

/// From this share of a stage on a CPU on, the busiest thread is to be doubted.
const CPU_WARN_SHARE: f64 = 0.7;
/// From this share on it had no time left.
const CPU_FAIL_SHARE: f64 = 0.9;

pub(super) fn client_cpu(evidence: &Evidence) -> Check {
    let kind = CheckKind::ClientCpu;
    let busiest = worst(evidence, |stage| {
        let share = stage.busiest_thread?;
        let status = match share {
            s if s >= CPU_FAIL_SHARE => CheckStatus::Fail,
            s if s >= CPU_WARN_SHARE => CheckStatus::Warn,
            _ => CheckStatus::Pass,
        };
        let figure = format!("busiest load thread {} busy", words::percent(share));
        Some(Finding { status, weight: share, figure })
    });
    let Some(found) = busiest else {
        return unknown(
            kind,
            "not told",
            "How busy the load generator's threads were cannot be told.",
            "Run on Linux, which tells each thread's CPU time; else watch the machine while it runs.",
        );
    };
    if found.status == CheckStatus::Pass {
        return pass(kind, found.figure, "The load generator had CPU to spare.");
    }
    doubt(
        kind,
        found.status,
        found.figure,
        "A load generator without CPU to spare sends and reads late: the stage may show its limit, not the server's.",
        "Fewer streams on this host, more workers, or another machine than the server's.",
    )
}
