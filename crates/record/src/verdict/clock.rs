//! Which clock stamped the arrivals.

use super::evidence::Evidence;
use super::judge::{doubt, pass};
use super::{Check, CheckKind, CheckStatus};
use crate::manifest::ClockSource;
use crate::words;

/// Up to this share of chunks without a kernel stamp does not show.
const FEW_UNSTAMPED: f64 = 0.01;

pub(super) fn clock(evidence: &Evidence) -> Check {
    let kind = CheckKind::Clock;
    match evidence.clock {
        ClockSource::Userland => doubt(
            kind,
            CheckStatus::Warn,
            "userland: the clock after each read",
            "Arrivals carry this program's lateness: under load its times are too late, by hundreds of microseconds and more where CPU is short.",
            "Run on Linux without `--clock userland`: the kernel stamps arrivals.",
        ),
        ClockSource::Kernel => kernel(evidence),
        ClockSource::Capture => capture(evidence),
    }
}

fn kernel(evidence: &Evidence) -> Check {
    let kind = CheckKind::Clock;
    let (all, bare) = (evidence.total(|s| s.counts.chunks), evidence.total(|s| s.counts.unstamped));
    let share = bare as f64 / all.max(1) as f64;
    if share <= FEW_UNSTAMPED {
        return pass(
            kind,
            "kernel: the receive stamp of each read",
            "Arrivals are the kernel's and do not move when this program is late.",
        );
    }
    doubt(
        kind,
        CheckStatus::Warn,
        format!(
            "kernel, but {} of {} had no stamp",
            words::count(bare),
            words::of(all, "chunk", "chunks")
        ),
        "Arrivals without the kernel's stamp are this program's own clock after the read, with its lateness in them.",
        "Look whether the network device or a proxy in this process' namespace takes the stamps away.",
    )
}

fn capture(evidence: &Evidence) -> Check {
    let kind = CheckKind::Clock;
    let seen = evidence.capture.unwrap_or_default();
    if seen.lost == 0 && seen.unresolved_chunks == 0 {
        return pass(
            kind,
            format!(
                "capture: the segment of each of {}",
                words::of(seen.resolved_chunks, "chunk", "chunks")
            ),
            "Each chunk's arrival is its own segment's, whenever this program read it.",
        );
    }
    doubt(
        kind,
        CheckStatus::Warn,
        format!(
            "capture: {} lost, {} of {} not resolved",
            words::of(seen.lost, "segment", "segments"),
            words::count(seen.unresolved_chunks),
            words::of(seen.resolved_chunks + seen.unresolved_chunks, "chunk", "chunks")
        ),
        "Chunks whose segment was not captured keep the kernel's stamp of their read.",
        "Give the capture more room (net.core.rmem_max bounds it) or the machine more CPU.",
    )
}
